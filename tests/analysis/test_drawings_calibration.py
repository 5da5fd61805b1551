"""The panels on calibration show the pairs that the claims are judged on.

The helpful-only PM of these tables is calibrated on helpful pairs and prefers
the wrong reply of harmless ones, so the wrong selection is far off.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import figures
from rlhf_jax.analysis.claims import calibration as claims
from rlhf_jax.analysis.drawings import calibration
from tests.analysis import synthetic

N = 600
TITLES = [
  'PM trained on helpful, helpful pairs',
  'PM of the mixture, all pairs',
]


def _pm(role, train_subset, seed, wrong=(), size='197K', pairs=100):
  """Scored pairs of one PM, half of them harmless."""
  rng = np.random.default_rng([seed, len(role)])
  frame = synthetic.scored_pairs(rng, N, shrink=0.4)
  frame['subset'] = np.where(np.arange(N) % 2, 'helpful', 'harmless')
  turned = frame['subset'].isin(wrong)
  scores = ['score_chosen', 'score_rejected']
  frame.loc[turned, scores] = frame.loc[turned, scores[::-1]].to_numpy()
  return frame.assign(
    run_id=f'{role}-{size}-{seed}',
    seed=seed,
    role=role,
    size=size,
    n_params=synthetic.SIZES[size],
    train_subset=train_subset,
    schedule='decay',
    pairs=pairs,
  )


def _tables(seeds=(0,), roles=('calibration', 'mixture')):
  """Final PMs of both roles; and a smaller one, and an earlier checkpoint."""
  frames = []
  for seed in seeds:
    if 'calibration' in roles:
      frames += [
        _pm('calibration', 'helpful', seed, wrong=['harmless']),
        _pm('calibration', 'helpful', seed, ['harmless', 'helpful'], '3K'),
      ]
      early = _pm('calibration', 'helpful', seed, ['helpful'], pairs=50)
      frames.append(early)
    if 'mixture' in roles:
      frames.append(_pm('mixture', 'mix', seed))
  return {'pm_pairs': pd.concat(frames, ignore_index=True)}


def _axes(draw, tables):
  canvas = figures.Canvas(tables)
  draw(canvas, tables)
  return canvas.figure.axes


def _ece(axis):
  """Mean distance of the drawn points, bins of equal count, from the curve."""
  (bars,) = axis.containers
  delta_K, agreement_K = (
    np.asarray(v, float) for v in bars.lines[0].get_data()
  )
  assert len(delta_K) == 10
  return np.abs(agreement_K - expit(delta_K)).mean()


def test_each_panel_shows_the_pairs_that_its_title_names():
  helpful, mixture = _axes(calibration.pm_calibration, _tables())
  assert [a.get_title() for a in (helpful, mixture)] == TITLES
  # 60 pairs a bin whose agreement is known exactly; turned ones are .3 off.
  assert _ece(helpful) < 0.03 and _ece(mixture) < 0.03
  inverted = _tables()
  inverted['pm_pairs']['subset'] = 'helpful'
  assert _ece(_axes(calibration.pm_calibration, inverted)[0]) > 0.1


def test_the_curve_of_a_calibrated_pm_begins_where_it_knows_nothing():
  """At a difference of 0, with one half; it ends past the last bin."""
  for axis in _axes(calibration.pm_calibration, _tables()):
    (curve,) = [line for line in axis.lines if len(line.get_xdata()) > 10]
    delta_N, chance_N = curve.get_data()
    assert (delta_N[0], chance_N[0]) == (0.0, 0.5)
    np.testing.assert_allclose(chance_N, expit(delta_N), rtol=1e-12)
    assert delta_N[-1] > max(axis.containers[0].lines[0].get_xdata())


def test_the_drawn_bins_are_those_of_claims_4_and_5():
  tables = _tables()
  helpful, mixture = _axes(calibration.pm_calibration, tables)
  measured = claims.helpful_calibration(tables).measured
  assert measured['pairs'] == N / 2
  assert _ece(helpful) == pytest.approx(measured['ece'])
  measured = claims.mixture_calibration(tables).measured
  assert _ece(helpful) == pytest.approx(measured['ece_helpful'])
  assert _ece(mixture) == pytest.approx(measured['ece_mix'])


def test_the_drawn_curve_is_that_of_claim_6():
  tables = _tables(seeds=(0, 1, 2))
  helpful, broadest = _axes(calibration.pm_min_score, tables)
  assert [a.get_title() for a in (helpful, broadest)] == TITLES
  measured = claims.high_score_accuracy(tables).measured
  wanted = [measured[f'accuracy_q{q / 10:.1f}'] for q in range(9)]
  (line,) = broadest.lines
  np.testing.assert_allclose(line.get_xdata(), np.arange(9) / 10)
  np.testing.assert_allclose(line.get_ydata(), wanted)
  # The other panel is another PM on other pairs.
  assert np.abs(helpful.lines[0].get_ydata() - wanted).max() > 0.01


def test_without_a_mixture_claim_6_and_its_panel_take_the_helpful_pm():
  tables = _tables(roles=('calibration',))
  (axis,) = _axes(calibration.pm_calibration, tables)
  assert axis.get_title() == TITLES[0]
  helpful, broadest = _axes(calibration.pm_min_score, tables)
  assert broadest.get_title() == 'PM trained on helpful, all pairs'
  measured = claims.high_score_accuracy(tables).measured
  assert broadest.lines[0].get_ydata()[0] == measured['accuracy_q0.0']
  assert measured['accuracy_q0.0'] < 0.6 < helpful.lines[0].get_ydata()[0]


def test_a_score_that_is_not_finite_leaves_no_panel(tmp_path):
  tables = _tables()
  tables['pm_pairs'].loc[:, 'score_chosen'] = np.nan
  assert figures.save(calibration.pm_calibration, tables, tmp_path) is None


def test_without_a_helpful_pm_the_mixture_is_drawn_alone(tmp_path):
  tables = _tables(roles=('mixture',))
  for draw in (calibration.pm_calibration, calibration.pm_min_score):
    assert [a.get_title() for a in _axes(draw, tables)] == TITLES[1:]
  none = {'pm_pairs': tables['pm_pairs'].query('role == "scaling"')}
  for draw in (calibration.pm_calibration, calibration.pm_min_score):
    assert figures.save(draw, none, tmp_path) is None
