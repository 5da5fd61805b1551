"""Claims 58 to 60 on runs and policies that are written down."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import figures, intervals
from rlhf_jax.analysis.claims import instruct
from rlhf_jax.analysis.drawings.instruct import kl_coefficients
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

COEFS = {'robust': 0.001, 'ptx': 0.001, 'beta_0': 0.0, 'beta_0.2': 0.2}
COEFS |= {'beta_2': 2.0}
GAIN = {'robust': 2.0, 'ptx': 1.98, 'beta_0': 2.02, 'beta_0.2': 1.5}
GAIN |= {'beta_2': 0.4}
GOLD = {'robust': 0.5, 'ptx': 0.7, 'beta_0': 0.4, 'beta_0.2': 1.0}
GOLD |= {'beta_2': 0.2}
# Of .4 nats that PPO loses the mix recovers .3, beta .2 a quarter, 2 all.
NATS = {'pi_0': 1.0, 'ppo': 1.4, 'ptx': 1.1, 'beta_0': 1.42, 'beta_0.2': 1.3}
NATS |= {'beta_2': 1.0}


def tables(gain=GAIN, gold=GOLD, nats=NATS, seeds=small.SEEDS, lost=0.0):
  """Runs that start at -1; a seed's numbers lie `lost` (seed - 1) higher."""
  curve, tax = [], []
  for seed in seeds:
    more = lost * (seed - 1)
    for role, coef in COEFS.items():
      for half in 'ab' if role == 'robust' else 'a':
        run = {'role': role, 'size': 'S', 'half': half, 'seed': seed}
        run |= {'kl_coef': coef, 'gold': 9.0 * (half == 'b')}
        curve.append(run | {'samples': 0, 'train_pm': -1.0})
        end = {'train_pm': gain[role] - 1, 'gold': gold[role] + more}
        curve.append(run | {'samples': 9, 'kl': 4.0} | end)
    for policy, value in nats.items():
      value += more * (policy == 'ppo')
      row = {'policy': policy, 'nats': value, 'seed': seed, 'role': 'tax'}
      tax.append(row | {'size': 'S', 'gold': 0.5})
  return {
    'rl_curve': small.table('rl_curve', curve[::-1]),
    'tax': small.table('tax', tax),
  }


def test_what_a_mix_repairs_is_a_share_of_what_ppo_costs():
  found = instruct.repaired(tables(lost=0.04))
  numbers = small.numbers(found)
  assert numbers['cost'] == pytest.approx(0.4)
  assert small.ends(found, 'cost') == pytest.approx(
    small.interval([0.36, 0.4, 0.44])
  )
  shares = [(1.4 + x - 1.1) / (0.4 + x) for x in (-0.04, 0, 0.04)]
  assert small.ends(found, 'share_ptx') == pytest.approx(small.interval(shares))
  assert numbers['reward_ptx'] == pytest.approx(1.98 / 2 - 1)
  assert small.sides(found) == {
    'cost': ('>', 0.0),
    'share_ptx': ('>', 0.5),
    'reward_ptx': ('inside', (-0.05, 0.05)),
    'sum_beta_0.2': ('<', pytest.approx(0.45)),
    'sum_beta_2': ('<', pytest.approx(0.45)),
  }
  assert intervals.verdict(found.contrasts) == 'pass'


def test_a_larger_coefficient_adds_up_what_it_recovers_and_what_it_gains():
  """Beta .2: a quarter at 3 / 4; beta 2: all of it at 1 / 5."""
  numbers = small.numbers(instruct.repaired(tables()))
  assert numbers['share_beta_0.2'] == pytest.approx(0.25)
  assert numbers['reward_beta_0.2'] == pytest.approx(-0.25)
  assert numbers['sum_beta_0.2'] == pytest.approx(0)
  assert numbers['sum_beta_2'] == pytest.approx(1 - 0.8)
  assert 'share_beta_0' not in numbers  # smaller than that of PPO
  few = tables()
  few['rl_curve'] = few['rl_curve'].query('kl_coef < 0.01')
  with pytest.raises(NotRunError, match='no long run of a larger kl_coef'):
    instruct.repaired(few)


