"""Lines of the cells of docs/benchmarks.md, from the files of results/."""

import csv
import math
import pathlib

RULES = ('longer', 'first', 'random', 'random3', 'length', 'people')
FLOORS = (
  'always',
  'asked length',
  'reply length',
  'ood_words',
  'refuses',
  'complies',
)
THEIRS = 'person', 'harmbench', 'gpt4', 'llamaguard2', 'llama3'


def rows_of(results, *names):
  """Rows of the tables of those names that are there, one after another."""
  found = []
  for name in names:
    path = pathlib.Path(results) / name
    if path.exists():
      with path.open(newline='', encoding='utf-8') as file:
        found += csv.DictReader(file)
  return found


def number(text) -> str:
  """Three decimals without the zero before the point; '-' for none."""
  value = float(text or 'nan')
  if math.isnan(value):
    return '-'
  return (
    f'{value:.3f}'.replace('0.', '.', 1) if abs(value) < 1 else f'{value:.3g}'
  )


def estimate(row, name) -> str:
  """'.707 [.602, .797]' of a row that has NAME, NAME_low and NAME_high."""
  low, high = (
    row.get(f'{name}_{end}', row.get(end, '')) for end in ('low', 'high')
  )
  return f'{number(row[name])} [{number(low)}, {number(high)}]'


def nothing(results):
  """No lines."""
  del results
  return []


def agreement(setup, set_name, floors):
  """Lines of judges against people, in both orders; of floors `longer`."""

  def wanted(row):
    judge = row['judge']
    own = judge == 'longer' if floors else judge not in RULES
    own &= (row['set'], row['setup']) == (set_name, setup)
    return own and row['orders'] == 'both' and row['against'] in _PEOPLE

  def lines(results):
    names = 'evals/judges_agreement.csv', 'evals/judges_agreement_pm.csv'
    found = {x['judge']: x for x in rows_of(results, *names) if wanted(x)}
    return [
      f'`{judge}` {estimate(row, "agreement")}, n {row["n_pairs"]}'
      for judge, row in found.items()
    ]

  return lines


_PEOPLE = ('each person', 'the label')


def wins(questions):
  """Lines of win rates of two models of ours on a set of questions."""

  def lines(results):
    return [
      f'{row["model"]} against {row["against"]} by {row["judge"]}, turn '
      f'{row["turns"]}: {estimate(row, "win_rate")}, length-controlled '
      f'{estimate(row, "length_controlled")}, n {row["n"]}'
      for row in rows_of(results, f'evals/wins_{questions}.csv')
      if row['orders'] == 'both'
      and row['games'] == 'all'
      and row['judge'] not in RULES
    ]

  return lines


def longer_wins(questions):
  """Lines of the same by the rule that the longer reply wins."""

  def lines(results):
    return [
      f'`longer` {estimate(row, "win_rate")}, n {row["n"]}'
      for row in rows_of(results, f'evals/wins_{questions}.csv')
      if (row['orders'], row['games']) == ('both', 'all')
      and row['judge'] == 'longer'
    ]

  return lines


def leader_board(results):
  """Lines of models of AlpacaEval whose published rates are known."""
  return [
    f'{row["model"]} {estimate(row, "win_rate")}, n {row["n"]}'
    for row in rows_of(results, 'evals/win_rates_leader_board.csv')
    if row['model'] in ('claude', 'claude-2.1_concise')
  ]


def reward(results):
  """Lines of the scores of a policy before and after PPO."""
  rows = rows_of(results, 'smollm2_full/tables/rl_curve.csv')
  if not rows:
    return []
  ends = [min(rows, key=_iteration), max(rows, key=_iteration)]
  found = []
  for name, who in (('train_pm', 'its train PM'), ('test_pm', 'a test PM')):
    before, after = (
      f'{number(row[name])} (s.e. {number(row[f"{name}_se"])})' for row in ends
    )
    found.append(f'{who}: {before} before, {after} after PPO')
  return [*found, 'SmolLM2, one seed, 24 prompts']


def _iteration(row):
  return int(row['iteration'])


def hhh(results):
  """Lines of the HHH comparisons."""
  rows = rows_of(results, 'smollm2_full/tables/hhh.csv')
  asked = {('plain', 'mean'), ('prompted', 'mean')}
  return [
    f'{row["judge"]}, {row["rule"]}: {estimate(row, "accuracy")}, n {row["n"]}'
    for row in rows
    if row['category'] == 'all'
    and ((row['judge'], row['rule']) in asked or row['judge'].startswith('PM '))
  ]


def longer_answers(results):
  """Lines of the longer answer of the HHH comparisons."""
  return [
    f'`longer` {estimate(row, "accuracy")}, n {row["n"]}'
    for row in rows_of(results, 'smollm2_full/tables/hhh.csv')
    if (row['judge'], row['category']) == ('longer', 'all')
  ]


def detection(set_name, floors, name='harm_detection'):
  """Lines of detectors on a set: F1, AUROC, false alarms, milliseconds.

  Args:
    set_name: of the rows.
    floors: whether rules are wanted, or all others that are ours.
    name: of the table; NAME_pm.csv has those with a model.
  """

  def lines(results):
    rows = rows_of(results, f'evals/{name}.csv', f'evals/{name}_pm.csv')
    found = {x['detector']: x for x in rows if x['set'] == set_name}
    if not set(found) - {*FLOORS, 'union'}:
      found.pop('union', None)  # of floors alone
    return [
      f'{set_name}: `{who}` F1 {estimate(row, "f1")}, AUROC '
      f'{number(row["auroc"])}, FPR95 {number(row["fpr95"])}, '
      f'{number(row["ms_per_item"])} ms, n {row["n"]}'
      for who, row in found.items()
      if (who in FLOORS) == floors and not who.startswith(THEIRS)
    ]

  return lines


def both(*lines):
  """Lines of one after the other."""
  return lambda results: [line for own in lines for line in own(results)]
