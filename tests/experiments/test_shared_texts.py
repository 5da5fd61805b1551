"""Texts and comparisons as arrays: make_text, make_comparisons, import_hh."""

import json

import numpy as np
import pytest
import pythia_folder
import shared_fixture as tiny

from experiments import import_hh, make_comparisons, make_text, train_lm
from experiments.shared import comparisons, people, policies, sources
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.text.pretrained import load_tokenizer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run
from tests.pretrained_files import need_or_skip

WORDS = tiny.words()
SHORT = tiny.prompt('draw cats') + ' yes.'


def encode(plain=(), dialogues=(), max_prompt=12, max_reply=6, limit=0):
  return make_text.encode(WORDS, plain, dialogues, max_prompt, max_reply, limit)


def test_a_dialogue_is_a_row_that_ends_with_its_reply():
  rows, counts = encode(dialogues=[SHORT])
  assert rows == [WORDS.encode(SHORT) + [WORDS.eos_id]]
  assert counts == {
    'dialogues': 1,
    'prompts cut': 0,
    'replies cut': 0,
    'plain rows': 0,
  }


def test_what_is_too_long_is_cut_to_its_own_room_and_counted():
  """A prompt from the left, a reply from the right, with no end then."""
  long_prompt = tiny.prompt('draw cats ' * 9) + ' yes.'
  long_reply = tiny.prompt('draw cats') + ' yes' * 9
  rows, counts = encode(dialogues=[SHORT, long_prompt, long_reply])
  assert counts['dialogues'] == 3
  assert counts['prompts cut'] == counts['replies cut'] == 1
  end = WORDS.encode(' yes.') + [WORDS.eos_id]
  assert rows[1][-len(end) :] == end and len(rows[1]) == 12 + len(end)
  assert rows[1][0] == WORDS.human_id and rows[1][11] == WORDS.assistant_id
  start = WORDS.encode(tiny.prompt('draw cats'))
  said = WORDS.encode(' yes' * 9)
  assert rows[2] == start + said[:6] and WORDS.eos_id not in rows[2]


def test_plain_text_is_cut_into_full_rows_and_nothing_is_padded():
  text = 'draw cats and dogs of them ' * 4
  ids = WORDS.encode(text) + [WORDS.eos_id]
  rows, counts = encode(plain=[text, 'cats'], max_prompt=7, max_reply=3)
  other = WORDS.encode('cats') + [WORDS.eos_id]
  assert [i for row in rows[:-1] for i in row] == ids and rows[-1] == other
  full = len(ids) // 10
  assert [len(row) for row in rows[:full]] == [10] * full
  assert counts['plain rows'] == len(rows)


def test_a_row_of_one_token_predicts_nothing_and_is_left_out():
  ids = WORDS.encode('draw cats')
  assert len(ids) > 2
  width = len(ids)  # the end token would stand alone
  rows, _ = encode(plain=['draw cats'], max_prompt=width - 1, max_reply=1)
  assert rows == [ids]


def test_plain_rows_are_limited_but_dialogues_are_not():
  """The same rows of all of them, in their order, whenever it is asked."""
  texts = [f'draw {i} cats' for i in range(20)]
  everything, _ = encode(plain=texts)
  rows, counts = encode(plain=texts, dialogues=[SHORT] * 7, limit=5)
  assert len(rows) == 12 and counts['plain rows'] == 5
  places = [everything.index(row) for row in rows[7:]]
  assert places == sorted(set(places)) and places != list(range(5))
  assert encode(plain=texts, dialogues=[SHORT] * 7, limit=5)[0] == rows
  assert encode(plain=texts, limit=20)[0] == everything


def text_config(**changes):
  return {
    'data': {
      'source': 'simulated',
      'path': '/data',
      'on_error': 'skip',
      'split_seed': 4,
    },
    'world': {'seed': 0},
    'seed': 3,
    'dialogues': 4,
    'plain_texts': 2,
    'heldout_dialogues': 3,
    'test_fraction': 0.25,
  } | changes


