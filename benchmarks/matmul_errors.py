"""Errors of products with inputs rounded to bfloat16, against float32.

    python -m benchmarks.matmul_errors [--json FILE] [--shape 197K S]

Fresh weights and random tokens of a shape, the same for both. No time is
measured; a processor without matrix units gives the same errors.
"""

import argparse
import json
import pathlib

import jax
import jax.flatten_util
import jax.numpy as jnp

from benchmarks.common import config_of, to_rows
from benchmarks.parity import relative_error
from benchmarks.shapes import SHAPES
from rlhf_jax.losses.language import token_logps
from rlhf_jax.models.build import build

ROWS = 4


def numbers(model, params, tokens_BT):
  """(logp_BT, score_B, loss, gradient of the loss as a vector)."""
  length_B = jnp.full(ROWS, tokens_BT.shape[1])

  def loss(params):
    logits_BTV = model.logits_fn(params, tokens_BT, length_B)
    logp_BT = token_logps(logits_BTV, tokens_BT)
    return -logp_BT[:, 1:].mean(), logp_BT

  (value, logp_BT), grads = jax.value_and_grad(loss, has_aux=True)(params)
  gradient = jax.flatten_util.ravel_pytree(grads['trunk'])[0]
  score_B = model.score_fn(params, tokens_BT, length_B)
  return logp_BT, score_B, value, gradient


def decoded(model, params, tokens_BT, P):
  """Log-probabilities [B, T - P - 1] of the tokens after P + 1, one by one."""
  length_B = jnp.full(ROWS, P)
  T = tokens_BT.shape[1]
  _, cache = model.prefill_fn(params, tokens_BT[:, :P], length_B, T)

  def one(cache, t):
    logits_BV, cache = model.decode_fn(
      params, tokens_BT[:, t], jnp.full(ROWS, t), cache
    )
    logp_BV = jax.nn.log_softmax(logits_BV)
    after_B1 = tokens_BT[:, t + 1, None]
    return cache, jnp.take_along_axis(logp_BV, after_B1, 1)[:, 0]

  return jax.lax.scan(one, cache, jnp.arange(P, T - 1))[1].T


def measure(shape):
  """[(metric, value, unit)] of a shape."""
  tokens_BT = jax.random.randint(
    jax.random.key(1), (ROWS, shape.length), 0, shape.vocab_size
  )
  P, found, again = shape.prompt_length, {}, {}
  for how in ('float32', 'bf16_f32'):
    model = build(config_of(shape._replace(matmul=how)))
    params = model.init(jax.random.key(0))
    params['head'] = model.init_head(jax.random.key(2))
    found[how] = jax.jit(numbers, static_argnums=0)(model, params, tokens_BT)
    logp = jax.jit(decoded, static_argnums=(0, 3))(model, params, tokens_BT, P)
    again[how] = float(jnp.abs(logp - found[how][0][:, P + 1 :]).max())
  (logp, score, loss, grad), exact = found['bf16_f32'], found['float32']
  off = logp - exact[0]
  return [
    ('log_probability_at_most', float(jnp.abs(off).max()), 'nats'),
    ('log_probability', float(jnp.sqrt((off**2).mean())), 'nats, rms'),
    ('loss', float(abs(loss - exact[2])), 'nats'),
    ('score', relative_error(score, exact[1]), 'relative'),
    ('gradient', relative_error(grad, exact[3]), 'relative'),
    ('decoding_in_float32', again['float32'], 'nats, at most'),
    ('decoding_in_bf16_f32', again['bf16_f32'], 'nats, at most'),
  ]


def main(argv=None):
  """Prints and writes the rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.matmul_errors')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--shape', nargs='+', default=['197K', 'S'])
  args = parser.parse_args(argv)
  rows = []
  for name in args.shape:
    rows += to_rows('matmul_errors', name, measure(SHAPES[name]))
  for row in rows:
    print(f'{row["shape"]:6} {row["metric"]:28} {row["value"]:.2e}')
  if args.json:
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=1) + '\n')
  return rows


if __name__ == '__main__':
  main()
