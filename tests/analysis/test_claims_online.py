"""Claims 9, 28 and 30 to 32 on tables whose answers are known."""

import numpy as np
import pytest

from rlhf_jax.analysis import figures, intervals
from rlhf_jax.analysis.claims import online
from rlhf_jax.analysis.drawings import online as drawings
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

RUN = {'role': 'online', 'half': 'all'}
LEVELS = {'base': 0.0, 'rs': 1.0, 'online': 2.0}


def scores(wrong, level=LEVELS, pms=('final',), seeds=small.SEEDS, n=40):
  """Pairs with gaps of 1 and levels of their own; `wrong` of 40 are wrong.

  The smaller scores of a tranche are spread evenly over one unit.
  """
  rows = []
  for seed in seeds:
    for pm in pms:
      for tranche, first in level.items():
        lost = wrong(tranche, pm, seed)
        for i in range(n):
          low = first + i / n
          sides = (low, low + 1) if i < lost else (low + 1, low)
          own = {'pm': pm, 'tranche': tranche, 'pair_id': i, 'seed': seed}
          own |= {'score_chosen': sides[0], 'score_rejected': sides[1]}
          rows.append(RUN | own | {'p_label': 1.0})
  return {'tranche_pairs': small.table('tranche_pairs', rows)}


def test_accuracy_by_tranche_and_its_interval_by_hand():
  """Of 40 pairs 4, 8 and 12 are wrong, one more or less by seed on rs."""
  wrong = {'base': 4, 'rs': 8, 'online': 12}
  tables = scores(lambda t, pm, s: wrong[t] + (s - 1) * (t == 'rs'))
  found = online.harder_tranches(tables)
  numbers = small.numbers(found)
  assert numbers['accuracy_base'] == pytest.approx(0.9)
  assert numbers['accuracy_online'] == pytest.approx(0.7)
  assert numbers['base_minus_rs'] == pytest.approx(0.1)
  steps = [3 / 40, 4 / 40, 5 / 40]
  assert small.ends(found, 'base_minus_rs') == pytest.approx(
    small.interval(steps)
  )
  assert small.sides(found) == {
    'base_minus_rs': ('>', 0.0),
    'rs_minus_online': ('>', 0.0),
  }
  assert intervals.verdict(found.contrasts) == 'pass'
  other = scores(lambda t, pm, s: 8)
  assert intervals.verdict(online.harder_tranches(other).contrasts) != 'pass'


def test_tranches_that_shift_upwards_pass_and_equal_ones_do_not():
  found = online.shifted_tranches(scores(lambda t, pm, s: 4))
  numbers = small.numbers(found)
  # Scores of a tranche: its level + i / 40, and one more: mean level + .9875.
  assert numbers['mean_base'] == pytest.approx(0.9875)
  assert numbers['mean_rs_minus_base'] == pytest.approx(1)
  assert numbers['mean_online_minus_rs'] == pytest.approx(1)
  assert numbers['tail_base'] == pytest.approx(0.05, abs=0.01)
  assert numbers['tail_online'] == pytest.approx(1, abs=0.05)
  assert len(found.contrasts) == 4
  assert intervals.verdict(found.contrasts) == 'pass'
  down = scores(lambda t, pm, s: 4, LEVELS | {'online': 0.5})
  found = online.shifted_tranches(down)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_a_tranche_that_is_missing_is_said():
  few = scores(lambda t, pm, s: 4, {'base': 0.0, 'online': 1.0})
  for claim in (online.harder_tranches, online.shifted_tranches):
    with pytest.raises(NotRunError, match='no pairs of the tranche rs'):
      claim(few)


def policies(initial, final, seeds=small.SEEDS):
  rows = [
    RUN | {'seed': seed, 'policy': name, 'expected_accuracy': value(seed)}
    for seed in seeds
    for name, value in (('pi_0', initial), ('final', final))
  ]
  return {'online_policies': small.table('online_policies', rows)}


def test_a_policy_that_learns_to_rank_and_stays_below_its_pm_passes():
  """The PM is right on 36 of 40: .9; the policy on .55, then .6 to .62."""
  tables = scores(lambda t, pm, s: 4)
  tables |= policies(lambda s: 0.55, lambda s: 0.6 + s / 100)
  found = online.policies_rank(tables)
  numbers = small.numbers(found)
  assert numbers['final_minus_initial'] == pytest.approx(0.06)
  assert numbers['pm_minus_policy'] == pytest.approx(0.29)
  ends = small.ends(found, 'final_minus_initial')
  assert ends == pytest.approx(small.interval([0.05, 0.06, 0.07]))
  assert intervals.verdict(found.contrasts) == 'pass'
  tables |= policies(lambda s: 0.55, lambda s: 0.5)
  found = online.policies_rank(tables)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_real_labels_have_no_expectation():
  tables = scores(lambda t, pm, s: 4)
  own = policies(lambda s: np.nan, lambda s: np.nan)['online_policies']
  own['accuracy'] = np.where(own['policy'] == 'final', 0.7, 0.6)
  found = online.policies_rank(tables | {'online_policies': own})
  assert small.numbers(found)['final_minus_initial'] == pytest.approx(0.1)


