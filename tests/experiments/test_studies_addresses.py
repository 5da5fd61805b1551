"""Names of runs by their settings."""

import hashlib

import pytest

from experiments.studies import addresses


def name(config, root='/study', stage='train_pm'):
  return addresses.address(stage, config, root)


def test_a_name_is_the_hash_of_stage_and_settings():
  text = '["train_pm", {"a": [1, 0.5], "b": "x"}]'
  wanted = hashlib.sha256(text.encode()).hexdigest()[:12]
  assert name({'b': 'x', 'a': (1, 0.5)}) == wanted
  assert name({'a': [1, 0.5], 'b': 'x'}) == wanted


def test_every_setting_and_the_stage_change_the_name():
  config = {'seed': 0, 'rate': 1.0, 'deep': {'x': True, 'y': [1, 2]}}
  others = [
    config | {'seed': 1},
    config | {'seed': '0'},
    config | {'rate': 1.0 + 2**-52},
    config | {'deep': {'x': False, 'y': [1, 2]}},
    config | {'deep': {'x': True, 'y': [2, 1]}},
    {key: config[key] for key in ('seed', 'rate')},
  ]
  names = {name(x) for x in others} | {name(config, stage='train_ppo')}
  assert len(names) == 7 and name(config) not in names


def test_a_study_that_was_moved_keeps_its_names():
  config = lambda root: {'base': f'{root}/lm/3K', 'data': '/data/x'}
  assert name(config('/a/b'), '/a/b') == name(config('/c'), '/c')
  assert name(config('/a/b'), '/a') != name(config('/c'), '/c')


def test_a_value_that_is_not_plain_is_one_line():
  with pytest.raises(ValueError, match='wanted plain settings.*object is not'):
    name({'a': object()})


def test_runs_that_differ_in_traced_settings_share_their_program():
  traced = {'seed', 'kl_coef'}
  key = lambda **changes: addresses.program(
    'train_ppo',
    {'seed': 0, 'size': '3K', 'world': {'seed': 0}} | changes,
    traced,
  )
  assert key() == key(seed=1) == key(kl_coef=0.1) == key(world={'seed': 4})
  assert len({key(), key(size='13K'), key(world={'name': 'parts'})}) == 3
  assert key().startswith('train_ppo-')
