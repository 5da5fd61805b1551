"""Figure of three methods on tasks with an exact answer."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

STYLES = {'ranked': 'C0', 'binary': 'C2', 'imitation': 'C1'}


def methods_by_size(canvas, tables):
  """Accuracy of each method against size, a panel a task (Askell, Fig. 3)."""
  rows = select(tables, 'methods', role='compared')
  panels = list(rows.groupby(['kind', 'task']))
  titles = [f'{task} ({kind})' for (kind, task), _ in panels]
  axes = canvas.panels(titles, marks.PARAMS, marks.ACCURACY, sharey=True)
  for axis, (_, own) in zip(axes, panels, strict=True):
    marks.size_axis(axis, own)
    for method, colour in STYLES.items():
      part = own[own['method'] == method]
      if part.empty:
        continue
      style = {'color': colour, 'label': method}
      canvas.mean_line(axis, part, 'n_params', 'n_params', 'accuracy', **style)
