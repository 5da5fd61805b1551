"""Which comparisons a run trains on, and with which labels."""

import json
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import comparisons, people
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.text.dialogue import DialogueError
from rlhf_jax.text.encode import encode_prompt


def drawing(**changes):
  return {
    'seed': 3,
    'pairs': 0,
    'train_subset': 'mix',
    'half': 'all',
    'data': {'source': 'simulated'},
  } | changes


def both(train, test=None):
  return comparisons.Pairs(train, train if test is None else test, {})


def test_a_flip_turns_everything_of_a_pair_round():
  """The second number is above p, so row 1 is flipped; NaN is never below."""
  before = tiny.pairs([0.9, 0.9, 0.2, np.nan])
  after = comparisons.redraw_labels(before, tiny.Draws(0.5, 0.95, 0.1, 0.99))
  assert after.chosen_tokens_NT[:, 0].tolist() == [100, 201, 102, 103]
  assert after.rejected_tokens_NT[:, 2].tolist() == [200, 101, 202, 203]
  assert after.chosen_length_N.tolist() == [300, 401, 302, 303]
  assert after.rejected_length_N.tolist() == [400, 301, 402, 403]
  assert after.words_chosen_N.tolist() == [700, 801, 702, 703]
  assert after.words_rejected_N.tolist() == [800, 701, 802, 803]
  wanted = np.array([0.9, 0.1, 0.2, np.nan], np.float32)
  np.testing.assert_allclose(after.p_label_N, wanted, rtol=1e-6)
  # What both sides share stays where it is, and so does the original.
  for name in ('prompt_length_N', 'kind_N', 'turn_N', 'prompt_index_N'):
    assert getattr(after, name) is getattr(before, name)
  assert before.chosen_length_N.tolist() == [300, 301, 302, 303]


def test_the_first_reply_is_chosen_as_often_as_its_probability_says():
  """20,000 pairs at p = .7: the share is .7 to within five sd, .0162."""
  count, p = 20_000, 0.7
  after = comparisons.redraw_labels(
    tiny.pairs(np.full(count, p)), np.random.default_rng(0)
  )
  share = after.chosen_tokens_NT[:, 0] == 100 + np.arange(count)
  assert abs(share.mean() - p) < 5 * np.sqrt(p * (1 - p) / count)
  np.testing.assert_allclose(after.p_label_N[share], 0.7, rtol=1e-6)
  np.testing.assert_allclose(after.p_label_N[~share], 0.3, rtol=1e-6)


def test_sure_labels_are_drawn_as_they_are():
  before = tiny.pairs([1.0] * 50 + [0.0] * 50)
  after = comparisons.redraw_labels(before, np.random.default_rng(1))
  assert after.chosen_length_N.tolist() == [
    *range(300, 350),
    *range(450, 500),
  ]
  assert (after.p_label_N == 1).all()


def test_coin_flips_keep_the_rates_and_say_nothing_of_the_pairs():
  """Of .9 and .3 there are as many as before, each of them turned or not."""
  before = tiny.pairs([0.9] * 200 + [0.3] * 200)
  after = comparisons.coin_flips(before, np.random.default_rng(0))
  rates, count = np.unique(after.p_label_N.round(6), return_counts=True)
  np.testing.assert_allclose(rates, [0.1, 0.3, 0.7, 0.9])
  assert count[0] + count[3] == 200 and count[1] + count[2] == 200
  # Standard error of 400 rates whose square is .4^2 and .2^2 in the mean: .016.
  assert abs(after.p_label_N.mean() - 0.5) < 0.064
  first, second = after.p_label_N[:200].mean(), after.p_label_N[200:].mean()
  assert abs(first - second) < 0.128
  assert after.p_label_N.dtype == np.float32
  same = [a is b for a, b in zip(after, before, strict=True)]
  assert same.count(False) == 1 and not same[5]


