"""The command line: one line for what is wrong, help, and old names."""

import errno
import json
import os
import pathlib
import runpy
import sys

import jax
import pytest
from absl import app, flags

from experiments import cluster
from experiments.shared import alias, command, knobs, run_report
from experiments.studies import slurm
from experiments.studies.job import read_list
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.text.dialogue import DialogueError
from rlhf_jax.train.about import RunError

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = f'--config={ROOT}/configs/lm.py:smoke'
PLAIN = f'--config={ROOT}/configs/lm.py:micro'  # says nothing beforehand


@pytest.fixture
def ended(monkeypatch):
  """Exit code of a `main` that is called with arguments, as absl calls it."""
  known = set(flags.FLAGS)
  app.define_help_flags()

  def forget():
    for name in set(flags.FLAGS) - known - {'help', 'helpfull', 'helpshort'}:
      if name not in ('helpxml', '?'):
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()

  def call(main, *arguments):
    forget()
    monkeypatch.setattr(sys, 'argv', ['script', *arguments])
    with pytest.raises(SystemExit) as error:
      main()
    return error.value.code

  monkeypatch.setattr(
    app,
    'run',
    lambda main, flags_parser: sys.exit(main(flags_parser(sys.argv))),
  )
  yield call
  forget()


@pytest.fixture(autouse=True)
def inputs(request, monkeypatch):
  """What earlier stages wrote is there, but in tests of what is missing."""
  if 'missing' not in request.node.name:
    monkeypatch.setattr(command.knobs, 'require_inputs', lambda *_: None)


def stage(run, **options):
  return lambda: command.main(run, f'{ROOT}/configs/lm.py', **options)


def raising(error):
  def run(*_):
    raise error

  return run


def error_line(capsys):
  lines = capsys.readouterr().err.splitlines()
  (line,) = [line for line in lines if not line.startswith('Smoke is')]
  assert line.startswith('error: ')
  return line.removeprefix('error: ')


def test_a_stage_is_run_with_its_config_and_its_folder(ended):
  given = []
  main = stage(lambda *args: given.append(args))
  changed = ('--config.steps=7', '--config.world.temperature=0.5')
  assert ended(main, CONFIG, *changed, '--workdir=there') == 0
  ((config, workdir),) = given
  assert workdir == pathlib.Path('there')
  assert type(config) is dict and type(config['world']) is dict
  assert config['steps'] == 7 and config['world']['temperature'] == 0.5
  assert config['size'] == '13K'  # of the preset smoke


def test_the_default_config_and_folder_are_the_stage_s(ended):
  given = []
  main = stage(lambda *args: given.append(args), default_workdir='runs/x')
  assert ended(main) == 0
  ((config, workdir),) = given
  assert workdir == pathlib.Path('runs/x') and config['size'] == '197K'


def test_a_stage_by_itself_is_reported_and_a_failed_one_is_not(
  ended, monkeypatch, capsys
):
  monkeypatch.setattr(run_report, 'write', lambda path: f'{path}/index.html')
  main = stage(lambda *_: None, report=True)
  assert ended(main, CONFIG, '--workdir=there') == 0
  assert capsys.readouterr().out == 'report: there/index.html\n'
  main = stage(raising(ValueError('no')), report=True)
  assert ended(main, CONFIG, '--workdir=there') == 2
  assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ([CONFIG], '--workdir is required'),
    ([CONFIG, '--workdir=x', 'y'], "unknown argument 'y': see --help"),
    ([CONFIG, '--workdir=x', '--wrkdir=y'], "Unknown command line flag 'wrk"),
    ([CONFIG, '--config.stepz=3'], 'Did you mean "steps"'),
    ([CONFIG, '--config.steps=many'], '--config.steps=many'),
    ([f'--config={ROOT}/configs/lm.py:huge'], "unknown preset 'huge': one of"),
    ([f'--config={ROOT}/configs/no.py', '--workdir=x'], 'configs/no.py'),
    (
      [CONFIG, '--workdir=x', '--config.log_every=0'],
      'log_every=0: wanted a w',
    ),
    (
      [CONFIG, '--workdir=x', f'--config.seed={10**20}'],
      f'seed={10**20}: wanted a whole number, from 0, to 2147483647',
    ),
    (
      [CONFIG, '--workdir=x', '--config.learning_rate=inf'],
      'learning_rate=inf: wanted a finite number',
    ),
  ],
)
def test_a_wrong_command_is_one_line_and_nothing_runs(
  arguments, message, ended, capsys
):
  given = []
  main = stage(lambda *args: given.append(args))
  assert ended(main, *arguments) == 2
  assert message in error_line(capsys) and not given


