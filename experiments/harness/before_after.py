"""Rows of a table of models before and after training, on the same questions.

A difference is the mean of after - before over the questions, with the standard
error of that mean; a row whose error is above PRECISE is marked.
"""

import math

from experiments.harness import outcomes

PRECISE = 0.02
TWO_SIDED = 1.96  # standard errors of a 95 % interval
# The metric that stands for a task; of all others it is acc.
HEADLINE = {
  'piqa.cloze': 'acc_norm',
  'hellaswag.cloze': 'acc_norm',
  'openbookqa.cloze': 'acc_norm',
  'arc_challenge.cloze': 'acc_norm',
  'truthfulqa_mc2.cloze': 'mc2',
  'triviaqa.written': 'exact_match',
  'hhh.answers': 'acc_mean',
}
MEAN = 'mean of tasks'
# In no mean: the questions of mc1 once more; no benchmark of capability.
APART = ('truthfulqa_mc2', 'hhh')


def headline(unit):
  """Name of the metric that stands for a unit."""
  return HEADLINE.get(f'{unit.task}.{unit.form}', 'acc')


def unit_rows(before, after, unit, sides):
  """Rows of one unit, a row a metric.

  Args:
    before: name of a model.
    after: name of the other.
    unit: `plan.Unit`.
    sides: (items before, items after).
  """
  head = {'before_model': before, 'after_model': after, 'name': unit.name}
  head |= {'task': unit.task, 'form': unit.form, 'shots': unit.shots}
  head |= {'template': unit.template}
  return [
    with_interval(head | row | {'headline': row['metric'] == headline(unit)})
    for row in outcomes.paired(*sides)
  ]


def with_interval(row):
  """The row with low, high and `precise`."""
  half = TWO_SIDED * row['stderr']
  return row | {
    'low': row['difference'] - half,
    'high': row['difference'] + half,
    'precise': bool(row['stderr'] <= PRECISE),
  }


def mean_row(rows):
  """The mean over units of their headline metrics, of one pair of models.

    d = mean of d[k],   se = sqrt(sum se[k]^2) / K

  Questions of different units are taken to be independent.

  Args:
    rows: of `unit_rows`, of units of one form and number of shots.
  """
  rows = [row for row in rows if row['headline']]
  K = len(rows)
  mean = lambda name: sum(row[name] for row in rows) / K
  error = math.sqrt(sum(row['stderr'] ** 2 for row in rows)) / K
  first = rows[0]
  name = f'{MEAN}.{first["form"]}.{first["shots"]}shot.{first["template"]}'
  found = first | {'name': name, 'task': MEAN, 'metric': 'headline'}
  found |= {key: mean(key) for key in ('before', 'after', 'difference')}
  found |= {'stderr': error, 'n': sum(row['n'] for row in rows)}
  return with_interval(found)


def mean_rows(rows):
  """`mean_row` of the zero-shot cloze rows of each pair of models.

  Tasks that have one form of their own count among them.
  """
  kinds = {}
  for row in rows:
    counts = row['task'] not in APART and row['shots'] == 0
    if counts and row['form'] != 'letters':
      kinds.setdefault((row['before_model'], row['after_model']), []).append(
        row | {'form': 'cloze'}
      )
  return [mean_row(own) for own in kinds.values()]


def largest_change(n):
  """Share of n right or wrong answers that may change for an error of PRECISE.

    stderr <= sqrt(d / (n - 1)),   d = (n - 1) PRECISE^2

  with d the share of questions that one model has right and the other wrong.
  """
  return (n - 1) * PRECISE**2


def part_line(name, tokens, n):
  """One printed line of what a part reads, and of what that is enough for.

  Args:
    name: of a unit, or 'hhh'; 'loss': n are documents.
    tokens: that are read.
    n: questions.
  """
  line = f'  {name:<36} {tokens:>9,.0f} tokens of {n}'
  if name == 'loss':
    return f'{line} documents'
  return (
    f'{line} questions, error at most {PRECISE} while no more than '
    f'{largest_change(n):.1%} change'
  )


def line_of(row):
  """One printed line of a row of before_after.csv."""
  line = (
    '{after_model:>12} {name:<36} {before:.3f} -> {after:.3f}, '
    '{difference:+.4f} +- {stderr:.4f}, n {n}'
  ).format(**row)
  return line + ('' if row['precise'] else f' (error above {PRECISE})')
