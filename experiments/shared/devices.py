"""Where arrays live and programs run: one device, or a mesh of several.

The config's `mesh` decides, `mesh_from` reads it, and everything that takes its
result serves both. Programs are jitted under names that the compile ledger
shows, with the shapes of their arguments.

Where the mesh spans several processes, each loads the rows of `share_of`, and
hands whole arrays of the host to the programs that measure, which put the rows
of its devices there; what such a program returns is whole in every process.
"""

import functools
import inspect

import jax
import jax.numpy as jnp

from rlhf_jax.train import hosts, ledger
from rlhf_jax.train.averaging import with_average
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.run import load_params
from rlhf_jax.train.sharded import (
  init_sharded,
  jit_rows,
  jit_sharded,
  on_mesh,
)
from rlhf_jax.train.sharding import (
  joined,
  local_rows,
  make_mesh,
  placed,
  replicated,
  shard,
  shardings_of,
  spans,
  whole,
)
from rlhf_jax.train.together import meeting


def mesh_from(sizes):
  """The mesh of a config's `mesh` section; None where all sizes are 1.

  Of several processes that is a mesh all the same, its rows cut over all of
  their devices: a run has one config, whatever it runs on.

  Args:
    sizes: {'data', 'fsdp', 'model'}, which multiply to the number of devices
      (-1 on one of them: what is left).
  """
  return of_job(make_mesh(**sizes) if set(sizes.values()) != {1} else None)


def of_job(mesh=None):
  """The mesh; None is that of all devices where there are several processes.

  So a stage that names no mesh runs on several hosts as it is: models come from
  their doors cut over it, and its programs are those of `jit_read`.
  """
  if mesh is None and hosts.several():
    return make_mesh(data=-1)
  return mesh


def over_job(open_model):
  """The function, the parameters of what it opens cut over the job's mesh."""

  @functools.wraps(open_model)
  def opened(*args, **options):
    found, mesh = open_model(*args, **options), of_job()
    return found._replace(params=spread(found.params, mesh)) if mesh else found

  return opened


def share_of(mesh):
  """(numbers of a batch's rows) -> those that this process loads, in order."""
  if not spans(mesh):
    return lambda rows_B: rows_B
  return lambda rows_B: rows_B[local_rows(len(rows_B), mesh)]


def row_parts(mesh):
  """How many parts the rows of a batch are cut into."""
  return mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1


def made(init, mesh, *args):
  """`init(*args)`; on a mesh, made in pieces."""
  return init_sharded(init, mesh, *args) if mesh else init(*args)


def spread(tree, mesh):
  """Copies of its own of a tree's arrays, which a step may donate.

  Cut over the mesh; or on one device, so that a process with other devices can
  read them from a checkpoint.
  """
  if mesh:
    return shard(tree, shardings_of(tree, mesh))
  return jax.tree.map(lambda x: jnp.array(whole(x)), tree)


def restored(workdir, init, mesh=None):
  """Parameters of a finished run, in the shapes of `init(rng)`.

  Cut over the mesh as they are read; or bound to no device. Restored arrays are
  bound to one, and a state that mixes both kinds is compiled for twice: a step
  binds all of its results, so its second call looks new.
  """
  like = jax.eval_shape(init, jax.random.key(0))
  if not mesh:
    return spread(load_params(workdir, like), None)
  placed = lambda x, where: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=where
  )
  return load_params(
    workdir, jax.tree.map(placed, like, shardings_of(like, mesh))
  )


def jit_named(function, name, **options):
  """Jits under a name that the compile ledger shows, with its shapes.

  In a job of several processes as `jit_read` does on the mesh of all devices.
  """
  if hosts.several():
    return _jit_spanning(function, name, of_job(), **options)
  return jax.jit(noting(function, name), **options)


def _jit_spanning(function, name, mesh, **options):
  """`jit_read` where the mesh spans several processes."""
  traced, whole_ = on_mesh(function, mesh), replicated(mesh)
  program = jax.jit(noting(traced, name), out_shardings=whole_, **options)
  return lambda *args: program(*placed(args, mesh))


def noting(function, name):
  """The function under another name, which tells the ledger when it is traced.

  Args:
    function: to be jitted.
    name: of its program.
  """
  signature = inspect.signature(function)

  def named(*args):
    ledger.note(name, signature.bind(*args).arguments)
    return function(*args)

  named.__name__ = named.__qualname__ = name
  return named


def jit_step(step, name, mesh):
  """Jits step(state, *frozen, batch, rng, hyper), which donates its state.

  In a run that is a member of a group (`train/together.py`) one program takes
  the steps of all. On a mesh the first call's state and frozen trees say by
  their paths and shapes where everything lives. On one of several processes the
  batch is the rows that this one has loaded.
  """
  named = noting(step, name)
  if not mesh:
    return meeting(named, jax.jit(named, donate_argnums=0))
  call = _at_first_call(
    lambda state, *rest: jit_sharded(named, mesh, state, *rest[:-3])
  )
  if not spans(mesh):
    return call

  def joining(*args):
    *state, batch, rng, hyper = args
    return call(*state, joined(batch, mesh), rng, hyper)

  return joining


def jit_read(function, name, mesh):
  """Jits a program whose results the host reads, traced on the mesh.

  On one of several processes it takes arrays of NumPy as rows, of which each
  process puts its own there, and all of them get all of the results.
  """
  mesh = of_job(mesh)
  if not mesh:
    return jit_named(function, name)
  if not spans(mesh):
    return jit_named(on_mesh(function, mesh), name)
  return _jit_spanning(function, name, mesh)


def jit_guarded(step, average_eta, on_nonfinite, name, mesh):
  """A step of a preference model with its average and guard, as `jit_step`.

  Args:
    step: (state, frozen, batch, rng, hyper) -> (state, metrics).
    average_eta: of `with_average`; below 0: no average.
    on_nonfinite: of `with_guard`.
    name: of the program.
    mesh: or None.
  """
  if average_eta >= 0:
    step = with_average(step, average_eta)
  return jit_step(with_guard(step, on_nonfinite), name, mesh)


def jit_measure(function, name, mesh):
  """`jit_read` on a mesh of several processes.

  In one process the program knows nothing of the mesh, as it did in all runs
  of before: its numbers stay the same to the bit.
  """
  if spans(mesh):
    return jit_read(function, name, mesh)
  return jit_named(function, name)


def jit_of_rows(function, name, mesh, jit=jit_rows):
  """Jits function(params, rows, ...), rows cut over the mesh if there is one.

  Args:
    function: of one row at a time.
    name: of its program.
    mesh: or None.
    jit: `jit_rows` or `jit_collect`, for a mesh.
  """
  if not mesh or spans(mesh):
    return jit_read(function, name, mesh)
  named = noting(function, name)
  return _at_first_call(lambda params, *_: jit(named, mesh, params))


def _at_first_call(make):
  """A function that is made of the arguments of its first call."""
  made_of = []

  def call(*args):
    if not made_of:
      made_of.append(make(*args))
    return made_of[0](*args)

  return call
