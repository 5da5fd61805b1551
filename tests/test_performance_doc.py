"""Tables of docs/ say what benchmarks/results/ holds."""

import json

import pytest

from scripts import make_performance_doc as doc


@pytest.mark.parametrize('page', doc.PAGES, ids=lambda path: path.name)
def test_a_page_is_what_the_results_say(page):
  assert doc.generate(page) == page.read_text(), (
    'run python -m scripts.make_performance_doc'
  )


def test_the_readme_has_the_range_of_all_processors():
  """Of every shape, to a tenth."""
  rows = [
    row
    for file in doc.RESULTS.glob('*/peers.json')
    for row in json.loads(file.read_text())
  ]
  text = ' '.join((doc.ROOT / 'README.md').read_text().split())
  ends = {}
  for shape in ('S', '197K'):
    ratios = [row['ratio'] for row in rows if row['shape'] == shape]
    ends[shape] = f'{min(ratios):.1f} to {max(ratios):.1f} times'
  assert len(rows) >= 24
  assert f'{ends["S"]} as fast with models of 4.7M parameters' in text
  assert f'and {ends["197K"]} with 197K' in text


def test_what_no_file_holds_is_not_measured(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  page = doc.generate(doc.PAGE)
  assert page.count(doc.NOTHING) >= 7
  assert '**' + '2.00**' not in page
  assert doc.NOTHING in doc.generate(doc.NUMERICS)


def peer_row(**changes):
  row = {'shape': 'S', 'metric': 'pm_pairs_per_s', 'unit': 'pairs/s'}
  row |= {'peer': 'Peer', 'version': '1.2', 'ours': 3.0, 'theirs': 1.5}
  row |= {'ratio': 2.0, 'device': 'cpu-2-cores', 'commit': 'abc'}
  return row | changes


def test_a_ratio_stands_beside_both_rates(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  (tmp_path / 'cpu-2-cores').mkdir()
  rows = [peer_row()]
  (tmp_path / 'cpu-2-cores' / 'peers.json').write_text(json.dumps(rows))
  page = doc.generate(doc.PAGE)
  assert '| S | pairs/s | Peer 1.2 | 3 | 1.5 | **2.00** |' in page
  assert 'Commit abc.' in page


def test_two_metrics_of_one_unit_and_one_peer_read_differently():
  rows = [peer_row(), peer_row(metric='pm_pairs_per_s_read_whole')]
  table = doc.peers_table(rows)
  assert '| S | pairs/s | Peer 1.2 |' in table
  assert '| S | pairs/s, read whole | Peer 1.2 |' in table


def test_memory_is_in_megabytes_by_length_and_chunk():
  sizes = {(8, '4'): 5e6, (8, 'dense'): 1e7, (16, '4'): 6e6, (16, 'dense'): 2e7}
  rows = [
    {
      'shape': f'3K V=64 B=2 T={T} chunk={chunk}',
      'metric': 'lm_step_temp_bytes',
      'value': value,
      'commit': 'abc',
    }
    for (T, chunk), value in sizes.items()
  ]
  assert doc.memory_table(rows).splitlines() == [
    '| program | T | 4 | dense |',
    '| --- | --- | --- | --- |',
    '| lm_step | 8 | 5 | 10 |',
    '| lm_step | 16 | 6 | 20 |',
    '| lm_step | 16 less 8 | 1 | 10 |',
    '',
    '3K V=64 B=2, commit abc.',
  ]


def test_data_rates_are_those_of_the_median_round():
  row = {'shape': 'S', 'metric': 'encode_pairs_per_s', 'unit': 'pairs/s'}
  rows = [row | {'value': 2e4}, row | {'value': 3e4}]
  rows[1]['metric'] += '_best'
  table = doc.data_table(rows)
  assert '| S | encode_pairs_per_s | 20,000 pairs/s |' in table
  assert '_best' not in table


def test_a_gpu_row_shows_what_was_reached(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  (tmp_path / 'nvidia-h200').mkdir()
  row = {'shape': '810M', 'metric': 'share_of_products_rate', 'value': 0.5}
  (tmp_path / 'nvidia-h200' / 'pm_step.json').write_text(json.dumps([row]))
  table = doc.gpu_table()
  assert '| pm_step, 810M | .45 of the matmul rate | 0.5 |' in table
  assert table.count(doc.NOTHING) == 1
