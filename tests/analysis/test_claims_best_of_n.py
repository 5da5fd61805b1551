"""Claims 33 to 36 on curves that are written down."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import elo, gold_forms
from rlhf_jax.analysis.claims import best_of_n
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

SIZES_N = [2**k for k in range(1, 11)]
KL = {n: math.log(n) - (n - 1) / n for n in SIZES_N}


def chosen(gain, scorer='gold', **more):
  """Rows of best_of_n; gain: n -> gain of what the train PM chooses."""
  row = {'subset': 'all', 'chooser': 'train', 'scorer': scorer} | more
  return [
    {'role': 'linear'} | row | {'n': n, 'kl': KL[n], 'gain': gain(n)}
    for n in SIZES_N
  ]


def best(*parts):
  return {'best_of_n': small.table('best_of_n', sum(parts, []))}


def test_elo_steps_are_those_of_workers_and_the_bow_that_of_the_pm():
  """Win rates .6, .7, .8 at k = 4, 16, 64; reward 2 sqrt(KL)."""
  rate = {4: 0.6, 16: 0.7, 64: 0.8}
  parts = []
  for seed in small.SEEDS:
    won = lambda n: rate.get(n, 0.9) - 0.5
    parts.append(chosen(won, 'worker', seed=seed))
    parts.append(chosen(lambda n: 2 * math.sqrt(KL[n]), 'train', seed=seed))
    # A smaller pi_0, and what gold chooses, count for nothing.
    parts.append(chosen(lambda n: -9.0, 'worker', seed=seed, size='S'))
    other = {'chooser': 'gold', 'seed': seed}
    parts.append(chosen(lambda n: -9.0, 'worker', **other))
  found = best_of_n.best_of_k(best(*parts))
  numbers = small.numbers(found)
  rating = elo.elo_from_win_rate([0.5, 0.6, 0.7, 0.8])
  assert numbers['elo_4_minus_1'] == pytest.approx(rating[1])
  assert numbers['elo_16_minus_4'] == pytest.approx(rating[2] - rating[1])
  assert numbers['elo_64_minus_16'] == pytest.approx(rating[3] - rating[2])
  assert numbers['bow_units'] == pytest.approx(0, abs=1e-9)
  assert numbers['sqrt_kl_last'] == pytest.approx(math.sqrt(KL[1024]))
  assert small.sides(found)['bow_units'] == ('inside', (-1.0, 1.0))
  assert small.sides(found)['elo_4_minus_1'] == ('>', 0.0)


def test_few_n_have_no_bow_and_a_table_of_before_has_no_workers():
  parts = chosen(lambda n: n / 4096, 'worker') + chosen(KL.get, 'train')
  short = [row for row in parts if row['n'] <= 128]
  found = best_of_n.best_of_k(best(short))
  assert math.isnan(small.numbers(found)['bow_units'])
  table = best(parts)['best_of_n'].drop(columns='chooser')
  with pytest.raises(NotRunError, match='measured by worker, has no rows'):
    best_of_n.best_of_k({'best_of_n': table})


def policy(slope, seed=0, size='L', start=5.0):
  """Rows of rl_curve whose gains are slope sqrt(KL), and of rl_pi0."""
  run = {'role': 'linear', 'seed': seed, 'size': size}
  curve = [
    run
    | {'iteration': i, 'samples': i, 'kl': (i / 4) ** 2}
    | {'gold': start + slope * i / 4, 'train_pm': 2 * slope * i / 4}
    for i in range(12)
  ]
  pi0 = [
    run | {'scorer': name, 'mean': mean}
    for name, mean in (('gold', start), ('train', 0.0))
  ]
  return curve, pi0


def spending(slopes):
  """slopes: size -> (best-of-n's, PPO's), of gold; twice that of the PM."""
  parts, curve, pi0 = [], [], []
  for seed in small.SEEDS:
    for size, (bon, ppo) in slopes.items():
      for scorer, factor in (('gold', bon), ('train', 2 * bon)):
        gain = lambda n, f=factor: f * math.sqrt(KL[n])
        parts += chosen(gain, scorer, seed=seed, size=size)
      own = policy(ppo, seed, size)
      curve += own[0]
      pi0 += own[1]
  tables = {'rl_curve': curve, 'rl_pi0': pi0, 'best_of_n': parts}
  return {name: small.table(name, rows) for name, rows in tables.items()}


def test_best_of_n_and_ppo_are_compared_at_equal_kl():
  """Slopes 1 and .5: half of sqrt(KL) from .5 to 2.43, 8 checkpoints."""
  found = best_of_n.spends_better(spending({'S': (1.0, 0.5), 'L': (0.3, 0.5)}))
  numbers = small.numbers(found)
  mean = np.mean([i / 4 for i in range(2, 10)])
  assert numbers['gold_S'] == pytest.approx(0.5 * mean, rel=1e-6)
  assert numbers['train_S'] == pytest.approx(1.0 * mean, rel=1e-6)
  assert numbers['gold_L'] == pytest.approx(-0.2 * mean, rel=1e-6)
  assert set(small.sides(found).values()) == {('>=', 0.0)}


def test_a_policy_that_stays_near_pi_0_is_not_compared():
  tables = spending({'L': (1.0, 0.5)})
  curve = tables['rl_curve']
  tables['rl_curve'] = curve[curve['iteration'] < 5]  # three from .5 on
  numbers = small.numbers(best_of_n.spends_better(tables))
  assert math.isnan(numbers['gold_L'])


BETAS = {'S': 0.5, 'M': 0.4, 'L': 0.3}


def forms(best_betas=BETAS, rl_betas=BETAS):
  """Gold in the form of each way, under PMs of three sizes."""
  root = {n: math.sqrt(KL[n]) for n in SIZES_N}
  parts, curve, pms = [], [], []
  for seed in small.SEEDS:
    for pm, beta in best_betas.items():
      rows = {'role': 'best_of_n', 'seed': seed, 'size': 'S', 'half': 'all'}
      rows |= {'pm_params': small.PARAMS[pm], 'pm_pairs': 100}
      parts += chosen(lambda n, b=beta: root[n] * (1 - b * root[n]), **rows)
      few = rows | {'pm_pairs': 10}
      parts += chosen(lambda n: 9.0, **few)
    for pm, beta in rl_betas.items():
      pms.append({'size': pm})
      run = {'role': 'robust' if pm == 'L' else f'under_{pm}', 'size': 'S'}
      for i in range(10):
        d = i / 2
        gold = 3.0 + (d * (1 - beta * math.log(d)) if d else 0)
        row = {'iteration': i, 'samples': i, 'kl': d**2, 'gold': gold}
        curve.append(run | row | {'seed': seed, 'pm_size': pm})
  tables = {'rl_curve': curve, 'pm_curve': pms, 'best_of_n': parts}
  return {name: small.table(name, rows) for name, rows in tables.items()}


def test_each_form_fits_its_own_data_and_beta_falls():
  found = best_of_n.gold_follows_forms(forms())
  numbers = small.numbers(found)
  slope = -0.1 / math.log(4)  # sizes are four times as large, each
  for way in ('best_of_n', 'rl'):
    assert numbers[f'aic_{way}'] < -50
    assert numbers[f'beta_slope_{way}'] == pytest.approx(slope)
    assert numbers[f'beta_{way}_1000'] == pytest.approx(0.5)
    assert numbers[f'r2_{way}'] == pytest.approx(1)
  assert set(small.sides(found).values()) == {('<', 0.0)}


def test_one_size_of_pm_or_two_have_no_slope():
  one = forms(rl_betas={'L': 0.3})
  with pytest.raises(NotRunError, match='rl: one PM size'):
    best_of_n.gold_follows_forms(one)
  two = forms(rl_betas={'M': 0.4, 'L': 0.3})
  numbers = small.numbers(best_of_n.gold_follows_forms(two))
  assert math.isnan(numbers['beta_slope_rl'])
  assert gold_forms.POINTS == 6


def test_pms_of_few_pairs_are_held_against_those_of_all():
  """At n = 64: .1, .6 and 2 of gold by PMs of 10, 40 and 100 pairs."""
  parts = []
  for seed in small.SEEDS:
    for pm in ('S', 'L'):
      for pairs, gain in ((10, 0.1), (40, 0.6), (100, 2.0)):
        own = {'role': 'best_of_n', 'pm_pairs': pairs, 'seed': seed}
        own['pm_params'] = small.PARAMS[pm]
        parts += chosen(lambda n, g=gain: g if n == 64 else 7.0, **own)
  found = best_of_n.little_data(best(parts))
  numbers = small.numbers(found)
  assert numbers['share_1000'] == pytest.approx(0.05)
  assert numbers['share_16000_40_pairs'] == pytest.approx(0.3)
  assert numbers['full_gain_16000'] == pytest.approx(2.0)
  assert numbers['fewest_pairs'] == 10
  assert small.sides(found)['share_1000'] == ('inside', (-0.05, 0.05))
  only = [row for row in parts if row['pm_pairs'] == 100]
  with pytest.raises(NotRunError, match='one number of pairs'):
    best_of_n.little_data(best(only))
