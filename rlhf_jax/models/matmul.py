"""The products of matrices of a model, by one choice of its config.

    float32    inputs as they come, in the computation type
    bf16_f32   inputs rounded to bfloat16, sums and results in float32

A bfloat16 has 8 significant bits, so rounding changes a number by 2^-8 of it at
most; products of two are exact in float32. Everything between the products, and
every array that is kept, stays in float32.

Matrix units (AMX and AVX-512 BF16 on CPUs, all GPUs and TPUs) do such products
at a multiple of the float32 rate. On a CPU the compiler's library has a kernel
for them, which wants bfloat16 twice, a float32 result and a left side whose
last axis is summed over (`IsDotSupportedByYnn` of XLA). Automatic
differentiation gives neither: the gradient that comes back is float32, and that
of the right side sums over the first axis of the left. So the derivative is
written by hand.
"""

import functools
import os
import pathlib

import jax
import jax.numpy as jnp

CHOICES = ('float32', 'bf16_f32')
UNITS = ('amx_bf16', 'avx512_bf16')  # flags of a processor that has them
FORCE = 'RLHF_JAX_MATRIX_UNITS'  # 'yes' or 'no' in place of what is found
CPUINFO = pathlib.Path('/proc/cpuinfo')


def has_matrix_units(text=None):
  """Whether the device at hand multiplies bfloat16 faster than float32.

  Args:
    text: of /proc/cpuinfo; None: that of this machine. Not read where the
      device is no CPU.
  """
  if jax.default_backend() != 'cpu':
    return True
  if text is None:
    text = CPUINFO.read_text() if CPUINFO.exists() else ''
  flags = next((x for x in text.splitlines() if x.startswith('flags')), '')
  return any(unit in flags.split() for unit in UNITS)


@functools.cache
def usable(how):
  """The choice `how`, or, with a printed line, 'float32' in its place.

  Where nothing makes bfloat16 products faster they would cost accuracy for
  nothing. RLHF_JAX_MATRIX_UNITS=yes takes them anyway, 'no' never does.

  Raises:
    ValueError: if there is no such choice.
  """
  if how not in CHOICES:
    raise ValueError(f'matmul must be one of {", ".join(CHOICES)}, got {how!r}')
  if how == 'float32':
    return how
  forced = os.environ.get(FORCE)
  if forced == 'yes' or (forced != 'no' and has_matrix_units()):
    return how
  print(
    f'matmul={how}: no matrix units here ({" or ".join(UNITS)}), products run '
    f'in float32; {FORCE}=yes takes bfloat16 inputs all the same',
    flush=True,
  )
  return 'float32'


def product(a, b, how, turned=False):
  """Matrix product of the last two axes, as `how` says.

    z[..., m, n] = sum_k a[..., m, k] b[..., k, n]     or b[..., n, k], turned

  Args:
    a: [..., M, K]; where `b` is a matrix any axes may stand before K.
    b: [..., K, N], or [..., N, K] if turned; its leading axes are those of `a`.
    how: one of CHOICES.
    turned: whether K is the last axis of `b`.

  Returns:
    [..., M, N]: of bf16_f32 float32, with gradients in the types of a and b.
  """
  if how == 'float32':
    if b.ndim > 2:
      return jnp.einsum(
        '...mk,...nk->...mn' if turned else '...mk,...kn->...mn', a, b
      )
    return a @ (b.T if turned else b)
  a, b = a.astype(jnp.float32), b.astype(jnp.float32)
  if b.ndim > 2:
    return _rounded(a, b, turned)
  z_MN = _rounded(a.reshape(-1, a.shape[-1]), b, turned)
  return z_MN.reshape(*a.shape[:-1], -1)


def _dot(a, b, turned):
  """`product` of bfloat16 arrays with as many axes, in float32."""
  axes = tuple(range(b.ndim - 2))
  summed = (a.ndim - 1,), (b.ndim - 1 if turned else b.ndim - 2,)
  return jax.lax.dot_general(
    a, b, (summed, (axes, axes)), preferred_element_type=jnp.float32
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _rounded(a, b, turned):
  """`product` of a and b, rounded; no forward-mode derivative, as of any vjp.

  da = dz b^T,   db = a^T dz,   dz, a and b rounded
  """
  return _forward(a, b, turned)[0]


def _forward(a, b, turned):
  low = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
  # Arrays without content carry the types of a and b.
  return _dot(*low, turned), (*low, a[:0], b[:0])


def _backward(turned, kept, dz):
  a, b, a_like, b_like = kept
  dz = dz.astype(jnp.bfloat16)
  da = _dot(dz, b, not turned)
  db = _dot(_across(a), dz, False)
  if turned:
    db = _apart(db).swapaxes(-1, -2)
  return da.astype(a_like.dtype), db.astype(b_like.dtype)


_rounded.defvjp(_forward, _backward)


def _apart(x):
  """The array x, kept by a CPU's compiler as an array of its own."""
  return jax.lax.optimization_barrier(x) if _on_cpu() else x


def _across(a):
  """The array a with its last two axes swapped, in memory where it matters.

  A CPU's compiler would read the swap into the product, which is then none of
  the fast kernel's. It does not do so across a change of shape.
  """
  if not _on_cpu():
    return a.swapaxes(-1, -2)
  shape = (*a.shape[:-2], a.shape[-1], a.shape[-2])
  return _apart(a[None].swapaxes(-1, -2).reshape(shape))


def _on_cpu():
  return jax.default_backend() == 'cpu'
