"""The arithmetic of a plan: chips, rooflines, FLOP counts, hours, GPU memory.

Nothing here compiles, so all of it works, and is tested, without a TPU
compiler.
"""

import dataclasses
import itertools
import math
import re
from typing import NamedTuple

from rlhf_jax.models import cost, footprint
from rlhf_jax.models.cost import parameter_counts


class Chip(NamedTuple):
  """Published figures of one chip: bytes, bytes/s and bfloat16 FLOP/s."""

  hbm_bytes: float
  bandwidth: float
  flops: float


# docs.cloud.google.com/tpu/docs/v4, /v5e, /v5p, /v6e: memory, its bandwidth and
# peak compute in bfloat16, per chip, as published. Only v4's page says GiB; of
# the 95 of v5p one page says GB and one GiB, the smaller is taken.
CHIPS = {
  'v4': Chip(32 * 2**30, 1200e9, 275e12),
  'v5e': Chip(16e9, 819e9, 197e12),
  'v5p': Chip(95e9, 2765e9, 459e12),
  'v6e': Chip(32e9, 1638e9, 918e12),
}


class Measured(NamedTuple):
  """What XLA says of one compiled program, per chip.

  Attributes:
    flops: of one run, every loop's body counted once.
    traffic: bytes accessed, counted likewise.
    memory: arguments + outputs - donated + temporaries, bytes.
  """

  flops: float
  traffic: float
  memory: float

  def times(self, count):
    """The work of `count` runs."""
    return self._replace(flops=count * self.flops, traffic=count * self.traffic)

  def beyond(self, other):
    """The work that this program does and `other`, a part of it, does not."""
    return self._replace(
      flops=self.flops - other.flops, traffic=self.traffic - other.traffic
    )


def extrapolate(one, two, n_layers):
  """A line through one and two layers: c(L) = c(1) + (L - 1) (c(2) - c(1)).

  Work is such a line. Memory is not quite: of one layer, whose queries are
  those of the columns read, no whole block is held, so that the step to two has
  a block's workspace in it. See `needed_memory`.
  """
  return Measured(
    *(a + (n_layers - 1) * (b - a) for a, b in zip(one, two, strict=True))
  )


