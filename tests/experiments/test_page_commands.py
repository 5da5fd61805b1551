"""Every command of the README, at smoke size, through the same entry point.

What stands there is run as it stands: its folders are led into a temporary one,
and settings that make it small are added at the end.
"""

import json
import math
import pathlib
import re
import shlex

import imported_fixture
import pytest
import tiny_stages
from experiments_command import call, succeeded

from tests.pretrained_files import need_or_skip, smollm2_or_skip

pytestmark = pytest.mark.slow  # a process a command

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / 'README.md').read_text().replace('\\\n', ' ')
COMMANDS = [
  shlex.split(line)
  for line in re.findall(
    r'^ {4}(?:\.venv/bin/)?python -m experiments\.(.*)$', README, flags=re.M
  )
]
READING = {
  'adapters.layers': 2,
  'adapters.rank': 2,
  'reading.train_pairs': 64,
  'reading.max_prompt': 40,
  'reading.max_reply': 10,
}
# Settings that make the presets of imported models small.
SMALL = {
  'train_pm': READING | {'features.edges': '(64,)', 'epochs': 1},
  'train_ppo': READING
  | {'iterations': 1, 'batch_size': 4, 'minibatch_size': 4}
  | {'eval_prompts': 4, 'eval_batch': 4, 'max_prompt': 40, 'max_reply': 6},
}
# And the sweep, whose runs start from a finished study.
SWEPT = {'size': '3K', 'pairs': 32, 'batch_size': 8, 'curve_points': 1}
SWEPT |= {'curve_eval_pairs': 16, 'eval_batch': 16, 'final_eval_pairs': 0}


def of(stage):
  """The README's commands of one stage; there is one at least."""
  found = [words for words in COMMANDS if words[0] == stage]
  assert found, f'the README has no command of {stage}'
  return found


def run(words, places, settings=()):
  """Runs a command with other folders and more settings."""
  for name, place in places.items():
    words = [re.sub(rf'(?<==){name}(?=/|$)', str(place), x) for x in words]
  more = [f'--config.{key}={value}' for key, value in dict(settings).items()]
  return succeeded(call(*words, *more))


def test_the_commands_are_those_that_are_run_here():
  """A new one in the README needs a test of its own."""
  stages = {words[0] for words in COMMANDS}
  assert stages == {
    'reproduce',
    'sweep',
    'train_pm',
    'train_ppo',
    'export',
    'generate',
    'compare',
  }


def test_two_committed_studies_stand_side_by_side(tmp_path):
  [words] = of('compare')
  done = succeeded(call(*words, f'--out={tmp_path}'))
  page = (tmp_path / 'index.html').read_text()
  assert done.stdout.strip() == str(tmp_path / 'index.html')
  assert 'rlhf_jax: micro and null' in page


def test_an_imported_model_goes_from_pairs_to_an_exported_policy(tmp_path):
  """The two PMs, the policy and its folder, each from what is before it."""
  need_or_skip('safetensors', 'tokenizers')
  model = imported_fixture.write_model(tmp_path / 'model')
  data = imported_fixture.write_data(tmp_path / 'data')
  places = {'runs': tmp_path / 'runs', 'DATA': data}
  base = {'base': model, 'pad_token': imported_fixture.PAD}
  for words in of('train_pm'):
    done = run(words, places, SMALL['train_pm'] | base)
    assert 'held-out pairs, one seed' in done.stdout
    assert done.stdout.splitlines()[-1].endswith('report/index.html')
  [words] = of('train_ppo')
  done = run(words, places, SMALL['train_ppo'] | base)
  assert 'train PM gain' in done.stdout
  [words] = of('export')
  done = run(words, places)
  folder = tmp_path / 'runs' / 'policy'
  assert json.loads((folder / 'config.json').read_text())['architectures']
  assert f'{folder}: the language model' in done.stdout


def test_the_sweep_trains_a_grid_and_prints_a_table(tmp_path):
  study = tmp_path / 'study'
  tiny_stages.prepare(study)
  made = {
    'base': study / 'lm',
    'comparisons_dir': study / 'comparisons',
  }
  [words] = of('sweep')
  done = run(words, {'runs': tmp_path / 'runs'}, SWEPT | made)
  grids = [x for x in words if re.fullmatch(r'\w+=[\d.]+(,[\d.]+)+', x)]
  wanted = math.prod(x.count(',') + 1 for x in grids)
  found = list((tmp_path / 'runs' / 'sweep').glob('*/done.json'))
  assert len(grids) == 2 and len(found) == wanted
  assert done.stdout.count('0.1') >= 3


def test_a_real_model_writes(tmp_path):
  smollm2_or_skip()
  [words] = of('generate')
  done = succeeded(call(*words, '--max_tokens=4'))
  assert done.stdout.strip()


@pytest.mark.parametrize('words', of('reproduce'), ids=' '.join)
def test_the_study_of_real_pairs_is_planned(words, tmp_path):
  """At its real size it takes hours; here its list of jobs is made."""
  data = imported_fixture.write_data(tmp_path / 'data')
  places = {'runs': tmp_path / 'runs', 'DATA': data}
  done = run([*words, '--on=list'], places)
  assert 'rl/' in done.stdout and 'to do' in done.stdout
