"""Rows of detectors of harm, of the refusal rule, and of judges of replies."""

import math

import numpy as np

from experiments.shared.harm_detectors import milliseconds
from experiments.shared.harm_sets import LOOK_ALIKES, labels_of
from rlhf_jax.analysis import agreement_people as people
from rlhf_jax.analysis import detection, ood
from rlhf_jax.data.harm import COMPLIED, IN_PART
from rlhf_jax.text.refusals import is_refusal, refusal_score

CROSS = 'the other fold'
FLAGS = ('f1', 'agreement', 'kappa', 'recall', 'fpr')
SCORES = ('auroc', 'fpr95', 'recall95')
GROUPS = {'all': '', 'xstest': 'xstest'}  # sources by their beginning
AS_IT_IS = 'as it is'
AMONG = (1, 2, 3, 4, 6, 8)  # sentences that a refusal was sought in
# JailbreakBench's table over all 300 rows, which `jailbreak_judge` has 200 of.
PUBLISHED = {
  'harmbench': (0.747, 0.564),
  'gpt4': (0.873, 0.795),
  'llamaguard2': (0.841, 0.741),
  'llama3': (0.881, 0.805),
}


def columns(found, names) -> dict:
  """Columns of Intervals; empty ones where nothing was measured."""
  row = {}
  for name in names:
    one = found.get(name)
    ends = (one.mean, one.low, one.high) if one else (math.nan,) * 3
    row |= dict(zip((name, f'{name}_low', f'{name}_high'), ends, strict=True))
  return row


def look_alikes(items, flag_N) -> float:
  """Share of XSTest's safe look-alikes that are flagged; NaN without any."""
  own = [
    bool(flag)
    for item, flag in zip(items, flag_N, strict=True)
    if item.source == LOOK_ALIKES and not item.harmful
  ]
  return float(np.mean(own)) if own else math.nan


def detector_row(name, detector, items, score_N, ms, flag_N=None, where=CROSS):
  """The row of one detector on one set.

  Args:
    name: of the set.
    detector: name.
    items: Items.
    score_N: higher for harm; None of one that only flags.
    ms: of `milliseconds`.
    flag_N: flags of a threshold from elsewhere; None: of the other fold.
    where: where the threshold is from.
  """
  harmful_N = labels_of(items)
  keys = [item.key for item in items]
  fold_N, found = detection.folds(keys), {}
  if score_N is not None:
    found |= detection.of_scores(score_N, harmful_N, fold_N)
    if flag_N is None:
      flag_N = detection.flagged(score_N, harmful_N, fold_N, detection.best_f1)
  found |= detection.of_flags(flag_N, harmful_N, keys)
  head = {'set': name, 'detector': detector, 'n': len(items)}
  head |= {'n_harmful': int(harmful_N.sum()), 'threshold_from': where}
  last = {'fpr_look_alikes': look_alikes(items, flag_N), 'ms_per_item': ms}
  return head | columns(found, FLAGS + SCORES) | last


def set_rows(name, items, detectors) -> list[dict]:
  """Rows of detectors on a set, and of the union of those that are no floors.

  Args:
    name: of the set.
    items: Items.
    detectors: Named ones.
  """
  harmful_N = labels_of(items)
  fold_N = detection.folds([item.key for item in items])
  rows, parts, spent = [], [], 0.0
  for own in detectors:
    score_N = own.detect(items)
    ms = milliseconds(own.alone, items)
    rows.append(detector_row(name, own.name, items, score_N, ms))
    if not own.floor:
      parts.append(detection.percentiles(score_N, harmful_N, fold_N))
      spent += ms
  if len(parts) > 1:
    rows.append(detector_row(name, 'union', items, np.max(parts, 0), spent))
  return rows


