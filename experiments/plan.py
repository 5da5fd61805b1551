r"""Planning: does a rung fit a TPU slice that is not here, and how long.

    python -m experiments.plan --config=configs/plan.py \
        --topology=v5p:8x8x8 --rung=52B [--json=FILE]
    python -m experiments.plan --table --json=docs/scale.json

Compiles the preference-model step and the PPO iteration for the topology (the
extra `tpu` brings the compiler; no TPU is needed) and prints bytes per chip,
whether they fit, FLOPs against the analytic count, the roofline's step time,
the MFU that it allows, and the hours of a study. `--rung` and `--topology` take
several names with commas, `--rung=all` the paper's ladder. `--json` keeps what
the compiler says of every program in a file, and compiles only what that lacks
(everything with `--again`); `--table` writes docs/scale.md from it and compiles
nothing.
"""

import importlib.util
import json
import sys
import time
from importlib import metadata
from pathlib import Path

import jax
from absl import app, flags
from ml_collections import config_flags

from experiments.capacity import estimates, programs, tables
from experiments.capacity.job import PROGRAMS, missing, model_config
from experiments.capacity.verdict import axes_of, same_work, verdict
from experiments.shared import command, files
from rlhf_jax.models import ladder
from rlhf_jax.train.sharding import make_mesh


def programs_of(name, depth, config, mesh):
  """{program: Program} of a rung cut to `depth` layers."""
  job = config['job']
  shapes = programs.Shapes(model_config(name, job, depth), job, mesh)
  return programs.pm_programs(shapes) | programs.ppo_programs(shapes)


def lacking(row, config):
  """[(depth, program)] that a row has yet to be compiled for.

  Of one and two layers the programs that train and their parts, to be counted
  apart; of the rungs to check those that train at a further depth as well.
  """
  wanted = [(depth, key) for depth in (1, 2) for key in PROGRAMS]
  wanted += [
    (depth, key)
    for name, depth, keys in config['checked']
    for key in keys
    if name == row['rung']
  ]
  there = row['measured']
  return [
    (depth, key)
    for depth, key in wanted
    if key not in there.get(str(depth), {})
  ]


def measure_rung(row, config, save):
  """Compiles what a row lacks, one program after the other.

  Args:
    row: {'rung', 'topology', 'mesh', 'measured': {depth: {program: numbers}}};
      filled in.
    config: of `configs/plan.py`.
    save: called after each program.
  """
  todo = lacking(row, config)
  if not todo:
    return
  name, topology = row['rung'], row['topology']
  mesh = make_mesh(programs.devices_of(topology), **row['mesh'])
  depths = dict.fromkeys(depth for depth, _ in todo)
  built = {depth: programs_of(name, depth, config, mesh) for depth in depths}
  for depth, key in todo:
    start = time.time()
    numbers = programs.measure(built[depth][key])
    row['measured'].setdefault(str(depth), {})[key] = numbers
    save()
    print(
      f'{name} on {topology}: {key} of {depth} layers compiled in '
      f'{time.time() - start:.0f} s',
      file=sys.stderr,
      flush=True,
    )


def versions():
  """{package: version} of what compiles; '' of what is not installed."""
  there = lambda key: importlib.util.find_spec(key) is not None
  return {
    key: metadata.version(key) if there(key) else ''
    for key in ('jax', 'libtpu')
  }


class Rows:
  """Rows of a JSON file, one a rung and topology; in memory without a path."""

  def __init__(self, path, job, again=False):
    """Reads the file; `again` forgets what rows that are asked for hold."""
    self.path, self.again = Path(path) if path else None, again
    self.job = job
    there = self.path and self.path.exists()
    self.rows = json.loads(self.path.read_text()) if there else []

  def of(self, name, topology):
    """The row, or a new one where there is none or it is to be made again.

    Made again is also one of another job or mesh; see `same_work`.
    """
    mine = lambda row: (row['rung'], row['topology']) == (name, topology)
    row = {
      'rung': name,
      'topology': topology,
      'job': self.job,
      'mesh': axes_of(name, topology, self.job),
      'versions': versions(),
      'measured': {},
    }
    old = [one for one in self.rows if mine(one)]
    if old and same_work(old[0], row) and not self.again:
      return old[0]
    self.rows = [one for one in self.rows if not mine(one)] + [row]
    return row

  def save(self):
    """Writes the file, so that a killed run goes on after the last program."""
    if self.path:
      part = self.path.with_name(self.path.name + '.part')
      part.write_text(json.dumps(self.rows, indent=1) + '\n')
      part.replace(self.path)


def run(config, names, topologies, rows):
  """Plans every rung on every topology, and prints what it found."""
  for name in names:  # a wrong name must not show after an hour
    ladder.rung(name)
  for topology in topologies:
    estimates.parse_topology(topology)
  wanted = [
    rows.of(name, topology) for topology in topologies for name in names
  ]
  for topology in {row['topology'] for row in wanted if lacking(row, config)}:
    programs.devices_of(topology)
  for row in wanted:
    measure_rung(row, config, rows.save)
    print(tables.report(verdict(row, config), config), flush=True)


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  config = config_flags.DEFINE_config_file('config', 'configs/plan.py')
  topology = flags.DEFINE_list('topology', ['v5p:8x8x8'], 'GENERATION:AxB[xC].')
  rung = flags.DEFINE_list('rung', ['52B'], 'Rungs of the ladder, or all.')
  path = flags.DEFINE_string('json', '', 'File that rows are added to.')
  again = flags.DEFINE_bool('again', False, 'Compile what --json has anew.')
  table = flags.DEFINE_bool('table', False, 'Write docs/scale.md from --json.')

  def guarded(argv):
    jax.config.update('jax_platforms', 'cpu')  # shapes only: look for no TPU
    jax.config.update('jax_enable_compilation_cache', False)
    if len(argv) > 1:
      print(f'error: unknown argument {argv[1]!r}: see --help', file=sys.stderr)
      return 2
    settings = config.value.to_dict()
    names = list(ladder.PAPER) if rung.value == ['all'] else rung.value
    try:
      if table.value:
        rows = files.read_json(path.value or tables.ROWS)
        complete = [row for row in rows if not missing(row['measured'])]
        found = [verdict(row, settings) for row in complete]
        tables.write(found, settings)
      else:
        rows = Rows(path.value, settings['job'], again.value)
        run(settings, names, topology.value, rows)
    except command.EXPECTED as error:
      print(f'error: {command.one_line(error)}', file=sys.stderr)
      return 2
    return 0

  app.run(guarded, flags_parser=command.parse_flags)


if __name__ == '__main__':
  main()
