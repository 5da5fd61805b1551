"""Figures of PMs and policies of one objective on the other, of mixtures."""

import numpy as np

from rlhf_jax.analysis import final_policies, intervals, mixtures
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, keep, largest, last, select
from rlhf_jax.analysis.scaling import accuracy_column

SUBSET_COLOURS = {'helpful': 'C0', 'harmless': 'C1'}
HATCHES = {'helpful': '', 'harmless': '///'}
TRAIN_PMS = {
  final_policies.MIXED: 'mixed PM',
  final_policies.HELPFUL_ONLY: 'helpful PM',
}
MARKERS = {'helpful': 'P', 'harmless': 'X'}  # none of those of sizes


def helpful_harmless(canvas, tables):
  """Accuracy of each PM on both test sets (Fig. 19)."""
  curve = select(tables, 'pm_curve', role=['single', 'mixture'])
  rows = keep(
    last(curve, 'pairs'), 'pm_curve.csv', eval_subset=list(SUBSET_COLOURS)
  )
  (axis,) = canvas.panels([''], 'PM trained on', marks.ACCURACY)
  trained = sorted(rows['train_subset'].unique())
  y = accuracy_column(rows)
  keys = ['train_subset', 'eval_subset']
  for (train, subset), group in rows.groupby(keys):
    mean = intervals.t_interval(group.groupby('seed')[y].mean())
    half = mean.high - mean.mean
    shift = -0.2 if subset == 'helpful' else 0.2
    style = {'color': SUBSET_COLOURS[subset], 'label': f'tested on {subset}'}
    style |= {'hatch': HATCHES[subset], 'edgecolor': 'w'}
    style['yerr'] = half if np.isfinite(half) else None
    axis.bar(trained.index(train) + shift, mean.mean, 0.36, **style)
  axis.axhline(0.5, color='k', ls='--', lw=1, label='coin')
  axis.set_xticks(range(len(trained)), trained)


def mixture_scan(canvas, tables):
  """Accuracy against the share of helpful pairs, and against loss weights.

  The largest PM on both test sets; the mean of both over its own maximum, by
  size (Figs. 19 and 26); helpful accuracy by weight of a harmless pair, less
  that at weight 1 (Fig. 27). Bands are of seeds.
  """
  rows = mixtures.final_accuracy(tables, 'mixed', mixtures.share_of, 'share')
  titles = ['largest PM', 'mean of both / its maximum', 'loss weight']
  x_labels = ['share of helpful pairs', 'share of helpful pairs']
  y_labels = [marks.ACCURACY, 'relative mean accuracy', 'change of accuracy']
  axes = canvas.panels(titles, '', y_labels)
  for axis, label in zip(axes, [*x_labels, 'weight'], strict=True):
    axis.set_xlabel(label)
  top = largest(rows)
  for kind, colour in SUBSET_COLOURS.items():
    style = {'color': colour, 'label': f'tested on {kind}'}
    style['marker'] = MARKERS[kind]
    canvas.mean_line(axes[0], top, 'share', 'share', kind, **style)
  axes[0].axhline(0.5, color='k', ls='--', lw=1, label='coin')
  best = rows.groupby(['seed', 'size'])['mean'].transform('max')
  relative = rows.assign(relative=rows['mean'] / best)
  canvas.size_lines(axes[1], relative, 'share', 'share', 'relative')
  try:
    weighted = mixtures.final_accuracy(
      tables, 'weighted', mixtures.weight_of, 'weight'
    )
  except NotRunError:
    axes[2].set_axis_off()
    return
  start = weighted.sort_values('weight').groupby(['seed', 'size'])['helpful']
  change = weighted['helpful'] - start.transform('first')
  rows = weighted.assign(change=change)
  canvas.size_lines(axes[2], rows, 'weight', 'weight', 'change')


def reply_percentiles(canvas, tables):
  """Where the median reply of a policy stands in the data of its PM (Fig. 14).

  Per cent of the replies of the PM's test pairs of the same kind that score
  less; at 50 a policy writes as the data do. Right, what claim 41 wants above
  0. Means with 95 % intervals over seeds.
  """
  table = final_policies.percentiles(tables)
  labels, titles = ['percentile', 'difference'], ['Median reply', '']
  left, right = canvas.panels(titles, '', labels, width_ratios=marks.WIDTHS)
  marks.seed_lines(left, table, dict(zip(table, table, strict=True)))
  left.axhline(50, color='0.3', ls=':', lw=1, label='median of the data')
  own = table['harmless'] - table['helpful']
  marks.seed_differences(right, {'harmless - helpful': own})


def helpful_only_policies(canvas, tables):
  """Helpful gold, and success of attacks, by the PM of a policy (Fig. 1).

  An attack succeeds where gold calls the reply to a red-team prompt harmful,
  below 0. Right, what claim 42 wants above 0: helpful alone less mixed. Means
  with 95 % intervals over seeds.
  """
  tables_of = {
    name: final_policies.by_gold(tables, name)
    for name in final_policies.BY_GOLD
  }
  titles = ['Helpful prompts', '', 'Red-team prompts', '']
  labels = ['gold', 'difference', 'share attacked', 'difference']
  axes = canvas.panels(titles, '', labels, width_ratios=marks.WIDTHS)
  for table, left, right in zip(
    tables_of.values(), axes[::2], axes[1::2], strict=True
  ):
    marks.seed_lines(left, table, TRAIN_PMS)
    own = table[final_policies.HELPFUL_ONLY] - table[final_policies.MIXED]
    marks.seed_differences(right, {'helpful - mixed': own})
