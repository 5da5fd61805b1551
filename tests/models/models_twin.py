"""The Transformer once more, in NumPy, with loops: slow and plain."""

import math

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


def scaled_frequency(f, scaling):
  """One angle's radians per token, as Llama 3 or linear scaling has it."""
  if scaling is None:
    return f
  if scaling.kind == 'linear':
    return f / scaling.factor
  wavelength = 2 * math.pi / f
  if wavelength > scaling.original_length / scaling.low_freq_factor:
    return f / scaling.factor
  if wavelength < scaling.original_length / scaling.high_freq_factor:
    return f
  low, high = scaling.low_freq_factor, scaling.high_freq_factor
  smooth = (scaling.original_length / wavelength - low) / (high - low)
  return (1 - smooth) * f / scaling.factor + smooth * f


def rotate(x_TK, theta=10000.0, size=None, scaling=None):
  """Pairs (i, i + R/2) as complex numbers, turned by t f_i; R features of K."""
  T, K = x_TK.shape
  size = size or K
  turned = np.array(x_TK, float)
  for t in range(T):
    for i in range(size // 2):
      z = complex(x_TK[t, i], x_TK[t, i + size // 2])
      z *= np.exp(1j * t * scaled_frequency(theta ** (-2 * i / size), scaling))
      turned[t, i], turned[t, i + size // 2] = z.real, z.imag
  return turned


def head_attention(q_TK, k_TK, v_TK, window=0):
  out = np.zeros_like(v_TK)
  for t in range(len(q_TK)):
    first = max(0, t - window + 1) if window else 0
    weight = np.exp(k_TK[first : t + 1] @ q_TK[t] / np.sqrt(q_TK.shape[1]))
    out[t] = (weight / weight.sum()) @ v_TK[first : t + 1]
  return out


def head_norm(x_TK, params, config):
  square = (x_TK**2).mean(-1, keepdims=True)
  return x_TK / np.sqrt(square + config.norm_eps) * params['scale']


def attention(x_TD, params, config, layer=0):
  H, G, K = config.n_heads, config.n_kv_heads, config.head_size
  columns = np.split(dense(x_TD, params['qkv']), H + 2 * G, axis=1)
  q, k, v = columns[:H], columns[H : H + G], columns[H + G :]
  if config.qk_norm:
    q = [head_norm(x, params['q_norm'], config) for x in q]
    k = [head_norm(x, params['k_norm'], config) for x in k]
  if config.positions == 'rotary':
    turn = (config.rope_theta, config.rotary_size, config.rope_scaling)
    q, k = [rotate(x, *turn) for x in q], [rotate(x, *turn) for x in k]
  window = config.sliding_window if layer >= config.window_from else 0
  heads = [
    head_attention(q[h], k[h * G // H], v[h * G // H], window) for h in range(H)
  ]
  assert heads[0].shape[1] == K
  return dense(np.concatenate(heads, axis=1), params['out'])


def mlp(x_TD, params, config):
  hidden = dense(x_TD, params['in'])
  if config.activation == 'swiglu':
    gate, up = np.split(hidden, 2, axis=1)
    hidden = gate / (1 + np.exp(-gate)) * up
  elif config.activation == 'gelu_exact':
    hidden = hidden * (1 + np.vectorize(math.erf)(hidden / 2**0.5)) / 2
  else:
    inner = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)
    hidden = 0.5 * hidden * (1 + np.tanh(inner))
  return dense(hidden, params['out'])


def logits(params, config, tokens_T):
  """Logits [T, V] of one sequence without pads."""
  trunk = params['trunk']
  scale = config.embed_scale
  x = trunk['embed'][tokens_T].astype(float)
  if config.positions == 'learned':
    x = x + trunk['position_embed'][: len(tokens_T)]
  x = x * (config.d_model**0.5 if scale is None else scale)
  for i in range(config.n_layers):
    layer = trunk[f'layer_{i}']
    read = norm(x, layer['attention_norm'], config)
    attended = attention(read, layer['attention'], config, i)
    read = x if config.parallel_residual else x + attended
    read = norm(read, layer['mlp_norm'], config)
    x = x + attended + mlp(read, layer['mlp'], config)
  x = norm(x, trunk['final_norm'], config)
  return x @ (trunk['embed'] if config.tied else trunk['lm_head']).T
