"""The programs of a plan, compiled for a TPU that is not there.

Every argument is a shape with a sharding; nothing is allocated and nothing
runs. The programs are those that train: `make_pm_step` and the pieces that
`make_ppo_iteration` composes.
"""

import importlib.util
import os
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from rlhf_jax.models.build import build
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import ppo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.sharding import batch_sharding, replicated, shardings_of
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper, Prompts, SplitModel

# For the compiler alone: it shall take no lock on a TPU, and look for none.
NO_TPU = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5p-8',
  'TPU_WORKER_HOSTNAMES': 'localhost',
}
PAD_ID, EOS_ID, END_OF_CONTEXT_ID = 0, 1, 2  # any three ids: nothing runs
TX = make_optimiser()


class Program(NamedTuple):
  """A pure function and the shapes of its arguments.

  Attributes:
    function: what is jitted.
    arguments: pytrees of ShapeDtypeStruct with shardings.
    mesh: that of the shardings.
    returns_state: whether argument 0 is donated and its successor comes back
      first, placed alike.
  """

  function: Any
  arguments: tuple
  mesh: Any
  returns_state: bool = False


def devices_of(topology):
  """Compile-only devices of a TPU topology, as in 'v5p:2x2x2'.

  Raises:
    ValueError: if the TPU compiler is not installed or refuses the topology.
  """
  if importlib.util.find_spec('libtpu') is None:
    raise ValueError(
      "libtpu, the TPU compiler, is not installed: pip install 'rlhf-jax[tpu]'"
    )
  for name, value in NO_TPU.items():
    os.environ.setdefault(name, value)
  try:
    found = topologies.get_topology_desc(topology, platform='tpu')
  except jax.errors.JaxRuntimeError as error:
    reason = str(error).splitlines()[0]
    raise ValueError(f'no topology {topology!r}: {reason}') from error
  return list(found.devices)


def compile_program(program):
  """The compiled program; see `jax.stages.Compiled`."""
  state = program.arguments[0]
  options = {}
  if program.returns_state:
    place = jax.tree.map(lambda leaf: leaf.sharding, state)
    options = {'donate_argnums': 0, 'out_shardings': (place, None)}
  # The mesh is in use while the program is traced, as in a run on it, so that
  # the model can say how its activations lie.
  with jax.sharding.use_abstract_mesh(program.mesh.abstract_mesh):
    lowered = jax.jit(program.function, **options).lower(*program.arguments)
  return lowered.compile()


def measure(program):
  """Numbers of `Measured`, per chip; {'no_room': why} if it does not compile.

  Only for want of memory, that is; other errors are raised. With the numbers
  stands `compile_seconds`, the processor time of tracing and compiling.
  """
  start = time.process_time()
  try:
    compiled = compile_program(program)
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    return {'no_room': str(error).splitlines()[0]}
  cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
  return {
    'flops': cost['flops'],
    'traffic': cost['bytes accessed'],
    'memory': memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes,
    'compile_seconds': round(time.process_time() - start, 1),
  }


def _placed(tree, shardings):
  """Shapes with shardings; one sharding may stand for a whole subtree."""
  place = lambda sharding, part: jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), part
  )
  return jax.tree.map(place, shardings, tree)


class Shapes:
  """Abstract arguments of one model and one job on one mesh."""

  def __init__(self, config, job, mesh):
    self.functions = build(config)
    self.job, self.mesh = job, mesh
    self.key = jax.eval_shape(lambda: jax.random.key(0))
    self.rng = self.scalars(self.key)

  def scalars(self, tree):
    """A pytree of whatever every chip holds whole."""
    return _placed(tree, replicated(self.mesh))

  def rows(self, tree):
    """A pytree of arrays whose first axis is the batch."""
    return _placed(tree, batch_sharding(self.mesh))

  def weights(self, tree):
    """Parameters or a TrainState, placed by the sharding rules."""
    return _placed(tree, shardings_of(tree, self.mesh))

  def trunk(self):
    """Parameters of a language model, not placed."""
    return jax.eval_shape(self.functions.init, self.key)

  def scored(self):
    """Parameters of a preference model or a value network, not placed."""
    head = jax.eval_shape(self.functions.init_head, self.key)
    return self.trunk() | {'head': head}

  def state(self, params):
    """TrainState of parameters under the optimiser, placed."""
    return self.weights(jax.eval_shape(lambda p: init_state(p, TX), params))

  def ppo_state(self):
    """TrainState of a policy and a value network, placed."""
    return self.state({'policy': self.trunk(), 'value': self.scored()})

  def prompts(self):
    """A batch of prompts, placed."""
    B, P = self.job['prompts'], self.job['prompt_length']
    return self.rows(Prompts(_ints(B, P), _ints(B), _ints(B)))

  def hyper(self, kind):
    """Traced scalars, placed."""
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    return self.scalars(kind(*(scalar for _ in kind._fields)))


def _ints(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.int32)


def pm_programs(shapes):
  """{'pm_step'}: one optimiser step on a batch of comparisons."""
  job = shapes.job
  B, T = job['pm_pairs'], job['pm_length']
  batch = PairBatch(_ints(B, T), _ints(B), _ints(B, T), _ints(B))
  step = make_pm_step(shapes.functions.score_fn, TX)
  arguments = (
    shapes.state(shapes.scored()),
    shapes.rows(batch),
    shapes.rng,
    shapes.hyper(PMHyper),
  )
  return {'pm_step': Program(step, arguments, shapes.mesh, returns_state=True)}


def ppo_pieces(functions, job):
  """The five pieces of an iteration; see `train.pieces.make_pieces`."""
  sampling = SamplingConfig(
    max_reply=job['reply_length'], stop_ids=(EOS_ID,), pad_id=PAD_ID
  )
  return make_pieces(
    generate=make_collect(
      sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
    ),
    policy=SplitModel(functions.hidden_fn, functions.head_fn),
    value_fn=functions.value_fn,
    reward=make_pm_reward(
      functions.score_fn, end_of_context_id=END_OF_CONTEXT_ID, eos_id=EOS_ID
    ),
    tx=TX,
    sampling=sampling,
    passes=1,
    minibatch_size=job['prompts'],
  )


def ppo_programs(shapes):
  """{'prefill', 'collect', 'iteration'}.

  `iteration` is what trains; the others, each a part of the next, are there to
  be counted apart: `collect` is `prefill` and a loop over decoding steps.
  """
  functions, job = shapes.functions, shapes.job
  pieces = ppo_pieces(functions, job)
  state, prompts = shapes.ppo_state(), shapes.prompts()
  frozen = shapes.weights(ppo.Frozen(shapes.trunk(), shapes.scored()))
  slots = job['prompt_length'] + job['reply_length']

  def prefill(params, prompts):
    return functions.prefill_fn(
      params['policy'], prompts.tokens_BP, prompts.length_B, slots
    )

  rng, hyper = shapes.rng, shapes.hyper(PPOHyper)
  whole = (state, frozen, prompts, rng, hyper)
  iteration = ppo.make_ppo_iteration(*pieces)
  return {
    'prefill': Program(prefill, (state.params, prompts), shapes.mesh),
    'collect': Program(pieces[0], (state.params, prompts, rng), shapes.mesh),
    'iteration': Program(iteration, whole, shapes.mesh, returns_state=True),
  }
