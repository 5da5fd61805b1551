"""Cost of a sweep in one process: eight PPO runs that share one program.

    python -m benchmarks.sweep [--json FILE] [--shape S 197K]

Eight runs, one after the other, over eight seeds and eight KL coefficients, of
twelve iterations each (--rounds and --warmups are not used):

    sweep_ratio = (wall time of all - one compilation) / (8 x one steady run)

where a steady run is twelve times the median iteration, and the compilation is
the first call less that median. At 1 nothing is compiled twice, and a new run
costs nothing but its iterations.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from benchmarks import common, subjects
from rlhf_jax.train import ledger

RUNS, ITERATIONS = 8, 12


def sweep_lines(shape, runs, iterations):
  """Lines of `runs` PPO runs of `iterations` each."""
  subject = subjects.ppo_iteration(shape)
  frozen, prompts, _, hyper = subject.args
  step = jax.jit(subject.function, donate_argnums=0)
  name = subject.function.__name__
  jax.block_until_ready(subject.state)
  ledger.start()
  compiled = ledger.count(name)
  seconds, start = [], time.perf_counter()
  for run in range(runs):
    state = jax.tree.map(jnp.copy, subject.state)
    rng = jax.random.key(run)
    own = hyper._replace(kl_coef=1e-3 * run)
    for _ in range(iterations):
      before = time.perf_counter()
      state, _ = jax.block_until_ready(step(state, frozen, prompts, rng, own))
      seconds.append(time.perf_counter() - before)
  total = time.perf_counter() - start
  return [
    ('sweep_programs', ledger.count(name) - compiled, 'programs'),
    *ratio_lines(total, seconds, runs * iterations),
  ]


def ratio_lines(total, seconds, iterations):
  """Lines of the ratio, from the wall time and that of each iteration."""
  steady = statistics.median(seconds[1:])
  compile_s = seconds[0] - steady
  return [
    ('sweep_compile_s', compile_s, 's'),
    ('sweep_steady_s', steady, 's'),
    ('sweep_ratio', (total - compile_s) / (iterations * steady), 'ratio'),
  ]


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  del rounds, warmups
  return sweep_lines(shape, RUNS, ITERATIONS)


if __name__ == '__main__':
  common.main('sweep', measure)
