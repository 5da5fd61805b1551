"""Ours and TRL's RLOO, GRPO and DPO for twenty updates of Adam.

    python -m benchmarks.agreement.curves [--python PYTHON] [--workdir DIR]

TRL's trainers start from one policy and keep the tokens of every batch, RLOO
and GRPO of replies that they sample, DPO of given pairs. Ours start from the
same policy and go their own way over the same batches (`follow`): nothing is
set back to TRL's after an update. Every number of every update is compared, and
the weights after it. Writes benchmarks/results/<device>/agreement_curves.csv.

A third run is ours too, with the gradient summed over a batch in four parts. It
has the same equations and another order of sums, so that it shows how far
rounding alone goes.
"""

import argparse
import csv
import json
import pathlib
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common
from benchmarks.agreement import curve_settings, follow, losses, parity, start
from benchmarks.agreement import settings as told
from benchmarks.peers import environments
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train.optimiser import learning_rate_at
from rlhf_jax.train.run import environment

PEER, ASKED = 'trl', 'curves.json'
WEIGHTS, RATE = 'weights', 'learning rate'
PARTS = 4  # of the gradient of the third run
# The largest differences that rounding explains, set before the first run. A
# float32 sum of n terms is off by about 2^-24 sqrt(n / 6) of their size: 5e-7
# for the 448 tokens of a batch. Some 30 such sums follow each other in a pass
# and its gradient, and 20 updates add them up: 3e-4.
TOLERANCE = 1e-3
# Adam divides the mean gradient of a weight by its size: where it is small
# beside others rounding decides. As in `parity`.
WEIGHTS_TOLERANCE = parity.UPDATE_TOLERANCE
FIELDS = (
  'algorithm',
  'update',
  'what',
  'ours',
  'theirs',
  'difference',
  'rounding',
  'at_most',
  'trl',
  'commit',
)


class Sides(NamedTuple):
  """What three runs had at one update.

  Attributes:
    theirs, ours, again: {name: array}; `again` is ours in four parts.
    weights: (ours, theirs, difference, difference of ours and again).
  """

  theirs: dict
  ours: dict
  again: dict
  weights: tuple


def make_start(folder, settings, curve):
  """Writes policy/ with weights at random, settings.json and curves.json."""
  config = start.config_of(settings)
  policy = jax.jit(build(config).init)(jax.random.key(0))
  save_policy(folder / 'policy', config, policy)
  told.write(folder / 'settings.json', settings)
  asked = start.asked_of(settings, curve, curve.prompts)
  (folder / ASKED).write_text(json.dumps(asked))


def batches_of(out, settings, updates):
  """What the peer's loss was given at each update, of one width."""
  return [
    follow.widened(losses.by_prompt(dict(np.load(out / f'{i}.npz'))), settings)
    for i in range(updates)
  ]


def rates_of(curve):
  """Our learning rate of each update."""
  return [
    learning_rate_at(i, peak=curve.rate, total=curve.updates, shape='linear')
    for i in range(curve.updates)
  ]


def sides(which, folder, out, curve):
  """[Sides] of one algorithm, an update each.

  Args:
    which: one of `curve_settings.WAYS`.
    folder: of `make_start`.
    out: of the peer's run.
    curve: Curve.
  """
  settings = told.read(folder / 'settings.json')
  ref = load_folder(folder / 'policy')
  worth_V = jnp.float32(json.loads((folder / ASKED).read_text())['worth'])
  batches, rates = batches_of(out, settings, curve.updates), rates_of(curve)
  logits_fn = build(ref.config).logits_fn
  way = follow.jitted(follow.WAYS[which](logits_fn, ref.params, worth_V, curve))
  curves = [
    follow.curve_of(way, ref.params, batches, rates, parts)
    for parts in (1, PARTS)
  ]
  seen = json.loads((out / 'updates.json').read_text())
  found = []
  for i, ((ours, after), (again, after_again)) in enumerate(
    zip(*curves, strict=True)
  ):
    peer = load_folder(out / f'{i}').params
    theirs = way.theirs(batches[i])
    theirs |= {follow.NORM: seen['grad_norm'][i], RATE: seen['rate'][i]}
    own = {RATE: rates[i]}
    weights = (
      parity.distance(after, ref.params),
      parity.distance(peer, ref.params),
      parity.moved(ref.params, after, peer),
      parity.moved(ref.params, after_again, after),
    )
    found.append(Sides(theirs, ours | own, again | own, weights))
  return found


