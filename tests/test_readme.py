"""What the README and the pages that go on from it say is true."""

import json
import pathlib
import re

import pytest

from rlhf_jax.analysis.notes import NOTES
from scripts import make_strip

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
VERDICTS = {1: 'pass', 2: 'fail', 9: 'pass', 4: 'pass', 3: 'fail'}
VERDICTS |= {5: 'inconclusive'}


def page(name):
  return (ROOT / 'docs' / f'{name}.md').read_text()


def block(text, holds):
  """The one Python program of a page that holds some words."""
  blocks = re.findall(r'```python\n(.*?)```', text, flags=re.S)
  [found] = [x for x in blocks if holds in x]
  return found


def test_its_strip_is_what_the_claims_of_headline_say():
  assert README == make_strip.generate(), 'run `make checklist`'


def test_a_line_of_the_strip_has_what_decides_beside_its_bound():
  one = {'name': 'r2', 'mean': 0.978, 'ci': [0.93, 0.99]}
  one |= {'side': '>', 'bound': 0.8}
  row = {'id': 1, 'title': 'PMs grow', 'verdict': 'pass', 'ci': [0.93, 0.99]}
  row |= {'decides': 'r2', 'contrasts': [one]}
  document = {'claims': [row, {'id': 2, 'verdict': 'not run'}]}
  assert make_strip.strip_of(document).splitlines()[2:] == [
    '| 1 | PMs grow | 0.978 (R²) | 0.93 to 0.99 | > 0.8 | ✓ pass |'
  ]


def test_below_the_strip_stand_the_verdicts_of_other_studies():
  rows = {number: {'verdict': verdict} for number, verdict in VERDICTS.items()}
  found = {n: ('headline' if n < 3 else 'b', row) for n, row in rows.items()}
  assert make_strip.beside(found) == (
    '\nIn other studies: ✓ pass 4, 9; ✗ fail 3; ? inconclusive 5.\n'
  )
  assert make_strip.beside({1: ('headline', rows[1])}) == ''


def test_it_is_short():
  """What a newcomer needs fits on two screens; the rest is on pages."""
  assert len(README.splitlines()) <= 120


def test_its_two_programs_run(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  exec(compile(block(README, 'read_tables'), 'README.md', 'exec'), {})
  shown = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in shown[2:]] == ['13K', '197K', '42K']
  names = {}
  exec(compile(block(README, 'make_pm_step'), 'README.md', 'exec'), names)
  assert callable(names['step'])


def test_the_step_with_a_foreign_model_runs(capsys):
  program = block(page('steps'), 'def score_fn')
  exec(compile(program, 'docs/steps.md', 'exec'), {})
  assert float(capsys.readouterr().out) == pytest.approx(0.6931, abs=1e-4)


def test_the_ppo_of_a_foreign_model_runs_whole_and_learns(capsys):
  """Chance is 1 of 13 symbols; nothing is defined outside of it."""
  program = block(page('steps'), 'def exact_match')
  exec(compile(program, 'docs/steps.md', 'exec'), {})
  scores = [float(x) for x in capsys.readouterr().out.split()]
  assert len(scores) == 40
  assert scores[0] < 0.3 and sum(scores[-5:]) / 5 > 0.8


