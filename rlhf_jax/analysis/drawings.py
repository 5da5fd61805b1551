"""What each figure of the study shows, as a function of the tidy tables.

A drawing takes a `figures.Canvas` and the tables, and raises
`NothingToDrawError` when the rows it needs are missing. Nothing is computed
here that a verdict rests on: the fits and intervals are those of the other
modules of `analysis`. KL is the exact per-prefix sum, in nats per reply. Figure
numbers are those of Bai et al. 2022.
"""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from rlhf_jax.analysis import calibration, intervals, kl_reward, robustness
from rlhf_jax.analysis.scaling import accuracy_column

SAMPLES = 'RL samples (replies)'
PARAMS = 'non-embedding parameters'
ACCURACY = 'test accuracy'
GAIN = 'PM score less that of $\\pi_0$ (log-odds)'
SQRT_KL = r'$\sqrt{\mathrm{KL}(\pi\,||\,\pi_0)}$ (sqrt nats per reply)'
SIZE_AND_SEED = ['size', 'n_params', 'seed']
SCORERS = {'train_pm': 'train PM', 'test_pm': 'test PM', 'gold': 'gold'}
POINTS = {'alpha': 0.5, 'rasterized': True}  # thousands of them, in an SVG
SUBSET_COLOURS = {'helpful': 'C0', 'harmless': 'C1'}


class NothingToDrawError(Exception):
  """The tables hold no rows of this figure."""


def by_size(frame):
  """[(size, its rows), ...], smallest first."""
  order = frame.groupby('size')['n_params'].min().sort_values()
  return [(size, frame[frame['size'] == size]) for size in order.index]


def _rows(tables, name, **allowed):
  """The rows of a table with one of the allowed values in each column."""
  if name not in tables:
    raise NothingToDrawError(f'no table {name}')
  return _keep(tables[name], **allowed)


def _keep(frame, **allowed):
  for column, values in allowed.items():
    frame = frame[frame[column].isin(values)]
  if frame.empty:
    raise NothingToDrawError(f'no rows with {allowed}')
  return frame


def _last(frame, column):
  """The rows of the last checkpoint of every run."""
  last = frame.groupby('run_id')[column].transform('max')
  return frame[frame[column] == last]


def _size_axis(axis, frame):
  """A logarithmic axis of parameters, with a tick named after each size."""
  ladder = [(rows['n_params'].min(), size) for size, rows in by_size(frame)]
  axis.set(xlabel=PARAMS, xscale='log')
  axis.set_xticks(*zip(*ladder, strict=True))
  axis.set_xticks([], minor=True)


def lm_loss(canvas, tables):
  """Held-out loss of the language models against tokens and size."""
  frame = _rows(tables, 'lm')
  y = 'nats_per_token'
  titles = ['Learning curves', 'Last checkpoint']
  axes = canvas.panels(titles, '', 'held-out loss (nats per token)')
  axes[0].set(xlabel='training tokens')
  _size_axis(axes[1], frame)
  canvas.size_lines(axes[0], frame, 'tokens', 'tokens', y)
  canvas.size_lines(axes[1], _last(frame, 'tokens'), 'size', 'n_params', y)


def _accuracy_panels(canvas, tables, x_label):
  """(axis, subset, rows) of the learning curves; a panel a training set."""
  curve = _rows(tables, 'pm_curve', role=['scaling'])
  own = curve['eval_subset'] == curve['train_subset']
  panels = list(_keep(curve[own & (curve['pairs'] > 0)]).groupby('eval_subset'))
  titles = [f'Trained and tested on {subset}' for subset, _ in panels]
  axes = canvas.panels(titles, x_label, ACCURACY, sharey=True)
  for axis, (subset, rows) in zip(axes, panels, strict=True):
    axis.set_xscale('log')
    yield axis, subset, rows


def pm_accuracy_vs_pairs(canvas, tables):
  """Accuracy against pairs seen, by size (Fig. 7 left)."""
  x_label = 'training pairs seen'
  for axis, subset, rows in _accuracy_panels(canvas, tables, x_label):
    canvas.size_lines(axis, rows, 'pairs', 'pairs', accuracy_column(rows))
    _baselines(axis, tables, subset)


def _baselines(axis, tables, subset):
  """The ceiling of the labels, and the rule that the longer reply wins."""
  try:
    pairs = _rows(tables, 'pm_pairs', train_subset=[subset])
  except NothingToDrawError:
    return
  ceiling, longer = calibration.ceiling(pairs), calibration.longer_wins(pairs)
  axis.axhline(longer, color='k', ls=':', lw=1, label='longer wins')
  if np.isfinite(ceiling):
    axis.axhline(ceiling, color='k', ls='--', lw=1, label='ceiling')


def pm_accuracy_vs_size(canvas, tables):
  """Accuracy against size, a shade a number of pairs (Fig. 7 right)."""
  for axis, _, rows in _accuracy_panels(canvas, tables, PARAMS):
    _size_axis(axis, rows)
    shades = canvas.shades(sorted(rows['pairs'].unique()), 'cividis_r')
    y = accuracy_column(rows)
    for pairs, shade in shades.items():
      style = {'color': shade, 'label': f'{pairs:,.0f} pairs'}
      seen = rows[rows['pairs'] == pairs]
      canvas.mean_line(axis, seen, 'n_params', 'n_params', y, **style)


