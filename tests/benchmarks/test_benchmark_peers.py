"""The comparison with the peers, with fake peers: none is installed here."""

import ast
import contextlib
import json
import math
import subprocess
import sys
import types

import pytest

from benchmarks.peers import compare, driver, environments, ours, turns
from benchmarks.shapes import SHAPES

FOLDER = environments.ROOT / 'benchmarks' / 'peers'
CONTEST = compare.Contest('pm_pairs_per_s', 'Peer', 'trl', 'peer_module')
ROW_KEYS = {
  'shape', 'metric', 'unit', 'peer', 'version', 'ours', 'theirs', 'ratio',
  'low', 'high', 'rounds', 'device', 'commit', 'processor', 'extensions',
}  # fmt: skip


def told(rounds=1, warmups=1, by_turns=0):
  """Flags of a driver."""
  return types.SimpleNamespace(
    rounds=rounds, warmups=warmups, by_turns=by_turns
  )


def reports(seconds, version='1.0', metric='pm_pairs_per_s', samples=64):
  return [
    {'metric': metric, 'version': version, 'samples': samples, 'seconds': s}
    for s in seconds
  ]


def lines_of(text):
  """The reports among whatever else a driver printed."""
  lines = text.splitlines()
  return [json.loads(line) for line in lines if line.startswith('{"metric"')]


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=str)
def test_a_driver_is_valid_python_with_a_docstring(path):
  tree = ast.parse(path.read_text())
  assert path.name == '__init__.py' or ast.get_docstring(tree)


@pytest.mark.parametrize(
  'contest', compare.CONTESTS, ids=lambda c: f'{c.peer} {c.metric}'
)
def test_a_contest_names_a_driver_an_environment_and_a_metric(contest):
  source = (FOLDER / f'{contest.module}.py').read_text()
  if contest.flags:
    assert contest.flags == ('--metric', contest.metric)
    assert 'told = (args.metric' in source
  else:
    assert f"'{contest.metric}'" in source
  assert contest.environment in environments.ENVIRONMENTS
  assert contest.metric in driver.UNITS
  assert contest.metric in ours.MAKE


def test_every_environment_can_read_the_shapes_and_the_driver():
  """Neither needs a package: the peers' environments do not have ours."""
  code = 'import sys, benchmarks.peers.driver; print("jax" in sys.modules)'
  done = subprocess.run(
    [sys.executable, '-S', '-c', code],
    cwd=environments.ROOT,
    capture_output=True,
    text=True,
  )
  assert done.stdout == 'False\n', done.stderr


def test_what_a_driver_reports_is_found_among_what_it_prints(capsys):
  clock = driver.Clock('pm_pairs_per_s', '1.0', 64, told(rounds=2))
  clock.run(lambda: None)
  text = "{'loss': 1}\n" + capsys.readouterr().out + '{"other": 1}\ndone\n'
  found = lines_of(text)
  assert found == reports([report['seconds'] for report in found])
  assert len(found) == 2


def test_warm_ups_are_made_and_not_timed(capsys):
  calls = []
  clock = driver.Clock('pm_pairs_per_s', '1.0', 64, told(rounds=3, warmups=2))
  clock.run(lambda: calls.append(1))
  assert len(calls) == 5
  assert len(lines_of(capsys.readouterr().out)) == 3


def test_what_lies_between_two_turns_is_in_no_round(capsys, monkeypatch):
  now = [0.0]

  def wait():
    now[0] += 100.0
    return '\n'

  monkeypatch.setattr(driver.time, 'perf_counter', lambda: now[0])
  monkeypatch.setattr(sys, 'stdin', types.SimpleNamespace(readline=wait))
  clock = driver.Clock('m', '1', 1, told(rounds=3, by_turns=1))
  clock.run(lambda: now.__setitem__(0, now[0] + 2.0))
  out = capsys.readouterr().out
  assert out.startswith(driver.READY)
  found = [report['seconds'] for report in lines_of(out)]
  assert found == [2.0, 2.0, 2.0]
  assert now[0] == 4 * 2.0 + 3 * 100.0  # no turn is waited for after the last


def test_a_driver_whose_turns_are_over_ends(monkeypatch):
  monkeypatch.setattr(sys, 'stdin', types.SimpleNamespace(readline=str))
  clock = driver.Clock('m', '1', 1, told(by_turns=1))
  with pytest.raises(SystemExit, match='its turn'):
    clock.run(lambda: None)


FAKE = """
import sys, time
from benchmarks.peers import driver
args = driver.parse_args(pause=0.0, fails=0)
clock = driver.Clock('pm_pairs_per_s', '1.0', 64, args)
def call():
  with open('order.txt', 'a') as file:
    file.write(f'{args.pause} ')
  if args.fails and clock.laps >= 2:
    sys.exit('out of pairs')
  time.sleep(args.pause)
clock.run(call)
"""


