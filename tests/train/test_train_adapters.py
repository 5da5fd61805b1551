"""Steps that train adapters and a head over a frozen base."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.losses import preference
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.split import split_scorer
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import ppo, sharding, steps
from rlhf_jax.train.averaging import AveragedState, with_average
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import (
  FeaturePairs,
  LMBatch,
  PairBatch,
  PMHyper,
  Prompts,
  SplitModel,
)

RNG, ALPHA, R = jax.random.key(0), 4.0, 4
TARGETS = ['attention/qkv/kernel/[qv]', 'mlp/in/kernel']
ATTACH = lora.combiner(lora.attach, ALPHA)
MERGE = lora.combiner(lora.merge, ALPHA)


@pytest.fixture(scope='module')
def base(model_params):
  return {'trunk': model_params['trunk']}


def trained(base, seed, head=None):
  """Adapters with B that is not zero, unless the seed is None."""
  tree = lora.init_adapters(RNG, base, 2, TARGETS)
  if seed is not None:
    rng = np.random.default_rng(seed)
    tree = jax.tree.map(
      lambda x: jnp.float32(rng.normal(0, 0.3, x.shape)), tree
    )
  head = {} if head is None else {'head': head}
  return {'adapters': tree, **head}


@pytest.fixture(scope='module')
def pairs():
  rng = np.random.default_rng(0)
  chosen, rejected = rng.integers(1, 12, (2, 8, 6)).astype(np.int32)
  rejected[:, :2] = chosen[:, :2]
  lengths = rng.integers(3, 7, (2, 8)).astype(np.int32)
  return PairBatch(chosen, lengths[0], rejected, lengths[1])


@pytest.mark.parametrize('shared', [False, True])
def test_a_step_descends_the_loss_of_the_merged_model(
  model, model_params, base, pairs, shared
):
  """A, B and head, in two microbatches, on whole and on shared pairs."""
  start = trained(base, 1, model_params['head'])
  step = steps.make_pm_step(
    model.pair_score_fn if shared else model.score_fn,
    optax.identity(),
    combine=ATTACH,
    microbatches=2,
    shared=shared,
  )
  batch = share_prefix(pairs) if shared else pairs
  state, metrics = jax.jit(step)(
    init_state(start, optax.identity()), base, batch, RNG, PMHyper(0.1)
  )

  def loss_fn(trained):
    params = MERGE(base, trained)
    chosen_B = model.score_fn(params, *pairs[:2])
    rejected_B = model.score_fn(params, *pairs[2:])
    return preference.pairwise_loss(chosen_B, rejected_B)

  loss, grads = jax.jit(jax.value_and_grad(loss_fn))(start)
  adapted = jax.tree.leaves(grads['adapters'])
  assert min(np.abs(x).max() for x in adapted) > 1e-5
  np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)
  expected = jax.tree.map(lambda w, g: w - 0.1 * g, start, grads)
  fixture.assert_close(state.params, expected, rtol=1e-4, atol=1e-6)


def test_the_state_holds_adapters_and_head_alone(base, model_params):
  """Two moments of each, and of the base nothing."""
  start = trained(base, None, model_params['head'])
  state = init_state(start, make_optimiser())
  count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  assert count(state) == 3 * count(start) + 2  # step and Adam's counter
  q_and_v, mlp_in = 2 * (16 + 16), 16 + 64
  assert count(start['adapters']) == 2 * (q_and_v + mlp_in)  # rank 2


def test_a_step_makes_no_array_as_large_as_the_base():
  """Merged, it makes W + A B and its gradient; attached, neither."""
  wide = build(TransformerConfig(8, 1, 64, 2, d_mlp=4096))
  base = jax.eval_shape(wide.init, RNG)

  def start(base):
    tree = lora.init_adapters(RNG, base, 2, ['mlp/in/kernel'])
    return {'adapters': tree, 'head': wide.init_head(RNG)}

  tx = make_optimiser()
  state = jax.eval_shape(lambda base: init_state(start(base), tx), base)
  row_BT, length_B = jnp.zeros((1, 4), jnp.int32), jnp.full(1, 4)
  batch = PairBatch(row_BT, length_B, row_BT, length_B)
  adapted = 4 * 64 * 4096  # bytes of the kernel

  def temporary(combine):
    step = steps.make_pm_step(wide.score_fn, tx, combine=combine)
    lowered = jax.jit(step).lower(state, base, batch, RNG, PMHyper(0.1))
    return lowered.compile().memory_analysis().temp_size_in_bytes

  assert temporary(ATTACH) < 0.3 * adapted
  assert temporary(MERGE) > adapted


def test_a_step_on_features_is_the_step_on_tokens(model, model_params, pairs):
  """Adapters above the split alone; the same arrays after three steps."""
  config = TransformerConfig(vocab_size=12, n_layers=2, d_model=16, n_heads=2)
  model, split = build(config), split_scorer(config, 1)
  base = model.init(RNG)
  targets = lora.layer_targets([1], TARGETS)
  tree = lora.init_adapters(RNG, base, 2, targets)
  start = {'adapters': tree, 'head': model.init_head(RNG)}
  tx, shared = make_optimiser(), share_prefix(pairs)
  features_BTD = jax.jit(split.pair_features_fn)(base, shared)
  results = []
  for score_fn, batch in (
    (model.pair_score_fn, shared),
    (split.pair_score_fn, FeaturePairs(features_BTD, *shared[1:])),
  ):
    step = jax.jit(
      steps.make_pm_step(score_fn, tx, combine=ATTACH, shared=True)
    )
    state = init_state(start, tx)
    for _ in range(3):
      state, metrics = step(state, base, batch, RNG, PMHyper(0.01))
    results.append((state.params, metrics))
  assert float(metrics['grad_norm']) > 1e-3
  fixture.assert_close(*results, rtol=1e-3, atol=1e-5)


SAMPLING = SamplingConfig(max_reply=R, stop_ids=(1,), pad_id=0)
LENGTH_B = np.int32([1, 4, 2, 3])
TOKENS_BP = np.random.default_rng(0).integers(2, 12, (4, 4))
PROMPTS = Prompts(
  np.int32(np.where(np.arange(4) < LENGTH_B[:, None], TOKENS_BP, 0)),
  LENGTH_B,
  np.arange(4, dtype=np.int32),
)


def options(model, tx):
  return {
    'generate': make_collect(
      SAMPLING, prefill_fn=model.prefill_fn, decode_fn=model.decode_fn
    ),
    'policy': SplitModel(model.hidden_fn, model.head_fn),
    'value_fn': model.value_fn,
    'tx': tx,
    'passes': 1,
    'minibatch_size': 4,
  }


def iteration(model, tx):
  score = make_pm_reward(model.score_fn, end_of_context_id=11, eos_id=1)
  pieces = make_pieces(
    **options(model, tx),
    reward=lambda weights, *rows: score(ATTACH(*weights), *rows),
    attach=ATTACH,
    merge=MERGE,
    sampling=SAMPLING,
  )
  return jax.jit(ppo.make_ppo_iteration(*pieces))


@pytest.mark.slow  # compiles PPO over adapters
def test_three_networks_and_the_preference_model_share_one_base(
  model, model_params, base
):
  """The iteration is that of four networks with merged weights of their own."""
  tx, head = make_optimiser(), model_params['head']
  state = init_state(
    {'policy': trained(base, 1), 'value': trained(base, 2, head)}, tx
  )
  weights, hyper = trained(base, 3, head), fixture.hyper(0.01, kl_coef=0.1)
  both = {'policy': base, 'value': base}
  frozen = ppo.Frozen(base, (base, weights), both)
  after, metrics = iteration(model, tx)(state, frozen, PROMPTS, RNG, hyper)
  whole = {name: MERGE(base, x) for name, x in state.params.items()}
  score = make_pm_reward(model.score_fn, end_of_context_id=11, eos_id=1)
  plain = make_pieces(**options(model, tx), reward=score, sampling=SAMPLING)
  frozen = ppo.Frozen(base, MERGE(base, weights))
  _, expected = jax.jit(ppo.make_ppo_iteration(*plain))(
    init_state(whole, tx), frozen, PROMPTS, RNG, hyper
  )
  assert abs(float(expected.pop('grad_norm')) - metrics.pop('grad_norm')) > 1e-3
  assert abs(float(metrics['kl_k1'])) > 1e-2
  fixture.assert_close(metrics, expected, rtol=1e-3, atol=1e-5)
  moved = jax.tree.map(
    lambda a, b: float(jnp.abs(a - b).max()), after.params, state.params
  )
  assert min(jax.tree.leaves(moved)) > 1e-4


def test_new_adapters_have_no_penalty(model, base):
  """Exactly 0 by the scorer, to rounding by the sampler."""
  new = trained(base, None)
  generate = options(model, optax.identity())['generate']
  rollout = jax.jit(lambda new: generate(MERGE(base, new), PROMPTS, RNG))(new)
  logits_fn = lambda new, *rows: model.logits_fn(ATTACH(base, new), *rows)
  penalise = ppo.make_penalise(model.logits_fn)

  @jax.jit
  def penalties(new):
    scored = fixture.scored(logits_fn, new, rollout, 1.0)
    hyper = fixture.hyper(kl_coef=1.0)
    return [
      penalise(base, r, jnp.zeros(4), hyper)[1] for r in (scored, rollout)
    ]

  scored_BT, sampled_BT = penalties(new)
  assert int((rollout.length_B - LENGTH_B).sum()) > 4
  np.testing.assert_array_equal(scored_BT, 0.0)
  np.testing.assert_allclose(sampled_BT.sum(1), 0.0, atol=1e-4)
  scored_BT, _ = penalties(trained(base, 1))
  assert np.abs(scored_BT).max() > 1e-2


@pytest.mark.slow  # stages resume in the quick tests
def test_a_run_of_adapters_resumes_bit_for_bit(
  model, model_params, base, pairs, tmp_path
):
  """State and average, the base not saved with them."""
  tx = make_optimiser()
  inner = steps.make_pm_step(model.score_fn, tx, combine=ATTACH)
  step = jax.jit(with_average(inner, 8.0))

  def train(workdir, total):
    start = trained(base, 1, model_params['head'])
    state = AveragedState(init_state(start, tx), jax.tree.map(jnp.copy, start))
    batches = Batches(pairs, 4, seed=0)
    with Run(workdir, {'what': 'adapters'}) as run:
      state = run.restore(state, batches)
      for _ in range(int(state.step), total):
        state, _ = step(state, base, next(batches), RNG, PMHyper(0.01))
      run.save(state, batches)
    return fixture.digest(state)

  unbroken = train(tmp_path / 'unbroken', 4)
  first = train(tmp_path / 'broken', 2)
  assert first != unbroken
  assert train(tmp_path / 'broken', 4) == unbroken


def test_adapters_lie_where_their_kernels_lie(base):
  """Their moments too; the rank is whole."""
  targets = ['qkv/kernel/[qkv]', 'in/kernel', 'out/kernel']
  start = lambda: init_state(
    {'adapters': lora.init_adapters(RNG, base, 2, targets)}, make_optimiser()
  )
  mesh = AbstractMesh((2, 2, 2), sharding.AXES)
  placed = sharding.shardings_of(jax.eval_shape(start), mesh)
  layer = placed.params['adapters']['trunk']['layer_0']
  inside, outside = layer['mlp']['in'], layer['attention']['out']
  spec = lambda leaf: jax.tree.map(lambda x: x.spec, leaf['kernel']['all'])
  assert spec(inside) == {'a': P('fsdp', None), 'b': P(None, 'model')}
  assert spec(outside) == {'a': P('model', None), 'b': P(None, 'fsdp')}
  for block in layer['attention']['qkv']['kernel'].values():
    assert block['b'].spec == P(None, 'model')
  moments = placed.opt_state[1].mu['adapters']['trunk']['layer_0']
  assert moments == layer


def test_a_language_model_step_takes_adapters_through_a_split_model(
  model, base
):
  """Both halves see the combined parameters."""
  tokens_BT = np.int32(np.random.default_rng(0).integers(0, 12, (4, 6)))
  batch = LMBatch(tokens_BT, np.int32([6, 3, 5, 2]), np.zeros(4, np.int32))
  results = []
  for function in (
    model.logits_fn,
    SplitModel(model.hidden_fn, model.head_fn, 2),
  ):
    step = steps.make_lm_step(function, optax.identity(), combine=ATTACH)
    state = init_state(trained(base, 1), optax.identity())
    state, metrics = jax.jit(step)(state, base, batch, RNG, PMHyper(0.1))
    results.append((state.params, metrics))
  assert float(metrics['grad_norm']) > 1e-2
  fixture.assert_close(*results, rtol=1e-4, atol=1e-6)
