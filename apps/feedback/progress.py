"""Numbers of the admin page, all from the rows of choices."""

import collections
import dataclasses
import statistics

import numpy as np

from apps.feedback import standings, talk
from apps.feedback.database import comparisons, now, snapshot_names
from rlhf_jax.analysis import agreement_people
from rlhf_jax.data.said import unique

HOUR = 3600.0
FEWEST = 8  # pairs of which a bootstrap says anything


def numbers(db) -> list[tuple[str, str]]:
  """[(name, value)] of the collection as a whole."""
  one = lambda query, *args: db.execute(query, args).fetchone()[0]
  found = comparisons(db)
  seconds = [item.seconds for item in found]
  recent = sum(item.created > now() - HOUR for item in found)
  ended = one('SELECT COUNT(*) FROM assignments WHERE finished IS NOT NULL')
  rating = one('SELECT AVG(rating) FROM assignments')
  open_tasks = one(
    'SELECT COUNT(*) FROM assignments WHERE finished IS NULL AND expires > ?',
    now(),
  )
  return [
    ('choices', f'{len(found):,}'),
    ('of them rewritten', f'{sum(item.rewritten for item in found):,}'),
    ('in the last hour', f'{recent:,}'),
    ('median seconds', f'{statistics.median(seconds):.0f}' if seconds else '-'),
    ('tasks done', f'{ended:,}'),
    ('tasks open', f'{open_tasks:,}'),
    ('mean rating of 4', f'{rating:.1f}' if rating is not None else '-'),
    ('replies waiting', f'{talk.waiting_count(db):,}'),
  ]


def votes_of(found) -> dict[str, list]:
  """{about: its choices, in their order}, of pairs with more than one."""
  groups = collections.defaultdict(list)
  for item in found:
    groups[item.about].append(item)
  return {key: group for key, group in groups.items() if len(group) > 1}


def agreement(db) -> dict | None:
  """{'alpha', 'kappa', 'agreement': Interval, 'items'} of pairs of overlap.

  Columns are the first, second, ... to compare a pair, whoever that was, so
  that kappa is of all pairs of votes, in both orders. Without such a pair it is
  None, with fewer than FEWEST no interval has ends.
  """
  groups = list(votes_of(comparisons(db)).values())
  if not groups:
    return None
  votes_NR = np.full(
    (len(groups), max(map(len, groups))), agreement_people.MISSING
  )
  for row, group in zip(votes_NR, groups, strict=True):
    row[: len(group)] = [item.good for item in group]
  found = agreement_people.between_votes(votes_NR, classes=2)
  if len(groups) < FEWEST:
    for name in agreement_people.STATISTICS:
      found[name] = dataclasses.replace(found[name], low=np.nan, high=np.nan)
  return found


def people(db) -> list[dict]:
  """Rows of the table of people, in the order of their invitations."""
  every = comparisons(db, attention=True)
  own = collections.defaultdict(list)
  for item in every:
    own[item.person].append(item)
  pairs = collections.defaultdict(list)
  for group in votes_of(x for x in every if x.answer is None).values():
    for item in group:
      others = [x.good == item.good for x in group if x is not item]
      pairs[item.person] += others
  rows = db.execute(
    'SELECT p.uid, p.name, p.kind, p.revoked,'
    ' (SELECT COUNT(*) FROM assignments AS a WHERE a.person_id = p.id'
    ' AND a.finished IS NOT NULL) AS tasks'
    " FROM people AS p WHERE p.role = 'worker' ORDER BY p.id"
  )
  return [
    dict(row) | _of_person(own[row['uid']], pairs[row['uid']]) for row in rows
  ]


def _of_person(found, pairs):
  """What is counted of the choices of one person."""
  asked = [item for item in found if item.answer is not None]
  usual = [item for item in found if item.answer is None]
  seconds = [item.seconds for item in usual]
  return {
    'choices': len(usual),
    'rewritten': sum(item.rewritten for item in usual),
    'seconds': statistics.median(seconds) if seconds else None,
    'asked': len(asked),
    'right': sum(item.good == item.answer for item in asked),
    'agrees': sum(pairs),
    'compared': len(pairs),
  }


def snapshots(db) -> list[dict]:
  """Rows of the table of snapshots, with their standing where there is one."""
  standing = {row['snapshot']: row for row in standings.table(db) if row['n']}
  names = unique(snapshot_names(db))
  rows = db.execute('SELECT uid, active FROM snapshots ORDER BY id')
  return [
    {
      'name': names[row['uid']],
      'active': row['active'],
      'standing': standing.get(names[row['uid']]),
    }
    for row in rows
  ]
