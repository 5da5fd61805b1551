"""Many workers at once at a page that is killed: no choice lost, none double.

`python -m tests.apps.stress` is the same with 1,000 choices and ten kills.
"""

import pytest

from tests.apps import stress

pytest.importorskip('starlette', reason='the extra "feedback" is not installed')

# Processes that start, and some 400 requests: half a minute.
pytestmark = pytest.mark.slow


def test_every_choice_of_a_page_that_is_killed_is_one_row(tmp_path):
  workers, each, kills = 10, 6, 3
  path, done, killed = stress.played(tmp_path, workers, each, kills)
  assert done == workers * each and len(killed) == kills
  found = stress.check(path, tmp_path, workers, each)
  assert stress.is_as_wanted(done, killed, found, workers, each, kills)
  short = found | {'choices': 59, 'uids': 59, 'workers short': 1}
  assert not stress.is_as_wanted(59, killed, short, workers, each, kills)
  assert 0 < found.pop('pairs') <= 60
  assert found == {
    'choices': 60,
    'turns with two': 0,
    'uids': 60,
    'workers short': 0,
    'equal': True,
  }
