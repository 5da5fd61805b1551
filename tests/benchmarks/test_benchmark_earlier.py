"""Rates beside those of an earlier commit, with drivers that are made up."""

import contextlib
import json
import subprocess
import sys
import types

import pytest

from benchmarks import earlier
from benchmarks.peers import turns
from scripts.where_tables import earlier_table


def reports(root, metric, samples=64):
  """Six rounds: the earlier tree takes twice as long."""
  own = root == earlier.ROOT
  each = {'metric': metric, 'version': 'new' if own else 'old'}
  seconds = 1.0 if own else 2.0
  return [each | {'samples': samples, 'seconds': seconds} for _ in range(6)]


def asked(**changes):
  default = {'rounds': 6, 'warmups': 1, 'isa': None}
  return types.SimpleNamespace(**default | changes)


@pytest.fixture
def driven(monkeypatch):
  """The drivers that were started."""
  seen = []

  class Player:
    def __init__(self, python, module, flags, cores, stack, root, **more):
      seen.append((root, flags, more))
      self.reports, self.own = [], reports(root, flags[3])

    def turn(self):
      self.reports.append(self.own.pop())

  monkeypatch.setattr(turns, 'Player', Player)
  monkeypatch.setattr(earlier, 'teach', lambda root: False)
  monkeypatch.setattr(earlier, 'UNITS', {'pm_pairs_per_s': 'pairs/s'})
  return seen


def test_both_sides_take_turns_and_the_ratio_is_of_this_tree(driven):
  found = earlier.measure('old', 'pm_pairs_per_s', 'S', asked(), [0])
  assert [call[0] for call in driven] == [earlier.ROOT, 'old']
  row = earlier.row_of('pm_pairs_per_s', 'S', None, found)
  assert row['ratio'] == row['low'] == row['high'] == row['best_ratio'] == 2.0
  assert row['now'] == 64.0 and row['earlier'] == 32.0
  assert (row['commit'], row['earlier_commit']) == ('new', 'old')


def test_a_smaller_processor_has_no_microbatches_of_this_one(
  driven, monkeypatch
):
  monkeypatch.setenv('XLA_FLAGS', '--one')
  earlier.measure('old', 'pm_pairs_per_s', 'S', asked(isa='AVX2'), [0])
  wanted = {'XLA_FLAGS': '--one --xla_cpu_max_isa=AVX2'}
  assert all(more == wanted for _, _, more in driven)
  assert driven[0][1][-2:] == ['--default', '1']
  assert '--default' not in driven[1][1]  # an earlier commit has no such flag


OLD = """
from benchmarks.peers import driver
args = driver.parse_args(metric='')
seconds = driver.time_calls(lambda: None, args.rounds, args.warmups)
driver.report(args.metric, 'old', 64, seconds)
"""


def test_a_driver_of_before_learns_to_wait_for_its_turns(tmp_path):
  package = tmp_path / 'benchmarks' / 'peers'
  package.mkdir(parents=True)
  for path in (package.parent, package):
    (path / '__init__.py').touch()
  shapes = earlier.ROOT / 'benchmarks' / 'shapes.py'
  (package.parent / 'shapes.py').write_text(shapes.read_text())
  (package / 'driver.py').write_text('def time_calls(): ...\n')
  (package / 'ours.py').write_text(OLD)
  for _ in range(2):  # a second metric finds it taught
    assert earlier.teach(tmp_path)
  flags = ['--rounds', '2', '--metric', 'm']
  with contextlib.ExitStack() as stack:
    player = turns.Player(
      sys.executable, 'ours', flags, {0}, stack, root=tmp_path
    )
    assert player.turn()['seconds'] < 1 and player.turn()
    told = json.loads(player.until('{"told"'))['told']
  assert told == {'metric': 'm', 'version': 'old', 'samples': 64}
  assert not earlier.teach(earlier.ROOT)


def test_other_work_is_no_ratio():
  found = {
    'now': reports(earlier.ROOT, 'pm_pairs_per_s'),
    'earlier': reports('old', 'pm_pairs_per_s', 32),
  }
  with pytest.raises(ValueError, match=r'not the same work: \[32, 64\]'):
    earlier.row_of('pm_pairs_per_s', 'S', None, found)


def test_a_commit_is_checked_out_and_gone_afterwards():
  head = subprocess.run(
    ['git', 'rev-parse', 'HEAD'],
    cwd=earlier.ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()
  with earlier.tree_of(head) as path:
    assert (path / 'benchmarks' / 'earlier.py').parent.is_dir()
  assert not path.exists()
  with pytest.raises(ValueError, match='--commit=nowhere: wanted one of'):
    with earlier.tree_of('nowhere'):
      pass


def test_an_unknown_commit_is_one_line(capsys):
  with pytest.raises(SystemExit):
    earlier.main(['--commit', 'nowhere'])
  assert 'error: --commit=nowhere: wanted one of' in capsys.readouterr().err


def test_rows_are_kept_and_make_a_table(driven, tmp_path):
  file = tmp_path / 'rows.json'
  argv = ['--commit', 'HEAD', '--shapes', 'S', '--rounds', '6']
  rows = earlier.main([*argv, '--json', str(file)])
  assert json.loads(file.read_text()) == rows
  assert '| 64 | 32 | **2.00** [2.00, 2.00] | 2.00 |' in earlier_table(rows)
  assert 'new beside old.' in earlier_table(rows)
