"""An interval against its bound, as a small inline SVG that needs no colour."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from rlhf_jax.analysis.claims_io import bound_text

WIDTH, HEIGHT, MARGIN = 132, 18, 6


def bar(contrast: Mapping) -> str:
  """The SVG of a contrast, or '' where it has no interval or no bound.

  A box shows where the interval must lie, an upright line each bound, a
  whisker the interval and a disc its mean. The title says the same in words.

  Args:
    contrast: mean, ci, side, bound, as in a row of claims.json.
  """
  ends, bounds = contrast.get('ci'), _bounds(contrast)
  if not bounds or not ends or None in ends or contrast.get('mean') is None:
    return ''
  mean = contrast['mean']
  x = _scale([mean, *ends, *bounds])
  low, high = (x(end) for end in ends)
  middle = HEIGHT / 2
  box_from, box_to = _allowed(contrast['side'], [x(bound) for bound in bounds])
  parts = [
    f'<rect class="allowed" x="{box_from:.1f}" y="2" '
    f'width="{box_to - box_from:.1f}" height="{HEIGHT - 4}"/>',
    *(
      f'<path class="edge" d="M{x(bound):.1f} 0V{HEIGHT}"/>' for bound in bounds
    ),
    f'<path class="whisker" d="M{low:.1f} {middle - 4}v8m0-4'
    f'H{high:.1f}m0-4v8"/>',
    f'<circle class="mean" cx="{x(mean):.1f}" cy="{middle}" r="3"/>',
  ]
  words = f'{mean:.3g}, 95 % interval {ends[0]:.3g} to {ends[1]:.3g}'
  words = escape(f'{words}; wanted {bound_text(contrast)}')
  return (
    f'<svg class="bar" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
    f'width="{WIDTH}" height="{HEIGHT}"><title>{words}</title>'
    + ''.join(parts)
    + '</svg>'
  )


def _bounds(contrast):
  """The finite bounds of a contrast, in order."""
  bound = contrast.get('bound')
  found = bound if isinstance(bound, Sequence) else [bound]
  return sorted(b for b in found if b is not None and math.isfinite(b))


def _scale(values):
  """A function from values to positions; all of them lie inside the margins."""
  low, high = min(values), max(values)
  room = (high - low) or 1.0
  return lambda value: MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / room


def _allowed(side, positions):
  """(from, to) of the box in which the interval must lie."""
  if side == 'inside':
    return positions[0], positions[-1]
  return (positions[0], WIDTH) if side.startswith('>') else (0, positions[0])
