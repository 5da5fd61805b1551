"""Rows of simulated tables, in the shape of docs/tables.md."""

import numpy as np
import pandas as pd
from scipy.special import expit

SIZES = {'3K': 3_456, '13K': 13_824, '42K': 38_400, '197K': 196_608}
# Rungs of the chapters that scan three.
THREE = {size: SIZES[size] for size in ('3K', '13K', '197K')}
LOWER = {size: SIZES[size] for size in ('3K', '13K', '42K')}
POLICIES = ('13K', '42K', '197K')
LARGEST = '197K'


def run_of(role, size, seed, half='all', tag='') -> dict:
  """The run columns of one run."""
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


def accuracy_row(run, train, schedule, pairs, test, accuracy, sampled) -> dict:
  """A row of pm_curve: expected accuracy, and that of sampled labels."""
  return run | {
    'train_subset': train,
    'schedule': schedule,
    'pairs': pairs,
    'eval_subset': test,
    'accuracy': sampled,
    'expected_accuracy': accuracy,
    'n_eval': 4_096,
  }


def scored_pairs(
  rng, n, t=1.0, shrink=0.6, first=1.2, long=False
) -> pd.DataFrame:
  """Scored pairs with P(higher-scored is preferred) = sigmoid(t |delta|).

  Args:
    rng: NumPy generator.
    n: pairs.
    t: of their calibration.
    shrink: makes delta smaller where both scores are high.
    first: makes it larger on turn 1.
    long: whether the preferred reply is the longer one.
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


def checkpoints(run, samples_N, root_N, columns, kl_coef=0.001) -> pd.DataFrame:
  """Rows of rl_curve of one run; the sampled KL is the exact one.

  Args:
    run: its run columns.
    samples_N: so far, at each checkpoint.
    root_N: sqrt(KL) there.
    columns: what was measured: train_pm, test_pm, gold and so on.
    kl_coef: of the penalty.
  """
  kl_N = np.asarray(root_N) ** 2
  shared = {
    'iteration': np.arange(len(samples_N)),
    'samples': samples_N,
    'kl': kl_N,
    'kl_se': 0.02 * kl_N + 0.0003,
    'kl_k1': kl_N,
    'kl_k3': kl_N,
    'truncated': 0.04,
    'train_pm_se': 0.04,
    'test_pm_se': 0.04,
    'gold_se': 0.08,
    'win_rate_se': 0.01,
    'distinct': 0.9,
    **columns,
    'kl_coef': kl_coef,
    'pm_size': LARGEST,
    'pm_pairs': 12_288,
    **run,
  }
  return pd.DataFrame(shared)


def pi0_row(run, scorer, mean, variance) -> dict:
  """A row of rl_pi0."""
  return run | {
    'scorer': scorer,
    'mean': mean,
    'se': 0.06,
    'within_variance': variance,
    'pooled_variance': 2 * variance,
    'n_prompts': 256,
    'n_samples': 8,
  }


LABELS = {'world': 'classic', 'pm': '197K mix 12288', 'scorer': 'train'}


def frontier_rows(run, b_N, log_mgf_N, gain_N, kl_N, ess=100.0, **labels):
  """Rows of frontier, or of a frame of its columns."""
  columns = {
    **LABELS,
    'subset': 'all',
    'n_prompts': 64,
    'n_replies': 1024,
    'b': b_N,
    'log_mgf': log_mgf_N,
    'gain': gain_N,
    'kl': kl_N,
    'ess': ess,
    **labels,
    **run,
  }
  return pd.DataFrame(columns)


def gaussian_frontier(run, variance, b_N, ess_N=100.0) -> pd.DataFrame:
  """Rows of frontier of Gaussian scores: log E exp(b (r - mean)) = b^2 V / 2.

  The tilted policy gains b V at KL = b^2 V / 2.
  """
  half_N = b_N**2 * variance / 2
  return frontier_rows(run, b_N, half_N, b_N * variance, half_N, ess_N)


def bent_frontier(run, bow, slope, last=2.0, **labels) -> pd.DataFrame:
  """Rows of frontier whose gain over sqrt(KL) has a bow up to `last`.

    gain = slope last ((1 - 4 bow) u + 4 bow u^2),   u = sqrt(KL) / last

  b is the slope of the gain on KL, as it is of any frontier: the cost of one
  more nat is its gain times b.
  """
  u_N = np.linspace(0, 1, 41)[1:]
  gain_N = slope * last * bent(u_N, bow)
  kl_N = (last * u_N) ** 2
  rise_N = slope * (1 - 4 * bow + 8 * bow * u_N) / (2 * last * u_N)
  b_N = 1 / rise_N
  return frontier_rows(run, b_N, b_N * gain_N - kl_N, gain_N, kl_N, **labels)


def bent(u_N, bow):
  """A parabola through (0, 0) and (1, 1) whose bow there is `bow`."""
  return (1 - 4 * bow) * u_N + 4 * bow * u_N**2


def subset_rows(run, subset, samples_N, root_N, gain_N) -> pd.DataFrame:
  """Rows of rl_subsets of one run, all scorers alike."""
  kl_N = np.asarray(root_N) ** 2
  columns = {
    'subset': subset,
    'n_prompts': 512,
    'iteration': np.arange(len(kl_N)),
    'samples': samples_N,
    'kl': kl_N,
    'kl_se': 0.02 * kl_N + 0.0003,
  }
  for name in ('train', 'test', 'gold'):
    columns |= {f'{name}_gain': gain_N, f'{name}_gain_se': 0.04}
  return pd.DataFrame({**columns, **run})
