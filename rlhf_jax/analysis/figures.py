"""Draws and saves the figures of the themes: the one user of matplotlib.

`FIGURES[name](tables, out_dir)` saves one figure of the house and returns its
path, or None when the tables hold nothing to draw. Bands are 95 % t-intervals
over seeds. A colour is a model size, the same in every figure of a study,
unless the legend of the figure says otherwise; a marker tells it too.
"""

import functools
import itertools
import pathlib

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlhf_jax.analysis import findings, intervals
from rlhf_jax.analysis.claims.registry import Registry, load

STYLE = {
  'axes.axisbelow': True,
  'axes.grid': True,
  'axes.prop_cycle': mpl.cycler(color=['#1f6fb4', '#d95f02', '#2a9d55']),
  'axes.spines.right': False,
  'axes.spines.top': False,
  'axes.titlesize': 11.5,
  'font.size': 11,
  'xtick.labelsize': 9.5,
  'ytick.labelsize': 9.5,
  'grid.color': '#e4e4e4',
  'legend.frameon': False,
  'svg.hashsalt': 'rlhf_jax',
}
# Panels of the training of one run, those that it logs.
LOGGED = ('loss', 'policy_loss', 'value_loss', 'accuracy', 'score', 'kl_k1')
# The width at which a page is read: at 400 pixels letters are 9 high.
WIDTH, COLUMNS = 6.4, 2
PANEL_HEIGHT, LEGEND_ROW = 3.1, 0.25
# Lines are told apart by these where colours cannot be seen.
MARKERS = 'osv^D*'
TICKS = 5  # of a linear axis, at most: their labels stay apart


def save(draw, tables, out_dir, suffix='svg') -> pathlib.Path | None:
  """Draws one figure and saves it as `out_dir/NAME.suffix`.

  Args:
    draw: a drawing of a theme (see `drawings.marks`).
    tables: name -> frame, from `runs.read_tables`.
    out_dir: made if missing.
    suffix: 'svg' or 'png'. Equal tables give equal bytes. An SVG is saved as a
      PNG besides, for places that show none, and names in its metadata the
      tables that were read (`chapters.sources` reads them).

  Returns:
    The path, or None when the tables hold nothing to draw.
  """
  path = pathlib.Path(out_dir) / f'{draw.__name__}.{suffix}'
  composed = compose(draw, tables)
  if composed is None:
    return None
  canvas, read = composed
  with mpl.rc_context(STYLE):
    path.parent.mkdir(parents=True, exist_ok=True)
    # The date of drawing would make every redrawn file differ.
    metadata = {'Date': None, 'Source': ', '.join(read)}
    metadata = metadata if suffix == 'svg' else {}
    canvas.figure.savefig(path, metadata=metadata)
    if suffix == 'svg':
      canvas.figure.savefig(path.with_suffix('.png'))
  return path


def compose(draw, tables):
  """Draws one figure with its legend, and saves nothing.

  Returns:
    (Canvas, names of the tables that were read), or None when the tables hold
    nothing to draw.
  """
  with mpl.rc_context(STYLE):
    canvas, noted = Canvas(tables), Noted(tables)
    try:
      draw(canvas, noted)
    except findings.NotRunError:
      return None
    canvas.add_legend()
  return canvas, tuple(noted.read)


class Noted(dict):
  """Tables that remember which of them were read.

  Attributes:
    read: their names, in the order of the first reading, as keys.
  """

  def __init__(self, tables):
    super().__init__(tables)
    self.read = {}

  def __getitem__(self, name):
    frame = super().__getitem__(name)
    self.read[name] = None
    return frame

  def get(self, name, default=None):
    """The table, or the default where there is none."""
    return self[name] if name in self else default


FIGURES = {
  draw.__name__: functools.partial(save, draw) for draw in load().drawings
}


def draw_training(metrics, out_dir, suffix='svg') -> pathlib.Path | None:
  """Draws what one run logged while it trained, against its updates.

  Args:
    metrics: frame of `runs.read_metrics`.
    out_dir: made if missing.
    suffix: 'svg' or 'png'.

  Returns:
    The path of training.suffix, or None where nothing was logged.
  """
  if not {'kind', 'step'} <= set(metrics):
    return None
  rows = metrics[metrics['kind'] == 'train']
  names = [name for name in LOGGED if name in rows and rows[name].notna().any()]
  if not names:
    return None

  def training(canvas, tables):
    titles = [name.replace('_', ' ') for name in names]
    axes = canvas.panels(titles, 'updates', '')
    for axis, name in zip(axes, names, strict=True):
      axis.plot(rows['step'], rows[name], marker='o', ms=2.5)

  return save(training, {}, out_dir, suffix)