def test_an_expected_accuracy_under_coin_flips_is_not_one_half_identically():
  """It is one half in the mean, with the spread of so many rates."""
  before = tiny.pairs(np.full(400, 0.9))
  found = [
    comparisons.coin_flips(before, np.random.default_rng(i)).p_label_N.mean()
    for i in range(50)
  ]
  # One mean of 400 values .5 +- .4 varies by .02.
  assert 0.012 < np.std(found) < 0.028
  assert abs(np.mean(found) - 0.5) < 4 * 0.02 / 50**0.5


def test_pairs_without_rates_get_even_ones():
  before = tiny.pairs(np.full(400, np.nan))
  p_N = comparisons.coin_flips(before, np.random.default_rng(0)).p_label_N
  # Uniform on [0, 1]: variance 1 / 12, standard errors .014 and .004.
  assert abs(p_N.mean() - 0.5) < 0.058 and abs(p_N.var() - 1 / 12) < 0.016


def test_halves_share_no_prompt_and_leave_none_out():
  index_N = np.repeat(np.arange(40), 3)  # three pairs to a prompt
  pairs = tiny.pairs(np.full(120, 0.5), prompt_index=index_N)
  a, b = (comparisons.in_half(pairs, half, 7) for half in 'ab')
  assert (a ^ b).all() and a.any() and b.any()
  assert not set(index_N[a]) & set(index_N[b])
  assert (np.bincount(index_N[a]) % 3 == 0).all()
  assert comparisons.in_half(pairs, 'all', 7).all()
  other = comparisons.in_half(pairs, 'a', 8)
  assert 0 < (a ^ other).sum() < 120


def test_the_half_of_a_prompt_is_that_of_the_committed_studies():
  """Half b is an odd first byte of the SHA-1 of 'SEED:PROMPT'.

  `printf 120:0 | sha1sum` begins with the first of these bytes, and so on.
  """
  first_bytes = (0x3D, 0x96, 0xAC, 0x6F, 0xC3, 0xE2, 0x15, 0x86)
  found = comparisons.in_half(tiny.pairs(np.ones(8)), 'b', 120)
  assert found.tolist() == [byte % 2 == 1 for byte in first_bytes]


def test_a_run_is_given_its_subset_its_half_and_so_many():
  kind_N = np.arange(200) % 2
  pairs = both(tiny.pairs(np.full(200, 0.8), kind=kind_N))
  rows = lambda **changes: comparisons.drawn_pairs(drawing(**changes), pairs)[2]
  everything = rows()
  assert sorted(everything.tolist()) == list(range(200))
  assert set(rows(train_subset='helpful').tolist()) == set(range(0, 200, 2))
  assert set(rows(train_subset='harmless').tolist()) == set(range(1, 200, 2))
  a, b = (set(rows(half=half).tolist()) for half in 'ab')
  assert not a & b and len(a | b) == 200
  inside = comparisons.in_half(pairs.train, 'a', 3)
  assert a == set(np.flatnonzero(inside).tolist())
  # So many are the first of the same order, which the seed decides.
  np.testing.assert_array_equal(rows(pairs=30), everything[:30])
  np.testing.assert_array_equal(rows(), everything)
  assert not np.array_equal(everything, rows(seed=4))
  assert not np.array_equal(everything, np.sort(everything))


def test_labels_are_drawn_by_the_seed_and_apart_on_both_sides():
  """Of even pairs about half are flipped, on train and test not the same."""
  pairs, rows = both(tiny.pairs(np.full(300, 0.5))), np.arange(300)

  def flips(seed):
    train, test, _ = comparisons.drawn_pairs(drawing(seed=seed), pairs)
    return [side.chosen_tokens_NT[:, 0] != 100 + rows for side in (train, test)]

  (train, test), again, other = flips(3), flips(3), flips(4)
  np.testing.assert_array_equal(train, again[0])
  np.testing.assert_array_equal(test, again[1])
  for a, b in ((train, test), (train, other[0]), (test, other[1])):
    assert (a ^ b).sum() > 75


