"""What the machine itself can do: matrix products, and a copy of memory.

A program is compared with these, measured in turns with it and as it runs: on
the same devices, all at once.
"""

import statistics

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from benchmarks import library
from benchmarks.common import compile_program, config_of
from rlhf_jax.mapping import DATA
from rlhf_jax.train.sharded import on_mesh
from rlhf_jax.train.sharding import replicated

CUBE = 2048
CUBE_REPEATS = {'cpu': 1}  # elsewhere 64: a call must outlast its launch


def products(config, logits):
  """The weight products of one forward pass: [(inputs, outputs, how often)].

  Args:
    config: TransformerConfig.
    logits: whether the next-token head belongs to it.
  """
  D, L = config.d_model, config.n_layers
  heads = config.n_heads * config.head_size
  qkv = heads + 2 * config.n_kv_heads * config.head_size
  mlp_in = (2 if config.activation == 'swiglu' else 1) * config.d_mlp
  found = [(D, qkv, L), (heads, D, L), (D, mlp_in, L), (config.d_mlp, D, L)]
  return found + [(D, config.vocab_size, 1)] * logits


def chained_products(shapes, rows, dtype, mesh=None):
  """A compiled call of nothing but matrix products, and its FLOPs.

  Each pair is used as x <- (x W) V, so that one result feeds the next and none
  can be left out: [rows, K] by [K, N], then [rows, N] by [N, K].

  Args:
    shapes: [(K, N, how often)].
    rows: of x, on each device.
    dtype: of x and W.
    mesh: of the axis data: every device does the same, at once; None: one
      device.

  Returns:
    (function without arguments, FLOPs of a call on all devices together: 2 for
    each multiply-add). It gives the last x of each pair, [rows of all, K].
  """
  rng = jax.random.key(0)
  random = lambda K, N: (  # norm below 1
    jax.random.normal(rng, (K, N), dtype) / (K**0.5 + N**0.5)
  )
  weights = [(random(K, N), random(N, K)) for K, N, _ in shapes]

  def chain(weights):
    ends = []
    for pair, (K, _, count) in zip(weights, shapes, strict=True):
      again = lambda _, x, pair=pair: (x @ pair[0]) @ pair[1]
      x = jnp.ones((rows, K), dtype)
      ends.append(jax.lax.fori_loop(0, count, again, x))
    return ends

  flops = sum(4 * rows * K * N * count for K, N, count in shapes)
  if mesh is not None:
    weights = jax.device_put(weights, replicated(mesh))
    chain = on_mesh(
      jax.shard_map(
        chain,
        in_specs=PartitionSpec(),
        out_specs=PartitionSpec(DATA),
        check_vma=False,
      ),
      mesh,
    )
    flops *= mesh.size
  program = compile_program(chain, weights)
  return lambda: program.call(weights), flops


def rate_calls(shape, tokens, logits, mesh=None):
  """The machine's own rates: {'products': (call, FLOPs), 'cube': ...}.

  'products' are the model's weight products on `tokens` rows, of which each
  device of the mesh has its share; 'cube' is 2048 x 2048 by 2048 x 2048, on
  each device one.
  """
  model = products(config_of(shape), logits)
  rows = tokens // (1 if mesh is None else mesh.size)
  repeats = CUBE_REPEATS.get(jax.default_backend(), 64)
  cube = [(CUBE, CUBE, repeats)]
  return {
    'products': chained_products(model, rows, shape.dtype, mesh),
    'cube': chained_products(cube, CUBE, shape.dtype, mesh),
  }


def copy_call(size):
  """A compiled pass over `size` bytes, and the bytes that it moves.

    x <- x + 1: every byte is read once, and as many are written

  The array is written over where it lies: a new one of this size would be pages
  that the system has to find first, which takes several times as long.

  Returns:
    (function without arguments, bytes of a call); bytes over seconds is the
    bandwidth of the memory, if `size` is beyond all caches.
  """
  x = jnp.zeros(size // 4, jnp.float32)
  program = compile_program(lambda x: x + 1, x, donate=0)

  def call():
    nonlocal x
    x = program.call(x)
    return x

  return call, 2 * x.nbytes


def library_calls(shape, tokens, logits, mesh=None):
  """{name: Workers} of each library at hand, at the model's own products.

  On as many cores as the program uses; see `library.both_ways`. None on an
  accelerator, whose library is the compiler's own.
  """
  if jax.default_backend() != 'cpu':
    return {}
  cores = 1 if mesh is None else mesh.size
  model = products(config_of(shape), logits)
  return library.both_ways(cores, tokens // cores * cores, model)


def rate_lines(seconds, flops, calls):
  """Lines of the arithmetic rates, in 10^9 FLOP/s, and of their ratios.

  Args:
    seconds: of `time_in_turns`, with the names 'program', 'products', 'cube'
      and those of the libraries.
    flops: useful FLOPs of one call of the program.
    calls: {name: (call, FLOPs)} of `rate_calls`, and of `library_calls`.
  """
  median = {name: statistics.median(times) for name, times in seconds.items()}
  own = flops / median['program']
  rate = {name: calls[name][1] / median[name] for name in calls}
  best = max(value for name, value in rate.items() if name != 'cube')
  return [
    ('gflops_per_s', own / 1e9, 'GFLOP/s'),
    *((f'{name}_gflops_per_s', rate[name] / 1e9, 'GFLOP/s') for name in rate),
    ('best_products_gflops_per_s', best / 1e9, 'GFLOP/s'),
    ('share_of_best_products_rate', own / best, 'ratio'),
    ('share_of_products_rate', own / rate['products'], 'ratio'),
    ('share_of_cube_rate', own / rate['cube'], 'ratio'),
  ]
