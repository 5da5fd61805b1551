# %% [markdown]
# # Reusing a step with a model that is not ours
#
# Training steps are pure functions that are handed plain callables, so any
# model of the right shapes will do. Here a bag of words learns preferences,
# then a `flax.nnx` module does, and then PPO teaches a policy of thirteen
# symbols to add, with plain Python as its reward. `docs/steps.md` has the
# shapes.
#
# It needs JAX, and a minute on a CPU. From the root of the repository:
#
#     pip install jupyterlab
#     jupyter lab notebooks/reuse_a_step.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx
from IPython.display import display

from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_text_reward
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper, Prompts

# %% [markdown]
# ## Pairs
#
# Letters name shapes: B rows, T positions. `length_B` says where a row ends;
# what stands behind it is padding and may be anything. In these pairs the
# preferred side says the word 5 somewhere, the other does not.
# %%
VOCABULARY, WINNER = 20, 5


def some_pairs(rng, size=64):
  sides = rng.integers(6, VOCABULARY, (2, size, 8)).astype(np.int32)
  sides[0, np.arange(size), rng.integers(0, 8, size)] = WINNER
  length_B = np.full(size, 8, np.int32)
  return PairBatch(sides[0], length_B, sides[1], length_B)


batch = some_pairs(np.random.default_rng(0))
print('preferred:', batch.chosen_tokens_BT[0])
print('the other:', batch.rejected_tokens_BT[0])
# %% [markdown]
# ## A bag of words as preference model
#
# All that the step wants is `score_fn(params, tokens_BT, length_B) ->
# score_B` and a tree of parameters. The step itself is not compiled: whoever
# calls it does that.
# %%


def bag_of_words(params, tokens_BT, length_B):
  real_BT = jnp.arange(tokens_BT.shape[1]) < length_B[:, None]
  return jnp.where(real_BT, params['word'][tokens_BT], 0.0).sum(1)


def train(score_fn, params, updates=30):
  """The trained parameters, and a table of loss and accuracy."""
  tx, rng = make_optimiser(), np.random.default_rng(1)
  step, rows = jax.jit(make_pm_step(score_fn, tx)), []
  state = init_state(params, tx)
  for i in range(updates):
    state, metrics = step(
      state, some_pairs(rng), jax.random.key(0), PMHyper(0.05)
    )
    if i in (0, 4, 9, updates - 1):
      row = {name: float(metrics[name]) for name in ('loss', 'accuracy')}
      rows.append({'update': i + 1} | row)
  return state.params, pd.DataFrame(rows).round(2)


params, table = train(bag_of_words, {'word': jnp.zeros(VOCABULARY)})
display(table)
print('the heaviest word:', int(params['word'].argmax()))
# %% [markdown]
# ## The same with flax.nnx
#
# `nnx.split` gives the graph and the parameters, `nnx.merge` puts them
# together again. A module with dropout holds keys and counters as well, which
# are no parameters: split those off with `nnx.split(module, nnx.Param, ...)`.
# %%


class Reader(nnx.Module):
  """Embeddings, one hidden layer, the mean over the text."""

  def __init__(self, rngs):
    self.embed = nnx.Embed(VOCABULARY, 16, rngs=rngs)
    self.hidden = nnx.Linear(16, 16, rngs=rngs)
    self.out = nnx.Linear(16, 1, rngs=rngs)

  def __call__(self, tokens_BT, length_B):
    real_BT1 = (jnp.arange(tokens_BT.shape[1]) < length_B[:, None])[..., None]
    x_BTD = jax.nn.gelu(self.hidden(self.embed(tokens_BT)))
    x_BD = (x_BTD * real_BT1).sum(1) / length_B[:, None]
    return self.out(x_BD)[:, 0]


graph, params = nnx.split(Reader(nnx.Rngs(0)))
_, table = train(lambda params, *rows: nnx.merge(graph, params)(*rows), params)
display(table)
# %% [markdown]
# ## PPO with a reward in Python
#
# A policy is `logits_fn(params, tokens_BT, length_B) -> logits_BTV`, whose
# column t predicts the token after it; the value network is of the same shape
# without V. Both are the mean of the embeddings so far, times a matrix. The
# reward reads decoded text: 1 for the right sum, else 0.
# %%
SYMBOLS = '.0123456789+='  # a token each; the first ends a reply


def read(params, tokens_BT, head):
  sum_BTD = jnp.cumsum(params['embed'][tokens_BT], 1)
  return sum_BTD / jnp.arange(1, tokens_BT.shape[1] + 1)[:, None] @ params[head]


def logits_fn(params, tokens_BT, length_B):
  return read(params, tokens_BT, 'out')


def value_fn(params, tokens_BT, length_B):
  return read(params, tokens_BT, 'value')


def exact_match(prompt, reply):
  a, b = (int(x) for x in prompt.rstrip('=').split('+'))
  return float(reply == str(a + b))


draw = lambda i, *shape: 0.5 * jax.random.normal(jax.random.key(i), shape)
pi0 = {'embed': draw(0, 13, 8), 'out': draw(1, 8, 13)}
value = {'embed': draw(2, 13, 8), 'value': jnp.zeros(8)}
# %% [markdown]
# ## The pieces
#
# `collect` samples replies, `reward` scores them, `learn` does the rest: the
# KL penalty against `pi0`, advantages, and two passes of PPO in minibatches
# of 32.
# %%
tx = make_optimiser()
state = init_state({'policy': pi0, 'value': value}, tx)
sampling = SamplingConfig(max_reply=1, stop_ids=(0,), pad_id=0)
collect = jax.jit(make_collect(sampling, logits_fn=logits_fn))
both = ppo_update.separate(logits_fn, value_fn)
update = ppo_update.make_ppo_update(both, tx, passes=2, minibatch_size=32)
values = lambda params, *rows: value_fn(params['value'], *rows)
learn = jax.jit(
  ppo.make_learn(
    ppo.make_penalise(logits_fn), ppo.make_estimate(values), update
  )
)
decode = lambda ids: ''.join(SYMBOLS[i] for i in ids)
reward = make_text_reward(decode, exact_match)
# %% [markdown]
# ## Forty iterations
#
# `right` is the share of right answers, `kl` the sampled KL from `pi0` in
# nats a reply. There are eleven symbols that could stand for an answer by
# chance.
# %%
asked = ['1+2=', '0+3=', '2+1=', '4+4='] * 16
tokens_BP = np.int32([[SYMBOLS.index(x) for x in text] for text in asked])
prompts = Prompts(tokens_BP, np.full(64, 4, np.int32), np.arange(64))
rng, rows = jax.random.key(3), []
hyper = PPOHyper(0.1, 0.1, kl_coef=0.01)
for i in range(40):
  rollout = collect(state.params['policy'], prompts, jax.random.fold_in(rng, i))
  score_B = reward(rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B)
  state, metrics = learn(state, pi0, rollout, score_B, rng, hyper)
  rows.append({'right': score_B.mean(), 'kl': float(metrics['kl_k1'])})
table = pd.DataFrame(rows, index=pd.RangeIndex(1, 41, name='iteration'))
display(table.iloc[[0, 4, 9, 19, 39]].round(2))
# %%
rollout = collect(state.params['policy'], prompts, jax.random.key(99))
for tokens_T in np.asarray(rollout.tokens_BT)[:4]:
  print(decode(tokens_T))
