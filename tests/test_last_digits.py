"""Outputs of two processors: what counts as the same, and what does not."""

import pytest

from tests.last_digits import differing


@pytest.mark.parametrize(
  ('one', 'other'),
  [
    ('x 1.234567 y', 'x 1.234568 y'),
    ('1.5', '1.500000'),
    ('M 0.5 1.000001', 'M 0.5 1.000000'),
    ('url(#p0123456789) p0123456789', 'url(#pabcdefabcd) pabcdefabcd'),
    ([{'a': 'p 0.1234'}, 'b'], [{'a': 'p 0.1235'}, 'b']),
    ('1e-07', '1.000001e-07'),
  ],
)
def test_a_last_digit_and_a_digest_may_differ(one, other):
  assert differing(one, other) == differing(other, one) == ''


@pytest.mark.parametrize(
  ('one', 'other', 'line'),
  [
    ('x 1.234567', 'x 1.234569', '1.234567 is not 1.234569'),
    ('5 seeds', '6 seeds', '5 is not 6'),
    ('.12', '.13', '12 is not 13'),
    ('0.12', '0.13', '0.12 is not 0.13'),
    ('pass 0.5', 'fail 0.5', 'pass 0.5 is not fail 0.5'),
    ('1 2', '1 2 3', '1 2 is not 1 2 3'),
    (['a'], ['a', 'b'], "['a'] is not ['a', 'b']"),
    ({'a': '1'}, {'b': '1'}, "['a'] are not ['b']"),
    ('a', ['a'], "a is not ['a']"),
    ('p0123456789 p0123456789', 'p0123456789 pabcdefabcd', '0 is not 1'),
    ('1e-07', '2e-07', '1e-07 is not 2e-07'),
  ],
)
def test_anything_else_may_not(one, other, line):
  assert differing(one, other) == line