def test_no_held_out_dialogue_is_a_training_text(monkeypatch, tmp_path):
  """Of three new dialogues the world wrote one before."""
  asked = []

  def write(world, rng, dialogues, plain):
    asked.append((world, rng.integers(1 << 30), dialogues, plain))
    if plain:
      return ['d0', 'd1', 'd2', 'd3', 'p0', 'p1']
    return ['new', 'd2', 'newer']

  monkeypatch.setattr(sources, 'simulated_texts', write)
  plain, dialogues, held = make_text.texts_of(text_config(), tmp_path)
  assert plain == ['p0', 'p1'] and dialogues == ['d0', 'd1', 'd2', 'd3']
  assert held == ['new', 'newer']
  (world, first, *sizes), (same, second, *held_sizes) = asked
  assert world is same and sizes == [4, 2] and held_sizes == [3, 0]
  assert first == np.random.default_rng(3).integers(1 << 30)
  assert second == np.random.default_rng([3, 1]).integers(1 << 30)


def test_real_texts_keep_the_test_conversations_out(monkeypatch, tmp_path):
  asked = []
  train, test = tiny.comparisons(3), tiny.comparisons(5, kind='harmless')[3:]
  monkeypatch.setattr(
    people,
    'real_comparisons',
    lambda *args: asked.append(args) or (train, test),
  )
  monkeypatch.setattr(
    people, 'real_texts', lambda path, items: (['plain'], items)
  )
  data = text_config()['data'] | {'source': 'hh'}
  config = text_config(data=data, heldout_dialogues=1)
  plain, dialogues, held = make_text.texts_of(config, tmp_path)
  assert asked == [('/data', tmp_path / 'tfds', 'skip', 0.25, 4)]
  assert plain == ['plain'] and dialogues is train
  assert held == [test[0].chosen]
  whole = make_text.texts_of(config | {'heldout_dialogues': 0}, tmp_path)
  assert whole[2] == [item.chosen for item in test]
  with pytest.raises(DataError, match="'hh' or 'pairs', got 'web'"):
    make_text.texts_of(config | {'data': {'source': 'web'}}, tmp_path)


def test_the_text_stage_writes_what_the_language_models_read(tmp_path):
  """Rows of both files, in the tokens of the tokenizer beside them."""
  config = text_config(
    dialogues=80, plain_texts=6, heldout_dialogues=30, vocab_size=320
  )
  config |= {'max_prompt': 20, 'max_reply': 12, 'plain_rows': 3}
  make_text.run(config | {'tokenizer_texts': 60}, tmp_path / 'text')
  done = json.loads((tmp_path / 'text' / 'done.json').read_text())
  words = load_tokenizer(tmp_path / 'text' / 'tokenizer.model')
  assert words.vocab_size == done['vocab_size'] == 320
  places = {'text_dir': str(tmp_path / 'text')}
  rows, held = (train_lm.texts_of(places, x) for x in ('rows', 'heldout'))
  assert len(rows.length_B) == done['rows'] == 80 + done['plain rows']
  assert done['plain rows'] == 3 and done['dialogues'] == 80
  assert rows.length_B.sum() == done['tokens']
  assert len(held.length_B) == done['heldout_rows'] <= 30
  said = [
    {words.decode(ids[:n].tolist()) for ids, n in zip(*part[:2], strict=True)}
    for part in (rows, held)
  ]
  assert not said[0] & said[1]
  assert rows.tokens_BT.shape[1] == held.tokens_BT.shape[1] == 32


def test_comparisons_come_back_from_the_builder_as_they_were(tmp_path):
  """Both tranches and both splits, labels rounded to float32."""
  splits = {
    'train': tiny.comparisons(5, p_label=0.7)
    + tiny.comparisons(4, kind='harmless', p_label=0.2),
    'test': tiny.comparisons(2, p_label=1.0)
    + tiny.comparisons(1, kind='harmless', p_label=0.0),
  }
  found = make_comparisons.through_builder(splits, tmp_path)
  assert list(found) == ['train', 'test']
  key = lambda item: (item.kind, item.chosen)
  for split, items in splits.items():
    assert len(found[split]) == len(items)
    for ours, theirs in zip(
      sorted(items, key=key), sorted(found[split], key=key), strict=True
    ):
      label, source = float(np.float32(ours.p_label)), f'{ours.source}/{split}'
      wanted = vars(ours) | {'p_label': label, 'source': source}
      assert theirs == type(ours)(**wanted)
  assert (tmp_path / 'data' / 'harmless-base' / 'test.jsonl.gz').exists()


