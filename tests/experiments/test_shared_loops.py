"""The loops of the stages, with steps that only count."""

import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny

from experiments import train_lm, train_pm, train_ppo
from experiments.shared import (
  comparisons,
  measuring,
  models,
  policies,
  readers,
)
from rlhf_jax.train.finite import NonFiniteError
from rlhf_jax.train.run import Run, load_params
from rlhf_jax.train.steps import TrainState

PPO = {
  'trained': 'all',
  'comparisons_dir': 'C',
  'on_nonfinite': 'stop',
  'seed': 3,
  'passes': 2,
  'batch_size': 8,
  'minibatch_size': 4,
  'iterations': 5,
  'dense_iterations': 2,
  'dense_every': 2,
  'sparse_every': 2,
  'log_every': 2,
  'checkpoint_every': 2,
  'kl_coef': 0.1,
  'pm_size': '3K',
  'pm_pairs': 12,
  'learning_rate': 0.5,
  'value_lr_ratio': 1.0,
  'warmup_iterations': 0,
  'clip': 0.2,
  'value_clip': 0.0,
  'discount': 1.0,
  'gae_lambda': 0.95,
  'truncation_penalty': 0.0,
  'shown': {'each': 0, 'replies': 17, 'snapshots': 3},
}
UPDATES = 4  # an iteration: two passes over two minibatches


class HeldOut:
  """Measures a policy by its one number."""

  world, kinds, pm_size = None, ['helpful'] * 3, '3K'
  texts = ('a', 'b', 'c')

  def __init__(self):
    self.calls = []

  def measure_pi0(self, start):
    self.calls.append(('pi0', number(start)))
    zero_NC = np.zeros((3, 2))
    return {'score_0': zero_NC, 'score_1': zero_NC, 'gold': zero_NC}

  def measure(self, policy, iteration):
    self.calls.append((iteration, number(policy)))
    names = ('kl', 'kl_k1', 'kl_k3', 'entropy', 'length', 'truncated', 'gold')
    out = {name: np.zeros(3) for name in names}
    scores = np.full(3, number(policy))
    said = [f'said {iteration}'] * 3
    return out | {'score_0': scores, 'score_1': -scores, 'replies': said}


def number(policy):
  return float(np.asarray(policy['trunk']['x']))


def state_of(iteration):
  """A policy whose number is how many iterations it has learned."""
  params = {'policy': {'trunk': {'x': jnp.float32(iteration)}}}
  return TrainState(jnp.int32(iteration * UPDATES), params, ())


def count_one(state, frozen, prompts, rng, hyper):
  assert frozen == 'frozen'
  iteration = int(state.step) // UPDATES + 1
  return state_of(iteration), {'prompts': prompts, 'kl_coef': hyper.kl_coef}


class Numbers:
  """Batches 0, 1, 2, ..., which can be saved."""

  last_rows = 0

  def __init__(self):
    self.at = -1

  def __next__(self):
    self.at += 1
    return self.at

  def get_state(self):
    return {'at': self.at}

  def set_state(self, state):
    self.at = state['at']


class Read:
  """Replies to be read, of the policies that are asked."""

  def __init__(self):
    self.calls = []

  def note(self, folder, policy, iteration):
    assert (folder / 'config.json').exists()
    self.calls.append((iteration, number(policy)))


def run_ppo(path, start=0, prepare=None, read=None):
  """Trains by counting; returns what was measured."""
  base = tiny.namespace(params={'trunk': {'x': np.float32(0)}}, rate=0.1)
  held_out = HeldOut()
  with Run(path, PPO) as run:
    if prepare:
      prepare(run)
    running = count_one, state_of(start), 'frozen', Numbers()
    train_ppo.train(PPO, run, base, held_out, running, {'flops': 7.0}, read)
  return held_out.calls


def lines(path, kind):
  rows = map(json.loads, (path / 'metrics.jsonl').read_text().splitlines())
  return [row for row in rows if row['kind'] == kind]


