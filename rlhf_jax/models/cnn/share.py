"""Share of what a unit looks at that is observed."""

import jax
import jax.numpy as jnp


def _mean_filter(x_BHW1, kernel):
  """Mean over k x k pixels; beyond the border nothing counts."""
  box = jnp.ones((kernel, kernel, 1, 1)) / kernel**2
  conv = lambda x: jax.lax.conv_general_dilated(
    x, box, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  return conv(x_BHW1) / conv(jnp.ones_like(x_BHW1))


def observed_shares(mask_BHW, kernel):
  """Observed share of the receptive field of every unit.

    s_0 = mask,   s_l = mean of s_{l-1} over the field of the unit in layer l-1
    s_3 = mean of s_2

  A pixel so weighs as much as the number of paths from it to the unit.

  Args:
    mask_BHW: 1 where a pixel is observed.
    kernel: side of the convolutions.

  Returns:
    (s_0 [B, H, W, 1], s_1 [B, H/2, W/2, 1], s_2 [B, H/4, W/4, 1], s_3 [B, 1]).
  """
  shares = [mask_BHW[..., None].astype(jnp.float32)]
  for _ in range(2):
    mean = _mean_filter(shares[-1], kernel)
    B, H, W, _ = mean.shape
    shares.append(mean.reshape(B, H // 2, 2, W // 2, 2, 1).mean(axis=(2, 4)))
  return (*shares, shares[-1].mean(axis=(1, 2)))
