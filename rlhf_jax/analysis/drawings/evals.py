"""Figures of `experiments.evals`, and of attacks on policies."""

import numpy as np

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

NAMES = {'hh': 'RL on requests', 'mixed': 'RL on requests and skills'}
TASKS = {'both skills': 'both skills', 'hh': 'own requests'}
STEP = 0.16  # of a row, between two models
ROW = 0.28  # inches of a task
MARKERS = 'osv^D*'


def before_after(canvas, tables):
  """Each task before and after, and the differences: a mark a model.

  Left the values, by the headline metric of each task, with 95 % intervals over
  questions; right after - before on the same questions, with the smaller
  intervals of paired differences. Hollow marks there have a standard error
  above .02.
  """
  rows = select(tables, 'before_after')
  rows = rows[rows['headline']]
  units = list(dict.fromkeys(rows['name']))
  first = rows['before_model'].iloc[0]
  models = list(dict.fromkeys([first, *rows['after_model']]))
  left, right = canvas.panels(['value', 'after - before'], '', '', sharey=True)
  width, _ = canvas.figure.get_size_inches()
  high = ROW + STEP * len(models) * ROW
  canvas.figure.set_size_inches(width, 1.2 + high * len(units))
  shades = canvas.shades(models)
  step = min(STEP, 0.8 / len(models))
  for k, model in enumerate(models):
    style = {'color': shades[model], 'marker': MARKERS[k % len(MARKERS)]}
    style |= {'ls': 'none', 'ms': 4}
    own = rows[rows['after_model'] == model]
    place = lambda names, k=k: np.array(
      [units.index(name) + step * (k - (len(models) - 1) / 2) for name in names]
    )
    values = _values(tables, rows, model, first)
    bars = values['half'].fillna(0)
    left.errorbar(
      values['value'],
      place(values['name']),
      xerr=bars,
      lw=1,
      label=model,
      **style,
    )
    half = own['high'] - own['difference']
    for part, hollow in ((own['precise'], False), (~own['precise'], True)):
      right.errorbar(
        own['difference'][part],
        place(own['name'][part]),
        xerr=half[part],
        lw=1,
        mfc='white' if hollow else style['color'],
        **style,
      )
  right.axvline(0, color='0.4', lw=1)
  left.set_yticks(range(len(units)), [_label(rows, name) for name in units])
  left.invert_yaxis()


def _values(tables, rows, model, first):
  """Rows of name, value and half its interval (NaN of a mean) of a model."""
  side = 'before' if model == first else 'after'
  own = rows if model == first else rows[rows['after_model'] == model]
  own = own.drop_duplicates('name').rename(columns={side: 'value'})
  own = own[['name', 'metric', 'value']]
  found = tables.get('evaluations')
  if found is None:
    return own.assign(half=np.nan)
  found = found[found['model'] == model]
  found = found.assign(half=1.96 * found['stderr'])
  return own.merge(found[['name', 'metric', 'half']], 'left')


def _label(rows, name):
  """'piqa, letters' of a name."""
  row = rows[rows['name'] == name].iloc[0]
  if row['task'].startswith('mean'):
    return row['task']
  after = f', {row["shots"]} examples' if row['shots'] else ''
  return f'{row["task"]}, {row["form"]}{after}'


def world_tax(canvas, tables):
  """What RL costs of right choices, by size: skills, and what RL asked for."""
  rows = select(tables, 'world_tax')
  axes = canvas.panels(
    list(TASKS.values()), '', 'share of right choices lost', sharey=True
  )
  for axis, task in zip(axes, TASKS, strict=True):
    own = rows[rows['task'] == task]
    for k, (policy, label) in enumerate(NAMES.items()):
      part = own[own['policy'] == policy].sort_values('n_params')
      if part.empty:
        continue
      bars = [part['tax'] - part['low'], part['high'] - part['tax']]
      axis.errorbar(
        part['n_params'],
        part['tax'],
        np.where(np.isfinite(bars), bars, 0.0),
        marker='os'[k],
        ms=4,
        capsize=2,
        color=f'C{k}',
        label=label,
      )
    axis.axhline(0, color='0.4', lw=1)
    marks.size_axis(axis, own)


def attack_success(canvas, tables):
  """Attack success of each policy, a panel a judge, 95 % over prompts."""
  rows = select(tables, 'attack')
  judges = list(dict.fromkeys(rows['judge']))
  axes = canvas.panels(judges, '', 'attack success', sharey=True)
  for axis, judge in zip(axes, judges, strict=True):
    own = rows[rows['judge'] == judge]
    bars = [own['success'] - own['low'], own['high'] - own['success']]
    axis.errorbar(
      range(len(own)), own['success'], bars, fmt='o', ms=4, capsize=3
    )
    axis.set_xticks(range(len(own)), list(own['policy']))
    axis.set(xlim=(-0.5, len(own) - 0.5), ylim=(0, 1))
