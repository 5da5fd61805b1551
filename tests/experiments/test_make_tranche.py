"""A further tranche: who writes, which reply is kept, who compares, and where.

The sampler is a stand-in: what a policy says is known beforehand.
"""

import json

import numpy as np
import pytest
import shared_fixture as tiny

from experiments import make_tranche, mix_tranches
from experiments.shared import comparisons, label_sources, policies, writers
from rlhf_jax.data.jsonl import read_comparisons
from rlhf_jax.train.about import RunError

WORDS = tiny.words()
FOUND = [(tiny.prompt(f'draw {i} cats'), 'helpful') for i in range(5)]


def sampling(**changes):
  return {
    'seed': 4,
    'max_prompt': 24,
    'max_reply': 40,
    'sample_batch': 12,
    'best_of': 1,
    'source': 'helpful-online',
  } | changes


def sample(params, rows, rng):
  """Reply number n of a policy is 'n of them', from its own first number."""
  del rng
  tokens_BT, length_B = np.zeros((len(rows.row_B), 64), np.int32), []
  for out, ids, n, row in zip(tokens_BT, *rows, strict=True):
    said = WORDS.encode(f' {params + row} of them.')
    whole = [*ids[:n].tolist(), *said, WORDS.eos_id]
    out[: len(whole)] = whole
    length_B.append(len(whole))
  return tokens_BT, rows.length_B, np.array(length_B)


def writer(first):
  return writers.Writer(sample, first, WORDS, policies.decoded)


def numbers(replies):
  return [int(reply.split()[0]) for reply in replies]


def test_without_a_ranker_a_prompt_gets_one_sample():
  texts = [text for text, _ in FOUND] * 3
  said = writers.replies_of(writer(100), texts, sampling(), None)
  assert numbers(said) == list(range(100, 115))


def test_the_best_of_k_is_the_one_that_the_ranker_scores_highest():
  """Of 4 samples a prompt the one whose number is 2 more than one of 4."""
  asked = []

  def score(weights, tokens_BT, prompt_length_B, length_B):
    assert weights == 'w'
    said = policies.decoded(WORDS, tokens_BT, prompt_length_B, length_B)
    asked.append(len(said))
    return np.array([float(n % 4 == 2) for n in numbers(said)])

  ranker = writers.Ranker(score, 'w', 4)
  texts = [text for text, _ in FOUND]
  said = writers.replies_of(writer(0), texts, sampling(), None, ranker)
  assert numbers(said) == [2, 6, 10, 14, 18]
  assert asked == [12, 12]  # 20 samples, the last batch padded
  with pytest.raises(ValueError, match='sample_batch=10 cannot be cut by best'):
    writers.replies_of(
      writer(0), texts, sampling(sample_batch=10), None, ranker
    )


def test_several_of_a_ranker_want_a_ranker():
  with pytest.raises(ValueError, match='best_of=16 wants a ranker_dir'):
    make_tranche.open_ranker({'best_of': 16, 'ranker_dir': ''})
  assert make_tranche.open_ranker({'best_of': 1}) is None


def test_every_reply_is_by_a_writer_of_its_own():
  """Two writers, told by their numbers: pairs of all four kinds, evenly."""
  base = [writer(0), writer(10_000)]
  asked = make_tranche.ask(sampling(), base, None, FOUND, 400, [4, 0, 0])
  kinds = [
    tuple(n >= 10_000 for n in numbers((x.first, x.second))) for x in asked
  ]
  share = [
    np.mean([k == (a, b) for k in kinds]) for a in (0, 1) for b in (0, 1)
  ]
  # Each has 1/4; four standard errors of 400 are .087.
  assert np.abs(np.array(share) - 0.25).max() < 0.087
  assert {x.text for x in asked} == {text for text, _ in FOUND}
  again = make_tranche.ask(sampling(), base, None, FOUND, 400, [4, 0, 0])
  other = make_tranche.ask(sampling(), base, None, FOUND, 400, [4, 0, 1])
  assert asked == again and asked != other


@pytest.mark.parametrize(
  ('second', 'stays'),
  [
    (' 8 of them.', True),
    (' 7 of them.', False),
    (' ', False),
    (' 8.\n\nHuman: and owls?\n\nAssistant: 9.', False),
  ],
)
def test_a_pair_that_is_none_in_tokens_is_not_asked(second, stays):
  asked = label_sources.Asked(*FOUND[0], ' 7 of them.', second)
  assert make_tranche.usable(asked, WORDS, sampling()) is stays


