"""RLOO and DPO beside a peer: a fake one whose numbers are loops in NumPy.

TRL itself is asked in test_agreement_trl.py. The fake peer computes losses and
gradients in float64, by the definitions and by differences, on a policy of a
few weights.
"""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.agreement import losses, parity

V, R, GROUP, BETA, RATE = 6, 4, 2, 0.1, 0.05
TOLD = losses.Told(rows=4, updates=1, rate=RATE, beta=BETA, group=GROUP)
RNG = np.random.default_rng(0)
# Rows 0 and 2, and 1 and 3, have one prompt; RLOO does not mind.
PROMPT = np.tile(RNG.integers(2, V, (2, 2)), (2, 1))
REPLY = RNG.integers(2, V, (4, R))
LENGTH = np.array([4, 2, 3, 1])
WORTH = RNG.normal(size=V)


def logits_fn(params, tokens_BT, length_B):
  del length_B
  return params['table_VV'][tokens_BT]


def reply_logp(table_VV, row, length):
  text = [*PROMPT[row], *REPLY[row][:length]]
  total = 0.0
  for before, token in zip(text[1:], text[2:], strict=False):
    odds = table_VV[before]
    total += odds[token] - math.log(np.exp(odds).sum())
  return total


def slope(loss, table_VV, step=1e-5):
  found = np.zeros((V, V))
  for place in np.ndindex(V, V):
    ends = []
    for sign in (1, -1):
      moved = table_VV.copy()
      moved[place] += sign * step
      ends.append(loss(moved))
    found[place] = (ends[0] - ends[1]) / (2 * step)
  return found


def tables():
  return [np.random.default_rng(i).normal(0, 0.5, (V, V)) for i in (1, 2)]


def peer_rloo(beta=BETA):
  """(what its loss is given and gives, the policy after) as TRL has it."""
  table, ref = tables()
  logp = np.array([reply_logp(table, i, LENGTH[i]) for i in range(4)])
  kl = logp - [reply_logp(ref, i, LENGTH[i]) for i in range(4)]
  worth = [WORTH[REPLY[i][: LENGTH[i]]].sum() for i in range(4)]
  reward = np.array(worth) - beta * kl
  other = reward.reshape(2, 2)[:, ::-1].reshape(-1)
  advantage = reward - other  # of two replies the other is left
  mean = lambda moved: (
    -np.mean(
      [
        advantage[i] * math.exp(reply_logp(moved, i, LENGTH[i]) - logp[i])
        for i in range(4)
      ]
    )
  )
  mask = np.arange(R) < LENGTH[:, None]
  found = {
    'prompt_ids': PROMPT,
    'prompt_mask': np.ones_like(PROMPT),
    'completion_ids': np.where(mask, REPLY, 0),
    'completion_mask': mask.astype(int),
    'old_logps': logp,
    'advantages': advantage,
    'loss': np.float64(mean(table)),
  }
  return found, table - RATE * slope(mean, table)


def peer_dpo(beta=BETA):
  """The same of DPO: rows 0 and 1 are chosen, 2 and 3 rejected."""
  table, ref = tables()

  def loss(moved):
    terms = []
    for good, bad in ((0, 2), (1, 3)):
      ratio = [
        reply_logp(moved, i, LENGTH[i]) - reply_logp(ref, i, LENGTH[i])
        for i in (good, bad)
      ]
      terms.append(math.log(1 + math.exp(-beta * (ratio[0] - ratio[1]))))
    return sum(terms) / 2

  real = np.arange(2 + R) < 2 + LENGTH[:, None]
  text = np.concatenate([PROMPT, REPLY], 1)
  found = {
    'input_ids': np.where(real, text, 0),
    'attention_mask': real.astype(int),
    'completion_mask': (real & (np.arange(2 + R) >= 2)).astype(int),
    'loss': np.float64(loss(table)),
  }
  return found, table - RATE * slope(loss, table)


def rows_of(which, peer):
  found, after = peer
  table, ref = ({'table_VV': jnp.float32(x)} for x in tables())
  made, ours = losses.UPDATES[which](
    logits_fn, table, ref, found, jnp.float32(WORTH), TOLD
  )
  apart = {name: losses.difference(*pair) for name, pair in made.items()}
  return apart, parity.moved(table, ours, {'table_VV': after})


@pytest.mark.slow  # four programs
@pytest.mark.parametrize(
  ('which', 'peer'), [('rloo', peer_rloo), ('dpo', peer_dpo)]
)
def test_ours_agrees_with_loops_and_another_beta_is_seen(which, peer):
  apart, gradient = rows_of(which, peer())
  assert max(apart.values()) < losses.TOLERANCE
  assert gradient < losses.GRADIENT
  apart, gradient = rows_of(which, peer(beta=2 * BETA))
  assert max(*apart.values(), gradient) > 10 * losses.GRADIENT


def test_the_inputs_of_both_sides_are_pairs_and_prompts_without_their_ids(
  tmp_path, monkeypatch
):
  """Neither the pad nor the end of the peer's tokenizer stands in a text."""
  monkeypatch.setattr(
    losses.start, 'make', lambda folder, _: folder.mkdir(parents=True)
  )
  settings = losses.told.PRESETS['tiny']
  losses.make_start(tmp_path / 'start', settings, TOLD)
  asked = json.loads((tmp_path / 'start' / 'losses.json').read_text())
  assert len(asked['prompts']) == 4 and len(asked['worth']) == 32
  texts = [*asked['prompts'], *sum(asked['pairs'].values(), [])]
  assert min(min(row) for row in texts) >= losses.start.FIRST
  assert {len(row) for row in asked['pairs']['chosen']} <= {1, 2, 3}
