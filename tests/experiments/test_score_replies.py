"""Replies scored by several PMs: rows of scored and of best_of_n."""

import json
import types

import numpy as np
import pandas as pd
import pytest

from experiments import score_replies as script
from experiments.shared import best_of_n_tables, replies, sources, workers
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.train import about
from rlhf_jax.types import Rollout

KINDS = ['helpful', 'harmless', 'helpful', 'harmless']


def test_a_row_has_mean_median_and_share_below_zero():
  score_PN = np.array([[1.0, 3.0], [-1.0, -3.0], [0.0, 8.0], [5.0, -1.0]])
  rows = script.scored_rows(score_PN, KINDS, {'pm': 'x'})
  found = {row['subset']: row for row in rows}
  assert found['all']['mean'] == pytest.approx(score_PN.mean())
  assert found['helpful']['median'] == 2.0
  assert found['harmless']['negative'] == 0.75
  assert found['harmless']['se'] == pytest.approx(2.0)  # means -2 and 2
  assert found['helpful']['n_prompts'] == found['helpful']['n_replies'] == 2


def test_n_stops_where_two_choices_no_longer_differ():
  assert best_of_n_tables.sizes_of(3) == []
  assert best_of_n_tables.sizes_of(16) == [2, 4, 8]
  assert best_of_n_tables.sizes_of(10**6)[-1] == 1024


def test_workers_prefer_the_better_reply_and_half_of_equal_ones():
  """Of two replies that come equally often, each loses what the other wins."""
  world = make_world('classic')
  gold_PN = np.array([[0.0, 1.0] * 4, [2.0] * 8, [0.0] * 8, [1.0] * 8])
  scores = workers.with_workers({'gold': gold_PN}, KINDS, world)
  worker_PN = scores['worker']
  assert worker_PN[1:] == pytest.approx(0.5)
  assert worker_PN[0, 0] < 0.5 < worker_PN[0, 1]
  assert worker_PN[0].mean() == pytest.approx(0.5)
  assert workers.with_workers({'gold': gold_PN}, KINDS, None) == {
    'gold': gold_PN
  }


def test_the_table_of_margins_is_the_workers_probability():
  """At 1,000 margins between those of the table, of both kinds."""
  world, rng = make_world('classic'), np.random.default_rng(0)
  gold_PN = rng.uniform(-9, 9, (2, 500))
  margin_N = rng.uniform(-18, 18, 1000)
  for kind in ('helpful', 'harmless'):
    found_N = workers.preference_of(world, kind, gold_PN)(margin_N)
    wanted_N = sources.win_probability(
      world, [kind] * 1000, margin_N, np.zeros((1000, 1))
    )
    # The step h is 36 / 4,000; h^2 / 8 times the largest curvature, 2 or so.
    np.testing.assert_allclose(found_N, wanted_N, atol=1e-4)


def run_at(path, stage, holds, config):
  path.mkdir()
  row = {'role': 'x', 'seed': 0, 'size': '3K', 'n_params': 9, 'half': 'a'}
  kind = about.About(stage, holds)._asdict()
  content = kind | {'config': config, 'row': row}
  (path / 'config.json').write_text(json.dumps(content))
  return str(path)


@pytest.fixture
def opened(monkeypatch, tmp_path):
  """A policy whose replies are numbers; one PM likes large ones, one not."""
  rng = np.random.default_rng(0)
  pairs = {'train_subset': 'mix', 'pairs': 5, 'comparisons_dir': ''}
  pms = [
    run_at(tmp_path / name, 'train_pm', 'preference model', pairs)
    for name in ('likes', 'dislikes')
  ]
  own = {'data': {'source': 'simulated'}, 'world': {'name': 'classic'}}
  own |= {'max_prompt': 4, 'max_reply': 8, 'dtype': 'float32'}
  policy = run_at(tmp_path / 'lm', 'train_lm', 'language model', own)

  def sampled(base, sample, prompts, longest, count, progress):
    texts, kinds = zip(*prompts, strict=True)
    for _ in range(count):
      value = rng.standard_normal((len(prompts), 1))
      yield replies.Batch(Rollout(value, *[None] * 4), texts, kinds)

  signs = iter((1, -1))
  number = lambda rollout: rollout.tokens_BT[:, 0]

  def scorer(base, pm):
    sign = next(signs)
    return lambda rollout: sign * number(rollout)

  prompts = [(str(i), kind) for i, kind in enumerate(KINDS)]
  base = types.SimpleNamespace(tokenizer=None, functions=0, size='')
  for module, name, value in (
    (script, 'open_base', lambda config: base),
    (script, 'open_scorer', lambda path: None),
    (script.replies, 'sampled', sampled),
    (script.policies, 'scorer_of', scorer),
    (script.policies, 'sampling_of', lambda *_: None),
    (script.policies, 'sampler', lambda *_: None),
    (script.comparisons, 'read_prompts', lambda *_: {'test': prompts}),
    (script.policies, 'decoded', lambda _, value, *__: value[:, 0]),
    (script.sources, 'gold_scores', lambda *args: args[-1]),
  ):
    monkeypatch.setattr(module, name, value)
  return {'policy_dir': policy, 'pm_dirs': pms, 'role': 'best', 'seed': 7}


def test_what_a_pm_chooses_is_measured_in_gold(opened, tmp_path):
  """By the PM that likes what gold likes it gains, by the other it loses."""
  script.run(opened | {'prompts': 4, 'replies': 64}, tmp_path / 'out')
  scored = pd.read_csv(tmp_path / 'out' / 'scored.csv')
  best = pd.read_csv(tmp_path / 'out' / 'best_of_n.csv')
  tables = load().tables
  assert set(scored) == set(tables['scored'].columns)
  assert set(best) == set(tables['best_of_n'].columns)
  assert set(best['scorer']) == {'train', 'gold', 'worker'}
  assert set(best['chooser']) == {'train'} and best['n'].max() == 32
  gold = best[(best['scorer'] == 'gold') & (best['subset'] == 'all')]
  likes, dislikes = gold['gain'].iloc[:5], gold['gain'].iloc[5:]
  assert (likes > 0.3).all() and (dislikes < -0.3).all()
  own = best[(best['scorer'] == 'train') & (best['subset'] == 'all')]
  np.testing.assert_allclose(own['gain'].iloc[:5], likes)
  mean = scored[scored['subset'] == 'all'].groupby('pm')['mean'].sum()
  assert mean['3K mix 5'] == pytest.approx(
    0, abs=1e-9
  )  # one is minus the other
  assert about.read(tmp_path / 'out').row['seed'] == 7
  script.run(
    opened | {'prompts': 4, 'replies': 64}, tmp_path / 'out'
  )  # is done


def test_two_replies_make_no_best_of_n(opened, tmp_path):
  script.run(opened | {'prompts': 4, 'replies': 2}, tmp_path / 'out')
  assert not (tmp_path / 'out' / 'best_of_n.csv').exists()


def test_no_pm_or_one_reply_is_one_line(opened, tmp_path):
  asked = opened | {'prompts': 4, 'replies': 2}
  with pytest.raises(ValueError, match='pm_dirs is empty'):
    script.run(asked | {'pm_dirs': []}, tmp_path / 'out')
  with pytest.raises(ValueError, match='replies=1: wanted 2 or more'):
    script.run(asked | {'replies': 1}, tmp_path / 'out')
