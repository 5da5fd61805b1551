"""Names of measured numbers, as a person reads them."""

import re

# Whole names, and parts of names; what is in neither stays as it is.
WHOLE = {
  'p': 'exponent p of gain = a KL^p',
  'r2': 'R²',
  's0_rise': 'rise of the starting score with size',
  'share_sqrt': 'share of runs that follow sqrt(KL)',
  'share_ranked': 'share of seeds in order',
  't': 'refitted temperature',
  'cv': 'coefficient of variation of the slopes',
}
PARTS = {
  'auroc': 'AUROC',
  'bow': 'bow',
  'ci': 'interval',
  'cv': 'coefficient of variation',
  'ece': 'calibration error',
  'elo': 'Elo',
  'high': '(upper end)',
  'kl': 'KL',
  'low': '(lower end)',
  'minus': 'less',
  'p': 'exponent',
  'pm': 'PM',
  'per': 'per',
  'r2': 'R²',
  'rl': 'RL',
  's0': 'starting score',
  't': 'refitted temperature',
  'sqrt': 'sqrt',
  'units': 'in units of its bound',
  'over': 'over',
}
_SIZE = re.compile(r'\d+(\.\d+)?[KMB]')
_TURN = re.compile(r'turn(\d+)')
_QUANTILE = re.compile(r'q(0\.\d+)')


def words(name: str) -> str:
  """'bow_units_13K' -> 'bow in units of its bound, 13K'."""
  if name in WHOLE:
    return WHOLE[name]
  said, last = [], []
  parts = name.split('_')
  for i, part in enumerate(parts):
    end = i == len(parts) - 1
    if turn := _TURN.fullmatch(part):
      last.append(f'turn {turn[1]}')
    elif quantile := _QUANTILE.fullmatch(part):
      last.append(f'both scores above quantile {quantile[1]}')
    elif end and i and _SIZE.fullmatch(part) and parts[i - 1] != 'over':
      last.append(part)
    elif part.isdigit() and end:
      last.append(f'{int(part):,} pairs')
    else:
      said.append(PARTS.get(part, part))
  return ', '.join([' '.join(said), *last]).replace('sqrt KL', 'sqrt(KL)')
