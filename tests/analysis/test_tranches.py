"""Tranches and matches whose numbers are worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import calibration, tranches


def pairs(tranche, chosen, rejected, p_label=1.0, pm='final'):
  return pd.DataFrame(
    {
      'pm': pm,
      'tranche': tranche,
      'pair_id': range(len(chosen)),
      'score_chosen': np.asarray(chosen, float),
      'score_rejected': np.asarray(rejected, float),
      'p_label': p_label,
    }
  )


def test_the_tail_is_above_the_95th_percentile_of_base():
  """Base replies score 0 to 99: the edge is 94.05, and 5 of 100 above it."""
  base = pairs('base', range(50), range(50, 100))
  rs = pairs('rs', [94, 94.1], [95, 200])
  found = tranches.shift(pd.concat([base, rs]))
  assert found['tail_base'] == pytest.approx(0.05)
  assert found['tail_rs'] == pytest.approx(0.75)
  assert found['mean_base'] == pytest.approx(49.5)
  assert found['mean_rs'] == pytest.approx((94 + 94.1 + 95 + 200) / 4)


def test_accuracies_are_expected_over_the_labels():
  """Right at .8 and wrong at .6: (.8 + .4) / 2; the ceiling (.8 + .6) / 2."""
  base = pairs('base', [1, 0], [0, 1], [0.8, 0.6])
  found = tranches.accuracies(pd.concat([base, pairs('rs', [2], [1], 0.9)]))
  assert found['accuracy_base'] == pytest.approx(0.6)
  assert found['ceiling_base'] == pytest.approx(0.7)
  assert found['accuracy_rs'] == pytest.approx(0.9)


def test_the_top_tenth_is_chosen_by_one_model_for_all():
  """Twenty pairs; the two whose smaller final score is largest: 18 and 19."""
  low, high = np.arange(20.0), np.arange(20.0) + 0.5
  final = pairs('base', low, high, 0.3)
  own = pairs('base', -low, -low - 1.0, 0.3, pm='thirds')
  found = tranches.top_errors(pd.concat([final, own]))
  assert found['top_pairs'] == 2
  for name, frame in (('final', final), ('thirds', own)):
    wanted = calibration.calibrate(frame.iloc[18:]).excess
    assert found[f'ece_{name}'] == pytest.approx(wanted)
  # The final model is .622 sure of a reply that .7 prefer; both pairs alike.
  sure = 1 / (1 + np.exp(-0.5))
  assert found['ece_final'] == pytest.approx(0.7 - sure)
  # The other is .731 sure of one that .3 prefer.
  assert found['ece_thirds'] == pytest.approx(1 / (1 + np.exp(-1)) - 0.3)


def test_elo_over_pi_0_is_that_of_the_odds():
  """Win rates 10/11 and 1/2: 400 and 0."""
  rate = 10 / 11
  rows = [
    ('a', 'pi_0', rate),
    ('b', 'pi_0', 0.5),
    ('a', 'b', rate),
  ]
  rows += [(b, a, 1 - w) for a, b, w in rows]
  games = pd.DataFrame(rows, columns=['player', 'opponent', 'win_rate'])
  found = tranches.ratings(games.assign(games=100))
  assert found == pytest.approx({'a': 400, 'b': 0, 'pi_0': 0}, abs=1e-6)
