"""From tidy tables to the table of claims.

Every number in it is a function of the tables of docs/tables.md; every
verdict comes from `intervals.verdict`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import (
  fits,
  intervals,
  judge_pm,
  judge_rl,
  judge_robust,
  scaling,
)
from rlhf_jax.analysis.claims_registry import CLAIMS
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  finite_interval,
  means,
  per_seed,
  select,
)

CHANCE = 0.5
MIN_OVER_LENGTH = 0.03
RUN_KEYS = ('preset', 'commit', 'device', 'seconds', 'config_hash')
# The rules by which the intervals, thresholds and verdicts here were made. The
# second edition, of the confirmation of the headline, will be another number;
# a claims.json that names none was judged by the first.
EDITION = 1


def claims_document(
  tables: Mapping[str, pd.DataFrame], context: Mapping
) -> dict:
  """What claims.json holds: the run, how it was judged, its claims and checks.

  `edition`, `evidence` and `rl_requires` are what, besides the tables, decides
  a verdict: with them it can be computed again.

  Args:
    tables: name -> frame, as `runs.read_tables` gives them.
    context: as for `judge`.
  """
  return {
    **{key: context.get(key) for key in RUN_KEYS},
    'edition': EDITION,
    'evidence': context.get('evidence', 'simulated'),
    'rl_requires': bool(context.get('rl_requires')),
    'claims': judge(tables, context),
    'checks': checks(tables),
  }


def judge(tables: Mapping[str, pd.DataFrame], context: Mapping) -> list[dict]:
  """One row a claim, always all of them, in order of number.

  Args:
    tables: name -> frame; a missing one leaves its claims 'not run'.
    context: preset, commit, device, seconds, config_hash; evidence
      ('simulated' or 'real'); figures, claim number -> path; rl_requires, true
      when claims on RL are inconclusive unless the PMs behind them beat
      chance.

  Returns:
    Rows with the keys of the claims contract, every one ready for JSON but
    for numbers that are not finite (`claims_io` writes those as null).
  """
  return [_row(spec, tables, context) for spec in CLAIMS]


def _row(spec, tables, context):
  evidence = spec.evidence
  if evidence != 'identity':
    evidence = context.get('evidence', 'simulated')
  row = {
    'id': spec.id,
    'title': spec.title,
    'statement': spec.statement,
    'source': spec.source,
    'measured': {},
    'ci': None,
    'threshold': spec.threshold,
    'seeds': 0,
    'verdict': intervals.NOT_RUN,
    'figure': context.get('figures', {}).get(spec.id),
    **{key: context.get(key) for key in RUN_KEYS},
    'evidence': evidence,
    'contrasts': [],
    'note': '',
  }
  if spec.evaluator is None:
    return row | {'note': 'nothing measures it yet'}
  evaluate, pm_role = _evaluator(spec.evaluator)
  try:
    finding = evaluate(tables)
  except NotRunError as error:
    return row | {'note': str(error)}
  row |= _outcome(finding)
  if pm_role and context.get('rl_requires'):
    reason = _pm_at_chance(tables, pm_role)
    if reason:
      row['verdict'] = intervals.INCONCLUSIVE
      row['note'] = '; '.join(filter(None, [reason, row['note']]))
  return row


def _evaluator(name):
  """The function, and the role of the PMs its policies were trained against.

  Where those PMs are no better than chance nothing can be concluded.
  """
  if name in judge_pm.EVALUATORS:
    return judge_pm.EVALUATORS[name], None
  room = judge_rl if name in judge_rl.EVALUATORS else judge_robust
  return room.EVALUATORS[name], room.PM_ROLE


def _outcome(finding: Finding) -> dict:
  """The part of a row that was measured."""
  first = finding.contrasts[0].interval
  return {
    'measured': {c.name: c.interval.mean for c in finding.contrasts}
    | {key: float(value) for key, value in finding.measured.items()},
    'ci': finite_interval(first),
    'seeds': first.n,
    'verdict': intervals.verdict(finding.contrasts),
    'contrasts': [
      {
        'name': c.name,
        'mean': c.interval.mean,
        'ci': finite_interval(c.interval),
        'side': c.side,
        'bound': c.bound,
      }
      for c in finding.contrasts
    ],
    'note': finding.note,
  }


def _pm_at_chance(tables, role):
  """Why the PMs of this role cannot carry an RL claim; '' if they can.

  Args:
    tables: name -> frame.
    role: `robust`, both PMs of the robustness runs, or `rl`, the test PM
      (half b) of the linear runs. Their train PM, of the same size and number
      of pairs, has role `scaling`, as have PMs of every other size.
  """
  try:
    curve = select(tables, 'pm_curve', role=role)
    curve = curve[curve['train_subset'] == curve['eval_subset']]
    curve = select({'pm_curve': curve}, 'pm_curve', role=role)
  except NotRunError as error:
    return f'accuracy of the {role} PMs unknown: {error}'
  last = curve.groupby('run_id')['pairs'].transform('max')
  curve = curve[curve['pairs'] == last]
  column = scaling.accuracy_column(curve)
  interval = intervals.t_interval(curve.groupby('seed')[column].mean())
  if interval.low > CHANCE:
    return ''
  return (
    f'the accuracy of the {role} PMs is not above chance: '
    f'{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]'
  )


def checks(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
  """Facts about the data that every result is to be read beside.

  'length': PM accuracy less that of the rule 'the longer reply wins', which
  must exceed 3 points, with its interval clear of 0. 'ceiling': the accuracy
  of a perfect labeller.
  """
  rows = []
  for name, measure in (('length', _length), ('ceiling', _ceiling)):
    row = {'name': name, 'threshold': '', 'ci': None, 'seeds': 0}
    try:
      row |= measure(tables)
    except NotRunError as error:
      row |= {'measured': {}, 'verdict': intervals.NOT_RUN, 'note': str(error)}
    rows.append(row)
  return rows


def _length(tables):
  pairs, role = judge_pm.broadest_pairs(tables)

  def measure(run):
    score = np.append(run['score_chosen'], run['score_rejected'])
    words = np.append(run['words_chosen'], run['words_rejected'])
    return {
      'accuracy': cal.accuracy(run),
      'longer_wins': cal.longer_wins(run),
      'accuracy_minus_longer': cal.accuracy(run) - cal.longer_wins(run),
      'score_length_correlation': fits.reward_length_correlation(score, words),
    }

  found = per_seed(pairs, measure)
  over = contrast(
    'accuracy_minus_longer', found['accuracy_minus_longer'], '>', 0.0
  )
  mean = intervals.exact(over.interval.mean, over.interval.n)
  three = intervals.Contrast('mean', mean, MIN_OVER_LENGTH, '>=')
  return {
    'measured': means(found, *found.columns),
    'ci': finite_interval(over.interval),
    'seeds': over.interval.n,
    'threshold': 'PM accuracy - longer reply wins > 0, mean >= 3 points',
    'verdict': intervals.verdict([over, three]),
    'note': f'PMs of role {role}',
  }


def _ceiling(tables):
  pairs, role = judge_pm.broadest_pairs(tables)
  if not cal.has_labels(pairs):
    raise NotRunError('p_label is empty: real data have no known ceiling')
  found = per_seed(
    pairs,
    lambda run: {
      'ceiling': cal.ceiling(run),
      'accuracy': cal.accuracy(run),
      'share_of_range': (cal.accuracy(run) - CHANCE)
      / max(cal.ceiling(run) - CHANCE, 1e-12),
    },
  )
  return {
    'measured': means(found, *found.columns),
    'ci': finite_interval(intervals.t_interval(found['ceiling'])),
    'seeds': len(found),
    'verdict': 'reported',
    'note': f'PMs of role {role}',
  }