@pytest.mark.parametrize(
  'error',
  [
    RunError('it is in use'),
    DataError('f.jsonl:3: no key'),
    DialogueError('no Assistant turn', 'wanted one'),
    ValueError('of two\n  lines'),
    FileNotFoundError(2, 'No such file or directory', '/x'),
  ],
)
def test_a_known_error_is_one_line(error, ended, capsys):
  main = stage(raising(error))
  assert ended(main, PLAIN, '--workdir=x') == 2
  assert error_line(capsys) == ' '.join(str(error).split())


def test_without_flags_a_stage_of_several_processes_is_one(
  ended, monkeypatch, capsys
):
  """Not even where SLURM has started two: nothing of JAX's is called."""
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '2')
  refused = raising(AssertionError('it was started'))
  monkeypatch.setattr(jax.distributed, 'initialize', refused)
  before, given = jax.config.values.copy(), []
  run = lambda *args: given.append(args) or print('said')
  assert ended(stage(run, several=True), PLAIN, '--workdir=there') == 0
  assert len(given) == 1 and capsys.readouterr().out == 'said\n'
  assert jax.config.values == before


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--num_processes=2'], 'go with --distributed=HOST:PORT, got None'),
    (['--distributed=here:1'], 'wants --num_processes and --process_id'),
    (['--distributed=here'], 'wanted auto, or HOST:PORT of process 0'),
    (['--process_id=x'], 'process_id'),
  ],
)
def test_wrong_flags_of_several_processes_are_one_line(
  arguments, message, ended, capsys
):
  main = stage(raising(AssertionError('ran')), several=True)
  assert ended(main, PLAIN, '--workdir=x', *arguments) == 2
  assert message in error_line(capsys)


def test_a_stage_of_one_process_knows_no_flags_of_several(ended, capsys):
  main = stage(raising(AssertionError('ran')))
  assert ended(main, PLAIN, '--workdir=x', '--distributed=auto') == 2
  assert "Unknown command line flag 'distributed'" in error_line(capsys)


def test_help_lists_the_flags_of_several_processes(ended, capsys):
  assert ended(stage(print, several=True), '--help') == 0
  printed = capsys.readouterr().out
  for name in ('distributed', 'num_processes', 'process_id'):
    assert f'  --{name}=None\n' in printed


def test_a_fault_of_ours_is_not_hidden(ended):
  with pytest.raises(KeyError):
    ended(stage(raising(KeyError('half'))), CONFIG, '--workdir=x')


def test_help_ends_with_0_and_runs_nothing(ended, capsys):
  assert ended(stage(raising(ValueError('ran'))), '--help') == 0
  printed = capsys.readouterr()
  assert '--workdir=DIR' in printed.out and printed.err == ''


def test_help_lists_every_setting_with_its_value_and_its_meaning(ended, capsys):
  """Values are those of the preset and of the other flags."""
  main = stage(raising(ValueError('ran')))
  assert ended(main, CONFIG, '--config.seed=7', '--help') == 0
  lines = capsys.readouterr().out.splitlines()
  for name, value in (('steps', 150), ('seed', 7), ('mesh.fsdp', 1)):
    place = lines.index(f'  --config.{name}={value}')
    assert lines[place + 1].strip() == knobs.knob_of(name)['means']


def test_a_missing_input_names_the_command_that_makes_it(
  ended, capsys, tmp_path
):
  main = stage(raising(ValueError('ran')))
  folder = f'--config.text_dir={tmp_path}/text'
  assert ended(main, CONFIG, folder, f'--workdir={tmp_path}/lm') == 2
  assert error_line(capsys) == (
    f'text_dir={tmp_path}/text is not there: python -m experiments.make_text '
    f'--config=configs/text.py:smoke --workdir={tmp_path}/text makes it, make '
    'reproduce PRESET=smoke makes all'
  )


def test_a_missing_input_of_a_finished_run_is_no_matter(ended, tmp_path):
  (tmp_path / 'done.json').touch()
  assert ended(stage(lambda *_: None), CONFIG, f'--workdir={tmp_path}') == 0


