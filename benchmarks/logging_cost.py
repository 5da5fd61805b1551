"""Cost of logging and of all checks, as a share of a step.

    python -m benchmarks.logging_cost [--json FILE] [--shape S] [--rounds 20]

The step alone and the step as a run makes it at its worst are timed in turns, A
B A B, and compared pair by pair: every update is flagged, watched, timed, read,
written to metrics.jsonl, told to TensorBoard if it is installed, and looked at
by the panel of health. As in `benchmarks.guards` this is done on an eighth of
the pairs, and its seconds are put over those of the whole step, which is timed
too. What RL adds on the device for its health is a program of its own here,
over the seconds of a whole iteration of PPO. Intervals are t-intervals over the
rounds.
"""

import importlib.util
import statistics
import tempfile

import jax
import jax.numpy as jnp

from benchmarks import common, guards, subjects
from rlhf_jax.train import finite
from rlhf_jax.train.health import Panel
from rlhf_jax.train.ppo_update import reply_mask
from rlhf_jax.train.rollout_stats import rollout_stats
from rlhf_jax.train.run import Run
from rlhf_jax.types import Rollout


def loggers():
  """Loggers that are there and need no account."""
  return ('tensorboard',) if importlib.util.find_spec('tensorboardX') else ()


def logged(call, run):
  """A call of the guarded step, as a run makes one, logged at every update."""
  panel, count = Panel(), 0

  def step():
    nonlocal count
    count += 1
    with run.clock.phase('data'):
      pass  # the rows are there
    after, metrics = call()
    row = run.log(count, run.watch(count, metrics))
    panel.note('train', row)
    return after, metrics

  return step


def step_shares(shape, rounds, warmups, step):
  """What a logged update has more than a plain one, over `step` seconds."""
  few = max(shape.batch // guards.PART, jax.device_count())
  subject = subjects.pm_step(shape._replace(batch=few))
  mesh = common.mesh_of(subject)
  plain, state, args = common.compile_subject(subject, mesh)
  guarded = subject._replace(
    function=finite.with_guard(subject.function, finite.STOP)
  )
  program, own, own_args = common.compile_subject(guarded, mesh)
  with tempfile.TemporaryDirectory() as folder:
    config = {'benchmark': 'logging_cost'}
    with Run(folder, config, loggers=loggers()) as run:
      run.restore(None)
      run.works(tokens=1.0, flops=1.0)
      call = common.threaded(program.call, own, *own_args)
      calls = {
        'plain': common.threaded(plain.call, state, *args),
        'logged': logged(call, run),
      }
      seconds = common.time_in_turns(calls, rounds, warmups)
  pairs = zip(seconds['plain'], seconds['logged'], strict=True)
  return [(b - a) / step for a, b in pairs]


def stats_shares(shape, rounds, warmups):
  """(Seconds of the numbers of health, over an iteration; the iteration's)."""
  subject = subjects.ppo_iteration(shape)
  mesh = common.mesh_of(subject)
  program, state, args = common.compile_subject(subject, mesh)
  B, P, R = shape.batch, shape.prompt_length, shape.reply_length
  tokens_BT = jax.random.randint(jax.random.key(0), (B, P + R), 0, 64)
  prompt_B = jnp.full(B, P, jnp.int32)
  rollout = Rollout(
    tokens_BT, prompt_B, prompt_B + R, prompt_B > 0, -jnp.ones((B, P + R))
  )
  score_B, kl_BT = jnp.arange(B) * 0.1, 0.1 * jnp.ones((B, P + R))
  stats = jax.jit(
    lambda rollout, *rows: rollout_stats(rollout, *rows, reply_mask(rollout))
  )
  calls = {
    'iteration': common.threaded(program.call, state, *args),
    'stats': lambda: stats(rollout, score_B, kl_BT),
  }
  seconds = common.time_in_turns(calls, min(rounds, 5), warmups)
  whole = statistics.median(seconds['iteration'])
  return [x / whole for x in seconds['stats']], whole


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  step = guards.whole_step(shape, warmups)
  shares = step_shares(shape, rounds, warmups, step)
  stats, iteration = stats_shares(shape, rounds, warmups)
  return [
    ('step_s', step, 's'),
    ('iteration_s', iteration, 's'),
    ('loggers', float(len(loggers())), 'loggers'),
    *guards.share_lines('logging_share_of_step', shares),
    *guards.share_lines('health_share_of_iteration', stats),
  ]


if __name__ == '__main__':
  common.main('logging_cost', measure)