def test_labels_and_order_are_those_of_the_committed_studies():
  """The stream (seed, 1) gives training labels, then order; (seed, 2) test's.

  A pair is turned round where its number is above p = 1/2.
  """
  draws, of_test = (np.random.default_rng([3, i]) for i in (1, 2))
  above = [stream.random(20) > 0.5 for stream in (draws, of_test)]
  order = draws.permutation(20)
  pairs = both(tiny.pairs(np.full(20, 0.5)))
  train, test, rows = comparisons.drawn_pairs(drawing(), pairs)
  for side, flipped in zip((train, test), above, strict=True):
    assert (side.chosen_tokens_NT[:, 0] >= 200).tolist() == flipped.tolist()
  assert rows.tolist() == order.tolist()


@pytest.mark.parametrize('source', people.REAL)
def test_released_pairs_are_asked_for_before_a_run_has_a_folder(source):
  data = {'source': source, 'path': ''}
  with pytest.raises(DataError, match='data.path is required'):
    comparisons.require_data({'comparisons_dir': '', 'data': data})
  comparisons.require_data({'comparisons_dir': 'made', 'data': data})
  simulated = data | {'source': 'simulated'}
  comparisons.require_data({'comparisons_dir': '', 'data': simulated})


def test_a_mixture_has_its_share_of_helpful_pairs_at_every_size():
  kind_N = np.arange(200) % 2
  pairs = both(tiny.pairs(np.full(200, 0.8), kind=kind_N))
  for count in (20, 70):
    config = drawing(train_subset='30/70', pairs=count)
    rows = comparisons.drawn_pairs(config, pairs)[2]
    assert len(set(rows.tolist())) == count
    assert abs((kind_N[rows] == 0).mean() - 0.3) <= 1 / count
  config = drawing(train_subset='mix*4')
  rows = comparisons.drawn_pairs(config, pairs)[2]
  plain = comparisons.drawn_pairs(drawing(), pairs)[2]
  np.testing.assert_array_equal(rows, plain)


def test_too_few_simulated_pairs_are_one_line_and_real_ones_are_all():
  pairs = both(tiny.pairs(np.full(10, 0.5), kind=np.arange(10) % 2))
  few = drawing(pairs=6, train_subset='harmless')
  with pytest.raises(ValueError, match=r'6 pairs wanted .* 5 there: lower'):
    comparisons.drawn_pairs(few, pairs)
  real = few | {'data': {'source': 'hh'}}
  assert len(comparisons.drawn_pairs(real, pairs)[2]) == 5


def test_a_subset_that_is_not_there_is_one_line():
  """Of the training pairs, and of those to test on."""
  helpful, both_kinds = (
    tiny.pairs(np.full(10, np.nan), kind=kind)
    for kind in (np.zeros(10), np.arange(10) % 2)
  )
  config = drawing(train_subset='harmless', data={'source': 'pairs'})
  with pytest.raises(ValueError, match=r'none among 10 pairs \(helpful\)'):
    comparisons.drawn_pairs(config, both(helpful))
  with pytest.raises(ValueError, match="held-out pairs of train_subset 'harml"):
    comparisons.drawn_pairs(config, both(both_kinds, helpful))
  assert len(comparisons.drawn_pairs(config, both(both_kinds))[2]) == 5


def test_counts_are_rows_and_what_is_not_there_has_none(tmp_path):
  counts = {
    'files': {'a.jsonl': {'read': 3, 'kept': 2, 'bad JSON': 1}},
    'train': {'read': 2, 'kept': 0, 'reply cut': 0},
    'train pairs left out': {},
  }
  comparisons.write_reading(tmp_path, counts)
  assert (tmp_path / 'reading.csv').read_text().splitlines() == [
    'part,count,rows',
    'files a.jsonl,read,3',
    'files a.jsonl,kept,2',
    'files a.jsonl,bad JSON,1',
    'train,read,2',
    'train,kept,0',
  ]
  comparisons.write_reading(tmp_path / 'nowhere', {})  # nothing to write


