"""The page of benchmarks says what results/ holds, and nothing else."""

import csv

from scripts import benchmark_rows
from scripts import make_benchmarks_doc as doc


def write(folder, name, *rows):
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def ours(page, name):
  (line,) = [x for x in page.splitlines() if x.startswith('| ') and name in x]
  return line.split(' | ')[3]


def test_the_page_of_benchmarks_is_what_the_results_say():
  assert doc.generate() == doc.PAGE.read_text(), (
    'run python -m scripts.make_benchmarks_doc'
  )


def test_there_are_ten_rows_and_without_files_none_is_measured(tmp_path):
  page = doc.table(tmp_path)
  lines = [x for x in page.splitlines() if x.startswith('| ')]
  assert len(lines) == 1 + 10 == 1 + len(doc.BENCHMARKS)
  assert all(ours(page, row.name) == doc.NOTHING for row in doc.BENCHMARKS)
  for row in doc.BENCHMARKS:
    assert f'{row.name}: ' in page and (f'`{row.command}`' in page) == bool(
      row.command
    )
  assert page.count('no arena votes are at hand') == 4


def test_a_judge_is_ours_and_a_rule_a_floor(tmp_path):
  row = {'set': 'mtbench', 'setup': 'S2', 'orders': 'both', 'n_pairs': 116}
  row |= {'against': 'the label'}
  row |= {'agreement_low': 0.6, 'agreement_high': 0.8, 'agreement': 0.7}
  one = row | {'judge': 'helpful', 'agreement': 0.75}
  write(tmp_path, 'evals/judges_agreement.csv', row | {'judge': 'longer'})
  write(tmp_path, 'evals/judges_agreement_pm.csv', one, one | {'orders': 'one'})
  page = doc.table(tmp_path)
  assert ours(page, 'first turn, S2') == '`helpful` .750 [.600, .800], n 116'
  assert '`longer` .700 [.600, .800], n 116' in page
  assert ours(page, 'first turn, S1') == doc.NOTHING


def test_a_union_of_floors_is_none_of_ours(tmp_path):
  row = {'set': 'look_alikes', 'n': 315, 'auroc': 0.5, 'fpr95': 1.0, 'f1': 0.63}
  row |= {'f1_low': 0.6, 'f1_high': 0.7, 'ms_per_item': 0.25}
  floors = [row | {'detector': x} for x in ('always', 'refuses', 'union')]
  write(tmp_path, 'evals/harm_detection.csv', *floors)
  assert ours(doc.table(tmp_path), 'single turn') == doc.NOTHING
  pm = row | {'detector': 'harmless', 'ms_per_item': 431.0, 'auroc': 0.81}
  write(tmp_path, 'evals/harm_detection_pm.csv', pm)
  found = ours(doc.table(tmp_path), 'single turn')
  line = (
    'look_alikes: `harmless` F1 .630 [.600, .700], AUROC .810, FPR95 1, '
    '431 ms, n 315'
  )
  assert line in found and '`union`' in found
  judges = [
    pm | {'set': 'jailbroken replies', 'detector': x}
    for x in ('gpt4', 'person 1', 'complies')
  ]
  write(tmp_path, 'evals/jailbreak_judges.csv', *judges)
  page = doc.table(tmp_path)
  assert ours(page, 'single turn') == found  # what others judged is theirs
  assert 'jailbroken replies: `complies`' in page and '`gpt4`' not in page


def test_the_first_and_the_last_policy_stand_beside_each_other(tmp_path):
  row = {'train_pm_se': 0.4, 'test_pm_se': 0.3, 'test_pm': -0.1}
  rows = [
    row | {'iteration': i, 'train_pm': x}
    for i, x in ((16, -0.076), (2, 5.0), (0, -0.552))
  ]
  write(tmp_path, 'smollm2_full/tables/rl_curve.csv', *rows)
  found = ours(doc.table(tmp_path), 'Reward on HH')
  assert '-.552 (s.e. .400) before, -.076 (s.e. .400) after PPO' in found
  assert (
    benchmark_rows.number('nan') == '-' and benchmark_rows.number('') == '-'
  )
