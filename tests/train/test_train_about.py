"""What a run says of itself, and how a study is moved."""

import json
import pathlib

import pytest

from rlhf_jax.train import about
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run

ROOT = pathlib.Path(__file__).parents[2]
PM = About('train_pm', 'preference model', 'adapters', 'smollm2')


def begin(workdir, config, about=None, **row):
  with Run(workdir, config, row, about=about):
    pass
  return json.loads((workdir / 'config.json').read_text())


def test_a_run_writes_what_it_holds_and_reads_it_again(tmp_path):
  written = begin(tmp_path / 'pm', {'seed': 3}, PM, role='scaling')
  assert {key: written[key] for key in About._fields} == PM._asdict()
  found = about.read(tmp_path / 'pm')
  assert found.about == PM
  assert found.config == {'seed': 3} and found.row['role'] == 'scaling'
  assert about.is_run(tmp_path / 'pm') and not about.is_run(tmp_path)


def study(root, base=''):
  """A study of one run, whose config names a path inside and one outside."""
  begin(root, {'preset': 'x'}, About('reproduce', 'study'))
  config = {
    'lm_dir': f'{root}/lm/3K',
    'pm_dirs': [f'{root}/pm/a', '/data/pm'],
    'nested': {'path': '/data', 'name': 'lm'},
  }
  base = base or f'{root}/lm/3K'
  begin(root / 'pm' / 'a', config, PM._replace(base=base))
  return config


def test_paths_inside_a_study_are_kept_relative_to_it(tmp_path):
  root = tmp_path / 'study'
  config = study(root)
  text = (root / 'pm' / 'a' / 'config.json').read_text()
  assert str(tmp_path) not in text
  stored = json.loads(text)
  assert stored['config'] == {
    'lm_dir': 'study:lm/3K',
    'pm_dirs': ['study:pm/a', '/data/pm'],
    'nested': {'path': '/data', 'name': 'lm'},
  }
  assert stored['base'] == 'study:lm/3K'
  assert about.read(root / 'pm' / 'a').config == config


def test_a_moved_study_goes_on_with_the_same_hashes(tmp_path):
  study(tmp_path / 'here')
  before = (tmp_path / 'here' / 'pm' / 'a' / 'config.json').read_text()
  (tmp_path / 'here').rename(tmp_path / 'there')
  config = study(tmp_path / 'there')  # refused if anything differed
  place = tmp_path / 'there' / 'pm' / 'a'
  assert (place / 'config.json').read_text() == before
  assert about.read(place).config == config
  assert about.read(place).about.base == str(tmp_path / 'there' / 'lm' / '3K')


def test_a_neighbour_whose_name_begins_alike_is_outside(tmp_path):
  root = tmp_path / 'a'
  begin(root, {}, About('reproduce', 'study'))
  config = {'x_dir': f'{tmp_path}/ab/lm', 'y_dir': str(root)}
  assert begin(root / 'pm', config)['config'] == config


def test_a_run_that_was_taken_out_of_its_study_says_so(tmp_path):
  study(tmp_path / 'study')
  (tmp_path / 'study' / 'pm' / 'a').rename(tmp_path / 'alone')
  with pytest.raises(RunError, match='taken out of its study'):
    about.read(tmp_path / 'alone')


@pytest.mark.parametrize(
  ('config', 'holds', 'trained', 'base'),
  [
    (
      {'train_subset': 'mix', 'lm_dir': '/lm', 'size': '3K', 'pairs': 4},
      'preference model',
      'all',
      '/lm',
    ),
    (
      {'train_subset': 'mix', 'model': 'smollm2', 'adapters': {'rank': 8}},
      'preference model',
      'adapters',
      'smollm2',
    ),
    ({'train_pm_dir': '/pm', 'lm_dir': '/lm'}, 'policy', 'all', '/lm'),
    (
      {'train_pm_dir': '/pm', 'model': 'm', 'adapters': {}},
      'policy',
      'adapters',
      'm',
    ),
    ({'size': '3K', 'steps': 5}, 'language model', 'all', 'rung:3K'),
    ({'pm_dirs': [], 'model': 'm'}, 'table', 'all', 'm'),
    ({'dialogues': 5}, 'texts', 'all', ''),
    ({'lm_size': '3K', 'lm_dir': '/lm'}, 'comparisons', 'all', '/lm'),
    ({'tokenizer_dir': '/t'}, 'comparisons', 'all', ''),
    ({'preset': 'micro'}, 'study', 'all', ''),
  ],
)
def test_runs_of_before_are_understood(config, holds, trained, base, tmp_path):
  (tmp_path / 'config.json').write_text(
    json.dumps({'config': config, 'row': {'role': 'x'}})
  )
  found = about.read(tmp_path)
  assert found.about == About('', holds, trained, base)
  if base:
    assert found.config['base'] == base
  assert found.config | config == found.config  # nothing is taken away


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('{', 'cannot read'),
    ('[]', 'wanted an object'),
    ('{"model_type": "llama"}', 'is not of a run'),
    ('{"config": {"what": 1}}', 'does not say what the run holds'),
  ],
)
def test_what_is_no_run_is_one_line(text, message, tmp_path):
  (tmp_path / 'config.json').write_text(text)
  with pytest.raises(RunError, match=message) as error:
    about.read(tmp_path)
  assert '\n' not in str(error.value)