def test_from_another_folder_one_line_says_where_to_stand(
  ended, capsys, monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)
  main = lambda: command.main(raising(ValueError('ran')), 'configs/lm.py')
  for arguments in ((), ('--config=configs/lm.py:smoke', '--workdir=x')):
    assert ended(main, *arguments) == 2
    assert error_line(capsys) == (
      f'there is no configs/lm.py in {tmp_path}: start this in the repository '
      f'(cd {ROOT})'
    )


def test_a_preset_says_what_it_finds_before_it_starts(ended, capsys):
  main = stage(raising(ValueError('ran')))
  assert ended(main, CONFIG, '--workdir=x') == 2
  note, line = capsys.readouterr().err.splitlines()
  assert note.startswith('Smoke is plumbing only') and line == 'error: ran'


def test_values_with_spaces_reach_the_jobs_of_a_cluster(
  ended, capsys, monkeypatch, tmp_path
):
  """In whatever way they are given; what goes to SLURM has none of them."""
  sent = []

  def submit(function, files, folder, parameters):
    sent.extend([*files, parameters])
    return [f'{len(sent)}_{i}' for i in range(len(files))]

  monkeypatch.setattr(slurm.submit, 'submit', submit)
  monkeypatch.setattr(slurm, 'queue', dict)
  data, models = tmp_path / 'd', tmp_path / 'm'
  (models / 'pythia-70m').mkdir(parents=True)
  (models / 'pythia-70m' / 'config.json').write_text('{}')
  code = ended(
    cluster.main,
    f'--config={ROOT}/configs/sweeps/hh_pythia.py',
    f'--config.models={models}',
    f'--config.data.path={data}',
    "--config.sizes=('pythia-70m',)",
    '--config.rl.iterations',
    '200',
    "--config.release.tranches=('helpful-base', 'harmless-base')",
    f'--workdir={tmp_path}/a b',
    '--submit',
  )
  printed = capsys.readouterr()
  assert code == 0, printed.err
  jobs = {job.name: job.config for job in read_list(tmp_path / 'a b')}
  assert jobs['ppo/pythia-70m-s120']['iterations'] == 200
  wanted = ['helpful-base', 'harmless-base']
  assert jobs['data']['tranches'] == wanted
  told = str(sent).replace(str(tmp_path), '')  # whose number may have a 200
  assert not any(x in told for x in ('200', 'harmless-base'))
  file = tmp_path / 'a b' / 'slurm' / 'jobs' / 'data.json'
  assert sent[0] == file
  assert json.loads(file.read_text()) == {
    'study': f'{tmp_path}/a b',
    'job': 'data',
  }


def flagged(run):
  """A script with flags of its own, of which one is required."""

  def main():
    values = [
      flags.DEFINE_string('test_model', None, 'A path.'),
      flags.DEFINE_integer('test_count', 4, 'How many.'),
    ]
    command.main_of_flags(run, values, ['test_model'])

  return main


def test_a_script_of_flags_is_run_with_their_values(ended):
  given = []
  assert ended(flagged(given.append), '--test_model=m', '--test_count=5') == 0
  assert given == [{'test_model': 'm', 'test_count': 5}]
  assert ended(flagged(given.append), '--test_model=m') == 0
  assert given[1]['test_count'] == 4


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ([], '--test_model are required: see --help'),
    (['--test_model=m', 'y'], "unknown argument 'y': see --help"),
    (['--test_model=m', '--test_count=x'], 'test_count'),
    (['--test_model=m', '--test_cout=3'], 'Did you mean: test_count'),
  ],
)
def test_wrong_flags_are_one_line(arguments, message, ended, capsys):
  assert ended(flagged(raising(AssertionError('ran'))), *arguments) == 2
  assert message in error_line(capsys)


def test_errors_of_a_script_of_flags_are_one_line_too(ended, capsys):
  main = flagged(raising(RunError('m is no run')))
  assert ended(main, '--test_model=m') == 2
  assert error_line(capsys) == 'm is no run'
  assert ended(flagged(print), '--help') == 0


TRACEBACK = """Job pm failed:
Traceback (most recent call last):
  File "x.py", line 3, in run
ValueError: wanted 3, got 4
"""


@pytest.mark.parametrize(
  ('error', 'line'),
  [
    (ValueError('  one\n\n two  '), 'one two'),
    (ValueError(TRACEBACK), 'ValueError: wanted 3, got 4'),
    (ValueError(), ''),
    (KeyError('half'), 'half'),
    (OSError(2, 'No such file', '/x'), "[Errno 2] No such file: '/x'"),
  ],
)
def test_an_error_in_one_line(error, line):
  assert command.one_line(error) == line