def size(x):
  """Root mean square."""
  return float(np.sqrt(np.mean(np.square(np.asarray(x, float)))))


def largest(x):
  """Largest absolute value."""
  return float(np.abs(np.asarray(x, float)).max())


def apart(first, second):
  """Largest |first - second|; NaN spreads."""
  return largest(np.asarray(first, float) - np.asarray(second, float))


def rows_of(which, found):
  """Rows of the file for one algorithm.

  A difference is the largest |ours - theirs| of an update over the largest
  |theirs| of all updates; that of weights is over how far theirs have gone.
  Of arrays `ours` and `theirs` are root mean squares.
  """
  rows = []
  for name in found[0].theirs:
    scale = max(largest(x.theirs[name]) for x in found) or 1.0
    for i, x in enumerate(found):
      theirs, ours, again = (side[name] for side in x[:3])
      rows.append(
        (which, i + 1, name, size(ours), size(theirs))
        + (apart(ours, theirs) / scale, apart(again, ours) / scale)
        + (TOLERANCE,)
      )
  rows += [
    (which, i + 1, WEIGHTS, *x.weights, WEIGHTS_TOLERANCE)
    for i, x in enumerate(found)
  ]
  return [dict(zip(FIELDS, row, strict=False)) for row in rows]


def require(rows):
  """The rows, if each difference is within its tolerance.

  Raises:
    ParityError: naming every number that is not, with its first update.
  """
  wrong = {}
  for row in rows:
    if not row['difference'] <= row['at_most']:
      key = f'{row["algorithm"]}: {row["what"]}'
      wrong.setdefault(key, f'{row["difference"]:.2g} at {row["update"]}')
  if wrong:
    said = '; '.join(f'{k}, {x}' for k, x in wrong.items())
    raise parity.ParityError(f'on the same batches: {said}')
  return rows


def write(path, rows):
  """The file, a row an update and number."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, FIELDS)
    writer.writeheader()
    for row in rows:
      shown = {k: f'{x:.6g}' for k, x in row.items() if isinstance(x, float)}
      writer.writerow(row | shown)


def compare(workdir, python, preset):
  """Rows of all three algorithms, each within its tolerance.

  Raises:
    RuntimeError: if a run of the peer fails; ParityError as of `require`.
  """
  settings = told.PRESETS[preset]
  curve, folder = curve_settings.PRESETS[preset], workdir / 'start'
  if not (folder / ASKED).exists():
    make_start(folder, settings, curve)
  rows, commit = [], environment()['commit']
  for which in curve_settings.WAYS:
    out = workdir / which
    versions = losses.run_peer(python, which, folder, out, ASKED)
    made = rows_of(which, sides(which, folder, out, curve))
    rows += [x | {'trl': versions['trl'], 'commit': commit} for x in made]
  return require(rows)


def main(argv=None):
  """Runs the comparison and writes its file."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.agreement.curves')
  presets = list(curve_settings.PRESETS)
  parser.add_argument('--preset', choices=presets, default='full')
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    default=environments.ROOT / 'runs' / 'agreement-curves',
  )
  parser.add_argument('--python', type=pathlib.Path, help='one that has TRL')
  parser.add_argument('--csv', type=pathlib.Path, help='file for the results')
  args = parser.parse_args(argv)
  try:
    if args.python is None:
      reason = environments.build(PEER)
      if reason:
        raise RuntimeError(f'.peers/{PEER} cannot be built: {reason}')
    python = args.python or environments.python_of(PEER)
    rows = compare(args.workdir, python, args.preset)
  except (RuntimeError, ValueError, OSError) as error:
    print(f'agreement: {error}', file=sys.stderr)
    return 2
  for row in rows:
    if row['update'] == len({x['update'] for x in rows}):
      print(f'  {row["algorithm"]:5} {row["what"]:30} {row["difference"]:.1e}')
  results = environments.ROOT / 'benchmarks' / 'results'
  path = args.csv or results / common.device_name() / 'agreement_curves.csv'
  write(path, rows)
  print(f'wrote {path}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
