"""Tables in the shape of docs/tables.md whose claims are known.

`make_tables(seed)` is a study in which every judged claim holds.
`make_tables(seed, truth=False)` is one in which none does but claim 11 (a
policy must gain something for the others to be measurable).
`make_null_tables(seed)` has coin-flip labels and policies that learn nothing.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

SIZES = {'3K': 3_456, '13K': 13_824, '42K': 38_400, '197K': 196_608}
POLICIES = ('13K', '42K', '197K')
INERT = ('13K', 'inert')
SEEDS = (100, 101, 102)
N_PAIRS = 12_000
PAIRS = (480, 960, 1_920, 3_840, 7_680, 15_360)


def make_tables(seed=0, truth=True, seeds=SEEDS, n_pairs=N_PAIRS):
  """A whole study as tables; `truth` says whether its claims hold."""
  rng = np.random.default_rng(seed)
  return {
    'lm': _lm(),
    'pm_curve': _pm_curve(rng, seeds, truth),
    'pm_pairs': _pm_pairs(rng, seeds, truth, n_pairs),
    'rl_curve': _rl_curve(rng, seeds, truth),
    'rl_pi0': _rl_pi0(seeds, truth),
    'programs': pd.DataFrame(
      {'program': ['lm_step'], 'seconds': [3.0], 'count': [1], 'worker': [0]}
    ),
  }


def make_null_tables(seed=0, seeds=SEEDS, n_pairs=N_PAIRS):
  """Nothing learnt anywhere: labels are coins, curves are noise."""
  rng = np.random.default_rng(seed)
  tables = make_tables(seed, seeds=seeds, n_pairs=n_pairs)
  curve = tables['pm_curve']
  curve['accuracy'] = 0.5 + 0.01 * rng.standard_normal(len(curve))
  curve['expected_accuracy'] = 0.5
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
  tables['rl_pi0']['mean'] = 0.0
  return tables


def real(tables):
  """The same tables as if measured on real data: nothing gold, no p_label."""
  unknown = {
    'pm_curve': ['expected_accuracy'],
    'pm_pairs': ['p_label'],
    'rl_curve': ['gold', 'gold_se', 'win_rate', 'win_rate_se'],
  }
  return {
    name: table.assign(**dict.fromkeys(unknown.get(name, []), np.nan))
    for name, table in tables.items()
  }


def _run(role, size, seed, half='all', tag=''):
  return {
    'run_id': f'{role}{tag}/{size}/{half}/seed{seed}',
    'seed': seed,
    'config_hash': 'c0ffee',
    'commit': 'abc1234',
    'role': role,
    'size': size,
    'n_params': SIZES[size],
    'half': half,
  }


def _lm():
  return pd.DataFrame(
    [
      _run('lm', size, 0)
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
  return run | {
    'train_subset': train,
    'schedule': schedule,
    'pairs': pairs,
    'eval_subset': test,
    'accuracy': accuracy + 0.002 * rng.standard_normal(),
    'expected_accuracy': accuracy,
    'n_eval': 4_096,
  }


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
          run = _run('scaling', size, seed, tag=f'-{train}')
          args = run, train, 'constant', pairs, train, accuracy, rng
          rows.append(_curve_row(*args))
    for train in ('helpful', 'harmless'):
      for test in ('helpful', 'harmless'):
        cross = 0.35 if truth else 0.62
        accuracy = 0.7 if train == test else cross
        accuracy += 0.005 * rng.standard_normal()
        run = _run('single', '197K', seed, tag=f'-{train}')
        args = run, train, 'decay', 15_360, test, accuracy, rng
        rows.append(_curve_row(*args))
    for role, half in (
      ('rl', 'a'),
      ('rl', 'b'),
      ('robust', 'a'),
      ('robust', 'b'),
    ):
      accuracy = 0.68 + 0.003 * rng.standard_normal()
      run = _run(role, '197K', seed, half)
      args = run, 'mix', 'decay', 15_360, 'mix', accuracy, rng
      rows.append(_curve_row(*args))
  return pd.DataFrame(rows)


def scored_pairs(rng, n, t=1.0, shrink=0.6, first=1.2, long=False):
  """Scored pairs with P(higher-scored is preferred) = sigmoid(t |delta|).

  `shrink` makes delta smaller where both scores are high, `first` makes it
  larger on turn 1, `long` makes the preferred reply the longer one.
  """
  turn_N = rng.integers(1, 5, n)
  level_N = rng.standard_normal(n)
  spread_N = 1.2 * np.exp(-shrink * level_N) * np.where(turn_N == 1, first, 1)
  delta_N = spread_N * rng.standard_normal(n)
  p_N = expit(t * delta_N)
  sign_N = np.where(rng.random(n) < p_N, 1, -1)
  words_2N = rng.integers(5, 25, (2, n))
  if long:
    words_2N = np.sort(words_2N, axis=0)[::-1]
  return pd.DataFrame(
    {
      'pair_id': np.arange(n),
      'prompt_id': np.arange(n) // 2,
      'subset': np.where(rng.random(n) < 0.8, 'helpful', 'harmless'),
      'turn': turn_N,
      'score_chosen': 2 * level_N + sign_N * delta_N / 2,
      'score_rejected': 2 * level_N - sign_N * delta_N / 2,
      'p_label': expit(t * sign_N * delta_N),
      'words_chosen': words_2N[0],
      'words_rejected': words_2N[1],
    }
  )


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
      run = _run(role, '197K', seed)
      extra = {'train_subset': train, 'schedule': 'decay', 'pairs': 15_360}
      frames.append(frame.assign(**run, **extra))
  return pd.concat(frames, ignore_index=True)


def _rl_rows(run, samples, root, columns, kl_coef, rng):
  noise = lambda scale: scale * rng.standard_normal(len(samples))
  kl = root**2
  return pd.DataFrame(
    {
      'iteration': np.arange(len(samples)),
      'samples': samples,
      'kl': kl,
      'kl_se': 0.02 * kl + 0.002,
      'kl_k1': kl + noise(0.05),
      'kl_k3': kl + noise(0.02),
      'truncated': 0.04,
      'train_pm_se': 0.01,
      'test_pm_se': 0.01,
      'gold_se': 0.02,
      'win_rate_se': 0.01,
      'distinct': 0.9,
      **columns,
    }
  ).assign(kl_coef=kl_coef, pm_size='197K', pm_pairs=15_360, **run)


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
  run = _run(role, size, seed, 'a')
  kl_coef = 0.0 if role == 'inert' else 0.001
  return _rl_rows(run, 20_480 * u, root, columns, kl_coef, rng)


def _robust_rows(rng, seed, half, pair_noise, truth):
  u = np.linspace(0, 1, 41)
  gain = 2.6 * (1 - np.exp(-3 * u)) + 0.6 * u
  gap = 0.4 * np.maximum(u - 0.12, 0) + pair_noise * np.minimum(u, 0.1)
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
  run = _run('robust', '13K', seed, half)
  return _rl_rows(run, 51_200 * u, 6.5 * u**0.7, columns, 0.001, rng)


def _rl_curve(rng, seeds, truth):
  frames = []
  for position, seed in enumerate(seeds):
    rise = 0.45 + 0.01 * rng.standard_normal()
    for size, role in (*((size, 'linear') for size in POLICIES), INERT):
      frames.append(_linear_rows(rng, seed, size, role, truth, rise))
    # Centred: the PM pairs of a true study agree early, on average.
    pair_noise = position - (len(seeds) - 1) / 2
    for half in 'ab':
      frames.append(_robust_rows(rng, seed, half, pair_noise, truth))
  return pd.concat(frames, ignore_index=True)


def _rl_pi0(seeds, truth):
  rows = []
  sign = 1 if truth else -1
  for seed in seeds:
    runs = [
      (_run('linear', size, seed, 'a'), sign * start_score(size))
      for size in POLICIES
    ]
    runs += [(_run('robust', '13K', seed, half), 0.0) for half in 'ab']
    for run, s0 in runs:
      shift = 0.0
      if run['role'] == 'robust':
        shift = 0.3 if run['half'] == 'a' else -0.3
      means = {'train': s0, 'test': 0.9 * s0 + shift, 'gold': s0}
      for scorer, mean in means.items():
        rows.append(
          run
          | {
            'scorer': scorer,
            'mean': mean,
            'se': 0.005,
            'within_variance': 0.5 if truth else 0.005,
            'pooled_variance': 0.8,
            'n_prompts': 200,
            'n_samples': 40,
          }
        )
  return pd.DataFrame(rows)
