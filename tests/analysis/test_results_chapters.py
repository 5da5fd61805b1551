"""Tables of docs/results.md, held against the tables of their studies."""

import pathlib
import re

from rlhf_jax.analysis import runs

ROOT = pathlib.Path(__file__).parents[2]
SIZES = ('3K', '13K', '42K', '197K')
PAGE = (ROOT / 'docs' / 'results.md').read_text()


def part_of(title):
  """The text below a heading of the second level."""
  return PAGE.partition(f'## {title}\n')[2].partition('\n## ')[0]


def cells_of(title):
  """[[cell]] of all rows of tables below a heading."""
  found = re.findall(r'^\|(.*)\|$', part_of(title), re.M)
  return [[cell.strip() for cell in row.split('|')] for row in found]


def numbers(cells):
  """[[Said]] of cells."""
  found = [re.findall(r'\d*\.?\d+', cell) for cell in cells]
  return [[Said(x) for x in row] for row in found]


class Said:
  """A number as it is written, which equals any that is rounded to it."""

  def __init__(self, text):
    self.text = text
    digits = len(text.partition('.')[2])
    self.value, self.error = float(text), 0.501 * 10**-digits

  def __eq__(self, other):
    return abs(self.value - other) <= self.error

  def __repr__(self):
    return self.text


def tables_of(name):
  return runs.read_tables(ROOT / 'results' / name / 'tables')


def test_imitation_s_table_is_the_mean_over_its_seeds():
  frame = tables_of('imitation')['methods']
  assert frame['seed'].nunique() == 5
  mean = frame.groupby(['task', 'method', 'size'])['accuracy'].mean()
  rows = cells_of('Imitation, discrimination and ranking')[2:]
  tasks = ('helpful', 'harmless', 'answer', 'refusal')
  assert len(rows) == 8
  for i, row in enumerate(rows):
    task = tasks[i // 2]
    method = {'ranking': 'ranked', 'discrimination': 'binary'}.get(
      row[1], 'imitation'
    )
    said = [value for [value] in numbers(row[2:])]
    wanted = [mean[task, method, size] for size in ('3K', '13K', '42K')]
    assert said == wanted, row


def test_distillation_s_first_table_is_the_mean_over_its_seeds():
  tables = tables_of('distillation')
  rows = cells_of('Context distillation')
  left = tables['distillation'].query('texts == "all"')
  ends = left.groupby(['size', left['tokens'] > 0])['kl'].mean()
  mean = (
    tables['prompted'].groupby(['model', 'reading'])[['gold', 'nats_per_token']]
  ).mean()
  said = {row[0]: numbers(row[1:]) for row in rows[2:7]}
  for i, size in enumerate(('3K', '13K', '197K')):
    kl = said['KL of the student from the teacher, nats a token'][i]
    assert kl == [ends[size, False], ends[size, True]]
    for name, reading in (
      ('as it is', 'plain'),
      ('behind the prompt', 'prompted'),
      ('distilled', 'distilled'),
    ):
      assert said[f'gold, {name}'][i] == [mean['gold'][size, reading]]
    loss = said['loss on held-out texts, before and after'][i]
    nats = mean['nats_per_token'][size]
    assert loss == [nats['plain'], nats['distilled']]


def test_distillation_s_second_table_is_of_the_first_and_last_checkpoints():
  rows = cells_of('Context distillation')[-2:]
  mine = 'role == "linear" and size == "13K"'
  for row, frame in zip(
    rows,
    (
      tables_of('headline_rerun')['rl_curve'].query(mine),
      tables_of('distillation')['rl_curve'],
    ),
    strict=True,
  ):
    assert frame['seed'].nunique() == 8
    ordered = frame.sort_values('samples').groupby('seed')
    first, last = ordered.head(1).mean(numeric_only=True), ordered.tail(1)
    last = last.mean(numeric_only=True)
    wanted = [first['train_pm'], first['gold'], last['kl']]
    wanted += [last['train_pm'], last['gold']]
    said = [value for [value] in numbers(row[1:])]
    assert said == wanted


def test_the_table_of_outliers_is_the_mean_over_its_seeds():
  tables = tables_of('ood')
  mine = tables['ood'].query('pool == "last" and layer == layers')
  assert mine['seed'].nunique() == 8
  distance = mine.groupby(['score', 'size'])['auroc'].mean()
  shown = tables['ood_exposure'].query('pool == "last"')
  shown = shown.groupby(['outliers', 'size'])['auroc'].mean()
  rows = cells_of('Red-team prompts as outliers')[2:]
  scores = ('plain', 'simplified', 'relative')
  wanted = [[distance[score, size] for size in SIZES] for score in scores]
  wanted += [[shown[count, size] for size in SIZES] for count in (1, 10, 100)]
  for row, values in zip(rows, wanted, strict=True):
    said = [value for [value] in numbers(row[1:])]
    assert said == values, row


def test_what_is_said_of_real_outliers_is_in_their_tables():
  tables = tables_of('smollm2_ood')
  mine = tables['ood'].query('pool == "last"')
  best = mine.groupby(['score', 'layer'])['auroc'].mean().groupby('score').max()
  shown = tables['ood_exposure'].query('pool == "last"')
  shown = shown.groupby('outliers')['auroc'].mean()
  said = part_of('Red-team prompts as outliers')
  said = said.partition('**Real first turns**')[2]
  values = [best[name] for name in ('plain', 'simplified', 'relative')]
  for value in (*values, shown[10], shown[100]):
    assert f' {value:.3f}'.replace(' 0.', ' .') in said.replace('\n', ' ')
