import pytest

from scripts.mutants import page, probes, rules
from scripts.mutants.importers import importing_tests
from scripts.mutants.run import FAR

SOURCE = '''\
"""Module."""

OUTSIDE = 1 + 1


def f(x, y, config):
  """1 + 1 in a docstring stays."""
  if x < y and not config['first']:
    raise ValueError(f'{x + y}')
  z = g(x, y, scale=2.0)
  return z[0] - config['second'] * z.real ** z.imag
'''


def changed(rule):
  """Lines that a rule makes of SOURCE."""
  lines = set()
  for name, function, edit in rules.edits_of(SOURCE):
    if name == rule:
      assert function == 'f'
      text = rules.apply(SOURCE, edit).splitlines()
      lines.add(text[edit.line - 1].strip())
  return lines


@pytest.mark.parametrize(
  ('rule', 'lines'),
  [
    (
      'operator',
      {
        "if x <= y and not config['first']:",
        "if x < y or not config['first']:",
        "if x < y and (config['first']):",
        "return z[0] + config['second'] * z.real ** z.imag",
        "return z[0] - config['second'] / z.real ** z.imag",
        "return z[0] - config['second'] * z.real * z.imag",
      },
    ),
    ('index', {"return z[1] - config['second'] * z.real ** z.imag"}),
    (
      'key',
      {
        "if x < y and not config['second']:",
        "return z[0] - config['first'] * z.real ** z.imag",
        "return z[0] - config['second'] * z.imag ** z.imag",
        "return z[0] - config['second'] * z.real ** z.real",
      },
    ),
    ('arguments', {'z = g(y, x, scale=2.0)'}),
    ('keyword', {'z = g(x, y, )'}),
    ('constant', {'z = g(x, y, scale=4.0)'}),
  ],
)
def test_a_rule_makes_these_lines_and_no_others(rule, lines):
  assert changed(rule) == lines


def test_an_edit_that_changes_nothing_is_none():
  assert rules.apply('x = (1)\n', rules.Edit(1, 4, 7, '1')) is None
  assert rules.apply('x = (1)\n', rules.Edit(1, 4, 7, '(')) is None


def test_an_edit_is_found_where_its_line_has_moved_to():
  edit = rules.Edit(11, 11, 12, '1')
  line = "return z[0] - config['second'] * z.real ** z.imag"
  assert rules.find(SOURCE, edit, line) == edit._replace(line=11)
  assert rules.find('\n\n' + SOURCE, edit, line).line == 13
  assert rules.find(SOURCE, edit, 'return 0') is None


def test_the_nearest_tests_of_a_file_come_first():
  tests = importing_tests('rlhf_jax/losses/ppo.py')
  assert tests['tests/losses/test_losses_ppo.py'] == 1
  assert list(tests.values()) == sorted(tests.values())
  assert tests.get('tests/crowd/test_crowd_tables.py', 9) > FAR


PROBED = '''\
"""Module."""
import functools

def f(x):
  if x < 0:
    y = 1
  elif x < 1:
    y = 2; y += 1
  else:
    @functools.cache
    def g():
      return (
        3
      )
    y = g()
  return y

READY = f(2)
'''


@pytest.mark.parametrize(
  ('line', 'x', 'reached'),
  [
    (6, -1, True),
    (6, 0, False),
    (7, -1, True),  # an `elif` is reached where its `if` is
    (8, 0, True),
    (8, 1, False),
    (10, 1, True),
    (13, 1, True),
    (13, 0, False),
    (16, 0, True),
  ],
)
def test_a_probe_tells_who_comes_to_a_line(
  line, x, reached, tmp_path, monkeypatch
):
  monkeypatch.setenv('PYTEST_CURRENT_TEST', 'tests/a.py::b (call)')
  source = probes.probed(PROBED, {4: line, 5: 5}, str(tmp_path))
  names = {}
  exec(source, names)
  assert names['READY'] == 3
  for file in tmp_path.iterdir():
    file.unlink()
  exec(source.replace('f(2)', f'f({x})'), names)
  seen = {file.name: file.read_text() for file in tmp_path.iterdir()}
  want = ['4', '5'] if reached else ['5']
  assert seen == dict.fromkeys(want, 'tests/a.py::b (call)\n')
  assert [names['f'](x) for x in (-1, 0, 1)] == [1, 3, 3]


def test_the_page_counts_equivalents_apart_and_names_what_is_not_caught():
  defect = {'path': 'a.py', 'rule': 'key', 'before': 'x', 'after': 'y'}
  defects = [defect | {'id': f'train-{i}'} for i in range(4)]
  row = {'caught': True, 'by': 't', 'seconds': 1.0, 'commit': 'abc'}
  caught = (True, False, False, None)
  results = {f'train-{i}': row | {'caught': x} for i, x in enumerate(caught)}
  reasons = {'train-1': {'equivalent': True, 'why': 'x is y'}}
  text = page.page(defects, results, reasons)
  assert 'Planted: 3 of 4 (1 lines are there no more). Equiv' in text
  assert 'Equivalent (the program does the same): 1.' in text
  assert '**1 of 2 (50.0 %)**' in text
  assert '| train-1 | a.py | `x` to `y` | equivalent: x is y |' in text
  assert '| train-2 | a.py | `x` to `y` | a test is missing |' in text
