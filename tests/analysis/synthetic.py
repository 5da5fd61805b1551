"""Tables in the shape of docs/tables.md whose claims are known.

`make_tables(seed)` is a study in which every judged claim holds.
`make_tables(seed, truth=False)` is one in which none does but claim 11 (a
policy must gain something for the others to be measurable).
`make_null_tables(seed)` has coin-flip labels and policies that learn nothing.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from rlhf_jax.analysis.operating import online
from rlhf_jax.analysis.operating.methods import GAIN, after_rows, method_rows
from rlhf_jax.analysis.operating.tables import (
  POLICIES,
  SIZES,
  accuracy_row,
  bent,
  bent_frontier,
  checkpoints,
  gaussian_frontier,
  pi0_row,
  run_of,
  scored_pairs,
  subset_rows,
)
from tests.analysis import synthetic_distillation as distillation

INERT = ('13K', 'inert')
SEEDS = tuple(range(100, 108))
N_PAIRS = 12_000
PAIRS = (480, 960, 1_920, 3_840, 7_680, 15_360)


def make_tables(seed=0, truth=True, seeds=SEEDS, n_pairs=N_PAIRS):
  """A whole study as tables; `truth` says whether its claims hold."""
  rng = np.random.default_rng(seed)
  return {
    'lm': _lm(),
    'pm_curve': pd.concat(
      [_pm_curve(rng, seeds, truth), _after(seed, seeds, truth)],
      ignore_index=True,
    ),
    'pm_pairs': _pm_pairs(rng, seeds, truth, n_pairs),
    'rl_curve': _rl_curve(rng, seeds, truth),
    'rl_pi0': _rl_pi0(seeds, truth),
    **_frontier(seeds, truth),
    'methods': _methods(rng, seeds, truth),
    **distillation.make_tables(rng, seeds, truth),
    **online_tables(np.random.default_rng([seed, 28]), seeds, truth),
    'programs': pd.DataFrame(
      {'program': ['lm_step'], 'seconds': [3.0], 'count': [1], 'worker': [0]}
    ),
  }


def make_null_tables(seed=0, seeds=SEEDS, n_pairs=N_PAIRS):
  """Nothing learnt anywhere: labels are coins, curves are noise."""
  rng = np.random.default_rng(seed)
  tables = make_tables(seed, seeds=seeds, n_pairs=n_pairs)
  curve = tables['pm_curve']
  own = ~curve['role'].str.startswith('after_')
  noise_N = 0.01 * rng.standard_normal(own.sum())
  curve.loc[own, 'accuracy'] = 0.5 + noise_N
  curve.loc[own, 'expected_accuracy'] = 0.5
  _learn_nothing(np.random.default_rng([seed, 54]), curve[~own], tables)
  pairs = tables['pm_pairs']
  flip = rng.random(len(pairs)) < 0.5
  columns = ['score_chosen', 'score_rejected']
  pairs.loc[flip, columns] = pairs.loc[flip, columns[::-1]].to_numpy()
  pairs['p_label'] = 0.5
  rl = tables['rl_curve']
  for column in ('train_pm', 'test_pm', 'gold', 'entropy'):
    rl[column] = 0.1 * rng.standard_normal(len(rl))
  for column in ('pm_win_rate', 'win_rate'):
    rl[column] = 0.5 + 0.01 * rng.standard_normal(len(rl))
  subsets = tables['rl_subsets']
  for column in ('train_gain', 'test_gain', 'gold_gain'):
    subsets[column] = 0.1 * rng.standard_normal(len(subsets))
  tables['rl_pi0']['mean'] = 0.0
  distillation.learn_nothing(tables, rng)
  scored = tables['tranche_pairs']
  for column in columns:
    scored[column] = rng.standard_normal(len(scored))
  scored['p_label'] = 0.5
  for name, column in (
    ('online_policies', 'accuracy'),
    ('online_policies', 'expected_accuracy'),
    ('matches', 'win_rate'),
  ):
    count = len(tables[name])
    tables[name][column] = 0.5 + 0.01 * rng.standard_normal(count)
  return tables


def _learn_nothing(rng, after, tables):
  """Pretrained models and methods at chance, changed in place."""
  chance = lambda rows: 0.5 + 0.01 * rng.standard_normal(len(rows))
  curve, methods = tables['pm_curve'], tables['methods']
  for column in ('accuracy', 'expected_accuracy'):
    curve.loc[after.index, column] = chance(after)
  methods['accuracy'] = chance(methods)


def real(tables):
  """The same tables as if measured on real data: nothing gold, no p_label."""
  unknown = {
    'pm_curve': ['expected_accuracy'],
    'pm_pairs': ['p_label'],
    'rl_curve': ['gold', 'gold_se', 'win_rate', 'win_rate_se'],
    'rl_subsets': ['gold_gain', 'gold_gain_se'],
    'tranche_pairs': ['p_label'],
    'online_policies': ['gold', 'expected_accuracy'],
    'matches': ['win_rate'],
  }
  return {
    name: table.assign(**dict.fromkeys(unknown.get(name, []), np.nan))
    for name, table in tables.items()
  }


def online_tables(rng, seeds, truth):
  """Tranches that grow better and harder; where false, all the other way."""
  pairs = online.calibrated_top(rng, seeds, 'effect')['tranche_pairs']
  policies = online.policies_rank(rng, seeds, 'effect')['online_policies']
  games = online.preferred(rng, seeds, 'effect')['matches']
  policies['gold'] = 0.0
  if not truth:
    swapped = lambda a, b: {a: b, b: a}
    pairs = pairs.replace(
      {
        'tranche': swapped('base', 'online'),
        'pm': swapped('thirds', 'base_only'),
      }
    )
    policies = policies.replace({'policy': swapped('pi_0', 'final')})
    games['win_rate'] = 1 - games['win_rate']
  return {'tranche_pairs': pairs, 'online_policies': policies, 'matches': games}


def _lm():
  return pd.DataFrame(
    [
      run_of('lm', size, 0)
      | {
        'tokens': tokens,
        'nats_per_token': 2.0 - 0.1 * np.log(n * tokens) / 10,
        'gold': 0.1 * np.log(n),
      }
      for size, n in SIZES.items()
      for tokens in (1e5, 1e6)
    ]
  )


def _curve_row(run, train, schedule, pairs, test, accuracy, rng):
  sampled = accuracy + 0.002 * rng.standard_normal()
  return accuracy_row(run, train, schedule, pairs, test, accuracy, sampled)


def _pm_curve(rng, seeds, truth):
  sign = 1 if truth else -1
  rows = []
  for seed in seeds:
    for size, n in SIZES.items():
      for train, noise in (('mix', 0.001), ('helpful', 0.001)):
        trend = sign
        if train == 'helpful' and not truth:
          trend, noise = 0.0, 0.02
        for k, pairs in enumerate(PAIRS):
          # The mixture is the less regular one, as in the paper.
          wiggle = 0.004 * (-1) ** k if train == 'mix' else 0.0
          accuracy = (
            0.6
            + wiggle
            + trend * 0.02 * np.log(pairs / 2e3)
            + trend * 0.007 * np.log(n / 2e4)
            + noise * rng.standard_normal()
          )
          run = run_of('scaling', size, seed, tag=f'-{train}')
          args = run, train, 'constant', pairs, train, accuracy, rng
          rows.append(_curve_row(*args))
    for train in ('helpful', 'harmless'):
      for test in ('helpful', 'harmless'):
        cross = 0.35 if truth else 0.62
        accuracy = 0.7 if train == test else cross
        accuracy += 0.005 * rng.standard_normal()
        run = run_of('single', '197K', seed, tag=f'-{train}')
        args = run, train, 'decay', 15_360, test, accuracy, rng
        rows.append(_curve_row(*args))
    for role, half in (
      ('rl', 'a'),
      ('rl', 'b'),
      ('robust', 'a'),
      ('robust', 'b'),
      ('online0', 'all'),
    ):
      accuracy = 0.68 + 0.003 * rng.standard_normal()
      run = run_of(role, '197K', seed, half)
      args = run, 'mix', 'decay', 15_360, 'mix', accuracy, rng
      rows.append(_curve_row(*args))
  return pd.DataFrame(rows)


def _pm_pairs(rng, seeds, truth, n):
  frames = []
  for seed in seeds:
    for role, train in (('calibration', 'helpful'), ('mixture', 'mix')):
      sharp = {'calibration': 1.0, 'mixture': 1.5}[role]
      if not truth:
        sharp = {'calibration': 0.5, 'mixture': 0.9}[role]
      frame = scored_pairs(
        rng,
        n,
        t=sharp,
        shrink=0.6 if truth else -0.6,
        first=1.2 if truth else 0.6,
        long=not truth,
      )
      if role == 'calibration':
        frame['subset'] = 'helpful'
      run = run_of(role, '197K', seed)
      extra = {'train_subset': train, 'schedule': 'decay', 'pairs': 15_360}
      frames.append(frame.assign(**run, **extra))
  return pd.concat(frames, ignore_index=True)


def start_score(size):
  """The score of pi_0 of one policy size under the shared train PM."""
  return 0.2 * POLICIES.index(size)


def _linear_rows(rng, seed, size, role, truth, rise):
  u = np.linspace(0, 1, 41)
  root = 4.5 * u**0.8
  early = np.minimum(root, 3.5)
  late = 0.2 * (root - early)
  gain = rise * (early + late)
  if not truth:
    gain = (0.1 + 0.3 * POLICIES.index(size)) * root**2
  if role == 'inert':
    gain = gain * (1.0 if truth else 1.3)
  s0 = start_score(size) * (1 if truth else -1)
  noise = lambda: 0.005 * rng.standard_normal(len(u)) * (u > 0)
  columns = {
    'train_pm': s0 + gain + noise(),
    'test_pm': 0.9 * (s0 + gain) + noise(),
    'gold': s0 + 2 * gain,
    'pm_win_rate': expit(gain),
    'win_rate': expit(gain),
    'entropy': 1.0 + (-0.6 if truth else 0.6) * u + noise(),
    'length': 14 + 5 * u,
  }
  run = run_of(role, size, seed, 'a')
  kl_coef = 0.0 if role == 'inert' else 0.001
  return checkpoints(run, 20_480 * u, root, columns, kl_coef)


def _robust_rows(rng, seed, half, pair_noise, truth):
  u = np.linspace(0, 1, 41)
  gain = 2.6 * (1 - np.exp(-3 * u)) + 0.6 * u
  gap = 0.4 * np.maximum(u - 0.2, 0) + pair_noise * np.minimum(u, 0.1)
  gold = 4 * (u - 0.9 * u**2)
  win = expit(gold)
  if not truth:
    gap = np.where(u > 0, 0.5 * (1.2 - u), 0.0)
    gold = 6 * u
    win = expit(gold)
  shift = 0.3 if half == 'a' else -0.3
  noise = lambda: 0.001 * rng.standard_normal(len(u)) * (u > 0)
  columns = {
    'train_pm': gain + noise(),
    'test_pm': gain - gap + shift + noise(),
    'gold': gold,
    'pm_win_rate': expit(gain),
    'win_rate': win,
    'entropy': 1.0 - 0.6 * u,
    'length': 14 + 5 * u,
  }
  run = run_of('robust', '13K', seed, half)
  return checkpoints(run, 51_200 * u, 6.5 * u**0.7, columns)


def _rl_curve(rng, seeds, truth):
  frames = []
  for position, seed in enumerate(seeds):
    rise = 0.45 + 0.01 * rng.standard_normal()
    for size, role in (*((size, 'linear') for size in POLICIES), INERT):
      frames.append(_linear_rows(rng, seed, size, role, truth, rise))
    # Centred: the PM pairs of a true study agree early, on average.
    pair_noise = 0.1 * (position - (len(seeds) - 1) / 2)
    for half in 'ab':
      frames.append(_robust_rows(rng, seed, half, pair_noise, truth))
  return pd.concat(frames, ignore_index=True)


def _after(seed, seeds, truth):
  """Pretraining helps, most with few pairs; in a false study it does harm."""
  rng = np.random.default_rng([seed, 53])
  noise = lambda: 0.002 * rng.standard_normal()
  gain_D = np.array(GAIN) if truth else np.array([-0.2, -0.15, -0.1, -0.05])
  behind = 0.03 if truth else -0.03
  rows = [row for s in seeds for row in after_rows(s, gain_D, behind, noise)]
  return pd.DataFrame(rows)


def _methods(rng, seeds, truth):
  """Ranking leads by more at larger sizes; in a false study it falls behind."""
  sign, noise = 1 if truth else -1, lambda: 0.002 * rng.standard_normal()
  lead = {'binary': 0.0 if truth else 0.1}
  rows = []
  for seed in seeds:
    for place, size in enumerate(SIZES):
      lead['ranked'] = sign * 0.05 * (1 + place)
      rows += method_rows(seed, size, lead, noise)
  return pd.DataFrame(rows)


def _variance(truth):
  """V of pi_0: so small that no gain of a false study is possible."""
  return 0.5 if truth else 0.005


# Role of the run -> bows of its frontier on helpful and on harmless prompts.
BOWS = {
  'linear': (0.0, -0.1),
  'robust': (-0.02, -0.08),
  'helpful_pm': (-0.01, -0.06),
}


def _frontier(seeds, truth):
  """Frontiers of all prompts and of each kind, and the policies on the latter.

  A true policy has half of its frontier's gain at each KL; a false one bends
  the other way.
  """
  V, b_N = _variance(truth), np.geomspace(1e-2, 1e3, 240)
  edges, curves = [], []
  root_N = np.linspace(0, 2, 21)
  for seed in seeds:
    for size in POLICIES:
      run = run_of('linear', size, seed, 'a')
      edges.append(gaussian_frontier(run, V, b_N))
    for role, pair in BOWS.items():
      run = run_of(role, '13K', seed, 'a')
      for subset, bow in zip(('helpful', 'harmless'), pair, strict=True):
        labels = {'pm': f'the PM of {role}', 'subset': subset}
        edges.append(bent_frontier(run, bow, 1.0, **labels))
        own = bow + 0.001 * (seed % 3) if truth else -bow
        gain_N = bent(root_N / 2, own)
        args = run, subset, 256 * np.arange(21), root_N, gain_N
        curves.append(subset_rows(*args))
  return {
    'frontier': pd.concat(edges, ignore_index=True),
    'rl_subsets': pd.concat(curves, ignore_index=True),
  }


def _rl_pi0(seeds, truth):
  rows = []
  sign = 1 if truth else -1
  for seed in seeds:
    runs = [
      (run_of('linear', size, seed, 'a'), sign * start_score(size))
      for size in POLICIES
    ]
    runs += [(run_of('robust', '13K', seed, half), 0.0) for half in 'ab']
    for run, s0 in runs:
      shift = 0.0
      if run['role'] == 'robust':
        shift = 0.3 if run['half'] == 'a' else -0.3
      means = {'train': s0, 'test': 0.9 * s0 + shift, 'gold': s0}
      for scorer, mean in means.items():
        rows.append(pi0_row(run, scorer, mean, _variance(truth)))
  return pd.DataFrame(rows)
