"""Cost of the finite checks and the digests, as a share of a step.

    python -m benchmarks.guards [--json FILE] [--shape S] [--rounds 20]

The step alone and the step as a run makes it (flags, watched, read where
metrics are logged) are timed in turns, A B A B, and compared pair by pair, on
an eighth of the pairs: a guard reads the metrics of a step, however many pairs
it has, and the noise of a short step is less. Its seconds are then put over
those of the whole step, which is timed too. A save is timed with its two
additions, the look at the whole state and the digests of what was written,
which are shared out over the updates between two saves. Intervals are
t-intervals over the rounds.
"""

import statistics
import tempfile
import time

import jax

from benchmarks import common, subjects
from rlhf_jax import digests
from rlhf_jax.analysis.intervals import t_interval
from rlhf_jax.train import finite
from rlhf_jax.train.run import Run

LOG_EVERY, CHECKPOINT_EVERY = 20, 400  # of train_pm
PART = 8  # of the pairs of a step, where guards are timed
WHOLE_ROUNDS = 5


def watched(program, state, watch, args):
  """A call of the guarded step, read by the host at every LOG_EVERY-th."""
  call, count = common.threaded(program, state, *args), 0

  def step():
    nonlocal count
    count += 1
    after, metrics = call()
    watch.note(count, metrics)
    if count % LOG_EVERY == 0:
      watch.read()
    return after, metrics

  return step


def seconds_of(call, rounds):
  """Seconds of each of some calls, after one that is not counted."""
  found = []
  for _ in range(rounds + 1):
    start = time.perf_counter()
    call()
    found.append(time.perf_counter() - start)
  return found[1:]


def save_seconds(state, rounds):
  """{'look', 'digests'}: seconds that either adds to a save, each round."""
  with tempfile.TemporaryDirectory() as folder:
    with Run(folder, {'benchmark': 'guards'}) as run:
      run.save(state)
      path = run.path / 'checkpoints' / str(int(state.step))
      return {
        'look': seconds_of(lambda: finite.bad_leaf(state), rounds),
        'digests': seconds_of(lambda: digests.of_folder(path, ()), rounds),
      }


def share_lines(name, shares):
  """A mean share and its interval, in percent."""
  found = t_interval([100 * share for share in shares])
  return [
    (name, found.mean, '%'),
    (f'{name}_low', found.low, '%'),
    (f'{name}_high', found.high, '%'),
  ]


def whole_step(shape, warmups):
  """Seconds of the step on all pairs, the median of some."""
  subject = subjects.pm_step(shape)
  program, state, args = common.compile_subject(
    subject, common.mesh_of(subject)
  )
  call = {'step': common.threaded(program.call, state, *args)}
  return statistics.median(
    common.time_in_turns(call, WHOLE_ROUNDS, warmups)['step']
  )


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  step = whole_step(shape, warmups)
  few = max(shape.batch // PART, jax.device_count())
  subject = subjects.pm_step(shape._replace(batch=few))
  mesh = common.mesh_of(subject)
  plain, state, args = common.compile_subject(subject, mesh)
  guarded = subject._replace(
    function=finite.with_guard(subject.function, finite.STOP)
  )
  program, own, own_args = common.compile_subject(guarded, mesh)
  watch = finite.Watch('benchmark')
  calls = {
    'plain': common.threaded(plain.call, state, *args),
    'guarded': watched(program.call, own, watch, own_args),
  }
  seconds = common.time_in_turns(calls, rounds, warmups)
  pairs = list(zip(seconds['plain'], seconds['guarded'], strict=True))
  saves = save_seconds(jax.tree.map(jax.numpy.copy, state), rounds)
  spread = lambda found: [x / CHECKPOINT_EVERY / step for x in found]
  in_step = [(b - a) / step for a, b in pairs]
  per_save = [a + b for a, b in zip(*map(spread, saves.values()), strict=True)]
  total = [a + b for a, b in zip(in_step, per_save, strict=True)]
  return [
    ('step_s', step, 's'),
    ('look_s', sum(saves['look']) / rounds, 's'),
    ('digests_s', sum(saves['digests']) / rounds, 's'),
    *share_lines('checks_share_of_step', in_step),
    *share_lines('saves_share_of_step', per_save),
    *share_lines('guards_share_of_step', total),
  ]


if __name__ == '__main__':
  common.main('guards', measure)
