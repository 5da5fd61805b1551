"""What the drivers of all peers share; runs in any environment.

A driver is started as `python -m benchmarks.peers.NAME --shape S` with its own
environment's Python, and prints one line of JSON for each timed round:

    {"metric", "version", "samples", "seconds"}

`samples` is the work of a round in the metric's unit: pairs, new tokens or
answered prompts. With `--by-turns 1` it prints `{"ready": true}` after its
warm-ups and then waits, before every round, for a line on its standard input:
so two drivers have the machine by turns, round by round, and a machine that is
slow for minutes is slow for both.
"""

import argparse
import json
import os
import sys
import time

from benchmarks.shapes import SHAPES

READY = json.dumps({'ready': True})
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
  extra = {'by-turns': 0} | extra
  for name, default in extra.items():
    parser.add_argument(f'--{name}', type=type(default), default=default)
  args = parser.parse_args(argv)
  if args.warmups < 1:
    raise ValueError(f'wanted at least one warm-up, got {args.warmups}')
  args.shape = SHAPES[args.shape]
  return args


class Clock:
  """Tells the seconds of each round as it ends, and waits for the next turn.

  Whoever trains calls `lap` at the end of every round, warm-ups included, or
  hands `run` a call. What lies between a round and the next turn is in none.
  """

  def __init__(self, metric, version, samples, args):
    self.line = {'metric': metric, 'version': version, 'samples': samples}
    self.warmups, self.rounds = args.warmups, args.rounds
    self.waits = bool(args.by_turns)
    self.laps, self.start = 0, time.perf_counter()

  def lap(self):
    """Notes that a round has ended: reports it, unless it was a warm-up."""
    seconds = time.perf_counter() - self.start
    self.laps += 1
    if self.laps > self.warmups:
      print(json.dumps(self.line | {'seconds': seconds}), flush=True)
    elif self.laps == self.warmups and self.waits:
      print(READY, flush=True)
    last = self.warmups + self.rounds
    if self.waits and self.warmups <= self.laps < last:
      if not sys.stdin.readline():
        sys.exit('nobody gives this driver its turn any more')
    self.start = time.perf_counter()

  def run(self, call):
    """All rounds, warm-ups first, each of them a call."""
    for _ in range(self.warmups + self.rounds):
      call()
      self.lap()


def cores():
  """Cores that this process may use: threads for whoever needs a number."""
  return len(os.sched_getaffinity(0))
