import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.text.dialogue import DialogueError
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_example,
  encode_prompt,
  encode_reply,
  pad_batch,
)

FIRST = '\n\nHuman: Tell me a story.\n\nAssistant: Once there was a cat.'
LAST = '\n\nHuman: How do I count to 12?\n\nAssistant:'


def test_a_short_example_is_prompt_reply_and_end(tokenizer):
  ids, prompt_length, cuts = encode_example(
    tokenizer, LAST, ' One.', max_length=100, max_reply=40
  )
  assert ids[:prompt_length] == tokenizer.encode(LAST)
  assert ids[prompt_length:] == [
    *tokenizer.encode(' One.'),
    tokenizer.eos_id,
  ]
  assert cuts == (0, 0)
  open_ids, _, _ = encode_example(tokenizer, LAST, ' One.', 100, 40, end=False)
  assert open_ids == ids[:-1]


def test_a_long_prompt_loses_whole_early_turns_first(tokenizer):
  """Cut on the left, at a Human turn, never the reply (checklist 12)."""
  last = tokenizer.encode(LAST)
  ids, cut = encode_prompt(tokenizer, FIRST * 3 + LAST, len(last) + 1)
  assert ids == last
  assert cut == 3 * len(tokenizer.encode(FIRST))
  ids, _ = encode_prompt(
    tokenizer, FIRST * 3 + LAST, len(last) + len(tokenizer.encode(FIRST))
  )
  assert ids == tokenizer.encode(FIRST + LAST)


def test_a_last_turn_that_is_too_long_keeps_its_marker_and_its_end(tokenizer):
  """The Human marker stays, the left of the turn goes (checklist 12)."""
  last = tokenizer.encode(LAST)
  ids, cut = encode_prompt(tokenizer, FIRST + LAST, 6)
  assert ids == [tokenizer.human_id, *last[-5:]]
  assert ids[-1] == tokenizer.assistant_id
  assert cut == len(tokenizer.encode(FIRST + LAST)) - 6


@settings(deadline=None, max_examples=100)
@given(
  st.lists(st.text('ab \n', max_size=20), min_size=1, max_size=4),
  st.text('ab \n', max_size=30),
  st.integers(2, 30),
  st.integers(1, 20),
)
def test_truncation_keeps_its_promises(
  tokenizer, turns, reply, room, max_reply
):
  """The reply does not pay for the prompt (checklist 12)."""
  prompt = '\n\nHuman: x\n\nAssistant: y'.join(
    f'\n\nHuman:{turn}\n\nAssistant:' for turn in turns
  )
  ids, prompt_length, cuts = encode_example(
    tokenizer, prompt, reply, room + max_reply, max_reply
  )
  whole = tokenizer.encode(prompt)
  assert prompt_length <= room
  assert ids[0] == tokenizer.human_id
  assert ids[prompt_length - 1] == tokenizer.assistant_id
  assert ids[1:prompt_length] == whole[len(whole) - prompt_length + 1 :]
  assert cuts.prompt == len(whole) - prompt_length
  ended = [*tokenizer.encode(reply), tokenizer.eos_id]
  assert ids[prompt_length:] == ended[:max_reply]
  assert cuts.reply == len(ended) - len(ids[prompt_length:])


def test_a_reply_that_fills_its_room_has_no_end_token(tokenizer):
  text = ' One, two, and so on.'
  ids = tokenizer.encode(text)
  assert encode_reply(tokenizer, text, len(ids) + 1) == (
    [*ids, tokenizer.eos_id],
    0,
  )
  assert encode_reply(tokenizer, text, len(ids)) == (ids, 1)
  assert encode_reply(tokenizer, text, len(ids) - 2) == (ids[:-2], 3)


def test_impossible_requests_are_refused(tokenizer):
  with pytest.raises(DialogueError, match='not a prompt'):
    encode_prompt(tokenizer, FIRST, 20)
  with pytest.raises(ValueError, match='2 prompt tokens'):
    encode_example(tokenizer, LAST, ' One.', max_length=20, max_reply=19)
  with pytest.raises(ValueError, match='max_reply'):
    encode_reply(tokenizer, ' One.', 0)


def test_padding_goes_right_and_lengths_tell_what_is_real():
  tokens_BT, length_B = pad_batch([[5, 6], [], [7, 7, 7]], 4, pad_id=7)
  np.testing.assert_array_equal(
    tokens_BT, [[5, 6, 7, 7], [7, 7, 7, 7], [7, 7, 7, 7]]
  )
  np.testing.assert_array_equal(length_B, [2, 0, 3])
  assert tokens_BT.dtype == length_B.dtype == np.int32
  with pytest.raises(ValueError, match='at most 2 tokens, got one of 3'):
    pad_batch([[1], [1, 2, 3]], 2, pad_id=0)


def test_end_of_context_stands_where_the_model_is_read_and_only_there():
  """Appended at position length, one more column (checklist 32)."""
  tokens_BT = np.array([[5, 6, 0], [5, 6, 8]], np.int32)
  length_B = np.array([2, 3], np.int32)
  tokens, length = append_end_of_context(tokens_BT, length_B, 9, pad_id=0)
  np.testing.assert_array_equal(tokens, [[5, 6, 9, 0], [5, 6, 8, 9]])
  np.testing.assert_array_equal(length, [3, 4])
  assert (tokens[np.arange(2), length - 1] == 9).all()
  np.testing.assert_array_equal(tokens_BT, [[5, 6, 0], [5, 6, 8]])
