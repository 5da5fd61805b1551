"""The paper's ladder of sizes and the milli ladder below it.

Sizes are named by non-embedding parameters, 12 L D^2, in steps of about four
(Bai et al. 2022, section 3.1; Askell et al. 2021, appendix A: D = 128 L).
"""

from typing import NamedTuple

from rlhf_jax.models.config import TransformerConfig


class Rung(NamedTuple):
  """One size: depth, width, heads, and the LM learning rate that goes with it.

  The learning rates of the milli ladder were scanned on the simulated world;
  those of the paper's ladder are not stated in the paper and follow the usual
  fall with width (GPT-3's table 2.1 is the nearest published one).
  """

  n_layers: int
  d_model: int
  n_heads: int
  learning_rate: float

  @property
  def non_embedding(self):
    """12 L D^2, the nominal count that names the rung."""
    return 12 * self.n_layers * self.d_model**2


MILLI = {
  '3K': Rung(2, 12, 2, 1.5e-2),
  '13K': Rung(2, 24, 2, 1e-2),
  '42K': Rung(2, 40, 2, 8e-3),
  '197K': Rung(4, 64, 4, 4e-3),
  '810K': Rung(4, 128, 4, 2e-3),
  '2.7M': Rung(6, 192, 6, 1.5e-3),
}
PAPER = {
  '13M': Rung(4, 512, 8, 1e-3),
  '42M': Rung(6, 768, 12, 6e-4),
  '197M': Rung(10, 1280, 20, 3e-4),
  '810M': Rung(16, 2048, 32, 2e-4),
  '2.7B': Rung(24, 3072, 48, 1.6e-4),
  '13B': Rung(40, 5120, 80, 1.2e-4),
  '52B': Rung(64, 8192, 128, 1e-4),
}
# 52M stands between the ladders' 4x steps: the next rung up from milli 13M.
LADDER = MILLI | PAPER | {'52M': Rung(8, 736, 16, 6e-4)}


def rung(name):
  """Looks a size up by its name.

  Raises:
    ValueError: if there is no such rung.
  """
  if name not in LADDER:
    raise ValueError(
      f'no rung named {name!r} on the ladder: one of {", ".join(LADDER)}'
    )
  return LADDER[name]


def config_for(name, vocab_size, **overrides):
  """TransformerConfig of a rung; `overrides` replace any field."""
  size = rung(name)
  fields = dict(
    vocab_size=vocab_size,
    n_layers=size.n_layers,
    d_model=size.d_model,
    n_heads=size.n_heads,
  )
  return TransformerConfig(**(fields | overrides))
