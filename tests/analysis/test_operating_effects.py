"""Simulated studies show what they say: effects without noise, claim by claim.

`docs/operating.md` says how often a claim passes where its effect is true. Here
each effect is measured by the evaluator itself, on studies whose noise is off.
Claims 9, 26 and 32 hang on what is drawn; 48 and 50 are identities.
"""

import math

import numpy as np
import pytest

from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.operating import distillation, online, ood, rl, samples
from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import EFFECT
from rlhf_jax.analysis.operating.studies import SCENARIOS
from rlhf_jax.analysis.operating.tables import LOWER, SIZES, THREE
from tests.analysis import loops, small

LOGIT = 400 / math.log(10)
# Slope of micro, and means of sqrt(KL) at its checkpoints from .5 to the last
# of best-of-1,024.
SLOPE = 0.48
MIDDLE = loops.mean([0.74, 1.1, 1.42, 1.66, 1.94, 2.09])


def ln_slope(*values, sizes=tuple(THREE)):
  """Of one value a size."""
  params = [SIZES[size] for size in sizes]
  return loops.ln_slope(dict(zip(params, values, strict=True)))


def low_slope(*values):
  return ln_slope(*values, sizes=tuple(LOWER))


def of_lower(name, *values):
  return of_sizes(name, *values, sizes=tuple(LOWER))


def of_three(name, *values):
  return of_sizes(name, *values, sizes=tuple(THREE))


def of_sizes(name, *values, sizes=tuple(SIZES)):
  return {f'{name}_{s}': v for s, v in zip(sizes, values, strict=True)}


def best_of(n):
  """Half of sqrt(KL) of the best of n, in Elo."""
  return LOGIT / 2 * math.sqrt(math.log(n) - (n - 1) / n)


POLICIES = ('13K', '42K', '197K')
# Claim -> what its effect gives of contrasts and of what stands beside them.
WANTED = {
  1: {'slope': 0.032, 'r2': 1.0, 'points': 6},
  2: {'slope': 0.015, 'share_ranked': 1.0},
  3: {'r2_helpful': 1.0, 'r2_mix': 0.8}
  | {'slope_ln_p': 0.0069, 'slope_ln_d': 0.032},
  4: {'t': 1.0, 'signed_gap': 0.0},
  5: {'t_mix': 1.25},
  6: {'share_ranked': 1.0},
  8: {'difference_13K': 0.01, 'difference_42K': 0.01},
  11: of_sizes('gain', *3 * (0.85,), sizes=POLICIES),
  12: {'difference_13K': 0.0},
  13: of_sizes('bow_units', 0.0, 0.0, 0.0, sizes=POLICIES),
  14: {'p': 0.5},
  15: of_sizes('bow_units', 0.0, 0.0, 0.0, sizes=POLICIES),
  16: {'cv': 0.0, 's0_rise': 0.1},
  17: of_sizes('slope', SLOPE, SLOPE, SLOPE, sizes=POLICIES),
  18: {'error_42K': 0.0, 'error_197K': 0.0},
  19: {'early_gap_per_gain': 0.0, 'late_gap_per_gain': 0.3},
  20: {'share_ranked': 1.0, 'spearman': 1.0},
  21: {'gap_per_gain_slope': ln_slope(0.55, 0.4, 0.25)}
  | of_three('gap_per_gain', 0.55, 0.4, 0.25)
  | of_three('diverged_at', *(i / 52 for i in (12, 24, 36))),
  22: {'change_of_slope': 0.02},
  23: {'difference_13K': -0.4, 'difference_42K': -0.4},
  24: {'gold_middle_gain': 0.5, 'gold_flattening': -1.5}
  | {'train_late_rise': 0.1, 'elo_excess': 150.0},
  25: {'naive_minus_mean': 90.0, 'elo_naive': 300.0},
  27: of_sizes('entropy_change', -0.2, -0.2, -0.2, sizes=POLICIES),
  28: {'final_minus_initial': 0.03, 'pm_minus_policy': 0.1},
  31: {'win_rate': 0.54},
  33: {'bow_units': 0.0, 'elo_4_minus_1': best_of(4)}
  | {'elo_16_minus_4': best_of(16) - best_of(4)}
  | {'elo_64_minus_16': best_of(64) - best_of(16)},
  34: of_sizes('gold', *3 * (0.2 * SLOPE * MIDDLE,), sizes=POLICIES)
  | of_sizes('train', *3 * (0.2 * SLOPE * MIDDLE,), sizes=POLICIES),
  35: {'beta_slope_best_of_n': -0.04 * 0.15, 'beta_slope_rl': -0.04 * 0.4},
  36: {'share_3456': 0.0, 'share_196608': 0.0, 'fewest_pairs': 256},
  37: {'helpful_on_harmless': 0.28, 'harmless_on_helpful': 0.45},
  38: {'helpful_room': 0.68 - 0.95 * 0.7, 'harmless_room': 0.73 - 0.95 * 0.75}
  | {'helpful_nearness': 0.68 - 0.55, 'harmless_nearness': 0.73 - 0.59},
  39: {'area_slope': low_slope(0.88, 0.9025, 0.925)}
  | of_lower('area', 0.88, 0.9025, 0.925),
  40: {'drop_slope': low_slope(0.08, 0.05, 0.02)}
  | {'inner_minus_1': 0.02, 'inner_minus_10': 0.02, 'mean_at_10': 0.68},
  42: {'helpful_gold': 0.5, 'attack_success': 0.2},
  44: {'share_of_cells': 1.0, 'smallest_difference': 0.03, 'cells': 10},
  45: {'slope': 0.02, 'best_in_middle_half': 1.0},
  46: of_sizes('over_best', *4 * (0.05,)) | {'spearman': 1.0},
  47: {'smallest_minus_largest': 0.02},
  49: {'left_of_own_kl': 0.1, 'slope_of_final_kl': -0.02},
  51: {'distilled_minus_prompted': 0.0, 'accuracy_prompted': 0.85},
  52: of_lower('ranked', 0.05, 0.07, 0.09)
  | of_lower('binary', *3 * (0.0,))
  | {'slope': low_slope(0.05, 0.07, 0.09)},
  53: {'gain_many': 0.03, 'gain_few': 0.08, 'gain_few_minus_many': 0.05},
  54: {'binary_minus_ranked': 0.03, 'gain_binary': 0.08},
  67: of_sizes('efficiency', 0.5, 0.5, 0.5, sizes=POLICIES),
}
# (number, four standard errors of two seeds, with what the drawing leaves).
CHANCE = {
  # 1,024 pairs of first turns, 3,072 of others: .021 and .008 a seed.
  (7, 'first_minus_later'): (0.05, 0.045),
  # Six players of 2,560 games each, two sizes: .06 a run.
  (10, 'slope'): (0.85, 0.12),
  # A grid of b in steps of 4 % leaves a thousandth of the bound.
  (17, 'share_of_bound_13K'): (0.5, 0.01),
  # 3,072 replies of each tranche, whose scores have a spread of 1.1.
  (30, 'mean_rs_minus_base'): (0.8, 0.1),
  (30, 'mean_online_minus_rs'): (0.8, 0.1),
  # Noise of 1.5 Elo of each model.
  (55, 'slope'): (30.0, 1.5),
  # Windows of several lengths see several parts of a parabola.
  (66, 'slope'): (1.0, 0.02),
}


