"""Figure of finetuning on demonstrations."""

from rlhf_jax.analysis.findings import select

PANELS = {
  'validation_nats': 'held-out loss (nats per token)',
  'rm_score': 'score of own replies (log-odds)',
  'gold': 'gold of own replies',
  'ended': 'share of replies that end',
}


def finetuning(canvas, tables):
  """Loss on held-out demonstrations, and what models write, by epoch.

  The loss of Ouyang et al. (appendix C.1) rises after the first epoch while the
  score of the model's replies goes on rising.
  """
  rows = select(tables, 'sft', role='sft')
  shown = [name for name in PANELS if rows[name].notna().any()]
  axes = canvas.panels(
    [''] * len(shown), 'epoch', [PANELS[name] for name in shown]
  )
  for axis, name in zip(axes, shown, strict=True):
    canvas.size_lines(axis, rows, 'epoch', 'epoch', name)
