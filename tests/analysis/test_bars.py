"""Intervals against bounds, drawn: where things lie, and what is said."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from rlhf_jax.analysis import bars

MIDDLE = {'mean': 2.0, 'ci': [1.0, 3.0], 'side': '>', 'bound': 0.0}


def parts(contrast):
  """(box from, box to, edges, interval, mean) of the drawing."""
  root = ElementTree.fromstring(bars.bar(contrast))
  kind = lambda name: [e for e in root if e.get('class') == name]
  [box], [whisker], [disc] = map(kind, ('allowed', 'whisker', 'mean'))
  left = float(box.get('x'))
  edges = [float(e.get('d')[1:].split()[0]) for e in kind('edge')]
  ends = re.match(r'M([\d.]+) .*H([\d.]+)', whisker.get('d')).groups()
  right = left + float(box.get('width'))
  return left, right, edges, [*map(float, ends)], float(disc.get('cx'))


@pytest.mark.parametrize('side', ['>', '>=', '<', '<='])
def test_the_box_is_on_the_side_that_is_wanted(side):
  left, right, [edge], (low, high), mean = parts(MIDDLE | {'side': side})
  assert edge < low < mean < high
  assert mean == pytest.approx((low + high) / 2, abs=0.1)
  wanted = (edge, bars.WIDTH) if side[0] == '>' else (0, edge)
  assert (left, right) == pytest.approx(wanted, abs=0.1)


def test_inside_is_a_box_between_two_edges():
  contrast = MIDDLE | {'side': 'inside', 'bound': [1.5, 2.5]}
  left, right, edges, (low, high), _ = parts(contrast)
  assert low < left < right < high
  assert edges == pytest.approx([left, right], abs=0.1)


def test_the_title_says_it_in_words():
  drawn = bars.bar(MIDDLE)
  title = ElementTree.fromstring(drawn)[0].text
  assert title == '2, 95 % interval 1 to 3; wanted > 0'


@pytest.mark.parametrize(
  'change',
  [{'ci': None}, {'ci': [None, 1.0]}, {'mean': None}, {'bound': None}],
)
def test_what_has_no_interval_or_no_bound_has_no_bar(change):
  assert bars.bar(MIDDLE | change) == ''
  assert bars.bar({}) == ''


def test_equal_numbers_are_drawn_too():
  contrast = {'mean': 1.0, 'ci': [1.0, 1.0], 'side': '>=', 'bound': 1.0}
  left, _, [edge], ends, mean = parts(contrast)
  assert left == edge == mean == ends[0] == ends[1]
