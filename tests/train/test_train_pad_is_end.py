"""SmolLM2 pads with its end token: what the steps make of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.records import make_comparison
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.evals.preference import pair_batch
from rlhf_jax.text.encode import encode_example, pad_batch
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import LMBatch, LMHyper
from tests.pretrained_files import smollm2_or_skip

FRANCE = '\n\nHuman: What is the capital of France?\n\nAssistant:'
REPLIES = (' Paris.', ' It is Paris, the city on the Seine.')


@pytest.fixture(scope='module')
def tokenizer():
  path = smollm2_or_skip()
  from rlhf_jax.text.pretrained import PretrainedTokenizer

  return PretrainedTokenizer.from_gguf(path)


@pytest.fixture(scope='module')
def loss_of(tokenizer):
  """Loss of a model that gives the end token the logit 5, others 0."""
  bias_V = jnp.zeros(tokenizer.vocab_size).at[tokenizer.eos_id].set(5.0)
  logits_fn = lambda params, tokens_BT, _: jnp.broadcast_to(
    params, (*tokens_BT.shape, len(bias_V))
  )
  tx = make_optimiser()
  step = jax.jit(make_lm_step(logits_fn, tx))

  def loss(batch):
    state = init_state(bias_V, tx)
    return float(step(state, batch, jax.random.key(0), LMHyper(0.1))[1]['loss'])

  return loss


@pytest.mark.parametrize('whole', [True, False])
def test_the_end_is_learned_once_a_reply_and_pads_never(
  tokenizer, loss_of, whole
):
  """In pretraining and in finetuning on replies (checklist 1, 8)."""
  encoded = [encode_example(tokenizer, FRANCE, r, 64, 20) for r in REPLIES]
  rows = [ids for ids, *_ in encoded]
  start_B = [0 if whole else length for _, length, _ in encoded]
  tokens_BT, length_B = pad_batch(rows, 64, tokenizer.pad_id)
  learned = [
    i
    for row, start in zip(rows, start_B, strict=True)
    for i in row[max(start, 1) :]
  ]
  ends = learned.count(tokenizer.eos_id)
  assert ends == (6 if whole else 2)  # the template has two before each reply
  normaliser = np.log(tokenizer.vocab_size - 1 + np.exp(5.0))
  expected = normaliser - 5.0 * ends / len(learned)
  batch = LMBatch(tokens_BT, length_B, np.array(start_B, np.int32))
  assert loss_of(batch) == pytest.approx(expected, abs=1e-4)
  other_BT, _ = pad_batch(rows, 64, 77)
  assert loss_of(batch._replace(tokens_BT=other_BT)) == loss_of(batch)


def test_both_sides_of_a_pair_are_read_at_their_end_of_context(tokenizer):
  """Also where they share their prompt in one row (checklist 1, 32)."""
  record = make_comparison(*(FRANCE + r for r in REPLIES), 'tests/here')
  pairs, counts = encode_pairs([record], tokenizer, 64, 20)
  assert counts['kept'] == 1
  shared = share_prefix(pair_batch(pairs), pad_id=tokenizer.pad_id)
  read = np.asarray(shared.tokens_BT)[0, np.asarray(shared.last_B2)[0]]
  assert (read == tokenizer.end_of_context_id).all()
  tokens_T = np.asarray(shared.tokens_BT)[0]
  assert (tokens_T == tokenizer.end_of_context_id).sum() == 2
  before = tokens_T[np.asarray(shared.last_B2)[0] - 1]
  assert (before == tokenizer.eos_id).all()
