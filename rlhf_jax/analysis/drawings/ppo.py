"""Figures of the policy during RL."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

ESTIMATORS = {'kl_k1': ('$k_1$', '.'), 'kl_k3': ('$k_3$', 'x')}


def entropy_length(canvas, tables):
  """Policy entropy and reply length during RL (appendix B.10)."""
  curve = marks.rl_rows(tables, 'linear')
  labels = ['entropy (nats per token)', 'reply length (tokens)']
  axes = canvas.panels(['Entropy', 'Length'], marks.SAMPLES, labels)
  for axis, y in zip(axes, ('entropy', 'length'), strict=True):
    canvas.size_lines(axis, curve, 'samples', 'samples', y)


def kl_estimators(canvas, tables):
  """The sampled estimates k1 and k3 against the exact per-prefix KL."""
  curve = select(tables, 'rl_curve')
  labels = ['estimate (nats per reply)', 'estimate - exact (nats per reply)']
  titles = ['Agreement', 'Difference']
  axes = canvas.panels(titles, 'exact KL (nats per reply)', labels)
  for axis, share in zip(axes, (0, 1), strict=True):
    for column, (label, marker) in ESTIMATORS.items():
      shown = curve[column] - share * curve['kl']
      style = {'marker': marker, 'ls': '', 'ms': 3, 'label': label}
      axis.plot(curve['kl'], shown, **style, **marks.POINTS)
    axis.axline((0, 0), slope=1 - share, color='k', lw=0.8, label='exact')
