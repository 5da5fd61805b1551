"""The Transformer once more, in NumPy, with loops: slow and plain."""

import jax
import numpy as np


def random_params(init, seed=0, scale=0.3):
  """Random parameters shaped as those of `init`, biases and gains too."""
  rng = np.random.default_rng(seed)
  shapes = jax.eval_shape(init, jax.random.key(0))
  return jax.tree.map(
    lambda x: rng.normal(0, scale, x.shape).astype(np.float32), shapes
  )


def norm(x_TD, params, config):
  if config.norm == 'rms':
    square = (x_TD**2).mean(-1, keepdims=True)
    return x_TD / np.sqrt(square + config.norm_eps) * params['scale']
  x_TD = x_TD - x_TD.mean(-1, keepdims=True)
  variance = (x_TD**2).mean(-1, keepdims=True)
  scaled = x_TD / np.sqrt(variance + config.norm_eps)
  return scaled * params['scale'] + params['bias']


def dense(x, params):
  return x @ params['kernel'].astype(float) + params.get('bias', 0.0)


def rotate(x_TK, theta=10000.0):
  """Pairs (i, i + K/2) as complex numbers, turned by t theta^(-2i/K)."""
  T, K = x_TK.shape
  turned = np.array(x_TK, float)
  for t in range(T):
    for i in range(K // 2):
      z = complex(x_TK[t, i], x_TK[t, i + K // 2])
      z *= np.exp(1j * t * theta ** (-2 * i / K))
      turned[t, i], turned[t, i + K // 2] = z.real, z.imag
  return turned


def head_attention(q_TK, k_TK, v_TK):
  out = np.zeros_like(v_TK)
  for t in range(len(q_TK)):
    weight = np.exp(k_TK[: t + 1] @ q_TK[t] / np.sqrt(q_TK.shape[1]))
    out[t] = (weight / weight.sum()) @ v_TK[: t + 1]
  return out


def attention(x_TD, params, config):
  H, G, K = config.n_heads, config.n_kv_heads, config.head_size
  columns = np.split(dense(x_TD, params['qkv']), H + 2 * G, axis=1)
  q, k, v = columns[:H], columns[H : H + G], columns[H + G :]
  if config.positions == 'rotary':
    q, k = [rotate(x) for x in q], [rotate(x) for x in k]
  heads = [head_attention(q[h], k[h * G // H], v[h * G // H]) for h in range(H)]
  assert heads[0].shape[1] == K
  return dense(np.concatenate(heads, axis=1), params['out'])


def mlp(x_TD, params, config):
  hidden = dense(x_TD, params['in'])
  if config.activation == 'swiglu':
    gate, up = np.split(hidden, 2, axis=1)
    hidden = gate / (1 + np.exp(-gate)) * up
  else:
    inner = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)
    hidden = 0.5 * hidden * (1 + np.tanh(inner))
  return dense(hidden, params['out'])


def logits(params, config, tokens_T):
  """Logits [T, V] of one sequence without pads."""
  trunk, D = params['trunk'], config.d_model
  x = trunk['embed'][tokens_T].astype(float)
  if config.positions == 'learned':
    x = x + trunk['position_embed'][: len(tokens_T)]
  x = x * D**0.5
  for i in range(config.n_layers):
    layer = trunk[f'layer_{i}']
    read = norm(x, layer['attention_norm'], config)
    attended = attention(read, layer['attention'], config)
    read = x if config.parallel_residual else x + attended
    read = norm(read, layer['mlp_norm'], config)
    x = x + attended + mlp(read, layer['mlp'], config)
  x = norm(x, trunk['final_norm'], config)
  return x @ (trunk['embed'] if config.tied else trunk['lm_head']).T
