"""The one assembly of PPO's pieces, against pieces put together by hand.

Where programs are the same, so are the bits: the Transformer's are compared as
they stand, those of the bigram policy are run as well.
"""

import collections
import re

import jax
import jax.numpy as jnp
import pytest
import train_fixture as fixture

from rlhf_jax.losses import masked
from rlhf_jax.mapping import map_microbatches
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import make_collect
from rlhf_jax.rollout.repeat import repeat_prompts
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import ppo, ppo_update, rloo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import SplitModel

RNG, PARTS, GROUP = jax.random.key(0), 2, 2
SAMPLING, PROMPTS = fixture.SAMPLING, fixture.PROMPTS
R, B = SAMPLING.max_reply, len(PROMPTS.length_B)
HYPER = fixture.hyper(0.01, kl_coef=0.1)
UPDATE = {'passes': 2, 'minibatch_size': 4, 'microbatches': 2}
TX = make_optimiser()


def bigram_value(params, tokens_BT, length_B, read_BS=None):
  value_BT = fixture.bigram_value(params, tokens_BT, length_B)
  return value_BT if read_BS is None else masked.take_columns(value_BT, read_BS)


def bigram_reward(params, tokens_BT, prompt_length_B, length_B):
  del prompt_length_B
  return fixture.count_score(params, tokens_BT, length_B)


def bigram_parts(sampling=SAMPLING):
  """What the assembly is handed, of the bigram policy."""
  return {
    'generate': make_collect(sampling, logits_fn=fixture.bigram_logits),
    'policy': fixture.bigram_logits,
    'value_fn': bigram_value,
    'reward': bigram_reward,
  }


def transformer_parts(model):
  """What the assembly is handed, of the Transformer."""
  return {
    'generate': make_collect(
      SAMPLING, prefill_fn=model.prefill_fn, decode_fn=model.decode_fn
    ),
    'policy': SplitModel(model.hidden_fn, model.head_fn, 3),
    'value_fn': model.value_fn,
    'reward': make_pm_reward(model.score_fn, end_of_context_id=5, eos_id=0),
  }


def assembled(sampling=SAMPLING, **options):
  return make_pieces(
    **UPDATE | options, tx=TX, sampling=sampling, scoring_parts=PARTS
  )


def by_hand(parts, collect, policy, value_fn, reward):
  """The five, each told everything that it has to know."""
  return (
    collect,
    lambda weights, *rows: map_microbatches(
      lambda part, weights: reward(weights, *part), rows, PARTS, weights
    ),
    ppo.make_penalise(parts['policy'], microbatches=PARTS, max_reply=R),
    ppo.make_estimate(
      lambda params, *rows, **read: value_fn(params['value'], *rows, **read),
      microbatches=PARTS,
      max_reply=R,
    ),
    ppo_update.make_ppo_update(
      ppo_update.separate(policy, value_fn), TX, **UPDATE, max_reply=R
    ),
  )


def plain_by_hand(parts):
  """Full training, as it was assembled before there was one place for it."""
  collect = lambda params, *args: parts['generate'](params['policy'], *args)
  return by_hand(
    parts, collect, *(parts[k] for k in ('policy', 'value_fn', 'reward'))
  )


def bind(function, combine, base):
  """A model function of what is trained, from one of whole parameters."""
  if isinstance(function, SplitModel):
    return function._replace(
      hidden_fn=bind(function.hidden_fn, combine, base),
      head_fn=bind(function.head_fn, combine, base),
    )
  return lambda trained, *args, **options: function(
    combine(base, trained), *args, **options
  )


def adapted_by_hand(parts, attach, merge, base):
  """Adapters: every function bound to its base."""
  sample = bind(parts['generate'], merge, base['policy'])
  return by_hand(
    parts,
    lambda params, *args: sample(params['policy'], *args),
    bind(parts['policy'], attach, base['policy']),
    bind(parts['value_fn'], attach, base['value']),
    parts['reward'],
  )


def digest_of(pieces, params, frozen):
  """Of two iterations: every bit of the state and of the metrics."""
  iteration = jax.jit(ppo.make_ppo_iteration(*pieces))
  state = init_state(params, TX)
  for _ in range(2):
    state, metrics = iteration(state, frozen, PROMPTS, RNG, HYPER)
  assert float(metrics['grad_norm']) > 1e-3
  assert abs(float(metrics['kl_k1'])) > 1e-4
  return fixture.digest((state, metrics))


def program_of(iteration, params, frozen):
  """The text of an iteration's program, before the compiler."""
  text = str(jaxpr_of(iteration, params, frozen))
  return re.sub(' at 0x[0-9a-f]+', '', text)


def jaxpr_of(iteration, params, frozen):
  state = jax.eval_shape(lambda params: init_state(params, TX), params)
  return jax.make_jaxpr(iteration)(state, frozen, PROMPTS, RNG, HYPER)


