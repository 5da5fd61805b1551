"""docs/scale.md says what docs/scale.json holds."""

import json

import pytest
from capacity_fixture import row_of, settings, verdicts

from experiments.capacity import tables
from experiments.shared import markdown
from rlhf_jax.models import ladder

CONFIG = settings()
EMPTY = '\n'.join(
  marker.format(name) for name in ('tpu', 'gpu') for marker in markdown.MARKERS
)


def test_the_page_is_what_the_rows_say():
  page = tables.PAGE.read_text()
  rows = json.loads(tables.ROWS.read_text())
  assert tables.generate(page, verdicts(rows, CONFIG), CONFIG) == page, (
    'run python -m experiments.plan --table --json=docs/scale.json'
  )


def test_flops_agree_wherever_they_are_tabled():
  """XLA's count within 5 % of the analytic one, of every row that is there."""
  rows = json.loads(tables.ROWS.read_text())
  for found in verdicts(rows, CONFIG):
    assert found['pm']['flops_agree'], found['rung']
    assert found['ppo']['flops_agree'], found['rung']


def test_a_table_a_topology_in_the_order_of_the_ladder():
  rows = [row_of(name) for name in ('52B', '13M')] + [row_of('13M', 'v5e:8x8')]
  page = tables.generate(EMPTY, verdicts(rows, CONFIG), CONFIG)
  assert page.index('### v5p:4x4x4') < page.index('| 13M | fsdp 64, model 1 |')
  assert page.index('| 13M |') < page.index('| 52B |')
  assert page.index('| 52B |') < page.index('### v5e:8x8')
  assert 'PM fits: 13M, 52B.' in page
  assert 'of processor time: 13M 16 s, 52B 16 s.' in page
  assert 'jax 1.2, libtpu 3.4.' in page
  assert 'Not compiled yet: 42M, 197M, 810M, 2.7B, 13B.' in page
  assert tables.generate(page, verdicts(rows, CONFIG), CONFIG) == page


def test_all_rungs_are_called_all():
  rows = [row_of(name) for name in ladder.PAPER]
  page = tables.generate(EMPTY, verdicts(rows, CONFIG), CONFIG)
  assert 'PM fits: all.' in page and 'PPO FLOPs agree: all.' in page
  assert 'Not compiled yet' not in page


def test_a_row_that_is_not_finished_waits():
  row = row_of('52B')
  del row['measured']['2']['iteration']
  found = verdicts([row, row_of('13M')], CONFIG)
  page = tables.generate(EMPTY, found, CONFIG)
  assert '| 13M |' in page
  assert 'Not compiled yet: 42M, 197M, 810M, 2.7B, 13B, 52B.' in page


def test_a_rung_without_room_keeps_its_line():
  row = row_of('52B')
  row['measured']['1']['pm_step'] = {'no_room': 'RESOURCE_EXHAUSTED'}
  found = verdicts([row, row_of('13M')], CONFIG)
  page = tables.generate(EMPTY, found, CONFIG)
  assert '| 52B | fsdp 64, model 1 | the compiler finds no room |' in page
  assert 'PM fits: 13M.' in page


def test_what_fits_on_gpus_is_said_in_words():
  lines = tables.gpu_table(CONFIG).splitlines()
  assert sum(line.startswith('| ') for line in lines) == 2 + len(ladder.PAPER)
  fits = {}
  for line in lines:
    if ' fits: ' in line:
      column, names = line.removeprefix('- ').removesuffix('.').split(' fits: ')
      fits[column] = list(ladder.PAPER) if names == 'all' else names.split(', ')
  assert list(fits) == ['1 GPU: PM', '1 GPU: PPO', '8 GPUs: PM', '8 GPUs: PPO']
  for names in fits.values():  # whatever fits, all that is smaller does
    assert names == list(ladder.PAPER)[: len(names)]
  assert len(fits['8 GPUs: PPO']) > len(fits['1 GPU: PPO'])


def test_a_page_without_markers_is_an_error():
  with pytest.raises(ValueError, match='has no <!-- table: gpu -->'):
    markdown.between_markers('text', 'gpu', 'table')


def test_an_end_that_stands_before_its_start_is_no_pair():
  start, end = (marker.format('gpu') for marker in markdown.MARKERS)
  with pytest.raises(ValueError, match='has no <!-- table: gpu -->'):
    markdown.between_markers(f'a {end} b {start} c', 'gpu', 'table')
  page = f'{end} before\n{start}\nold\n{end} after {end}\n'
  found = markdown.between_markers(page, 'gpu', 'new')
  assert found == f'{end} before\n{start}\nnew\n{end} after {end}\n'


def test_a_table_has_a_line_a_row_and_none_is_a_head_alone():
  lines = markdown.markdown(['a', 'b'], [['1', '2']]).splitlines()
  assert lines == ['| a | b |', '| --- | --- |', '| 1 | 2 |']
  assert markdown.markdown(['a'], []).splitlines() == ['| a |', '| --- |']
