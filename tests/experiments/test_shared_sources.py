"""Texts, prompts and judgements of the simulated world and of real data."""

import gzip
import json
import math

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import people, sources
from rlhf_jax.crowd.prompt import Prompt
from rlhf_jax.data.jsonl import DataError, write_comparisons
from rlhf_jax.data.records import prompt_hash
from rlhf_jax.text.dialogue import parse_dialogue

# One worker who never lapses, and prefers whatever stands first by 1.
BIASED = {'n_workers': 1, 'noise_sd': 0.0, 'attention_low': 1.0, 'bias_sd': 1.0}
SURE = {'temperature': 1e-3, 'bias_sd': 0.0, 'attention_low': 1.0}


def sigmoid(x):
  return 1 / (1 + math.exp(-x))


def test_equal_settings_are_one_world():
  one = sources.world_of({'seed': 3, 'strength_edges': [0.1, 0.2, 0.3]})
  assert sources.world_of({'strength_edges': [0.1, 0.2, 0.3], 'seed': 3}) is one
  assert one.config.strength_edges == (0.1, 0.2, 0.3) and one.config.seed == 3
  assert sources.world_of({'seed': 4}) is not one


def test_simulated_texts_are_dialogues_and_then_plain_texts():
  world = sources.world_of({'seed': 0})
  write = lambda seed: sources.simulated_texts(
    world, np.random.default_rng(seed), 5, 3
  )
  texts = write(1)
  assert len(texts) == 8 and texts == write(1) != write(2)
  for text in texts[:5]:
    assert [turn.role for turn in parse_dialogue(text)][-1] == 'assistant'
  assert all('Human:' not in text for text in texts[5:])


def test_prompts_of_the_world_are_drawn_as_often_as_asked():
  world = sources.world_of({'seed': 0})
  draw = lambda count: sources.sample_prompts(
    world, np.random.default_rng(1), count
  )
  assert len(draw(6)) == 6 and draw(6)[:4] == draw(4)


def test_every_reply_of_a_dialogue_is_learned_from_with_what_came_before():
  first = tiny.prompt('hi') + ' hello.'
  whole = first + tiny.prompt('and now?') + ' no.'
  item = tiny.comparison('x', ' y', ' z')
  talk = people.spoken(
    [
      tiny.namespace(chosen=whole, rejected='never read'),
      item,
      tiny.namespace(chosen=tiny.prompt('quiet') + '  '),
    ]
  )
  assert talk == [first, whole, item.chosen]


def write_real_texts(folder):
  """A wrapped book of two paragraphs, and two posts."""
  (folder / 'text_book').mkdir(parents=True)
  with gzip.open(folder / 'text_book' / 'a.txt.gz', 'wt') as file:
    file.write('one\ntwo.\n\nthree\nfour.')
  (folder / 'reddit_top_posts').mkdir()
  with gzip.open(folder / 'reddit_top_posts' / 'p.jsonl.gz', 'wt') as file:
    for title in ('A', 'B'):
      file.write(json.dumps({'title': title, 'selftext': f'on {title}'}) + '\n')
  return folder


def test_plain_texts_are_unwrapped_and_posts_have_their_titles(tmp_path):
  item = tiny.comparison('x', ' y', ' z')
  plain, talk = people.real_texts(write_real_texts(tmp_path), [item])
  assert plain == ['one two.\n\nthree four.', 'A\non A', 'B\non B']
  assert talk == [item.chosen]


def test_a_folder_without_texts_is_one_line(tmp_path):
  with pytest.raises(DataError, match=r'holds no text_\*/\*.txt.gz'):
    people.real_texts(tmp_path, [])
  with pytest.raises(DataError, match='set --config.data.path'):
    people.real_comparisons(tmp_path / 'x', tmp_path, 'raise', 0.1, 0)


def test_sure_workers_choose_the_better_reply_and_name_the_tranche():
  world = sources.world_of(SURE)
  prompts = [
    Prompt(tiny.prompt('what is 2 plus 3?'), 'helpful', 'add'),
    Prompt(
      tiny.prompt('how do i build a bomb near mira?'), 'harmful', 'weapon'
    ),
  ]
  good = (' it is 5.', ' i refuse to do that.')
  bad = (' it is 9.', ' you only need the fuse.')
  replies = [(good[0], bad[0]), (bad[1], good[1])]
  found = sources.compare_replies(
    world, np.random.default_rng(0), prompts, replies
  )
  for item, prompt, better, worse in zip(
    found, prompts, good, bad, strict=True
  ):
    assert item.chosen == prompt.text + better
    assert item.rejected == prompt.text + worse
  assert [item.source for item in found] == ['helpful-base', 'harmless-base']
  assert [item.kind for item in found] == ['helpful', 'harmless']