def test_a_policy_is_measured_at_its_checkpoints_and_kept(tmp_path, capsys):
  """Iterations 0, 1, 2, 4 and 5, each with the policy of that time."""
  path, read = tmp_path / 'ppo', Read()
  calls = run_ppo(path, read=read)
  assert calls == [('pi0', 0), (0, 0), (1, 1), (2, 2), (4, 4), (5, 5)]
  curve = pd.read_csv(path / 'rl_curve.csv')
  assert json.loads((path / 'done.json').read_text())['flops'] == 7
  assert curve['iteration'].tolist() == [0, 1, 2, 4, 5]
  assert curve['samples'].tolist() == [0, 8, 16, 32, 40]
  assert curve['train_pm'].tolist() == [0, 1, 2, 4, 5]
  assert curve['test_pm'].tolist() == [0, -1, -2, -4, -5]
  steps = [row['step'] for row in lines(path, 'checkpoint')]
  assert steps == [0, 4, 8, 16, 20]
  trained = lines(path, 'train')
  assert [row['step'] for row in trained] == [4, 12, 20]
  assert [row['prompts'] for row in trained] == [0, 2, 4]
  assert [row['kl_coef'] for row in trained] == [0.1] * 3  # the config's
  assert sorted(p.name for p in (path / 'checkpoints').iterdir()) == ['16']
  kept = load_params(path, {'trunk': {'x': jnp.float32(0)}})
  assert number(kept) == 5
  done = json.loads((path / 'done.json').read_text())
  assert done['iterations'] == 5 and done['train_pm'] == 5
  assert read.calls == [(0, 0), (2, 2), (5, 5)]  # first, middle and last
  assert 'train PM gain 5.000' in capsys.readouterr().out


def test_a_policy_that_was_killed_after_its_last_iteration_only_writes(
  tmp_path,
):
  """Nothing is left to learn, and the end was measured before."""
  row = {'iteration': 5, 'samples': 40, 'kl': 0.0, 'kl_se': 0.0}
  row |= {'entropy': 0.0, 'gold': 0.0, 'gold_se': 0.0}
  for name in ('train_pm', 'test_pm'):
    row |= {name: 5.0, f'{name}_se': 0.0}
  log = lambda run: run.log(20, row, kind='checkpoint')
  read = Read()
  calls = run_ppo(tmp_path / 'ppo', start=5, prepare=log, read=read)
  assert calls == [('pi0', 0)] and read.calls == []
  assert lines(tmp_path / 'ppo', 'train') == []
  curve = pd.read_csv(tmp_path / 'ppo' / 'rl_curve.csv')
  assert curve['train_pm'].tolist() == [5]


@pytest.fixture
def pair_run(tmp_path, monkeypatch):
  """Runs train_pm over 40 pairs with a step that counts its calls."""
  pairs = tiny.pairs(np.full(40, 0.8), kind=np.arange(40) % 2)
  found = comparisons.Pairs(pairs, pairs.take(slice(12)), {})
  monkeypatch.setattr(train_pm, 'open_base', lambda *_, **__: tiny.base())
  monkeypatch.setattr(comparisons, 'read_pairs', lambda *_: found)
  batches, asked = [], []

  class Reader:
    def batches(self, index_N, batch_size, seed, share):
      batches.append((len(index_N), batch_size, seed))
      return Numbers()

    def scores(self, score_fn, both, count, batch_size):
      asked.append((both[0], count, batch_size))
      row_N = np.arange(12)[:count].astype(float)
      return row_N, row_N[::-1]

  def step(state, frozen, batch, rng, hyper):
    taken.append((batch, float(hyper.learning_rate)))
    return state._replace(step=state.step + 1), {'loss': 1.0}

  taken = []
  monkeypatch.setattr(readers, 'reader_of', lambda *_: Reader())
  monkeypatch.setattr(readers, 'score_function', lambda *_: 'score')
  monkeypatch.setattr(readers, 'pm_programs', lambda *_: (step, 'score'))

  def call(name='pm', **changes):
    config = tiny.PM | changes
    train_pm.run(config, tmp_path / name)
    return tmp_path / name, batches, asked, taken

  return call


def test_a_preference_model_reads_every_pair_as_often_as_epochs_say(pair_run):
  """2 x 40 pairs in batches of 8 are ten steps; the curve is at 5 and 10."""
  path, batches, asked, taken = pair_run()
  assert batches == [(40, 8, 3)]
  assert taken == [(i, 0.5) for i in range(10)]
  assert asked == [(tiny.base().params, 6, 4)] * 2 + [
    (tiny.base().params, count, 4)
    for count in (None, 8)  # the report's pairs
  ]
  curve = pd.read_csv(path / 'pm_curve.csv')
  mix = curve[curve['eval_subset'] == 'mix']
  assert mix['pairs'].tolist() == [40, 80] and mix['n_eval'].tolist() == [6, 6]
  assert [row['step'] for row in lines(path, 'train')] == [4, 8]
  kept = pd.read_csv(path / 'pm_pairs.csv.gz')
  assert len(kept) == 12 and (kept['pairs'] == 80).all()
  assert sorted(p.name for p in (path / 'checkpoints').iterdir()) == ['10']
  done = json.loads((path / 'done.json').read_text())
  assert done['pairs'] == 80 and done['distinct_pairs'] == 40
  config = json.loads((path / 'config.json').read_text())
  assert config['holds'] == 'preference model' and config['trained'] == 'head'
  assert config['base'] == 'rung:3K' and config['row']['size'] == '3K'