def operations(jaxpr):
  """How often a program has each operation on arrays of each shape."""
  found = collections.Counter()
  for equation in getattr(jaxpr, 'jaxpr', jaxpr).eqns:
    inner = [
      x
      for value in equation.params.values()
      for x in (value if isinstance(value, tuple) else (value,))
      if hasattr(x, 'eqns')
    ]
    if inner:
      found += sum(map(operations, inner), collections.Counter())
    else:
      shapes = [str(x.aval) for x in (*equation.invars, *equation.outvars)]
      found[equation.primitive.name, *shapes] += 1
  return found


def test_full_training_is_the_pieces_by_hand_to_the_bit(frozen):
  parts, params = bigram_parts(), fixture.bigram_params(0)
  expected = digest_of(plain_by_hand(parts), params, frozen)
  assert digest_of(assembled(**parts), params, frozen) == expected


def test_full_training_of_a_transformer_is_the_program_by_hand(
  model, model_params
):
  parts, trunk = transformer_parts(model), {'trunk': model_params['trunk']}
  given = (
    {'policy': trunk, 'value': model_params},
    ppo.Frozen(trunk, model_params),
  )
  found, expected = (
    program_of(ppo.make_ppo_iteration(*pieces), *given)
    for pieces in (assembled(**parts), plain_by_hand(parts))
  )
  assert len(found) > 10_000
  assert found == expected
  other = assembled(SAMPLING._replace(temperature=0.7), **parts)
  assert program_of(ppo.make_ppo_iteration(*other), *given) != expected


def add(base, trained):
  """An adapter of a table: what is added to it."""
  return jax.tree.map(jnp.add, base, trained)


def add_merged(base, trained):
  """The same numbers by another program, so that one would be missed."""
  return jax.tree.map(lambda x, y: 2 * (x / 2 + y / 2), base, trained)


@pytest.mark.slow  # compiles PPO twice
def test_adapters_are_the_pieces_bound_by_hand_to_the_bit(frozen):
  """Policy and value network over frozen trees of their own."""
  base, params = fixture.bigram_params(1), fixture.bigram_params(2)
  base['value'] = {'value_V': jnp.linspace(-1.0, 1.0, fixture.V)}
  parts = bigram_parts()
  expected = digest_of(
    adapted_by_hand(parts, add, add_merged, base), params, frozen
  )
  pieces = assembled(**parts, attach=add, merge=add_merged)
  over = frozen._replace(base=base)
  assert digest_of(pieces, params, over) == expected
  zeros = jax.tree.map(jnp.zeros_like, base)
  other = over._replace(base=base | {'value': zeros['value']})
  assert digest_of(pieces, params, other) != expected


def test_adapters_of_a_transformer_are_the_operations_by_hand(
  model, model_params
):
  """One base for both networks, pi_0 and the preference model."""
  trunk = {'trunk': model_params['trunk']}
  kernels = ['qkv/kernel/[qv]', 'in/kernel']
  adapters_ = {'adapters': lora.init_adapters(RNG, trunk, 2, kernels)}
  headed = adapters_ | {'head': model_params['head']}
  attach, merge = (lora.combiner(f, 4.0) for f in (lora.attach, lora.merge))
  parts = transformer_parts(model)
  score = parts['reward']
  parts['reward'] = lambda weights, *rows: score(attach(*weights), *rows)
  frozen = ppo.Frozen(trunk, (trunk, headed))
  base = {'policy': trunk, 'value': trunk}

  def hand(state, frozen, *rest):
    base = dict.fromkeys(('policy', 'value'), frozen.ref)
    pieces = adapted_by_hand(parts, attach, merge, base)
    return ppo.make_ppo_iteration(*pieces)(state, frozen, *rest)

  pieces = assembled(**parts, attach=attach, merge=merge)

  def ours(state, frozen, *rest):
    both = dict.fromkeys(base, frozen.ref)
    frozen = frozen._replace(base=both)
    return ppo.make_ppo_iteration(*pieces)(state, frozen, *rest)

  params = {'policy': adapters_, 'value': headed}
  found, expected = (
    operations(jaxpr_of(x, params, frozen)) for x in (ours, hand)
  )
  assert found.total() > 500
  assert found == expected