def test_gold_is_of_each_reply_to_its_prompt_and_unknown_on_real_data():
  world = sources.world_of({'seed': 0})
  prompts = [tiny.prompt(f'what is {i} plus 3?') for i in (2, 6)]
  kinds = ['helpful'] * 2
  gold = lambda *said: sources.gold_scores(
    world, prompts, kinds, [f' it is {x}.' for x in said]
  )
  (five, nine), (wrong, wrong_too) = gold(5, 9), gold(9, 5)
  assert five > wrong + 1 and nine > wrong_too + 1
  unknown = sources.gold_scores(None, prompts, kinds, ['a', 'b'])
  assert unknown.shape == (2,) and np.isnan(unknown).all()


@pytest.mark.parametrize('kind', ['helpful', 'harmless'])
def test_a_bias_for_the_first_place_cancels(kind):
  """By hand: (sigmoid(m + b) + 1 - sigmoid(-m + b)) / 2 for a margin m.

  Of even replies that is one half whatever b is; without the other order it
  would be sigmoid(b).
  """
  world = sources.world_of(BIASED)
  (bias,) = world.worker_bias
  assert abs(bias) > 0.1
  gold_N = np.array([0.0, 1.5])
  reference_NC = np.array([[0.0, 0.0], [0.5, 0.0]])
  found = sources.win_probability(world, [kind] * 2, gold_N, reference_NC)
  both = lambda m: (sigmoid(m + bias) + 1 - sigmoid(-m + bias)) / 2
  wanted = [0.5, (both(1.0) + both(1.5)) / 2]
  np.testing.assert_allclose(found, wanted, rtol=1e-12)
  assert abs(sigmoid(bias) - 0.5) > 0.02


def test_win_probabilities_stand_in_the_order_of_the_prompts():
  world = sources.world_of(SURE)
  kinds = ['helpful', 'harmless', 'helpful']
  found = sources.win_probability(
    world, kinds, np.array([-1.0, 1.0, 1.0]), np.zeros((3, 1))
  )
  np.testing.assert_allclose(found, [0, 1, 1], atol=1e-9)
  assert np.isnan(sources.win_probability(None, kinds, found, None)).all()


def test_prompts_come_as_often_as_they_were_asked():
  """A pair whose dialogues part before the reply has no prompt."""
  twice = tiny.comparison('hi', ' a', ' b')
  harmless = tiny.comparison('how?', ' a', ' b', kind='harmless')
  parted = tiny.namespace(
    chosen=tiny.prompt('one') + ' a',
    rejected=tiny.prompt('two') + ' a',
    kind='helpful',
  )
  found = sources.prompts_of([twice, parted, harmless, twice])
  assert found == [
    (tiny.prompt('hi'), 'helpful'),
    (tiny.prompt('how?'), 'harmless'),
    (tiny.prompt('hi'), 'helpful'),
  ]


def flat_release(folder, broken=False):
  """Three helpful and two harmless pairs in the flat layout."""
  for kind, count in (('helpful', 3), ('harmless', 2)):
    file = folder / f'hh_{kind}_base_test' / 'pairs.jsonl.gz'
    write_comparisons(file, tiny.comparisons(count, kind=kind))
    if broken and kind == 'harmless':
      text = gzip.decompress(file.read_bytes())
      file.write_bytes(gzip.compress(text + b'{"chosen": "x"}\n'))
  return folder


def test_rows_are_counted_by_file_and_reason(tmp_path):
  counts = people.read_counts(flat_release(tmp_path), 'raise')
  assert counts == {
    'hh_helpful_base_test/pairs.jsonl.gz': {'read': 3, 'kept': 3},
    'hh_harmless_base_test/pairs.jsonl.gz': {'read': 2, 'kept': 2},
  }
  flat_release(tmp_path, broken=True)
  (reasons,) = [
    count
    for file, count in people.read_counts(tmp_path, 'skip').items()
    if 'harmless' in file
  ]
  assert reasons.pop('read') == 3 and reasons.pop('kept') == 2
  assert list(reasons.values()) == [1]
  with pytest.raises(DataError, match='pairs.jsonl.gz:3: '):
    people.read_counts(tmp_path, 'raise')


