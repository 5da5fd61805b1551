"""A model that is not ours, through the public makers alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_pm_reward, make_text_reward
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper, Prompts

V, D, WINNER, END, END_OF_CONTEXT = 14, 8, 5, 1, 13
RNG = jax.random.key(0)


def stranger(seed):
  keys = jax.random.split(jax.random.key(seed), 3)
  shapes = {'embed': (V, D), 'out': (D, V), 'head': (D,)}
  return {
    name: 0.5 * jax.random.normal(key, shape)
    for key, (name, shape) in zip(keys, shapes.items(), strict=True)
  }


def hidden(params, tokens_BT):
  place = jnp.arange(1, tokens_BT.shape[1] + 1)[:, None]
  return jnp.cumsum(params['embed'][tokens_BT], 1) / place


def logits_fn(params, tokens_BT, length_B):
  return hidden(params, tokens_BT) @ params['out']


def value_fn(params, tokens_BT, length_B):
  return hidden(params, tokens_BT) @ params['head']


def score_fn(params, tokens_BT, length_B):
  value_BT = value_fn(params, tokens_BT, length_B)
  return jnp.take_along_axis(value_BT, length_B[:, None] - 1, 1)[:, 0]


def winning_pairs(rng, size):
  """The sequence with the token 5 is preferred."""
  sides = rng.integers(6, 12, (2, size, 6)).astype(np.int32)
  sides[0, np.arange(size), rng.integers(0, 5, size)] = WINNER
  sides[:, :, 5] = END_OF_CONTEXT
  length_B = np.full(size, 6, np.int32)
  return PairBatch(sides[0], length_B, sides[1], length_B)


def train_preference_model():
  """(parameters, first accuracy, last accuracy)."""
  rng, tx = np.random.default_rng(0), make_optimiser()
  step = jax.jit(make_pm_step(score_fn, tx, microbatches=2))
  state, accuracy = init_state(stranger(1), tx), []
  for _ in range(40):
    state, metrics = step(state, winning_pairs(rng, 64), RNG, PMHyper(0.05))
    accuracy.append(float(metrics['accuracy']))
  return state.params, accuracy[0], accuracy[-1]


def start(seed, tx):
  params = {'policy': stranger(seed), 'value': stranger(seed + 1)}
  params['value']['head'] = jnp.zeros(D)
  # Own copies for pi_0: a caller may donate the state.
  return init_state(params, tx), jax.tree.map(jnp.copy, params['policy'])


def pieces(tx, max_reply):
  """collect, and the penalise, estimate and update of an iteration."""
  sampling = SamplingConfig(max_reply=max_reply, stop_ids=(END,), pad_id=0)
  collect = make_collect(sampling, logits_fn=logits_fn)
  return (
    lambda params, prompts, rng: collect(params['policy'], prompts, rng),
    ppo.make_penalise(logits_fn),
    ppo.make_estimate(
      lambda params, *args: value_fn(params['value'], *args), microbatches=2
    ),
    ppo_update.make_ppo_update(
      ppo_update.separate(logits_fn, value_fn), tx, passes=2, minibatch_size=32
    ),
  )


@pytest.mark.slow  # compiles PPO, as that of the README, which is quick
def test_a_stranger_trains_a_preference_model_and_a_policy():
  """Ten lines of plain JAX: accuracy and reward go up."""
  reward_params, first, last = train_preference_model()
  assert first < 0.8 and last > 0.95
  tx = make_optimiser()
  collect, *rest = pieces(tx, max_reply=4)
  reward = make_pm_reward(
    score_fn, end_of_context_id=END_OF_CONTEXT, eos_id=END
  )
  iteration = jax.jit(
    ppo.make_ppo_iteration(collect, reward, *rest), donate_argnums=0
  )
  prompts = Prompts(
    np.int32([[6, 7, 8], [9, 10, 0]] * 32),
    np.int32([3, 2] * 32),
    np.arange(64, dtype=np.int32),
  )
  state, ref = start(2, tx)
  frozen, scores = ppo.Frozen(ref, reward_params), []
  for _ in range(12):
    state, metrics = iteration(
      state, frozen, prompts, RNG, PPOHyper(0.05, 0.05, kl_coef=0.01)
    )
    scores.append(float(metrics['score']))
  assert int(state.step) == 12 * 2 * 2
  assert scores[-1] > scores[0] + 1.0
  assert float(metrics['kl_k1']) > 0.1


SYMBOLS = '0123456789+=.'


def test_a_reward_in_plain_python_teaches_arithmetic():
  """A verifier judges decoded text between two pure functions."""
  to_id = {symbol: i + 1 for i, symbol in enumerate(SYMBOLS)}
  decode = lambda ids: ''.join(SYMBOLS[i - 1] for i in ids if i)
  seen = []

  def judge(prompt, reply):
    seen.append((prompt, reply))
    return 1.0 if reply == str(eval(prompt[:-1])) else 0.0

  texts = ['1+2=', '0+3=', '2+1=', '3='] * 16
  ids = [[to_id[symbol] for symbol in text] for text in texts]
  prompts = Prompts(
    np.int32([row + [0] * (4 - len(row)) for row in ids]),
    np.int32([len(row) for row in ids]),
    np.arange(64, dtype=np.int32),
  )
  tx = make_optimiser()
  collect, *rest = pieces(tx, max_reply=1)
  collect, learn = jax.jit(collect), jax.jit(ppo.make_learn(*rest))
  reward, (state, ref) = make_text_reward(decode, judge), start(4, tx)
  scores = []
  for i in range(40):
    rollout = collect(state.params, prompts, jax.random.fold_in(RNG, i))
    score_B = reward(
      rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B
    )
    state, metrics = learn(
      state, ref, rollout, score_B, RNG, PPOHyper(0.1, 0.1, kl_coef=0.01)
    )
    np.testing.assert_allclose(metrics['score'], score_B.mean(), rtol=1e-6)
    scores.append(float(score_B.mean()))
  assert {prompt for prompt, _ in seen} == set(texts)
  assert np.mean(scores[:2]) < 0.4 and np.mean(scores[-5:]) > 0.8


def nnx_scorer(module, *filters):
  """(score_fn, parameters, the rest) of a flax.nnx module of one number."""
  graph, params, *rest = nnx.split(module, *filters)

  def score_fn(params, tokens_BT, length_B):
    value_BT = nnx.merge(graph, params, *rest)(tokens_BT)[..., 0]
    return value_BT.sum(1)

  return score_fn, params, rest


class Dropped(nnx.Module):
  """An embedding behind dropout, which holds RNG state."""

  def __init__(self, rngs):
    self.embed = nnx.Embed(V, 1, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

  def __call__(self, tokens_BT):
    return self.dropout(self.embed(tokens_BT))


@pytest.mark.parametrize(
  ('make', 'filters'),
  [
    (lambda rngs: nnx.Embed(V, 1, rngs=rngs), ()),
    (Dropped, (nnx.Param, ...)),
  ],
  ids=['no RNG state', 'RNG state split off'],
)
def test_a_flax_nnx_module_trains_as_a_preference_model(make, filters):
  score_fn, params, _ = nnx_scorer(make(nnx.Rngs(0)), *filters)
  rng, tx = np.random.default_rng(0), make_optimiser()
  step, losses = jax.jit(make_pm_step(score_fn, tx)), []
  state = init_state(params, tx)
  for _ in range(20):
    state, metrics = step(state, winning_pairs(rng, 32), RNG, PMHyper(0.1))
    losses.append(float(metrics['loss']))
  assert losses[-1] < 0.5 * losses[0]


def test_rng_state_among_the_parameters_is_refused_as_the_readme_says():
  score_fn, params, _ = nnx_scorer(Dropped(nnx.Rngs(0)))
  tx = make_optimiser()
  with pytest.raises(TypeError):
    state = init_state(params, tx)
    pairs = winning_pairs(np.random.default_rng(0), 4)
    make_pm_step(score_fn, tx)(state, pairs, RNG, PMHyper(0.1))
