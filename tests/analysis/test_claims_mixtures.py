"""Claims 38 to 42 on accuracies and scores that are written down."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import final_policies
from rlhf_jax.analysis.claims import tension
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

KINDS = ('helpful', 'harmless')


def pms(role, accuracies, size='L', seed=0):
  """Rows of pm_curve; accuracies: train_subset -> (helpful, harmless)."""
  return [
    {'role': role, 'size': size, 'seed': seed, 'pairs': 10}
    | {'train_subset': subset, 'eval_subset': kind}
    | {'expected_accuracy': value, 'run_id': f'{role}{size}{seed}{subset}'}
    for subset, pair in accuracies.items()
    for kind, value in zip(KINDS, pair, strict=True)
  ]


def tables(rows):
  return {'pm_curve': small.table('pm_curve', rows)}


SCAN = {'0/100': (0.3, 0.8), '40/60': (0.6, 0.78), '60/40': (0.69, 0.77)}
SCAN['100/0'] = (0.7, 0.4)


def test_the_mixture_is_the_one_that_the_other_seeds_favour():
  """Short of 95 % by .065 and 0 at 40 %, by -.025 and -.01 at 60 %."""
  rows = [row for s in small.SEEDS for row in pms('mixed', SCAN, seed=s)]
  rows += pms('mixed', dict.fromkeys(SCAN, (0.9, 0.1)), size='S')
  found = tension.mixture_serves_both(tables(rows))
  numbers = small.numbers(found)
  assert numbers['helpful_room'] == pytest.approx(0.69 - 0.95 * 0.7)
  assert numbers['harmless_room'] == pytest.approx(0.77 - 0.95 * 0.8)
  assert numbers['share'] == pytest.approx(0.6)
  assert numbers['helpful_at_40'] == pytest.approx(0.6)
  assert set(small.sides(found).values()) == {('>', 0.0)}
  ends = {share: SCAN[share] for share in ('100/0', '0/100')}
  for i, kind in enumerate(KINDS):
    mean = sum(pair[i] for pair in ends.values()) / 2
    own = SCAN['60/40'][i]
    assert numbers[f'{kind}_nearness'] == pytest.approx(own - mean)
  lacking = [row for row in rows if row['train_subset'] != '0/100']
  with pytest.raises(NotRunError, match='both specialists'):
    tension.mixture_serves_both(tables(lacking))
  with pytest.raises(NotRunError, match='one seed'):
    tension.mixture_serves_both(tables(pms('mixed', SCAN)))


def test_the_area_of_the_mean_curve_rises_with_size():
  """Tents of depth .4, .2 and 0: areas .8, .9 and 1."""
  rows = []
  for size, depth in (('S', 0.4), ('M', 0.2), ('L', 0.0)):
    ends = 0.8 * (1 - depth)
    tent = {'0/100': ends, '50/50': 0.8, '100/0': ends}
    pair = {subset: (mean + 0.1, mean - 0.1) for subset, mean in tent.items()}
    rows += [r for s in small.SEEDS for r in pms('mixed', pair, size, s)]
  found = tension.large_mind_less(tables(rows))
  numbers = small.numbers(found)
  assert numbers['area_S'] == pytest.approx(0.8)
  assert numbers['area_L'] == pytest.approx(1.0)
  assert numbers['area_slope'] == pytest.approx(0.1 / math.log(4))
  assert small.sides(found) == {'area_slope': ('>', 0.0)}
  two = [row for row in rows if row['size'] != 'M']
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    tension.large_mind_less(tables(two))


def test_the_drop_is_from_weight_one_to_ten_and_the_best_weight_is_inner():
  rows = []
  for size, drop in (('S', 0.3), ('M', 0.2), ('L', 0.1)):
    helpful = {1: 0.7, 2: 0.69, 3: 0.69, 4: 0.6, 10: 0.7 - drop}
    mean = {1: 0.65, 2: 0.68, 3: 0.7, 4: 0.66, 10: 0.6}
    pair = {
      f'67/33*{w}': (helpful[w], 2 * mean[w] - helpful[w]) for w in helpful
    }
    rows += [r for s in small.SEEDS for r in pms('weighted', pair, size, s)]
  found = tension.weights_mind_less(tables(rows))
  numbers = small.numbers(found)
  assert numbers['drop_slope'] == pytest.approx(-0.1 / math.log(4))
  assert numbers['inner_minus_1'] == pytest.approx(0.05)
  assert numbers['inner_minus_10'] == pytest.approx(0.1)
  assert numbers['drop_S'] == pytest.approx(0.3)
  assert small.sides(found)['drop_slope'] == ('<', 0.0)
  lacking = [row for row in rows if row['train_subset'] != '67/33*4']
  with pytest.raises(NotRunError, match='at weight 4'):
    tension.weights_mind_less(tables(lacking))


def test_percentiles_are_among_both_replies_of_the_pairs_of_a_kind():
  """Helpful: 1 of 4 below, one level; harmless: all four below."""
  scored = [
    {'role': 'linear', 'seed': seed, 'subset': kind, 'pm_params': 5}
    | {'median': median, 'pm': '5 mix 1'}
    for seed in small.SEEDS
    for kind, median in (('helpful', 2.0), ('harmless', 9.0))
  ]
  scored += [r | {'pm_params': 0, 'median': 99.0} for r in scored]  # gold
  pairs = [
    {'role': 'scaling', 'seed': seed, 'subset': kind, 'pairs': 8}
    | {'score_chosen': chosen, 'score_rejected': rejected}
    for seed in small.SEEDS
    for kind in KINDS
    for chosen, rejected in ((1.0, 2.0), (3.0, 4.0))
  ]
  frames = {'scored': small.table('scored', scored)}
  frames['pm_pairs'] = small.table('pm_pairs', pairs)
  numbers = small.numbers(tension.over_optimised(frames))
  assert numbers['helpful'] == pytest.approx(37.5)
  assert numbers['harmless'] == pytest.approx(100)
  assert numbers['difference'] == pytest.approx(62.5)


def test_helpful_gold_and_attacks_are_differences_of_two_policies():
  rows = []
  for role, gold, attacked in (
    ('helpful_pm', 2.0, 0.9),
    ('mixed_pm', 1.5, 0.3),
  ):
    for seed in small.SEEDS:
      own = {'role': role, 'seed': seed, 'pm': 'gold'}
      rows.append(own | {'subset': 'helpful', 'mean': gold, 'negative': 0.5})
      rows.append(
        own | {'subset': 'harmless', 'mean': -1, 'negative': attacked}
      )
  frames = {'scored': small.table('scored', rows)}
  found = tension.easy_to_attack(frames)
  numbers = small.numbers(found)
  assert numbers['helpful_gold'] == pytest.approx(0.5)
  assert numbers['attack_success'] == pytest.approx(0.6)
  assert numbers['attack_success_mixed_pm'] == pytest.approx(0.3)
  assert set(small.sides(found).values()) == {('>', 0.0)}
  alone = [row for row in rows if row['role'] == 'helpful_pm']
  with pytest.raises(NotRunError, match='under both PMs'):
    tension.easy_to_attack({'scored': small.table('scored', alone)})
  assert np.isclose(final_policies.percentile(1.0, [0, 1, 2, 3]), 37.5)
