"""More tokens for a model that has been trained without them."""

import dataclasses

import jax.numpy as jnp


def grow_vocabulary(config, params, n=1):
  """Adds n tokens at the end of the vocabulary: (config, params).

  The new rows of the embedding, and of an untied head, are the mean of the
  others: what the model expects of a token it knows nothing of.

  Reference: Hewitt 2021, "Initializing New Word Embeddings for Pretrained
  Language Models".

  Args:
    config: TransformerConfig.
    params: {'trunk'}, and what stands beside it, which stays.
    n: number of tokens.

  Raises:
    ValueError: if n is negative.
  """
  if n < 0:
    raise ValueError(f'wanted 0 new tokens or more, got {n}')
  trunk = dict(params['trunk'])
  for name in ('embed',) if config.tied else ('embed', 'lm_head'):
    rows_VD = jnp.asarray(trunk[name])
    mean_D = rows_VD.mean(0, dtype=jnp.float32).astype(rows_VD.dtype)
    new_ND = jnp.broadcast_to(mean_D, (n, len(mean_D)))
    trunk[name] = jnp.concatenate([rows_VD, new_ND])
  config = dataclasses.replace(config, vocab_size=config.vocab_size + n)
  return config, {**params, 'trunk': trunk}
