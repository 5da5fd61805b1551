"""The figure of heads of shares of real pairs."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.drawings.tension import MARKERS, SUBSET_COLOURS
from rlhf_jax.analysis.findings import select
from rlhf_jax.analysis.shares import BOTH


def real_shares(canvas, tables):
  """Accuracy of heads of real pairs against the share of helpful ones.

  At one number of training pairs, on each kind and the mean of both; bars are
  95 % intervals over the conversations that are tested on (Fig. 19).
  """
  rows = select(tables, 'cross_shares')
  (axis,) = canvas.panels([''], 'share of helpful pairs', marks.ACCURACY)
  styles = {
    kind: {'color': colour, 'marker': MARKERS[kind], 'label': f'on {kind}'}
    for kind, colour in SUBSET_COLOURS.items()
  }
  styles[BOTH] = {'color': 'k', 'marker': 'o', 'ls': '--'}
  styles[BOTH]['label'] = 'mean of both'
  for subset, style in styles.items():
    own = rows[rows['subset'] == subset].sort_values('helpful')
    y = own['accuracy']
    bars = [y - own['accuracy_low'], own['accuracy_high'] - y]
    axis.errorbar(own['helpful'], y, bars, ms=4, capsize=2, **style)
  axis.axhline(0.5, color='0.6', ls=':', lw=1, label='chance')
