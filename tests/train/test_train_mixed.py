"""A second batch whose loss is added to that of a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture

from rlhf_jax.losses import masked
from rlhf_jax.train import objectives, ppo, ppo_update
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_lm_step, make_pm_step
from rlhf_jax.types import LMBatch, MixedBatch, PairBatch, PMHyper

RNG, COEF = jax.random.key(0), 0.7
TX = make_optimiser(max_grad_norm=0)


def texts(rows=8, seed=5):
  rng = np.random.default_rng(seed)
  return LMBatch(
    tokens_BT=np.int32(rng.integers(0, fixture.V, (rows, 7))),
    length_B=np.int32(rng.integers(2, 8, rows)),
    loss_start_B=np.zeros(rows, np.int32),
  )


def pairs(rows=8):
  rng = np.random.default_rng(1)
  tokens = lambda: np.int32(rng.integers(0, fixture.V, (rows, 5)))
  length = lambda: np.int32(rng.integers(1, 6, rows))
  return PairBatch(tokens(), length(), tokens(), length())


def both_params():
  """A table for the language model and a worth of each token."""
  table = fixture.bigram_params(0)['policy']
  return table | {'worth_V': jnp.linspace(-1.0, 1.0, fixture.V)}


def first_moment(state):
  """The gradient that Adam saw first, over 1 - b1."""
  return jax.tree.map(lambda m: m / 0.1, state.opt_state[0].mu)


LANGUAGE = objectives.language_objective(fixture.bigram_logits, microbatches=4)


def test_a_step_descends_the_weighted_sum_of_both_losses():
  """Batches of unequal sizes, in microbatches of their own."""
  params, text = both_params(), texts(12)
  language = LANGUAGE
  step = jax.jit(
    make_pm_step(fixture.count_score, TX, microbatches=2, mixed=language)
  )
  state, metrics = step(
    init_state(params, TX),
    MixedBatch(pairs(), text),
    RNG,
    PMHyper(0.1, mixed_coef=COEF),
  )
  pm = objectives.preference_objective(fixture.count_score)

  def total(params):
    first, second = (
      objective.loss_fn(params, batch)[0]
      for objective, batch in ((pm, pairs()), (language, text))
    )
    return first + COEF * second, (first, second)

  expected, (first, second) = jax.jit(jax.grad(total, has_aux=True))(params)
  fixture.assert_close(first_moment(state), expected, rtol=1e-4, atol=1e-6)
  for name in params:
    assert float(jnp.abs(expected[name]).max()) > 1e-2
  assert float(metrics['loss']) == pytest.approx(float(first), rel=1e-5)
  assert float(metrics['mixed_loss']) == pytest.approx(float(second), rel=1e-5)
  assert 'accuracy' in metrics


def test_the_language_loss_of_better_sides_trains_the_trunk_beside_the_pairs():
  """Askell et al. 2021: L = L_pairs + mu L_language, good side (checklist 31).

  Scores and next tokens are read off one table, the trunk of both.
  """

  def score_fn(params, tokens_BT, length_B):
    real_BT = jnp.arange(tokens_BT.shape[1])[None] < length_B[:, None]
    return (params['table_VV'][tokens_BT].mean(2) * real_BT).sum(1)

  batch, params = pairs(), fixture.bigram_params(0)['policy']
  better = LMBatch(*batch[:2], np.zeros(8, np.int32))
  step = jax.jit(make_pm_step(score_fn, TX, mixed=LANGUAGE))
  state, metrics = step(
    init_state(params, TX),
    MixedBatch(batch, better),
    RNG,
    PMHyper(0.1, mixed_coef=COEF),
  )
  logp_BTV = jax.nn.log_softmax(params['table_VV'])[better.tokens_BT]
  nats = [
    -logp_BTV[b, t, better.tokens_BT[b, t + 1]]
    for b, length in enumerate(better.length_B)
    for t in range(length - 1)
  ]
  assert float(metrics['mixed_loss']) == pytest.approx(np.mean(nats), rel=1e-5)
  both = objectives.preference_objective(score_fn), LANGUAGE
  slopes = [
    jax.grad(lambda p, f=x.loss_fn, rows=rows: f(p, rows)[0])(params)
    for x, rows in zip(both, (batch, better), strict=True)
  ]
  expected = jax.tree.map(lambda g, other: g + COEF * other, *slopes)
  fixture.assert_close(first_moment(state), expected, rtol=1e-4, atol=1e-6)
  for slope in slopes:
    assert float(jnp.abs(slope['table_VV']).max()) > 1e-2


def test_with_a_weight_of_zero_a_step_is_the_step_without():
  params = fixture.bigram_params(0)['policy']
  states = []
  for mixed in (None, LANGUAGE):
    step = jax.jit(make_lm_step(fixture.bigram_logits, TX, mixed=mixed))
    batch = MixedBatch(texts(), texts(12, 9)) if mixed else texts()
    state, metrics = step(init_state(params, TX), batch, RNG, PMHyper(0.1))
    states.append((state, metrics['loss'], metrics['grad_norm']))
  fixture.assert_close(*states, rtol=1e-5, atol=1e-7)
  assert float(metrics['grad_norm']) > 1e-2


@pytest.mark.slow  # compiles four programs; one network is tested above
def test_each_network_over_a_base_gets_both_gradients():
  """Adapters: both losses are of what the base and they make."""
  base, params = both_params(), both_params()
  step = jax.jit(
    make_pm_step(
      fixture.count_score,
      TX,
      combine=lambda base, trained: jax.tree.map(jnp.add, base, trained),
      mixed=LANGUAGE,
    )
  )
  state, _ = step(
    init_state(params, TX),
    base,
    MixedBatch(pairs(), texts()),
    RNG,
    PMHyper(0.1, mixed_coef=COEF),
  )
  twice = jax.tree.map(lambda x: 2 * x, params)
  pm = objectives.preference_objective(fixture.count_score)
  expected = jax.grad(
    lambda p: pm.loss_fn(p, pairs())[0] + COEF * LANGUAGE.loss_fn(p, texts())[0]
  )(twice)
  fixture.assert_close(first_moment(state), expected, rtol=1e-4, atol=1e-6)


def joint(objective):
  return objective._replace(
    loss_fn=lambda params, batch: objective.loss_fn(params['policy'], batch)
  )


def experience_of(rollout, frozen, params):
  _, penalise, estimate, _ = fixture.bigram_pieces(TX)
  hyper = fixture.hyper()
  score_B = fixture.count_score(
    frozen.reward, rollout.tokens_BT, rollout.length_B
  )
  reward_BT, _ = penalise(frozen.ref, rollout, score_B, hyper)
  return estimate(params, rollout, reward_BT, hyper)


SEPARATE = ppo_update.separate(fixture.bigram_logits, fixture.bigram_value)


def update_of(mixed, **options):
  sizes = {'passes': 1, 'minibatch_size': 8} | options
  return jax.jit(ppo_update.make_ppo_update(SEPARATE, TX, **sizes, mixed=mixed))


@pytest.mark.slow  # compiles PPO
def test_a_ppo_update_descends_its_loss_and_that_of_the_second_batch(
  rollout, frozen
):
  """The gradient of Ouyang et al. 2022, equation 2 (checklist 75)."""
  params, text = fixture.bigram_params(0), texts(12)
  experience = experience_of(rollout, frozen, params)
  hyper = fixture.hyper(0.1, mixed_coef=COEF)
  state, metrics = update_of(joint(LANGUAGE))(
    init_state(params, TX), experience, RNG, hyper, mixed_batch=text
  )
  mask_BT = fixture.mask_of(rollout)
  whitened_BT = masked.masked_whiten(experience.advantage_BT, mask_BT)
  part = experience._replace(advantage_BT=whitened_BT)
  loss = ppo_update.make_ppo_loss(SEPARATE, hyper)

  def total(params):
    second = LANGUAGE.loss_fn(params['policy'], text)[0]
    return loss(params, part)[0] + COEF * second

  expected = jax.jit(jax.grad(total))(params)
  fixture.assert_close(first_moment(state), expected, rtol=1e-4, atol=1e-6)
  without = jax.jit(jax.grad(lambda p: loss(p, part)[0]))(params)
  gap = expected['policy']['table_VV'] - without['policy']['table_VV']
  assert float(jnp.abs(gap).max()) > 1e-2
  second = LANGUAGE.loss_fn(params['policy'], text)[0]
  assert float(metrics['mixed_loss'][0]) == pytest.approx(
    float(second), rel=1e-5
  )


@pytest.mark.slow  # compiles PPO
def test_every_minibatch_takes_the_next_rows_of_the_second_batch(
  rollout, frozen
):
  """Each row once an iteration; sizes that do not fit are an error."""
  params, text = fixture.bigram_params(0), texts(12)
  experience = experience_of(rollout, frozen, params)
  objective = objectives.language_objective(fixture.bigram_logits)
  update = update_of(joint(objective), passes=2, minibatch_size=4)
  hyper = fixture.hyper(0.0, mixed_coef=COEF)  # nothing moves
  _, metrics = update(
    init_state(params, TX), experience, RNG, hyper, mixed_batch=text
  )
  loss = lambda *rows: objective.loss_fn(params['policy'], LMBatch(*rows))[0]
  expected = [
    float(loss(*(x[i : i + 3] for x in text))) for i in range(0, 12, 3)
  ]
  assert len(set(expected)) == 4
  np.testing.assert_allclose(metrics['mixed_loss'], expected, rtol=1e-5)
  with pytest.raises(ValueError, match='10 rows cannot be cut into 4 equal'):
    update(
      init_state(params, TX), experience, RNG, hyper, mixed_batch=texts(10)
    )


@pytest.mark.parametrize('alone', ['a batch', 'an Objective'])
def test_a_second_batch_without_its_loss_is_an_error_and_so_is_its_loss_alone(
  rollout, frozen, alone
):
  params = fixture.bigram_params(0)
  experience = experience_of(rollout, frozen, params)
  mixed, text = (
    (None, texts(4)) if alone == 'a batch' else (joint(LANGUAGE), None)
  )
  with pytest.raises(ValueError, match=f'got {alone} alone'):
    update_of(mixed)(
      init_state(params, TX), experience, RNG, fixture.hyper(), mixed_batch=text
    )


@pytest.mark.slow  # compiles PPO
def test_an_iteration_with_a_weight_of_zero_is_the_one_without(frozen):
  """The texts come with the prompts; the pieces are those of before."""
  params = fixture.bigram_params(0)
  collect, penalise, estimate, _ = fixture.bigram_pieces(TX)
  reward = lambda params, tokens_BT, _, length_B: fixture.count_score(
    params, tokens_BT, length_B
  )
  results = []
  for mixed in (None, joint(LANGUAGE._replace(microbatches=1))):
    update = ppo_update.make_ppo_update(
      SEPARATE, TX, passes=2, minibatch_size=4, mixed=mixed
    )
    iteration = jax.jit(
      ppo.make_ppo_iteration(collect, reward, penalise, estimate, update)
    )
    prompts = fixture.PROMPTS
    batch = MixedBatch(prompts, texts(4)) if mixed else prompts
    state, metrics = iteration(
      init_state(params, TX), frozen, batch, RNG, fixture.hyper(0.1)
    )
    results.append((state.params, metrics['grad_norm']))
  fixture.assert_close(*results, rtol=1e-4, atol=1e-6)
  assert float(metrics['mixed_loss']) > 0.5
