"""The page of benchmarks says what results/ holds, and nothing else."""

import csv
import re

import pytest

from scripts import benchmark_rows
from scripts import make_benchmarks_doc as doc


def write(folder, name, *rows):
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


COLUMNS = {'ours': 3, 'floors': 4, 'published': 5, 'differ': 6}


def cell(page, name, column):
  """Text of one cell of a row."""
  (line,) = [x for x in page.splitlines() if x.startswith('| ') and name in x]
  return line.removesuffix(' |').split(' | ')[COLUMNS[column]]


def ours(page, name):
  return cell(page, name, 'ours')


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


def detector(name, **more):
  row = {'set': 'look_alikes', 'detector': name, 'n': 315, 'auroc': 0.5}
  row |= {'f1': 0.63, 'f1_low': 0.6, 'f1_high': 0.7, 'fpr95': 1.0}
  return row | {'ms_per_item': 0.25} | more


def test_always_and_lengths_are_floors_and_words_are_ours(tmp_path):
  names = ('always', 'asked length', 'ood_words', 'union')
  write(tmp_path, 'evals/harm_detection.csv', *map(detector, names))
  page = doc.table(tmp_path)
  numbers = 'F1 .630 [.600, .700], AUROC .500, FPR95 1, .250 ms, n 315'
  assert ours(page, 'single turn') == '<br>'.join(
    f'look_alikes: `{x}` {numbers}' for x in ('ood_words', 'union')
  )
  assert cell(page, 'single turn', 'floors').count('look_alikes') == 2
  assert ours(page, 'multi-turn') == doc.NOTHING


def test_what_no_model_has_been_asked_is_said_until_one_is(tmp_path):
  title = 'Measured without a model of ours so far:'
  write(tmp_path, 'evals/harm_detection.csv', detector('ood_words'))
  command = '- 9, Jailbreak detection, single turn: `python -m'
  said = doc.table(tmp_path).partition(title)[2]
  assert said.strip().startswith(command)
  pm = detector('harmless', ms_per_item=431.0, auroc=0.81)
  write(tmp_path, 'evals/harm_detection_pm.csv', pm)
  page = doc.table(tmp_path)
  assert title not in page and command not in page
  line = 'look_alikes: `harmless` F1 .630 [.600, .700], AUROC .810, FPR95 1, '
  assert f'{line}431 ms, n 315' in ours(page, 'single turn')


def test_what_others_judged_is_theirs(tmp_path):
  judges = [
    detector(x, set='jailbroken replies')
    for x in ('gpt4', 'person 1', 'complies')
  ]
  write(tmp_path, 'evals/jailbreak_judges.csv', *judges)
  page = doc.table(tmp_path)
  assert ours(page, 'single turn').startswith('jailbroken replies: `complies`')
  assert '`gpt4`' not in page and '`person 1`' not in page


def test_published_numbers_stand_as_they_were_printed(tmp_path):
  row = {'benchmark': 'HHH, multiple choice', 'protocol': 'a PM'}
  row |= {'published': '0.60', 'published_n': '1221', 'published_by': 'X'}
  rows = [
    row,
    row | {'benchmark': 'JailbreakBench judges, F1', 'published': '1142'},
    row | {'benchmark': 'Arena votes, S1', 'published': ''},
    row | {'benchmark': 'Arena votes, S2', 'published_n': ''},
  ]
  write(tmp_path, 'evals/judges_published.csv', *rows)
  page = doc.table(tmp_path)
  assert cell(page, 'HHH', 'published') == 'a PM .60, n 1,221 (X)'
  assert cell(page, 'single turn', 'published') == 'a PM 1,142, n 1,221 (X)'
  assert cell(page, 'Arena votes, S1', 'published') == '-'
  assert cell(page, 'Arena votes, S2', 'published') == 'a PM .60 (X)'