def games(rate, seeds=small.SEEDS):
  """Three policies; `rate` is how often thirds beats base_only."""
  rows = []
  for seed in seeds:
    odds = {('thirds', 'base_only'): rate(seed), ('thirds', 'pi_0'): 0.8}
    odds |= {('base_only', 'pi_0'): 0.7}
    odds |= {(b, a): 1 - w for (a, b), w in odds.items()}
    for (player, opponent), won in odds.items():
      row = {'player': player, 'opponent': opponent, 'win_rate': won}
      rows.append(RUN | row | {'seed': seed, 'games': 100})
  return {'matches': small.table('matches', rows)}


def test_the_win_rate_of_thirds_is_judged_on_its_log_odds():
  rates = {0: 0.58, 1: 0.6, 2: 0.62}
  found = online.preferred(games(rates.get))
  ends = small.logit_interval(list(rates.values()))
  assert small.ends(found, 'win_rate') == pytest.approx(ends)
  assert small.sides(found) == {'win_rate': ('>', 0.5)}
  numbers = small.numbers(found)
  assert numbers['elo_pi_0'] == 0 and numbers['elo_thirds'] > 0
  assert intervals.verdict(found.contrasts) == 'pass'
  found = online.preferred(games(lambda seed: 0.45))
  assert intervals.verdict(found.contrasts) == 'fail'


def test_nobody_judges_replies_to_real_prompts():
  tables = games(lambda seed: 0.6)
  tables['matches']['win_rate'] = np.nan
  with pytest.raises(NotRunError, match='win_rate is empty: nobody judges'):
    online.preferred(tables)
  canvas = figures.Canvas(tables)
  with pytest.raises(NotRunError, match='nobody judges'):
    drawings.online_rounds(canvas, tables)


def test_calibration_at_the_top_is_compared_on_the_same_pairs():
  """All are sure by .731; thirds is right on all, base on none of the top."""
  pms = ('base_only', 'thirds', 'final')
  lost = {'base_only': 40, 'thirds': 0, 'final': 4}
  tables = scores(lambda t, pm, s: lost[pm], pms=pms)
  found = online.calibrated_top(tables)
  numbers, sure = small.numbers(found), 1 / (1 + np.exp(-1))
  assert numbers['top_pairs'] == 12
  assert numbers['ece_thirds'] == pytest.approx(1 - sure)
  assert numbers['ece_base_only'] == pytest.approx(sure)
  assert numbers['ece_thirds_minus_base'] == pytest.approx(1 - 2 * sure)
  assert small.sides(found) == {'ece_thirds_minus_base': ('<', 0.0)}
  assert intervals.verdict(found.contrasts) == 'pass'
  with pytest.raises(NotRunError, match='lacks ece_thirds'):
    online.calibrated_top(scores(lambda *_: 4, pms=('base_only', 'final')))


def test_the_figures_show_three_tranches_and_every_policy():
  tables = scores(lambda t, pm, s: 4) | games(lambda seed: 0.6)
  canvas = figures.Canvas(tables)
  drawings.tranche_scores(canvas, tables)
  (axis,) = canvas.figure.axes
  labels = axis.get_legend_handles_labels()[1]
  assert labels == ['base', 'best of k', 'online']
  canvas = figures.Canvas(tables)
  drawings.online_rounds(canvas, tables)
  (axis,) = canvas.figure.axes
  ticks = [x.get_text() for x in axis.get_xticklabels()]
  assert ticks == ['pi_0', 'base_only', 'thirds']


def test_policies_stand_in_the_order_of_training():
  names = ['thirds', 'round2', 'final@24', 'pi_0', 'final', 'round1']
  names += ['base_only', 'base_only@24']
  assert sorted(names, key=drawings._order) == [
    *('pi_0', 'base_only@24', 'base_only', 'round1', 'round2'),
    *('final@24', 'final', 'thirds'),
  ]


def test_deployed_snapshots_stand_by_their_elo_a_panel_a_round():
  """And where there is no fit, the figure says why there is none."""
  rows = [
    RUN | {'run_id': name, 'player': player, 'elo': elo, 'fit': 'converged'}
    for name in ('online/round1-s0', 'online/round2-s0')
    for player, elo in (('old', 0.0), ('new', 80.0))
  ]
  frame = small.table('deployed', rows)
  frame['elo_low'], frame['elo_high'] = frame['elo'] - 30, frame['elo'] + 50
  canvas = figures.Canvas({'deployed': frame})
  drawings.deployed_elo(canvas, {'deployed': frame})
  one, two = canvas.figure.axes
  assert (one.get_title(), two.get_title()) == tuple(frame['run_id'].unique())
  assert [x.get_text() for x in one.get_xticklabels()] == ['old', 'new']
  (points, *_) = one.containers[0].lines
  assert points.get_ydata().tolist() == [0, 80]
  none = frame.assign(elo=np.nan, fit='no finite Elo: new is unbeaten')
  with pytest.raises(NotRunError, match='no round has .*: new is unbeaten'):
    drawings.deployed_elo(canvas, {'deployed': none})
