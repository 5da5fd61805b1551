"""The command line of a script: flags, and errors of one line."""

import contextlib
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from experiments.shared import knobs
from experiments.shared.errors import EXPECTED, one_line
from rlhf_jax.analysis.notes import NOTES
from rlhf_jax.train import distributed, hosts
from rlhf_jax.train.apart import apart as own_folder

REPOSITORY = Path(__file__).resolve().parents[2]
HELP = ('--help', '-help', '-h', '--h', '--helpshort', '--helpfull', '-?')
WORKDIR = 'Directory of the run; a killed run goes on in it.'


def main(
  run, default_config, default_workdir=None, report=False, several=False
):
  """Runs `run(config: dict, workdir: Path)` with --config and --workdir.

  A known error ends in one line and exit code 2; --config.KEY=VALUE overrides a
  key, and a key that does not exist is an error. Every value is held against
  its rule before anything starts; --help lists the keys.

  Args:
    run: the stage.
    default_config: path of its config file, and preset.
    default_workdir: None: --workdir is required.
    report: whether the run ends with a page of its tables and figures.
    several: whether several processes can run it as one (docs/hosts.md).
  """
  stage = Path(sys.argv[0]).stem
  file, preset = asked_config(sys.argv, default_config)
  stand_where(file)
  config_flag = config_flags.DEFINE_config_file(
    'config', default_config, 'Path of a config file, :PRESET appended.'
  )
  workdir_flag = flags.DEFINE_string('workdir', default_workdir, WORKDIR)
  start = _hosts() if several else contextlib.nullcontext

  def guarded(argv):
    logging.set_verbosity(logging.WARNING)
    if len(argv) > 1:
      print(f'error: unknown argument {argv[1]!r}: see --help', file=sys.stderr)
      return 2
    if not workdir_flag.value:
      print('error: --workdir is required', file=sys.stderr)
      return 2

    def staged():
      config, workdir = config_flag.value.to_dict(), Path(workdir_flag.value)
      knobs.check(config, stage)
      if not (workdir / 'done.json').exists():
        knobs.require_inputs(config, preset)
      with start():
        if preset in NOTES:
          print(NOTES[preset], file=sys.stderr, flush=True)
        run(config, workdir)
        if report:
          _report(workdir)

    return hosts.ended(exit_code(staged))

  def settings():
    yield f'  --config=FILE:PRESET (here {file}{preset and f":{preset}"})'
    yield f'  --workdir={workdir_flag.value or "DIR"}\n      {WORKDIR}'
    if several:
      yield from _listed_hosts()
    yield from knobs.listing(config_flag.value.to_dict(), stage)

  app.run(guarded, flags_parser=lambda argv: parse_flags(argv, settings))


def _hosts():
  """Defines the flags of several processes.

  Returns:
    A function without arguments: a context in which they are one job, or which
    does nothing where none is asked for.
  """
  start = distributed.define_flags()

  @contextlib.contextmanager
  def job():
    start()
    with distributed.together():
      yield

  return job


def _listed_hosts():
  """Lines of --help on several processes."""
  for name, means in distributed.FLAGS.items():
    yield f'  --{name}=None\n      {means}'


@hosts.by_one
def _report(workdir):
  """Writes the page of a run, and says where it is."""
  from experiments.shared import run_report

  print(f'report: {run_report.write(workdir)}')


def asked_config(argv, default):
  """(file, preset or '') of --config=FILE:PRESET, or of the default."""
  words = [*argv, '']
  for word, after in zip(words, words[1:], strict=False):
    name, equals, value = word.partition('=')
    if name in ('--config', '-config'):
      default = value if equals else after
  file, _, preset = default.rpartition(':')
  return (file, preset) if file else (default, '')


def stand_where(file):
  """Ends with one line if a file of the repository is named from elsewhere."""
  if not Path(file).exists() and (REPOSITORY / file).exists():
    print(
      f'error: there is no {file} in {Path.cwd()}: start this in the '
      f'repository (cd {REPOSITORY})',
      file=sys.stderr,
    )
    raise SystemExit(2)


def main_of_flags(run, values, required, several=False, apart=''):
  """Runs `run(options)` with the values of flags; errors as those of `main`.

  Args:
    run: of {flag's name: value}.
    values: what flags.DEFINE_... returned.
    required: names of flags that have no default.
    several: as of `main`.
    apart: the flag of a directory that `run` writes to as if it were alone
      (`rlhf_jax.train.apart`); '': none, a Run sees to it.
  """
  start = _hosts() if several else contextlib.nullcontext

  def guarded(argv):
    logging.set_verbosity(logging.WARNING)
    options = {value.name: value.value for value in values}

    def checked():
      if len(argv) > 1:
        raise ValueError(f'unknown argument {argv[1]!r}: see --help')
      if any(options[name] is None for name in required):
        wanted = ' and '.join(f'--{name}' for name in required)
        raise ValueError(f'{wanted} are required: see --help')
      with start(), contextlib.ExitStack() as stack:
        if apart:
          own = stack.enter_context(own_folder(options[apart]))
          options[apart] = str(own)
        run(options)

    return hosts.ended(exit_code(checked))

  app.run(guarded, flags_parser=parse_flags)


def exit_code(call):
  """Calls it; 0, or the exit code of what it raised, which is said in a line.

  A known error is 2, Ctrl-C 130.
  """
  try:
    call()
  except KeyboardInterrupt:
    print(
      'interrupted: the same command goes on where it stopped', file=sys.stderr
    )
    return 130
  except EXPECTED as error:
    print(f'error: {one_line(error)}', file=sys.stderr)
    return 2
  return 0


def parse_flags(argv, settings=None):
  """Parses as absl does; one line for a bad flag, and --help succeeds.

  Args:
    argv: of the process.
    settings: () -> lines that --help prints of the settings, values as they
      are with the other flags.
  """
  wants_help = settings and any(word in HELP for word in argv[1:])
  try:
    if not wants_help:
      return flags.FLAGS(argv)
    flags.FLAGS([word for word in argv if word not in HELP])
    app.usage(shorthelp=True, writeto_stdout=True)
    print('\nsettings:', *settings(), sep='\n')
    raise SystemExit(0)
  except (
    flags.Error,
    AttributeError,
    KeyError,
    ValueError,
    TypeError,
    OSError,
  ) as error:
    inner = error.__context__ if isinstance(error, AttributeError) else error
    line = one_line(inner or error)
    print(f'error: {line} (see --help)', file=sys.stderr)
    raise SystemExit(2) from None
  except SystemExit:  # --help was printed, which absl calls a failure
    raise SystemExit(0) from None
