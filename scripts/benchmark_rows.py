"""Lines of the cells of docs/benchmarks.md, from the files of results/."""

import csv
import math
import pathlib

from rlhf_jax.analysis import intervals

RULES = ('longer', 'first', 'random', 'random3', 'length', 'people')
FLOORS = 'always', 'asked length', 'reply length'
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
  if abs(value) >= 100:
    return f'{value:,.0f}'
  return (
    f'{value:.3f}'.replace('0.', '.', 1) if abs(value) < 1 else f'{value:.3g}'
  )


def estimate(row, name) -> str:
  """'.707 [.602, .797]' of a row that has NAME, NAME_low and NAME_high."""
  low, high = (
    row.get(f'{name}_{end}', row.get(end, '')) for end in ('low', 'high')
  )
  return f'{number(row[name])} [{number(low)}, {number(high)}]'


def items(row, name='n') -> str:
  """'n 1,343' of a row."""
  return f'n {number(row[name])}'


def nothing(results):
  """No lines."""
  del results
  return []


def agreement(setup, set_name, floors):
  """Lines of judges against people, in both orders.

  Args:
    setup: 'S1' or 'S2'.
    set_name: of the rows.
    floors: `longer` is wanted, and people among themselves, or all others.
  """

  def wanted(row):
    judge = row['judge']
    own = judge == 'longer' if floors else judge not in RULES
    own &= row['orders'] == 'both' and row['against'] in _PEOPLE
    own |= floors and judge == 'people'
    return own and (row['set'], row['setup']) == (set_name, setup)

  def lines(results):
    names = 'evals/judges_agreement.csv', 'evals/judges_agreement_pm.csv'
    found = {x['judge']: x for x in rows_of(results, *names) if wanted(x)}
    return [
      f'{_named(judge)} {estimate(row, "agreement")}, {items(row, "n_pairs")}'
      for judge, row in found.items()
    ]

  return lines


def _named(judge):
  return 'people among themselves' if judge == 'people' else f'`{judge}`'


_PEOPLE = ('each person', 'the label')


def wins(questions):
  """Lines of win rates of two models of ours on a set of questions."""

  def lines(results):
    return [
      f'{row["model"]} against {row["against"]} by {row["judge"]}, turn '
      f'{row["turns"]}: {estimate(row, "win_rate")}, length-controlled '
      f'{estimate(row, "length_controlled")}, {items(row)}'
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
      f'`longer` {estimate(row, "win_rate")}, {items(row)}'
      for row in rows_of(results, f'evals/wins_{questions}.csv')
      if (row['orders'], row['games']) == ('both', 'all')
      and row['judge'] == 'longer'
    ]

  return lines


def leader_board(results):
  """Lines of models of AlpacaEval whose published rates are known."""
  return [
    f'check, {row["model"]} {estimate(row, "win_rate")}, {items(row)}'
    for row in rows_of(results, 'evals/win_rates_leader_board.csv')
    if row['model'] in ('claude', 'claude-2.1_concise')
  ]


def published(*names):
  """Lines of the numbers of others on the benchmarks of those names."""

  def lines(results):
    rows = rows_of(results, 'evals/judges_published.csv')
    return [
      f'{row["protocol"]} {_as_printed(row["published"])}'
      + (f', {items(row, "published_n")}' if row['published_n'] else '')
      + f' ({row["published_by"]})'
      for row in rows
      if row['benchmark'] in names and row['published']
    ]

  return lines


def _as_printed(text):
  """As many decimals as they print, without the zero before the point."""
  return text.removeprefix('0') if '.' in text else number(text)