def _final_pm_panels(canvas, tables, x_label, y_label):
  """(axis, rows) of the decayed PMs, a panel a training set."""
  pairs = _rows(tables, 'pm_pairs', role=['calibration', 'mixture'])
  panels = list(pairs.groupby('train_subset'))
  titles = [f'PM trained on {subset}' for subset, _ in panels]
  axes = canvas.panels(titles, x_label, y_label, sharey=True)
  return zip(axes, [rows for _, rows in panels], strict=True)


def pm_calibration(canvas, tables):
  """Agreement against score difference, largest size (Fig. 9).

  Pairs of all seeds together, in equal-count bins, with Wilson intervals; a
  bin stands at the difference whose sigmoid is its mean prediction.
  """
  labels = 'PM score difference (log-odds)', 'agreement with the label'
  for axis, rows in _final_pm_panels(canvas, tables, *labels):
    size, rows = by_size(rows)[-1]
    bins = calibration.calibrate(rows).bins
    wilson = [
      intervals.wilson_interval(row.accuracy * row.n, row.n)
      for row in bins.itertuples()
    ]
    bar_2K = np.transpose([[i.mean - i.low, i.high - i.mean] for i in wilson])
    delta_K = logit(bins['predicted'])
    style = {'fmt': 'o', 'ms': 4, 'color': canvas.colours[size]}
    style['label'] = f'{size}, equal-count\nbins, Wilson 95 %'
    axis.errorbar(delta_K, bins['accuracy'], bar_2K, **style)
    line_N = np.linspace(0, 1.05 * delta_K.max(), 50)
    axis.plot(line_N, expit(line_N), 'k', lw=1, label=r'$1/(1+e^{-\Delta})$')


def pm_min_score(canvas, tables):
  """Accuracy where both scores exceed a rising threshold (Fig. 25)."""
  x_label = 'threshold on both scores (quantile)'
  for axis, rows in _final_pm_panels(canvas, tables, x_label, ACCURACY):
    curves = [
      calibration.min_score_accuracy(run).assign(
        size=size, n_params=n_params, seed=seed
      )
      for (size, n_params, seed), run in rows.groupby(SIZE_AND_SEED)
    ]
    columns = ('quantile', 'quantile', 'accuracy')
    canvas.size_lines(axis, pd.concat(curves), *columns)


def helpful_harmless(canvas, tables):
  """Accuracy of each PM on both test sets (Fig. 19)."""
  curve = _rows(tables, 'pm_curve', role=['single', 'mixture'])
  rows = _keep(_last(curve, 'pairs'), eval_subset=list(SUBSET_COLOURS))
  (axis,) = canvas.panels([''], 'PM trained on', ACCURACY)
  trained = sorted(rows['train_subset'].unique())
  y = accuracy_column(rows)
  keys = ['train_subset', 'eval_subset']
  for (train, subset), group in rows.groupby(keys):
    mean = intervals.t_interval(group.groupby('seed')[y].mean())
    half = mean.high - mean.mean
    shift = -0.2 if subset == 'helpful' else 0.2
    style = {'color': SUBSET_COLOURS[subset], 'label': f'tested on {subset}'}
    style['yerr'] = half if np.isfinite(half) else None
    axis.bar(trained.index(train) + shift, mean.mean, 0.36, **style)
  axis.axhline(0.5, color='k', ls='--', lw=1, label='coin')
  axis.set_xticks(range(len(trained)), trained)


def _rl_rows(tables, role):
  rows = _rows(tables, 'rl_curve', role=[role]).sort_values('samples')
  return rows.assign(root=np.sqrt(rows['kl'].clip(lower=0)))


def reward_vs_sqrt_kl(canvas, tables):
  """PM score against sqrt(KL), by policy size (Figs. 4 and 13).

  A PM's zero means nothing, so the mean score of pi_0 over the sizes is taken
  off each PM's scores; starting points of the sizes still differ.
  """
  curve, pi0 = _rl_rows(tables, 'linear'), _rows(tables, 'rl_pi0').copy()
  for name in ('train', 'test'):
    first = curve[curve['iteration'] == 0]
    zero = first.groupby('seed')[f'{name}_pm'].mean()
    curve[f'{name}_pm'] -= curve['seed'].map(zero)
    own = pi0['scorer'] == name
    pi0.loc[own, 'mean'] -= pi0.loc[own, 'seed'].map(zero)
  axes = canvas.panels(['Train PM', 'Test PM'], SQRT_KL, GAIN, sharey=True)
  colours = [canvas.colours[size] for size in curve['size']]
  for axis, y in zip(axes, ('train_pm', 'test_pm'), strict=True):
    canvas.size_lines(axis, curve, 'iteration', 'root', y)
    axis.scatter(curve['root'], curve[y], 5, colours, **POINTS)
  axes[0].set_ylim(axes[0].get_ylim())  # the bounds leave the plot
  for axis, scorer in zip(axes, ('train', 'test'), strict=True):
    for size, rows in by_size(curve):
      _early_lines(axis, rows, pi0, scorer, canvas.colours[size])
    axis.axvline(kl_reward.WINDOW_SQRT_KL, color='0.8', lw=1)
  axes[0].plot([], [], 'k:', label='fit of the window')
  axes[0].plot([], [], 'k--', lw=0.8, label=r'$s_0+\sqrt{2V\,\mathrm{KL}}$')


