"""The GPU suite, in chunks of less than ten minutes each on an H200.

    python -m benchmarks.gpu [--chunk NAME ...] [--tiny] [--results DIR]

    parity         the fast paths against the plain ones (benchmarks/parity.py)
    pm_step        preference-model steps of 13M, 197M, 810M
    decode         sampling, prefill and steps apart, against the time that it
                   takes to read the bytes of a step
    ppo_iteration  whole iterations; of the smallest policy of the headline
                   study, and of SmolLM2, too
    members        4 and 16 members of 10M in one program, against one by one

All in bfloat16. Rows go to DIR/<device>/<chunk>.json after every measurement,
so that a chunk that is killed keeps what it had; DIR is benchmarks/results. A
row is that of benchmarks/common.py with `versions`, and a `target` where one
was set. Without a GPU nothing is run or written: every figure reads "not
measured". --tiny runs every chunk at tiny shapes, on a CPU too, and writes only
to a DIR that is named. The largest rungs want nearly all of the GPU's memory:
XLA_PYTHON_CLIENT_MEM_FRACTION=0.9.
"""

import argparse
import functools
import importlib.metadata
import pathlib
import statistics
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import (
  common,
  machine,
  parity,
  single,
  subjects,
  vmapped_sweep,
)
from benchmarks.shapes import SHAPES
from rlhf_jax.models.cost import parameter_counts
from rlhf_jax.train.run import write_json

RESULTS = common.RESULTS
COSTS = ('compile_s', 'peak_bytes')
PACKAGES = ('jax', 'nvidia-cudnn', 'nvidia-cublas', 'nvidia-cuda-runtime')
TARGETS = {
  ('pm_step', '810M', 'share_of_products_rate'): 0.45,
  ('decode', '810M', 'share_of_bandwidth_floor'): 0.5,
}


class Effort(NamedTuple):
  """How much to measure.

  Attributes:
    rounds: timed calls.
    warmups: calls before them.
    copy_bytes: size of the array that measures the memory's bandwidth.
    members: K of the vmapped sweeps.
  """

  rounds: int
  warmups: int
  copy_bytes: int = 4 << 30
  members: tuple[int, ...] = (4, 16)


class Chunk(NamedTuple):
  """One chunk of the suite.

  Attributes:
    measure: (Shape, Effort) -> iterator over lists of (metric, value, unit).
    shapes: names of the shapes it runs.
    headlines: metrics that stand for it where it is not measured.
    tiny: names of the shapes that stand for them on a CPU.
  """

  measure: Callable
  shapes: tuple[str, ...]
  headlines: tuple[str, ...]
  tiny: tuple[str, ...] = ('tiny',)


def pm_step(shape, effort):
  """Lines of a preference-model step; see `benchmarks.pm_step`.

  First with both sides of a pair read whole, which attention by length serves
  and FLOPs describe; then, `shared_`, with their common prompt read once.
  """
  for prefix, shared in (('', False), ('shared_', True)):
    lines = single.lines(
      subjects.pm_step(shape, shared=shared),
      shape,
      effort.rounds,
      effort.warmups,
      samples=('pm_pairs_per_s', 'pairs/s'),
      tokens='pm_tokens_per_s',
    )
    yield [
      (prefix + metric, *rest)
      for metric, *rest in lines
      if not shared or metric in ('pm_pairs_per_s', *COSTS)
    ]


def ppo_iteration(shape, effort):
  """Lines of a whole iteration; see `benchmarks.ppo_iteration`."""
  yield single.lines(
    subjects.ppo_iteration(shape),
    shape,
    effort.rounds,
    effort.warmups,
    samples=('ppo_samples_per_s', 'samples/s'),
    tokens='ppo_tokens_per_s',
  )


def members(shape, effort):
  """Lines of vmapped sweeps; see `benchmarks.vmapped_sweep`."""
  yield vmapped_sweep.member_lines(
    shape, effort.rounds, effort.warmups, effort.members
  )


def decode_bytes(shape):
  """Bytes that the decoding steps 2 ... R of a batch must read.

    weights of the layers, in `dtype`, and of the head, in float32, each step;
    keys and values, in `dtype`, of the tokens so far: P + i + 1 in step i + 1

  The first step is left out: what is timed is R steps less one.
  """
  config = common.config_of(shape)
  size = jnp.dtype(config.dtype).itemsize
  weights = parameter_counts(config)['blocks'] * size
  weights += config.vocab_size * config.d_model * 4
  token = 2 * config.n_layers * config.n_kv_heads * config.head_size * size
  steps = range(1, shape.reply_length)
  tokens = sum(shape.prompt_length + i + 1 for i in steps)
  return len(steps) * weights + shape.batch * tokens * token


