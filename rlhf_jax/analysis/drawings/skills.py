"""Figures of skills: mixed into preference models, and after RL."""

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

TASKS = {'hh': 'requests', 'summaries': 'summaries', 'oneliners': 'Python'}
POLICIES = {'pi_0': ('0.5', ':'), 'hh': ('C1', '--'), 'mixed': ('C0', '-')}
LABELS = {'pi_0': 'before RL', 'hh': 'RL on requests', 'mixed': 'RL on all'}


def mixed_skills(canvas, tables):
  """Accuracy of PMs of one task and of all tasks, by size (Fig. 20)."""
  rows = select(tables, 'skill_pms')
  rows = rows.assign(alone=rows['pm'] != 'mixed')
  axes = canvas.panels(list(TASKS.values()), '', marks.ACCURACY)
  for axis, task in zip(axes, TASKS, strict=True):
    own = rows[rows['task'] == task]
    for label, part, colour, line in (
      ('PM of the task alone', own[own['alone']], '0.5', '--'),
      ('PM of all tasks', own[~own['alone']], 'C0', '-'),
    ):
      style = {'color': colour, 'ls': line, 'label': label}
      column = 'expected_accuracy'
      canvas.mean_line(axis, part, 'n_params', 'n_params', column, **style)
    marks.size_axis(axis, own)


def capability_by_size(canvas, tables):
  """Right choices and right answers, before RL and after it (Fig. 3).

  Skills are asked for by RL on all requests alone.
  """
  rows = select(tables, 'capability')
  panels = [(task, 'accuracy') for task in TASKS]
  panels += [(task, 'passed') for task in list(TASKS)[1:]]
  names = {'accuracy': 'right choices', 'passed': 'right answers'}
  titles = [TASKS[task] for task, _ in panels]
  labels = [names[column] for _, column in panels]
  axes = canvas.panels(titles, '', labels)
  for axis, (task, column) in zip(axes, panels, strict=True):
    own = rows[rows['task'] == task]
    for policy, (colour, line) in POLICIES.items():
      part = own[own['policy'] == policy]
      if part.empty:
        continue
      style = {'color': colour, 'ls': line, 'label': LABELS[policy]}
      canvas.mean_line(axis, part, 'n_params', 'n_params', column, **style)
    marks.size_axis(axis, own)
