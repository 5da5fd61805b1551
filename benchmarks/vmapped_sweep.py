"""Speed of K members in one vmapped program, against one after the other.

    python -m benchmarks.vmapped_sweep [--json FILE] [--shape S|197K|tiny]

`speedup` is the time of K calls of the single program over the time of one call
of the vmapped program: above 1, vmap pays. The members differ in seed, data and
every traced coefficient; they share pi_0 and the preference model.

`sweep_ratio` is about runs one after the other that share a compiled program:
the wall time of eight PPO runs with eight seeds and eight KL coefficients, over
eight times the steady time and one compilation.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from benchmarks import common, subjects
from rlhf_jax.train import ledger
from rlhf_jax.train.members import stack, vmap_members

MEMBERS = (4, 8)
RUNS, ITERATIONS = 8, 3


def members(make, shape, count):
  """Several subjects as one: (function, state, arguments).

  Args:
    make: (shape, seed) -> Subject.
    shape: a Shape.
    count: K; every array that is not shared gets a leading axis of K.
  """
  each = [make(shape, seed) for seed in range(count)]
  one = each[0]
  state, *args = (
    arguments[0] if i in one.shared else stack(arguments)
    for i, arguments in enumerate(
      zip(*((subject.state, *subject.args) for subject in each), strict=True)
    )
  )
  return vmap_members(one.function, shared=one.shared), state, args


def vmapped_lines(name, unit, make, shape, rounds, warmups):
  """Lines of one kind of step at each number of members."""
  one = make(shape)
  single = common.compile_program(one.function, one.state, *one.args, donate=0)
  calls = {1: common.threaded(single.call, one.state, *one.args)}
  programs = {}
  for count in MEMBERS:
    function, state, args = members(make, shape, count)
    programs[count] = common.compile_program(function, state, *args, donate=0)
    calls[count] = common.threaded(programs[count].call, state, *args)
  seconds = common.time_in_turns(calls, rounds, warmups)
  median = {count: statistics.median(seconds[count]) for count in calls}
  lines = [(f'{name}_1_per_s', one.samples / median[1], unit)]
  for count, program in programs.items():
    work = one.samples * count
    lines += [
      (f'{name}_{count}_per_s', work / median[count], unit),
      (f'{name}_{count}_speedup', count * median[1] / median[count], 'ratio'),
      (f'{name}_{count}_compile_s', program.compile_s, 's'),
      (f'{name}_{count}_peak_bytes', program.peak_bytes, 'bytes'),
    ]
  return lines


def sweep_lines(shape):
  """Lines of eight PPO runs that share one program, one after the other."""
  subject = subjects.ppo_iteration(shape)
  frozen, prompts, _, hyper = subject.args

  step = jax.jit(subject.function, donate_argnums=0)
  name = subject.function.__name__
  jax.block_until_ready(subject.state)
  ledger.start()
  compiled = ledger.count(name)
  seconds, start = [], time.perf_counter()
  for run in range(RUNS):
    state = jax.tree.map(jnp.copy, subject.state)
    rng = jax.random.key(run)
    for _ in range(ITERATIONS):
      before = time.perf_counter()
      state, _ = jax.block_until_ready(
        step(state, frozen, prompts, rng, hyper._replace(kl_coef=1e-3 * run))
      )
      seconds.append(time.perf_counter() - before)
  total = time.perf_counter() - start
  steady = statistics.median(seconds[1:])
  compile_s = seconds[0] - steady
  ideal = RUNS * ITERATIONS * steady + compile_s
  return [
    ('sweep_programs', ledger.count(name) - compiled, 'programs'),
    ('sweep_compile_s', compile_s, 's'),
    ('sweep_steady_s', steady, 's'),
    ('sweep_ratio', total / ideal, 'ratio'),
  ]


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  return [
    *vmapped_lines(
      'pm_vmapped', 'pairs/s', subjects.pm_step, shape, rounds, warmups
    ),
    *vmapped_lines(
      'ppo_vmapped', 'samples/s', subjects.ppo_iteration, shape, rounds, warmups
    ),
    *sweep_lines(shape),
  ]


if __name__ == '__main__':
  common.main('vmapped_sweep', measure)
