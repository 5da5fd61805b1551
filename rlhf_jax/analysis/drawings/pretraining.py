"""Figure of preference models with and without pretraining."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select
from rlhf_jax.analysis.scaling import accuracy_column

STYLES = {
  'after_none': ('C1', 'no pretraining'),
  'after_ranked': ('C0', 'ranked pretraining'),
  'after_binary': ('C2', 'GOOD/BAD pretraining'),
}


def accuracy_after_pretraining(canvas, tables):
  """Accuracy against finetuning pairs, by pretraining (Askell, section 4)."""
  rows = select(tables, 'pm_curve', role=list(STYLES), eval_subset='mix')
  y = accuracy_column(rows)
  (axis,) = canvas.panels([''], 'finetuning pairs', marks.ACCURACY)
  axis.set_xscale('log')
  for role, (colour, label) in STYLES.items():
    own = rows[rows['role'] == role]
    if len(own):
      style = {'color': colour, 'label': label}
      canvas.mean_line(axis, own, 'pairs', 'pairs', y, **style)