def test_a_finished_stage_is_not_run_again(pair_run):
  pair_run()
  _, batches, asked, taken = pair_run()
  assert len(batches) == 1 and len(taken) == 10 and len(asked) == 4


def test_held_out_and_training_losses_are_told_apart(tmp_path, monkeypatch):
  """The last ten logged of twelve: 3 to 12, mean 7.5; held out: 1 a token."""
  held = np.full((4, 6), 7, np.uint16)
  length_N = np.array([2, 3, 4, 6], np.int32)
  np.savez(tmp_path / 'heldout.npz', tokens_NT=held, length_N=length_N)
  asked = []

  def loss(params, tokens_NT, length_N):
    asked.append((params, np.asarray(tokens_NT).shape))
    tokens = np.maximum(np.asarray(length_N) - 1, 0).sum()
    return float(tokens), float(tokens)

  monkeypatch.setattr(policies, 'text_loss', lambda *_: loss)
  monkeypatch.setattr(train_lm, 'nats_per_token', average)
  monkeypatch.setattr(train_lm, 'sample_gold', lambda *_: 0.25)
  config = {'text_dir': str(tmp_path), 'batch_size': 4}
  with Run(tmp_path / 'lm', config) as run:
    for step in range(1, 13):
      run.log(step, {'loss': float(step)})
    found = train_lm.measured(config, run, tiny.base(), 'params', None)
  assert found == {
    'nats_per_token': 1.0,
    'train_nats_per_token': 7.5,
    'gold': 0.25,
  }
  assert asked == [('params', (4, 6))]


def average(loss, params, tokens_NT, length_N, batch_size):
  assert batch_size == 4 and tokens_NT.dtype == np.int32
  total, tokens = loss(params, tokens_NT, length_N)
  return total / tokens


def test_gold_of_a_language_model_is_of_its_own_replies(monkeypatch):
  """Each row says its own number; real data has no gold."""
  config = {'data': {'source': 'simulated'}, 'world': {'seed': 0}, 'seed': 1}
  config |= {'samples': 6, 'max_prompt': 40, 'max_reply': 8}
  words, seen = tiny.words(), []

  def sample(params, rows, rng):
    seen.append((params, rows.row_B.tolist()))
    said = words.encode(' it is 5.') + [words.eos_id]
    tokens_BT = np.zeros((6, 60), np.int32)
    for out, ids, n in zip(tokens_BT, rows.tokens_BP, rows.length_B):  # noqa: B905
      out[: n + len(said)] = [*ids[:n], *said]
    return tokens_BT, rows.length_B, rows.length_B + len(said)

  monkeypatch.setattr(policies, 'sampler', lambda *_: sample)
  golds = []
  scores = lambda world, texts, kinds, replies: (
    golds.append((texts, kinds, replies)) or np.arange(6.0)
  )
  monkeypatch.setattr(train_lm.sources, 'gold_scores', scores)
  found = train_lm.sample_gold(config, tiny.base(), 'params', None)
  assert found == 2.5 and seen == [('params', list(range(6)))]
  ((texts, kinds, replies),) = golds
  assert replies == [' it is 5.'] * 6 and len(texts) == len(kinds) == 6
  assert set(kinds) <= {'helpful', 'harmful'}
  real = config | {'data': {'source': 'hh'}}
  assert np.isnan(train_lm.sample_gold(real, tiny.base(), 'params', None))


LM = {
  'size': '3K',
  'seed': 1,
  'mesh': tiny.PM['mesh'],
  'b2': 0.9,
  'weight_decay': 0.0,
  'microbatches': 1,
  'pack': False,
  'on_nonfinite': 'stop',
  'steps': 3,
  'warmup': 0.0,
  'log_every': 1,
  'checkpoint_every': 9,
  'batch_size': 4,
}


@pytest.mark.parametrize(('own', 'peak'), [(0.0, 0.015), (0.5, 0.5)])
def test_a_language_model_that_is_not_finite_says_at_which_update(
  own, peak, tmp_path, monkeypatch
):
  """The second of three; the rate is the config's own or the rung's."""
  rates = []

  def step(state, batch, rng, hyper):
    rates.append(float(hyper.learning_rate))
    return state, {'loss': np.nan if len(rates) == 2 else 1.0}

  rows = tiny.namespace(length_B=np.array([3, 4]))
  for name, value in (
    ('open_base', tiny.base()),
    ('texts_of', rows),
    ('batches_of', Numbers()),
    ('made', TrainState(jnp.int32(0), {'x': jnp.float32(0)}, ())),
    ('lm_step', step),
  ):
    monkeypatch.setattr(train_lm, name, lambda *_, v=value, **__: v)
  with pytest.raises(NonFiniteError, match='loss is not finite at update 2'):
    train_lm.run(LM | {'learning_rate': own}, tmp_path / 'lm')
  # A cosine over three steps: half its way down is at 1.5.
  want = [peak * 0.5 * (1 + math.cos(math.pi * i / 3)) for i in range(2)]
  assert rates == pytest.approx(want)


