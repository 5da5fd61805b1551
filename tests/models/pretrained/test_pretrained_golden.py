"""Imported weights against transformers: logits, greedy decoding, and back."""

import dataclasses

import jax
import numpy as np
import pytest
import torch
from hf_models import CONFIGS, loaded, torch_logits
from models_twin import logits as twin_logits

from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from tests.parity import Float64, assert_rounding_alone, in_float64

pytestmark = pytest.mark.slow  # compares with torch

NEW = 8  # tokens to decode


@pytest.mark.parametrize('name', CONFIGS)
def test_logits_equal_those_of_transformers_padded_on_either_side(
  name, imported, rows
):
  """But for rounding (checklist 90)."""
  model = imported(name)
  for tokens_BT, mask_BT in rows:
    assert_rounding_alone(
      model.by_mask(tokens_BT, mask_BT)[mask_BT],
      model.torch,
      lambda torch_model, rows=(tokens_BT, mask_BT): torch_logits(
        torch_model, *rows
      )[rows[1]],
    )


@pytest.mark.parametrize('name', CONFIGS)
def test_the_float64_pass_is_that_of_the_numpy_twin(name, imported, rows):
  """So that the referee of the comparison above is right, and in float64."""
  model = imported(name)
  params = jax.tree.map(np.asarray, model.params)
  (tokens_BT, mask_BT), _ = rows
  with Float64():
    exact = torch_logits(in_float64(model.torch), tokens_BT, mask_BT)[mask_BT]
  twin = np.concatenate(
    [
      twin_logits(params, model.config, row_T[real_T])
      for row_T, real_T in zip(tokens_BT, mask_BT, strict=True)
    ]
  )
  # Some hundred roundings of float64 on the way to a logit of about 1.
  np.testing.assert_allclose(exact, twin, rtol=0, atol=1000 * 2.0**-53)


@pytest.mark.parametrize(
  ('name', 'change'),
  [
    ('llama', {'rope_theta': 10_100.0}),
    ('llama', {'norm_eps': 2e-6}),
    ('llama', {'rope_scaling': None}),
    ('gpt_neox', {'activation': 'gelu'}),
    ('gpt_neox', {'norm_eps': 2e-5}),
  ],
)
def test_small_mistakes_are_more_than_rounding(name, change, imported, rows):
  """Angles off by a hundredth, epsilons twice too large."""
  model = imported(name)
  (tokens_BT, mask_BT), _ = rows
  wrong = dataclasses.replace(model.config, **change)
  assert wrong != model.config
  with pytest.raises(AssertionError, match='errors, root mean square'):
    assert_rounding_alone(
      model.by_mask(tokens_BT, mask_BT, wrong)[mask_BT],
      model.torch,
      lambda torch_model: torch_logits(torch_model, tokens_BT, mask_BT)[
        mask_BT
      ],
    )


def greedy(model, params, tokens_BP, length_B):
  """Our cached greedy decoding: [B, NEW] tokens."""

  def run(params, tokens_BP, length_B):
    slots = tokens_BP.shape[1] + NEW
    logits_BV, cache = model.prefill_fn(params, tokens_BP, length_B, slots)

    def step(carry, i):
      logits_BV, cache = carry
      token_B = logits_BV.argmax(-1).astype(np.int32)
      carry = model.decode_fn(params, token_B, length_B + i, cache)
      return carry, token_B

    _, tokens_RB = jax.lax.scan(step, (logits_BV, cache), np.arange(NEW))
    return tokens_RB.T

  return np.asarray(jax.jit(run)(params, tokens_BP, length_B))


@pytest.mark.parametrize('name', CONFIGS)
def test_cached_greedy_decoding_gives_the_tokens_of_transformers(
  name, imported, rows
):
  """Ours from right-padded prompts, theirs from left-padded ones."""
  model = imported(name)
  (right_BT, mask_BT), (left_BT, left_mask_BT) = rows
  got = greedy(model.model, model.params, right_BT, mask_BT.sum(1))
  expected = model.torch.generate(
    torch.tensor(left_BT).long(),
    attention_mask=torch.tensor(left_mask_BT).long(),
    max_new_tokens=NEW,
    do_sample=False,
    pad_token_id=0,
  )[:, left_BT.shape[1] :].numpy()
  np.testing.assert_array_equal(got, expected)
  assert len(np.unique(got)) > 1


@pytest.mark.parametrize('name', CONFIGS)
def test_export_and_import_give_the_same_bits_and_transformers_the_same_logits(
  name, imported, rows, tmp_path
):
  model = imported(name)
  save_policy(tmp_path / 'ours', model.config, model.params)
  again = load_folder(tmp_path / 'ours')
  assert again.config == model.config
  assert jax.tree.structure(again.params) == jax.tree.structure(model.params)
  jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
  theirs = loaded(tmp_path / 'ours')
  assert type(theirs) is type(model.torch)
  state = model.torch.state_dict()
  assert set(theirs.state_dict()) == set(state)
  for key, weight in theirs.state_dict().items():
    assert torch.equal(weight, state[key]), key
  tokens_BT, mask_BT = rows[0]  # and the settings are the same
  assert_rounding_alone(
    torch_logits(theirs, tokens_BT, mask_BT)[mask_BT],
    model.torch,
    lambda torch_model: torch_logits(torch_model, tokens_BT, mask_BT)[mask_BT],
  )


def test_a_sharded_folder_gives_what_one_file_gives(imported, tmp_path):
  model = imported('llama')
  model.torch.save_pretrained(tmp_path / 'theirs', max_shard_size='20KB')
  save_policy(tmp_path / 'ours', model.config, model.params, shard_bytes=20_000)
  for folder in ('theirs', 'ours'):
    files = list((tmp_path / folder).glob('model-*.safetensors'))
    assert len(files) > 2
    got = load_folder(tmp_path / folder)
    jax.tree.map(np.testing.assert_array_equal, got.params, model.params)
  state = loaded(tmp_path / 'ours').state_dict()
  for name, weight in model.torch.state_dict().items():
    assert torch.equal(state[name], weight), name


def test_half_precision_weights_are_read_and_written(imported, tmp_path):
  """Pythia's are float16, most others bfloat16; ours are float32."""
  model = imported('gpt_neox')
  for kind in (torch.float16, torch.bfloat16):
    folder = tmp_path / str(kind)
    half = type(model.torch)(model.torch.config).to(kind)
    half.load_state_dict(model.torch.state_dict())
    half.save_pretrained(folder)
    got = load_folder(folder)
    expected = model.torch.get_input_embeddings().weight.to(kind).float()
    embed = got.params['trunk']['embed']
    assert embed.dtype == np.float32
    np.testing.assert_array_equal(embed, expected.detach().numpy())
  save_policy(tmp_path / 'again', got.config, got.params, dtype='bfloat16')
  again = load_folder(tmp_path / 'again')
  jax.tree.map(np.testing.assert_array_equal, again.params, got.params)
  kept = load_folder(tmp_path / 'again', param_dtype='bfloat16').params
  assert {str(x.dtype) for x in jax.tree.leaves(kept)} == {'bfloat16'}


def test_fields_of_the_config_may_be_set_on_import(imported):
  path = imported('llama').path
  config = load_folder(path, dtype='bfloat16', remat=True).config
  assert (config.dtype, config.remat) == ('bfloat16', True)
