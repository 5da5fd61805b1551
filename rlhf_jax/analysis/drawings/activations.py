"""Pictures and measures of a generative model of activations.

Of Wang et al. 2016 only the abstract and the first paragraph could be read: the
models behind these figures are a reconstruction of its idea.
"""

import numpy as np

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.findings import keep, select

PICTURES = 'activation_pictures'
GAP = 1  # pixels between pictures
EXAMPLES = 3
NAMES = {
  'input': 'input',
  'truth': 'truth',
  'gradient_times_input': 'grad x input',
  'autoencoder': 'autoencoder',
  'class_mean': 'class mean',
  'top_down': 'top-down',
  'no_bottom_up': 'no bottom-up',
  'no_top_down': 'no top-down',
  'v0': 'V0',
  'v1': 'V1',
  'v2': 'V2',
}
RECONSTRUCT = ('autoencoder', 'class_mean', 'top_down')
MODELS = ('v0', 'v1', 'v2')
PANELS = (
  ('overlap', ('all',), 'iou_margin', 'IoU own - other'),
  ('blend', ('all',), 'mse', 'error of blends'),
  ('occlusion', ('20', '35', '50'), 'mse', 'error of hidden pixels'),
  ('occlusion', ('20', '35', '50'), 'accuracy', 'accuracy when recovered'),
)
SHOWN = (
  *('input', 'deconv', 'guided', 'gradient_times_input'),
  *('autoencoder', 'class_mean', 'top_down'),
  *('no_bottom_up', 'no_top_down', 'no_switches', 'passes_1'),
  *MODELS,
)


def decoded(pixels, side):
  """[side, side] grey values in [0, 1] of a row of pictures."""
  return (
    np.frombuffer(bytes.fromhex(pixels), np.uint8).reshape(side, side) / 255
  )


def mosaic(canvas, rows, lines, columns):
  """Draws pictures in a grid, with the columns' names above.

  Args:
    canvas: figures.Canvas.
    rows: of activation_pictures, of one run.
    lines: (case, example, which) of each line; which is '_0', '_1' or ''.
    columns: methods; those without pictures of a hypothesis have one for both.
  """
  keys = zip(rows['case'], rows['example'], rows['method'], strict=True)
  found = {
    key: decoded(*x)
    for key, x in zip(
      keys, zip(rows['pixels'], rows['side'], strict=True), strict=True
    )
  }
  side = len(next(iter(found.values())))
  step = side + GAP
  sheet = np.full((len(lines) * step + GAP, len(columns) * step + GAP), 0.5)
  for i, (case, example, which) in enumerate(lines):
    for j, method in enumerate(columns):
      picture = found.get((case, example, method + which))
      if picture is None:
        picture = found[case, example, method]
      top, left = i * step + GAP, j * step + GAP
      sheet[top : top + side, left : left + side] = picture
  (axis,) = canvas.panels([''], '', '')
  width = canvas.figure.get_size_inches()[0]
  canvas.figure.set_size_inches(width, width * len(lines) / len(columns) + 1.2)
  axis.imshow(sheet, cmap='gray_r', vmin=0, vmax=1, interpolation='nearest')
  axis.grid(False)
  axis.set_yticks([])
  middle = [j * step + GAP + side / 2 for j in range(len(columns))]
  names = [NAMES.get(method, method) for method in columns]
  axis.xaxis.tick_top()
  axis.set_xticks(middle, names, rotation=60, ha='left')
  axis.tick_params(length=0)
  for spine in axis.spines.values():
    spine.set_visible(False)


def _pictures(tables, query):
  """Pictures of a query of the first seed that has any."""
  rows = select(tables, PICTURES, query=query)
  return rows[rows['seed'] == rows['seed'].min()]


def overlapping_digits(canvas, tables):
  """Two overlapping digits, each recovered by clamping its class.

  Two lines an example, one for each class. The first three baselines give maps,
  not pictures: they are drawn over their largest value, on ink alone. The
  autoencoder has no clamp and gives one picture for both. V2 is shown with each
  class clamped alone.
  """
  rows = _pictures(tables, 'overlap')
  examples = sorted(rows['example'].unique())[:EXAMPLES]
  lines = [('all', x, f'_{k}') for x in examples for k in range(2)]
  maps = ('deconv', 'guided', 'gradient_times_input')
  columns = ('input', *maps, *RECONSTRUCT, *MODELS, 'truth')
  mosaic(canvas, rows, lines, columns)


def blended_digits(canvas, tables):
  """Blends of two digits as each of their classes has them.

  Two lines a blend: the first class clamped, then the second. The truth is the
  digit of that class that was blended in.
  """
  rows = _pictures(tables, 'blend')
  cases = list(rows['case'].unique())[:EXAMPLES]
  lines = [(case, 0, f'_{k}') for case in cases for k in range(2)]
  columns = ('input', *RECONSTRUCT, 'no_bottom_up', 'no_top_down', *MODELS)
  mosaic(canvas, rows, lines, (*columns, 'truth'))


def occluded_digits(canvas, tables):
  """Digits recovered from behind a square of 20, 35 and 50 per cent.

  What is observed is kept; the grey pixels are filled. No class is clamped.
  """
  rows = _pictures(tables, 'occlusion')
  cases = sorted(rows['case'].unique())
  lines = [(case, example, '') for case in cases for example in range(2)]
  columns = ('input', *RECONSTRUCT, 'no_bottom_up', 'no_top_down', *MODELS)
  mosaic(canvas, rows, lines, (*columns, 'truth'))


def activation_measures(canvas, tables):
  """What every way reaches on the three queries.

  Bars of intervals are 95 % over seeds. Errors are mean squared ones, the lower
  the better; those behind occluders are means over 20, 35 and 50 per cent.
  """
  every = select(tables, 'activation_queries')
  titles = [title for *_, title in PANELS]
  axes = canvas.panels(titles, '', [''] * len(titles))
  width = canvas.figure.get_size_inches()[0]
  canvas.figure.set_size_inches(width, 1.3 * width)
  for axis, (query, cases, measure, _) in zip(axes, PANELS, strict=True):
    where = {'query': query, 'case': list(cases), 'measure': measure}
    rows = keep(every, 'activation_queries.csv', **where)
    shown = [name for name in SHOWN if (rows['method'] == name).any()]
    for place, name in enumerate(shown):
      own = rows[rows['method'] == name]
      mean = intervals.t_interval(own.groupby('seed')['value'].mean())
      half = mean.high - mean.mean
      bar = half if np.isfinite(half) else None
      colour = 'C0' if name in MODELS else '0.55'
      style = {'marker': 'o', 'ms': 4, 'color': colour, 'capsize': 2}
      axis.errorbar(mean.mean, place, xerr=bar, **style)
    axis.set_yticks(
      range(len(shown)), [NAMES.get(x, x.replace('_', ' ')) for x in shown]
    )