def refusal_rows(replies) -> list[dict]:
  """Rows of refusal_rule.csv: the rule against people, by fold and source.

  A refusal in part counts as one; beside it, rows without these.

  Args:
    replies: LabelledReplies.
  """
  fold_N = detection.folds([row.prompt for row in replies])
  source_N = np.array([row.source for row in replies])
  part_N = np.array([row.label == IN_PART for row in replies])
  refused_N = np.array([row.label != COMPLIED for row in replies], int)
  score_N = np.array([refusal_score(row.reply) for row in replies])
  prompt_N = np.array([row.prompt for row in replies])
  flag_N = np.array([is_refusal(row.reply) for row in replies], int)
  rows = []

  def of_source(name):
    if name in GROUPS:
      return np.char.startswith(source_N, GROUPS[name])
    return source_N == name

  def add(fold, source, kept, flags_N, label):
    mask = kept & (fold_N == fold) & of_source(source)
    if min(refused_N[mask].sum(), (1 - refused_N[mask]).sum()) < 2:
      return
    found = detection.of_flags(flags_N[mask], refused_N[mask], prompt_N[mask])
    if label == AS_IT_IS:  # the others are the same score, cut elsewhere
      sides = (score_N[mask & (refused_N == kind)] for kind in (1, 0))
      found['auroc'] = ood.interval(ood.auroc(*sides))
    part = 'development' if fold == 0 else 'test'
    head = {'fold': part, 'source': source, 'rule': label}
    head |= {'in_part': 'refusals' if kept is every else 'left out'}
    head |= {'n': int(mask.sum()), 'n_refused': int(refused_N[mask].sum())}
    rows.append(head | columns(found, (*FLAGS, 'auroc')))

  every = np.ones(len(replies), bool)
  for among in AMONG:
    add(0, 'all', every, (score_N >= 1 / among).astype(int), f'first {among}')
  for source in (*GROUPS, *sorted(set(source_N))):
    add(1, source, every, flag_N, AS_IT_IS)
    add(1, source, ~part_N, flag_N, AS_IT_IS)
  add(1, 'all', every, np.ones(len(replies), int), 'always')
  return rows


def judge_rows(items, judged) -> list[dict]:
  """Rows of published judges and of people, on the judged replies.

  A person stands beside the majority that it has a part in. Columns
  `published_f1` and `published_kappa` are of all 300 rows.

  Args:
    items: of `jailbreak_items`.
    judged: JudgedReplies.
  """
  rows = []
  flags = {
    name: np.array([row.judges[name] for row in judged]) for name in PUBLISHED
  }
  for i in range(3):
    flags[f'person {i + 1}'] = np.array([row.people[i] for row in judged])
  for name, flag_N in flags.items():
    row = detector_row(
      'jailbroken replies', name, items, None, math.nan, flag_N, 'its own'
    )
    known = PUBLISHED.get(name, (math.nan, math.nan))
    rows.append(row | {'published_f1': known[0], 'published_kappa': known[1]})
  return rows


def people_row(judged) -> dict:
  """Agreement, mean kappa and alpha of the three people among themselves."""
  vote_NR = np.array([row.people for row in judged])
  goals = [row.goal for row in judged]
  found = people.between_people(vote_NR, 2, group_N=goals)
  pairs = people.pair_kappas(vote_NR, 2)
  row = {'set': 'jailbroken replies', 'n': len(judged)}
  row |= columns(found, people.STATISTICS)
  return (
    row
    | {'kappa_least': min(pairs.values())}
    | {'kappa_most': max(pairs.values())}
  )


def complying_row(items, score_N, ms) -> dict:
  """The refusal rule as a judge: a reply that it does not flag does harm.

  Its threshold is that of human labels of refusals.
  """
  flag_N = np.array([not is_refusal(item.replies[0]) for item in items], int)
  return detector_row(
    'jailbroken replies',
    'complies',
    items,
    score_N,
    ms,
    flag_N,
    'refusal_labels',
  )


def line_of(row) -> str:
  """One printed line of a row."""
  f1 = '{f1:.3f} [{f1_low:.3f}, {f1_high:.3f}]'.format(**row)
  area = '' if math.isnan(row['auroc']) else f' AUROC {row["auroc"]:.3f}'
  return (
    f'{row["set"]:>22} {row["detector"]:>14} F1 {f1} kappa '
    f'{row["kappa"]:.3f}{area} n {row["n"]}'
  )
