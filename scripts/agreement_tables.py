"""Tables of ours beside a peer: what both were told, and what they gave."""

from benchmarks.agreement import settings as told
from scripts.markdown_tables import NOTHING, markdown


def told_table(result):
  """What both sides of the agreement were told, under both names."""
  if not result:
    return NOTHING
  code = lambda name: name if ' ' in name else f'`{name}`'
  settings = told.Settings(**result['settings'])
  body = [
    [what, *map(code, (ours, theirs)), told.value_of(settings, ours, fixed)]
    for what, ours, theirs, fixed in told.NAMES
  ]
  return markdown(['what', 'ours', 'TRL', 'both'], body)


def parity_table(result):
  """Largest relative differences of one iteration on the same replies."""
  if not result:
    return NOTHING
  body = [
    [
      row['what'],
      f'{row["difference"]:.1e}',
      '' if row['tolerance'] is None else f'{row["tolerance"]:.0e}',
    ]
    for row in result['parity']
  ]
  return markdown(['same replies', 'difference', 'at most'], body)


def losses_table(result):
  """Largest relative differences of RLOO and DPO on the same tokens."""
  if not result:
    return NOTHING
  versions = ', '.join(' '.join(x) for x in result['versions'].items())
  note = f'{versions}; commit {result["commit"]}.'
  return f'{parity_table({"parity": result["rows"]})}\n\n{note}'


def agreement_table(result):
  """Reward and KL of both sides with their differences, and the verdict."""
  if not result:
    return NOTHING
  signed = lambda value: f'{value:+.3f}'
  names = {'reward': 'reward after iteration', 'kl': 'KL after iteration'}
  body = [
    [
      names.get(row['what'], row['what']),
      f'{row["at"]:.3g}',
      f'{row["ours"]:.3f}',
      f'{row["theirs"]:.3f}',
      signed(row['difference']),
      f'[{signed(row["low"])}, {signed(row["high"])}]',
    ]
    for row in result['rows']
  ]
  versions = ', '.join(' '.join(x) for x in result['versions'].items())
  note = (
    f'Verdict: **{result["verdict"]}**. Intervals hold together with 95 %, '
    f'each at {result["level"]:.2%}; at equal sqrt(KL) none reaches beyond '
    f'{result["reach"]:.1%} of the gain of {result["gain"]:.2f}. Seeds '
    f'{", ".join(map(str, result["seeds"]))}; {versions}; '
    f'commit {result["commit"]}.'
  )
  header = ['what', 'at', 'ours', 'TRL', 'difference', 'interval']
  return f'{markdown(header, body)}\n\n{note}'
