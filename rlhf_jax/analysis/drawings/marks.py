"""Labels and rows that several drawings have in common.

A drawing takes a `figures.Canvas` and the tables, and raises `NotRunError`
when the rows it needs are missing. It computes nothing that a verdict rests on:
the fits and intervals are those of the other modules of `analysis`. KL is the
exact per-prefix sum, in nats per reply. Figure numbers are those of Bai et al.
2022.
"""

import numpy as np

from rlhf_jax.analysis.findings import by_size, select
from rlhf_jax.analysis.intervals import t_interval

SAMPLES = 'RL samples (replies)'
PARAMS = 'non-embedding parameters'
ACCURACY = 'test accuracy'
SQRT_KL = r'$\sqrt{\mathrm{KL}(\pi\,||\,\pi_0)}$ (sqrt nats per reply)'
TWO_SIDED = 1.96  # standard errors of a 95 % interval
POINTS = {'alpha': 0.5, 'rasterized': True}  # thousands of them, in an SVG
WIDTHS = (3, 2)  # of a panel of values and one of their differences
# Means of several things side by side, told apart without colour too.
MEANS = tuple({'color': f'C{i}', 'marker': m} for i, m in enumerate('os^'))


def size_axis(axis, frame):
  """A logarithmic axis of parameters, with a tick named after each size.

  Its label is that of the whole figure, where that has the same one.
  """
  ladder = [(rows['n_params'].min(), size) for size, rows in by_size(frame)]
  shared = axis.figure.get_supxlabel() == PARAMS
  axis.set(xlabel='' if shared else PARAMS, xscale='log')
  axis.set_xticks(*zip(*ladder, strict=True))
  axis.set_xticks([], minor=True)


def rl_rows(tables, role):
  """RL runs of a role in order of samples, with `root`, the sqrt of KL."""
  rows = select(tables, 'rl_curve', role=role).sort_values('samples')
  return rows.assign(root=np.sqrt(rows['kl'].clip(lower=0)))


def seed_bar(axis, place, values, **style):
  """The mean of one value a seed, with its 95 % t-interval as a bar.

  A seed alone has no bar; a value that is not finite leaves nothing to draw.
  """
  one = t_interval(list(values))
  half = one.high - one.mean
  style = MEANS[place % len(MEANS)] | {'ls': '', 'ms': 7, 'capsize': 5} | style
  axis.errorbar(place, one.mean, half if np.isfinite(half) else None, **style)


def seed_lines(axis, table, names, **style):
  """The values of each seed, joined, and bars of their means.

  Args:
    axis: with a place for each column.
    table: a row a seed.
    names: column -> its name on the axis, left to right.
    **style: of all bars; {}: each has a marker of its own.
  """
  for value_N in table[list(names)].to_numpy(float):
    axis.plot(value_N, color='0.7', lw=0.8, marker='.', ms=5)
  axis.lines[-1].set_label('a seed')
  for place, name in enumerate(names):
    seed_bar(axis, place, table[name], **style)
  _name_places(axis, names.values())


def seed_places(axis, values, styles=None):
  """Bars of means over seeds, a place each.

  Args:
    axis: with a place for each.
    values: name on the axis -> one value a seed.
    styles: name -> style of its bar; None: each has a marker of its own.
  """
  for place, (name, own) in enumerate(values.items()):
    seed_bar(axis, place, own, **(styles or {}).get(name, {}))
  _name_places(axis, values)


def seed_differences(axis, values):
  """Bars of differences over seeds, and the 0 that a claim bounds them by.

  Args:
    axis: with a place for each.
    values: name on the axis -> one value a seed.
  """
  seed_places(axis, values)
  axis.axhline(0, color='0.3', ls='--', lw=1, label='bound of the claim')


def _name_places(axis, names):
  axis.set_xticks(range(len(names)), names)
  axis.set_xlim(-0.6, len(names) - 0.4)
