"""FLOPs of training, by sums that are written out."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.shared import compute
from experiments.shared.models import rung_model
from rlhf_jax.models.cost import forward_flops

SMALL, LARGE = (rung_model(size, 300) for size in ('3K', '13K'))


def test_a_language_model_takes_three_passes_over_its_tokens():
  found = compute.lm_flops(SMALL, 1000, 9.6)
  assert found == pytest.approx(3 * 100 * forward_flops(SMALL.config, 10))
  assert compute.lm_flops(SMALL, 2000, 9.6) == pytest.approx(2 * found)


def test_a_preference_model_reads_the_prompt_of_a_pair_once():
  """7 and 9 tokens of which 4 are shared: 12; and 12 again."""
  columns = {'chosen_length_N': [7, 8], 'rejected_length_N': [9, 8]}
  columns |= {'prompt_length_N': [4, 4]}
  pairs = SimpleNamespace(**{k: np.array(v) for k, v in columns.items()})
  found = compute.of_pm({'trained': 'all'}, SMALL, pairs, 50)
  one = forward_flops(SMALL.config, 12, logits=False)
  assert found == {'flops': pytest.approx(150 * one)}
  assert compute.of_pm({'trained': 'head'}, SMALL, pairs, 50) == {}


def test_ppo_samples_scores_and_learns():
  config = {'trained': 'all', 'max_prompt': 6, 'max_reply': 4, 'passes': 2}
  config |= {'iterations': 5, 'batch_size': 8}
  policy = forward_flops(SMALL.config, 10, True, 4)
  value = forward_flops(SMALL.config, 10, False, 4)
  judge = forward_flops(LARGE.config, 11, False, 1)
  # Sampled once; scored under policy, pi_0, value network and judge; learned
  # twice, with three passes each.
  each = policy + 2 * policy + value + judge + 6 * policy + 6 * value
  found = compute.of_ppo(config, SMALL, LARGE)
  assert found == {'flops': pytest.approx(40 * each)}
  noise = compute.of_ppo(config, SMALL, None)
  assert found['flops'] - noise['flops'] == pytest.approx(40 * judge)
  assert compute.of_ppo(config | {'trained': 'adapters'}, SMALL, None) == {}