def test_replies_that_begin_with_a_turn_of_the_assistant_are_not_asked():
  """Both would move the pair to a prompt that neither side has."""
  turn = '\n\nAssistant:'
  asked = label_sources.Asked(*FOUND[0], f'{turn} 7.', f'{turn} 8.')
  assert not make_tranche.usable(asked, WORDS, sampling())


def test_equal_replies_are_no_pair_and_are_made_up_for(monkeypatch):
  """Two replies in three are equal: passes go on until there are enough."""
  turns = []

  def replies(base, texts, config, key, ranker, label):
    turns.append(len(texts))
    return [f' {i if i % 6 == 1 else 7} of them.' for i in range(len(texts))]

  monkeypatch.setattr(writers, 'replies_of', replies)
  args = sampling(), [writer(0)], None, FOUND, 'test'
  found = make_tranche.enough(*args, 30)
  assert len(found) == 30 and len(turns) > 1
  assert all(x.first != x.second for x in found)
  monkeypatch.setattr(writers, 'replies_of', lambda *a: [' 7.'] * len(a[1]))
  with pytest.raises(RunError, match='0 of 30 pairs have two different repl'):
    make_tranche.enough(*args, 30)


CONFIG = sampling(
  role='tranche',
  half='all',
  size='3K',
  kind='helpful',
  writer_dirs=['W'],
  ranker_dir='',
  labels='people',
  judge_dir='',
  data={'source': 'hh', 'on_error': 'raise'},
  before_dir='',
  pairs=4,
  test_pairs=2,
  coin_flip_labels=False,
)


@pytest.fixture
def stage(monkeypatch, tmp_path):
  """The config of a round that people label, over prompts of a base tranche."""
  base = tmp_path / 'base'
  base.mkdir()
  held = [(tiny.prompt('draw 9 owls'), 'helpful')]
  harm = [(tiny.prompt('draw 9 pigs'), 'harmless')]
  sides = {'train': FOUND + harm, 'test': held + harm}
  (base / 'prompts.json').write_text(json.dumps(sides))
  (tmp_path / 'queue').mkdir()
  monkeypatch.setattr(make_tranche, 'open_writers', lambda config: [writer(0)])
  own = {'comparisons_dir': str(base), 'queue': str(tmp_path / 'queue')}
  return CONFIG | own, tmp_path, held


def answers(folder):
  """What people say of the pairs that a run has offered: the second one."""
  rows = [json.loads(x) for x in (folder / 'asked.jsonl').open()]
  for row in rows:
    swapped = {'chosen': row['rejected'], 'rejected': row['chosen']}
    yield json.dumps(swapped) + '\n'


def test_a_round_of_people_goes_on_where_it_waited(stage, monkeypatch):
  config, root, held = stage
  with pytest.raises(RunError, match='has 0 new comparisons, wanted 6'):
    make_tranche.run(config, root / 'r1')
  said = list(answers(root / 'r1'))
  assert len(said) == 6
  queue = root / 'queue' / 'a.jsonl'
  queue.write_text(''.join(said) + said[0][:30])
  # What was sampled is there: nobody writes a second time.
  monkeypatch.setattr(make_tranche, 'enough', None)
  make_tranche.run(config, root / 'r1')
  sides = {s: comparisons.load_pairs(root / 'r1', s) for s in ('train', 'test')}
  assert [len(x.kind_N) for x in sides.values()] == [4, 2]
  test = root / 'r1' / 'data' / 'helpful-online' / 'test.jsonl.gz'
  kept, _ = read_comparisons(test)
  assert all(x.chosen.startswith(held[0][0]) for x in kept) and len(kept) == 2
  position = json.loads((root / 'r1' / 'queue.json').read_text())
  assert position['a.jsonl']['offset'] == len(''.join(said))
  prompts = json.loads((root / 'r1' / 'prompts.json').read_text())
  assert {kind for rows in prompts.values() for _, kind in rows} == {'helpful'}


