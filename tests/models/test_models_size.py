"""The ladder's names, and counts of parameters and FLOPs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.models import cost, ladder
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

UNITS = {'K': 1e3, 'M': 1e6, 'B': 1e9}
CONFIGS = {
  'plain': dict(n_layers=2, d_model=8, n_heads=2),
  'grouped': dict(n_layers=3, d_model=12, n_heads=6, n_kv_heads=2),
  'wide_heads': dict(n_layers=1, d_model=8, n_heads=2, head_size=6, d_mlp=20),
  'gpt2': dict(
    n_layers=2,
    d_model=8,
    n_heads=2,
    norm='layer',
    positions='learned',
    max_length=17,
    use_bias=True,
  ),
  'llama': dict(
    n_layers=2,
    d_model=8,
    n_heads=4,
    n_kv_heads=1,
    activation='swiglu',
    tied=False,
  ),
  'neox': dict(
    n_layers=2,
    d_model=8,
    n_heads=2,
    norm='layer',
    activation='swiglu',
    tied=False,
    parallel_residual=True,
    use_bias=True,
  ),
  'qwen2': dict(n_layers=2, d_model=8, n_heads=2, qkv_bias=True),
  'qwen3': dict(n_layers=2, d_model=8, n_heads=2, head_size=6, qk_norm=True),
  'out_bias': dict(n_layers=1, d_model=8, n_heads=2, out_bias=True),
  'mlp_bias': dict(n_layers=1, d_model=8, n_heads=2, mlp_bias=True),
  'but_mlp': dict(
    n_layers=1, d_model=8, n_heads=2, use_bias=True, mlp_bias=False
  ),
}


@pytest.mark.parametrize('name', ladder.LADDER)
def test_a_rung_is_named_by_its_count(name):
  """12 L D^2 within 10 percent of the name, or what rounds to the name."""
  digits, unit = name[:-1], UNITS[name[-1]]
  half_a_digit = 0.5 * unit * 10.0 ** -len(digits.partition('.')[2])
  named = float(digits) * unit
  count = ladder.rung(name).non_embedding
  assert abs(count - named) <= max(0.1 * named, half_a_digit)


def test_the_papers_ladder_has_its_seven_sizes():
  assert list(ladder.PAPER) == [
    '13M', '42M', '197M', '810M', '2.7B', '13B', '52B'
  ]  # fmt: skip
  for rungs in (ladder.MILLI, ladder.PAPER):
    counts = [size.non_embedding for size in rungs.values()]
    ratios = np.divide(counts[1:], counts[:-1])
    assert np.all((ratios > 2.5) & (ratios < 5.5))  # steps of about four
    rates = [size.learning_rate for size in rungs.values()]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize('name', ladder.LADDER)
def test_every_rung_is_a_config_whose_blocks_have_that_count(name):
  config = ladder.config_for(name, 64, dtype='bfloat16')
  assert (config.vocab_size, config.dtype) == (64, 'bfloat16')
  norms = 2 * config.n_layers * config.d_model
  blocks = cost.parameter_counts(config)['blocks']
  assert blocks - norms == ladder.rung(name).non_embedding


def test_an_unknown_rung_is_an_error():
  with pytest.raises(ValueError, match='14M.*13M'):
    ladder.rung('14M')


@pytest.mark.parametrize('name', CONFIGS)
def test_parameter_counts_are_exact(name):
  config = TransformerConfig(vocab_size=11, **CONFIGS[name])
  shapes = jax.eval_shape(build(config).init, jax.random.key(0))['trunk']
  size = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  embedding = ('embed', 'position_embed', 'lm_head')
  counts = cost.parameter_counts(config)
  assert counts == {
    'embedding': sum(size(shapes[k]) for k in embedding if k in shapes),
    'blocks': sum(size(shapes[f'layer_{i}']) for i in range(config.n_layers)),
    'final_norm': size(shapes['final_norm']),
    'total': size(shapes),
  }


@pytest.mark.parametrize('logits', [True, False])
@pytest.mark.parametrize(
  'change',
  [
    {},
    {'n_kv_heads': 2, 'activation': 'swiglu', 'tied': False},
    {'head_size': 256, 'd_mlp': 768},
  ],
)
def test_forward_flops_are_those_that_the_compiler_counts(change, logits):
  """Within 5 percent where matrix products dominate; nothing is run."""
  T, fields = 512, dict(vocab_size=1024, n_layers=2, d_model=512, n_heads=4)
  config = TransformerConfig(**(fields | change))
  model = build(config)
  params = jax.eval_shape(model.init, jax.random.key(0))
  lowered = jax.jit(model.logits_fn if logits else model.hidden_fn).lower(
    params,
    jax.ShapeDtypeStruct((1, T), jnp.int32),
    jax.ShapeDtypeStruct((1,), jnp.int32),
  )
  counted = lowered.cost_analysis()['flops']
  expected = cost.forward_flops(config, T, logits=logits)
  assert expected == pytest.approx(counted, rel=0.05)


PUBLISHED = {  # parameters of the released weights
  'pythia-70m': 70_426_624,
  'pythia-160m': 162_322_944,
  'pythia-410m': 405_334_016,
  'pythia-1b': 1_011_781_632,
  'pythia-1.4b': 1_414_647_808,
  'pythia-2.8b': 2_775_208_960,
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_pythia_has_the_parameters_that_were_published(name):
  config = ladder.config_for(name, ladder.PYTHIA_ROWS)
  assert cost.parameter_counts(config)['total'] == PUBLISHED[name]


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_pythia_turns_a_quarter_of_each_head(name):
  config = ladder.config_for(name, ladder.PYTHIA_ROWS)
  assert 4 * config.rotary_size == config.head_size
  assert config.parallel_residual and not config.tied


def test_every_published_pythia_is_on_the_ladder():
  assert set(ladder.PYTHIA) - set(PUBLISHED) == {'pythia-dry'}
