"""Figures of `experiments.compare_evals`, which is no theme of a study."""

import numpy as np

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

NAMES = {'hh': 'RL on requests', 'mixed': 'RL on requests and skills'}
TASKS = {'both skills': 'both skills', 'hh': 'own requests'}
STEP = 0.16  # of a row, between two models
MARKERS = 'osv^D*'


def before_after(canvas, tables):
  """Differences after - before by task, a colour a model, 95 % intervals.

  Each task by its headline metric. Hollow marks have a standard error above
  .02.
  """
  rows = select(tables, 'before_after')
  rows = rows[rows['headline']]
  names = list(dict.fromkeys(rows['name']))
  (axis,) = canvas.panels([''], 'after - before, share of questions', '')
  width, _ = canvas.figure.get_size_inches()
  canvas.figure.set_size_inches(width, 1.2 + 0.36 * len(names))
  models = list(dict.fromkeys(rows['after_model']))
  shades = canvas.shades(models)
  for k, model in enumerate(models):
    own, colour = rows[rows['after_model'] == model], shades[model]
    place = np.array([names.index(name) for name in own['name']], float)
    place += STEP * (k - (len(models) - 1) / 2)
    bars = [own['difference'] - own['low'], own['high'] - own['difference']]
    axis.errorbar(
      own['difference'], place, xerr=bars, fmt='none', ecolor=colour, lw=1
    )
    some = own['precise'].to_numpy(bool)
    for part, hollow in ((some, False), (~some, True)):
      axis.plot(
        own['difference'][part],
        place[part],
        ls='none',
        marker=MARKERS[k % len(MARKERS)],
        ms=4,
        color=colour,
        mfc='white' if hollow else colour,
        label='_' if hollow else model,
      )
  axis.axvline(0, color='0.4', lw=1)
  axis.set_yticks(range(len(names)), names)
  axis.invert_yaxis()


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
