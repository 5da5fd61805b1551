"""Judges of pairs that people have judged: ballots, and rows of agreement.

Set-up S1 counts all votes, those for a side and ties, and an inconsistent
ballot is a tie; chance is a third. S2 counts votes for a side alone, of
consistent ballots; chance is a half (Zheng et al. 2023, section 4.1). A ballot
that cannot be parsed agrees with nobody in S1 and has no part in S2.

Intervals are over prompts, as pairs of one prompt are alike.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import agreement_people as people
from rlhf_jax.analysis.detection import folds
from rlhf_jax.data import judged
from rlhf_jax.judges import scores, votes

S1, S2 = 'S1', 'S2'


class Set(NamedTuple):
  """Pairs with labels.

  Attributes:
    read: folder -> JudgedPairs.
    setups: that its labels allow.
    by: who labelled it.
  """

  read: Callable
  setups: tuple[str, ...]
  by: str


def _kwise(folder):
  return judged.kwise_pairs(judged.read_kwise(folder), 3)


SETS = {
  'pandalm': Set(judged.read_pandalm, (S1, S2), 'three people'),
  'webgpt': Set(judged.read_webgpt, (S2,), 'one person'),
  'mtbench': Set(
    functools.partial(judged.read_llmbar, subset='Processed/MT-Bench'),
    (S2,),
    'one label of people',
  ),
  'kwise': Set(_kwise, (S2,), 'a model (GPT-4 turbo)'),
}


def rule(judge):
  """The same judge for every fold, as `make` of `ballots`."""
  return lambda pairs, fold_N: (judge, judge)


def by_score(score):
  """Judges of a score whose ties are those that the other fold asks for.

  Args:
    score: (prompt, reply) -> number or None.
  """

  def make(pairs, fold_N):
    value = lambda pair, reply: score(pair.prompt, reply)
    both_N2 = np.array(
      [[value(p, p.first), value(p, p.second)] for p in pairs], float
    )
    difference_N = both_N2[:, 0] - both_N2[:, 1]
    vote_N = people.majority(people_votes(pairs))
    known_N = np.isfinite(difference_N)
    found = []
    for fold in (0, 1):
      other = known_N & (fold_N != fold)
      threshold = 0.0
      if (vote_N[other] == votes.TIE).any():
        threshold = scores.tie_threshold(difference_N[other], vote_N[other])
      found.append(scores.make_score_judge(score, threshold))
    return tuple(found)

  return make


def people_votes(pairs) -> np.ndarray:
  """vote_NR of the people, -1 where one has none."""
  most = max(len(pair.votes) for pair in pairs)
  rows = [
    [*pair.votes, *[people.MISSING] * (most - len(pair.votes))]
    for pair in pairs
  ]
  return np.array(rows, int)


def ballots(make, pairs, both) -> list[votes.Ballot]:
  """The ballot of a judge on each pair.

  Args:
    make: (pairs, fold_N) -> the judges of both folds.
    pairs: JudgedPairs.
    both: whether it is asked in both orders.
  """
  fold_N = folds([pair.prompt for pair in pairs])
  judges = make(pairs, fold_N)
  return [
    votes.ballot(judges[fold], *pair[:3], both=both)
    for pair, fold in zip(pairs, fold_N, strict=True)
  ]


def shares(found) -> dict:
  """Shares of ballots that are inconsistent, unparsed, ties."""
  verdict_N = np.array([ballot.verdict for ballot in found], int)
  consistent_N = np.array([ballot.consistent for ballot in found], bool)
  unparsed_N = verdict_N == votes.UNPARSED
  return {
    'inconsistent': float((~consistent_N & ~unparsed_N).mean()),
    'unparsed': float(unparsed_N.mean()),
    'tied': float((consistent_N & (verdict_N == votes.TIE)).mean()),
  }


def row_of(found) -> dict:
  """Columns of agreement, kappa and alpha with their intervals."""
  row = {}
  for name in people.STATISTICS:
    one = found[name]
    row |= {name: one.mean, f'{name}_low': one.low, f'{name}_high': one.high}
  row |= {'n_votes': found['votes'], 'n_pairs': found['items']}
  return row | {'n_prompts': found['agreement'].n}


def agreement_rows(name, judge, orders, pairs, found) -> list[dict]:
  """Rows of one judge on one set: a row a set-up, and who it is held against.

  Args:
    name: of the set.
    judge: name.
    orders: 'both' or 'one'.
    pairs: JudgedPairs.
    found: Ballots.
  """
  verdict_N = np.array([ballot.verdict for ballot in found], int)
  against = {'each person': people_votes(pairs)}
  if against['each person'].shape[1] > 1:
    majority_N = people.majority(against['each person'])
    against['the majority'] = majority_N[:, None]
  else:
    against = {'the label': against['each person']}
  rows, prompt_N = [], np.array([pair.prompt for pair in pairs])
  for setup in SETS[name].setups:
    for whom, vote_NR in against.items():
      sides = verdict_N, vote_NR
      if setup == S2:
        sides = people.decided(verdict_N), people.decided(vote_NR)
      row = {'set': name, 'labelled_by': SETS[name].by, 'judge': judge}
      row |= {'orders': orders, 'setup': setup, 'against': whom}
      one = people.with_people(*sides, group_N=prompt_N)
      rows.append(row | row_of(one) | shares(found))
  return rows


def people_rows(name, pairs) -> list[dict]:
  """Rows of people against each other, where a pair has several."""
  vote_NR, rows = people_votes(pairs), []
  prompt_N = np.array([pair.prompt for pair in pairs])
  if vote_NR.shape[1] < 2:
    return rows
  for setup in SETS[name].setups:
    own_NR = people.decided(vote_NR) if setup == S2 else vote_NR
    row = {'set': name, 'labelled_by': SETS[name].by, 'judge': 'people'}
    row |= {'orders': 'one', 'setup': setup, 'against': 'each other'}
    tied = {'tied': float((vote_NR == votes.TIE).mean())}
    shown = {'inconsistent': 0.0, 'unparsed': 0.0} | tied
    found = people.between_people(own_NR, group_N=prompt_N)
    rows.append(row | row_of(found) | shown)
  return rows


def said_rows(name, judge, orders, found):
  """Rows of votes.jsonl: each verdict, and what it was read from."""
  return [
    {
      'set': name,
      'item': i,
      'judge': judge,
      'orders': orders,
      'verdict': votes.NAMES[ballot.verdict],
      'consistent': ballot.consistent,
      'votes': [votes.NAMES[vote.verdict] for vote in ballot.votes],
      'raw': [vote.raw for vote in ballot.votes],
    }
    for i, ballot in enumerate(found)
  ]


def shown_unparsed(judge, found, most=3):
  """Yields lines that show what could not be parsed."""
  lost = [ballot for ballot in found if ballot.verdict == votes.UNPARSED]
  if lost:
    yield f'{judge}: {len(lost)} of {len(found)} ballots could not be parsed'
  for ballot in lost[:most]:
    words = ' | '.join(vote.raw for vote in ballot.votes)
    yield f'  unparsed: {words[:120]!r}'