@pytest.fixture
def tree(tmp_path):
  """The folder of a tree with a driver that sleeps, and what it needs."""
  package = tmp_path / 'benchmarks' / 'peers'
  package.mkdir(parents=True)
  for path in (package.parent, package):
    (path / '__init__.py').touch()
  source = environments.ROOT / 'benchmarks'
  for name in ('shapes.py', 'peers/driver.py'):
    (package.parent / name).write_text((source / name).read_text())
  (package / 'fake.py').write_text(FAKE)
  return tmp_path


def fakes(tree, stack, rounds, **more):
  """Two players, of which the second sleeps twice as long."""
  players = []
  for pause in ('0.05', '0.1'):
    flags = ['--rounds', str(rounds), '--warmups', '1']
    flags += [f'--{key}={value}' for key, value in more.items()]
    args = (sys.executable, 'fake', [*flags, '--pause', pause], {0}, stack)
    players.append(turns.Player(*args, root=tree))
  return players


def test_two_drivers_play_by_turns_and_never_at_once(tree):
  with contextlib.ExitStack() as stack:
    first, second = fakes(tree, stack, 6)
    turns.play(first, second, 6)
  found = turns.ratio(first.reports, second.reports)
  assert found['rounds'] == 6 and found['ratio'] == pytest.approx(2, rel=0.3)
  assert found['low'] <= found['ratio'] <= found['high']
  order = (tree / 'order.txt').read_text().split()
  a, b = '0.05', '0.1'
  assert order == [a, b, *3 * (a, b, b, a)]  # a warm-up each, then by turns


def test_the_ratio_of_rounds_forgets_how_slow_the_machine_was():
  slow = [1.0, 1.0, 9.0, 9.0, 1.0, 9.0, 1.0, 1.0]
  found = turns.ratio(reports(slow), reports([2 * s for s in slow]))
  assert found == {'ratio': 2.0, 'low': 2.0, 'high': 2.0, 'rounds': 8}
  few = turns.ratio(reports([1.0] * 5), reports([2.0] * 5))
  assert math.isnan(few['low']) and math.isnan(few['high'])


def test_a_driver_that_fails_in_the_middle_is_its_last_line(tree):
  with contextlib.ExitStack() as stack:
    players = fakes(tree, stack, 6, fails=1)
    with pytest.raises(turns.DriverError, match='out of pairs'):
      turns.play(*players, 6)


def test_a_row_is_the_work_over_the_median_of_all_rounds():
  row = compare.merge(
    CONTEST,
    'S',
    'cpu-2-cores',
    reports([1.0, 2.0, 9.0], 'abc'),
    reports([4.0, 6.0, 9.0]),
  )
  assert row == {
    'shape': 'S',
    'metric': 'pm_pairs_per_s',
    'unit': 'pairs/s',
    'peer': 'Peer',
    'version': '1.0',
    'ours': 32.0,
    'theirs': pytest.approx(64 / 6),
    'ratio': 3.0,
    'low': pytest.approx(math.nan, nan_ok=True),
    'high': pytest.approx(math.nan, nan_ok=True),
    'rounds': 3,
    'device': 'cpu-2-cores',
    'commit': 'abc',
  }


@pytest.mark.parametrize(
  'theirs', [reports([1.0], samples=32), reports([1.0], metric='other')]
)
def test_different_work_is_not_compared(theirs):
  with pytest.raises(ValueError, match='not the same work'):
    compare.merge(CONTEST, 'S', 'cpu', reports([1.0]), theirs)


def fake_player(failing, seen):
  """A Player that answers at once; `failing` names the driver that does not."""

  class Player:
    def __init__(self, python, module, flags, cores, stack):
      seen.append((module, flags[1]))
      if module == failing:
        raise turns.DriverError('no such trainer')
      if '--metric' in flags:
        metric = flags[-1]
      else:
        metric = next(c.metric for c in compare.CONTESTS if c.module == module)
      self.reports = []
      self.report = reports([1.0 if module == 'ours' else 2.0], metric=metric)

    def turn(self):
      self.reports += self.report

  return Player


def test_the_sides_take_turns_and_a_peer_that_fails_has_no_row(
  tmp_path, monkeypatch, capsys
):
  seen, path = [], tmp_path / 'new' / 'peers.json'
  missing = lambda name: 'no wheel' if name == 'tunix' else None
  monkeypatch.setattr(environments, 'build', missing)
  monkeypatch.setattr(turns, 'Player', fake_player('trl_rloo', seen))
  compare.main(['--shapes', 'tiny', 'S', '--rounds', '6', '--json', str(path)])
  rows = json.loads(path.read_text())
  assert all(set(row) == ROW_KEYS and row['ratio'] == 2.0 for row in rows)
  assert [compare.key_of(row) for row in rows] == [
    (contest.metric, contest.peer, shape)
    for contest in compare.CONTESTS[:4]
    for shape in ('S', 'tiny')
  ]
  assert seen[:2] == [('ours', 'tiny'), ('trl_reward', 'tiny')]
  out = capsys.readouterr().out
  assert 'Tunix PPOLearner: left out: no wheel' in out
  assert 'shape tiny: left out: no such trainer' in out


