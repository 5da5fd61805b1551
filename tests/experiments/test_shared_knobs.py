"""Every knob of a stage is read by that stage while it runs.

The stages run whole, from their config to their last file, with compiled
programs replaced by ones that only count: what reads a config is plain Python.
"""

import types

import imported_fixture
import jax
import numpy as np
import pytest
import shared_fixture
import tiny_stages as tiny

from experiments import (
  make_comparisons,
  make_text,
  train_lm,
  train_pm,
  train_ppo,
)
from experiments.shared import people, policies, readers, shown
from tests.pretrained_files import need_or_skip

# What only the other ways of the same stage read: adapters, released pairs and
# imported tokenizers on one side, the simulated world on the other.
IMPORTED = {'adapters', 'feature_folder', 'reading', 'pad_token'}


class Noted(dict):
  """A config that notes which of its keys are read; copies note it too.

  Going over all of its items, as whoever writes config.json does, is no read.
  """

  def __init__(self, content, read=None):
    super().__init__(content)
    self.read = set() if read is None else read

  def __getitem__(self, key):
    self.read.add(key)
    return super().__getitem__(key)

  def get(self, key, default=None):
    self.read.add(key)
    return super().get(key, default)

  def __or__(self, other):
    return Noted(dict(self) | other, self.read)

  def __ror__(self, other):
    return Noted(other | dict(self), self.read)


def unread(stage, config, workdir):
  """Keys of the config that a stage does not read from its start to its end."""
  config = Noted(config)
  stage.run(config, workdir)
  assert (workdir / 'done.json').exists()
  return set(config) - config.read


def test_a_knob_that_nobody_reads_is_found(tmp_path):
  def run(config, workdir):
    changed = {'b': 0} | config | {'dead': 1}
    assert changed['a'] == 1 and changed.get('b', 5) == 2 and dict(changed)
    workdir.joinpath('done.json').touch()

  config = {'a': 1, 'b': 2, 'dead': 3}
  found = unread(types.SimpleNamespace(run=run), config, tmp_path)
  assert found == {'dead'}


def sample(params, rows, rng):
  """A reply of two tokens, of which one names the row."""
  B, P = rows.tokens_BP.shape
  tokens_BT = np.pad(np.asarray(rows.tokens_BP), ((0, 0), (0, 2)))
  place_B = np.arange(B), np.asarray(rows.length_B)
  tokens_BT[place_B] = 10 + rows.row_B % 200
  tokens_BT[place_B[0], place_B[1] + 1] = 11
  return tokens_BT, rows.length_B, rows.length_B + 2


def evaluate(trained, ref, weights, prompts, rng):
  """Measurements without meaning, of replies by `sample`."""
  tokens_BT, start_B, end_B = sample(ref, prompts, rng)
  B = len(start_B)
  names = ('kl', 'kl_k1', 'kl_k3', 'entropy', 'length', 'truncated')
  names += ('score_0', 'score_1')
  out = {name: np.arange(B) * 1.0 for name in names}
  out |= {'tokens': tokens_BT, 'prompt_length': start_B}
  return out | {'total_length': end_B}


def counting(updates):
  """A step that adds so many updates and changes nothing."""

  def step(state, *_):
    inner = getattr(state, 'state', state)  # of an average
    inner = inner._replace(step=inner.step + updates)
    averaged = hasattr(state, 'average')
    moved = state._replace(state=inner) if averaged else inner
    return moved, {'loss': 1.0}

  return step


def score(both, rows):
  number_B = np.arange(len(rows.prefix_B)) * 1.0
  return number_B, number_B[::-1].copy()


def drawn(init, mesh, *args):
  """An initial state that nothing was compiled for."""
  like = jax.eval_shape(init, *args)
  return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)


@pytest.fixture
def uncompiled(monkeypatch):
  """Stages whose programs count."""
  monkeypatch.setattr(train_lm, 'made', drawn)
  monkeypatch.setattr(train_lm, 'lm_step', lambda *_: counting(1))
  monkeypatch.setattr(train_lm, 'nats_per_token', lambda *_: 1.0)
  monkeypatch.setattr(policies, 'sampler', lambda *_: sample)
  monkeypatch.setattr(readers, 'pm_programs', lambda *_: (counting(1), score))
  monkeypatch.setattr(policies, 'ppo_iteration', lambda *_: counting(2))
  monkeypatch.setattr(policies, 'policy_eval', lambda *_: evaluate)
  zeros = lambda trained, ref, tokens_BT, *_: np.zeros(tokens_BT.shape)
  monkeypatch.setattr(shown, 'token_kl', lambda *_: zeros)
  monkeypatch.setattr(
    readers,
    '_feature_program',
    lambda *_: lambda params, part: np.float32(part.tokens_BT)[..., None],
  )


def released(*_):
  """The released pairs of the tests: train and test."""
  texts = shared_fixture.comparisons
  return texts(40), texts(9, kind='harmless')


@pytest.fixture
def simulated(tmp_path, uncompiled):
  """(unread keys by stage, root) of a whole tiny study of the world."""
  ppo = tiny.ppo(tmp_path, passes=1)  # two minibatches: two updates
  found = {
    'make_text': unread(make_text, tiny.text(tmp_path), tmp_path / 'text'),
    'train_lm': unread(train_lm, tiny.lm(tmp_path), tmp_path / 'lm'),
    'make_comparisons': unread(
      make_comparisons, tiny.comparisons(tmp_path), tmp_path / 'comparisons'
    ),
    'train_pm': unread(
      train_pm, tiny.pm(tmp_path, learning_rate=0.0), tmp_path / 'pm'
    ),
    'train_ppo': unread(train_ppo, ppo, tmp_path / 'ppo'),
  }
  return found, tmp_path


def test_every_knob_of_the_simulated_stages_is_read(simulated, monkeypatch):
  """And what is not, is read where the data are real; see below."""
  found, root = simulated
  assert found['train_lm'] == found['make_comparisons'] == set()
  assert found['train_pm'] == IMPORTED | {'features', 'data', 'head'}
  assert found['train_ppo'] == IMPORTED
  assert found['make_text'] == {'test_fraction'}
  monkeypatch.setattr(people, 'real_comparisons', released)
  monkeypatch.setattr(
    people, 'real_texts', lambda path, items: (['cats'], people.spoken(items))
  )
  config = tiny.text(root) | {'vocab_size': 320}
  config['data'] = config['data'] | {'source': 'hh'}
  real = unread(make_text, config, root / 'real')
  assert real == {'world', 'dialogues', 'plain_texts', 'seed'}
  assert not real & found['make_text']


@pytest.mark.slow  # traces every imported stage
def test_every_knob_of_the_imported_stages_is_read(uncompiled, tmp_path):
  """Adapters over features, of released pairs: nothing is left over."""
  need_or_skip('safetensors', 'tokenizers')
  imported_fixture.write_model(tmp_path / 'model')
  imported_fixture.write_data(tmp_path / 'data')
  for half in 'ab':
    config = imported_fixture.pm(tmp_path, half=half, learning_rate=0.0)
    found = unread(train_pm, config, tmp_path / f'pm-{half}')
    assert found == {'head'}  # read where read=pooled is
  config = imported_fixture.ppo(tmp_path, learning_rate=0.0)
  config |= {'batch_size': 8, 'minibatch_size': 4}
  assert unread(train_ppo, config, tmp_path / 'ppo') == {'world'}
