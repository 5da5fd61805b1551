"""Scores of a preference model: in buckets, and kept for what it is now."""

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import pm_scoring
from experiments.shared.models import Network
from experiments.shared.trained import way_of


def test_scores_in_buckets_are_those_of_each_text_alone():
  """A preference model of random weights; float32 sums differ in order."""
  base, functions = tiny.base(), tiny.base().functions
  trained = base.params | {'head': {'kernel': np.ones(12, np.float32)}}
  trained['head']['bias'] = np.float32(0)
  pm = Network(
    functions, (), trained, way_of({'trained': 'all'}), tiny.words(), '3K'
  )
  words = [('draw cats', 'yes'), ('draw dogs and owls', 'no! ' * 9), ('a', 'b')]
  texts = [pm_scoring.plain_text(*text) for text in words]
  assert texts[0] == ('\n\nHuman: draw cats\n\nAssistant:', ' yes')
  found = pm_scoring.scores(pm, texts, 40, 24, tokens=64)
  alone = [
    pm_scoring.scores(pm, [text], 40, 24, tokens=64)[0] for text in texts
  ]
  np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)
  assert len(set(np.round(found, 3))) == 3


def test_a_preference_model_that_was_trained_again_is_asked_again(
  tmp_path, monkeypatch
):
  """Its scores are of its files, wherever they lie."""
  run = tmp_path / 'pm'
  run.mkdir()
  monkeypatch.setattr(pm_scoring, 'scores', lambda pm, texts, *_: [pm])

  def scorer(workdir):
    opened = lambda path: float((path / 'weights').read_text())
    return pm_scoring.of_run(opened, 'pm', run, tmp_path / workdir, (8, 4)).kept

  with pytest.raises(FileNotFoundError):  # not trained yet: it holds nobody
    scorer('out')([('p', 'r')])
  (run / 'weights').write_text('1')
  assert scorer('out')([('p', 'r')]) == [1]
  (run / 'done.json').write_text('{}')
  assert scorer('out')([('p', 'r')]) == [1]
  (run / 'weights').write_text('2')
  with pytest.raises(ValueError, match='results of revision .* give another'):
    scorer('out')
  assert scorer('new')([('p', 'r')]) == [2]
