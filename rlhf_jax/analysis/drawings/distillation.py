"""Figures of context distillation and of prompted models."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

BEFORE = '0.45'  # a grey
COLOURS = {'plain': BEFORE, 'prompted': 'C0', 'distilled': 'C1'}


def distilled_kl(canvas, tables):
  """Divergence from the prompted teacher by size (Fig. 30), by kind of text."""
  rows = select(tables, 'distillation')
  kinds = list(rows['texts'].unique())
  axes = canvas.panels(kinds, marks.PARAMS, 'KL (nats per token)')
  first = rows['tokens'] == rows['tokens'].min()
  for axis, kind in zip(axes, kinds, strict=True):
    own = rows['texts'] == kind
    for label, part, colour in (
      ('before', rows[own & first], BEFORE),
      ('after', rows[own & ~first], 'C1'),
    ):
      style = {'color': colour, 'label': label}
      canvas.mean_line(axis, part, 'n_params', 'n_params', 'kl', **style)
    marks.size_axis(axis, rows)
    axis.set_ylim(bottom=0)


def prompted_models(canvas, tables):
  """Gold, right choices and loss by size, of each reading."""
  rows = select(tables, 'prompted')
  rows = rows.assign(size=rows['model'], n_params=rows['model_params'])
  labels = {
    'gold': 'gold of replies',
    'accuracy': 'right choices',
    'nats_per_token': 'held-out loss (nats per token)',
  }
  axes = canvas.panels([''] * len(labels), marks.PARAMS, list(labels.values()))
  for axis, column in zip(axes, labels, strict=True):
    for reading, own in rows.groupby('reading'):
      style = {'color': COLOURS[reading], 'label': reading}
      canvas.mean_line(axis, own, 'n_params', 'n_params', column, **style)
    marks.size_axis(axis, rows)