@pytest.fixture
def renamed(monkeypatch):
  """What an old name runs: (module, options, arguments)."""

  def call(*arguments, preset='configs/pm.py:smollm2'):
    ran = []
    monkeypatch.setattr(sys, 'argv', ['tune_pm', *arguments])
    monkeypatch.setattr(
      runpy,
      'run_module',
      lambda name, **options: ran.append((name, options, sys.argv[1:])),
    )
    alias.run('tune_pm', 'train_pm', preset)
    ((name, options, asked),) = ran
    assert options == {'run_name': '__main__', 'alter_sys': True}
    return name, asked

  return call


def test_an_old_name_prints_the_new_command_and_runs_it(renamed, capsys):
  name, asked = renamed('--workdir=a dir', '--config.model=m=1')
  assert name == 'experiments.train_pm'
  wanted = ['--config=configs/pm.py:smollm2', '--workdir=a dir']
  assert asked == [*wanted, '--config.base=m=1']
  assert capsys.readouterr().err == (
    'tune_pm is now train_pm: python -m experiments.train_pm '
    "--config=configs/pm.py:smollm2 '--workdir=a dir' --config.base=m=1\n"
  )


@pytest.mark.parametrize(
  ('arguments', 'wanted'),
  [
    (['--config=c.py:x'], ['--config=c.py:x']),
    (['--config', 'c.py:x'], ['--config', 'c.py:x']),
    (['--config.model', 'm'], ['--config=P', '--config.base', 'm']),
    (['--config.models=m'], ['--config=P', '--config.models=m']),
    ([], ['--config=P']),
  ],
)
def test_a_preset_is_put_in_where_none_is_named(arguments, wanted, renamed):
  assert renamed(*arguments, preset='P')[1] == wanted


@pytest.mark.parametrize(('old', 'new'), [('pm', 'pm'), ('ppo', 'ppo')])
def test_every_old_name_runs_the_stage_that_does_its_job(old, new, monkeypatch):
  ran = []
  monkeypatch.setattr(alias, 'run', lambda *args: ran.append(args))
  path = ROOT / 'experiments' / f'tune_{old}.py'
  runpy.run_path(str(path), run_name='__main__')
  assert ran == [(f'tune_{old}', f'train_{new}', f'configs/{new}.py:smollm2')]


def test_ctrl_c_is_one_line_and_has_its_exit_code(ended, capsys):
  main = stage(raising(KeyboardInterrupt()))
  assert ended(main, CONFIG, '--workdir=there') == 130
  assert capsys.readouterr().err.splitlines()[-1] == (
    'interrupted: the same command goes on where it stopped'
  )


def test_a_full_disk_is_one_line_with_its_remedy(ended, capsys):
  full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  assert ended(stage(raising(full)), CONFIG, '--workdir=there') == 2
  assert error_line(capsys).startswith('no space is left: free some and give')


@pytest.mark.parametrize('name', ('taken', 'taken/below'))
def test_a_file_where_a_folder_goes_is_one_line(name, ended, capsys, tmp_path):
  (tmp_path / 'taken').write_text('of the user')
  path = tmp_path / name
  main = stage(lambda *_: path.mkdir(parents=True, exist_ok=True))
  assert ended(main, CONFIG, '--workdir=there') == 2
  assert error_line(capsys).startswith(f'{path}: wanted a folder, and a file')
  assert (tmp_path / 'taken').read_text() == 'of the user'


def test_a_folder_that_is_there_is_not_called_a_file(ended, capsys, tmp_path):
  (tmp_path / 'there').mkdir()
  main = stage(lambda *_: (tmp_path / 'there').mkdir())
  assert ended(main, CONFIG, '--workdir=there') == 2
  said = error_line(capsys)
  assert 'File exists' in said and 'a file is there' not in said


def test_a_file_that_is_no_text_is_said_to_be(ended, capsys, tmp_path):
  (tmp_path / 'x').write_bytes(b'\xff\xfe')
  main = stage(lambda *_: (tmp_path / 'x').read_text('utf-8'))
  assert ended(main, CONFIG, '--workdir=there') == 2
  assert 'not UTF-8 text' in error_line(capsys)
