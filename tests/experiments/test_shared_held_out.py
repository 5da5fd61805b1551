"""Held-out prompts of a policy: which, under which keys, and what is kept."""

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import (
  measuring,
  policies,
)
from rlhf_jax.crowd import workers

FOUND = [
  (tiny.prompt(f'what is {i} plus 3?'), ('helpful', 'harmless')[i % 2])
  for i in range(6)
]
CONFIG = {
  'eval_prompts': 4,
  'eval_batch': 2,
  'max_prompt': 40,
  'pi0_samples': 3,
  'seed': 5,
  'data': {'source': 'simulated'},
  'world': {'seed': 0},
}


class Evaluate:
  """Stands for the compiled evaluation: replies tell their row's name."""

  def __init__(self):
    self.calls = []

  def __call__(self, trained, ref, weights, prompts, rng):
    key = jax.random.key_data(rng).tolist()
    self.calls.append((trained, ref, weights, prompts, key))
    words, rows = tiny.words(), zip(*prompts, strict=True)
    texts = []
    for ids, length, row in rows:
      said = words.encode(f' it is {row}.') + [words.eos_id]
      texts.append(ids[:length].tolist() + said)
    length_B = np.array([len(ids) for ids in texts])
    tokens_BT = np.zeros((len(texts), 64), np.int32)
    for out, ids in zip(tokens_BT, texts, strict=True):
      out[: len(ids)] = ids
    return {
      'score_0': prompts.row_B + 0.5,
      'score_1': prompts.row_B - 0.5,
      'tokens': tokens_BT,
      'prompt_length': prompts.length_B,
      'total_length': length_B,
    }


def held_out(found=FOUND, **changes):
  scorers = policies.Scorers((), ('train weights', 'test weights'), '13K')
  evaluate = Evaluate()
  held = measuring.HeldOut(
    CONFIG | changes, tiny.base(), scorers, evaluate, found
  )
  return held, evaluate


def test_every_seed_is_measured_on_the_same_prompts():
  order = np.random.default_rng(0).permutation(6)[:4]
  wanted = [FOUND[i] for i in order]
  assert wanted != FOUND[:4]
  for seed in (5, 6):
    held, _ = held_out(seed=seed)
    assert list(zip(held.texts, held.kinds, strict=True)) == wanted
    assert held.pm_size == '13K'


def test_prompts_are_asked_again_where_there_are_too_few():
  held, _ = held_out(eval_prompts=10, eval_batch=5, found=FOUND[:4])
  order = np.random.default_rng(0).permutation(4)
  wanted = [FOUND[order[i % 4]] for i in range(10)]
  assert list(zip(held.texts, held.kinds, strict=True)) == wanted
  out = held.measure('policy', 0)
  assert out['score_0'].tolist() == [i + 0.5 for i in range(10)]


def test_a_measurement_names_its_rows_and_batches_them():
  held, evaluate = held_out()
  out = held.measure('policy', 2, row_offset=100)
  names = [call[3].row_B.tolist() for call in evaluate.calls]
  assert names == [[100, 101], [102, 103]]
  assert all(call[0] == 'policy' for call in evaluate.calls)
  assert all(call[1] is tiny.base().params for call in evaluate.calls)
  weights = [call[2] for call in evaluate.calls]
  assert weights == [('train weights', 'test weights')] * 2
  assert out['score_0'].tolist() == [100.5, 101.5, 102.5, 103.5]
  assert out['replies'] == [f' it is {i}.' for i in range(100, 104)]


def key_of(**changes):
  iteration = changes.pop('iteration', 0)
  held, evaluate = held_out(**changes)
  held.measure('policy', iteration)
  (key,) = {tuple(call[4]) for call in evaluate.calls}
  return key


def test_replies_are_drawn_by_seed_and_iteration():
  keys = {
    (seed, i): key_of(seed=seed, iteration=i) for seed in (5, 6) for i in (0, 1)
  }
  assert len(set(keys.values())) == 4
  assert key_of(seed=6, iteration=1) == keys[6, 1]


def test_no_key_is_one_of_the_training_rollouts():
  """Those are fold_in(fold_in(key(seed), 0), step): see make_ppo_iteration."""
  data = lambda key: tuple(jax.random.key_data(key).tolist())
  training = set()
  for seed in (5, 5000):
    rng = jax.random.key(seed)
    training |= {data(rng), data(jax.random.fold_in(rng, 1))}
    sampling = jax.random.fold_in(rng, 0)
    training |= {data(jax.random.fold_in(sampling, i)) for i in range(20)}
    training |= {data(jax.random.fold_in(rng, i)) for i in range(20)}
  for seed in (5, 5000):
    for iteration in (0, 1, 19):
      assert key_of(seed=seed, iteration=iteration) not in training


def test_gold_is_that_of_each_reply_to_its_own_prompt():
  """Of 2 plus 3 the reply of row 5 is right, that of row 8 is not."""
  held, _ = held_out(eval_prompts=6, pi0_samples=1)
  out = held.measure('policy', 0)
  wanted = [
    workers.score_reply(held.world, text, reply, kind)
    for text, reply, kind in zip(
      held.texts, out['replies'], held.kinds, strict=True
    )
  ]
  np.testing.assert_array_equal(out['gold'], wanted)
  place = held.texts.index(FOUND[2][0])  # 2 plus 3
  gold = lambda said: held.measure('policy', 0, said - place)['gold'][place]
  assert gold(5) - gold(8) > 1  # most of correctness_weight, 2.4


def test_real_prompts_have_no_gold():
  held, _ = held_out(data={'source': 'hh'})
  assert held.world is None
  assert np.isnan(held.measure('policy', 0)['gold']).all()


def test_pi_0_answers_every_prompt_several_times_with_names_of_its_own():
  """Rows 4 to 15; rows 0 to 3 are the replies of the first checkpoint."""
  held, evaluate = held_out()
  pi0 = held.measure_pi0('start')
  assert set(pi0) == {'score_0', 'score_1', 'gold'}
  assert pi0['score_0'].tolist() == [
    [4.5, 8.5, 12.5],
    [5.5, 9.5, 13.5],
    [6.5, 10.5, 14.5],
    [7.5, 11.5, 15.5],
  ]
  assert (pi0['score_0'] - pi0['score_1'] == 1).all()
  assert len({tuple(call[4]) for call in evaluate.calls}) == 1
  assert all(call[0] == 'start' for call in evaluate.calls)


def test_a_batch_that_does_not_divide_the_prompts_is_an_error():
  held, _ = held_out(eval_batch=3)
  with pytest.raises(ValueError, match='4 prompts are no multiple'):
    held.measure('policy', 0)
