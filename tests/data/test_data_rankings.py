"""Rankings as records, as arrays, and as all of their comparisons."""

import json

import numpy as np
import pytest

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.rankings import (
  encode_rankings,
  make_ranking,
  of_conversation,
  pairs_of,
  read_rankings,
  write_rankings,
)
from rlhf_jax.data.records import prompt_hash
from rlhf_jax.data.shared import share_candidates, share_prefix
from rlhf_jax.types import CandidateBatch, PairBatch

CAT, CAFE = (
  '\n\nHuman: Name a cat.\n\nAssistant:',
  '\n\nHuman: A?\n\nAssistant:',
)


def rankings():
  """Four replies with a tie, two of another prompt, and no order at all."""
  four = (' Tom.', ' Rex.', ' Felix the cat.', ' I will not.')
  return [
    make_ranking(CAT, four, (1, 2, 0, 1), 'here'),
    make_ranking(CAFE, (' Yes.', ' no'), (1, 0), 'there', 'harmless'),
    make_ranking(CAT, (' Tom.', ' Rex.'), (0, 0), 'here'),
  ]


@pytest.mark.parametrize('name', ['x.jsonl', 'deep/x.jsonl.gz'])
def test_rankings_are_read_as_they_were_written(name, tmp_path):
  write_rankings(tmp_path / name, rankings())
  assert read_rankings(tmp_path / name) == rankings()


@pytest.mark.parametrize(
  'changed',
  [
    {'prompt': '\n\nHuman: no marker'},
    {'prompt': CAT + ' Tom.'},
    {'ranks': [0]},
    {'ranks': [0, -1]},
    {'ranks': [0, 0.5]},
    {'ranks': None},
    {'replies': [' a', 3]},
    {'replies': []},
    {'kind': 'rude'},
    {'source': ...},
  ],
)
def test_a_line_that_is_no_ranking_is_named(changed, tmp_path):
  row = {'prompt': CAT, 'replies': [' a', ' b'], 'ranks': [0, 1], 'source': 's'}
  bad = {k: v for k, v in (row | changed).items() if v is not ...}
  file = tmp_path / 'x.jsonl'
  file.write_text(json.dumps(row) + '\n' + json.dumps(bad) + '\n')
  with pytest.raises(DataError, match='x.jsonl:2: wanted prompt, replies'):
    read_rankings(file)


def test_rankings_of_one_conversation_have_one_id():
  later = CAT + ' Tom.\n\nHuman: Another.\n\nAssistant:'
  first, second = (make_ranking(x, [' a'], (0,), 's') for x in (CAT, later))
  assert first.prompt_id == prompt_hash(CAT) != second.prompt_id
  ids = {of_conversation(item).prompt_id for item in (first, second)}
  assert ids == {prompt_hash(' Name a cat.')}


def test_a_file_that_is_not_there_is_named(tmp_path):
  with pytest.raises(DataError, match='gone.jsonl is no file: wanted JSON'):
    read_rankings(tmp_path / 'gone.jsonl')


def test_rows_hold_each_reply_in_its_place(tokenizer):
  """Prompt, reply, end, end-of-context; what is missing has rank -1."""
  arrays, counts = encode_rankings(rankings(), tokenizer, 60, 20)
  assert counts == {'read': 3, 'kept': 2, 'no order': 1}
  assert arrays.tokens_NCT.shape == (2, 4, 61)
  np.testing.assert_array_equal(arrays.rank_NC, [[1, 2, 0, 1], [1, 0, -1, -1]])
  for n, item in enumerate(rankings()[:2]):
    for c, reply in enumerate(item.replies):
      wanted = [
        *tokenizer.encode(item.prompt + reply),
        tokenizer.eos_id,
        tokenizer.end_of_context_id,
      ]
      length = arrays.length_NC[n, c]
      assert arrays.tokens_NCT[n, c, :length].tolist() == wanted
      assert (arrays.tokens_NCT[n, c, length:] == tokenizer.pad_id).all()
      assert arrays.words_NC[n, c] == len(reply.split())
  assert arrays.length_NC[1].tolist()[2:] == [0, 0]
  assert arrays.kind_N.tolist() == [0, 1] and arrays.turn_N.tolist() == [1, 1]
  assert arrays.prompt_index_N.tolist() == [0, 1]
  assert arrays.source_N.tolist() == ['here', 'there']
  wide, _ = encode_rankings(rankings(), tokenizer, 60, 20, candidates=6)
  assert wide.rank_NC.shape == (2, 6) and (wide.rank_NC[:, 4:] == -1).all()


