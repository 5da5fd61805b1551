import numpy as np
import pytest

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.text.dialogue import DialogueError, split_reply


def test_prompts_tokenise_as_in_the_pairs(comparisons, tokenizer):
  """Rollout prompts equal training prompts, cut or not (checklist 15)."""
  texts = [split_reply(item.chosen)[0] for item in comparisons]
  for max_length, max_reply in ((100, 40), (30, 20)):
    pairs, _ = encode_pairs(comparisons, tokenizer, max_length, max_reply)
    prompts = encode_prompts(texts, tokenizer, max_length - max_reply)
    np.testing.assert_array_equal(prompts.length_N, pairs.prompt_length_N)
    for row, length in enumerate(prompts.length_N):
      np.testing.assert_array_equal(
        prompts.tokens_NP[row, :length], pairs.chosen_tokens_NT[row, :length]
      )
      assert (prompts.tokens_NP[row, length:] == tokenizer.pad_id).all()
    assert prompts.tokens_NP.shape == (4, max_length - max_reply)
    assert prompts.text == tuple(texts)
    whole = [len(tokenizer.encode(text)) for text in texts]
    np.testing.assert_array_equal(prompts.cut_N + prompts.length_N, whole)


def test_a_text_that_does_not_end_for_the_assistant_is_refused(tokenizer):
  with pytest.raises(DialogueError, match='not a prompt'):
    encode_prompts(['\n\nHuman: Hi'], tokenizer, 20)