@pytest.fixture
def written(tmp_path):
  """(folder, splits, counts) of a stage's two splits."""
  splits = {
    'train': tiny.comparisons(9, p_label=0.75)
    + [tiny.comparison('empty?', ' ', ' no!')],
    'test': tiny.comparisons(4, kind='harmless', p_label=0.25),
  }
  counts = comparisons.write_splits(
    tmp_path, splits, tiny.words(), seed=5, size=(24, 12)
  )
  return tmp_path, splits, counts


def test_what_a_stage_writes_the_next_one_reads(written):
  folder, splits, counts = written
  assert counts['train']['read'] == 10 and counts['train']['kept'] == 9
  assert counts['train']['empty reply'] == 1
  assert counts['test']['read'] == counts['test']['kept'] == 4
  config = {'comparisons_dir': str(folder)}
  found = comparisons.read_pairs(config, base=None)
  assert found.counts == {}
  assert isinstance(found.train, PairArrays)
  assert len(found.train.kind_N) == 9 and len(found.test.kind_N) == 4
  assert (found.train.p_label_N == 0.75).all()
  assert (found.test.kind_N == 1).all() and (found.train.kind_N == 0).all()
  # Tokens, in the order of the file: the prompts' numbers are all there.
  text = [
    tiny.words().decode(ids[:n].tolist())
    for ids, n in zip(
      found.train.chosen_tokens_NT, found.train.chosen_length_N, strict=True
    )
  ]
  said = {item.chosen for item in splits['train'][:9]}
  assert set(text) == said
  assert text != [item.chosen for item in splits['train'][:9]]  # shuffled


def test_prompts_are_kept_by_split_with_their_kinds(written):
  folder, splits, _ = written
  prompts = comparisons.read_prompts({'comparisons_dir': str(folder)}, None)
  assert set(prompts) == {'train', 'test'}
  assert prompts['test'] == [
    [tiny.prompt(f'draw {i} {tiny.ANIMALS[i]}s'), 'harmless'] for i in range(4)
  ]
  assert (
    len(prompts['train']) == 10
  )  # the empty reply has a prompt all the same


@pytest.mark.parametrize('kind', ('helpful', 'harmless'))
def test_prompts_of_one_kind_are_those_of_all_that_have_it(kind, tmp_path):
  kinds = ('helpful', 'harmless', 'helpful', 'harmless')
  every = {
    side: [[tiny.prompt(f'{side} {i}'), found] for i, found in enumerate(kinds)]
    for side in ('train', 'test')
  }
  (tmp_path / 'prompts.json').write_text(json.dumps(every))
  config = {'comparisons_dir': str(tmp_path)}
  assert (
    comparisons.read_prompts(config | {'prompt_kind': 'mix'}, None) == every
  )
  found = comparisons.read_prompts(config | {'prompt_kind': kind}, None)
  first = kinds.index(kind)
  assert found == {side: rows[first::2] for side, rows in every.items()}
  every['test'] = [row for row in every['test'] if row[1] != kind]
  (tmp_path / 'prompts.json').write_text(json.dumps(every))
  with pytest.raises(ValueError, match=f"prompt_kind={kind}.*'test': 0"):
    comparisons.read_prompts(config | {'prompt_kind': kind}, None)


def test_the_order_is_the_seed_s_and_flips_of_a_coin_are_wanted(tmp_path):
  items = {'train': tiny.comparisons(8, p_label=0.75)}
  tokens = {}
  for name, seed in (('one', 1), ('again', 1), ('two', 2)):
    (tmp_path / name).mkdir()
    comparisons.write_splits(
      tmp_path / name, items, tiny.words(), seed, (24, 12), name == 'again'
    )
    pairs = comparisons.load_pairs(tmp_path / name, 'train')
    tokens[name] = pairs.chosen_tokens_NT
    turned = (0.75, 0.25) if name == 'again' else (0.75,)
    assert set(pairs.p_label_N.tolist()) == set(turned)
  np.testing.assert_array_equal(tokens['one'], tokens['again'])
  assert not np.array_equal(tokens['one'], tokens['two'])


