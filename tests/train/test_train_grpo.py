"""GRPO: its objective by loops, and the gradient of one update.

The model is a table: after token v the next one is distributed as row v says.
Two prompts have four replies each, of one to three tokens.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.train import ppo
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Rollout

GROUP, CLIP, BETA = 4, 0.2, 0.3
PROMPT_B = np.int32([1] * 4 + [2] * 4)
LENGTH_B = np.int32([2, 3, 4, 4, 3, 3, 5, 4])
SCORE_B = np.float32([1.0, -2.0, 0.5, 0.25, 3.0, 1.0, -1.0, 2.0])
B, T, V = 8, 5, fixture.V
TOKENS_BT = np.random.default_rng(0).integers(V, size=(B, T)).astype(np.int32)
REPLY = [list(range(p, n)) for p, n in zip(PROMPT_B, LENGTH_B, strict=True)]


def table(seed):
  """A policy as a table of logits, float64."""
  return np.random.default_rng(seed).normal(0, 0.7, (V, V))


def logp(table_VV, b, t):
  row = table_VV[TOKENS_BT[b, t - 1]]
  return row[TOKENS_BT[b, t]] - np.log(np.exp(row).sum())


def objective(table_VV, old_VV, ref_VV):
  """Equation 3 of Shao et al., as a loss, over the eight replies."""
  total = 0.0
  for b in range(B):
    own = SCORE_B[b // GROUP * GROUP :][:GROUP].astype(float)
    advantage = (SCORE_B[b] - own.mean()) / own.std(ddof=1)
    reply = 0.0
    for t in REPLY[b]:
      now = logp(table_VV, b, t)
      ratio = np.exp(now - logp(old_VV, b, t))
      clipped = min(max(ratio, 1 - CLIP), 1 + CLIP)
      log_r = logp(ref_VV, b, t) - now
      k3 = np.exp(log_r) - log_r - 1
      reply += min(ratio * advantage, clipped * advantage) - BETA * k3
    total += reply / len(REPLY[b])
  return -total / B


def slope(table_VV, *others, step=1e-5):
  """The gradient of `objective` by central differences."""
  found_VV = np.zeros((V, V))
  for i, j in itertools.product(range(V), range(V)):
    ends = []
    for sign in (1, -1):
      moved_VV = table_VV.copy()
      moved_VV[i, j] += sign * step
      ends.append(objective(moved_VV, *others))
    found_VV[i, j] = (ends[0] - ends[1]) / (2 * step)
  return found_VV


def pieces(tx, parts=1, algorithm='grpo'):
  return make_pieces(
    generate=None,  # the replies are there
    policy=fixture.bigram_logits,
    value_fn=None,
    reward=None,
    tx=tx,
    sampling=fixture.SAMPLING,
    passes=1,
    minibatch_size=B,
    microbatches=parts,
    group=GROUP,
    algorithm=algorithm,
  )


def one_update(table_VV, old_VV, ref_VV, parts):
  """(gradient of the update, its metrics, reward_BT)."""
  of = lambda x_VV: {'table_VV': jnp.float32(x_VV)}
  old_BT = np.zeros((B, T), np.float32)
  for b in range(B):
    old_BT[b, REPLY[b]] = [logp(old_VV, b, t) for t in REPLY[b]]
  rollout = Rollout(TOKENS_BT, PROMPT_B, LENGTH_B, np.ones(B, bool), old_BT)
  tx = optax.identity()
  _, _, penalise, estimate, update = pieces(tx, parts)
  hyper = fixture.hyper(1.0, clip=CLIP, kl_coef=BETA)
  params = {'policy': of(table_VV)}

  @jax.jit
  def run(state):
    learn = ppo.make_learn(penalise, estimate, update)
    reward_BT, _ = penalise(of(ref_VV), rollout, SCORE_B, hyper)
    after, metrics = learn(
      state, of(ref_VV), rollout, SCORE_B, jax.random.key(0), hyper
    )
    return after.params, metrics, reward_BT

  after, metrics, reward_BT = run(init_state(params, tx))
  moved = jax.tree.map(lambda a, b: a - b, params, after)
  return moved['policy']['table_VV'], metrics, reward_BT


@pytest.mark.parametrize('parts', [1, 2])
def test_an_update_descends_the_paper_s_objective(parts):
  """Replies weigh alike, however the batch is cut (checklist 66, 67)."""
  tables = [table(seed) for seed in (1, 2, 3)]
  gradient_VV, metrics, reward_BT = one_update(*tables, parts)
  loss = metrics['policy_loss'] + BETA * metrics['kl_loss']
  assert float(loss) == pytest.approx(objective(*tables), abs=1e-4)
  assert 0 < float(metrics['clip_fraction']) < 1
  np.testing.assert_allclose(gradient_VV, slope(*tables), atol=2e-4)
  np.testing.assert_allclose(reward_BT.sum(1), SCORE_B)  # no penalty in it


@pytest.mark.parametrize(
  ('changes', 'match'),
  [
    (dict(algorithm='ppo', value_fn=None, group=4), "got 'ppo' with"),
    (
      dict(algorithm='grpo', value_fn=fixture.bigram_value, group=None),
      "got 'grpo' with",
    ),
    (dict(algorithm='ppo2', value_fn=None, group=4), "got 'ppo2' with"),
    (
      dict(algorithm='rloo', value_fn=None, group=4, whiten=True),
      'for a critic, rloo has none',
    ),
  ],
)
def test_an_algorithm_without_what_it_needs_is_refused(changes, match):
  with pytest.raises(ValueError, match=match):
    make_pieces(
      generate=None,
      policy=fixture.bigram_logits,
      reward=None,
      tx=optax.identity(),
      sampling=fixture.SAMPLING,
      passes=1,
      minibatch_size=B,
      **changes,
    )
