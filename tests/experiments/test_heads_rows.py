"""Which pairs a head is fitted on, what it reads, what it scores: by hand."""

import math

import numpy as np
import pytest
import shared_fixture as tiny

from experiments import compare_policies
from experiments.shared import comparisons, heads
from rlhf_jax.linear import head

SECTION = {'pools': ['last', 'mean'], 'joint': 2, 'l2': [0.1, 1], 'folds': 3}


def data(*kinds, each=2):
  """Conversations of `each` pairs, of these kinds."""
  kind_N = np.repeat(kinds, each)
  group_N = np.repeat(np.arange(len(kinds)), each)
  return heads.Data(np.zeros((len(kind_N), 3, 1, 1, 1)), kind_N, group_N)


def rows_of(given, subset, count, seed=0, outside=None):
  outside_N = np.ones(len(given.kind_N), bool) if outside is None else outside
  rng = np.random.default_rng(seed)
  return heads.rows_of(given, subset, outside_N, count, rng)


GIVEN = data(*[0, 1] * 20)  # 20 conversations of each kind, 40 pairs


@pytest.mark.parametrize(
  ('subset', 'kinds'),
  [('mix', {0, 1}), ('helpful', {0}), ('harmless', {1})],
)
def test_all_pairs_of_a_kind_that_are_outside_come_once(subset, kinds):
  outside_N = np.arange(80) % 8 < 6
  rows = rows_of(GIVEN, subset, 0, outside=outside_N)
  wanted = np.flatnonzero(outside_N & np.isin(GIVEN.kind_N, list(kinds)))
  assert sorted(rows) == wanted.tolist() != rows.tolist()


@pytest.mark.parametrize(('count', 'found'), [(39, 40), (40, 0), (41, 0)])
def test_as_many_pairs_as_there_are_is_too_many(count, found):
  """All of them are what 0 asks for; the last conversation comes whole."""
  assert len(rows_of(GIVEN, 'helpful', count)) == found


def test_fewer_pairs_are_part_of_more_and_conversations_stay_whole():
  small, large = (rows_of(GIVEN, 'mix', n).tolist() for n in (11, 30))
  assert large[: len(small)] == small and len(small) == 12
  groups, counts = np.unique(GIVEN.group_N[small], return_counts=True)
  assert len(groups) == 6 and set(counts) == {2}
  assert rows_of(GIVEN, 'mix', 11, seed=1).tolist() != small


@pytest.mark.parametrize(
  ('shares', 'count', 'helpful', 'harmless'),
  [
    ('50/50', 20, 10, 10),
    ('25/75', 16, 4, 12),
    ('0/100', 10, 0, 10),
    ('2/98', 10, 0, 10),  # a fifth of a pair is none, and not all of them
    ('98/2', 10, 10, 0),
  ],
)
def test_each_kind_has_its_part_of_the_count(shares, count, helpful, harmless):
  rows = rows_of(GIVEN, shares, count)
  kinds = GIVEN.kind_N[rows]
  assert ((kinds == 0).sum(), (kinds == 1).sum()) == (helpful, harmless)
  assert len(set(rows.tolist())) == len(rows)


def test_shares_of_all_or_of_too_many_pairs_are_none():
  assert len(rows_of(GIVEN, '50/50', 0)) == 0
  assert len(rows_of(GIVEN, '30/70', 60)) == 0  # 42 of 40 harmless ones
  # Conversations come whole: 17 and 39 pairs are 18 and 40.
  assert len(rows_of(GIVEN, '30/70', 56)) == 58


def test_without_a_pair_of_the_kind_there_are_no_rows():
  assert len(rows_of(data(0, 0), 'harmless', 0)) == 0


def test_a_gate_reads_the_middle_layer_of_the_prompt():
  """Of four layers the second; blocks are the last token's top, or means."""
  found = heads.settings_of(SECTION, 4, conditional=True)
  assert found.gate == ((head.MEAN, 1),) and found.conditional
  assert found.l2s == (0.1, 1) and found.folds == 3
  mean = head.MEAN
  assert found.candidates == (
    ((head.LAST, 3),),
    *(((mean, i),) for i in range(4)),
    *(((mean, i), (mean, i + 1)) for i in range(3)),
  )
  assert heads.settings_of(SECTION, 1, False).gate == ((mean, 0),)


@pytest.mark.parametrize(
  'changes', [{'pools': []}, {'pools': ['first']}, {'joint': 0}]
)
def test_a_head_that_could_read_nothing_is_one_line(changes):
  with pytest.raises(ValueError, match="head.pools of 'last' and 'mean' and"):
    heads.settings_of(SECTION | changes, 2, False)