def test_a_stage_that_has_not_run_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='prompts.json is missing: run'):
    comparisons.read_prompts({'comparisons_dir': str(tmp_path)}, None)
  with pytest.raises(FileNotFoundError, match='train.npz'):
    comparisons.read_pairs({'comparisons_dir': str(tmp_path)}, None)
  nothing = {'comparisons_dir': '', 'data': {'source': 'simulated'}}
  with pytest.raises(ValueError, match="'simulated': run experiments.make_com"):
    comparisons.read_pairs(nothing | {'reading': {}}, None)


@pytest.fixture
def released(monkeypatch):
  """A config of the released pairs, and how often they were read."""
  reads = []

  def read(path, data_dir, on_error, test_fraction, seed):
    reads.append((path, data_dir, on_error, test_fraction, seed))
    return tiny.comparisons(10), tiny.comparisons(3, kind='harmless')

  monkeypatch.setattr(people, 'real_comparisons', read)
  monkeypatch.setattr(people, 'read_counts', lambda *_: {'file': {'read': 13}})
  comparisons._read_released.cache_clear()
  config = {
    'comparisons_dir': '',
    'feature_folder': '/features',
    'data': {
      'source': 'hh',
      'path': '/data',
      'on_error': 'skip',
      'split_seed': 4,
    },
    'reading': {
      'test_fraction': 0.25,
      'train_pairs': 0,
      'test_pairs': 0,
      'held_out': 'test',
      'max_prompt': 24,
      'max_reply': 12,
      'coin_flip_labels': False,
    },
  }
  yield config, reads
  comparisons._read_released.cache_clear()


def test_released_pairs_are_read_once_a_process(released):
  config, reads = released
  first = comparisons.read_pairs(config, tiny.base())
  prompts = comparisons.read_prompts(config, tiny.base())
  assert comparisons.read_pairs(config | {'seed': 9}, tiny.base()) is first
  assert reads == [('/data', '/features/tfds', 'skip', 0.25, 4)]
  assert len(first.train.kind_N) == 10 and len(first.test.kind_N) == 3
  assert first.counts['files'] == {'file': {'read': 13}}
  assert first.counts['train']['kept'] == 10
  assert {side: len(x) for side, x in prompts.items()} == {
    'train': 10,
    'test': 3,
  }
  other = config | {'data': config['data'] | {'split_seed': 5}}
  comparisons.read_pairs(other, tiny.base())
  assert len(reads) == 2 and reads[1][-1] == 5


def test_released_test_pairs_are_cut_only_where_there_are_more(released):
  config, _ = released
  kept = {}
  for most in (2, 3, 9):
    cut = {'reading': config['reading'] | {'test_pairs': most}}
    pairs = comparisons.read_pairs(config | cut, tiny.base())
    kept[most] = pairs.test.chosen_tokens_NT.tolist()
  assert [len(kept[most]) for most in kept] == [2, 3, 3]
  assert kept[3] == kept[9]
  assert all(row in kept[3] for row in kept[2])


def test_released_pairs_are_cut_to_so_many_by_the_split_seed(released):
  config, _ = released
  cut = {'reading': config['reading'] | {'train_pairs': 4}}
  pairs = comparisons.read_pairs(config | cut, tiny.base())
  prompts = comparisons.read_prompts(config | cut, tiny.base())['train']
  assert len(pairs.train.kind_N) == len(prompts) == 4
  order = np.random.default_rng(4).permutation(10)[:4]
  assert prompts == [
    (tiny.prompt(f'draw {i} {tiny.ANIMALS[i]}s'), 'helpful') for i in order
  ]
  coins = {'reading': config['reading'] | {'coin_flip_labels': True}}
  coins = comparisons.read_pairs(config | coins, tiny.base())
  for side in (coins.train, coins.test):
    assert ((side.p_label_N >= 0) & (side.p_label_N <= 1)).all()
    assert len(np.unique(side.p_label_N)) == len(side.p_label_N)
  assert np.isnan(pairs.train.p_label_N).all()


