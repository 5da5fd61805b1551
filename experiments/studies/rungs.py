"""What a rung of the ladder costs beside the others."""

COST = {'3K': 1, '13K': 1.3, '42K': 2.5, '197K': 6, '810K': 20}
OTHER = 50  # of what is no rung here


def cost_of(size) -> float:
  """Relative cost of training a rung."""
  return COST.get(size, OTHER)