def decode(shape, effort):
  """Lines of sampling, and of its steps against the memory's bandwidth.

  A step is (time of R tokens - time of one token) / (R - 1): the prefill is in
  both. Its floor is `decode_bytes` at the bandwidth of a large copy.
  """
  subject = subjects.decode(shape)
  first = subjects.decode(shape._replace(reply_length=1))
  compiled = {
    name: common.compile_program(s.function, s.state, *s.args, donate=0)
    for name, s in {'all': subject, 'first': first}.items()
  }
  calls = {
    name: common.threaded(program.call, subject.state, *subject.args)
    for name, program in compiled.items()
  }
  calls['copy'], moved = machine.copy_call(effort.copy_bytes)
  seconds = common.time_in_turns(calls, effort.rounds, effort.warmups)
  median = {name: statistics.median(times) for name, times in seconds.items()}
  steps_s, bandwidth = median['all'] - median['first'], moved / median['copy']
  floor_s = decode_bytes(shape) / bandwidth
  steps = shape.reply_length - 1
  yield [
    *common.throughput_lines(
      'decode_tokens_per_s', subject.tokens, seconds['all'], 'tokens/s'
    ),
    ('prefill_and_first_s', median['first'], 's'),
    ('decode_step_s', steps_s / steps, 's'),
    ('decode_step_floor_s', floor_s / steps, 's'),
    ('copy_bytes_per_s', bandwidth, 'bytes/s'),
    ('share_of_bandwidth_floor', floor_s / steps_s, 'ratio'),
    *common.program_lines(compiled['all']),
  ]


RUNGS = ('13M', '197M', '810M')
CHUNKS = {
  'parity': Chunk(
    lambda shape, effort: parity.measure(shape),
    ('13M',),
    (
      'attention_128_8_8_error',
      'chunked_bfloat16_error',
      'decode_bfloat16_error',
    ),
  ),
  'pm_step': Chunk(
    pm_step, RUNGS, ('pm_pairs_per_s', 'share_of_products_rate')
  ),
  'decode': Chunk(
    decode, RUNGS, ('decode_tokens_per_s', 'share_of_bandwidth_floor')
  ),
  'ppo_iteration': Chunk(
    ppo_iteration,
    (*RUNGS, 'headline', 'SmolLM2'),
    ('ppo_samples_per_s', 'share_of_products_rate'),
    ('tiny', 'tiny-pm'),
  ),
  'members': Chunk(
    members,
    ('10M',),
    tuple(
      f'{kind}_vmapped_{K}_speedup' for kind in ('pm', 'ppo') for K in (4, 16)
    ),
  ),
}


@functools.cache
def versions():
  """Versions of JAX and of the CUDA libraries, as installed and as loaded."""
  found = {'platform': jax.devices()[0].client.platform_version}
  for package in importlib.metadata.distributions():
    if package.name.startswith(PACKAGES):
      found[package.name] = package.version
  return found


def with_versions(row):
  """The row with `versions`, and with its `target` if it has one."""
  key = (row['benchmark'], row['shape'], row['metric'])
  target = {'target': TARGETS[key]} if key in TARGETS else {}
  return {**row, 'versions': versions(), **target}


def run(name, shapes, effort, folder):
  """Measures one chunk; writes its rows, if there is a folder, as they come."""
  rows = []
  for shape in shapes:
    print(f'{name}, shape {shape}, {common.device_name()}')
    for lines in CHUNKS[name].measure(SHAPES[shape], effort):
      measured = [line for line in lines if line[1] is not None]
      for metric, *_ in (line for line in lines if line[1] is None):
        print(f'  {metric:32} not measured: no GPU')
      new = common.to_rows(name, shape, measured)
      for row in new:
        common.print_row(row)
      rows += map(with_versions, new)
      if folder:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f'{name}.json', rows)
  return rows


def print_unmeasured(name):
  """What a chunk would have measured."""
  for shape in CHUNKS[name].shapes:
    for metric in CHUNKS[name].headlines:
      target = TARGETS.get((name, shape, metric))
      wanted = f' (target {target})' if target else ''
      print(f'{name:14} {shape:5} {metric:28} not measured: no GPU{wanted}')


def main(argv=None):
  """Runs the chunks; returns their rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.gpu')
  parser.add_argument('--chunk', nargs='+', choices=CHUNKS, default=[*CHUNKS])
  parser.add_argument('--tiny', action='store_true', help='tiny shapes')
  parser.add_argument('--results', type=pathlib.Path, help='folder of folders')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--warmups', type=int, default=2)
  args = parser.parse_args(argv)
  effort = Effort(args.rounds, args.warmups)
  results = args.results or (None if args.tiny else RESULTS)
  if args.tiny:
    effort = effort._replace(copy_bytes=1 << 22, members=(2,))
  elif jax.default_backend() != 'gpu':
    for name in args.chunk:
      print_unmeasured(name)
    return []
  rows = []
  for name in args.chunk:
    shapes = CHUNKS[name].tiny if args.tiny else CHUNKS[name].shapes
    folder = results and results / common.device_name()
    rows += run(name, shapes, effort, folder)
  return rows


if __name__ == '__main__':
  main()
