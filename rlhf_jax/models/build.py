"""Building of a model: a config becomes plain functions of parameters.

Parameters are nested dicts: a language model is {'trunk'}; a preference model
or a value function is {'trunk', 'head'}; a policy that shares its trunk with
the value function is {'trunk', 'head'} too. The names are the checkpoint format
and the sharding keys.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses.masked import length_mask
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.heads import ScalarHead
from rlhf_jax.models.transformer import Transformer


class Model(NamedTuple):
  """Functions of one architecture; see docs/architecture.md for shapes."""

  config: TransformerConfig
  init: Any
  init_head: Any
  logits_fn: Any
  score_fn: Any
  candidate_score_fn: Any
  pair_score_fn: Any
  value_fn: Any
  logits_and_value_fn: Any
  hidden_fn: Any
  hidden_and_value_fn: Any
  head_fn: Any
  prefill_fn: Any
  decode_fn: Any


def build(config):
  """Builds every function of a Transformer with a scalar head.

  Args:
    config: TransformerConfig.

  Returns:
    Model. `init(rng)` gives {'trunk'}; `init_head(rng, kind)` gives a 'head'
    for it, `kind` being 'score' (normal with std 1 / sqrt(D + 1), Stiennon et
    al. 2020, appendix B.1) or 'zero'. `logits_fn` is `head_fn` after
    `hidden_fn`; both take segment_BT as an optional argument, for rows that
    hold several texts. `hidden_fn`, `value_fn` and `hidden_and_value_fn` take
    read_BS, the columns that are wanted; `hidden_fn` also prefix_B, columns
    that all texts of a row begin with. `candidate_score_fn` is `score_fn` of
    all sides of `SharedCandidates` in one pass: (params, rows) -> score_BC;
    `pair_score_fn` of both of `SharedPairs`: -> (chosen_B, rejected_B).
  """
  trunk, head = Transformer(config), ScalarHead(config.d_model)
  run = lambda method, params, *args, **options: trunk.apply(
    {'params': params['trunk']}, *args, method=method, **options
  )
  scalar = lambda params, x: head.apply({'params': params['head']}, x)
  init, init_head = _initialisers(trunk, head)
  hidden_fn, shared_hidden_fn = _readers(run)

  def head_fn(params, hidden):
    return run('unembed', params, hidden)

  def logits_fn(params, tokens_BT, length_B, segment_BT=None):
    return head_fn(params, hidden_fn(params, tokens_BT, length_B, segment_BT))

  def hidden_and_value_fn(params, tokens_BT, length_B, read_BS=None):
    hidden = hidden_fn(params, tokens_BT, length_B, read_BS=read_BS)
    return hidden, scalar(params, hidden)

  def logits_and_value_fn(params, tokens_BT, length_B):
    hidden_BTD, value_BT = hidden_and_value_fn(params, tokens_BT, length_B)
    return head_fn(params, hidden_BTD), value_BT

  def prefill_fn(params, tokens_BP, length_B, cache_slots):
    return run('prefill', params, tokens_BP, length_B, cache_slots)

  def decode_fn(params, token_B, position_B, cache):
    return run('decode', params, token_B, position_B, cache)

  return Model(
    config=config,
    init=init,
    init_head=init_head,
    logits_fn=logits_fn,
    logits_and_value_fn=logits_and_value_fn,
    hidden_fn=hidden_fn,
    hidden_and_value_fn=hidden_and_value_fn,
    head_fn=head_fn,
    prefill_fn=prefill_fn,
    decode_fn=decode_fn,
    **_scorers(scalar, hidden_and_value_fn, shared_hidden_fn),
  )


def _scorers(scalar, hidden_and_value_fn, shared_hidden_fn):
  """{name: function} of `build`'s that give the numbers of the head alone."""

  def value_fn(params, tokens_BT, length_B, read_BS=None):
    return hidden_and_value_fn(params, tokens_BT, length_B, read_BS)[1]

  def score_fn(params, tokens_BT, length_B):
    last_B1 = (length_B - 1)[:, None]
    return value_fn(params, tokens_BT, length_B, last_B1)[:, 0]

  def candidate_score_fn(params, rows):
    return scalar(params, shared_hidden_fn(params, rows, rows.last_BC))

  def pair_score_fn(params, pairs):
    score_B2 = scalar(params, shared_hidden_fn(params, pairs, pairs.last_B2))
    return score_B2[:, 0], score_B2[:, 1]

  return {
    'value_fn': value_fn,
    'score_fn': score_fn,
    'candidate_score_fn': candidate_score_fn,
    'pair_score_fn': pair_score_fn,
  }


def _initialisers(trunk, head):
  """(init, init_head) of `build`."""

  def init(rng):
    tokens = jnp.zeros((1, 2), jnp.int32)
    return {'trunk': trunk.init(rng, tokens, jnp.ones_like(tokens))['params']}

  def init_head(rng, kind='score'):
    params = head.init(rng, jnp.zeros((1, head.d_model)))['params']
    if kind == 'zero':
      return jax.tree.map(jnp.zeros_like, params)
    if kind != 'score':
      raise ValueError(f"head kind must be 'score' or 'zero', got {kind!r}")
    return params

  return init, init_head


def _readers(run):
  """(hidden_fn, that of sides which share a prefix, at some columns)."""

  def hidden_fn(
    params, tokens_BT, length_B, segment_BT=None, read_BS=None, prefix_B=None
  ):
    return run(
      'hidden',
      params,
      tokens_BT,
      length_mask(length_B, tokens_BT.shape[1]),
      length_B=length_B,
      segment_BT=segment_BT,
      prefix_B=prefix_B,
      read_BS=read_BS,
    )

  def shared_hidden_fn(params, rows, read_BS):
    return run(
      'hidden',
      params,
      rows.tokens_BT,
      rows.segment_BT > 0,
      segment_BT=rows.segment_BT,
      prefix_B=rows.prefix_B,
      read_BS=read_BS,
    )

  return hidden_fn, shared_hidden_fn
