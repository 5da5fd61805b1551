"""Win rates of two models by a judge, and those of a leader board."""

import numpy as np

from rlhf_jax.analysis import win_rates
from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.data.judged import ROW, JudgedPair
from rlhf_jax.judges import votes

_WORTH = {votes.FIRST: 1.0, votes.SECOND: 0.0, votes.TIE: 0.5}
REFERENCE = 'gpt4_1106_preview'


def read_replies(path) -> dict[str, str]:
  """{prompt: reply} of a file of JSON lines.

  Raises:
    DataError: if it is missing or malformed.
    ValueError: if a prompt comes twice.
  """
  make = lambda row: (str(row['prompt']), str(row['reply']))
  rows = read_rows(path, ROW, make, ('prompt', 'reply'))
  found = dict(rows)
  if len(found) < len(rows):
    raise ValueError(
      f'{path} has {len(rows) - len(found)} prompts twice: wanted one reply a '
      'prompt'
    )
  return found


def paired(replies, others, names) -> list[JudgedPair]:
  """Pairs of the replies of two models to the same prompts.

  Raises:
    ValueError: if they have not answered the same prompts.
  """
  if replies.keys() != others.keys():
    raise ValueError(
      f'{names[0]} answers {len(replies)} prompts and {names[1]} '
      f'{len(others)}, {len(replies.keys() & others.keys())} of them the same: '
      'wanted the same prompts in both'
    )
  return [JudgedPair(p, replies[p], others[p], ()) for p in replies]


def rate_rows(judge, orders, pairs, found) -> list[dict]:
  """Rows of one judge: of all games, and of consistent ballots alone.

  Args:
    judge: name.
    orders: 'both' or 'one'.
    pairs: of `paired`.
    found: Ballots.
  """
  gap_N = np.array([len(pair.first) - len(pair.second) for pair in pairs])
  prompt_N = np.array([pair.prompt for pair in pairs])
  parsed_N = np.array([ballot.verdict != votes.UNPARSED for ballot in found])
  consistent_N = np.array([ballot.consistent for ballot in found])
  win_N = np.array([_WORTH.get(ballot.verdict, np.nan) for ballot in found])
  rows = []
  for games, kept_N in (
    ('all', parsed_N),
    ('consistent', parsed_N & consistent_N),
  ):
    rates = win_rates.rates(win_N[kept_N], gap_N[kept_N], prompt_N[kept_N])
    row = {'judge': judge, 'orders': orders, 'games': games} | columns(rates)
    row['ties'] = float((win_N[kept_N] == 0.5).mean()) if kept_N.any() else 0.0
    row['unparsed'] = float((~parsed_N).mean())
    row['longer_by'] = float(gap_N.mean())
    rows.append(row)
  return rows


def columns(rates) -> dict:
  """Columns of both rates with their intervals."""
  row = {}
  for name, one in rates.items():
    row |= {name: one.mean, f'{name}_low': one.low, f'{name}_high': one.high}
  return row | {'n': rates['win_rate'].n}


def leader_board(rated, reference=REFERENCE) -> list[dict]:
  """Rows of the models of `read_kwise` against the one they were held against.

  Args:
    rated: of `read_kwise`.
    reference: name of that model.
  """
  names = sorted({name for item in rated for name in item.replies})
  rows = []
  for name in names:
    own = [x for x in rated if name in x.replies and reference in x.replies]
    if name == reference or not own:
      continue
    gap_N = [
      len(x.replies[name][0]) - len(x.replies[reference][0]) for x in own
    ]
    win_N = [x.replies[name][1] for x in own]
    rates = win_rates.rates(win_N, gap_N, [x.prompt for x in own])
    rows.append(
      {'model': name} | columns(rates) | {'longer_by': float(np.mean(gap_N))}
    )
  return sorted(rows, key=lambda row: -row['length_controlled'])
