"""Does cost grow as theory says? Exponents of time, and of bytes a device.

    python -m benchmarks.scaling [--json FILE] [--rounds 5] [--warmups 1]

(a) Seconds of a preference-model step (both sides read whole) and of sampling,
    against the batch, the length and the width, one changed at a time. The
    exponent is the slope p of log(seconds) = a + p log(x), fitted to the
    medians, with its 95 % t-interval; beside it, that of the analytic FLOPs.
(b) Bytes of a step's arguments on each device, against 1, 2, 4 and 8 faked
    devices on the fsdp axis: everything large is cut, so the exponent is -1.

Time that does not grow with the arithmetic (launches, norms, softmax, sampling,
and weights read once a step whatever the batch) pulls an exponent below that of
the FLOPs; products that run faster when they are larger do so too.
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys

import numpy as np

from benchmarks import common, subjects
from benchmarks.shapes import Shape
from rlhf_jax.analysis import fits

HEAD_SIZE = 32
BASES = {
  'pm_step': Shape(2, 128, 4, 512, 1024, 'gelu', batch=32, microbatch_rows=16),
  'decode': Shape(2, 256, 8, 1024, 1024, 'gelu', batch=64),
}
GRIDS = {
  'batch': (8, 16, 32, 64, 128),
  'length': (32, 64, 128, 256, 512),
  'width': (64, 128, 192, 256, 384),
}
MAKE = {
  'pm_step': functools.partial(subjects.pm_step, shared=False),
  'decode': subjects.decode,
}
DEVICES = 8


def changed(shape, axis, value):
  """The shape with another batch, length (half prompt, half reply) or width."""
  if axis == 'batch':
    return shape._replace(batch=value)
  if axis == 'length':
    half = value // 2
    return shape._replace(prompt_length=half, reply_length=value - half)
  return shape._replace(
    d_model=value, d_mlp=4 * value, n_heads=value // HEAD_SIZE
  )


def time_subjects(subjects_by_value, rounds, warmups):
  """{value: [seconds of a call]} of {value: Subject}, measured in turns."""
  calls = {}
  for value, subject in subjects_by_value.items():
    program = common.compile_program(
      subject.function, subject.state, *subject.args, donate=0
    )
    calls[value] = common.threaded(program.call, subject.state, *subject.args)
  return common.time_in_turns(calls, rounds, warmups)


def exponent(x_N, y_N):
  """Slope p of log y = a + p log x with its 95 % t-interval: (p, low, high)."""
  fit = fits.line(np.log(x_N), np.log(y_N))
  return float(fit.coefficient_K[1]), *fit.interval(1)


def exponent_lines(name, x_N, y_N, expected):
  """Lines of a fitted exponent, its interval, and what theory expects."""
  middle, low, high = exponent(x_N, y_N)
  return [
    (f'{name}_exponent', middle, 'exponent'),
    (f'{name}_exponent_low', low, 'exponent'),
    (f'{name}_exponent_high', high, 'exponent'),
    (f'{name}_exponent_expected', expected, 'exponent'),
  ]


def time_lines(kind, axis, timer):
  """Lines of one kind of step along one axis.

  Args:
    kind: 'pm_step' or 'decode'.
    axis: 'batch', 'length' or 'width'.
    timer: {value: Subject} -> {value: [seconds]}.
  """
  made = {
    value: MAKE[kind](changed(BASES[kind], axis, value))
    for value in GRIDS[axis]
  }
  seconds = timer(made)
  median_N = [statistics.median(seconds[value]) for value in made]
  flops_N = [subject.flops for subject in made.values()]
  expected, _, _ = exponent(list(made), flops_N)
  lines = [
    (f'{kind}_{axis}_{value}_s', median, 's')
    for value, median in zip(made, median_N, strict=True)
  ]
  return lines + exponent_lines(
    f'{kind}_{axis}', list(made), median_N, expected
  )


def device_bytes(flags=()):
  """{devices: bytes} of `benchmarks.device_bytes`, on faked devices.

  Raises:
    subprocess.CalledProcessError: if it fails; its errors are printed.
  """
  fake = f'--xla_force_host_platform_device_count={DEVICES}'
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.device_bytes', *flags],
    cwd=pathlib.Path(__file__).parents[1],
    env=os.environ | {'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': fake},
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  found = json.loads(done.stdout.splitlines()[-1])
  return {int(count): size for count, size in found.items()}


def device_lines(found):
  """Lines of bytes a device, and of their exponent."""
  lines = [
    (f'device_bytes_{count}', size, 'bytes') for count, size in found.items()
  ]
  return lines + exponent_lines(
    'device_bytes', list(found), list(found.values()), -1.0
  )


def main(argv=None, timer=time_subjects, bytes_by_devices=device_bytes):
  """Prints the table, writes the rows and returns them.

  Args:
    argv: arguments; None: those of the process.
    timer: ({value: Subject}, rounds, warmups) -> {value: [seconds]}.
    bytes_by_devices: () -> {devices: bytes}.
  """
  parser = argparse.ArgumentParser(prog='python -m benchmarks.scaling')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--warmups', type=int, default=1)
  args = parser.parse_args(argv)
  timer = functools.partial(timer, rounds=args.rounds, warmups=args.warmups)
  rows = []

  def add(shape, lines):
    new = common.to_rows('scaling', shape, lines)
    for row in new:
      common.print_row(row)
    rows.extend(new)

  print(f'scaling, {common.device_name()}')
  for kind in BASES:
    for axis in GRIDS:
      add(f'{kind} base', time_lines(kind, axis, timer))
  add('fsdp', device_lines(bytes_by_devices()))
  common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
