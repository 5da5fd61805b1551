"""Length rules and what is compared with them, by hand."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import length_rules
from rlhf_jax.analysis.claims import real_pairs
from tests.analysis.crossed_tables import scored, tables


def by_hand():
  """Helpful: longer wins 2 of 3; harmless: shorter wins both."""
  return pd.DataFrame(
    {
      'prompt_id': list('abcde'),
      'subset': ['helpful'] * 3 + ['harmless'] * 2,
      'words_chosen': [20, 30, 10, 5, 10],
      'words_rejected': [10, 10, 30, 10, 11],
      'score_chosen': [1.0, 0.0, 2.0, 1.0, 0.0],
      'score_rejected': [0.0, 1.0, 0.0, 1.0, 1.0],
      'p_label': np.nan,
    }
  )


def test_the_rule_is_the_better_one_of_each_kind():
  pairs = by_hand()
  np.testing.assert_array_equal(length_rules.longer(pairs), [1, 1, 0, 0, 0])
  rule = length_rules.better_rule(pairs)
  np.testing.assert_array_equal(rule, [1, 1, 0, 1, 1])


def test_columns_by_hand():
  """Right 1, 0, 1, a half, 0; only the last pair is of about equal length."""
  found = length_rules.columns(by_hand())
  nan = np.nan
  wanted = {
    'accuracy': [1, 0, 1, 0.5, 0],
    'rule': [1, 1, 0, 1, 1],
    'over_rule': [0, -1, 1, -0.5, -1],
    'matched': [nan, nan, nan, nan, 0],
    'where_longer': [1, 0, nan, nan, nan],
    'where_shorter': [nan, nan, 1, 0.5, 0],
  }
  for name, values in wanted.items():
    np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_row_holds_their_means_and_length_alone_is_balanced_at_a_half():
  row = length_rules.row_of(by_hand())
  assert row['accuracy'] == pytest.approx(0.5)
  assert row['rule'] == pytest.approx(0.8)
  assert row['over_rule'] == pytest.approx(-0.3)
  assert row['balanced'] == pytest.approx((0.5 + 0.5) / 2)
  assert (row['n_eval'], row['n_matched']) == (5, 1)
  pairs = scored(n=200).assign(p_label=np.nan)
  by_length = pairs.assign(
    score_chosen=pairs['words_chosen'], score_rejected=pairs['words_rejected']
  )
  assert length_rules.row_of(by_length)['balanced'] == 0.5


def test_rows_are_of_the_largest_heads_and_of_each_kind_there_is():
  few, many = scored(0.6).assign(pairs=50), scored(0.8).assign(pairs=900)
  found = tables(helpful=pd.concat([few, many]))['cross_pairs']
  rows = length_rules.rows(found)
  assert [(r['subset'], r['pairs']) for r in rows] == [
    ('mix', 900),
    ('helpful', 900),
  ]
  assert all(r['accuracy'] == pytest.approx(0.8) for r in rows)


def test_a_head_above_the_rule_of_each_kind_passes_and_one_below_does_not():
  def check(accuracy):
    kinds = ('helpful', 'harmless')
    both = [scored(accuracy, i, subset=k) for i, k in enumerate(kinds)]
    models = dict(zip(kinds, both, strict=True))
    models['conditional'] = pd.concat(both)
    return real_pairs.over_length_rules(tables(**models))

  good, bad = check(0.8), check(0.3)
  assert good['verdict'] == 'pass' and good['ci'][0] > 0
  assert bad['verdict'] == 'fail'
  assert {'helpful_rule', 'conditional_over_rule'} <= good['measured'].keys()
