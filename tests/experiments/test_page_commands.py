"""Commands of the README and of docs/, at smoke size, as a user gives them.

What stands there is run as it stands: its folders are led into a temporary one,
and settings that make it small are added at the end.
"""

import gzip
import json
import math
import pathlib
import re

import imported_fixture
import pandas as pd
import pytest
import tiny_stages
from experiments_command import call, succeeded

from tests import doc_commands
from tests.pretrained_files import need_or_skip, smollm2_or_skip

pytestmark = pytest.mark.slow  # a process a command

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
# And the policies of docs/baselines.md, which start from one, too.
POLICY = {'size': '3K', 'pm_size': '3K', 'max_prompt': 32, 'max_reply': 8}
POLICY |= {'iterations': 2, 'batch_size': 8, 'dense_iterations': 0}
POLICY |= {'eval_prompts': 8, 'eval_batch': 8, 'shown.each': 0}


def of(page, stage):
  """A page's commands of one stage, as words from the stage on; one at least.

  Those that want a machine of their own are left out.
  """
  path = ROOT / page if page == 'README.md' else ROOT / 'docs' / page
  found = [
    command.words[2:]
    for command in doc_commands.commands_of(path.read_text(), page)
    if command.words[:2] == ['python', '-m'] and not command.needs
  ]
  found = [
    [words[0].removeprefix('experiments.'), *words[1:]]
    for words in found
    if words[0] == f'experiments.{stage}'
  ]
  assert found, f'{page} has no command of {stage}'
  return found


def run(words, places, settings=()):
  """Runs a command with other folders and more settings."""
  for name, place in places.items():
    words = [re.sub(rf'(?<==){name}(?=/|$)', str(place), x) for x in words]
  more = [f'--config.{key}={value}' for key, value in dict(settings).items()]
  for word in words:
    if word.startswith('--workdir='):
      folder = pathlib.Path(word.removeprefix('--workdir='))
      assert folder.is_absolute(), f'{folder} would be made in the repository'
  return succeeded(call(*words, *more))


@pytest.mark.parametrize('page', ['results.md', 'notebooks.md'])
def test_two_committed_studies_stand_side_by_side(page, tmp_path):
  [words] = of(page, 'compare')
  done = succeeded(call(*words, f'--out={tmp_path}'))
  text = (tmp_path / 'index.html').read_text()
  assert done.stdout.strip() == str(tmp_path / 'index.html')
  assert 'rlhf_jax: micro and null' in text


def test_an_imported_model_goes_from_pairs_to_an_exported_policy(tmp_path):
  """The two PMs, the policy and its folder, each from what is before it."""
  need_or_skip('safetensors', 'tokenizers')
  model = imported_fixture.write_model(tmp_path / 'model')
  data = imported_fixture.write_data(tmp_path / 'data')
  places = {'runs': tmp_path / 'runs', 'DATA': data}
  base = {'base': model, 'pad_token': imported_fixture.PAD}
  for words in of('launch.md', 'train_pm'):
    done = run(words, places, SMALL['train_pm'] | base)
    assert 'held-out pairs, one seed' in done.stdout
    assert done.stdout.splitlines()[-1].endswith('report/index.html')
  own = {'feature_folder': tmp_path / 'runs' / 'features'}
  for page, more in (
    ('launch.md', {}),
    ('own-reward.md', own | {'seed': 3}),
  ):
    [words] = of(page, 'train_ppo')
    run_to = tmp_path / page if more else tmp_path / 'runs'
    words = [x.replace('--workdir=runs', f'--workdir={run_to}') for x in words]
    done = run(words, places, SMALL['train_ppo'] | base | more)
    assert 'train PM gain' in done.stdout
  [words] = of('launch.md', 'export')
  done = run(words, places)
  folder = tmp_path / 'runs' / 'policy'
  assert json.loads((folder / 'config.json').read_text())['architectures']
  assert f'{folder}: the language model' in done.stdout


def write_pairs(file):
  """Pairs of the fixture, in one file of a user's own."""
  data = imported_fixture.write_data(file.parent / 'data')
  parts = sorted(pathlib.Path(data).glob('hh_*/pairs.jsonl.gz'))
  lines = b''.join(gzip.decompress(part.read_bytes()) for part in parts)
  file.write_bytes(lines)
  return file


