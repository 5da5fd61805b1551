"""A preference model with its tokenizer, as a stranger would use it."""

import jax
import numpy as np
import pytest
import torch
import transformers

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_preference_model
from rlhf_jax.text.pretrained import PretrainedTokenizer
from tests.text.small_tokenizer import write_folder

TEXTS = ['the cat says hello', 'dog', 'Be good. the user and the dog']


@pytest.mark.parametrize('side', ['right', 'left'])
def test_text_to_score_in_transformers_equals_ours(side, tmp_path):
  """Tokenizer and model of the folder alone: it ends texts, and pads them."""
  tokenizer = PretrainedTokenizer.from_folder(write_folder(tmp_path / 'from'))
  config = TransformerConfig(
    tokenizer.vocab_size, 2, 16, 2, activation='swiglu', embed_scale=1.0
  )
  model = build(config)
  params = model.init(jax.random.key(0))
  params |= {'head': model.init_head(jax.random.key(1))}
  folder = tmp_path / 'pm'
  save_preference_model(folder, config, params, tokenizer)

  texts = [
    [*tokenizer.encode(text), tokenizer.end_of_context_id] for text in TEXTS
  ]
  length_B = np.array([len(text) for text in texts])
  tokens_BT = np.zeros((len(texts), length_B.max()), np.int32)
  for b, text in enumerate(texts):
    tokens_BT[b, : len(text)] = text
  expected = jax.jit(model.score_fn)(params, tokens_BT, length_B)
  assert np.ptp(expected) > 0.1

  theirs = transformers.AutoTokenizer.from_pretrained(folder, padding_side=side)
  batch = theirs(TEXTS, padding=True, return_tensors='pt')
  assert batch['attention_mask'].sum(1).tolist() == length_B.tolist()
  load = transformers.AutoModelForSequenceClassification.from_pretrained
  scorer = load(folder).eval()
  with torch.no_grad():
    scores = scorer(
      input_ids=batch['input_ids'], attention_mask=batch['attention_mask']
    ).logits[:, 0]
  np.testing.assert_allclose(scores.numpy(), expected, atol=1e-4)