def test_heads_of_one_kind_stand_beside_the_rule_on_length(tmp_path):
  row = {'n_eval': 1535, 'accuracy': 0.657, 'rule': 0.567}
  for name in ('accuracy', 'rule'):
    row |= {f'{name}_low': 0.5, f'{name}_high': 0.75}
  rows = [
    row | {'model': x, 'subset': y}
    for x in ('harmless', 'mix')
    for y in ('helpful', 'harmless', 'mix')
  ]
  write(tmp_path, 'smollm2/tables/cross_floors.csv', *rows)
  page = doc.table(tmp_path)
  assert ours(page, 'Reward on HH') == (
    'accuracy of a head on harmless pairs: .657 [.500, .750], n 1,535'
  )
  assert cell(page, 'Reward on HH', 'floors') == (
    'harmless pairs: `shorter` .567 [.500, .750], n 1,535'
  )


@pytest.mark.parametrize(
  ('name', 'column', 'line'),
  [
    ('first turn, S1', 'published', 'pairwise against people .66, n 1,343'),
    ('first turn, S1', 'floors', 'among themselves .916 [.889, .941], n 665'),
    ('first turn, S2', 'published', 'pairwise against people .85, n 859'),
    ('first turn, S2', 'floors', '`longer` .707 [.602, .797], n 116'),
    ('Arena votes, S1', 'published', 'against people .64 (arXiv:2306.05685)'),
    ('Arena votes, S2', 'published', 'against people .87 (arXiv:2306.05685)'),
    ('AlpacaEval', 'ours', 'check, claude .164 [.137, .190], n 545'),
    ('AlpacaEval', 'published', 'claude by GPT-4 turbo .170, n 805'),
    ('Reward on HH', 'ours', 'helpful pairs: .635 [.609, .657], n 1,584'),
    ('Reward on HH', 'ours', 'harmless pairs: .657 [.633, .680], n 1,535'),
    ('Reward on HH', 'published', '(774M), helpful pairs .726 (hf Ray2333'),
    ('Reward on HH', 'published', '(774M), harmless pairs .737 (hf Ray2333'),
    ('HHH', 'ours', 'scaling-mix-a, score: .627 [.540, .706], n 126'),
    ('HHH', 'published', '52B preference model .86, n 221 (arXiv:2204.05862'),
    ('HHH', 'published', 'people .75, n 221'),
    ('single turn', 'ours', '`complies` F1 .631 [.555, .699], AUROC .624'),
    ('single turn', 'ours', '`ood_words` F1 .838 [.785, .885], AUROC .960'),
    ('single turn', 'published', 'GPT-4 against the majority of people .873'),
    ('single turn', 'published', 'pass of Llama Guard 3 851 (arXiv:2604.11943'),
    ('multi-turn', 'ours', '`ood_words` F1 .661 [.640, .680], AUROC .545'),
    ('multi-turn', 'published', 'no harmful example .85 (arXiv:2204.05862'),
  ],
)
def test_the_page_has_the_committed_number(name, column, line):
  assert line in cell(doc.PAGE.read_text(), name, column)


def test_every_benchmark_with_a_published_number_says_why_it_differs():
  page = doc.PAGE.read_text()
  for row in doc.BENCHMARKS:
    said = cell(page, f'| {row.name} |', 'differ')
    assert len(said) > 20, row.name
    there = cell(page, f'| {row.name} |', 'published') != '-'
    assert there or row.name == 'Vicuna, pairwise score'


# A file of ours in which a row of judges_published.csv is, what names its row,
# and the column of its value.
OURS = {
  ('Reward on HH', 'helpful pairs'): (
    'smollm2/tables/cross_floors.csv',
    {'model': 'helpful', 'subset': 'helpful'},
    'accuracy',
  ),
  ('Reward on HH', 'harmless pairs'): (
    'smollm2/tables/cross_floors.csv',
    {'model': 'harmless', 'subset': 'harmless'},
    'accuracy',
  ),
  ('HHH, multiple choice', '52B'): (
    'smollm2_full/tables/hhh.csv',
    {'judge': 'PM scaling-mix-a', 'category': 'all'},
    'accuracy',
  ),
  ('Jailbreak detection, single turn', 'Llama Guard 3'): (
    'evals/jailbreak_judges.csv',
    {'detector': 'complies'},
    'ms_per_item',
  ),
  ('Jailbreak detection, multi-turn', 'no harmful example'): (
    'evals/harm_detection.csv',
    {'set': 'dialogues, whole', 'detector': 'ood_words'},
    'auroc',
  ),
  ('AlpacaEval, pairwise score', 'of claude by'): (
    'evals/win_rates_leader_board.csv',
    {'model': 'claude'},
    'win_rate',
  ),
}