def test_the_analysis_snippet_runs_on_committed_tables(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  program = block(page('notebooks'), 'fit_window')
  exec(compile(program, 'docs/notebooks.md', 'exec'), {})
  assert capsys.readouterr().out.count('slope=') >= 9


def test_exponents_of_the_frontier_are_those_that_the_page_names(
  capsys, monkeypatch
):
  monkeypatch.chdir(ROOT)
  program = block(page('results'), 'np.polyfit')
  exec(compile(program, 'docs/results.md', 'exec'), {})
  said = [line.split() for line in capsys.readouterr().out.splitlines()]
  of = lambda scorer: {p for name, _, p in said if name == scorer}
  assert len(said) == 9
  assert of('train') == {'0.48'} and of('gold') <= {'0.5', '0.51'}
  assert 'KL^.48 by the train PM and KL^.50 to KL^.51 in gold' in page(
    'results'
  )


def test_shares_of_the_frontier_are_those_that_the_program_beside_them_gives(
  capsys, monkeypatch
):
  monkeypatch.chdir(ROOT)
  program = block(page('results'), 'parts/ppo-slow')
  exec(compile(program, 'docs/results.md', 'exec'), {})
  said = [line.split() for line in capsys.readouterr().out.splitlines()]
  assert len(said) == 6
  for name in dict.fromkeys(words[0] for words in said):
    own = [words[1:] for words in said if words[0] == name]
    cells = [
      ', '.join(f'{float(x):.2f}'.removeprefix('0') for x in pair)
      for pair in zip(*own, strict=True)
    ]
    row = f'| {" | ".join(cells)} | `results/{name}` |'
    assert row in page('results')


def test_bows_of_the_first_world_are_those_that_the_program_beside_them_gives(
  capsys, monkeypatch
):
  monkeypatch.chdir(ROOT)
  program, names = block(page('results'), 'measured_bows'), {}
  exec(compile(program, 'docs/results.md', 'exec'), names)
  means = names['found'].groupby(['pm', 'subset'])[['frontier_bow', 'bow']]
  cells = [
    ' | '.join(f'{x:.2f}'.replace('0.', '.') for x in row)
    for row in means.mean().to_numpy()
  ]
  text = page('results')
  first = text.index('| train PM | prompts | bow of the frontier')
  rows = text[first : text.index('\n\n', first)].splitlines()[2:]
  shown = [row.strip('| ').split(' | ', 2)[2] for row in rows]
  assert sorted(shown) == sorted(cells) and len(cells) == 8
  slope, apart = (
    [float(x) for x in re.findall(r'=(-?[\d.]+)', line)][:3]
    for line in capsys.readouterr().out.splitlines()[-2:]
  )
  assert 'other is {:.2f} [{:.2f}, {:.2f}],'.format(*slope) in text
  bounds = '{:.2f} [{:.2f}, {:.2f}] in the mean'.format(*apart)
  assert bounds.replace('0.', '.') in text


def test_the_minutes_of_the_default_are_those_of_its_last_run():
  """Of a fresh clone: installing and analysing take less than a minute."""
  folder = ROOT / 'results' / 'parts' / 'micro-rerun-200-207'
  minutes = json.loads((folder / 'claims.json').read_text())['seconds'] / 60
  [named] = re.findall(r'^\| `make reproduce` \| (\d+) \|', page('start'), re.M)
  assert minutes < int(named) < minutes + 1
  assert f'eight seeds: {named} minutes' in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize('preset', ('null', 'hh', 'smollm2_full'))
def test_the_minutes_it_names_are_those_of_the_committed_studies(preset):
  claims = ROOT / 'results' / preset / 'claims.json'
  minutes = round(json.loads(claims.read_text())['seconds'] / 60)
  asked = rf'make reproduce PRESET={preset}( DATA=folder)?'
  row = rf'^\| `{asked}` \| {minutes} \| about'
  assert re.search(row, page('start'), flags=re.M)


@pytest.mark.parametrize(
  ('preset', 'claim', 'name'),
  [('hh', 1, 'final_accuracy'), ('smollm2_full', 6, 'accuracy_q0.0')],
)
def test_the_accuracy_it_names_is_that_of_the_committed_study(
  preset, claim, name
):
  claims = ROOT / 'results' / preset / 'claims.json'
  rows = json.loads(claims.read_text())['claims']
  [found] = [row['measured'] for row in rows if row['id'] == claim]
  accuracy = f'{found[name]:.2f}'.removeprefix('0')
  lines = page('start').splitlines()
  [row] = [x for x in lines if f'PRESET={preset} D' in x][:1]
  assert accuracy in row and f'({accuracy})' in NOTES[preset]


def test_what_helpful_pairs_alone_give_is_that_of_the_committed_study():
  rows = json.loads((ROOT / 'results/smollm2_full/claims.json').read_text())
  [found] = [r['measured'] for r in rows['claims'] if r['id'] == 4]
  accuracy = f'{found["accuracy"]:.2f}'.removeprefix('0')
  assert f'{accuracy} of {found["pairs"]:.0f} helpful' in page('launch')


def test_every_folder_that_the_map_names_exists():
  names = re.findall(r'^ {4}([\w./ ]+?/)  ', page('start'), flags=re.M)
  assert len(names) >= 12
  for name in names:
    for folder in name.split():
      home = ROOT if (ROOT / folder).exists() else ROOT / 'rlhf_jax'
      assert (home / folder).exists(), folder
