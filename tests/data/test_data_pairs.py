import math

import numpy as np
import pytest
from comparison_fixture import comparison

from rlhf_jax.data.pairs import encode_pairs, pairs_of, split_by_prompt
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text.dialogue import split_reply


def test_rows_hold_prompt_reply_end_and_end_of_context(comparisons, tokenizer):
  """End-of-context is the last real token and stands nowhere else.

  (checklist 32)
  """
  pairs, counts = encode_pairs(comparisons, tokenizer, 100, 40)
  assert counts['kept'] == counts['read'] == len(comparisons)
  assert pairs.chosen_tokens_NT.shape == (4, 101)
  for row, item in enumerate(comparisons):
    prompt, reply = split_reply(item.rejected)
    wanted = [
      *tokenizer.encode(prompt + reply),
      tokenizer.eos_id,
      tokenizer.end_of_context_id,
    ]
    length = pairs.rejected_length_N[row]
    assert pairs.rejected_tokens_NT[row, :length].tolist() == wanted
    assert (pairs.rejected_tokens_NT[row, length:] == tokenizer.pad_id).all()
    assert pairs.prompt_length_N[row] == len(tokenizer.encode(prompt))
  for tokens_NT, length_N in (
    (pairs.chosen_tokens_NT, pairs.chosen_length_N),
    (pairs.rejected_tokens_NT, pairs.rejected_length_N),
  ):
    rows, columns = np.nonzero(tokens_NT == tokenizer.end_of_context_id)
    np.testing.assert_array_equal(rows, np.arange(4))
    np.testing.assert_array_equal(columns, length_N - 1)


def test_the_columns_describe_the_comparisons(comparisons, tokenizer):
  later = make_comparison(
    comparisons[0].chosen + '\n\nHuman: Why?\n\nAssistant: a b c',
    comparisons[0].chosen + '\n\nHuman: Why?\n\nAssistant: d',
    'here',
  )
  pairs, _ = encode_pairs([*comparisons, later], tokenizer, 100, 40)
  assert pairs.kind_N.tolist() == [0, 1, 0, 0, 0]
  assert pairs.turn_N.tolist() == [1, 1, 1, 1, 2]
  assert pairs.prompt_index_N.tolist() == [0, 1, 2, 0, 3]
  assert pairs.words_chosen_N.tolist() == [1, 2, 3, 3, 3]
  assert pairs.words_rejected_N.tolist() == [3, 1, 2, 1, 1]
  np.testing.assert_array_equal(
    pairs.p_label_N, np.array([0.75, np.nan, 1, np.nan, np.nan], np.float32)
  )
  assert pairs.source_N.tolist() == [*['tests/here'] * 4, 'here']
  assert {a.dtype.name for a in pairs[:-1]} == {'int32', 'float32'}


def test_pairs_are_read_as_they_were_written_and_keep_their_sources(
  comparisons, tokenizer, tmp_path
):
  pairs, _ = encode_pairs(comparisons, tokenizer, 100, 40)
  np.savez(tmp_path / 'train.npz', **pairs._asdict())
  again = pairs_of(dict(np.load(tmp_path / 'train.npz')))
  for name, column in pairs._asdict().items():
    np.testing.assert_array_equal(getattr(again, name), column)
  taken = again.take([2, 0])
  np.testing.assert_array_equal(taken.source_N, pairs.source_N[[2, 0]])
  assert 'tests/here' in taken.source_N


def test_pairs_of_a_file_without_sources_are_read_with_empty_ones(
  comparisons, tokenizer, tmp_path
):
  """As they were written before sources were kept."""
  pairs, _ = encode_pairs(comparisons, tokenizer, 100, 40)
  columns = pairs._asdict()
  del columns['source_N']
  np.savez(tmp_path / 'old.npz', **columns)
  again = pairs_of(dict(np.load(tmp_path / 'old.npz')))
  assert again.source_N.tolist() == [''] * 4
  np.testing.assert_array_equal(again.kind_N, pairs.kind_N)