class Strict:
  """A tokenizer whose template refuses the prompt that draws 3 of something."""

  def __init__(self):
    self._inner = tiny.base().tokenizer

  def __getattr__(self, name):
    return getattr(self._inner, name)

  def refuses(self, prompt):
    return 'draw 3 ' in prompt

  def encode_prompt(self, prompt, max_prompt):
    if self.refuses(prompt):
      raise DialogueError('chat template refuses', 'two in a row')
    return encode_prompt(self._inner, prompt, max_prompt)


class StrictBase(NamedTuple):
  tokenizer: Strict


def test_what_a_template_refuses_is_no_pair_and_no_prompt_under_skip(released):
  config, _ = released
  base = StrictBase(Strict())
  pairs = comparisons.read_pairs(config, base)
  assert len(pairs.train.kind_N) == pairs.counts['train']['kept'] == 9
  assert pairs.counts['train']['chat template refuses'] == 1
  assert pairs.counts['train']['read'] == 10
  prompts = comparisons.read_prompts(config, base)['train']
  assert len(prompts) == 9 and not any('draw 3 ' in text for text, _ in prompts)


def test_without_skip_it_is_an_error_that_says_so(released):
  config, _ = released
  raising = config | {'data': config['data'] | {'on_error': 'raise'}}
  with pytest.raises(DialogueError, match='two in a row; in a .*on_error=skip'):
    comparisons.read_pairs(raising, StrictBase(Strict()))


EOS, EOC, PAD = 8, 9, 0


def three_pairs():
  """Replies that end, that were cut, and one whose text has an end token."""
  chosen = [[1, 2, 3, EOS, EOC], [1, 2, 3, 4, EOC], [1, EOS, 3, EOS, EOC]]
  rejected = [[1, 5, EOS, EOC, PAD], [1, 6, EOS, EOC, PAD], [1, 7, 7, 7, EOC]]
  pairs = tiny.pairs([0.9, 0.9, 0.9])
  return pairs._replace(
    chosen_tokens_NT=np.array(chosen, np.int32),
    chosen_length_N=np.array([5, 5, 5], np.int32),
    rejected_tokens_NT=np.array(rejected, np.int32),
    rejected_length_N=np.array([4, 4, 5], np.int32),
  )


def test_the_last_token_is_that_of_the_text_of_a_reply():
  found = comparisons.at_last_token(three_pairs(), EOS, PAD)
  assert found.chosen_tokens_NT.tolist() == [
    [1, 2, 3, PAD, PAD],
    [1, 2, 3, 4, PAD],
    [1, EOS, 3, PAD, PAD],
  ]
  assert found.chosen_length_N.tolist() == [3, 4, 3]
  assert found.rejected_tokens_NT.tolist() == [
    [1, 5, PAD, PAD, PAD],
    [1, 6, PAD, PAD, PAD],
    [1, 7, 7, 7, PAD],
  ]
  assert found.rejected_length_N.tolist() == [2, 2, 4]
  assert found.rejected_length_N.dtype == np.int32


def test_pairs_end_where_the_score_is_read():
  """At the end-of-context token, which runs that do not say it read at."""
  words = SimpleNamespace(tokenizer=SimpleNamespace(eos_id=EOS, pad_id=PAD))
  pairs = both(three_pairs())
  for config in ({}, {'score_at': 'end_of_context'}):
    assert comparisons.ended(config, pairs, words) is pairs
  found = comparisons.ended({'score_at': 'last_token'}, pairs, words)
  for side in (found.train, found.test):
    assert side.chosen_length_N.tolist() == [3, 4, 3]
