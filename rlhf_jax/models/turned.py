"""Kernels stored the other way round, as a few rows read them fastest.

A kernel is [K, N] in every checkpoint. A decoding step multiplies B rows by it,
and a CPU's library takes less time for that if the kernel lies in memory as
[N, K], where rows are few (`benchmarks/real_decode.py`).

    x_BK @ W_KN  =  x_BK @ (W_NK)^T

With weights kept in bfloat16 half as many bytes are read, which is what bounds
a single row; for more rows than one the compiler writes the kernel out in
float32 first, and it is slower.
"""

import jax.numpy as jnp

PLAIN, TURNED = 'kernel', 'kernel_turned'
READ_WHOLE = ('embed', 'lm_head')  # [V, D] as they are


def turn_kernels(params, dtype=None):
  """Parameters for sampling: every kernel [N, K] in place of [K, N].

  Every function of `build`'s Model takes them. They are for use, not for
  training, adapters or checkpoints, which know kernels by their names.

  Args:
    params: nested dict.
    dtype: of kernels, embedding and next-token head; None: as they are.

  Returns:
    A new nested dict; arrays that are not turned or rounded are shared.
  """
  found = {}
  for name, value in params.items():
    if isinstance(value, dict):
      found[name] = turn_kernels(value, dtype)
    elif name == PLAIN and value.ndim == 2:
      found[TURNED] = jnp.asarray(value.T, dtype or value.dtype)
    elif name in READ_WHOLE and dtype:
      found[name] = jnp.asarray(value, dtype)
    else:
      found[name] = value
  return found