def test_the_next_round_reads_behind_the_last(stage):
  config, root, _ = stage
  asked = {'train': [], 'test': []}
  (root / 'r1').mkdir()
  said = [
    json.dumps({'chosen': f'{t} a.', 'rejected': f'{t} b.'}) + '\n'
    for t, _ in FOUND
  ]
  (root / 'queue' / 'a.jsonl').write_text(''.join(said))
  where = {'a.jsonl': {'offset': len(said[0]), 'last': ''}}
  last = label_sources.read_new(config['queue'], {}, 1, 'x').position
  assert last['a.jsonl']['offset'] == where['a.jsonl']['offset']
  (root / 'r1' / 'queue.json').write_text(json.dumps(last))
  run = tiny.namespace(path=root)
  asked['train'] = [label_sources.Asked(*FOUND[1], ' a.', ' b.')] * 2
  own = config | {'before_dir': str(root / 'r1')}
  sides, position = make_tranche.labelled(own, run, asked)
  assert [x.chosen for x in sides['train']] == [
    f'{FOUND[i][0]} a.' for i in (1, 2)
  ]
  assert position['a.jsonl']['offset'] == sum(map(len, said[:3]))


def tranche(folder, p_label, first):
  """A tranche whose rows are told by their prompt length."""
  folder.mkdir()
  pairs = tiny.pairs(p_label)
  pairs = pairs._replace(prompt_length_N=pairs.prompt_length_N + first)
  for side in ('train', 'test'):
    np.savez(folder / f'{side}.npz', **pairs._asdict())
  (folder / 'prompts.json').write_text(
    json.dumps({'train': [['a', 'helpful']], 'test': [['b', 'harmless']]})
  )
  return str(folder)


@pytest.fixture
def two(tmp_path):
  rates = np.full(40, 0.7)
  return [tranche(tmp_path / x, rates, 1000 * i) for i, x in enumerate('ab')]


def mixing(two, **changes):
  return {
    'role': 'online1',
    'seed': 3,
    'half': 'all',
    'size': '3K',
    'subset': 'helpful',
    'tranche_dirs': two,
    'tranche_numbers': [0, 1],
    'train_counts': [20, 10],
    'test_counts': [5, 5],
  } | changes


def keyed(pairs):
  """{row: which side was chosen}."""
  return dict(
    zip(
      pairs.prompt_length_N.tolist(),
      pairs.chosen_tokens_NT[:, 0].tolist(),
      strict=True,
    )
  )


def test_a_smaller_part_lies_in_a_larger_one_with_the_same_labels(two):
  large = mix_tranches.mixed(mixing(two), 'train')
  small = mix_tranches.mixed(mixing(two, train_counts=[8, 10]), 'train')
  assert len(large.kind_N) == 30 and len(small.kind_N) == 18
  whole, part = keyed(large), keyed(small)
  assert part.items() <= whole.items()
  assert sum(row < 1500 for row in whole) == 20
  # Labels are drawn: of 30 at .7 not all are the first; .7 +- four s.e.
  assert 0.36 < np.mean([x < 200 for x in whole.values()]) < 1
  assert np.isnan(large.p_label_N).all()
  other = keyed(mix_tranches.mixed(mixing(two, seed=4), 'train'))
  assert other != whole


def test_held_out_pairs_keep_their_odds_and_no_prompt_is_shared(two):
  pairs = mix_tranches.mixed(mixing(two), 'test')
  rates = np.round(pairs.p_label_N, 4)
  assert len(rates) == 10 and set(rates) <= {np.float32(0.7), np.float32(0.3)}
  first, second = pairs.prompt_index_N[:5], pairs.prompt_index_N[5:]
  assert not set(first) & set(second)
  assert len(set(keyed(pairs))) == 10


def test_a_tranche_that_is_too_small_is_said(two):
  with pytest.raises(RunError, match='b has 40 helpful pairs to train on, wan'):
    mix_tranches.mixed(mixing(two, train_counts=[20, 41]), 'train')


def test_a_mixture_is_a_run_with_the_prompts_of_its_first_tranche(
  two, tmp_path
):
  mix_tranches.run(mixing(two), tmp_path / 'mix')
  found = comparisons.load_pairs(tmp_path / 'mix', 'train')
  assert len(found.kind_N) == 30
  prompts = json.loads((tmp_path / 'mix' / 'prompts.json').read_text())
  assert prompts == {'train': [['a', 'helpful']], 'test': []}
