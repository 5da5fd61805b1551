"""A preference model with its tokenizer, as a stranger would use it."""

import jax
import numpy as np
import pytest
import torch
import transformers

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.records import make_comparison
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_preference_model
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.text.pretrained import PretrainedTokenizer
from tests.parity import assert_rounding_alone
from tests.text.feeding import feeding
from tests.text.small_tokenizer import write_folder

pytestmark = pytest.mark.slow  # compares with transformers

TEXTS = ['the cat says hello', 'dog', 'Be good. the user and the dog']
PROMPT = '\n\nHuman: the cat\n\nAssistant: dog\n\nHuman: hello\n\nAssistant:'
REPLIES = (' the dog', ' say hello and be good')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """(folder of a preference model, our tokenizer, tokens_BT -> scores_B)."""
  path = tmp_path_factory.mktemp('pm')
  tokenizer = PretrainedTokenizer.from_folder(write_folder(path / 'from'))
  config = TransformerConfig(
    tokenizer.vocab_size, 2, 16, 2, activation='swiglu', embed_scale=1.0
  )
  model = build(config)
  params = model.init(jax.random.key(0))
  params |= {'head': model.init_head(jax.random.key(1))}
  save_preference_model(path / 'pm', config, params, tokenizer)
  score = jax.jit(model.score_fn)
  return path / 'pm', tokenizer, lambda *rows: score(params, *rows)


def assert_scores_are_ours(folder, batch, ours_B):
  load = transformers.AutoModelForSequenceClassification.from_pretrained
  with torch.no_grad():
    assert_rounding_alone(
      ours_B,
      load(folder).eval(),
      lambda theirs: theirs(**batch).logits[:, 0].numpy(),
    )


@pytest.mark.parametrize('side', ['right', 'left'])
def test_text_to_score_in_transformers_equals_ours(side, exported):
  """Tokenizer and model of the folder alone: it ends texts, and pads them."""
  folder, tokenizer, score = exported
  texts = [
    [*tokenizer.encode(text), tokenizer.end_of_context_id] for text in TEXTS
  ]
  tokens_BT, length_B = pad_batch(texts, 120, 0)
  expected_B = score(tokens_BT, length_B)
  assert np.ptp(expected_B) > 0.1

  theirs = transformers.AutoTokenizer.from_pretrained(folder, padding_side=side)
  batch = theirs(TEXTS, padding=True, return_tensors='pt')
  assert batch['attention_mask'].sum(1).tolist() == length_B.tolist()
  assert_scores_are_ours(folder, batch, expected_B)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_a_pair_of_dialogues_has_our_scores_in_transformers(side, exported):
  """As docs/pretrained.md feeds them, to folder and model as they are."""
  folder, tokenizer, score = exported
  dialogues = [PROMPT + reply for reply in REPLIES]
  pairs, counts = encode_pairs(
    [make_comparison(*dialogues, 'tests/here')], tokenizer, 119, 40
  )
  assert counts['kept'] == 1 and not counts['prompt cut'] + counts['reply cut']
  expected_B = score(
    np.concatenate([pairs.chosen_tokens_NT, pairs.rejected_tokens_NT]),
    np.concatenate([pairs.chosen_length_N, pairs.rejected_length_N]),
  )
  assert abs(expected_B[0] - expected_B[1]) > 0.01
  theirs = transformers.AutoTokenizer.from_pretrained(folder, padding_side=side)
  batch = feeding()['batch_of'](theirs, dialogues)
  assert_scores_are_ours(folder, batch, expected_B)
