"""Figures of red-team prompts as outliers (Figs. 22, 23 and 39)."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import by_size, select

POOL = 'last'
STYLE = {'plain': {'color': 'C1', 'ls': '--'}, 'simplified': {'color': 'C0'}}
AUROC = 'AUROC (red-team against helpful)'


def outlier_layers(canvas, tables):
  """How well two distances tell red-team from helpful prompts, by layer.

  An AUROC of 0.5 is chance; at 1 every red-team prompt is farther off than
  every helpful one. Distances are to a Gaussian of other helpful prompts. The
  simplified score is the plain one less the same without correlations. Bands
  are 95 % intervals over seeds; of a model of which there is one, over prompts.
  """
  rows = select(tables, 'ood', pool=POOL, score=list(STYLE))
  panels = by_size(rows)
  titles = [size for size, _ in panels]
  axes = canvas.panels(titles, 'layer', AUROC, sharey=True)
  for axis, (_, own) in zip(axes, panels, strict=True):
    for score, style in STYLE.items():
      part = own[own['score'] == score]
      canvas.mean_line(
        axis, part, 'layer', 'layer', 'auroc', label=score, **style
      )
      if part['seed'].nunique() == 1:
        ends = part.groupby('layer')[['auroc_low', 'auroc_high']].mean()
        band = {'color': style['color'], 'alpha': 0.15, 'lw': 0}
        axis.fill_between(ends.index, *ends.to_numpy().T, **band)
    axis.axhline(0.5, color='0.6', ls=':', lw=1, label='chance')


def outlier_exposure(canvas, tables):
  """What a classifier gains that was shown a few red-team prompts.

  Of each model one linear layer is fitted to its features of helpful prompts
  and of so many red-team ones. Broken lines are the best distance of any layer,
  which was shown none. Bands are 95 % intervals over seeds; of a model of which
  there is one, over prompts and over which of them are shown.
  """
  rows = select(tables, 'ood_exposure', pool=POOL)
  rows = rows.assign(best=rows['auroc'] - rows['over_best'])
  (axis,) = canvas.panels([''], 'red-team prompts shown', AUROC)
  axis.set_xscale('log')
  canvas.size_lines(axis, rows, 'outliers', 'outliers', 'auroc')
  for size, own in by_size(rows):
    style = {'color': canvas.colours[size], 'ls': '--', 'lw': 1}
    ends, level = rows['outliers'].agg(['min', 'max']), own['best'].mean()
    style |= {'marker': canvas.markers[size], 'ms': 3.5, 'mfc': 'none'}
    axis.plot(ends, [level] * 2, label=f'{size}, best distance', **style)
    if own['seed'].nunique() == 1:
      mean = own.groupby('outliers')[['auroc', 'auroc_se']].mean()
      bars = {'yerr': marks.TWO_SIDED * mean['auroc_se'], 'capsize': 2}
      axis.errorbar(mean.index, mean['auroc'], color=style['color'], **bars)
  counts = sorted(rows['outliers'].unique())
  axis.set_xticks(counts, [f'{count:g}' for count in counts])
  axis.set_xticks([], minor=True)
