"""Figure of the language models."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import last, select


def lm_loss(canvas, tables):
  """Loss of the language models against tokens and size.

  The loss is on held-out text where it was measured, which a table shows by
  the training loss beside it; tables of before hold a training loss alone.
  """
  frame, y = select(tables, 'lm'), 'nats_per_token'
  kind = 'training'
  if 'train_nats_per_token' in frame:
    measured = frame[frame['train_nats_per_token'].notna()]
    if not measured.empty:
      kind, frame = 'held-out', measured
  titles = ['Learning curves', 'Last checkpoint']
  axes = canvas.panels(titles, '', f'{kind} loss (nats per token)')
  axes[0].set(xlabel='training tokens')
  marks.size_axis(axes[1], frame)
  canvas.size_lines(axes[0], frame, 'tokens', 'tokens', y)
  canvas.size_lines(axes[1], last(frame, 'tokens'), 'size', 'n_params', y)