def draw_all(
  tables, out_dir, suffix='svg', registry: Registry | None = None
) -> dict[str, pathlib.Path | None]:
  """Draws every figure whose rows are in `tables`, in the order of themes."""
  return {
    draw.__name__: save(draw, tables, out_dir, suffix)
    for draw in (registry or load()).drawings
  }


class Canvas:
  """One figure, and the marks that the drawings have in common.

  Attributes:
    figure: matplotlib figure; nothing global is touched.
    colours: size -> colour, light to dark by the number of parameters.
    markers: size -> marker.
  """

  def __init__(self, tables):
    self.figure = Figure(layout='constrained', dpi=150)
    sizes = [frame[['size', 'n_params']].dropna() for frame in tables.values()]
    sizes = [frame for frame in sizes if len(frame)]
    order = findings.by_size(pd.concat(sizes)) if sizes else []
    names = [size for size, _ in order]
    self.colours = self.shades(names)
    self.markers = dict(zip(names, itertools.cycle(MARKERS), strict=False))

  @staticmethod
  def shades(keys, name='viridis_r'):
    """Key -> colour, evenly spaced on a colour map."""
    shade_NC = mpl.colormaps[name](np.linspace(0.15, 0.95, len(keys)))
    return dict(zip(keys, shade_NC, strict=True))

  def panels(self, titles, x_label, y_labels, **shared):
    """Axes with titles and labels, two in a row; one y label serves all."""
    columns = min(COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    high = PANEL_HEIGHT if columns > 1 else 1.2 * PANEL_HEIGHT
    self.figure.set_size_inches(WIDTH, high * rows)
    axes = self.figure.subplots(rows, columns, squeeze=False, **shared).flat
    for axis in axes[len(titles) :]:
      axis.remove()
    axes = axes[: len(titles)]
    label = ''
    if isinstance(y_labels, str):
      label = y_labels
      y_labels = [label if columns == 1 else ''] * len(titles)
    for axis, title, y_label in zip(axes, titles, y_labels, strict=True):
      axis.set(title=title, ylabel=y_label)
      axis.xaxis.set_major_locator(MaxNLocator(TICKS))
    if columns == 1:
      axes[0].set(xlabel=x_label)
    else:
      self.figure.supxlabel(x_label, fontsize='medium')
      self.figure.supylabel(label, fontsize='medium')
    return axes

  def mean_line(self, axis, frame, step, x, y, **style):
    """Mean of `y` over seeds at each `step`, with its band.

    A seed counts once: its rows at one step (two halves, several policies)
    are averaged first. One seed has no band.
    """
    per_seed = frame.groupby([step, 'seed'])[list({x, y})].mean()
    steps = [means for _, means in per_seed.groupby(level=0)]
    steps.sort(key=lambda means: means[x].mean())
    x_N = np.array([means[x].mean() for means in steps])
    mean_N, low_N, high_N = np.array(
      [
        (interval.mean, interval.low, interval.high)
        for interval in (intervals.t_interval(means[y]) for means in steps)
      ]
    ).T
    marker = MARKERS[len(axis.lines) % len(MARKERS)]
    style = {'marker': marker, 'ms': 3.5, **style}
    (line,) = axis.plot(x_N, mean_N, **style)
    some_N = np.isfinite(low_N)
    band = {'color': line.get_color(), 'alpha': 0.15, 'lw': 0}
    axis.fill_between(x_N, low_N, high_N, some_N, **band)

  def size_lines(self, axis, frame, step, x, y):
    """`mean_line` for each size, in its colour."""
    for size, rows in findings.by_size(frame):
      style = {'color': self.colours[size], 'marker': self.markers[size]}
      self.mean_line(axis, rows, step, x, y, label=size, **style)

  def add_legend(self):
    """One legend for all panels, outside the data."""
    handles = {}
    for axis in self.figure.axes:
      for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
        handles.setdefault(label, handle)
    if not handles:
      return
    # As many columns as the figure has room for.
    for columns in range(min(3, len(handles)), 0, -1):
      legend = self.figure.legend(
        handles.values(), handles, loc='outside upper center', ncols=columns
      )
      fits = legend.get_window_extent().width <= self.figure.bbox.width
      if fits or columns == 1:
        break
      legend.remove()
    width, height = self.figure.get_size_inches()
    height += LEGEND_ROW * -(-len(handles) // columns)
    self.figure.set_size_inches(width, height)