def test_a_policy_runs_against_the_train_pm_s_weights(tmp_path, monkeypatch):
  """What the iteration is given as its reward is the first scorer's."""
  config = PPO | {'base': 'B', 'role': 'linear', 'half': 'a', 'dtype': ''}
  config |= {'mesh': tiny.PM['mesh'], 'value_pm_dir': '', 'b2': 0.9}
  scorers = policies.Scorers(('f', 'g'), ('train', 'test'), '3K')
  found = {'train': ['to train on'], 'test': ['to hold out']}
  given = {}
  monkeypatch.setattr(
    train_ppo,
    'open_base',
    lambda *_, weights=True: given.update(read=weights) or tiny.base(),
  )
  programs = 'iteration', 'evaluate'
  monkeypatch.setattr(train_ppo, 'programs_of', lambda *_: programs)
  networks = [types.SimpleNamespace(functions='judge')]
  monkeypatch.setattr(train_ppo, 'open_scorers', lambda *_: networks)
  spent = lambda config, functions, judge: {'flops': judge}
  monkeypatch.setattr(train_ppo.compute, 'of_ppo', spent)
  monkeypatch.setattr(policies, 'scorers_of', lambda *_: scorers)
  monkeypatch.setattr(comparisons, 'read_prompts', lambda *_: found)
  prompts = Numbers()
  monkeypatch.setattr(
    train_ppo,
    'prompt_batches',
    lambda config, base, texts, share: given.update(texts=texts) or prompts,
  )
  monkeypatch.setattr(measuring, 'HeldOut', lambda *args: args)
  monkeypatch.setattr(train_ppo, 'train', lambda *args: given.update(args=args))
  train_ppo.run(config, tmp_path / 'ppo')
  assert given['texts'] == ['to train on']
  *_, base, held_out, running, spent, read = given['args']
  assert spent == {'flops': 'judge'}
  iteration, state, frozen, stream = running
  assert read is None
  assert base is tiny.base() and iteration == 'iteration' and stream is prompts
  assert held_out[2:] == (scorers, 'evaluate', ['to hold out'])
  assert frozen.reward == 'train' and frozen.ref is base.params
  assert frozen.base is None
  assert set(state.params) == {'policy', 'value'}
  assert set(state.params['value']) == {'trunk', 'head'}
  start = state.params['policy']['trunk']['embed']
  np.testing.assert_array_equal(start, base.params['trunk']['embed'])
  assert start is not base.params['trunk']['embed']  # the state is donated
  assert given['read'] is True
  (tmp_path / 'ppo' / 'done.json').write_text('{}')
  train_ppo.run(config, tmp_path / 'ppo')
  assert given['read'] is False  # what is done reads no weights


def test_a_value_network_starts_as_the_preference_model_it_is_told(monkeypatch):
  trunk = jax.tree.map(lambda x: x + 1, tiny.base().params['trunk'])
  start = {'trunk': trunk, 'head': {'kernel': np.ones(12)}}
  way = train_ppo.trained.way_of({'trained': 'all'})
  opened = []

  def open_scorer(path, mesh, computes):
    opened.append((path, mesh, computes))
    return models.Network(None, (), start, way, None, '3K')

  monkeypatch.setattr(train_ppo, 'open_scorer', open_scorer)
  config = {
    'trained': 'all',
    'value_pm_dir': 'V',
    'dtype': 'float32',
    'b2': 0.9,
  }
  state = train_ppo.initial_state(config, tiny.base(), None)
  computes = {'dtype': 'float32', 'matmul': 'float32'}
  assert opened == [('V', None, computes)]
  jax.tree.map(np.testing.assert_array_equal, state.params['value'], start)
  # And not as pi_0, from which the policy starts.
  base = tiny.base().params
  jax.tree.map(np.testing.assert_array_equal, state.params['policy'], base)


def test_too_few_pairs_for_a_batch_are_one_line(pair_run):
  """Nothing would be learned, and no curve could be written."""
  with pytest.raises(ValueError, match='a batch of 8 pairs, got 3, 2 times'):
    pair_run(name='few', pairs=3, epochs=2)
  pair_run(name='enough', pairs=4, epochs=2)
