"""Tables of a cross-fitted study, from what each pair is."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis.ranked_pairs import METHODS

N = 400
SIZES = (50, 100, 200, 400, 800)


def scored(accuracy=0.7, seed=0, n=N, subset='helpful', spread=1.0):
  """Rows without a model; exactly so many are right, at random places."""
  rng = np.random.default_rng(seed)
  right = rng.permutation(n) < round(accuracy * n)
  level, gap = rng.normal(size=n), np.abs(rng.normal(size=n)) * spread
  sign = np.where(right, 1, -1)
  words = rng.integers(5, 40, (2, n))
  return pd.DataFrame(
    {
      'pair_id': [f'{subset}{i}' for i in range(n)],
      'prompt_id': [f'{subset}{i // 2}' for i in range(n)],
      'subset': subset,
      'turn': 1 + np.arange(n) % 4,
      'score_chosen': level + sign * gap / 2,
      'score_rejected': level - sign * gap / 2,
      'right': right.astype(float),
      'words_chosen': words[0],
      'words_rejected': words[1],
    }
  )


def tables(**models):
  """Tables of {model: frame of `scored`}; `pairs` is 999 where not said."""
  frames = [
    frame.assign(
      **{'model': name, 'pairs': 999}
      | {k: frame[k] for k in ('pairs',) if k in frame}
    )
    for name, frame in models.items()
  ]
  run = {'run_id': 'cross/s1', 'seed': 1, 'size': '135M', 'n_params': 106}
  return {'cross_pairs': pd.concat(frames, ignore_index=True).assign(**run)}


def drawn():
  """What figures of heads of shares, of pretraining and of sets show."""

  def cell(accuracy, **columns):
    ends = {'accuracy_low': accuracy - 0.02, 'accuracy_high': accuracy + 0.02}
    return columns | {'accuracy': accuracy} | ends

  kinds, befores = ('helpful', 'harmless', 'both'), ('none', 'stackexchange')
  found = {
    'cross_shares': [
      cell(0.5 + x / 10, helpful=x, subset=kind)
      for kind in kinds
      for x in (0.25, 0.5, 0.75)
    ],
    'pretraining_gains': [
      cell(0.55, model='mix', before=before, pairs=n)
      for before in befores
      for n in (100, 1000)
    ],
    'ranked_methods': [
      cell(0.6, set='oasst', method=method) for method in METHODS
    ],
  }
  return {name: pd.DataFrame(rows) for name, rows in found.items()}