def sampling_config(**changes):
  return {
    'world': {'seed': 0},
    'seed': 2,
    'pairs': 7,
    'sample_batch': 6,
    'max_prompt': 40,
    'max_reply': 8,
    'dtype': 'float32',
    'test_fraction': 0.5,
    'lm_dir': 'LM',
    'lm_size': '3K',
    'data': {'source': 'simulated', 'split_seed': 1},
  } | changes


@pytest.fixture
def sampled(monkeypatch):
  """Names of the rows that were sampled; row 4 and 5 answer alike."""
  names = []

  def sample(params, rows, rng):
    assert params is tiny.base().params
    names.append(rows.row_B.tolist())
    tokens_BT, length_B = np.zeros((len(rows.row_B), 64), np.int32), []
    for out, ids, n, row in zip(tokens_BT, *rows, strict=True):
      said = WORDS.encode(f' it is {4 if row == 5 else row}.')
      whole = [*ids[:n].tolist(), *said, WORDS.eos_id]
      out[: len(whole)] = whole
      length_B.append(len(whole))
    return tokens_BT, rows.length_B, np.array(length_B)

  monkeypatch.setattr(policies, 'sampler', lambda *_: sample)
  return names


def test_two_replies_to_each_prompt_are_compared_under_names_of_their_own(
  sampled,
):
  """14 replies in batches of 6: three of them, nine pairs, one of equals."""
  found = make_comparisons.sample_pairs(sampling_config(), tiny.base(), 'x')
  assert sampled == [list(range(6 * i, 6 * i + 6)) for i in range(3)]
  assert len(found) == 8
  answers = []
  for item in found:
    prompt = comparisons.sources.split_reply(item.chosen)[0]
    assert item.rejected.startswith(prompt)
    sides = item.chosen, item.rejected
    answers += [int(side.removeprefix(prompt)[7:-1]) for side in sides]
    assert answers[-1] // 2 == answers[-2] // 2  # neighbours: one prompt
  assert sorted(answers) == [0, 1, 2, 3, *range(6, 18)]
  again = make_comparisons.sample_pairs(sampling_config(), tiny.base(), 'x')
  assert again == found


def test_how_many_rows_are_sampled_at_once_changes_no_pair(
  sampled, monkeypatch
):
  whole = make_comparisons.sample_pairs(sampling_config(), tiny.base(), 'x')
  sampled.clear()
  monkeypatch.setattr(make_comparisons, 'ROWS', 4)
  found = make_comparisons.sample_pairs(sampling_config(), tiny.base(), 'x')
  assert found == whole
  assert sampled[:3] == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]


def test_no_prompt_is_on_two_sides_and_the_model_is_the_config_s(
  sampled, monkeypatch, tmp_path
):
  opened = []
  monkeypatch.setattr(
    make_comparisons,
    'open_base',
    lambda config: opened.append(config) or tiny.base(),
  )
  monkeypatch.setattr(
    make_comparisons, 'through_builder', lambda splits, path: splits
  )
  run = tiny.namespace(path=tmp_path)
  splits = make_comparisons.comparisons_of(sampling_config(pairs=60), run)
  sides = [{item.prompt_id for item in part} for part in splits.values()]
  assert list(splits) == ['train', 'test'] and all(sides)
  assert not sides[0] & sides[1]
  assert opened[0]['base'] == 'LM' and opened[0]['size'] == '3K'


def test_a_tranche_without_pairs_is_not_written(tmp_path):
  """A file of nothing would be a broken one."""
  splits = {'train': tiny.comparisons(3), 'test': tiny.comparisons(1)}
  found = make_comparisons.through_builder(splits, tmp_path)
  assert {split: len(items) for split, items in found.items()} == {
    'train': 3,
    'test': 1,
  }
  assert not (tmp_path / 'data' / 'harmless-base').exists()


@pytest.fixture
def own_file(tmp_path):
  """Forty pairs in the split form, of one kind."""
  rows = [
    {'prompt': f'draw {i} cats', 'chosen': ' yes.', 'rejected': ' no!'}
    for i in range(40)
  ]
  file = tmp_path / 'mine.jsonl'
  file.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  return file