def block_memory(config, job, axes):
  """Bytes per chip that one more block has to add to what a program holds.

  Of p parameters over n chips and B rows (2 B for pairs) over all but the model
  axis:

    pm_step    16 p / n + saved(2 B, T)      state, gradient, saved inputs
    collect    32 p / n + cache              all that an iteration is given
    iteration  40 p / n + 2 saved(B, P + R)  that, and two gradients; inputs

  `collect` is an iteration while it samples. Saved inputs are not cut over the
  model axis, the cache is, by heads.

  Args:
    config: TransformerConfig.
    job: of `configs/plan.py`.
    axes: of `mesh_axes`.

  Returns:
    {program: bytes}.
  """
  one = dataclasses.replace(config, n_layers=1)
  p = _parameters(config, 2) - _parameters(config, 1)
  chips = axes['fsdp'] * axes['model']
  rows = lambda B: -(-B // axes['fsdp'])
  T = job['prompt_length'] + job['reply_length']
  saved = lambda B, T: footprint.saved_bytes(one, rows(B), T)
  cache = footprint.cache_bytes(one, rows(job['prompts']), T) / axes['model']
  return {
    'pm_step': 16 * p / chips + saved(2 * job['pm_pairs'], job['pm_length']),
    'collect': 32 * p / chips + cache,
    'iteration': 40 * p / chips + 2 * saved(job['prompts'], T),
  }


def needed_memory(two, config, job, axes):
  """Bytes per chip that the programs that train cannot do without.

    m(L) = m(2) + (L - 2) block

  Two layers have every workspace in them, which deeper programs use again for
  each block; where there is room the compiler holds more (weights gathered
  early). An iteration is at its peak while it samples or while it learns.
  Sampling is `collect` with the rest of what an iteration is given: 28 bytes a
  parameter.

  Args:
    two: {program: Measured} of two layers.
    config: TransformerConfig; its depth is L.
    job: of `configs/plan.py`.
    axes: of `mesh_axes`.

  Returns:
    {'pm_step': bytes, 'iteration': bytes}.
  """
  block = block_memory(config, job, axes)
  deeper = {
    key: two[key].memory + (config.n_layers - 2) * block[key] for key in block
  }
  rest = 28 * _parameters(config, 2) / (axes['fsdp'] * axes['model'])
  sampling = deeper.pop('collect') + rest
  return deeper | {'iteration': max(sampling, deeper['iteration'])}


def _parameters(config, n_layers):
  return parameter_counts(dataclasses.replace(config, n_layers=n_layers))[
    'total'
  ]


def parse_topology(name):
  """('v5p', (8, 8, 8)) from 'v5p:8x8x8'.

  Raises:
    ValueError: if it is not GENERATION:AxB or AxBxC, or the generation is not
      in `CHIPS`.
  """
  found = re.fullmatch(r'(\w+):(\d+(?:x\d+)+)', name)
  if not found or found[1] not in CHIPS:
    raise ValueError(
      f'unknown topology {name!r}: wanted GENERATION:AxB[xC] as in v5p:8x8x8, '
      f'the generation one of {", ".join(CHIPS)}'
    )
  return found[1], tuple(int(n) for n in found[2].split('x'))


def mesh_axes(dims, job, n_heads):
  """Sizes of the mesh axes: as few model shards as the batch allows.

  Rows go over the fsdp axis, which therefore has to divide them; what is left
  becomes the model axis, which has to divide the heads: those of a model of 12
  over 8 shards are padded, and the compiled step does 1.2 times the work. Both
  are products of axes of the torus, so that each collective runs along whole
  rings, unless none of these divides the heads; then the fewest shards that do.

  Args:
    dims: the torus.
    job: of `configs/plan.py`; its smaller batch is cut.
    n_heads: of the model.

  Returns:
    dict(data=1, fsdp=..., model=...).

  Raises:
    ValueError: if no cut divides both.
  """
  chips, rows = math.prod(dims), min(job['pm_pairs'], job['prompts'])
  rings = sorted(
    math.prod(part)
    for n in range(len(dims) + 1)
    for part in itertools.combinations(dims, n)
  )
  divisors = [n for n in range(1, chips + 1) if chips % n == 0]
  for model in rings + divisors:
    if rows % (chips // model) == 0 and n_heads % model == 0:
      return {'data': 1, 'fsdp': chips // model, 'model': model}
  raise ValueError(
    f'{rows} rows and {n_heads} heads cannot be cut over {chips} chips: take a '
    'smaller topology or a larger batch'
  )


def seconds(measured, chip):
  """Roofline: (seconds, what binds), the slower of arithmetic and memory."""
  compute = measured.flops / chip.flops
  traffic = measured.traffic / chip.bandwidth
  return max(compute, traffic), 'FLOPs' if compute >= traffic else 'bytes'


def _training(config, T, read):
  """(useful, done) FLOPs of the blocks, forwards and backwards, over T tokens.

  Done is what rematerialisation repeats as well: all of the blocks but the last
  product of each, whose result no gradient needs.
  """
  forward = cost.forward_flops(config, T, logits=False, read=read)
  if not config.remat:
    return 3 * forward, 3 * forward
  rows = (config.n_layers - 1) * T + read
  last = 2 * rows * config.d_mlp * config.d_model
  return 3 * forward, 4 * forward - last


def _head(config, tokens):
  return 2 * tokens * config.d_model * config.vocab_size


def analytic_flops(config, job):
  """FLOPs of each phase, over all chips, by the formulas of `models.cost`.

  Returns:
    {phase: (useful, done)}: `done` has what rematerialisation repeats.
  """
  forward = lambda T, read: cost.forward_flops(config, T, False, read)
  pairs, B = job['pm_pairs'], job['prompts']
  P, R = job['prompt_length'], job['reply_length']
  T, head = P + R, lambda tokens: _head(config, tokens)
  pm = [2 * pairs * flops for flops in _training(config, job['pm_length'], 1)]
  attended = 4 * (T - 1) * config.n_heads * config.head_size * config.n_layers
  one = cost.forward_flops(config, 1) + attended  # it looks at all T slots
  decode = B * R * one
  prefill = B * (forward(P, 1) + head(1))
  # The PM's score, pi_0's log-probabilities, values; then the update.
  score = forward(T + 1, 1) + 2 * forward(T, R) + head(R)
  update = _training(config, T, R)
  learn = [B * (score + 2 * flops + 3 * head(R)) for flops in update]
  return {
    'pm_step': tuple(pm),
    'prefill': (prefill, prefill),
    'decode': (decode, decode),
    'learn': tuple(learn),
  }


def study_hours(job, study, pm_seconds, ppo_seconds):
  """Hours of one preference model and one PPO run, at the roofline's speed."""
  pm_steps = math.ceil(study['pm_pairs'] / job['pm_pairs'])
  iterations = math.ceil(study['ppo_samples'] / job['prompts'])
  pm, ppo = pm_steps * pm_seconds / 3600, iterations * ppo_seconds / 3600
  return {
    'pm': pm,
    'ppo': ppo,
    'at_share': (pm + ppo) / study['share_of_bound'],
  }


def gpu_bytes(config, job, gpu, count):
  """Bytes each of `count` GPUs needs: {'pm': ..., 'ppo': ...}.

  Parameters, gradients and moments are spread over all GPUs. A GPU holds the
  activations of `train_rows` sequences at once and accumulates gradients over
  the rest of its batch; PPO adds a value network in training, two frozen
  models, and the larger of sampling (cache and logits of `decode_rows`
  replies) and training.
  """
  rows = gpu['train_rows']
  P, R = job['prompt_length'], job['reply_length']
  activations = lambda T: (
    footprint.saved_bytes(config, rows, T)
    + footprint.block_bytes(config, rows, T)
  )
  trained = footprint.trained_bytes(config) / count
  frozen = footprint.frozen_bytes(config) / count
  sampling = footprint.cache_bytes(config, gpu['decode_rows'], P + R)
  sampling += footprint.logits_bytes(config, gpu['decode_rows'])
  updating = activations(P + R) + footprint.logits_bytes(config, rows * R)
  return {
    'pm': trained + activations(job['pm_length']),
    'ppo': 2 * trained + 2 * frozen + max(sampling, updating),
  }
