"""The registry of stages is all scripts that are stages."""

import ast

import pytest
from experiments_command import ROOT

from experiments.shared import knobs
from experiments.studies import stages


def is_stage(path):
  """Whether a script has `run(config, workdir)`, all else with defaults."""
  for node in ast.parse(path.read_text()).body:
    if isinstance(node, ast.FunctionDef) and node.name == 'run':
      names = [argument.arg for argument in node.args.args]
      wanted = names[: len(names) - len(node.args.defaults)]
      return wanted == ['config', 'workdir']
  return False


def test_every_script_with_a_stage_s_face_is_in_the_registry():
  scripts = (ROOT / 'experiments').glob('*.py')
  assert sorted(stages.STAGES) == sorted(x.stem for x in scripts if is_stage(x))


def test_a_stage_is_found_by_its_name_or_its_short_one():
  assert stages.stage_of('pm') == stages.stage_of('train_pm') == 'train_pm'
  assert stages.module_of('train_pm') == 'experiments.train_pm'
  with pytest.raises(ValueError, match='--stage=train_pn: .*mean train_pm.'):
    stages.stage_of('train_pn')


def test_traced_settings_are_settings():
  known = {key.rpartition('.')[2] for key in knobs.knobs()}
  assert stages.TRACED <= known
