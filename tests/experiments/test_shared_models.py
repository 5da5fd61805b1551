"""The doors to models and the ways of training them, on a tiny model."""

import json

import imported_fixture as tiny
import jax
import numpy as np
import pandas as pd
import pytest

from experiments import train_pm, train_ppo
from experiments.shared import models, trained
from rlhf_jax.train import about
from tests.pretrained_files import need_or_skip


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """A folder of a random chat model, and pairs."""
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('ways')
  tiny.write_model(root / 'model')
  tiny.write_data(root / 'data')
  return root


@pytest.mark.slow  # compiles a whole stage
def test_all_of_an_imported_model_is_trained_and_has_floors(root):
  """As tokens, with an average; the run is opened as a scorer and as a base."""
  config = tiny.pm(
    root, trained='all', read='tokens', average_eta=8.0, epochs=1
  )
  train_pm.run(config, root / 'all')
  floors = pd.read_csv(root / 'all' / 'floors.csv')
  assert set(floors['subset']) == {'mix', 'helpful', 'harmless'}
  found = models.open_scorer(root / 'all')
  assert found.frozen == () and set(found.trained) == {'trunk', 'head'}
  base = tiny.base(root).params['trunk']['embed']
  moved = np.abs(found.trained['trunk']['embed'] - base).max()
  assert 0 < moved < 1
  assert about.read(root / 'all').about.trained == 'all'


def test_a_head_alone_leaves_the_base_as_it_is(root):
  config = tiny.pm(root, trained='head', learning_rate=0.5)
  train_pm.run(config, root / 'head')
  found = models.open_scorer(root / 'head')
  assert set(found.trained) == {'head'}
  params = found.way.merge(found.frozen, found.trained)
  base = tiny.base(root).params
  jax.tree.map(np.testing.assert_array_equal, params['trunk'], base['trunk'])
  assert np.abs(params['head']['kernel']).max() > 0
  losses = [
    json.loads(line)['loss']
    for line in (root / 'head' / 'metrics.jsonl').read_text().splitlines()
    if '"train"' in line
  ]
  assert losses[-1] < losses[0]


def test_features_of_a_fully_trained_model_are_refused(root):
  config = tiny.pm(root, trained='all')
  with pytest.raises(ValueError, match="'features' with 'all'"):
    train_pm.run(config, root / 'refused')


def test_a_policy_of_a_head_is_refused(root):
  config = tiny.ppo(root, trained='head')
  with pytest.raises(ValueError, match='a policy has no head'):
    trained.policy(config, tiny.base(root))
  with pytest.raises(ValueError, match="'adapters' or 'head', got 'some'"):
    trained.way_of(config | {'trained': 'some'})


def test_a_value_network_of_another_way_is_refused(root):
  """The train PM has a head alone, the policy adapters."""
  train_pm.run(tiny.pm(root, trained='head', epochs=1), root / 'short')
  config = tiny.ppo(root, value_pm_dir=str(root / 'short'))
  with pytest.raises(ValueError, match='trained head: wanted one that trained'):
    train_ppo.initial_state(config, tiny.base(root), None)


def test_fresh_weights_of_a_rung_are_a_base_too(root):
  """Their tokenizer is that of the comparisons."""
  tiny.base(root).tokenizer.save(root / 'comparisons' / 'tokenizer.model')
  config = {'base': 'rung:3K', 'size': '', 'dtype': 'float32', 'seed': 1}
  config |= {'pad_token': '', 'comparisons_dir': str(root / 'comparisons')}
  base, again = models.open_base(config), models.open_base(config)
  assert base.size == '3K' and base.rate == 1.5e-2
  assert base.tokenizer.vocab_size == base.functions.config.vocab_size
  other = models.open_base(config | {'seed': 2}).params
  jax.tree.map(np.testing.assert_array_equal, base.params, again.params)
  embeds = (x['trunk']['embed'] for x in (base.params, other))
  assert not np.array_equal(*embeds)
  assert models.open_base(config, weights=False).params is None
