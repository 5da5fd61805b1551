"""Markdown tables and numbers, as the makers of pages draw them."""

NOTHING = 'not measured'


def markdown(header, rows):
  """A Markdown table, or the words that nothing was measured."""
  if not rows:
    return NOTHING
  lines = [header, ['---'] * len(header), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def number(value):
  """Three digits and no exponent."""
  return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def interval_of(row):
  """' [low, high]' of a ratio, '' of one that has none."""
  return f' [{row["low"]:.2f}, {row["high"]:.2f}]' if 'low' in row else ''