def test_pairs_equal_after_truncation_are_dropped_and_counted(tokenizer):
  """Equal from the start, or once cut to max_reply (checklist 13)."""
  items = [
    comparison('Hi', ' Tom.', ' Tom.'),
    comparison('Hi', ' 1234567', ' 1234568'),
    comparison('Hi', ' 1234567', ' 1234 8'),
  ]
  pairs, counts = encode_pairs(items, tokenizer, 40, 6)
  assert counts['equal after truncation'] == 2
  assert counts['kept'] == 1 and counts['reply cut'] == 1
  assert counts['read'] == 3
  assert (pairs.chosen_length_N == pairs.prompt_length_N + 6 + 1).all()
  whole, counts = encode_pairs(items, tokenizer, 40, 20)
  assert counts['equal after truncation'] == 1
  assert len(whole.turn_N) == 2


def test_empty_replies_are_dropped_and_counted(tokenizer):
  """No row without a reply is left (checklist 14)."""
  items = [
    comparison('Hi', '', ' Tom.'),
    comparison('Hi', ' Tom.', ' \n'),
    comparison('Hi', ' Tom.', ' Rex.'),
  ]
  pairs, counts = encode_pairs(items, tokenizer, 40, 10)
  assert counts['empty reply'] == 2 and counts['kept'] == 1
  assert (pairs.chosen_length_N > pairs.prompt_length_N + 1).all()
  none, counts = encode_pairs(items[:2], tokenizer, 40, 10)
  assert none.chosen_tokens_NT.shape == (0, 41) and counts['kept'] == 0


def test_dialogues_that_part_before_the_reply_are_counted(tokenizer):
  item = make_comparison(
    '\n\nHuman: Hi\n\nAssistant: a', '\n\nHuman: Ho\n\nAssistant: b', 'here'
  )
  _, counts = encode_pairs([item], tokenizer, 40, 10)
  assert counts['prompts differ'] == 1 and counts['kept'] == 0


def test_both_sides_of_a_cut_pair_see_the_same_prompt(tokenizer):
  """The room for the prompt ignores the reply (checklist 12)."""
  item = comparison('Name a cat. ' * 20, ' Tom.', ' 123456789')
  pairs, counts = encode_pairs([item], tokenizer, 40, 10)
  assert counts['prompt cut'] == 1
  length = pairs.prompt_length_N[0]
  assert length == 30
  np.testing.assert_array_equal(
    pairs.chosen_tokens_NT[0, :length], pairs.rejected_tokens_NT[0, :length]
  )
  assert pairs.chosen_tokens_NT[0, 0] == tokenizer.human_id
  assert pairs.chosen_tokens_NT[0, length - 1] == tokenizer.assistant_id


def test_take_takes_the_same_rows_of_every_column(comparisons, tokenizer):
  pairs, _ = encode_pairs(comparisons, tokenizer, 100, 40)
  taken = pairs.take(np.array([2, 0]))
  for column, whole in zip(taken, pairs, strict=True):
    np.testing.assert_array_equal(column, whole[[2, 0]])
  assert len(pairs.take(pairs.kind_N == 1).turn_N) == 1


def test_no_prompt_is_on_two_sides_of_a_split():
  """Train-PM and test-PM share no prompt (checklist 30)."""
  items = [
    comparison(f'question {n % 300}', f' a{n}', f' b{n}') for n in range(900)
  ]
  sides = split_by_prompt(items, [0.5, 0.3, 0.2], seed=1)
  prompts = [{item.prompt_id for item in side} for side in sides]
  assert not prompts[0] & prompts[1]
  assert not prompts[0] & prompts[2]
  assert not prompts[1] & prompts[2]
  together = [item for side in sides for item in side]
  assert sorted(c.chosen for c in together) == sorted(c.chosen for c in items)
  for side, share in zip(prompts, [0.5, 0.3, 0.2], strict=True):
    sigma = math.sqrt(share * (1 - share) / 300)
    assert abs(len(side) / 300 - share) < 4 * sigma
  for side in sides:
    assert side == [item for item in items if item in side]


def test_a_split_depends_on_the_seed_and_on_nothing_else():
  items = [comparison(f'question {n}', ' a', ' b') for n in range(60)]
  first, second = split_by_prompt(items, [0.5, 0.5], seed=1)
  assert split_by_prompt(items, [0.5, 0.5], seed=1) == [first, second]
  assert split_by_prompt(items, [0.5, 0.5], seed=2) != [first, second]
  assert split_by_prompt(items[::2], [0.5, 0.5], seed=1)[0] == [
    item for item in items[::2] if item in first
  ]
  with pytest.raises(ValueError, match='sum 1'):
    split_by_prompt(items, [0.5, 0.4], seed=1)
