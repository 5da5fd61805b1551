"""Scalar heads: the preference score and the value."""

import jax.numpy as jnp
from flax import linen as nn


class ScalarHead(nn.Module):
  """hidden . w + b, in float32, with w ~ N(0, 1 / (D + 1)) and b = 0.

  Reference: Stiennon et al. 2020 (arXiv:2009.01325), appendix B.1.
  """

  d_model: int

  @nn.compact
  def __call__(self, hidden):
    """[..., D] to [...], float32."""
    std = (self.d_model + 1) ** -0.5
    kernel = self.param('kernel', nn.initializers.normal(std), (self.d_model,))
    bias = self.param('bias', nn.initializers.zeros, ())
    return hidden.astype(jnp.float32) @ kernel + bias
