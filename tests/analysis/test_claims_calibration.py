"""Claims 4 to 7 on pairs whose probabilities are written down.

Where every |delta| is 1 and the true probability of the higher-scored reply is
sigmoid(t), the error is |sigmoid(t) - sigmoid(1)| and the refit gives t back.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import calibration
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

ENOUGH = calibration.MIN_CALIBRATION_PAIRS
HELPFUL = {'role': 'calibration', 'train_subset': 'helpful'}
MIXTURE = {'role': 'mixture', 'train_subset': 'mix'}


def pairs(t=1.0, n=100, seed=0, **more):
  """n equal pairs: delta 1, true probability sigmoid(t)."""
  row = {'score_chosen': 1.0, 'p_label': expit(t), 'schedule': 'decay'}
  row |= {'subset': 'helpful', 'pairs': 100, 'turn': 1, 'seed': seed, **more}
  one = small.table('pm_pairs', [row])
  return one.loc[one.index.repeat(n)]


def tables(*frames):
  return {'pm_pairs': pd.concat(frames, ignore_index=True)}


def test_a_perfectly_calibrated_pm():
  frames = [pairs(1.0, ENOUGH, seed, **HELPFUL) for seed in small.SEEDS]
  found = calibration.helpful_calibration(tables(*frames))
  numbers = small.numbers(found)
  assert numbers['ece'] == pytest.approx(0, abs=1e-12)
  assert numbers['ece_floor'] == pytest.approx(0, abs=1e-9)
  assert numbers['t'] == pytest.approx(1)
  assert numbers['accuracy'] == numbers['ceiling'] == pytest.approx(expit(1))
  assert numbers['pairs'] == ENOUGH
  assert found.note == 'calibrated: t = 1.00 [1.00, 1.00]'
  assert intervals.verdict(found.contrasts) == 'pass'
  assert small.sides(found) == {
    'ece_excess': ('<', 0.02),
    't': ('inside', (0.85, 1.15)),
  }


@pytest.mark.parametrize(
  ('t', 'word'), [(0.5, 'over-confident'), (2.0, 'under-confident')]
)
def test_a_bold_and_a_shy_pm_by_hand(t, word):
  frames = [pairs(t, ENOUGH, seed, **HELPFUL) for seed in small.SEEDS]
  found = calibration.helpful_calibration(tables(*frames))
  numbers = small.numbers(found)
  assert numbers['signed_gap'] == pytest.approx(expit(t) - expit(1))
  assert numbers['ece_excess'] == pytest.approx(abs(expit(t) - expit(1)))
  assert numbers['t'] == pytest.approx(t)
  assert found.note == f'{word}: t = {t:.2f} [{t:.2f}, {t:.2f}]'
  assert intervals.verdict(found.contrasts) == 'fail'


@pytest.mark.parametrize(
  ('t_N', 'word'),
  [
    ((0.9, 1.0, 1.1), 'of undecided confidence'),
    ((0.95, 0.96, 0.97), 'calibrated'),  # below 1, and inside the margin
    ((1.2, 1.21, 1.22), 'under-confident'),
    ((0.8, 0.81, 0.82), 'over-confident'),
  ],
)
def test_which_way_a_pm_is_off_is_said_by_the_interval_of_t(t_N, word):
  frames = [
    pairs(t, ENOUGH, seed, **HELPFUL)
    for seed, t in zip(small.SEEDS, t_N, strict=True)
  ]
  found = calibration.helpful_calibration(tables(*frames))
  low, high = small.interval(t_N)
  mean = sum(t_N) / 3
  assert found.note == f'{word}: t = {mean:.2f} [{low:.2f}, {high:.2f}]'


def test_few_pairs_with_known_labels_are_measured_but_decide_nothing():
  frames = [pairs(1.0, ENOUGH - 1, seed, **HELPFUL) for seed in small.SEEDS]
  found = calibration.helpful_calibration(tables(*frames))
  assert found.note.endswith(
    '; 9999 test pairs; with simulated labels 10000 are wanted'
  )
  assert math.isnan(small.ends(found, 't')[0])
  assert found.measured['t'] == pytest.approx(1)
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_real_pairs_need_not_be_many():
  """Real labels are few; their floor is what sampled labels show."""
  frames = [
    pairs(1.0, 100, seed, **HELPFUL).assign(p_label=np.nan)
    for seed in small.SEEDS
  ]
  found = calibration.helpful_calibration(tables(*frames))
  # Every label agrees, and equal scores share a bin: the gap is 1 - sigmoid(1).
  assert found.measured['ece'] == pytest.approx(1 - expit(1))
  floor = found.measured['ece_floor']
  # 100 labels of probability p = sigmoid(1): E|N(0, s)| with s^2 = p (1 - p) /
  # 100, by 200 simulations, the same for each seed, so to sd .76 / sqrt(200).
  s = math.sqrt(expit(1) * expit(-1) / 100)
  wanted = s * math.sqrt(2 / math.pi)
  assert floor == pytest.approx(wanted, rel=5 * 0.76 / math.sqrt(200))
  assert found.measured['t'] == math.inf  # every pair is right
  numbers = small.numbers(found)
  assert numbers['ece_excess'] == pytest.approx(1 - expit(1) - floor)
  assert math.isnan(found.measured['ceiling'])


@pytest.mark.parametrize(
  'other',
  [
    {'subset': 'harmless'},
    {'schedule': 'constant'},
    {'pairs': 50},
    {'size': 'S'},
    {'role': 'scaling'},
  ],
)
def test_only_the_largest_final_helpful_pm_on_helpful_pairs_counts(other):
  odd = pairs(-3.0, 500, **(HELPFUL | other))
  found = calibration.helpful_calibration(
    tables(pairs(1.0, **HELPFUL), odd.assign(run_id='calibration-L-a-0'))
  )
  assert found.measured['t'] == pytest.approx(1)
  assert found.measured['pairs'] == 100


def test_the_mixture_against_the_helpful_pm_seed_by_seed():
  frames = []
  for seed, t in zip((*small.SEEDS, 9), (1.5, 2.0, 2.5, 99.0), strict=True):
    frames.append(pairs(t, 100, seed, **MIXTURE))
  for seed in small.SEEDS:
    frames.append(pairs(0.5, 100, seed, **HELPFUL))
  found = calibration.mixture_calibration(tables(*frames))
  errors = [expit(t) - expit(1) for t in (1.5, 2.0, 2.5)]
  less = expit(1) - expit(0.5)
  ends = small.ends(found, 'ece_mix_minus_helpful')
  assert ends == pytest.approx(small.interval([e - less for e in errors]))
  numbers = small.numbers(found)
  assert numbers['ece_helpful'] == pytest.approx(less)
  # The seed that has no helpful PM counts where none is needed.
  assert found.contrasts[1].interval.n == 4
  assert small.sides(found) == {
    'ece_mix_minus_helpful': ('>', 0.0),
    'signed_gap_mix': ('>=', 0.0),
    't_mix': ('>', 1.0),
  }


def test_a_score_that_is_not_finite_decides_nothing_and_is_not_left_out():
  """One of 300 pairs; without its seed claim 5 would rest on the others."""
  frames = [pairs(2.0, 100, seed, **MIXTURE) for seed in small.SEEDS]
  frames += [pairs(1.0, 100, seed, **HELPFUL) for seed in small.SEEDS]
  whole = calibration.mixture_calibration(tables(*frames))
  assert intervals.verdict(whole.contrasts) == 'pass'
  rows = tables(*frames)['pm_pairs']
  rows.loc[rows.index[150], 'score_chosen'] = math.nan
  found = calibration.mixture_calibration({'pm_pairs': rows})
  assert intervals.verdict(found.contrasts) == 'inconclusive'
  for contrast in found.contrasts:
    assert math.isnan(contrast.interval.mean) and contrast.interval.n == 3
  assert math.isnan(found.measured['ece_mix'])
  assert found.measured['ece_helpful'] == pytest.approx(0, abs=1e-12)
  scores = calibration.high_score_accuracy({'pm_pairs': rows})
  assert intervals.verdict(scores.contrasts) == 'inconclusive'
  assert math.isnan(scores.measured['accuracy_q0.8'])


def test_pms_of_different_seeds_cannot_be_compared():
  with pytest.raises(NotRunError, match='share no seed'):
    calibration.mixture_calibration(
      tables(pairs(seed=0, **HELPFUL), pairs(seed=1, **MIXTURE))
    )


def steps(accuracies, **more):
  """Ten pairs a step: the smaller score of step k is k, right in a share."""
  rows = []
  for k, accuracy in enumerate(accuracies):
    for i in range(10):
      delta = 1.0 if i < round(10 * accuracy) else -1.0
      low = min(0.0, delta)
      rows.append(
        {
          'score_chosen': k + delta - low,
          'score_rejected': k - low,
          'p_label': math.nan,
          'schedule': 'decay',
          'pairs': 100,
          'turn': k + 1,
          **more,
        }
      )
  return small.table('pm_pairs', rows)


def test_accuracy_among_better_replies_by_hand():
  """The upper k tenths of accuracies 1, .9, ... .1 average (11 - q) / 20."""
  falling = [1 - k / 10 for k in range(10)]
  found = calibration.high_score_accuracy(tables(steps(falling, **MIXTURE)))
  numbers = small.numbers(found)
  assert numbers['accuracy_q0.0'] == pytest.approx(0.55)
  assert numbers['accuracy_q0.8'] == pytest.approx(0.15)
  assert numbers['spearman'] == pytest.approx(-1)
  assert math.isnan(numbers['ceiling_q0.0'])
  assert numbers['share_ranked'] == 1.0
  assert small.sides(found) == {'share_ranked': ('>', 0.5)}
  rising = calibration.high_score_accuracy(
    tables(steps(falling[::-1], **MIXTURE))
  )
  assert small.numbers(rising)['spearman'] == pytest.approx(1)
  assert small.numbers(rising)['share_ranked'] == 0.0


def test_claim_6_says_whose_pairs_it_read():
  falling = [1 - k / 10 for k in range(10)]
  helpful, mixture = steps(falling, **HELPFUL), steps(falling[::-1], **MIXTURE)
  both = calibration.high_score_accuracy(tables(helpful, mixture))
  assert both.note == 'PMs of role mixture'
  assert small.numbers(both)['spearman'] == pytest.approx(1)
  alone = calibration.high_score_accuracy(tables(helpful))
  assert alone.note == 'PMs of role calibration'
  with pytest.raises(NotRunError, match='role=calibration'):
    calibration.high_score_accuracy(tables(steps(falling, role='rl')))


def turns(accuracies, repeat, **more):
  frame = steps(accuracies, **MIXTURE, **more)
  return pd.concat([frame] * repeat, ignore_index=True)


def test_turns_by_hand():
  frames = [turns([0.9, 0.7, 0.6], 3, seed=seed) for seed in small.SEEDS]
  found = calibration.turn_accuracy(tables(*frames))
  numbers = small.numbers(found)
  assert numbers['first_minus_later'] == pytest.approx(0.9 - 0.65)
  assert numbers['later_slope'] == pytest.approx(-0.1)
  assert small.sides(found) == {
    'first_minus_later': ('>', 0.0),
    'later_slope': ('inside', (-0.01, 0.01)),
  }


def test_a_turn_that_one_run_has_seldom_is_left_out():
  """Turn 4, perfect, has 30 pairs of seed 0 and 20 of seed 1."""
  first = turns([0.9, 0.7, 0.7, 1.0], 3)
  second = turns([0.9, 0.7, 0.7], 3, seed=1)
  rare = turns([0.0, 0.0, 0.0, 1.0], 2, seed=1).query('turn == 4')
  found = calibration.turn_accuracy(tables(first, second, rare))
  assert small.numbers(found)['later_slope'] == pytest.approx(0)
  assert small.numbers(found)['first_minus_later'] == pytest.approx(0.2)


@pytest.mark.parametrize('kept', ['turn < 3', 'turn > 1'])
def test_claim_7_needs_the_first_and_two_later_turns(kept):
  frame = turns([0.9, 0.8, 0.7, 0.6], 3).query(kept)
  with pytest.raises(NotRunError, match='first and of two later turns'):
    calibration.turn_accuracy(tables(frame))
