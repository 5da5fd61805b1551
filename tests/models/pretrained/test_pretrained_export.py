"""Models trained here, and preference models, in transformers."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import transformers
from hf_models import V, loaded, right_and_left, torch_logits

from rlhf_jax.models import ladder
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import (
  save_policy,
  save_preference_model,
)
from rlhf_jax.models.pretrained.folder import load_folder
from tests.parity import assert_rounding_alone

pytestmark = pytest.mark.slow  # compares with torch

OURS = {
  'ladder': (ladder.config_for('13K', V), 'ArceeForCausalLM'),
  'gated': (
    TransformerConfig(V, 2, 16, 2, activation='swiglu', tied=False),
    'LlamaForCausalLM',
  ),
  'learned': (
    TransformerConfig(
      V, 2, 16, 2, norm='layer', positions='learned', use_bias=True
    ),
    'GPT2LMHeadModel',
  ),
  'neox': (
    TransformerConfig(V, 2, 16, 2, norm='layer', use_bias=True, rotary_size=4),
    'GPTNeoXForCausalLM',
  ),
}


def random_model(config, seed=0):
  """(Model, params with a head), biases and gains random too."""
  model, rng = build(config), np.random.default_rng(seed)
  init = lambda key: model.init(key) | {'head': model.init_head(key)}
  shapes = jax.eval_shape(init, jax.random.key(0))
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes
  )
  params['head']['bias'] = np.float32(0)
  return model, params


@pytest.mark.parametrize('name', OURS)
def test_models_trained_here_have_a_home(name, rows, tmp_path):
  """sqrt(D) goes into the embedding, and a tied head becomes its own.

  Compiled, x sqrt(D) + y may be rounded once, and so imported again the logits
  are the same but for that.
  """
  config, architecture = OURS[name]
  model, params = random_model(config)
  save_policy(tmp_path, config, params)
  settings = json.loads((tmp_path / 'config.json').read_text())
  assert settings['architectures'] == [architecture]
  (tokens_BT, mask_BT), _ = rows
  run = jax.jit(model.logits_fn)
  ours = np.asarray(run(params, tokens_BT, mask_BT.sum(1)))
  assert_rounding_alone(
    ours[mask_BT],
    loaded(tmp_path),
    lambda theirs: torch_logits(theirs, tokens_BT, mask_BT)[mask_BT],
  )
  again = load_folder(tmp_path)
  run = jax.jit(build(again.config).logits_fn)
  np.testing.assert_allclose(
    run(again.params, tokens_BT, mask_BT.sum(1)), ours, atol=1e-5
  )


def assert_scores_are_ours(path, pad, ours_B):
  """In transformers, of rows padded right and left with this id."""
  model = transformers.AutoModelForSequenceClassification.from_pretrained(path)
  assert model.config.num_labels == 1
  assert model.config.pad_token_id == pad
  for rows in right_and_left(pad=pad):
    assert_rounding_alone(
      ours_B,
      model.eval(),
      lambda theirs, rows=rows: torch_logits(theirs, *rows)[:, 0],
    )


def our_scores(config, params):
  (tokens_BT, mask_BT), _ = right_and_left()
  run = jax.jit(build(config).score_fn)
  return np.asarray(run(params, tokens_BT, mask_BT.sum(1)))


@pytest.mark.parametrize('name', ['ladder', 'gated', 'learned', 'neox'])
def test_a_preference_model_has_our_scores_on_padded_batches(name, tmp_path):
  """The pad is a new token; the head of the policy is left out."""
  config, _ = OURS[name]
  _, params = random_model(config)
  expected = our_scores(config, params)
  assert np.ptp(expected) > 0.1
  save_preference_model(tmp_path, config, params)
  assert_scores_are_ours(tmp_path, V, expected)
  again = load_folder(tmp_path)
  assert again.config.vocab_size == V + 1
  np.testing.assert_allclose(
    our_scores(again.config, again.params), expected, atol=1e-5
  )


@pytest.mark.parametrize('name', ['llama', 'mistral', 'qwen2', 'qwen3'])
def test_a_preference_model_of_imported_weights(name, imported, tmp_path):
  """A token of the vocabulary that no text holds may be the pad."""
  model = imported(name)
  head = random_model(model.config)[1]['head']
  params = model.params | {'head': head}
  save_preference_model(tmp_path, model.config, params, pad_id=V - 1)
  expected = our_scores(model.config, params)
  assert_scores_are_ours(tmp_path, V - 1, expected)
  again = load_folder(tmp_path)
  assert again.config == dataclasses.replace(model.config, tied=True)
  params['trunk'] = {
    key: leaf for key, leaf in params['trunk'].items() if key != 'lm_head'
  }
  jax.tree.map(np.testing.assert_array_equal, again.params, params)


def test_a_bias_of_the_score_is_refused_or_kept_aside(tmp_path):
  config, _ = OURS['ladder']
  _, params = random_model(config)
  params['head']['bias'] = np.float32(0.75)
  with pytest.raises(ValueError, match='bias 0.75.*allow_shift=True'):
    save_preference_model(tmp_path, config, params)
  assert not list(tmp_path.iterdir())
  save_preference_model(tmp_path, config, params, allow_shift=True)
  expected = our_scores(config, params)
  assert_scores_are_ours(tmp_path, V, expected - 0.75)
  again = load_folder(tmp_path)
  np.testing.assert_allclose(
    our_scores(again.config, again.params), expected, atol=1e-5
  )


class Writer:
  """Stands for a tokenizer."""

  def __init__(self, **says):
    self.says, self.calls = says, []

  def save_pretrained(self, path, preference=False):
    self.calls.append(preference)
    (path / 'tokenizer.json').write_text('{}')
    return self.says


def test_a_tokenizer_is_written_beside_and_may_name_its_tokens(tmp_path):
  config, _ = OURS['ladder']
  _, params = random_model(config)
  writer = Writer(vocab_size=V, eos_token_id=3, pad_token_id=4)
  save_policy(tmp_path / 'lm', config, params, writer, settings={'x': 1})
  settings = json.loads((tmp_path / 'lm' / 'config.json').read_text())
  assert (settings['eos_token_id'], settings['pad_token_id']) == (3, 4)
  assert settings['x'] == 1
  assert (tmp_path / 'lm' / 'tokenizer.json').exists()
  weights = tmp_path / 'lm' / 'model.safetensors'  # for whoever reads the rest
  modes = {
    x.stat().st_mode for x in (weights, weights.with_name('config.json'))
  }
  assert len(modes) == 1
  writer.says = {'vocab_size': V + 1, 'pad_token_id': V}
  save_preference_model(tmp_path / 'pm', config, params, writer)
  assert writer.calls == [False, True]


@pytest.mark.parametrize(
  ('says', 'message'),
  [
    ({'vocab_size': V}, f'tokenizer has vocab_size {V}, the model {V + 1}'),
    ({'pad_token_id': 0}, f'tokenizer has pad_token_id 0, the model {V}'),
  ],
)
def test_a_tokenizer_of_another_vocabulary_is_an_error(says, message, tmp_path):
  config, _ = OURS['ladder']
  _, params = random_model(config)
  with pytest.raises(ValueError, match=message):
    save_preference_model(tmp_path, config, params, Writer(**says))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'norm': 'layer'}, "norm='layer'|mlp_bias=False"),
    ({'parallel_residual': True}, 'arcee, cannot have parallel_residual=True'),
    ({'qkv_bias': True}, "qwen2, cannot have activation='gelu'"),
    ({'rotary_size': 6}, r'rotary_size=6 \(wanted 12\)'),
    (
      {'sliding_window': 4},
      r"mistral, cannot have activation='gelu' \(wanted 'swiglu'\)",
    ),
  ],
)
def test_what_no_architecture_has_is_named(change, message, tmp_path):
  config = dataclasses.replace(OURS['ladder'][0], **change)
  with pytest.raises(ValueError, match=message) as error:
    save_policy(tmp_path / 'new', config, {'trunk': {}})
  assert '\n' not in str(error.value)
  assert not (tmp_path / 'new').exists()


def test_other_refusals_of_the_export(tmp_path):
  config, _ = OURS['ladder']
  _, params = random_model(config)
  with pytest.raises(ValueError, match='pad_id 29 is not in the vocabulary'):
    save_preference_model(tmp_path, config, params, pad_id=V)
  with pytest.raises(ValueError, match="'float32' or 'bfloat16'.*'int8'"):
    save_policy(tmp_path, config, params, dtype='int8')
  save_policy(tmp_path, config, params)
  with pytest.raises(ValueError, match='safetensors already'):
    save_policy(tmp_path, config, params)