def test_one_command_plans_every_row_and_runs_nothing(monkeypatch, capsys):
  assert compare.default_shapes('avx2') == ('S', '197K')
  assert compare.default_shapes('avx512_bf16')[2:] == ('S-bf16',)
  shapes = ('S', '197K', 'S-bf16')
  monkeypatch.setattr(compare, 'default_shapes', lambda: shapes)
  monkeypatch.setattr(environments, 'build', lambda name: pytest.fail(name))
  planned = compare.main(['--plan'])
  assert planned == [
    (contest, shape) for contest in compare.CONTESTS for shape in shapes
  ]
  assert len(capsys.readouterr().out.splitlines()) == len(planned) == 18


def test_some_contests_run_again_leave_the_rows_of_the_others(
  tmp_path, monkeypatch
):
  path = tmp_path / 'peers.json'
  old = {'version': 'old', 'peer': 'TRL RewardTrainer', 'shape': 'tiny'}
  others = [
    {'version': 'old', 'metric': 'm', 'peer': 'a peer of once', 'shape': 'S'},
    {**old, 'metric': 'rloo_samples_per_s', 'peer': 'TRL RLOOTrainer'},
    {**old, 'metric': 'pm_pairs_per_s', 'shape': 'S'},
  ]
  again = {**old, 'metric': 'pm_pairs_per_s'}
  path.write_text(json.dumps([*others, again]))
  monkeypatch.setattr(environments, 'build', lambda name: None)
  monkeypatch.setattr(turns, 'Player', fake_player(None, []))
  flags = ['--shapes', 'tiny', '--only', 'trl_reward', '--json', str(path)]
  rows = compare.main(flags)
  assert rows == json.loads(path.read_text())
  assert [(compare.key_of(row), row['version']) for row in rows] == [
    (('pm_pairs_per_s', 'TRL RewardTrainer', 'S'), 'old'),
    (('pm_pairs_per_s', 'TRL RewardTrainer', 'tiny'), '1.0'),
    ((compare.WHOLE, 'TRL RewardTrainer', 'tiny'), '1.0'),
    (('rloo_samples_per_s', 'TRL RLOOTrainer', 'tiny'), 'old'),
    (('m', 'a peer of once', 'S'), 'old'),
  ]


def test_a_driver_that_dies_is_an_error_with_its_last_line():
  with contextlib.ExitStack() as stack:
    with pytest.raises(turns.DriverError, match='No module named'):
      turns.Player(sys.executable, 'no_such_driver', [], {0}, stack)


@pytest.mark.slow  # runs a driver
def test_our_own_driver_reports_each_round(capsys):
  ours.main(
    ['--shape', 'tiny', '--rounds', '2', '--warmups', '1']
    + ['--metric', 'decode_tokens_per_s']
  )
  found = lines_of(capsys.readouterr().out)
  shape = SHAPES['tiny']
  assert [r['samples'] for r in found] == 2 * [shape.batch * shape.reply_length]
  assert all(r['metric'] == 'decode_tokens_per_s' for r in found)


@pytest.mark.slow  # runs a driver
def test_an_environment_is_built_once_and_a_failure_gives_its_reason(
  tmp_path, monkeypatch
):
  commands, answers = [], [None, None, None, 'ERROR: no wheel']
  monkeypatch.setattr(environments, 'FOLDER', tmp_path)
  monkeypatch.setattr(
    environments,
    '_run',
    lambda command: (
      (tmp_path / 'tunix').mkdir(exist_ok=True),
      commands.append(command),
      answers.pop(0),
    )[-1],
  )
  assert environments.build('tunix') is None
  assert environments.build('tunix') is None  # nothing to do
  assert len(commands) == 2
  changed = {'tunix': ('google-tunix==9',)}
  monkeypatch.setattr(environments, 'ENVIRONMENTS', changed)
  assert environments.build('tunix') == 'ERROR: no wheel'
  assert not (tmp_path / 'tunix' / 'installed.json').exists()


def test_without_a_cpu_wheel_the_index_of_torch_is_asked(monkeypatch):
  commands, answers = [], ['ERROR: none', None]
  monkeypatch.setattr(
    environments,
    '_run',
    lambda command: (commands.append(command), answers.pop(0))[-1],
  )
  assert environments._install('trl', [environments.TORCH, 'trl']) is None
  assert environments.CPU_INDEX not in commands[0]
  assert environments.CPU_INDEX in commands[1]
