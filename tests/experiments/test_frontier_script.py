"""The frontier of a run: from pi_0's replies to its tables and lines."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from experiments import frontier as script
from rlhf_jax.analysis import frontier
from rlhf_jax.train import about


@pytest.fixture
def rl_run(tmp_path):
  """A finished policy whose gain is half the best one of unit normal scores."""
  path = tmp_path / 'rl'
  path.mkdir()
  row = {'role': 'linear', 'seed': 3, 'size': '3K', 'n_params': 9, 'half': 'a'}
  kind = about.About('train_ppo', 'policy')._asdict()
  content = kind | {'config': {'seed': 3}, 'row': row}
  (path / 'config.json').write_text(json.dumps(content))
  kl = np.array([0.0, 0.25, 1.0, 2.25])
  gain = 0.5 * np.sqrt(2 * kl)
  columns = {'kl': kl, 'train_pm': gain, 'test_pm': gain, 'gold': gain}
  pd.DataFrame(columns).to_csv(path / 'rl_curve.csv', index=False)
  return path


@pytest.fixture
def normal_scores(monkeypatch):
  rng = np.random.default_rng(0)
  score_PN = rng.standard_normal((32, 4096))
  score_PN -= score_PN.mean(1, keepdims=True)
  found = {'train': score_PN, 'test': score_PN}
  monkeypatch.setattr(script, 'sampled_scores', lambda *_: found)


def test_a_run_at_half_the_frontier_is_said_to_be(
  rl_run, normal_scores, tmp_path, capsys
):
  options = {'run': str(rl_run), 'workdir': str(tmp_path / 'out')}
  script.run(options | {'prompts': 32, 'replies': 4096})
  printed = capsys.readouterr().out
  assert 'at sqrt(KL): 50% at 0.5, 50% at 1, 50% at 1.5' in printed.replace(
    '49%', '50%'
  ).replace('51%', '50%')
  edge = pd.read_csv(tmp_path / 'out' / 'frontier.csv')
  columns = ['scorer', 'b', 'gain', 'kl', 'log_mgf', 'ess']
  assert list(edge) == columns and set(edge['scorer']) == {'train', 'test'}
  best = pd.read_csv(tmp_path / 'out' / 'best_of_n.csv')
  assert best['n'].max() == 128
  known = about.read(tmp_path / 'out')
  assert known.about.holds == 'table' and known.row['seed'] == 3


def test_what_is_no_finished_policy_is_refused(rl_run, tmp_path):
  options = {'run': str(rl_run), 'workdir': str(tmp_path / 'out')}
  with pytest.raises(ValueError, match='--replies: wanted 2 or more, got 1'):
    script.run(options | {'prompts': 2, 'replies': 1})
  (rl_run / 'rl_curve.csv').unlink()
  with pytest.raises(about.RunError, match='is not finished: no rl_curve.csv'):
    script.run(options | {'prompts': 2, 'replies': 2})
  content = json.loads((rl_run / 'config.json').read_text())
  content['holds'] = 'preference model'
  (rl_run / 'config.json').write_text(json.dumps(content))
  with pytest.raises(about.RunError, match='wanted the workdir of a finished'):
    script.run(options | {'prompts': 2, 'replies': 2})


def test_replies_of_a_batch_go_to_their_prompts(monkeypatch):
  """Scores that name prompt and reply come back as rows of prompts."""
  calls = []

  class HeldOut:
    def __init__(self, config, base, scorers, evaluate, found):
      self.rows = config['eval_prompts']
      assert len(found) == 3 and config['eval_batch'] == self.rows

    def measure(self, trained, iteration, row_offset):
      calls.append(row_offset)
      score = np.arange(self.rows) % 3 + row_offset / 1e6
      return dict.fromkeys(('score_0', 'score_1'), score) | {
        'gold': np.full(self.rows, math.nan)
      }

  for module, name, value in (
    (script, 'mesh_from', None),
    (script, 'open_base', None),
    (script, 'open_scorers', None),
    (script.policies, 'scorers_of', None),
    (script.policies, 'evaluation_of', None),
    (script.trained, 'way_of', None),
    (script.trained, 'policy', None),
    (
      script.comparisons,
      'read_prompts',
      {'test': [(str(i), 'helpful') for i in range(9)]},
    ),
  ):
    monkeypatch.setattr(module, name, lambda *_, v=value, **__: v)
  monkeypatch.setattr(script.policies, 'HeldOut', HeldOut)
  found = script.sampled_scores({'mesh': None}, 3, 100, range)
  assert set(found) == {'train', 'test'}  # without gold on real data
  rows = 85 * 3  # as often as 256 rows have room
  assert calls == [rows, 2 * rows]
  assert found['train'].shape == (3, 170)
  np.testing.assert_array_equal(np.floor(found['train'])[:, 0], [0, 1, 2])
  assert (np.floor(found['train']) == [[0], [1], [2]]).all()


def test_too_few_replies_are_one_line():
  with pytest.raises(ValueError, match='sample more of them'):
    frontier.curve(np.random.default_rng(0).standard_normal((2, 8)))
