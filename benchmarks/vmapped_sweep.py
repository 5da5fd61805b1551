"""Speed of K members in one vmapped program, against one after the other.

    python -m benchmarks.vmapped_sweep [--json FILE] [--shape S 197K]

`speedup` is the time of K calls of the single program over the time of one call
of the vmapped program: above 1, vmap pays. The members differ in seed, data and
every traced coefficient; they share pi_0 and the preference model.

`sweep_ratio` is about short runs one after the other that share a program; see
`benchmarks.sweep`.
"""

import statistics

from benchmarks import common, subjects, sweep
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


def vmapped_lines(name, unit, make, shape, rounds, warmups, counts):
  """Lines of one kind of step, alone and at each number of members."""
  one = make(shape)
  single = common.compile_program(one.function, one.state, *one.args, donate=0)
  calls = {1: common.threaded(single.call, one.state, *one.args)}
  programs = {}
  for count in counts:
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


def member_lines(shape, rounds, warmups, counts):
  """Lines of both kinds of step."""
  kinds = (
    ('pm_vmapped', 'pairs/s', subjects.pm_step),
    ('ppo_vmapped', 'samples/s', subjects.ppo_iteration),
  )
  return [
    line
    for name, unit, make in kinds
    for line in vmapped_lines(name, unit, make, shape, rounds, warmups, counts)
  ]


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  return [
    *member_lines(shape, rounds, warmups, MEMBERS),
    *sweep.sweep_lines(shape, RUNS, ITERATIONS),
  ]


if __name__ == '__main__':
  common.main('vmapped_sweep', measure)
