"""Exact parameter and FLOP counts of a Transformer config."""

from rlhf_jax.models.attention import query_blocks


def parameter_counts(config):
  """Parameters by part.

  Returns:
    dict with `embedding` (token, position and untied head), `blocks` (all
    layers, norms and biases included), `final_norm`, and `total`.
  """
  D, K = config.d_model, config.head_size
  qkv_out = (config.n_heads + 2 * config.n_kv_heads) * K
  mlp_in = (2 if config.activation == 'swiglu' else 1) * config.d_mlp
  weights = D * qkv_out + config.n_heads * K * D
  weights += D * mlp_in + config.d_mlp * D
  weights += qkv_out if config.qkv_bias else 0
  weights += D if config.out_bias else 0
  weights += mlp_in + D if config.mlp_bias else 0
  weights += 2 * K if config.qk_norm else 0
  norm = D if config.norm == 'rms' else 2 * D
  embedding = config.vocab_size * D * (1 if config.tied else 2)
  if config.positions == 'learned':
    embedding += config.max_length * D
  blocks = config.n_layers * (weights + 2 * norm)
  return {
    'embedding': embedding,
    'blocks': blocks,
    'final_norm': norm,
    'total': embedding + blocks + norm,
  }


def forward_flops(config, T, logits=True, read=None):
  """FLOPs of the matrix products of one forward pass over T tokens.

    2 FLOPs a multiply-add: projections and MLP 2 T (weights), attention
    2 * 2 H K a layer for each query and each key that it is multiplied with
    (scores and mixing; those of `query_blocks`, masked ones included), head
    2 T D V.

  Of the last layer, and for the head, only the columns that are read count,
  but for the keys and values.

  Training costs three times as much (one forward, two backward products).

  Args:
    config: TransformerConfig.
    T: tokens.
    logits: whether the next-token head belongs to it.
    read: columns whose activations are wanted, S; None: all T.
  """
  D, K, H = config.d_model, config.head_size, config.n_heads
  keys_values = D * 2 * config.n_kv_heads * K
  mlp_in = (2 if config.activation == 'swiglu' else 1) * config.d_mlp
  rest = 2 * D * H * K + D * mlp_in + config.d_mlp * D
  layer = lambda S, looked_at: (
    2 * T * keys_values + 2 * S * rest + 4 * H * K * looked_at
  )
  whole = sum((end - first) * end for first, end in query_blocks(T))
  last = layer(T, whole) if read is None else layer(read, read * T)
  head = 2 * (read or T) * D * config.vocab_size if logits else 0
  return (config.n_layers - 1) * layer(T, whole) + last + head
