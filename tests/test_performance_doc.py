"""docs/performance.md says what benchmarks/results/ holds."""

import json

from scripts import make_performance_doc as doc


def test_the_page_is_what_the_results_say():
  page = doc.PAGE.read_text()
  assert doc.generate(page) == page, (
    'run python -m scripts.make_performance_doc'
  )


def test_what_no_file_holds_is_not_measured(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  page = doc.generate(doc.PAGE.read_text())
  assert page.count(doc.NOTHING) >= 7
  assert '**' + '2.00**' not in page


def test_a_ratio_stands_beside_both_rates(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  (tmp_path / 'cpu-2-cores').mkdir()
  row = {'shape': 'S', 'metric': 'pm_pairs_per_s', 'unit': 'pairs/s'}
  row |= {'peer': 'Peer', 'version': '1.2', 'ours': 3.0, 'theirs': 1.5}
  row |= {'ratio': 2.0, 'device': 'cpu-2-cores', 'commit': 'abc'}
  (tmp_path / 'cpu-2-cores' / 'peers.json').write_text(json.dumps([row]))
  page = doc.generate(doc.PAGE.read_text())
  assert '| S | pairs/s | Peer 1.2 | 3 | 1.5 | **2.00** |' in page
  assert 'Commit abc.' in page


def test_a_gpu_row_shows_what_was_reached(monkeypatch, tmp_path):
  monkeypatch.setattr(doc, 'RESULTS', tmp_path)
  (tmp_path / 'nvidia-h200').mkdir()
  row = {'shape': '810M', 'metric': 'share_of_products_rate', 'value': 0.5}
  (tmp_path / 'nvidia-h200' / 'pm_step.json').write_text(json.dumps([row]))
  table = doc.gpu_table()
  assert '| pm_step, 810M | .45 of the matmul rate | 0.5 |' in table
  assert table.count(doc.NOTHING) == 1
