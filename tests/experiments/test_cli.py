"""Bad input ends in one clear line and a non-zero exit code."""

import gzip
import json

import jax
import pytest
from experiments_command import call, error_line, finish, start, succeeded

from experiments import make_text
from experiments.shared import models
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, save_params
from tests.test_configs import _config

# A process each; test_shared_command.py has the command line in one process.
pytestmark = pytest.mark.slow

HELP = {
  'analyse': '--workdir',
  'export': '--output',
  'claims': 'merge',
  'figures': '--workdir',
  'generate': '--prompt',
  'make_comparisons': '--config',
  'make_text': '--config',
  'reproduce': '--config',
  'sweep': '--grid',
  'train_lm': '--config',
  'train_pm': '--config',
  'train_ppo': '--config',
  'train_dpo': '--config',
}


@pytest.fixture(scope='module')
def helps():
  started = {name: start(name, '--help') for name in HELP}
  return {name: finish(process) for name, process in started.items()}


@pytest.mark.parametrize('name', HELP)
def test_help_works(helps, name):
  assert succeeded(helps[name]).returncode == 0
  assert HELP[name] in helps[name].stdout


@pytest.fixture(scope='module')
def texts(tmp_path_factory):
  """A text stage so small that it takes a second."""
  config = _config('text', 'smoke') | {'dialogues': 60, 'plain_texts': 5}
  path = tmp_path_factory.mktemp('text') / 'run'
  make_text.run(config | {'vocab_size': 320}, path)
  return path


@pytest.fixture(scope='module')
def lm(texts, tmp_path_factory):
  """An untrained language model of the rung 3K."""
  config = {'text_dir': str(texts), 'size': '3K', 'dtype': 'float32'}
  about = About('train_lm', 'language model', base='rung:3K')
  with Run(tmp_path_factory.mktemp('lm'), config, about=about) as run:
    vocab_size = models.text_tokenizer(config).vocab_size
    params = models.rung_model('3K', vocab_size).init(jax.random.key(0))
    save_params(run.path, params)
  return run.path


def test_an_unknown_preset(tmp_path):
  config = '--config=configs/reproduce.py:huge'
  line = error_line(call('reproduce', config, f'--workdir={tmp_path}/x'))
  known = 'classic, full, full_smoke, gpu, headline, hh, micro, null'
  assert f"unknown preset 'huge': one of {known}" in line
  assert not list(tmp_path.iterdir())


def test_a_missing_config_file(tmp_path):
  config = '--config=configs/nowhere.py:smoke'
  line = error_line(call('reproduce', config, f'--workdir={tmp_path}/x'))
  assert 'configs/nowhere.py' in line


def test_a_misspelt_key(tmp_path):
  config = '--config=configs/reproduce.py:smoke'
  flag = '--config.lm.stepz=3'
  line = error_line(call('reproduce', config, flag, f'--workdir={tmp_path}/x'))
  assert 'stepz' in line and 'Did you mean "steps"' in line
  assert not list(tmp_path.iterdir())


def test_a_value_of_another_type():
  config = '--config=configs/reproduce.py:smoke'
  flag = '--config.lm.steps=many'
  line = error_line(call('reproduce', config, flag, '--workdir=x'))
  assert '--config.lm.steps=many' in line


def test_a_missing_workdir():
  line = error_line(call('train_pm', '--config=configs/pm.py:smoke'))
  assert '--workdir is required' in line


def test_a_missing_data_directory(tmp_path):
  config = '--config=configs/reproduce.py:hh'
  data = f'--config.data.path={tmp_path}/nowhere'
  line = error_line(call('reproduce', config, data, f'--workdir={tmp_path}/x'))
  assert f'{tmp_path}/nowhere' in line and '--config.data.path' in line


def test_a_corrupt_gzip_file(tmp_path):
  talk = lambda reply: f'\n\nHuman: Hi there.\n\nAssistant: {reply}'
  row = json.dumps({'chosen': talk('Hello.'), 'rejected': talk('No.')})
  whole = gzip.compress(''.join(f'{row}\n' for _ in range(50)).encode())
  for tranche, data in (('helpful', whole), ('harmless', whole[:-30])):
    file = tmp_path / 'data' / f'hh_{tranche}_base_test' / 'pairs.jsonl.gz'
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
  done = call(
    'reproduce',
    '--config=configs/reproduce.py:hh',
    f'--config.data.path={tmp_path}/data',
    '--config.data.on_error=raise',
    '--config.workers=1',
    f'--workdir={tmp_path}/run',
  )
  line = error_line(done)
  assert 'hh_harmless_base_test/pairs.jsonl.gz' in line and 'text: ' in line


def test_a_base_of_another_size(lm, texts, tmp_path):
  done = call(
    'train_pm',
    '--config=configs/pm.py:smoke',
    f'--config.comparisons_dir={texts}',
    f'--config.base={lm}',
    '--config.size=13K',
    f'--workdir={tmp_path}/run',
  )
  line = error_line(done)
  assert str(lm) in line and 'holds a model of size 3K, got size 13K' in line


def test_a_stage_whose_input_is_missing(tmp_path):
  done = call(
    'train_pm',
    '--config=configs/pm.py:smoke',
    f'--config.base={tmp_path}/lm',
    f'--workdir={tmp_path}/run',
  )
  line = error_line(done)
  assert (
    f'base={tmp_path}/lm is not there: python -m experiments.train_' in line
  )


def test_a_workdir_of_another_config(texts):
  done = call(
    'make_text',
    '--config=configs/text.py:smoke',
    '--config.seed=7',
    f'--workdir={texts}',
  )
  line = error_line(done)
  assert str(texts) in line and 'another config' in line and 'seed' in line


def test_a_bad_grid(tmp_path):
  done = call(
    'sweep',
    '--stage=pm',
    '--config=configs/pm.py:smoke',
    '--grid=lr_multple=0.1',
    f'--workdir={tmp_path}/x',
  )
  assert 'did you mean lr_multiple?' in error_line(done)
  assert not list(tmp_path.iterdir())