def reward(results):
  """Lines of what policies of a real model gain by PPO, over seeds."""
  rows = rows_of(results, 'smollm2_rl/tables/rl_curve.csv')
  seeds = sorted({row['seed'] for row in rows})
  ends = []
  for seed in seeds:
    own = [row for row in rows if row['seed'] == seed]
    ends.append((min(own, key=_iteration), max(own, key=_iteration)))
  if not ends:
    return []
  found = []
  for name, who in (('train_pm', 'its train PM'), ('test_pm', 'a test PM')):
    score_2N = [[float(row[name]) for row in pair] for pair in ends]
    before, after = (sum(x) / len(x) for x in zip(*score_2N, strict=True))
    gain = intervals.t_interval([after - before for before, after in score_2N])
    found.append(
      f'score by {who}: {number(before)} before, {number(after)} after PPO, '
      f'gain {number(gain.mean)} [{number(gain.low)}, {number(gain.high)}]'
    )
  return [*found, f'PPO of SmolLM2 on helpful prompts, {len(seeds)} seeds']


def heads(results):
  """Lines of the accuracy of a head of one kind on pairs of its kind."""
  return [
    f'accuracy of a head on {kind} pairs: {estimate(row, "accuracy")}, '
    f'{items(row, "n_eval")}'
    for kind, row in _own_kind(results)
  ]


def length_rules(results):
  """Lines of the better rule on length on the same pairs."""
  names = {'helpful': 'longer', 'harmless': 'shorter'}
  return [
    f'{kind} pairs: `{names[kind]}` {estimate(row, "rule")}, '
    f'{items(row, "n_eval")}'
    for kind, row in _own_kind(results)
  ]


def _own_kind(results):
  """[(kind, row)] of heads that learned from the kind they are tested on."""
  rows = rows_of(results, 'smollm2/tables/cross_floors.csv')
  return [
    (row['subset'], row)
    for row in rows
    if row['model'] == row['subset'] != 'mix'
  ]


def _iteration(row):
  return int(row['iteration'])


def hhh(results):
  """Lines of the HHH comparisons."""
  rows = rows_of(results, 'smollm2_full/tables/hhh.csv')
  asked = {('plain', 'mean'), ('prompted', 'mean')}
  return [
    f'{row["judge"]}, {row["rule"]}: {estimate(row, "accuracy")}, {items(row)}'
    for row in rows
    if row['category'] == 'all'
    and ((row['judge'], row['rule']) in asked or row['judge'].startswith('PM '))
  ]


def hhh_after_rl(results):
  """Lines of the HHH comparisons by models before and after RL."""
  return [
    f'{row["after_model"]}, mean: {number(row["after"])}, '
    f'{row["before_model"]} {number(row["before"])}, difference '
    f'{estimate(row, "difference")}, {items(row)}'
    for row in rows_of(results, 'evals/tables/before_after.csv')
    if (row['task'], row['headline']) == ('hhh', 'True')
  ]


def longer_answers(results):
  """Lines of the longer answer of the HHH comparisons."""
  return [
    f'`longer` {estimate(row, "accuracy")}, {items(row)}'
    for row in rows_of(results, 'smollm2_full/tables/hhh.csv')
    if (row['judge'], row['category']) == ('longer', 'all')
  ]


def detection(set_name, floors, name='harm_detection'):
  """Lines of detectors on a set: F1, AUROC, false alarms, milliseconds.

  Args:
    set_name: of the rows.
    floors: whether `always` and lengths are wanted, or all others of ours.
    name: of the table; NAME_pm.csv has those with a model.
  """

  def lines(results):
    rows = rows_of(results, f'evals/{name}.csv', f'evals/{name}_pm.csv')
    found = {x['detector']: x for x in rows if x['set'] == set_name}
    return [
      f'{set_name}: `{who}` F1 {estimate(row, "f1")}, AUROC '
      f'{number(row["auroc"])}, FPR95 {number(row["fpr95"])}, '
      f'{number(row["ms_per_item"])} ms, {items(row)}'
      for who, row in found.items()
      if (who in FLOORS) == floors and not who.startswith(THEIRS)
    ]

  return lines


def joined(*lines):
  """Lines of one after the other."""
  return lambda results: [line for own in lines for line in own(results)]
