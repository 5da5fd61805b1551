"""Claims 10, 25 and 68 on tables whose answers are known."""

import numpy as np
import pytest

from rlhf_jax.analysis import elo, figures, intervals
from rlhf_jax.analysis.claims import samples
from rlhf_jax.analysis.drawings import samples as drawings
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small
from tests.analysis.test_games import played

MARKS = (0, 2, 4, 8)
NAMES = ['pi_0', '@2', '@4', '@8']
GAINS = dict(zip(NAMES, (0.0, 0.5, 1.0, 1.5), strict=True))
RUN = {'role': 'games', 'half': 'a'}


def tables(gold, choice=0.8, margin=0.7, sizes=('S', 'M'), names=NAMES):
  """Both plays of every seed and size; `gold(seed, size)` is the slope."""
  shots, games = [], []
  for seed in small.SEEDS:
    for size in sizes:
      run = RUN | {'seed': seed, 'size': size}
      gains = {name: GAINS[name] for name in names}
      for play in ('prompts', 'dialogues'):
        for mark, (name, gain) in zip(MARKS, gains.items(), strict=False):
          row = {'play': play, 'player': name, 'iteration': mark}
          row |= {'test_pm': gain - 3, 'train_pm': 2 * gain - 1}
          row |= {'elo': elo.naive_elo(gold(seed, size) * gain)}
          shots.append(run | row)
        frame = played(gold(seed, size), choice, margin, scores=gains)
        games += [
          run | {'play': play} | row for row in frame.to_dict('records')
        ]
  return {
    'snapshots': small.table('snapshots', shots),
    'snapshot_games': small.table('snapshot_games', games),
  }


def test_the_slope_is_that_of_the_test_pm_and_sizes_are_averaged():
  """Seeds .7, .8, .9; the sizes lie .1 below and above."""
  slope = lambda seed, size: 0.7 + 0.1 * seed + (-0.1 if size == 'S' else 0.1)
  found = samples.scores_predict_elo(tables(slope))
  numbers = small.numbers(found)
  assert numbers['slope'] == pytest.approx(0.8, abs=1e-6)
  assert numbers['slope_train_pm'] == pytest.approx(0.4, abs=1e-6)
  assert numbers['elo_last'] == pytest.approx(0.8 * 1.5 * elo.ELO_PER_LOGIT)
  ends = small.interval([0.7, 0.8, 0.9])
  assert small.ends(found, 'slope') == pytest.approx(ends, abs=1e-6)
  assert small.sides(found) == {
    'slope': ('inside', (0.6, 1.2)),
    'slope_low': ('<=', 1.0),
  }
  assert intervals.verdict(found.contrasts) == 'inconclusive'  # up to 1.05
  found = samples.scores_predict_elo(tables(lambda seed, size: 0.8))
  assert intervals.verdict(found.contrasts) == 'pass'


def test_more_than_174_beyond_doubt_fails_inside_the_margin_too():
  found = samples.scores_predict_elo(tables(lambda s, size: 1.1 + 0.001 * s))
  assert intervals.verdict(found.contrasts) == 'fail'
  assert intervals.deciding(found.contrasts).name == 'slope_low'
  found = samples.scores_predict_elo(tables(lambda s, size: 1.3 + 0.001 * s))
  assert intervals.verdict(found.contrasts) == 'fail'


def meetings(last, start=0.3):
  """Three seeds of two sizes, which lie .1 below and above `last[seed]`."""
  rows = []
  for seed, share in enumerate(last):
    for size, more in (('S', -0.1), ('M', 0.1)):
      for mark, p in ((0, start), (8, share + more)):
        row = {'player': NAMES[3] if mark else 'pi_0', 'iteration': mark}
        row |= {'preferred': p, 'gold': p, 'writer_gold': 0.5}
        rows.append(RUN | {'seed': seed, 'size': size} | row)
  return {'writer_games': small.table('writer_games', rows)}


def test_the_last_policy_is_told_from_writers_and_pi_0_is_only_shown():
  found = samples.meets_writers(meetings([0.6, 0.7, 0.65]))
  numbers = small.numbers(found)
  logits = np.log([0.6 / 0.4, 0.7 / 0.3, 0.65 / 0.35])
  low, high = small.interval(logits)
  ends = 1 / (1 + np.exp(-np.array([low, high])))
  assert small.ends(found, 'preferred') == pytest.approx(ends, abs=1e-9)
  assert small.sides(found) == {'preferred': ('>', 0.5)}
  assert numbers['preferred_pi_0'] == pytest.approx(0.3)
  assert numbers['over_writer'] == pytest.approx(0.15)
  assert intervals.verdict(found.contrasts) == 'pass'
  less = samples.meets_writers(meetings([0.4, 0.3, 0.35], start=0.9))
  assert intervals.verdict(less.contrasts) == 'fail'


