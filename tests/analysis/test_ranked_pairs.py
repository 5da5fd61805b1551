"""Ways to score replies side by side: paired differences, ends, check."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import conversations, figures, ranked_pairs
from rlhf_jax.analysis.claims.real_imitation import ranking_over_likelihood
from rlhf_jax.analysis.drawings.real_imitation import LABELS, real_methods
from rlhf_jax.analysis.findings import NotHereError
from tests.analysis import loops

N = 60
LEVEL = {
  'ranked': 0.7,
  'binary': 0.65,
  'imitation': 0.5,
  'imitation_whole': 0.4,
  'longer': 0.6,
}


def pairs(name='oasst', **changes):
  """Rows of ranked_pairs; exactly so many are right, at random places."""
  found = pd.DataFrame(
    {
      'set': name,
      'ranking': np.arange(N) // 2,
      'prompt_id': [f'c{k // 4}' for k in range(N)],
      'better': 0,
      'worse': 1 + np.arange(N) % 2,
    }
  )
  for i, (method, accuracy) in enumerate((LEVEL | changes).items()):
    order = np.random.default_rng(i).permutation(N)
    found[method] = (order < round(accuracy * N)).astype(float)
  return found


def test_methods_are_compared_pair_by_pair_and_ends_are_loops_over_draws():
  given = pairs()
  rows = pd.DataFrame(ranked_pairs.rows(given)).set_index('method')
  assert tuple(rows.index) == ranked_pairs.METHODS
  assert rows['accuracy'].to_dict() == pytest.approx(LEVEL)
  assert (
    rows.loc['imitation', ['over_imitation', 'over_imitation_low']].eq(0).all()
  )
  counts = conversations.counts(given['prompt_id']).tolist()
  for column, other in (
    ('over_imitation', 'imitation'),
    ('over_longer', 'longer'),
  ):
    gap = (given['ranked'] - given[other]).tolist()
    drawn = [
      sum(n * x for n, x in zip(own, gap, strict=True)) / sum(own)
      for own in counts
    ]
    ends = list(np.quantile(drawn, [0.025, 0.975]))
    found = rows.loc['ranked']
    assert found[column] == pytest.approx(loops.mean(gap))
    assert [found[f'{column}_{x}'] for x in ('low', 'high')] == pytest.approx(
      ends
    )
  sizes = rows[['prompts', 'conversations', 'n_eval']].drop_duplicates()
  assert sizes.to_numpy().tolist() == [[30, 15, 60]]


def check(*sets):
  return ranking_over_likelihood({'ranked_pairs': pd.concat(sets)})


def test_the_check_wants_the_ranked_head_above_on_every_set():
  better = pairs('stackexchange', ranked=0.95)
  found = check(better, pairs('oasst', ranked=0.9))
  assert found['verdict'] == 'pass' and found['seeds'] == 1
  assert found['note'] == 'oasst_ranked decides'
  assert found['measured']['oasst_ranked'] == pytest.approx(0.4)
  assert check(better, pairs('oasst', ranked=0.1))['verdict'] == 'fail'
  same = pairs('oasst', ranked=0.5)
  assert check(better, same)['verdict'] == 'inconclusive'
  one = ranked_pairs.over_imitation(better, 'ranked')[0].interval
  rows = pd.DataFrame(ranked_pairs.rows(better)).set_index('method')
  ends = rows.loc['ranked', ['over_imitation_low', 'over_imitation_high']]
  assert [one.low, one.high] == ends.tolist()


def test_the_check_is_of_studies_with_such_sets_alone():
  with pytest.raises(NotHereError, match='no heads of real ranked sets'):
    ranking_over_likelihood({})


def test_a_bar_a_set_and_method_with_its_interval():
  both = pd.concat([pairs('oasst'), pairs('stackexchange', ranked=0.8)])
  rows = pd.DataFrame(ranked_pairs.rows(both)).assign(size='135M', n_params=1)
  tables = {'ranked_methods': rows}
  canvas = figures.Canvas(tables)
  real_methods(canvas, tables)
  (axis,) = canvas.figure.axes
  labels = [x.get_text() for x in axis.get_xticklabels()]
  assert labels == ['oasst', 'stackexchange']
  bars = {
    x.get_label(): [bar.get_height() for bar in x]
    for x in axis.containers
    if x.get_label() in LABELS.values()
  }
  assert bars[LABELS['ranked']] == pytest.approx([0.7, 0.8])
  assert bars[LABELS['imitation']] == pytest.approx([0.5, 0.5])
  assert len(bars) == len(LABELS)
