"""The figure of imitation and heads on real ranked sets."""

import numpy as np

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

STYLES = {
  'ranked': ('C0', ''),
  'binary': ('C2', '\\\\'),
  'imitation': ('C1', '//'),
  'imitation_whole': ('C1', '..'),
  'longer': ('0.6', 'xx'),
}
LABELS = {
  'imitation': 'log-likelihood, mean',
  'imitation_whole': 'log-likelihood, sum',
  'longer': 'the longer reply',
  'ranked': 'ranked head',
  'binary': 'binary head',
}


def real_methods(canvas, tables):
  """Accuracy on pairs of each real ranked set, by what scores the replies.

  Bars are 95 % intervals over conversations (Askell, section 3). Labels of
  alpaca_eval are those of a model.
  """
  rows = select(tables, 'ranked_methods')
  (axis,) = canvas.panels([''], 'ranked set', marks.ACCURACY)
  sets = list(dict.fromkeys(rows['set']))
  width = 0.8 / len(STYLES)
  for i, (method, (colour, hatch)) in enumerate(STYLES.items()):
    own = rows[rows['method'] == method].set_index('set').loc[sets]
    x = np.arange(len(sets)) + (i - (len(STYLES) - 1) / 2) * width
    y = own['accuracy']
    bars = [y - own['accuracy_low'], own['accuracy_high'] - y]
    style = {'color': colour, 'hatch': hatch, 'edgecolor': 'w'}
    axis.bar(x, y, width, yerr=bars, label=LABELS[method], **style)
  axis.axhline(0.5, color='k', ls='--', lw=1, label='chance')
  axis.set_xticks(range(len(sets)), sets)
