"""The peer's first iteration, done again by our functions.

The peer keeps what its own functions gave on its first replies. Ours are handed
the same replies, and each quantity is compared in the order of the algorithm.
No sampling is left in it, so what differs here differs in an equation.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.agreement import ours
from rlhf_jax.losses import language, masked
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train import ppo
from rlhf_jax.types import Rollout

# The largest difference that rounding explains, set before the first run.
TOLERANCE = 1e-4  # of numbers that both compute once
UPDATE_TOLERANCE = 2e-2  # of a few Adam steps, which divide small by small
WHITENED = 'advantage, whitened'


class ParityError(RuntimeError):
  """The two sides compute something else from the same replies."""


def rollout_of(found, prompt_length):
  """Rollout of the peer's replies, with its own log-probabilities."""
  tokens_BT = found['tokens'].astype(np.int32)
  B, T = tokens_BT.shape
  return Rollout(
    tokens_BT=jnp.asarray(tokens_BT),
    prompt_length_B=jnp.full(B, prompt_length, jnp.int32),
    length_B=jnp.full(B, T, jnp.int32),
    ended_B=jnp.zeros(B, bool),
    logp_BT=jnp.pad(jnp.asarray(found['logp']), ((0, 0), (prompt_length, 0))),
  )


def make_again(start, pieces):
  """Jitted again(state, frozen, rollout, rng, hyper) -> (arrays, params).

  Everything of an iteration but the sampling; the arrays have the names of
  those that the peer keeps, [B, R] each.
  """
  logits_fn, P = (
    build(start.policy.config).logits_fn,
    start.settings.prompt_length,
  )

  def again(state, frozen, rollout, rng, hyper):
    rows = rollout[:3]
    logps = [
      language.token_logps(logits_fn(params, rows[0], rows[2]), rows[0])
      for params in (state.params['policy'], frozen.ref)
    ]
    score_B = pieces.score(frozen.reward, *rows)
    reward_BT, _ = pieces.penalise(frozen.ref, rollout, score_B, hyper)
    experience = pieces.estimate(state.params, rollout, reward_BT, hyper)
    T = rows[0].shape[1]
    mask_BT = masked.reply_mask(*rows[1:], T)
    arrays = {
      'logp': logps[0][:, P:],
      'ref_logp': logps[1][:, P:],
      'value': experience.old_value_BT[:, P:],
      'score': score_B,
      'advantage': masked.masked_whiten(experience.advantage_BT, mask_BT)[
        :, P:
      ],
    }
    state, _ = pieces.update(state, experience, rng, hyper)
    return arrays, state.params

  return jax.jit(again)


def largest(got, expected):
  """Largest |got - expected| over the largest |expected|; NaN spreads."""
  got, expected = np.asarray(got, float), np.asarray(expected, float)
  return float(np.abs(got - expected).max() / np.abs(expected).max())


def distance(a, b):
  """Euclidean distance of two trees of parameters."""
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return (
    sum(
      float(np.square(np.asarray(x, float) - np.asarray(y, float)).sum())
      for x, y in pairs
    )
    ** 0.5
  )


def moved(before, ours_after, theirs_after):
  """|ours - theirs| / |theirs - before|, over all parameters together."""
  return distance(ours_after, theirs_after) / distance(theirs_after, before)


def array_rows(got, found):
  """[(what, difference, tolerance)] of the arrays.

  The peer whitens with the unbiased variance and ours with the biased one, a
  factor sqrt(n / (n - 1)) for n tokens. Both the plain difference and the one
  with the factor taken out stand here; only the second has to vanish.
  """
  names = {
    'logp': 'log-probability of the policy',
    'ref_logp': 'log-probability of pi_0',
    'value': 'value',
    'score': 'reward of the reply',
  }
  rows = [
    (name, largest(got[key], found[key]), TOLERANCE)
    for key, name in names.items()
  ]
  n = found['advantage'].size
  unbiased = got['advantage'] * ((n - 1) / n) ** 0.5
  return rows + [
    (WHITENED, largest(got['advantage'], found['advantage']), None),
    (f'{WHITENED}, by n - 1', largest(unbiased, found['advantage']), TOLERANCE),
  ]


def check(start, again, folder):
  """Rows of the first iteration that the peer left in `folder`.

  Args:
    start: Start.
    again: of `make_again`.
    folder: of a run of the peer.

  Returns:
    [{'what', 'difference', 'tolerance'}].

  Raises:
    ParityError: if one is above its tolerance, naming all that are.
  """
  found = dict(np.load(folder / 'first.npz'))
  state = ours.first_state(start)
  before = state.params
  frozen = ppo.Frozen(start.policy.params, start.reward.params)
  rollout = rollout_of(found, start.settings.prompt_length)
  got, after = jax.device_get(
    again(
      state, frozen, rollout, jax.random.key(0), ours.hyper_of(start.settings)
    )
  )
  rows = array_rows(got, found)
  for name, path in (('policy', '1'), ('value', 'value-1')):
    theirs = load_folder(folder / path).params
    change = moved(before[name], after[name], theirs)
    rows.append((f'change of the {name} network', change, UPDATE_TOLERANCE))
  return require(rows)


def require(rows):
  """The rows as dicts, if each is within its tolerance (None: any)."""
  wrong = [
    f'{what}: {found:.2g}, wanted at most {limit:g}'
    for what, found, limit in rows
    if limit is not None and not found <= limit
  ]
  if wrong:
    raise ParityError('on the same replies: ' + '; '.join(wrong))
  keys = ('what', 'difference', 'tolerance')
  return [dict(zip(keys, row, strict=True)) for row in rows]
