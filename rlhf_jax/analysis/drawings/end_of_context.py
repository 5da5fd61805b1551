"""Figure of the places where a score is read."""

from rlhf_jax.analysis import scaling
from rlhf_jax.analysis.findings import by_size, select

ROLES = {
  'at_end_of_context': 'end-of-context token',
  'at_last_token': 'last token of the reply',
}


def accuracy_by_place(canvas, tables):
  """Held-out accuracy of PMs by where their score is read.

  Dashed: at the last token of the reply's text. Both readings of a seed have
  the same pairs, labels and order; 95 % over seeds.
  """
  curve = select(tables, 'pm_curve', role=list(ROLES))
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  column = scaling.accuracy_column(curve)
  (axis,) = canvas.panels([''], 'training pairs', 'accuracy')
  for size, rows in by_size(curve):
    for role, label in ROLES.items():
      own = rows[rows['role'] == role]
      if own.empty:
        continue
      style = {'color': canvas.colours[size], 'label': f'{size}, {label}'}
      style['ls'] = '-' if role == 'at_end_of_context' else '--'
      canvas.mean_line(axis, own, 'pairs', 'pairs', column, **style)
