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