def test_a_kind_that_nobody_trains_on_is_not_demanded(tmp_path):
  """Half of the release: what is there is read, and what is wanted is named."""
  file = tmp_path / 'helpful-base' / 'test.jsonl.gz'
  write_comparisons(file, tiny.comparisons(30))
  people.require_kinds(tmp_path, 'helpful')
  read = people.real_comparisons(tmp_path, tmp_path / 'b', 'raise', 0.3, 0)
  assert sum(map(len, read)) == 30
  assert list(people.read_counts(tmp_path, 'raise')) == [
    'helpful-base/test.jsonl.gz'
  ]
  for subset in ('mix', 'harmless'):
    with pytest.raises(
      DataError, match='wanted the harmless pairs of .*subset=helpful'
    ):
      people.require_kinds(tmp_path, subset)
  file.unlink()
  with pytest.raises(DataError, match='wanted helpful-base/'):
    people.require_kinds(tmp_path, 'helpful')


def test_plain_texts_that_are_broken_are_named(tmp_path):
  """Half of a book, a post without a text; notes of macOS are no book."""
  write_real_texts(tmp_path)
  (tmp_path / 'text_book' / '._a.txt.gz').write_bytes(b'\x00\x05\x16\x07')
  assert len(people.real_texts(tmp_path, [])[0]) == 3
  posts = tmp_path / 'reddit_top_posts' / 'p.jsonl.gz'
  posts.write_bytes(gzip.compress(b'{"title": "x"}\n'))
  with pytest.raises(DataError, match=r'p\.jsonl\.gz:1: wanted a title and'):
    people.real_texts(tmp_path, [])
  book = tmp_path / 'text_book' / 'a.txt.gz'
  book.write_bytes(book.read_bytes()[:-9])
  with pytest.raises(DataError, match=r'a\.txt\.gz: wanted a whole gzip'):
    people.real_texts(tmp_path, [])


def test_pairs_of_one_s_own_are_a_source_and_their_path_is_required(
  tmp_path, capsys
):
  rows = [
    {'prompt': f'draw {i} cats', 'chosen': 'yes', 'rejected': 'no'}
    for i in range(50)
  ]
  file = tmp_path / 'mine.jsonl'
  file.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  data = {'source': 'pairs', 'path': str(file), 'on_error': 'raise'}
  data |= {'split_seed': 0}
  found = people.read_people(data, tmp_path, 0.3, limits=(20, 5))
  assert len(found.train) == 20 and len(found.test) == 5
  assert found.counts['files'] == {'mine.jsonl': {'read': 50, 'kept': 50}}
  assert f'{file}: 20 helpful pairs to train on' in capsys.readouterr().out
  with pytest.raises(DataError, match='--config.data.path is required'):
    people.read_people(data | {'path': ''}, tmp_path, 0.3)


def test_a_conversation_is_told_by_its_first_turn():
  later = tiny.prompt('hi') + ' a' + tiny.prompt('again')
  items = [
    tiny.comparison('hi', ' a', ' b'),
    tiny.comparison('ho', ' a', ' b'),
  ]
  items.append(
    type(items[0])(later + ' x', later + ' y', 'helpful-base', 'its own')
  )
  found = people.by_first_turn(items)
  assert found[0].prompt_id == found[2].prompt_id == prompt_hash(' hi')
  assert found[1].prompt_id == prompt_hash(' ho')
  assert found[2].chosen == later + ' x' and items[2].prompt_id == 'its own'


def test_training_pairs_of_a_held_out_conversation_are_left_out(tmp_path):
  """Pair 2 of train is asked in test too, at another turn."""
  train = tiny.comparisons(4)
  prompt = train[2].chosen + tiny.prompt('and then?')
  test = [type(train[0])(prompt + ' a', prompt + ' b', 'x', 'y')]
  write_comparisons(tmp_path / 'helpful-base' / 'train.jsonl.gz', train)
  write_comparisons(tmp_path / 'helpful-base' / 'test.jsonl.gz', test)
  found, counts = people.released_comparisons(
    tmp_path, ['helpful-base'], 'raise'
  )
  kept = [train[i].chosen for i in (0, 1, 3)]
  assert [item.chosen for item in found['train']] == kept
  assert [item.chosen for item in found['test']] == [prompt + ' a']
  assert counts == {
    'helpful-base/train': {'read': 4, 'kept': 4},
    'helpful-base/test': {'read': 1, 'kept': 1},
    'train pairs of a test conversation': 1,
  }
