"""Prompts that are answered several times."""

import numpy as np

from rlhf_jax.rollout.repeat import grouped, repeat_prompts
from rlhf_jax.types import Prompts


def test_every_reply_to_a_prompt_is_sampled_by_a_number_of_its_own():
  prompts = Prompts(np.int32([[4, 0], [0, 5]]), np.int32([1, 2]), np.arange(2))
  repeated = repeat_prompts(prompts, 3)
  np.testing.assert_array_equal(repeated.row_B, np.arange(6))
  np.testing.assert_array_equal(repeated.length_B, [1, 1, 1, 2, 2, 2])
  np.testing.assert_array_equal(repeated.tokens_BP[2:4], [[4, 0], [0, 5]])


def test_a_sampler_of_groups_is_asked_as_often_as_the_group_is_large():
  """None: it is the sampler itself."""
  prompts = Prompts(np.int32([[5], [6]]), np.int32([1, 1]), np.int32([3, 4]))
  collect = lambda params, asked, rng: (params, asked.row_B.tolist(), rng)
  assert grouped(collect, None) is collect
  assert grouped(collect, 2)('p', prompts, 'r') == ('p', [6, 7, 8, 9], 'r')
