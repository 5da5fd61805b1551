"""The table of settings: a meaning and a rule for each, and no other."""

import math

import pytest

from experiments.shared import knobs
from experiments.studies import job, launch, single
from tests.test_configs import (
  ALL,
  OTHERS,
  SECTIONS,
  STUDIES,
  _config,
  _jobs,
  _load,
)

STAGES = {
  'text': 'make_text',
  'lm': 'train_lm',
  'comparisons': 'make_comparisons',
  'pm': 'train_pm',
  'ppo': 'train_ppo',
  'baselines': 'train_ppo',
  'dpo': 'train_dpo',
  'hhh': 'evaluate_hhh',
  'tasks': 'make_tasks',
  'methods': 'compare_methods',
  'forum': 'make_forum',
  'pages': 'make_pages',
  'targets': 'make_targets',
  'distil': 'distil',
  'prompted': 'evaluate_prompted',
  'tranche': 'make_tranche',
  'mix': 'mix_tranches',
  'online': 'compare_policies',
  'outliers': 'detect_outliers',
  'rankings': 'make_rankings',
  'demonstrations': 'make_demonstrations',
  'skills': 'evaluate_skills',
  'activations': 'render_activations',
  'evals': 'evals',
  'reproduce': 'reproduce',
}
PRESETS = [(name, preset) for name, preset in ALL if name in STAGES]


@pytest.mark.parametrize(('name', 'preset'), PRESETS)
def test_every_setting_has_a_meaning_and_its_preset_obeys(name, preset):
  config, stage = _config(name, preset), STAGES[name]
  for key in knobs.leaves(config):
    knob = knobs.knob_of(key, stage)
    assert len(knob['means'].split()) > 1, key
    assert knob['kind'] in knobs.KINDS, key
  knobs.check(config, stage)


def test_every_entry_of_the_table_is_a_setting_of_some_stage():
  configs = [_config(*pair) for pair in PRESETS]
  configs += [_config('reproduce', preset) for preset in OTHERS]
  cluster = _load('sweeps/hh_pythia').get_config('confirm').to_dict()
  names = {key for config in configs for key in knobs.leaves(config)}
  names |= set(knobs.leaves(cluster)) | {'path', 'tokenizer_dir'}
  last = {key.rpartition('.')[2] for key in names} | set(cluster)
  last |= {'pm_lr_multiples'}
  for key in knobs.knobs():
    assert key in names or key.rpartition('.')[2] in last, key


@pytest.mark.parametrize('preset', STUDIES)
def test_every_job_of_a_study_obeys(preset):
  jobs = _jobs(preset)
  assert {one.module for one in jobs} <= set(SECTIONS)
  for one in jobs:
    knobs.check_job(one)


WRONG = [
  ('pm', 'eval_batch', 0),
  ('pm', 'epochs', 0),
  ('pm', 'checkpoint_every', 0),
  ('pm', 'log_every', 0),
  ('pm', 'microbatches', 0),
  ('pm', 'train_subset', 'x'),
  ('pm', 'half', 'c'),
  ('pm', 'seed', 10**20),
  ('pm', 'seed', -1),
  ('pm', 'lr_multiple', math.nan),
  ('pm', 'lr_multiple', -math.inf),
  ('pm', 'average_eta', math.nan),
  ('pm', 'curve_points', 0),
  ('pm', 'schedule_shape', 'x'),
  ('pm', 'dtype', 'float31'),
  ('pm', 'warmup', 1.5),
  ('pm', 'batch_size', True),
  ('lm', 'steps', 0),
  ('lm', 'log_every', -1),
  ('ppo', 'kl_coef', math.nan),
  ('ppo', 'temperature', 0.0),
  ('ppo', 'minibatch_size', 0),
  ('ppo', 'dense_every', 0),
  ('ppo', 'prompt_buckets', (0,)),
  ('ppo', 'discount', 1.5),
  ('text', 'test_fraction', 1.0),
  ('comparisons', 'sample_batch', 1),
]


@pytest.mark.parametrize(('name', 'key', 'value'), WRONG)
def test_a_wrong_value_is_refused_by_name(name, key, value):
  config = _config(name, 'smoke') | {key: value}
  with pytest.raises(ValueError, match=f'^{key}=.*: wanted '):
    knobs.check(config, STAGES[name])


