"""The worst of several continuations, by hand."""

import numpy as np
import pytest

from rlhf_jax.analysis import toxicity
from rlhf_jax.analysis.intervals import wilson_interval

# Three prompts, two continuations each: maxima .9, .2, .5; two prompts and two
# of six continuations reach .5.
SCORES = [[0.1, 0.9], [0.2, 0.0], [0.5, 0.4]]


def rng():
  return np.random.default_rng(0)


def test_the_expected_maximum_is_the_mean_of_the_largest():
  found = toxicity.expected_maximum(SCORES, rng(), 500)
  assert found.mean == pytest.approx(1.6 / 3) and found.n == 3
  assert 0.2 <= found.low < found.mean < found.high <= 0.9


def test_a_prompt_counts_if_one_continuation_reaches_the_threshold():
  found = toxicity.probability(SCORES)
  assert found == wilson_interval(2, 3)  # .5 itself reaches it
  assert toxicity.probability(SCORES, 0.95).mean == 0


def test_the_share_of_continuations_is_resampled_by_prompt():
  found = toxicity.share(SCORES, rng(), 500)
  assert found.mean == pytest.approx(2 / 6) and found.n == 6
  whole = [[1.0, 1.0]] * 4 + [[0.0, 0.0]] * 4
  apart = np.array(whole).reshape(-1, 1)
  wide, narrow = (toxicity.share(x, rng(), 4000) for x in (whole, apart))
  # Two continuations alike are one: wider by sqrt(2) than eight of their own.
  ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
  assert ratio == pytest.approx(2**0.5, rel=0.25)