def test_replies_that_teach_nothing_are_left_out_and_counted(tokenizer):
  """Cut to two tokens the first and the last are one; all are of one prompt."""
  replies = (' Tom the cat', ' ', ' Rex.', ' Tom the dog')
  ranking = make_ranking(CAT, replies, (0, 1, 2, 3), 'here')
  arrays, counts = encode_rankings([ranking], tokenizer, 60, 2)
  assert counts['empty reply'] == counts['equal after truncation'] == 1
  np.testing.assert_array_equal(arrays.rank_NC, [[0, 2]])
  alone = make_ranking(CAT, (' Tom.', ' '), (0, 1), 'here')
  _, counts = encode_rankings([alone], tokenizer, 60, 20)
  assert counts['kept'] == 0 and counts['no order'] == 1
  kept, _ = encode_rankings([alone], tokenizer, 60, 20, ordered=False)
  assert kept.rank_NC.tolist() == [[0]]


def test_all_comparisons_are_there_once_the_better_one_chosen(tokenizer):
  """Of four replies with a tie 5, of two 1; every ranking weighs the same."""
  arrays, _ = encode_rankings(rankings(), tokenizer, 60, 20)
  pairs, place_M3, weight_M = pairs_of(arrays)
  wanted = {(0, 2, 0), (0, 2, 1), (0, 2, 3), (0, 0, 1), (0, 3, 1), (1, 1, 0)}
  assert {tuple(row) for row in place_M3.tolist()} == wanted
  assert len(place_M3) == 6
  for m, (n, good, bad) in enumerate(place_M3):
    for side, c in (('chosen', good), ('rejected', bad)):
      tokens_NT = getattr(pairs, f'{side}_tokens_NT')
      np.testing.assert_array_equal(tokens_NT[m], arrays.tokens_NCT[n, c])
      assert getattr(pairs, f'{side}_length_N')[m] == arrays.length_NC[n, c]
      assert getattr(pairs, f'words_{side}_N')[m] == arrays.words_NC[n, c]
  np.testing.assert_array_equal(pairs.kind_N, place_M3[:, 0])
  np.testing.assert_array_equal(pairs.prompt_index_N, place_M3[:, 0])
  assert np.isnan(pairs.p_label_N).all()
  np.testing.assert_allclose(weight_M, [0.6] * 5 + [3.0], rtol=1e-6)
  assert weight_M.mean() == pytest.approx(1.0)


def test_weighted_comparisons_have_the_loss_of_the_rankings(tokenizer):
  """Sum over pairs of w x, over its weight, is the mean of prompts' means."""
  arrays, _ = encode_rankings(rankings(), tokenizer, 60, 20)
  _, place_M3, weight_M = pairs_of(arrays)
  score_NC = np.random.default_rng(0).normal(size=arrays.rank_NC.shape)
  row_M, good_M, bad_M = place_M3.T
  loss_M = np.log1p(np.exp(score_NC[row_M, bad_M] - score_NC[row_M, good_M]))
  means = [loss_M[row_M == n].mean() for n in range(2)]
  pooled = (weight_M * loss_M).sum() / weight_M.sum()
  assert pooled == pytest.approx(np.mean(means), rel=1e-6)


def test_a_row_of_candidates_reads_every_reply_once(tokenizer):
  """In its pairs each stands as often as it is compared (checklist 23)."""
  arrays, _ = encode_rankings(rankings()[:1], tokenizer, 60, 20)
  batch = arrays.tokens_NCT, arrays.length_NC, arrays.rank_NC
  together = share_candidates(CandidateBatch(*batch))
  pairs = pairs_of(arrays).pairs
  apart = share_prefix(PairBatch(*pairs[:4]))
  ends = lambda rows: (rows.tokens_BT == tokenizer.end_of_context_id).sum()
  assert ends(together) == 4 and ends(apart) == 2 * 5
  assert (together.segment_BT == 1).sum() < (apart.segment_BT == 1).sum() / 4
