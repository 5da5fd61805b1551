"""The checks on hand-made pairs of the mixture PM."""

import math

import pandas as pd
import pytest

from rlhf_jax.analysis import checks
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small


def pairs(right, longer, seed=0, p_label=math.nan, n=10, role='mixture'):
  """n pairs: `right` are ranked as labelled, `longer` chosen ones longer."""
  return small.table(
    'pm_pairs',
    [
      {
        'seed': seed,
        'role': role,
        'schedule': 'decay',
        'score_chosen': 1.0 if i < right else -1.0,
        'words_chosen': 9 if i < longer else 3,
        'words_rejected': 6,
        'p_label': p_label,
      }
      for i in range(n)
    ],
  )


def tables(*frames):
  return {'pm_pairs': pd.concat(frames, ignore_index=True)}


def study(rights, longer=5, **more):
  return tables(
    *(pairs(r, longer, seed, **more) for seed, r in enumerate(rights))
  )


def test_the_pm_against_the_rule_that_the_longer_reply_wins():
  found = checks.length(study([7, 8, 9]))
  assert found['measured']['accuracy'] == pytest.approx(0.8)
  assert found['measured']['longer_wins'] == pytest.approx(0.5)
  assert found['measured']['accuracy_minus_longer'] == pytest.approx(0.3)
  assert found['ci'] == pytest.approx(small.interval([0.2, 0.3, 0.4]))
  assert (found['seeds'], found['verdict']) == (3, 'pass')
  assert found['note'] == 'PMs of role mixture'


@pytest.mark.parametrize(
  ('rights', 'longer', 'verdict'),
  [
    ([5, 5, 5], 8, 'fail'),  # worse than the rule
    ([5, 6, 7], 5, 'inconclusive'),  # a mean of 10 points, not clear of 0
  ],
)
def test_a_pm_that_is_not_better_than_length_does_not_pass(
  rights, longer, verdict
):
  assert checks.length(study(rights, longer))['verdict'] == verdict


def test_two_points_over_the_rule_are_too_few():
  """.52 against .50 in every seed: clear of 0, short of 3 points."""
  frames = [pairs(52, 50, seed, n=100) for seed in small.SEEDS]
  assert checks.length(tables(*frames))['verdict'] == 'fail'
  frames = [pairs(54, 50, seed, n=100) for seed in small.SEEDS]
  assert checks.length(tables(*frames))['verdict'] == 'pass'


def test_the_correlation_of_score_and_length_by_hand():
  """Chosen replies score +-1 to 0 and have 9 or 3 words to 6: on a line."""
  same = checks.length(study([5], longer=5))['measured']
  assert same['score_length_correlation'] == pytest.approx(1)
  turned = study([5], longer=5)
  frame = turned['pm_pairs']
  frame['words_chosen'] = 12 - frame['words_chosen']
  found = checks.length(turned)['measured']['score_length_correlation']
  assert found == pytest.approx(-1)


def test_the_ceiling_and_the_share_of_it_that_is_reached():
  """p = .9: agreement (7 x .9 + 3 x .1) / 10 = .66, so .16 of .40."""
  found = checks.ceiling(study([7, 7, 7], p_label=0.9))
  assert found['measured'] == pytest.approx(
    {'ceiling': 0.9, 'accuracy': 0.66, 'share_of_range': 0.4}
  )
  assert found['ci'] == pytest.approx([0.9, 0.9])
  assert (found['verdict'], found['seeds']) == ('reported', 3)


def test_real_labels_have_no_ceiling():
  with pytest.raises(NotRunError, match='no known ceiling'):
    checks.ceiling(study([7, 7, 7]))


def test_the_helpful_pm_stands_in_where_there_is_no_mixture():
  found = checks.length(study([7, 8, 9], role='calibration'))
  assert found['note'] == 'PMs of role calibration'
  with pytest.raises(NotRunError, match='role=calibration'):
    checks.length(study([7, 8, 9], role='scaling'))
