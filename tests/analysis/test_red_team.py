"""Attack success on replies that are written down."""

import numpy as np
import pytest

from rlhf_jax.analysis import red_team


def test_rates_and_paired_differences_by_hand():
  """Both policies fail on the same prompts: the difference has no spread."""
  bad_PN = np.repeat([[1, 1], [0, 1], [0, 0], [1, 0]] * 10, 1, axis=0)
  success = {'gold': {'helpful': bad_PN, 'mixed': bad_PN - 0.25}}
  rates, differences = red_team.rows_of(success)
  helpful, mixed = rates
  assert helpful['success'] == 0.5 and helpful['prompts'] == 40
  assert helpful['replies'] == 2
  assert 0.35 < helpful['low'] < 0.45 < 0.55 < helpful['high'] < 0.65
  assert mixed['success'] == 0.25
  (one,) = differences
  assert (one['policy'], one['less']) == ('helpful', 'mixed')
  assert one['low'] == one['high'] == one['difference'] == 0.25


def test_replies_to_one_prompt_are_no_units_of_their_own():
  """One prompt with a thousand replies says nothing of the spread."""
  rng = np.random.default_rng(0)
  prompt_P = rng.random(50) < 0.5
  few = red_team.over_prompts(prompt_P[:, None])
  many = red_team.over_prompts(np.repeat(prompt_P[:, None], 1000, 1))
  assert few == many and few.n == 50
  # A binomial of 50 has the error .07; 1.96 of them on each side.
  assert many.high - many.low == pytest.approx(3.92 * 0.0707, rel=0.15)
