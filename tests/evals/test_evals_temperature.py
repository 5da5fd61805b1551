"""A policy is evaluated at the temperature of its sampler."""

import evals_bigram as bigram
import jax
import numpy as np
import pytest

from rlhf_jax.evals.policy import evaluate_prompts, make_policy_evaluation
from rlhf_jax.rollout.generate import SamplingConfig, make_collect

RNG = jax.random.key(0)
TABLE_VV, REF_VV = bigram.random_table(1), bigram.random_table(2)
WARM = SamplingConfig(4, (5,), 0, temperature=0.7)
WEIGHTS = (np.arange(6.0),)


def evaluated(prompts, params=TABLE_VV, scored_as=WARM, base=None, **options):
  """Numbers of replies that are drawn at 0.7."""
  generate = make_collect(
    WARM, prefill_fn=bigram.prefill_fn, decode_fn=bigram.decode_fn
  )
  evaluate = make_policy_evaluation(
    generate, bigram.logits_fn, (bigram.reward,), scored_as, **options
  )
  return evaluate_prompts(
    jax.jit(evaluate), params, REF_VV, WEIGHTS, prompts, RNG, 6, base
  )


def entropy_by_loop(out, temperature):
  """Nats per token of each reply, in float64."""
  z_VV = TABLE_VV.astype(float) / temperature
  p_VV = np.exp(z_VV) / np.exp(z_VV).sum(1, keepdims=True)
  entropy_V = -(p_VV * np.log(p_VV)).sum(1)
  rows = zip(
    out['tokens'], out['prompt_length'], out['total_length'], strict=True
  )
  return np.array([entropy_V[x[p - 1 : n - 1]].mean() for x, p, n in rows])


def test_replies_drawn_at_0_7_are_evaluated_at_0_7(prompts):
  """Entropy by a loop; one at temperature 1 would be seen."""
  out = evaluated(prompts)
  np.testing.assert_allclose(
    out['entropy'], entropy_by_loop(out, 0.7), rtol=1e-5
  )
  planted = evaluated(prompts, scored_as=WARM._replace(temperature=1.0))
  gap = planted['entropy'] - entropy_by_loop(planted, 0.7)
  assert np.abs(gap).min() > 0.05
  assert np.abs(planted['kl'] - out['kl']).max() > 0.05


def test_adapters_are_evaluated_merged_into_their_base(prompts):
  base = np.float32(2.0) * TABLE_VV
  found = evaluated(
    prompts, 0.5, base=base, merge=lambda base, scale: scale * base, parts=2
  )
  expected = evaluated(prompts, parts=2)
  for name in expected:
    np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize('cut', [{'top_k': 3}, {'top_p': 0.9}])
def test_a_sampler_that_cuts_its_distribution_is_not_evaluated(prompts, cut):
  with pytest.raises(ValueError, match='cannot be scored'):
    evaluated(prompts, scored_as=WARM._replace(**cut))
