"""Ours and TRL's RLOO and DPO: the same inputs, the same losses and gradients?

    python -m benchmarks.agreement.losses [--python PYTHON] [--workdir DIR]

From one policy TRL's trainers take three plain updates (SGD) each, RLOO on
replies that it samples, DPO on given pairs, and keep what their loss was given.
Ours take the same updates on the same tokens, each from TRL's policy of before,
and every quantity is compared. Writes
benchmarks/results/<device>/agreement_losses.json.

Two things of RLOO are TRL's own: the mean over replies of sums over tokens,
where ours is a mean over tokens (a factor, which is taken out), and the ratio
of a whole reply. That is 1 in the one update of each batch, where both losses
have one gradient; their values differ, since ours counts an advantage once for
each token, so that of RLOO the gradient alone is compared.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common
from benchmarks.agreement import parity, start
from benchmarks.agreement import settings as told
from benchmarks.peers import environments
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train import direct, ppo, rloo
from rlhf_jax.train.ppo_update import make_ppo_update, reply_mask, separate
from rlhf_jax.train.run import environment
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import DirectBatch, DirectHyper, PPOHyper, Rollout

PEER = 'trl'
# An optimiser whose update is the gradient itself.
DESCENT = types.SimpleNamespace(
  init=lambda params: (), update=lambda grads, state, params: (grads, state)
)
# The largest differences that rounding explains, set before the first run:
# float32 forward passes of two libraries, and a gradient over all weights.
TOLERANCE, GRADIENT = 1e-4, 1e-3


class Told(NamedTuple):
  """What both sides are told besides `settings.Settings`.

  Attributes:
    rows: replies, or pairs, of an update.
    updates: how many.
    rate: of plain descent.
    beta: lambda_KL of RLOO and beta of DPO.
    group: replies to a prompt of RLOO.
  """

  rows: int = 16
  updates: int = 3
  rate: float = 0.05
  beta: float = 0.1
  group: int = 4


def make_start(folder, settings, losses):
  """Writes policy/, settings.json and losses.json: worth, prompts, pairs."""
  start.make(folder, settings)
  asked = start.asked_of(settings, losses, losses.rows * losses.updates)
  (folder / 'losses.json').write_text(json.dumps(asked))


def run_peer(python, which, folder, out, asked='losses.json'):
  """Runs one trainer of the peer on a file of `folder`; its versions.

  Raises:
    RuntimeError: with the last line that it wrote.
  """
  if not (out / 'done.json').exists():
    flags = ['--which', which, '--start', str(folder), '--out', str(out)]
    flags += ['--asked', asked]
    variables = {'CUDA_VISIBLE_DEVICES': '', 'HF_HUB_OFFLINE': '1'}
    ended = subprocess.run(
      [str(python), '-m', 'benchmarks.peers.trl_losses', *flags],
      cwd=environments.ROOT,
      env=os.environ | variables | {'OMP_NUM_THREADS': '1'},
      capture_output=True,
      text=True,
      check=False,
    )
    if ended.returncode:
      lines = (ended.stdout + ended.stderr).strip().splitlines()
      raise RuntimeError(lines[-1] if lines else f'exit {ended.returncode}')
  return json.loads((out / 'done.json').read_text())['versions']


def by_prompt(found):
  """What the peer's loss was given, replies to one prompt side by side.

  TRL shuffles the replies once their advantages are known.
  """
  if 'prompt_ids' not in found:
    return found
  order = np.lexsort(found['prompt_ids'].T)
  return {k: x[order] if np.ndim(x) else x for k, x in found.items()}


def rollout_of(found):
  """Rollout of the peer's replies, log-probabilities still to be made."""
  tokens_BT = jnp.concatenate([found['prompt_ids'], found['completion_ids']], 1)
  prompt_B = found['prompt_mask'].sum(1)
  length_B = prompt_B + found['completion_mask'].sum(1)
  B, T = tokens_BT.shape
  return Rollout(
    jnp.asarray(tokens_BT, jnp.int32),
    jnp.asarray(prompt_B, jnp.int32),
    jnp.asarray(length_B, jnp.int32),
    jnp.ones(B, bool),
    jnp.zeros((B, T)),
  )


def rloo_rows(logits_fn, params, ref, found, worth_V, losses):
  """({what: (ours, theirs)}, params after ours) of one update of RLOO."""
  rollout = rollout_of(found)
  logps = ppo.make_reply_logps(logits_fn)
  mask_BT = reply_mask(rollout)
  rollout = rollout._replace(logp_BT=logps(params, rollout) * mask_BT)
  score_B = (worth_V[rollout.tokens_BT] * mask_BT).sum(1)
  # A mean over tokens here, a mean over replies of sums there.
  factor = mask_BT.sum() / mask_BT.shape[0]
  hyper = PPOHyper(losses.rate * factor, 0.0, kl_coef=losses.beta)
  reward_BT, _ = ppo.make_penalise(logits_fn)(ref, rollout, score_B, hyper)
  estimate = rloo.make_rloo_estimate(losses.group)
  experience = estimate({}, rollout, reward_BT, hyper)
  update = make_ppo_update(
    separate(logits_fn),
    DESCENT,
    critic=False,
    passes=1,
    minibatch_size=mask_BT.shape[0],
  )
  state, _ = update(
    init_state({'policy': params}, DESCENT),
    experience,
    jax.random.key(0),
    hyper,
  )
  advantage_BT = experience.advantage_BT  # one of each reply, or 0
  ours_B = advantage_BT.max(1) + advantage_BT.min(1)
  return {
    'log-probability of a reply': (
      rollout.logp_BT.sum(1),
      found.get('old_logps'),
    ),
    'advantage': (ours_B, found['advantages']),
  }, state.params['policy']


