"""Spaces of settings: what each way of making one gives, by hand."""

import math
import random

import pytest

from experiments.studies import spaces


def test_a_grid_is_every_combination_and_the_last_key_runs_fastest():
  assert spaces.grid({'seed': [0, 1], 'clip': [0.1, 0.2]}) == [
    {'seed': 0, 'clip': 0.1},
    {'seed': 0, 'clip': 0.2},
    {'seed': 1, 'clip': 0.1},
    {'seed': 1, 'clip': 0.2},
  ]
  assert spaces.grid({}) == [{}]


def test_zipped_axes_go_together():
  axes = {'size': ['3K', '13K'], 'rate': [1, 0.3]}
  assert spaces.zipped(axes) == [
    {'size': '3K', 'rate': 1},
    {'size': '13K', 'rate': 0.3},
  ]
  message = 'wanted as many values of each setting, but a has 2, b has 1'
  with pytest.raises(ValueError, match=message):
    spaces.zipped({'a': [1, 2], 'b': [1]})


def test_a_product_sets_a_key_once():
  both = spaces.product([{'a': 1}, {'a': 2}], [{'b': 3, 'c': 4}])
  assert both == [{'a': 1, 'b': 3, 'c': 4}, {'a': 2, 'b': 3, 'c': 4}]
  with pytest.raises(ValueError, match='^a is set twice in a product'):
    spaces.product([{'a': 1}], [{'b': 0, 'a': 2}])


def test_a_chain_has_every_point_once_in_order():
  one, two = [{'a': 1}, {'a': 2}], [{'a': 2}, {'b': 1}]
  assert spaces.chain(one, two) == [{'a': 1}, {'a': 2}, {'b': 1}]
  assert spaces.chain([{'a': 1}], [{'a': 1.0}]) == [{'a': 1}, {'a': 1.0}]


def test_draws_are_what_their_rules_say():
  """u of the key's own stream: low + (high - low) u, low (high / low)^u."""
  rules = {'rate': ('log_uniform', (0.01, 1.0)), 'clip': ('uniform', (1, 3))}
  rules['size'] = 'choices', ['3K', '13K', '42K']
  found = spaces.drawn(rules, 3, 7)
  streams = {key: random.Random(f'7/{key}') for key in rules}
  for point in found:
    u = {key: stream.random() for key, stream in streams.items()}
    assert math.isclose(point['rate'], 0.01 * 100 ** u['rate'])
    assert math.isclose(point['clip'], 1 + 2 * u['clip'])
    assert point['size'] == ('3K', '13K', '42K')[math.floor(3 * u['size'])]


def test_draws_stay_when_there_are_more_of_them_or_another_key():
  rule = {'a': ('uniform', (0, 1))}
  few, many = spaces.drawn(rule, 3, 0), spaces.drawn(rule, 5, 0)
  assert many[:3] == few and len({x['a'] for x in many}) == 5
  more = spaces.drawn({'b': ('choices', [1, 2]), **rule}, 3, 0)
  assert [x['a'] for x in more] == [x['a'] for x in few]
  assert spaces.drawn(rule, 3, 1) != few


@pytest.mark.parametrize(
  ('rule', 'message'),
  [
    (('normal', (0, 1)), 'a wants uniform.*got normal.0, 1.'),
    (('uniform', (0,)), 'a wants uniform'),
    (('uniform', (1, 1)), 'LOW below HIGH'),
    (('uniform', (False, True)), 'a wants uniform'),
    (('log_uniform', (0, 1)), 'log_uniform wants LOW above 0, got 0'),
    (('choices', ()), 'a wants uniform'),
  ],
)
def test_a_rule_that_is_wrong_is_named(rule, message):
  with pytest.raises(ValueError, match=message):
    spaces.drawn({'a': rule}, 1, 0)


def test_points_of_a_csv_are_its_lines(tmp_path):
  file = tmp_path / 'points.csv'
  file.write_text('seed,size,edges\n0,3K,"(1, 2)"\n\n1,,\n')
  assert spaces.from_file(file) == [
    {'seed': 0, 'size': '3K', 'edges': (1, 2)},
    {'seed': 1},
  ]


def test_points_of_json_lines_are_its_objects(tmp_path):
  file = tmp_path / 'points.jsonl'
  file.write_text('{"seed": 0, "size": "3K"}\n\n{"clip": 0.1}\n')
  points = [{'seed': 0, 'size': '3K'}, {'clip': 0.1}]
  assert spaces.from_file(file) == points
  assert spaces.read([f'list {file}']) == points