def test_three_snapshots_are_too_few():
  with pytest.raises(NotRunError, match='3 snapshots; wanted 4'):
    samples.scores_predict_elo(tables(lambda *_: 0.8, names=NAMES[:3]))


def test_an_unbeaten_snapshot_is_named_and_nothing_is_concluded():
  found = tables(lambda *_: 0.8)
  games = found['snapshot_games']
  bad = (games['seed'] == 1) & (games['size'] == 'M')
  games.loc[bad & (games['opponent'] == '@8'), 'wins'] = 0
  finding = samples.scores_predict_elo(found)
  assert 'seed 1, M' in finding.note and '@8 is unbeaten' in finding.note
  assert intervals.verdict(finding.contrasts) == 'inconclusive'
  games.loc[games['opponent'] == '@8', 'wins'] = 0
  with pytest.raises(NotRunError, match='@8 is unbeaten'):
    samples.scores_predict_elo(found)


def test_the_gap_has_two_steps_and_the_choices_are_beside():
  """Naive 3 logits; in conversations .7 of 1.5, chosen .8, gold .5 of it."""
  found = samples.gap_parts(tables(lambda *_: 0.5))
  unit, numbers = elo.ELO_PER_LOGIT, small.numbers(found)
  assert numbers['elo_naive'] == pytest.approx(3 * unit)
  assert numbers['elo_mean'] == pytest.approx(0.7 * 1.5 * unit)
  assert numbers['elo_gold'] == pytest.approx(0.5 * 1.5 * unit)
  assert numbers['choices_minus_mean'] == pytest.approx(0.1 * 1.5 * unit)
  assert numbers['mean_minus_gold'] == pytest.approx(0.2 * 1.5 * unit)
  assert small.sides(found) == {
    'naive_minus_mean': ('>', 0.0),
    'mean_minus_gold': ('>', 0.0),
  }
  assert intervals.verdict(found.contrasts) == 'pass'
  other = samples.gap_parts(tables(lambda *_: 0.75))
  assert intervals.verdict(other.contrasts) == 'fail'


def test_the_gap_wants_conversations():
  found = tables(lambda *_: 0.5)
  found = {k: v[v['play'] == 'prompts'] for k, v in found.items()}
  with pytest.raises(NotRunError, match='has no rows with play=dialogues'):
    samples.gap_parts(found)


def test_the_figures_show_both_pms_and_four_measurements():
  found = tables(lambda *_: 0.5)
  canvas = figures.Canvas(found)
  drawings.elo_vs_pm_score(canvas, found)
  test, train = canvas.figure.axes
  # The grey line first, then a line a size: gains of pi_0 are 0.
  np.testing.assert_allclose(test.lines[1].get_xdata(), [0, 0.5, 1, 1.5])
  np.testing.assert_allclose(train.lines[1].get_xdata(), [0, 1, 2, 3])
  want = elo.naive_elo(0.5 * np.array([0, 0.5, 1, 1.5]))
  np.testing.assert_allclose(test.lines[1].get_ydata(), want)
  canvas = figures.Canvas(found)
  drawings.elo_by_measurement(canvas, found)
  (axis,) = canvas.figure.axes
  assert axis.get_legend_handles_labels()[1] == list(drawings.WAYS.values())
  tops = [line.get_ydata()[-1] / elo.ELO_PER_LOGIT for line in axis.lines[:4]]
  np.testing.assert_allclose(tops, [3, 1.05, 1.2, 0.75], atol=1e-6)


def test_without_a_fit_there_is_no_figure():
  found = tables(lambda *_: 0.5)
  found['snapshots']['elo'] = np.nan
  with pytest.raises(NotRunError, match='no run has a fit'):
    drawings.elo_vs_pm_score(figures.Canvas(found), found)
  found['snapshot_games']['wins'] = 0
  with pytest.raises(NotRunError, match='in conversations'):
    drawings.elo_by_measurement(figures.Canvas(found), found)