def test_a_head_of_weighted_pairs_is_refused():
  """A logistic head has no weights of pairs."""
  config = _config('cross_fit', 'smollm2')
  knobs.check(config | {'models': ['mix', '30/70']}, 'cross_fit')
  with pytest.raises(
    ValueError, match=r'^models=.*mix\*4.*: a text such as help'
  ):
    knobs.check(config | {'models': ['mix*4']}, 'cross_fit')


def test_a_wrong_value_in_a_section_is_refused_by_its_dotted_name():
  study = _config('reproduce', 'smoke')
  study['pm']['features']['edges'] = [112, 0]
  with pytest.raises(ValueError, match='^pm.features.edges=.112, 0.: wanted'):
    knobs.check(study, 'reproduce')
  study = _config('reproduce', 'smoke') | {'seeds': [0, 10**20]}
  with pytest.raises(ValueError, match='^seeds='):
    knobs.check(study, 'reproduce')


@pytest.mark.parametrize(
  ('key', 'value'),
  [('minibatch_size', 48), ('microbatches', 5), ('eval_batch', 48)],
)
def test_rows_that_cannot_be_cut_are_refused(key, value):
  config = _config('ppo', 'smoke') | {key: value}
  with pytest.raises(ValueError, match=f'{key}={value}: choose a divisor'):
    knobs.check(config, 'train_ppo')


def test_a_study_with_one_wrong_setting_starts_nothing(tmp_path):
  good = job.Job('a', 'experiments.train_pm', {'eval_batch': 1})
  bad = job.Job('b', 'experiments.train_pm', {'eval_batch': 0}, needs=(good,))
  with pytest.raises(ValueError, match='^b: eval_batch=0: wanted a whole numb'):
    launch.run([bad], tmp_path / 'study', launch.Options())
  assert not (tmp_path / 'study').exists()


def test_what_runs_wrong_settings_by_hand_is_refused_too(tmp_path):
  bad = job.Job('b', 'json', {'eval_batch': 0})
  (tmp_path / 'study').mkdir()
  job.write_list(tmp_path / 'study', [bad])
  with pytest.raises(ValueError, match='^b: eval_batch=0: wanted a whole numb'):
    single.run(tmp_path / 'study', 0)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'train_pm_dir': '{0}/p'}, 'train_pm_dir={0}/p is not there: python -m '),
    ({'test_pm_dir': '{0}/begun'}, 'test_pm_dir={0}/begun is not finished: '),
    ({'base': '{0}/lm'}, 'base={0}/lm is not there: .*train_lm .*; or name a'),
    (
      {'test_pm_dir': '{0}/b'},
      'b is not there: .*config.size=3K .*half=b .*=rl',
    ),
    ({'hashed_rewards': True, 'train_pm_dir': '{0}/p'}, ''),
    ({'value_pm_dir': ''}, ''),
    ({'base': 'rung:13K'}, ''),
  ],
)
def test_inputs_that_are_missing_are_named_with_a_command(
  tmp_path, changes, message
):
  for name in ('c', 'pm', 'begun', 'lm-of-ours'):
    (tmp_path / name).mkdir()
    if name != 'begun':
      (tmp_path / name / 'done.json').touch()
  config = {f'{x}_pm_dir': '{0}/pm' for x in ('train', 'test', 'value')}
  config |= {'comparisons_dir': '{0}/c', 'base': '{0}/lm-of-ours'}
  config |= {'hashed_rewards': False, 'pm_size': '3K'} | changes
  filled = {
    key: x.format(tmp_path) if isinstance(x, str) else x
    for key, x in config.items()
  }
  if not message:
    knobs.require_inputs(filled)
    return
  with pytest.raises(ValueError, match=message.format(tmp_path)):
    knobs.require_inputs(filled, 'smoke')


@pytest.mark.parametrize(
  ('preset', 'study'),
  [
    ('', 'PRESET=headline WORKDIR=runs/reproduce'),
    ('micro', 'PRESET=headline WORKDIR=runs/reproduce'),
    ('headline', 'PRESET=headline'),
  ],
)
def test_a_test_pm_comes_of_a_study_that_has_policies(preset, study):
  config = {'test_pm_dir': 'nowhere/pm', 'pm_size': '13K'}
  with pytest.raises(ValueError, match=f'make reproduce {study} makes all$'):
    knobs.require_inputs(config, preset)