def _early_lines(axis, rows, pi0, scorer, colour):
  """The fit of the window and the theory bound, each a mean over runs."""
  rows = rows[rows['run_id'].isin(pi0[pi0['scorer'] == scorer]['run_id'])]
  if rows.empty:
    return
  root_N = np.array([0, kl_reward.WINDOW_SQRT_KL])
  s0, fit, bound = [], [], []
  for run_id, run in rows.groupby('run_id'):
    s0.append(kl_reward.pi0_score(pi0, run_id, scorer))
    fit.append(kl_reward.fit_window(run, f'{scorer}_pm', s0[-1]).slope)
    variance = kl_reward.within_variance(pi0, run_id, scorer)
    bound.append(kl_reward.theory_slope(variance))
  for slopes, style in ((fit, {'ls': ':'}), (bound, {'ls': '--', 'lw': 0.8})):
    line_N = np.mean(s0) + np.mean(slopes) * root_N
    axis.plot(root_N, line_N, color=colour, **style)


def _gains(canvas, tables, x, x_label, scorers):
  """Gains of the robust runs, directions averaged; a panel a pair of sizes."""
  rows = _rl_rows(tables, 'robust')
  panels = list(rows.groupby(['size', 'pm_size']))
  titles = [f'policy {size}, train PM {pm}' for (size, pm), _ in panels]
  y_label = 'gain over $\\pi_0$ (log-odds)'
  axes = canvas.panels(titles, x_label, y_label, sharey=True)
  for axis, (_, group) in zip(axes, panels, strict=True):
    for scorer in scorers:
      start = group.groupby('run_id')[scorer].transform('first')
      gain = group.assign(gain=group[scorer] - start)
      if gain['gain'].notna().all():
        label = SCORERS[scorer]
        canvas.mean_line(axis, gain, 'iteration', x, 'gain', label=label)


def train_test_gold(canvas, tables):
  """Train PM, test PM and gold against samples (Figs. 4 and 33)."""
  _gains(canvas, tables, 'samples', SAMPLES, SCORERS)


def overoptimisation(canvas, tables):
  """Train PM and gold against sqrt(KL) (Fig. 35; Stiennon et al., Fig. 5)."""
  _gains(canvas, tables, 'root', SQRT_KL, ('train_pm', 'gold'))


def gap_vs_samples(canvas, tables):
  """Train PM less test PM, directions averaged (Fig. 4)."""
  rows = _rl_rows(tables, 'robust')
  (axis,) = canvas.panels([''], SAMPLES, 'train PM - test PM (log-odds)')
  for pm_size, group in rows.groupby('pm_size'):
    gap = _keep(robustness.symmetric_gap(group))
    style = {'label': f'train PM {pm_size}'}
    canvas.mean_line(axis, gap, 'samples', 'samples', 'gap', **style)
  axis.axhline(0, color='k', lw=0.8)


def entropy_length(canvas, tables):
  """Policy entropy and reply length during RL (appendix B.10)."""
  curve = _rl_rows(tables, 'linear')
  labels = ['entropy (nats per token)', 'reply length (tokens)']
  axes = canvas.panels(['Entropy', 'Length'], SAMPLES, labels)
  for axis, y in zip(axes, ('entropy', 'length'), strict=True):
    canvas.size_lines(axis, curve, 'samples', 'samples', y)


def kl_estimators(canvas, tables):
  """The sampled estimates k1 and k3 against the exact per-prefix KL."""
  curve = _rows(tables, 'rl_curve')
  labels = ['estimate (nats per reply)', 'estimate - exact (nats per reply)']
  titles = ['Agreement', 'Difference']
  axes = canvas.panels(titles, 'exact KL (nats per reply)', labels)
  for axis, share in zip(axes, (0, 1), strict=True):
    for column, label in (('kl_k1', '$k_1$'), ('kl_k3', '$k_3$')):
      shown = curve[column] - share * curve['kl']
      axis.plot(curve['kl'], shown, '.', ms=3, label=label, **POINTS)
    axis.axline((0, 0), slope=1 - share, color='k', lw=0.8, label='exact')


DRAWINGS = (
  lm_loss,
  pm_accuracy_vs_pairs,
  pm_accuracy_vs_size,
  pm_calibration,
  pm_min_score,
  helpful_harmless,
  reward_vs_sqrt_kl,
  train_test_gold,
  overoptimisation,
  gap_vs_samples,
  entropy_length,
  kl_estimators,
)