def test_the_stages_of_texts_and_comparisons_read_pairs_of_one_s_own(
  own_file, tmp_path
):
  """The same conversations are held out by both; nothing else is demanded."""
  data = {'source': 'pairs', 'path': str(own_file), 'on_error': 'raise'}
  data |= {'split_seed': 1}
  texts = make_text.texts_of(text_config(data=data), tmp_path)
  assert texts[0] == [] and len(texts[1]) + len(texts[2]) <= 40
  with Run(tmp_path / 'text', {}, about=About('make_text', 'texts')) as run:
    WORDS.save(run.path / 'tokenizer.model')
  config = sampling_config(
    data=data,
    text_dir=str(tmp_path / 'text'),
    coin_flip_labels=False,
    test_fraction=0.25,
  )
  make_comparisons.run(config, tmp_path / 'pairs')
  done = json.loads((tmp_path / 'pairs' / 'done.json').read_text())
  assert done['files'] == {'mine.jsonl': {'read': 40, 'kept': 40}}
  prompts = comparisons.read_prompts({'comparisons_dir': tmp_path / 'pairs'}, 0)
  said = {text for text, _ in prompts['train']}
  assert {text.removesuffix(' yes.') for text in texts[1]} == said
  assert {kind for _, kind in prompts['test']} == {'helpful'}


def test_the_release_is_imported_with_its_tokenizer_and_its_split(tmp_path):
  need_or_skip('tokenizers')
  (tmp_path / 'model').mkdir()
  pythia_folder.write_tokenizer(tmp_path / 'model')
  pythia_folder.write_pairs(tmp_path / 'data')
  config = {
    'tokenizer_dir': str(tmp_path / 'model'),
    'pad_token': '<|padding|>',
    'path': str(tmp_path / 'data'),
    'tranches': ['helpful-base', 'harmless-base'],
    'on_error': 'raise',
    'max_prompt': 60,
    'max_reply': 8,
    'seed': 0,
  }
  import_hh.run(config, tmp_path / 'hh')
  done = json.loads((tmp_path / 'hh' / 'done.json').read_text())
  assert done['files']['helpful-base/train'] == {'read': 24, 'kept': 24}
  assert done['train']['kept'] == 48 and done['test']['kept'] == 12
  reading = (tmp_path / 'hh' / 'reading.csv').read_text().splitlines()
  assert 'files helpful-base/train,kept,24' in reading
  words = load_tokenizer(tmp_path / 'hh' / 'tokenizer.model')
  assert words.vocab_size == done['vocab_size']
  pairs = comparisons.load_pairs(tmp_path / 'hh', 'train')
  last_N = pairs.chosen_length_N - 1
  ends = pairs.chosen_tokens_NT[np.arange(48), last_N]
  assert (ends == words.end_of_context_id).all()
  assert np.bincount(pairs.kind_N).tolist() == [24, 24]
  prompts = comparisons.read_prompts({'comparisons_dir': tmp_path / 'hh'}, 0)
  assert {side: len(x) for side, x in prompts.items()} == {
    'train': 48,
    'test': 12,
  }
  import_hh.run(config, tmp_path / 'hh')  # done: nothing is read again


def test_a_stage_of_comparisons_says_what_it_holds(tmp_path, monkeypatch):
  """The released pairs, by its own seed's order and its own cuts."""
  train, test = tiny.comparisons(6), tiny.comparisons(2, kind='harmless')
  monkeypatch.setattr(people, 'real_comparisons', lambda *_: (train, test))
  monkeypatch.setattr(people, 'read_counts', lambda *_: {'f': {'read': 8}})
  with Run(tmp_path / 'text', {}, about=About('make_text', 'texts')) as run:
    WORDS.save(run.path / 'tokenizer.model')
  config = sampling_config(
    data={'source': 'hh', 'path': '', 'on_error': 'skip', 'split_seed': 1},
    text_dir=str(tmp_path / 'text'),
    coin_flip_labels=True,
  )
  make_comparisons.run(config, tmp_path / 'pairs')
  done = json.loads((tmp_path / 'pairs' / 'done.json').read_text())
  assert done['files'] == {'f': {'read': 8}} and done['train']['kept'] == 6
  reading = (tmp_path / 'pairs' / 'reading.csv').read_text().splitlines()
  assert {'files f,read,8', 'train,kept,6', 'test,read,2'} < set(reading)
  pairs = comparisons.load_pairs(tmp_path / 'pairs', 'train')
  assert ((pairs.p_label_N >= 0) & (pairs.p_label_N <= 1)).all()
  assert pairs.chosen_tokens_NT.shape[1] == 49
  about = json.loads((tmp_path / 'pairs' / 'config.json').read_text())
  assert about['holds'] == 'comparisons' and about['row']['role']
