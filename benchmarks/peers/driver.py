"""What the drivers of all peers share; runs in any environment.

A driver is started as `python -m benchmarks.peers.NAME --shape S` with its own
environment's Python, and prints one line of JSON for each timed round:

    {"metric", "version", "samples", "seconds"}

`samples` is the work of a round in the metric's unit: pairs, new tokens or
answered prompts.
"""

import argparse
import json
import os
import time

from benchmarks.shapes import SHAPES

UNITS = {
  'pm_pairs_per_s': 'pairs/s',
  'pm_pairs_per_s_read_whole': 'pairs/s',
  'decode_tokens_per_s': 'tokens/s',
  'ppo_samples_per_s': 'samples/s',
  'rloo_samples_per_s': 'samples/s',
}


def parse_args(argv=None, **extra):
  """Flags of a driver; `extra` adds flags with their default values."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--shape', choices=list(SHAPES), default='S')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--warmups', type=int, default=2)
  for name, default in extra.items():
    parser.add_argument(f'--{name}', type=type(default), default=default)
  args = parser.parse_args(argv)
  if args.warmups < 1:
    raise ValueError(f'wanted at least one warm-up, got {args.warmups}')
  args.shape = SHAPES[args.shape]
  return args


def report(metric, version, samples, seconds):
  """Prints one line for each round of `seconds`."""
  for round_s in seconds:
    line = {'metric': metric, 'version': version, 'samples': samples}
    print(json.dumps(line | {'seconds': round_s}), flush=True)


def cores():
  """Cores that this process may use: threads for whoever needs a number."""
  return len(os.sched_getaffinity(0))


def time_calls(call, rounds, warmups):
  """Seconds of each of `rounds` calls, after the warm-ups."""
  seconds = []
  for _ in range(warmups + rounds):
    start = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - start)
  return seconds[warmups:]


def between(ends, warmups):
  """Seconds of each step after the warm-ups, from the steps' end times."""
  pairs = zip(ends, ends[1:], strict=False)
  return [later - earlier for earlier, later in pairs][warmups - 1 :]
