"""Comparisons as a policy reads them, and the programs of DPO.

The reference's log-probabilities are made once, before the first step; programs
are cached on static settings alone, as all are (`policies`).
"""

import functools

import jax
import numpy as np

from experiments.shared.devices import jit_read, jit_step
from experiments.shared.sampling import split_model
from rlhf_jax.train.direct import make_direct_step, make_pair_logps
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.types import DirectBatch


@functools.cache
def direct_step(
  functions, way, label, b2, microbatches, max_reply, mesh, on_nonfinite
):
  """Jitted step(state, base, batch, rng, DirectHyper), which donates its state.

  Args:
    functions: `build`'s Model.
    way: Way of the policy.
    label: size, for the name of the program.
    b2: of Adam.
    microbatches: of `make_direct_step`.
    max_reply: likewise.
    mesh: of `devices.mesh_from`.
    on_nonfinite: of `with_guard`.
  """
  step = make_direct_step(
    split_model(functions),
    make_optimiser(b2=b2),
    microbatches=microbatches,
    max_reply=max_reply,
    combine=way.attach,
  )
  return jit_step(with_guard(step, on_nonfinite), f'dpo_step_{label}', mesh)


@functools.cache
def pair_logps(functions, label, max_reply, mesh):
  """Jitted `make_pair_logps` of whole parameters."""
  logps = make_pair_logps(split_model(functions), max_reply=max_reply)
  return jit_read(logps, f'dpo_logps_{label}', mesh)


def longest_reply(config):
  """Most tokens of a reply in the pairs of a config."""
  own = config if config['comparisons_dir'] else config['reading']
  return own['max_reply']


def reply_pairs(pairs, rows=slice(None)):
  """DirectBatch of the rows of PairArrays, without reference, in NumPy.

  The end-of-context token, which is a preference model's, is left out: a pad is
  as good, since lengths say where a row ends.

  Args:
    pairs: PairArrays, both sides of which end in end-of-context.
    rows: numbers of those that are wanted.
  """
  part = pairs.take(rows)
  nothing_N = np.zeros(len(part.kind_N), np.float32)
  return DirectBatch(
    part.chosen_tokens_NT[:, :-1],
    part.chosen_length_N - 1,
    part.rejected_tokens_NT[:, :-1],
    part.rejected_length_N - 1,
    part.prompt_length_N,
    nothing_N,
    nothing_N,
  )


def with_reference(logps, params, pairs, batch_size):
  """The pairs with the log-probabilities of the reference.

  Args:
    logps: of `pair_logps`.
    params: of pi_0.
    pairs: DirectBatch of N rows.
    batch_size: pairs a call; the last is filled up, to keep one shape.
  """
  N, found = len(pairs.prompt_length_B), []
  for start in range(0, N, batch_size):
    place_B = np.arange(start, start + batch_size) % N
    part = DirectBatch(*(column[place_B] for column in pairs))
    found.append(jax.device_get(logps(params, part)))
  chosen_N, rejected_N = (
    np.concatenate(side)[:N] for side in zip(*found, strict=True)
  )
  return pairs._replace(ref_chosen_B=chosen_N, ref_rejected_B=rejected_N)
