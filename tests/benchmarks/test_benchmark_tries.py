"""Options of the compiler, tried: what is compared, and what is kept."""

import json

import numpy as np
import pytest

from benchmarks import tries


def test_equal_results_are_told_from_others():
  tokens, score = np.array([1, 2]), np.array([0.5, np.nan], np.float32)
  say = lambda a, b: tries.difference([tokens, score], [a, b])
  assert say(tokens, score) == 'same numbers'
  assert say(tokens, score + np.float32(0.25)) != 'same numbers'
  assert say(tokens[::-1], score) == 'other tokens'
  near = tries.difference([score[:1]], [score[:1] + np.float32(0.25)])
  assert near == 'differ by 2.5e-01 at most'


def test_calls_are_timed_in_turns_and_the_first_round_is_not_counted():
  order = []
  calls = {name: lambda name=name: order.append(name) for name in 'ab'}
  found = tries.seconds_of(calls, 3)
  assert ''.join(order) == 'abababab'
  assert {name: len(rows) for name, rows in found.items()} == {'a': 3, 'b': 3}
  assert all(wall >= 0 and cpu >= 0 for wall, cpu in found['a'])


def test_new_rows_replace_those_of_the_same_try(tmp_path):
  file = tmp_path / 'tried.json'
  file.write_text(json.dumps([{'try': 'a', 'x': 1}, {'try': 'b', 'x': 2}]))
  rows = tries.merged(file, [{'try': 'b', 'x': 3}, {'try': 'c', 'x': 4}])
  assert [(row['try'], row['x']) for row in rows] == [
    ('a', 1),
    ('b', 3),
    ('c', 4),
  ]
  assert tries.merged(None, rows) == rows


@pytest.mark.slow  # compiles a program four times
def test_a_try_has_its_ratios_and_an_unknown_option_none():
  from benchmarks.shapes import SHAPES

  subject = tries.SUBJECTS['decode'](SHAPES['tiny'])
  found = tries.tried(subject, ('xla_cpu_enable_fast_min_max', True), 2)
  assert found['cpu_ratio'] > 0 and found['wall_ratio'] > 0
  assert tries.tried(subject, ('xla_cpu_no_such_option', True), 2) is None
