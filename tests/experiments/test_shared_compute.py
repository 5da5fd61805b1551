"""FLOPs of training, by sums that are written out."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.shared import compute
from experiments.shared.models import rung_model
from rlhf_jax.models.cost import forward_flops

SMALL, LARGE = (rung_model(size, 300) for size in ('3K', '13K'))
PPO = {'trained': 'all', 'max_prompt': 6, 'max_reply': 4, 'passes': 2}
PPO |= {'iterations': 5, 'batch_size': 8}


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
  policy = forward_flops(SMALL.config, 10, True, 4)
  value = forward_flops(SMALL.config, 10, False, 4)
  judge = forward_flops(LARGE.config, 11, False, 1)
  # Sampled once; scored under policy, pi_0, value network and judge; learned
  # twice, with three passes each.
  each = policy + 2 * policy + value + judge + 6 * policy + 6 * value
  found = compute.of_ppo(PPO, SMALL, LARGE)
  assert found == {'flops': pytest.approx(40 * each)}
  noise = compute.of_ppo(PPO, SMALL, None)
  assert found['flops'] - noise['flops'] == pytest.approx(40 * judge)
  assert compute.of_ppo(PPO | {'trained': 'adapters'}, SMALL, None) == {}


def ppo_flops(judge=LARGE, **changes):
  return compute.of_ppo(PPO | changes, SMALL, judge)['flops']


def test_each_member_of_an_ensemble_judges():
  judge = forward_flops(LARGE.config, 11, False, 1)
  more = ppo_flops(ensemble_dirs=('B', 'C')) - ppo_flops()
  assert more == pytest.approx(40 * 2 * judge)
  assert ppo_flops(None, ensemble_dirs=('B',)) == ppo_flops(None)  # noise


def test_without_a_critic_there_are_no_values():
  """Of each sample one scored value, and two passes of three."""
  value = forward_flops(SMALL.config, 10, False, 4)
  less = ppo_flops() - ppo_flops(algorithm='rloo')
  assert less == pytest.approx(40 * 7 * value)


def test_texts_that_are_mixed_in_are_learned_once():
  more = ppo_flops(ptx_coef=0.5, ptx_per_episode=2) - ppo_flops()
  assert more == pytest.approx(40 * 2 * 3 * forward_flops(SMALL.config, 10))
  assert ppo_flops(ptx_coef=0.0, ptx_per_episode=2) == ppo_flops()


def test_dpo_reads_both_sides_and_the_reference_reads_them_once():
  found = compute.of_dpo(PPO, SMALL, 30)
  one = forward_flops(SMALL.config, 10, True, 4)
  assert found == {'flops': pytest.approx(2 * (3 * 40 + 30) * one)}
  assert compute.of_dpo(PPO | {'trained': 'head'}, SMALL, 30) == {}


def test_the_flops_of_a_run_are_dealt_out_to_its_updates():
  told = []
  run = SimpleNamespace(works=lambda **work: told.append(work))
  compute.tell(run, {'flops': 60.0}, 12, 7)
  compute.tell(run, {}, 12, 7)  # where nothing is said of them
  assert told == [{'tokens': 7, 'flops': 5.0}, {'tokens': 7, 'flops': None}]


def test_tokens_of_ppo_are_those_of_the_replies_of_an_update():
  """Eight replies and four updates: two replies each, of 2.5 tokens."""
  told = []
  run = SimpleNamespace(works=lambda **work: told.append(work))
  compute.tell_ppo(run, PPO, {'flops': 40.0}, 4)
  (work,) = told
  assert work['flops'] == 2.0  # of 5 iterations of 4
  assert work['tokens']({'length': 2.5}) == 5.0
  assert work['tokens']({'loss': 1.0}) is None
