"""Ours and TRL's PPO from the same weights: do they go the same way?

    python -m benchmarks.agreement [--seeds 100 101 ...] [--python PYTHON]

Makes pi_0, a reward model and prompts; runs TRL's PPOTrainer (in .peers/, which
is built if need be) and ours with the same hyper-parameters, a run a seed;
does TRL's first iteration again with our functions, on its replies; measures
the checkpoints of both with our code, and compares reward and exact KL. Writes
benchmarks/results/<device>/agreement.json and docs/figures/agreement.svg. What
was made is kept in --workdir, and a run that is complete is not done again.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from benchmarks import common
from benchmarks.agreement import figure, ours, parity, start, verdict
from benchmarks.agreement import settings as told
from benchmarks.peers import environments
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train.run import environment

ROOT = environments.ROOT
PEER = 'trl-1.11'
SEEDS = (100, 101, 102, 103, 104)
FIGURE = ROOT / 'docs' / 'figures'


class PeerError(RuntimeError):
  """The peer's environment or one of its runs failed, and why."""


def run_peer(python, folder, out, seed):
  """One run of the peer: what its done.json says."""
  done = out / 'done.json'
  if not done.exists():
    variables = {'CUDA_VISIBLE_DEVICES': '', 'HF_HUB_OFFLINE': '1'}
    flags = ['--start', str(folder), '--out', str(out), '--seed', str(seed)]
    ended = subprocess.run(
      [str(python), '-m', 'benchmarks.peers.trl_agreement', *flags],
      cwd=ROOT,
      env=os.environ | variables | {'OMP_NUM_THREADS': '1'},
      capture_output=True,
      text=True,
      check=False,
    )
    if ended.returncode:
      lines = (ended.stdout + ended.stderr).strip().splitlines()
      raise PeerError(lines[-1] if lines else f'exit code {ended.returncode}')
  return json.loads(done.read_text())


def run_ours(begin, iteration, out, seed):
  """One run of ours: what its done.json says."""
  done = out / 'done.json'
  if not done.exists():
    clock = time.perf_counter()
    ours.train(begin, iteration, out, seed)
    seconds = time.perf_counter() - clock
    done.write_text(json.dumps({'seconds': seconds}) + '\n')
  return json.loads(done.read_text())


def measure_all(measure, folders, settings):
  """Points of all runs: [{'side', 'seed', 'iteration', 'reward', 'kl'}]."""
  points = []
  for (side, seed), folder in folders.items():
    for iteration in settings.checkpoints:
      params = load_folder(folder / f'{iteration}').params
      where = {'side': side, 'seed': seed, 'iteration': iteration}
      points.append(where | measure(params))
  return points


def compare(workdir, seeds, python, settings, peer=run_peer):
  """Everything after the environments: the dict of agreement.json.

  Raises:
    PeerError, ParityError: with one line that says what is wrong.
  """
  clock, folder = time.perf_counter(), workdir / 'start'
  if not (folder / 'prompts.json').exists():
    print('start:', start.make(folder, settings), flush=True)
  begin = ours.load(folder)
  if begin.settings != settings:
    raise ValueError(
      f'{folder} was made with other settings: give another --workdir'
    )
  pieces = ours.pieces_of(begin)
  iteration, again = (
    ours.make_iteration(pieces),
    parity.make_again(begin, pieces),
  )
  folders, done, steps = {}, {}, {}
  for seed in seeds:
    for side in (verdict.THEIRS, verdict.OURS):
      out = folders[side, seed] = workdir / f'{side}-{seed}'
      if side == verdict.OURS:
        done[side] = run_ours(begin, iteration, out, seed)
      else:
        done[side] = peer(python, folder, out, seed)
      print(f'{side}, seed {seed}: {done[side]["seconds"]:.0f} s', flush=True)
    theirs = folders[verdict.THEIRS, seed]
    steps[seed] = parity.check(begin, again, theirs)
  measure = ours.make_measure(begin, pieces)
  first = measure(begin.policy.params)
  points = measure_all(measure, folders, settings)
  return {
    'device': common.device_name(),
    'commit': environment()['commit'],
    'seconds': time.perf_counter() - clock,
    'versions': done[verdict.THEIRS]['versions'],
    'settings': settings._asdict(),
    'seeds': list(seeds),
    'first': first,
    'parity': worst(steps),
    'points': points,
    **verdict.compare(points, first['reward']),
  }


def worst(steps):
  """Rows of `parity.check`, each with the largest difference of all seeds."""
  return [
    max(rows, key=lambda row: row['difference'])
    for rows in zip(*steps.values(), strict=True)
  ]


def print_result(result):
  """The tables, for a terminal."""
  for row in result['parity']:
    print(f'  {row["what"]:36} {row["difference"]:.1e}')
  for row in result['rows']:
    print(
      f'  {row["what"]:20} {row["at"]:8.3g}  ours {row["ours"]:7.3f}  theirs '
      f'{row["theirs"]:7.3f}  difference {row["difference"]:7.3f} '
      f'[{row["low"]:.3f}, {row["high"]:.3f}]'
    )
  print(f'{result["verdict"]}: at equal sqrt(KL) {result["reach"]:.1%} of gain')


def main(argv=None):
  """Runs the comparison and writes its results."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.agreement')
  parser.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
  parser.add_argument('--preset', choices=list(told.PRESETS), default='full')
  parser.add_argument(
    '--workdir', type=pathlib.Path, default=ROOT / 'runs' / 'agreement'
  )
  parser.add_argument(
    '--python', type=pathlib.Path, help='an environment that has TRL already'
  )
  parser.add_argument('--json', type=pathlib.Path, help='file for the results')
  parser.add_argument('--figures', type=pathlib.Path, default=FIGURE)
  args = parser.parse_args(argv)
  try:
    if args.python is None:
      reason = environments.build(PEER)
      if reason:
        raise PeerError(f'.peers/{PEER} cannot be built: {reason}')
    result = compare(
      args.workdir,
      args.seeds,
      args.python or environments.python_of(PEER),
      told.PRESETS[args.preset],
    )
  except (PeerError, parity.ParityError, ValueError, OSError) as error:
    print(f'agreement: {error}', file=sys.stderr)
    return 2
  print_result(result)
  path = args.json or (
    ROOT / 'benchmarks' / 'results' / result['device'] / 'agreement.json'
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(result, indent=1) + '\n')
  print(f'wrote {path} and {figure.draw(result, args.figures)}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