def test_a_model_of_one_s_own_writes_is_trained_and_goes_out_again(tmp_path):
  """The first door of docs/own-model.md."""
  need_or_skip('safetensors', 'tokenizers')
  model = imported_fixture.write_model(tmp_path / 'model')
  places = {'FOLDER': model, 'runs': tmp_path / 'runs'}
  places['my_pairs.jsonl'] = write_pairs(tmp_path / 'my_pairs.jsonl')
  pad = {'pad_token': imported_fixture.PAD}
  [words] = of('own-model.md', 'generate')
  words = [x.replace('=FOLDER', f'={model}') for x in words]
  done = succeeded(call(*words, f'--pad_token={imported_fixture.PAD}'))
  assert done.stdout.strip()
  first, _ = of('own-model.md', 'train_pm')
  features = {'feature_folder': tmp_path / 'features'}
  done = run(first, places, SMALL['train_pm'] | pad | features)
  assert done.stdout.splitlines()[-1].endswith('report/index.html')
  [words] = of('own-model.md', 'export')
  run([x.replace('=runs', f'={tmp_path}/runs') for x in words], {})
  config = tmp_path / 'runs' / 'own-pm-folder' / 'config.json'
  assert json.loads(config.read_text())['num_labels'] == 1


def test_the_sweep_trains_a_grid_and_prints_a_table(tmp_path):
  """And a size from nothing, of docs/own-model.md, on the same comparisons."""
  study = tmp_path / 'study'
  tiny_stages.prepare(study)
  made = {
    'base': study / 'lm',
    'comparisons_dir': study / 'comparisons',
  }
  for page in ('README.md', 'launch.md'):
    words, *_ = of(page, 'sweep')
    places = {'runs': tmp_path / page}
    done = run(words, places, SWEPT | made)
    grids = [x for x in words if re.fullmatch(r'\w+=[\d.]+(,[\d.]+)+', x)]
    wanted = math.prod(x.count(',') + 1 for x in grids)
    found = list((tmp_path / page / 'sweep').glob('*/done.json'))
    assert len(grids) == 2 and len(found) == wanted
    assert done.stdout.count('0.1') >= 3
  _, words = of('own-model.md', 'train_pm')
  del made['base']
  small = {k: v for k, v in SWEPT.items() if k != 'size'}
  run(words, {'runs': tmp_path / 'runs'}, small | made)
  config = json.loads((tmp_path / 'runs/from-nothing/config.json').read_text())
  assert config['config']['base'] == 'rung:13K'


def test_each_algorithm_of_the_page_trains_a_policy_at_its_settings(tmp_path):
  """By each of the four commands, and each of them another way."""
  study = tmp_path / 'study'
  tiny_stages.prepare(study)
  made = {'base': study / 'lm', 'comparisons_dir': study / 'comparisons'}
  made |= {f'{name}_pm_dir': study / 'pm' for name in ('train', 'test')}
  found = {}
  for stage, more in (
    ('train_ppo', {'minibatch_size': 8}),
    ('train_dpo', {'pairs': 32, 'microbatches': 1}),
  ):
    for words in of('baselines.md', stage):
      run(words, {'runs': tmp_path}, POLICY | made | more)
      path = tmp_path / words[-1].partition('=runs/')[2]
      curve = pd.read_csv(path / 'rl_curve.csv')
      assert curve['kl'].iloc[0] == 0 < curve['kl'].iloc[-1]
      config = json.loads((path / 'config.json').read_text())['config']
      found[config['role']] = curve['kl_coef'].iloc[0]
  assert found == {
    'by_rloo': 0.001,
    'by_grpo': 0.04,
    'by_ppo': 0.001,
    'by_dpo': 0.1,
  }


def test_other_sweeps_of_the_page_are_told_dry(tmp_path):
  _, *others = of('launch.md', 'sweep')
  assert len(others) == 2
  for words in others:
    done = run([*words, '--dry_run'], {'runs': tmp_path})
    header, *rows = done.stdout.splitlines()
    assert header.split()[0] == 'run' and len(rows) >= 14
  assert not list(tmp_path.iterdir())


def test_a_real_model_writes(tmp_path):
  smollm2_or_skip()
  [words] = of('start.md', 'generate')
  done = succeeded(call(*words, '--max_tokens=4'))
  assert done.stdout.strip()


PLANNED = [
  (page, words)
  for page in ('launch.md', 'online.md', 'baselines.md')
  + ('instructgpt.md', 'reproduction.md')
  for words in of(page, 'reproduce')
]


@pytest.mark.parametrize(
  ('page', 'words'), PLANNED, ids=[page for page, _ in PLANNED]
)
def test_a_study_of_a_page_is_planned(page, words, tmp_path):
  """At its real size it takes hours; here its list of jobs is made."""
  data = imported_fixture.write_data(tmp_path / 'data')
  places = {'runs': tmp_path / 'runs', 'DIR': tmp_path / 'dir', 'DATA': data}
  done = run([*words, '--on=list'], places)
  assert 'to do' in done.stdout
