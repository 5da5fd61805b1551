"""What the README says is true: its step runs, its files and targets exist."""

import functools
import json
import pathlib
import re
import runpy

import pytest

from rlhf_jax.analysis.notes import NOTES

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', README, flags=re.S)


def test_the_step_with_a_foreign_model_runs(capsys):
  [block] = [b for b in BLOCKS if 'def score_fn' in b]
  exec(compile(block, 'README.md', 'exec'), {})
  assert float(capsys.readouterr().out) == pytest.approx(0.6931, abs=1e-4)


def test_the_ppo_of_a_foreign_model_runs_whole_and_learns(capsys):
  """Chance is 1 of 13 symbols; nothing is defined outside of it."""
  [block] = [b for b in BLOCKS if 'def exact_match' in b]
  exec(compile(block, 'README.md', 'exec'), {})
  scores = [float(x) for x in capsys.readouterr().out.split()]
  assert len(scores) == 40
  assert scores[0] < 0.3 and sum(scores[-5:]) / 5 > 0.8


@pytest.mark.parametrize('preset', ('micro', 'null', 'hh', 'smollm2_full'))
def test_the_minutes_it_names_are_those_of_the_committed_studies(preset):
  claims = ROOT / 'results' / preset / 'claims.json'
  minutes = round(json.loads(claims.read_text())['seconds'] / 60)
  asked = '' if preset == 'micro' else f' PRESET={preset}'
  row = rf'^\| `make reproduce{asked}( DATA=folder)?` \| {minutes} \| about'
  assert re.search(row, README, flags=re.M)


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
  [row] = [x for x in README.splitlines() if f'PRESET={preset} D' in x][:1]
  assert accuracy in row and f'({accuracy})' in NOTES[preset]


def test_what_helpful_pairs_alone_give_is_that_of_the_committed_study():
  rows = json.loads((ROOT / 'results/smollm2_full/claims.json').read_text())
  [found] = [r['measured'] for r in rows['claims'] if r['id'] == 4]
  accuracy = f'{found["accuracy"]:.2f}'.removeprefix('0')
  assert f'{accuracy} of {found["pairs"]:.0f} helpful' in README


def test_the_analysis_snippet_runs_on_committed_tables(capsys, monkeypatch):
  [block] = [b for b in BLOCKS if 'fit_window' in b]
  monkeypatch.chdir(ROOT)
  exec(compile(block, 'README.md', 'exec'), {})
  assert capsys.readouterr().out.count('slope=') >= 9


def test_every_folder_and_make_target_it_names_exists():
  makefile = (ROOT / 'Makefile').read_text()
  for target in re.findall(r'^ +make (\w+)', README, flags=re.M):
    assert f'\n{target}:' in makefile, target
  for name in re.findall(r'^ {4}([\w./ ]+?/)  ', README, flags=re.M):
    for folder in name.split():
      home = ROOT if (ROOT / folder).exists() else ROOT / 'rlhf_jax'
      assert (home / folder).exists(), folder
  for module in re.findall(r'python -m ([\w.]+)', README):
    assert (ROOT / (module.replace('.', '/') + '.py')).exists(), module


def test_commands_of_the_stages_set_knobs_that_there_are():
  """And what one reads, an earlier one has written."""
  text, written = README.replace('\\\n', ' '), {'runs/features'}
  commands = re.findall(r'^ {4}python -m (experiments\..*)$', text, flags=re.M)
  for command in commands:
    flags = dict(re.findall(r'--([\w.]+)=(\S+)', command))
    name, _, preset = flags.get('config', '').partition(':')
    if name:
      config = runpy.run_path(str(ROOT / name))['get_config'](preset)
      for key in flags:
        if key.startswith('config.'):
          functools.reduce(getattr, key.split('.')[1:], config)
    read = {v for k, v in flags.items() if k.endswith('_dir') or k == 'run'}
    assert read <= written, command
    written |= {flags.get('workdir'), flags.get('output')}
  assert sum('smollm2' in command for command in commands) == 3
