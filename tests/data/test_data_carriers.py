"""Replies of rankings, two by two: each is there, and found again."""

import numpy as np
import pytest

from rlhf_jax.data.carriers import carriers_of, gathered
from rlhf_jax.data.rankings import encode_rankings, make_ranking
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.types import PairBatch

CAT, DOG = (f'\n\nHuman: A {x}?\n\nAssistant:' for x in ('cat', 'big dog'))
CATS = (' Tom.', ' ', ' Rex.', ' Felix.', ' I.')


@pytest.fixture
def rankings(tokenizer):
  """Five replies, of which an empty one is left out, and three, and two."""
  items = [
    make_ranking(CAT, CATS, (0, 1, 2, 3, 4), 's'),
    make_ranking(DOG, (' a', ' bc', ' def'), (1, 0, 1), 's', 'harmless'),
    make_ranking(DOG, (' Yes', ' no no'), (1, 0), 's'),
  ]
  return encode_rankings(items, tokenizer, 40, 20, candidates=6)[0]


def read(rows):
  """Features that tell their tokens: of prompt and sides, [M, 3, 1, 1, 2]."""
  told = []
  for i in range(len(rows.kind_N)):
    start = rows.prompt_length_N[i]
    texts = [rows.chosen_tokens_NT[i, :start]]
    for side in ('chosen', 'rejected'):
      length = getattr(rows, f'{side}_length_N')[i]
      texts.append(getattr(rows, f'{side}_tokens_NT')[i, start:length])
    told.append([[x.sum(), len(x)] for x in texts])
  return np.array(told, np.float32)[:, :, None, None]


def test_every_reply_finds_what_was_read_of_it_and_others_are_0(rankings):
  found = carriers_of(rankings)
  assert found.place_M3.tolist() == [
    *([0, 0, 1], [0, 2, 3]),
    *([1, 0, 1], [1, 1, 2]),
    [2, 0, 1],
  ]
  prompt, reply = gathered(read(found.pairs), found.place_M3, 6)
  assert reply.shape == (3, 6, 1, 1, 2) and reply.dtype == np.float32
  for i in range(3):
    start = rankings.prompt_length_N[i]
    tokens_CT = rankings.tokens_NCT[i]
    assert prompt[i, 0, 0].tolist() == [tokens_CT[0, :start].sum(), start]
    for c, length in enumerate(rankings.length_NC[i]):
      text = tokens_CT[c, start:length]
      assert reply[i, c, 0, 0].tolist() == [text.sum(), len(text)], (i, c)


def test_carriers_are_rows_that_a_reader_of_pairs_takes(rankings):
  pairs = carriers_of(rankings).pairs
  rows = share_prefix(
    PairBatch(
      pairs.chosen_tokens_NT,
      pairs.chosen_length_N,
      pairs.rejected_tokens_NT,
      pairs.rejected_length_N,
    )
  )
  assert (rows.prefix_B >= pairs.prompt_length_N).all()
  assert pairs.kind_N.tolist() == [0, 0, 1, 1, 0]
  assert pairs.prompt_index_N.tolist() == [0, 0, 1, 1, 1]
  assert pairs.words_chosen_N.tolist()[2:] == [1, 1, 1]
  assert pairs.words_rejected_N.tolist()[-1] == 2


def test_a_single_reply_is_an_error(rankings):
  rankings.rank_NC[2, 1] = -1
  with pytest.raises(ValueError, match='two replies of a ranking.*got 1'):
    carriers_of(rankings)
