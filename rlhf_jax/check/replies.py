"""Checks of what is sampled, and of how it is scored afterwards."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rlhf_jax.check.findings import Outcome
from rlhf_jax.check.forward import tolerance
from rlhf_jax.losses.language import token_logps
from rlhf_jax.losses.masked import reply_mask

TEMPERATURES = (0.7, 1.0)


def temperatures(subject) -> tuple:
  """Temperatures that are tried: the config's, and two more of our sampler."""
  own = float(subject.settings.temperature)
  if subject.sample_fn is not None:  # it samples at its own
    return (own,)
  return tuple(dict.fromkeys((own, *TEMPERATURES)))


def _mask(rollout):
  T = rollout.tokens_BT.shape[1]
  return (
    np.asarray(reply_mask(rollout.prompt_length_B, rollout.length_B, T)) > 0
  )


def _largest(x_BT, mask_BT):
  found = np.abs(np.where(mask_BT, x_BT, 0.0)).max(initial=0.0)
  return float(found) if np.isfinite(found) else float('inf')


def ratio_one(subject) -> Outcome:
  """The update's log-probabilities are the sampler's, so the first ratio is 1.

  ratio = exp(logp of the update - logp of the sampler), at every temperature
  """
  worst, at = 0.0, None
  for temperature in temperatures(subject):
    rollout = subject.sample(subject.prompts(), temperature)
    off_BT = subject.logps(rollout, temperature) - np.asarray(rollout.logp_BT)
    found = _largest(np.expm1(np.clip(off_BT, -30, 30)), _mask(rollout))
    if at is None or found > worst:
      worst, at = found, temperature
  ok = worst <= tolerance(subject)
  return Outcome(
    ok,
    worst,
    'an unchanged policy has ratio 1'
    if ok
    else f'an unchanged policy has a ratio off 1 by {worst:.2g} at temperature '
    f'{at:g}: score replies at the temperature, with the mask and in the '
    'precision that they were sampled with',
  )


def kl_zero(subject) -> Outcome:
  """A policy equal to its reference has KL exactly 0, at any temperature."""
  worst, at = 0.0, None
  for temperature in temperatures(subject):
    rollout = subject.sample(subject.prompts(), temperature)
    own_BT = subject.logps(rollout, temperature)
    ref_BT = subject.logps(rollout, temperature, reference=True)
    found = _largest(own_BT - ref_BT, _mask(rollout))
    if at is None or found > worst:
      worst, at = found, temperature
  return Outcome(
    worst == 0,
    worst,
    'a policy equal to pi_0 has KL 0'
    if worst == 0
    else f'a policy equal to pi_0 is {worst:.2g} nats off it at a token, at '
    f'temperature {at:g}: score both by one function, without dropout',
  )


def reply_masks(subject) -> Outcome:
  """A reply ends with its first stop token, and what follows counts nothing."""
  rollout = subject.sample(subject.prompts(), subject.settings.temperature)
  tokens_BT, logp_BT = np.asarray(rollout.tokens_BT), rollout.logp_BT
  ended_B, mask_BT = np.asarray(rollout.ended_B, bool), _mask(rollout)
  stop_BT = np.isin(tokens_BT, subject.stop_ids) & mask_BT
  last_BT = mask_BT & ~np.pad(mask_BT[:, 1:], ((0, 0), (0, 1)))
  lasts_B = (stop_BT & last_BT).any(1)
  wrong = {
    'goes on behind its end token': (stop_BT & ~last_BT).any(1),
    'is said to have ended, and has no end token': ended_B & ~lasts_B,
    'has an end token, and is said not to have ended': lasts_B & ~ended_B,
    'has no token': ~mask_BT.any(1),
    'has log-probabilities outside of it': (
      (np.asarray(logp_BT) != 0) & ~mask_BT
    ).any(1),
  }
  count, said = _first_wrong(wrong, 'reply')
  shown = f'{int(ended_B.sum())} of {len(ended_B)} sampled replies ended'
  return Outcome(not count, float(count), said or f'masks fit; {shown}')


def _first_wrong(wrong, noun):
  """(rows of the first defect, its sentence); (0, '') of none."""
  for what, bad_B in wrong.items():
    if bad_B.any():
      count, first = int(bad_B.sum()), int(np.argmax(bad_B))
      return count, f'{noun} {first} {what} ({count} of {len(bad_B)} rows)'
  return 0, ''


def fresh_keys(subject) -> Outcome:
  """Another step, or another row of one prompt, is another reply.

  The value is the share of rows whose reply comes again.
  """
  at, prompts = subject.settings.temperature, subject.prompts()
  first, again, later = (
    _words(subject.sample(prompts, at, step)) for step in (0, 0, 1)
  )
  rows = _words(subject.sample(subject.prompts(alike=True), at))
  share = sum(a == b for a, b in zip(first, later, strict=True)) / len(first)
  wrong = ''
  if share == 1:
    wrong = 'two steps sample the same replies: fold the step into the key'
  elif len(rows) > 1 and len(set(rows)) == 1:
    share = 1.0
    wrong = 'a prompt gets one reply in all rows: fold the row into the key'
  elif first != again:
    wrong = 'one key gives two replies: randomness comes from elsewhere'
  return Outcome(
    not wrong, share, wrong or 'steps and rows have their own keys'
  )


def _words(rollout):
  """Tokens of each reply, as tuples."""
  rows = zip(*(np.asarray(x) for x in rollout[:3]), strict=True)
  return [tuple(ids[p:n].tolist()) for ids, p, n in rows]


def cached_decode(subject) -> Outcome:
  """Greedy decoding with the cache is the best token of a full forward pass.

  The value is the largest difference of a log-probability, in nats.
  """
  temperature = float(subject.settings.temperature)
  own = dataclasses.replace(subject, sample_fn=None)
  rollout = own.sample(subject.prompts(), temperature, greedy=True)
  mask_BT = _mask(rollout)
  full_BT = subject.own_logps(rollout, temperature)
  found = _largest(full_BT - np.asarray(rollout.logp_BT), mask_BT)
  logits_BTV = subject.logits_fn(rollout.tokens_BT, rollout.length_B)
  best_BT = np.asarray(rollout.tokens_BT).copy()
  best_BT[:, 1:] = np.asarray(jnp.argmax(logits_BTV, -1))[:, :-1]
  # A token that is not the best by rounding alone is as probable as the best.
  lost_BT = np.asarray(token_logps(logits_BTV, best_BT, temperature)) - full_BT
  found = max(found, _largest(lost_BT, mask_BT))
  ok = found <= tolerance(subject)
  return Outcome(
    ok,
    found,
    'the cache gives what a full pass gives'
    if ok
    else f'with the cache a log-probability is {found:.2g} nats off that of a '
    'full pass: look at positions and at the mask of the cache',
  )
