"""The figure of heads with and without pretraining on public rankings."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select
from rlhf_jax.analysis.pretrained import NONE

COLOURS, MARKERS = ('k', 'C0', 'C1', 'C2'), 'osv^'


def real_pretraining(canvas, tables):
  """Accuracy against finetuning pairs, by what the head was pretrained on.

  Bars are 95 % intervals over the conversations that are tested on (Askell,
  section 4). A dotted line is the pretrained head before any finetuning.
  """
  rows = select(tables, 'pretraining_gains')
  models = list(dict.fromkeys(rows['model']))
  titles = [f'pairs: {model}' for model in models]
  axes = canvas.panels(titles, 'finetuning pairs', marks.ACCURACY, sharey=True)
  befores = sorted(dict.fromkeys(rows['before']), key=lambda x: x != NONE)
  counts = sorted({*rows['pairs']} - {0})
  for axis, model in zip(axes, models, strict=True):
    axis.set_xscale('log')
    axis.set_xticks(counts, counts)
    axis.set_xticks([], minor=True)
    for i, before in enumerate(befores):
      own = rows[(rows['model'] == model) & (rows['before'] == before)]
      own = own.sort_values('pairs')
      tuned, colour = own[own['pairs'] > 0], COLOURS[i % len(COLOURS)]
      marker = MARKERS[i % len(MARKERS)]
      y = tuned['accuracy']
      bars = [y - tuned['accuracy_low'], tuned['accuracy_high'] - y]
      # A little aside, so that bars of one number of pairs stay apart.
      x = tuned['pairs'] * (1 + 0.04 * (i - (len(befores) - 1) / 2))
      style = {'color': colour, 'marker': marker, 'ms': 3.5, 'capsize': 2}
      axis.errorbar(x, y, bars, label=_label(before), **style)
      for start in own[own['pairs'] == 0]['accuracy']:
        axis.axhline(start, color=colour, ls=':', lw=1)
    axis.axhline(0.5, color='0.6', ls='--', lw=1, label='chance')


def _label(before):
  return 'no pretraining' if before == NONE else f'after {before}'
