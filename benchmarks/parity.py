"""Do the fast paths of an accelerator compute what the plain ones compute?

- cuDNN's attention against plain products in float32, values and gradients;
- log-probabilities in chunks against all logits at once, values and gradients;
- decoding from a cache against the full forward pass.

An error is relative: max |got - expected| / max |expected|. One above its
tolerance, or NaN, is a `ParityError`. Part of `benchmarks.gpu`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import config_of
from rlhf_jax.losses.chunked import token_logps
from rlhf_jax.models import attention
from rlhf_jax.models.build import build
from rlhf_jax.types import SplitModel

ATTENTION_TOLERANCE = 2e-2  # bfloat16 has 8 bits: 4e-3 a rounding
TOLERANCE = {'bfloat16': 5e-2, 'float32': 1e-4}
ROWS, CHUNK = 4, 16

# (tokens, query heads, key heads, how far below 0 all logits lie). 64, 192, ...
# tokens with low logits gave NaN gradients: pytorch issue 196678.
ATTENTION_CASES = (
  (128, 8, 8, 0),
  (129, 8, 8, 0),
  (192, 8, 2, 120),
  (512, 8, 8, 0),
)


class ParityError(RuntimeError):
  """Two ways to compute the same disagree."""


def relative_error(got, expected):
  """Relative error over all leaves together, as above; NaN spreads."""
  flat = lambda tree: np.concatenate(
    [np.ravel(np.asarray(x, np.float64)) for x in jax.tree.leaves(tree)]
  )
  got_N, expected_N = flat(got), flat(expected)
  return float(np.abs(got_N - expected_N).max() / np.abs(expected_N).max())


def require(metric, error, tolerance):
  """Raises a ParityError that names the metric, unless error <= tolerance."""
  if not error <= tolerance:
    raise ParityError(
      f'{metric}: relative error {error:.3g}, wanted at most {tolerance:.3g}'
    )


def attention_arrays(T, H, G, low, dtype, head_size=64):
  """(q, k, v), ragged lengths, and a weight that is 0 at pads.

  The first feature of q and k moves all logits down by `low`.
  """
  rng = np.random.default_rng(T)
  q, k, v, weight = (
    rng.normal(size=(ROWS, heads, T, head_size)) for heads in (H, G, G, H)
  )
  q[..., 0], k[..., 0] = 1.0, -low * head_size**0.5
  length_B = np.array([T, T - 1, T // 2, 1], np.int32)
  weight *= (np.arange(T) < length_B[:, None])[:, None, :, None]
  return (*(jnp.asarray(x, dtype) for x in (q, k, v)), length_B, weight)


def attention_results(function, arrays, weight):
  """Output and gradients, float32; without the first feature (see above)."""

  def loss(*arrays):
    out = function(*arrays).astype(jnp.float32)
    return (out * weight).sum(), jnp.where(weight != 0, out, 0)

  grads, out = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*arrays)
  finite = all(bool(jnp.isfinite(g).all()) for g in grads)
  results = [x.astype(jnp.float32)[..., 1:] for x in (out, *grads)]
  return results if finite else [x * jnp.nan for x in results]


def attention_error(function, T, H, G, low, dtype='bfloat16'):
  """Error of function(q, k, v, length_B) against plain float32 attention."""
  *arrays, length_B, weight = attention_arrays(T, H, G, low, dtype)
  real_BT = np.arange(T) < length_B[:, None]
  mask_BTS = np.tril(np.ones((T, T), bool)) & real_BT[:, None]
  with jax.default_matmul_precision('highest'):
    expected = attention_results(
      lambda q, k, v: attention.attend(q, k, v, mask_BTS),
      [x.astype(jnp.float32) for x in arrays],
      weight,
    )
  got = attention_results(
    lambda q, k, v: function(q, k, v, length_B), arrays, weight
  )
  return relative_error(got, expected)


def chunked_error(model, params, tokens_BT, first_B, length_B):
  """Error of chunked log-probabilities, and of the gradient of their mean."""

  def results(chunk):
    split = SplitModel(model.hidden_fn, model.head_fn, chunk)

    def loss(params):
      hidden_BTD = model.hidden_fn(params, tokens_BT, length_B)
      logp_BT = token_logps(
        split, params, hidden_BTD, tokens_BT, first_B, length_B
      )
      place_T = jnp.arange(tokens_BT.shape[1])
      mask_BT = (place_T >= first_B[:, None]) & (place_T < length_B[:, None])
      logp_BT = jnp.where(mask_BT, logp_BT, 0)
      return logp_BT.sum() / mask_BT.sum(), logp_BT

    return jax.jit(jax.grad(loss, has_aux=True))(params)

  (grads, logp_BT), (dense_grads, dense_logp_BT) = results(CHUNK), results(None)
  return max(
    relative_error(logp_BT, dense_logp_BT), relative_error(grads, dense_grads)
  )


def decode_error(model, params, tokens_BT, prompt_length_B, replies):
  """Error of the logits of cached decoding against the full forward pass.

  Row b is its prompt of prompt_length[b] tokens, then `replies` tokens.
  """
  P, rows_B1 = int(prompt_length_B.max()), jnp.arange(len(tokens_BT))[:, None]
  reply_BR = prompt_length_B[:, None] + jnp.arange(replies)
  logits_BTV = jax.jit(model.logits_fn)(
    params, tokens_BT, prompt_length_B + replies
  )

  def decode(params):
    _, cache = model.prefill_fn(
      params, tokens_BT[:, :P], prompt_length_B, P + replies
    )

    def one(cache, step):
      token_B, position_B = step
      logits_BV, cache = model.decode_fn(params, token_B, position_B, cache)
      return cache, logits_BV

    steps = (tokens_BT[rows_B1, reply_BR].T, reply_BR.T)
    return jax.lax.scan(one, cache, steps)[1].swapaxes(0, 1)

  return relative_error(jax.jit(decode)(params), logits_BTV[rows_B1, reply_BR])


def model_errors(shape, dtype):
  """{metric: error} of a model of this shape that computes in `dtype`."""
  model = build(config_of(shape._replace(dtype=dtype)))
  params = model.init(jax.random.key(0))
  P, R = shape.prompt_length, shape.reply_length
  prompt_length_B = jnp.array([P, P - 1, P // 2, 1])
  tokens_BT = jax.random.randint(
    jax.random.key(1), (ROWS, P + R), 0, shape.vocab_size
  )
  rows = (tokens_BT, prompt_length_B, prompt_length_B + R)
  return {
    f'chunked_{dtype}_error': chunked_error(model, params, *rows),
    f'decode_{dtype}_error': decode_error(model, params, *rows[:2], R),
  }


def measure(shape):
  """Yields lines (metric, value, unit), a few at a time.

  The value is None where there is no cuDNN to compare.

  Raises:
    ParityError: if two ways disagree, after their line.
  """
  capability = attention.cuda_capability()
  for T, H, G, low in ATTENTION_CASES:
    metric = f'attention_{T}_{H}_{G}_error'
    if not attention.cudnn_takes(capability, 'bfloat16', T, 64):
      yield [(metric, None, 'ratio')]
      continue
    error = attention_error(attention.attend_by_length, T, H, G, low)
    yield [(metric, error, 'ratio')]
    require(metric, error, ATTENTION_TOLERANCE)
  for dtype, tolerance in TOLERANCE.items():
    precision = 'highest' if dtype == 'float32' else None
    with jax.default_matmul_precision(precision):
      errors = model_errors(shape, dtype)
    for metric, error in errors.items():
      yield [(metric, error, 'ratio')]
      require(metric, error, tolerance)