def test_a_choice_is_said_by_the_names_of_the_layers_that_are_stored():
  """Stored are layers 5, 10 and 15: numbers 0 and 2 are 5 and 15."""
  choice = head.Choice(((head.LAST, 2), (head.MEAN, 0)), 0.5, 0.25, math.nan)
  assert heads.choice_row(choice, [5, 10, 15]) == {
    'blocks': 'last-15 mean-5',
    'l2': 0.5,
    'inner_loss': 0.25,
  }
  gated = heads.choice_row(choice._replace(gate_accuracy=0.75), [5, 10, 15])
  assert gated['gate_accuracy'] == 0.75


def test_both_sides_are_scored_behind_their_prompt():
  """a is the reply's feature, b minus twice that; p is sigmoid of the prompt's.

  Of a prompt of 0 p is a half: a + b / 2 = 0. Of one of -inf, nearly, it is 0.
  """
  pooled_N3PLD = np.array([[0.0, 3.0, 5.0], [-99.0, 3.0, 5.0]])
  pooled_N3PLD = pooled_N3PLD[:, :, None, None, None]
  weight_CPLD = np.array([1.0, -2.0])[:, None, None, None]
  one = head.zero_head(1, 1, 1)._replace(
    weight_CPLD=weight_CPLD, gate_PLD=np.ones((1, 1, 1))
  )
  chosen_N, rejected_N = heads.sides(one, pooled_N3PLD)
  np.testing.assert_allclose(chosen_N, [0, 3], atol=1e-12)
  np.testing.assert_allclose(rejected_N, [0, 5], atol=1e-12)


def test_a_side_without_pairs_leaves_the_other_as_it_is():
  one = tiny.pairs([math.nan] * 2, prompt_index=[4, 7])
  none = one.take(np.zeros(0, int))
  for train, test in ((one, none), (none, one)):
    both = heads.both_sides(comparisons.Pairs(train, test, {}))
    assert both.prompt_index_N.tolist() == [4, 7]


@pytest.fixture
def tranches(tmp_path):
  """Config of a base tranche of 20 pairs and two online ones, of 7 and 9.

  Every second pair is harmless on top; a pair is told by its prompt's length.
  """
  dirs = []
  for i, count in enumerate((20, 7, 9)):
    pairs = tiny.pairs(np.full(2 * count, 0.9), kind=[0, 1] * count)
    first = 500 + 1000 * i
    pairs = pairs._replace(prompt_length_N=first + np.arange(2 * count))
    (tmp_path / str(i)).mkdir()
    np.savez(tmp_path / str(i) / 'test.npz', **pairs._asdict())
    dirs.append(str(tmp_path / str(i)))
  return {
    'seed': 1,
    'subset': 'helpful',
    'test_pairs': 99,
    'tranche_names': ['base', 'online', 'online'],
    'tranche_dirs': dirs,
  }


@pytest.mark.parametrize(
  ('test_pairs', 'each'),
  [
    (99, 14),  # twice the seven of the smaller round
    (13, 12),  # two rounds share no odd number
    (2, 2),
  ],
)
def test_every_tranche_and_every_round_of_one_has_as_many_pairs(
  tranches, test_pairs, each
):
  found = compare_policies.tranches_of(tranches | {'test_pairs': test_pairs})
  assert list(found) == ['base', 'online']
  for pairs in found.values():
    assert len(pairs.kind_N) == each and not pairs.kind_N.any()
    assert len(set(pairs.prompt_length_N)) == each
  rounds = found['online'].prompt_length_N // 1000
  assert rounds.tolist() == [1] * (each // 2) + [2] * (each // 2)


def test_a_seed_draws_labels_and_keeps_how_likely_they_were(tranches):
  """Pairs at .9: one that is turned round had one chance in ten."""
  found = compare_policies.tranches_of(tranches)
  again = compare_policies.tranches_of(tranches)
  other = compare_policies.tranches_of(tranches | {'seed': 2})
  turned, odds = [], []
  for name, pairs in found.items():
    same = again[name].chosen_tokens_NT
    np.testing.assert_array_equal(pairs.chosen_tokens_NT, same)
    assert (pairs.prompt_length_N != other[name].prompt_length_N).any()
    turned += (pairs.chosen_tokens_NT[:, 0] >= 200).tolist()
    odds += np.round(pairs.p_label_N, 3).tolist()
  assert odds == pytest.approx([0.1 if x else 0.9 for x in turned])