@pytest.mark.parametrize(
  ('name', 'text', 'message'),
  [
    ('a.csv', 'seed,size\n0\n', 'a.csv:2: wanted 2 cells, got 1'),
    ('a.csv', 'seed\n', 'a.csv has no points'),
    ('a.csv', '', 'a.csv has no points'),
    ('a.jsonl', '{"a": 1}\n{"a":', 'a.jsonl:2: not JSON'),
    ('a.jsonl', '[1]', 'a.jsonl:1: wanted an object, got .1.'),
    ('b.jsonl', None, 'cannot read .*b.jsonl'),
  ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(
  tmp_path, name, text, message
):
  if text is not None:
    (tmp_path / name).write_text(text)
  with pytest.raises(ValueError, match=message):
    spaces.from_file(tmp_path / name)


@pytest.mark.parametrize(
  ('text', 'values'),
  [
    ('0,1', [0, 1]),
    ('3K,2.7M', ['3K', '2.7M']),
    ('(0, 1),(2,)', [(0, 1), (2,)]),
    ("'a,b',c d", ['a,b', 'c d']),
    ('True,0.1,1e-3', [True, 0.1, 0.001]),
    ('67/33*3', ['67/33*3']),
  ],
)
def test_values_are_separated_by_commas_outside_of_brackets(text, values):
  assert spaces.values_of(text) == values


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    *((text, 'wanted VALUE,VALUE,... and got') for text in ('', '1,', ',1')),
    *((text, 'is left open in') for text in ('(1', "'a", '1))')),
  ],
)
def test_values_that_are_not_whole_are_an_error(text, message):
  with pytest.raises(ValueError, match=message):
    spaces.values_of(text)


def test_texts_are_a_chain_of_products():
  texts = ['zip a=1,2 b=3,4 x grid c=5,6', 'grid a=9', 'grid a=9']
  assert spaces.read(texts) == [
    {'a': 1, 'b': 3, 'c': 5},
    {'a': 1, 'b': 3, 'c': 6},
    {'a': 2, 'b': 4, 'c': 5},
    {'a': 2, 'b': 4, 'c': 6},
    {'a': 9},
  ]
  assert spaces.read([]) == [{}]


def test_a_text_of_draws_is_their_rules():
  [text] = ['random 4 2 a=log_uniform(0.1,10) b=choices(3K,13K)']
  rules = {'a': ('log_uniform', [0.1, 10]), 'b': ('choices', ['3K', '13K'])}
  assert spaces.read([text]) == spaces.drawn(rules, 4, 2)


def test_quoted_texts_stay_whole():
  assert spaces.read(["grid name='a b, c',d edges=(1,2),(3,)"]) == [
    {'name': name, 'edges': edges}
    for name in ('a b, c', 'd')
    for edges in ((1, 2), (3,))
  ]


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'wanted one of grid, zip, random, list, got nothing'),
    ('grid a=1 x', 'got nothing'),
    ('grod a=1', 'got grod'),
    ('grid', 'grid: wanted KEY=VALUE,VALUE,..., got nothing'),
    ('grid a', "got 'a'"),
    ('grid =1', "got '=1'"),
    ('grid a=1,', 'grid: a: wanted VALUE'),
    ('grid a=1 a=2', 'grid: a is given twice'),
    ('grid a=1 x zip a=2', 'a is set twice'),
    ('zip a=1,2 b=3', 'a has 2, b has 1'),
    ('random a=uniform(0,1)', 'random: wanted DRAWS SEED KEY=RULE'),
    ('random 3 0', 'random: wanted KEY=VALUE'),
    ('random 3 0 a=1', 'random: a wants uniform'),
    ('random 3 0 a=uniform(0,1),2', 'random: a wants uniform'),
    ('random 3 0 a=uniform(1,0)', 'LOW below HIGH'),
    ('list', 'list: wanted one file, got none'),
    ('list a b', 'list: wanted one file, got a b'),
  ],
)
def test_a_text_that_is_wrong_is_one_line(text, message):
  with pytest.raises(ValueError, match=message.replace('(', '.')) as found:
    spaces.read([text])
  assert len(str(found.value).splitlines()) == 1
  assert str(found.value).startswith(f'space {text!r}: ')
