"""Figure of the language models."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import last, select


def lm_loss(canvas, tables):
  """Held-out loss of the language models against tokens and size."""
  frame = select(tables, 'lm')
  y = 'nats_per_token'
  titles = ['Learning curves', 'Last checkpoint']
  axes = canvas.panels(titles, '', 'held-out loss (nats per token)')
  axes[0].set(xlabel='training tokens')
  marks.size_axis(axes[1], frame)
  canvas.size_lines(axes[0], frame, 'tokens', 'tokens', y)
  canvas.size_lines(axes[1], last(frame, 'tokens'), 'size', 'n_params', y)
