"""Labels and rows that several drawings have in common.

A drawing takes a `figures.Canvas` and the tables, and raises `NotRunError`
when the rows it needs are missing. It computes nothing that a verdict rests on:
the fits and intervals are those of the other modules of `analysis`. KL is the
exact per-prefix sum, in nats per reply. Figure numbers are those of Bai et al.
2022.
"""

import numpy as np

from rlhf_jax.analysis.findings import by_size, select

SAMPLES = 'RL samples (replies)'
PARAMS = 'non-embedding parameters'
ACCURACY = 'test accuracy'
SQRT_KL = r'$\sqrt{\mathrm{KL}(\pi\,||\,\pi_0)}$ (sqrt nats per reply)'
TWO_SIDED = 1.96  # standard errors of a 95 % interval
POINTS = {'alpha': 0.5, 'rasterized': True}  # thousands of them, in an SVG


def size_axis(axis, frame):
  """A logarithmic axis of parameters, with a tick named after each size."""
  ladder = [(rows['n_params'].min(), size) for size, rows in by_size(frame)]
  axis.set(xlabel=PARAMS, xscale='log')
  axis.set_xticks(*zip(*ladder, strict=True))
  axis.set_xticks([], minor=True)


def rl_rows(tables, role):
  """RL runs of a role in order of samples, with `root`, the sqrt of KL."""
  rows = select(tables, 'rl_curve', role=role).sort_values('samples')
  return rows.assign(root=np.sqrt(rows['kl'].clip(lower=0)))
