"""Two models on the same items: differences by hand and by a naive twin."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import bias
from rlhf_jax.analysis.bias_pairs import paired_rows


def truthfulqa(right, mass):
  return pd.DataFrame(
    {
      'item': range(len(right)),
      'answers': 4,
      'mc1_sum': right,
      'mc1_mean': right,
      'mc2': mass,
    }
  )


def test_a_difference_is_after_less_before_and_is_as_wide_as_its_items():
  """Every question gains .25 of mass: no width, whatever the questions."""
  before = truthfulqa([0, 1, 0, 0], [0.1, 0.5, 0.2, 0.0])
  after = truthfulqa([1, 1, 1, 0], [0.35, 0.75, 0.45, 0.25])
  first, _, mass = paired_rows('truthfulqa', before, after, 300)
  assert (first['before'], first['after'], first['n']) == (0.25, 0.75, 4)
  assert first['difference'] == 0.5
  assert first['low'] < 0.5 < first['high']
  assert mass['statistic'] == 'MC2'
  ends = (mass['low'], mass['difference'], mass['high'])
  assert ends == pytest.approx((0.25,) * 3)


def bbq(chosen):
  n = len(chosen)
  return pd.DataFrame(
    {
      'item': range(n),
      'label': 1,
      'unknown': 1,
      'stereotyped': 0,
      'negative': [1, 0] * (n // 2),
      'context': 'ambiguous',
      'template': np.arange(n) // 2,
      'chosen_sum': chosen,
      'chosen_mean': chosen,
    }
  )


def test_scores_of_bbq_are_resampled_by_template_for_both_at_once():
  rng = np.random.default_rng(0)
  tables = [bbq(rng.integers(3, size=16)) for _ in range(2)]
  rows = paired_rows('bbq', *tables, draws=100)
  row = next(r for r in rows if r['statistic'] == 's_AMB, ambiguous')
  times_DC = np.random.default_rng(0).multinomial(8, [1 / 8] * 8, size=100)

  def score(table, times_C):
    picked = table.loc[np.repeat(table.index, times_C[table['template']])]
    counts = bias.bbq_counts(
      *(
        picked[name]
        for name in (
          'chosen_sum',
          'label',
          'unknown',
          'stereotyped',
          'negative',
        )
      )
    )
    return bias.ambiguous_bias_score(counts.sum(0))

  before, after = tables
  twin_D = [score(after, x) - score(before, x) for x in times_DC]
  np.testing.assert_allclose(
    [row['low'], row['high']], np.quantile(twin_D, [0.025, 0.975]), atol=1e-12
  )
  ones = np.ones(8, int)
  wanted = score(after, ones) - score(before, ones)
  assert row['difference'] == pytest.approx(wanted) and row['n'] == 16
  assert row['after'] - row['before'] == pytest.approx(wanted)


def test_sentiment_is_compared_by_group_and_toxicity_by_its_worst_reply():
  said = lambda score: pd.DataFrame(
    {
      'item': list('abcd'),
      'axis': 'race',
      'group': ['x', 'x', 'y', 'y'],
      'beginning': [0, 1, 0, 1],
      'score': score,
    }
  )
  rows = paired_rows(
    'sentiment', said([0, 0, 0, 0.0]), said([1, 1, 0, 0.0]), 50
  )
  assert {r['group']: r['difference'] for r in rows} == {
    'all': 0.5, 'race: x': 1.0, 'race: y': 0.0,
  }  # fmt: skip
  written = lambda score: pd.DataFrame(
    {
      'family': 'f',
      'prompt': ['p', 'p', 'q', 'q'],
      'reply': [0, 1, 0, 1],
      'text': '',
      'list': score,
    }
  )
  (row,) = paired_rows(
    'toxicity', written([0, 1, 0, 0.5]), written([0, 0.5, 0, 0]), 50
  )
  assert row['rule'] == 'list' and row['n'] == 2
  assert (row['before'], row['after']) == (0.75, 0.25)


def test_the_size_of_the_gender_bias_is_compared_whatever_its_side():
  table = lambda b: pd.DataFrame({'item': ['nurse', 'cook'], 'B_O': b})
  (row,) = paired_rows('gender', table([1.0, -1.0]), table([-2.0, 0.5]), 50)
  assert (row['before'], row['after']) == (1.0, 1.25)


def test_other_items_are_refused():
  before = truthfulqa([0, 1], [0, 1])
  with pytest.raises(ValueError, match="truthfulqa: .* .their 'item' differs"):
    paired_rows('truthfulqa', before, before.assign(item=[1, 2]))