@pytest.mark.slow  # compiles PPO twice
def test_without_a_critic_it_is_rloo_by_hand_to_the_bit(frozen):
  """The state holds the policy alone, under its name."""
  parts, policy = bigram_parts(), fixture.bigram_params(0)['policy']
  some = jax.tree.map(lambda x: x[: B // GROUP], PROMPTS)
  prompts = repeat_prompts(some, GROUP)
  _, score, penalise, *_ = plain_by_hand(parts)
  hand = (
    parts['generate'],
    score,
    penalise,
    rloo.make_rloo_estimate(GROUP),
    ppo_update.make_ppo_update(
      parts['policy'], TX, critic=False, max_reply=R, **UPDATE
    ),
  )
  ours = assembled(**parts | {'value_fn': None}, group=GROUP)
  (expected, metrics), (found, found_metrics) = (
    jax.jit(ppo.make_ppo_iteration(*pieces))(
      init_state(params, TX), frozen, prompts, RNG, HYPER
    )
    for pieces, params in ((hand, policy), (ours, {'policy': policy}))
  )
  assert float(metrics['grad_norm']) > 1e-3
  assert set(found.params) == {'policy'}
  assert fixture.digest(found_metrics) == fixture.digest(metrics)
  moved = found.params['policy']
  assert fixture.digest(moved) == fixture.digest(expected.params)


WARM = SAMPLING._replace(temperature=0.7)


def first_step(scored_as):
  """(largest |k1| of a token, metrics of the first minibatch), pi = pi_0.

  Replies are drawn at 0.7 and scored as `scored_as` says.
  """
  pieces = assembled(scored_as, **bigram_parts(WARM))
  params = fixture.bigram_params(0)
  worth = {'worth_V': jnp.arange(float(fixture.V))}

  @jax.jit
  def run(params):
    rollout = pieces.collect(params, PROMPTS, RNG)
    score_B = pieces.score(worth, *rollout[:3])
    reward_BT, kl_BT = pieces.penalise(
      params['policy'], rollout, score_B, HYPER
    )
    experience = pieces.estimate(params, rollout, reward_BT, HYPER)
    _, metrics = pieces.update(init_state(params, TX), experience, RNG, HYPER)
    return jnp.abs(kl_BT).max(), metrics

  kl, metrics = jax.device_get(run(params))
  return kl, {name: values[0] for name, values in metrics.items()}


@pytest.mark.slow  # compiles PPO; the stage's own is in test_stages.py
def test_at_temperature_0_7_the_first_step_has_a_ratio_of_one_and_no_kl():
  """From the sampler to the loss; a scorer at temperature 1 would be seen."""
  kl, first = first_step(WARM)
  assert kl < 1e-5
  assert first['ratio_mean'] == pytest.approx(1.0, abs=1e-5)
  assert abs(first['approx_kl']) < 1e-9
  assert first['clip_fraction'] == 0.0
  kl, first = first_step(WARM._replace(temperature=1.0))
  assert kl > 0.1
  assert abs(first['ratio_mean'] - 1.0) > 1e-2
  assert first['approx_kl'] > 1e-3


def rounded_first_step(**options):
  """k1 of every token, and metrics of the first step, of a Transformer.

  Its products take inputs rounded to bfloat16; the policy is pi_0.
  """
  config = TransformerConfig(
    vocab_size=6, n_layers=2, d_model=16, n_heads=2, matmul='bf16_f32'
  )
  model = build(config)
  pieces = assembled(**transformer_parts(model), **options)
  trunk = model.init(RNG)
  # Larger than those of `init`, so that replies are not drawn from equals.
  trunk = jax.tree.map(lambda x: 3 * x, trunk)
  trunk['head'] = model.init_head(RNG)
  params = {'policy': trunk, 'value': trunk}

  @jax.jit
  def run(params):
    rollout = pieces.collect(params, PROMPTS, RNG)
    zeros_B = jnp.zeros(B)
    reward_BT, kl_BT = pieces.penalise(trunk, rollout, zeros_B, HYPER)
    experience = pieces.estimate(params, rollout, reward_BT, HYPER)
    _, metrics = pieces.update(init_state(params, TX), experience, RNG, HYPER)
    return kl_BT, metrics, rollout.logp_BT

  kl_BT, metrics, logp_BT = jax.device_get(run(params))
  assert (logp_BT < 0).sum() > 2 * B  # there are replies
  return kl_BT, {name: values[0] for name, values in metrics.items()}


@pytest.mark.slow  # compiles two whole iterations of a Transformer
def test_rounded_products_have_a_first_ratio_of_exactly_one_and_no_kl():
  """Rescored, all three passes are one; from the sampler they are near."""
  kl_BT, first = rounded_first_step(rescore=True)
  assert (kl_BT == 0.0).all()
  assert first['ratio_mean'] == 1.0
  assert first['approx_kl'] == 0.0
  assert first['clip_fraction'] == 0.0
  kl_BT, first = rounded_first_step()
  # A rounding that turns by one is 2^-8 of an input, in log-probabilities of
  # a few nats.
  assert 0.0 < abs(kl_BT).max() < 2**-5
  assert first['ratio_mean'] == pytest.approx(1.0, abs=2**-5)


@pytest.mark.parametrize('cut', [{'top_k': 3}, {'top_p': 0.9}])
def test_a_sampler_that_cuts_its_distribution_is_refused(cut):
  with pytest.raises(ValueError, match='cannot be scored') as error:
    assembled(SAMPLING._replace(**cut), **bigram_parts())
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('wrong', [{'group': 2}, {'value_fn': None}])
def test_either_a_critic_or_a_group_is_wanted(wrong):
  with pytest.raises(ValueError, match='a value_fn or the size of a group'):
    assembled(**bigram_parts() | wrong)