def pairs_of(found, logps, ref):
  """DirectBatch of what the peer's loss was given."""
  tokens = jnp.asarray(found['input_ids'], jnp.int32)
  mask, real = found['completion_mask'], found['attention_mask']
  first_B, length_B = mask.argmax(1), real.sum(1)
  B = len(tokens) // 2
  empty_B = jnp.zeros(B)
  batch = DirectBatch(
    tokens[:B],
    jnp.asarray(length_B[:B], jnp.int32),
    tokens[B:],
    jnp.asarray(length_B[B:], jnp.int32),
    jnp.asarray(first_B[:B], jnp.int32),
    empty_B,
    empty_B,
  )
  ref_chosen_B, ref_rejected_B = logps(ref, batch)
  return batch._replace(
    ref_chosen_B=ref_chosen_B, ref_rejected_B=ref_rejected_B
  )


def dpo_rows(logits_fn, params, ref, found, worth_V, losses):
  """The same of one update of DPO; `worth_V` is RLOO's."""
  del worth_V
  batch = pairs_of(found, direct.make_pair_logps(logits_fn), ref)
  step = direct.make_direct_step(logits_fn, DESCENT)
  state, metrics = step(
    init_state(params, DESCENT),
    batch,
    jax.random.key(0),
    DirectHyper(losses.rate, losses.beta),
  )
  return {'loss': (metrics['loss'], found['loss'])}, state.params


UPDATES = {'rloo': rloo_rows, 'dpo': dpo_rows}


def difference(ours, theirs):
  """Largest |ours - theirs| over the largest |theirs|, or over 1 if less."""
  ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
  scale = max(1.0, np.abs(theirs).max())
  return float(np.abs(ours - theirs).max() / scale)


def compare(which, folder, out, losses):
  """Rows of one algorithm: the largest difference of all updates.

  Raises:
    ParityError: if one is above its tolerance.
  """
  ref = load_folder(folder / 'policy')
  logits_fn = build(ref.config).logits_fn
  worth = json.loads((folder / 'losses.json').read_text())['worth']
  update = jax.jit(
    lambda params, found: UPDATES[which](
      logits_fn, params, ref.params, found, jnp.float32(worth), losses
    )
  )
  params, worst = ref.params, {}
  for i in range(losses.updates):
    found = {k: x for k, x in np.load(out / f'{i}.npz').items() if x.ndim < 3}
    rows, after = jax.device_get(update(params, by_prompt(found)))
    theirs = load_folder(out / f'{i}').params
    for name, (ours, peer) in rows.items():
      if peer is not None:
        worst[name] = max(worst.get(name, 0.0), difference(ours, peer))
    change = parity.moved(params, after, theirs)
    worst['gradient'] = max(worst.get('gradient', 0.0), change)
    params = theirs
  limits = {'gradient': GRADIENT}
  return parity.require(
    [
      (f'{which.upper()}: {name}', x, limits.get(name, TOLERANCE))
      for name, x in worst.items()
    ]
  )


def main(argv=None):
  """Runs both comparisons and writes the result."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.agreement.losses')
  parser.add_argument('--preset', choices=list(told.PRESETS), default='full')
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    default=environments.ROOT / 'runs' / 'agreement-losses',
  )
  parser.add_argument('--python', type=pathlib.Path, help='one that has TRL')
  parser.add_argument('--json', type=pathlib.Path, help='file for the results')
  args = parser.parse_args(argv)
  settings, losses = told.PRESETS[args.preset], Told()
  folder = args.workdir / 'start'
  try:
    if args.python is None:
      reason = environments.build(PEER)
      if reason:
        raise RuntimeError(f'.peers/{PEER} cannot be built: {reason}')
    if not (folder / 'losses.json').exists():
      make_start(folder, settings, losses)
    rows, versions = [], {}
    for which in UPDATES:
      out = args.workdir / which
      python = args.python or environments.python_of(PEER)
      versions = run_peer(python, which, folder, out)
      rows += compare(which, folder, out, losses)
  except (RuntimeError, ValueError, OSError) as error:
    print(f'agreement: {error}', file=sys.stderr)
    return 2
  for row in rows:
    print(f'  {row["what"]:36} {row["difference"]:.1e}')
  result = {
    'device': common.device_name(),
    'commit': environment()['commit'],
    'versions': versions,
    'settings': settings._asdict(),
    'told': losses._asdict(),
    'rows': rows,
  }
  path = args.json or (
    environments.ROOT
    / 'benchmarks'
    / 'results'
    / result['device']
    / 'agreement_losses.json'
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(result, indent=1) + '\n')
  print(f'wrote {path}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