@pytest.fixture
def quiet(monkeypatch):
  """All noise off that has a name."""
  for name in NOISE:
    if name.endswith(('_seed', '_run', '_step', 'residual', 'penalty')):
      monkeypatch.setitem(NOISE, name, 1e-9)
  for module, names in (
    (rl, ('START_ERROR',)),
    (ood, ('SEED', 'LAYER', 'HALF')),
    (distillation, ('LEFT_SEED', 'KL_SEED', 'ACCURACY_SEED')),
    (online, ('LEVEL',)),
    (samples, ('SLOPE_SPREAD', 'GAIN_SPREAD', 'SCORE_ERROR')),
  ):
    for name in names:
      monkeypatch.setattr(module, name, 0.0)


def measured(number, seeds=2):
  tables = SCENARIOS[number].make(
    np.random.default_rng(number), range(seeds), EFFECT
  )
  return small.numbers(load().claim(number).evaluator(tables))


@pytest.mark.parametrize('number', WANTED)
@pytest.mark.usefixtures('quiet')
def test_an_effect_without_noise_is_what_it_says(number):
  numbers = measured(number)
  found = {name: numbers[name] for name in WANTED[number]}
  assert found == pytest.approx(WANTED[number], rel=1e-5, abs=2e-5)


@pytest.mark.parametrize(('number', 'name'), CHANCE)
@pytest.mark.usefixtures('quiet')
def test_an_effect_that_is_drawn_is_what_it_says_as_far_as_chance(number, name):
  wanted, chance = CHANCE[number, name]
  assert measured(number)[name] == pytest.approx(wanted, abs=chance)


@pytest.mark.usefixtures('quiet')
def test_harmless_medians_lie_higher_among_the_scores_of_the_data():
  """1 and 1.5 among scores from -3 to 3: two thirds and three quarters."""
  numbers = measured(41)
  assert numbers['helpful'] == pytest.approx(100 * 4 / 6, abs=0.05)
  assert numbers['harmless'] == pytest.approx(75, abs=0.05)
