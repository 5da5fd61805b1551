"""Numbers, durations and counts, as a page shows them."""

import math


def many(count, noun) -> str:
  """'1 seed', '2 seeds'."""
  return f'{count} {noun}' + ('' if count == 1 else 's')


def cell(value) -> str:
  """A table cell: three significant digits, or a dash for a missing value.

  Whole numbers and numbers from 1,000 on are written in full; text is kept.
  """
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return '–'
  if isinstance(value, (str, bool)):
    return str(value)
  whole = math.isfinite(value) and value == int(value)
  # Three digits of 999.5 would be 1e+03.
  return f'{value:,.0f}' if whole or abs(value) >= 999.5 else f'{value:.3g}'


def duration(seconds) -> str:
  """Seconds as a reader says them: 42.0 s, 3 min 5 s, 2 h 10 min."""
  if seconds is None:
    return 'unknown time'
  if round(seconds, 1) < 60:
    return f'{seconds:.1f} s'
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f'{minutes} min {rest} s'
  return f'{minutes // 60} h {minutes % 60} min'