@pytest.mark.parametrize('key', OURS, ids=lambda key: ', '.join(key))
def test_ours_beside_a_published_number_is_that_of_its_file(key):
  name, wanted, column = OURS[key]
  rows = benchmark_rows.rows_of(doc.RESULTS, name)
  (source,) = [x for x in rows if wanted.items() <= x.items()]
  found = [
    row
    for row in benchmark_rows.rows_of(doc.RESULTS, 'evals/judges_published.csv')
    if row['benchmark'] == key[0] and key[1] in row['protocol']
  ]
  assert found
  for row in found:
    assert float(row['ours_value']) == pytest.approx(
      float(source[column]), abs=5e-4
    )


def test_kappa_and_alpha_of_the_page_of_judges_are_those_of_the_file():
  page = (doc.ROOT / 'docs' / 'judges.md').read_text()
  lines = re.findall(r'^\| .* \| (.*) \| (.*) \| (.*) \|$', page, flags=re.M)
  there = {(k, a, n) for k, a, n in lines}
  sets = {'pandalm': 'each person', 'webgpt': 'the label'}
  sets |= {'mtbench': 'the label', 'kwise': 'the label'}
  rows = benchmark_rows.rows_of(doc.RESULTS, 'evals/judges_agreement.csv')
  seen = 0
  for row in rows:
    if row['setup'] == 'S2' and row['against'] == sets[row['set']]:
      if (row['judge'], row['orders']) == ('longer', 'both'):
        cells = tuple(rounded(row, x) for x in ('kappa', 'alpha'))
        assert (*cells, f'{int(row["n_pairs"]):,}') in there, row
        seen += 1
  assert seen == len(sets)


def rounded(row, name):
  """'.41 [.29, .52]' of a row."""
  value, low, high = (
    f'{float(row[f"{name}{end}"]):.2f}'.replace('0.', '.')
    for end in ('', '_low', '_high')
  )
  return f'{value} [{low}, {high}]'


def test_the_first_and_the_last_policy_stand_beside_each_other(tmp_path):
  """Gains 1 and 2: 1.5 [-4.853, 7.853], t of one degree of freedom."""
  rows = [
    {'seed': seed, 'iteration': i, 'train_pm': x, 'test_pm': -0.1}
    for seed, i, x in (
      *((7, 16, 1.5), (7, 2, 5.0), (7, 0, 0.5)),
      *((8, 0, 0.25), (8, 16, 2.25)),
    )
  ]
  write(tmp_path, 'smollm2_rl/tables/rl_curve.csv', *rows)
  found = ours(doc.table(tmp_path), 'Reward on HH')
  assert (
    'score by its train PM: .375 before, 1.88 after PPO, gain 1.5 [-4.85, 7.85]'
  ) in found
  assert 'on helpful prompts, 2 seeds' in found
  assert (
    benchmark_rows.number('nan') == '-' and benchmark_rows.number('') == '-'
  )


def test_hhh_has_a_line_a_model_after_rl_once_they_are_measured(tmp_path):
  row = {'before_model': 'plain', 'after_model': 'ppo', 'task': 'hhh'}
  row |= {'before': 0.5, 'after': 0.54, 'difference': 0.04, 'n': 126}
  row |= {'low': -0.01, 'high': 0.09}
  rows = [row | {'headline': x, 'task': t} for x, t in SIDES]
  write(tmp_path, 'evals/tables/before_after.csv', *rows)
  found = ours(doc.table(tmp_path), 'HHH, multiple choice')
  line = 'ppo, mean: .540, plain .500, difference .040 [-.010, .090], n 126'
  assert found.count('ppo, mean') == 1 and line in found
  assert benchmark_rows.hhh_after_rl(tmp_path / 'none') == []


SIDES = (('True', 'hhh'), ('False', 'hhh'), ('True', 'piqa'))