@pytest.mark.parametrize(
  ('change', 'wrong'),
  [
    ({'nats': NATS | {'ptx': 1.3}}, 'share_ptx'),
    ({'gain': GAIN | {'ptx': 1.8}}, 'reward_ptx'),
    ({'gain': GAIN | {'beta_2': 1.99}}, 'sum_beta_2'),
  ],
)
def test_a_mix_that_repairs_little_or_costs_reward_fails(change, wrong):
  found = instruct.repaired(tables(**change))
  assert intervals.verdict(found.contrasts) == 'fail'
  for contrast in found.contrasts:
    alone = intervals.verdict([contrast])
    assert alone == ('fail' if contrast.name == wrong else 'pass')


def test_where_ppo_loses_nothing_there_is_nothing_to_repair():
  found = instruct.repaired(tables(nats=NATS | {'ppo': 1.0}))
  numbers = small.numbers(found)
  assert numbers['cost'] == 0 and math.isnan(numbers['share_ptx'])
  assert intervals.verdict(found.contrasts) != 'pass'


def test_gold_at_the_middle_is_held_against_both_ends():
  """Half b of the robust runs, of gold 9, is no part of the scan."""
  found = instruct.middle_is_best(tables())
  numbers = small.numbers(found)
  assert numbers['middle_minus_zero'] == pytest.approx(0.6)
  assert numbers['middle_minus_largest'] == pytest.approx(0.8)
  assert numbers['gold_0.001'] == pytest.approx(0.5)
  assert intervals.verdict(found.contrasts) == 'pass'
  flat = tables(gold=GOLD | {'beta_0': 1.2})
  assert intervals.verdict(instruct.middle_is_best(flat).contrasts) == 'fail'
  few = tables()
  few['rl_curve'] = few['rl_curve'].query('kl_coef != 0')
  with pytest.raises(NotRunError, match='kl_coef 0, 0.2 and a larger one'):
    instruct.middle_is_best(few)


def players(rates, large=16_000):
  """Win rates of the small policy against a large and a middling model."""
  rows, games = [], []
  for seed, rate in zip(small.SEEDS, rates, strict=True):
    run = {'role': 'tax', 'size': 'S', 'seed': seed}
    for policy, params in (
      ('pi_0', 1_000),
      ('rlhf', 1_000),
      ('plain_M', 4_000),
      ('plain_L', large),
    ):
      rows.append(run | {'policy': policy, 'model_params': params})
    for opponent, won in (('plain_L', rate), ('plain_M', 0.7), ('ptx', 0.1)):
      own = {'player': 'rlhf', 'opponent': opponent, 'win_rate': won}
      other = {'player': opponent, 'opponent': 'rlhf', 'win_rate': 1 - won}
      games += [run | own, run | other]
  return {
    'tax': small.table('tax', rows),
    'win_rates': small.table('win_rates', games),
  }


def test_a_small_policy_is_held_against_the_largest_plain_model():
  rates = [0.6, 0.62, 0.64]
  found = instruct.small_beats_large(players(rates))
  numbers = small.numbers(found)
  assert small.ends(found, 'win_rate') == pytest.approx(
    small.logit_interval(rates)
  )
  assert numbers['times_larger'] == 16
  assert numbers['against_plain_M'] == pytest.approx(0.7)
  assert intervals.verdict(found.contrasts) == 'pass'
  lost = instruct.small_beats_large(players([0.4, 0.42, 0.44]))
  assert intervals.verdict(lost.contrasts) == 'fail'


def test_a_model_that_is_not_much_larger_is_no_test():
  with pytest.raises(NotRunError, match='4.0 times .* wanted 10'):
    instruct.small_beats_large(players([0.6] * 3, large=4_000))


def test_runs_that_lack_the_mix_are_said():
  few = tables()
  few['rl_curve'] = few['rl_curve'].query('role != "ptx"')
  with pytest.raises(NotRunError, match='no long run of ptx'):
    instruct.repaired(few)


def test_the_figure_has_a_place_for_each_coefficient_and_two_lines_across():
  found = tables()
  canvas = figures.Canvas(found)
  kl_coefficients(canvas, found)
  gain, _, kl, nats = canvas.figure.axes
  (line,) = [x for x in gain.lines if x.get_label() == 'PPO']
  assert np.round(line.get_ydata(), 9).tolist() == [2.02, 2.0, 1.5, 0.4]
  ticks = [x.get_text() for x in gain.get_xticklabels()]
  assert ticks == ['0', '0.001', '0.2', '2']
  across = {x.get_label(): x.get_ydata()[0] for x in nats.lines[1:]}
  assert across == pytest.approx({r'$\pi_0$': 1.0, 'PPO-ptx': 1.1})
  assert [x.get_ydata()[0] for x in kl.lines[1:]] == [0, 4]
