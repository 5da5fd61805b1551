"""From tidy tables to the table of claims.

Every number in it is a function of the tables of docs/tables.md; every
verdict comes from `intervals.verdict`.
"""

from collections.abc import Mapping

import pandas as pd

from rlhf_jax.analysis import bounded, failures, intervals, scaling
from rlhf_jax.analysis.claims.registry import Registry, load
from rlhf_jax.analysis.claims.spec import ClaimSpec
from rlhf_jax.analysis.findings import (
  Finding,
  NotHereError,
  NotRunError,
  finite_interval,
  keep,
  last,
  select,
)

CHANCE = 0.5
RUN_KEYS = ('preset', 'commit', 'device', 'seconds', 'config_hash')
# The rules by which the intervals, thresholds and verdicts here are made, which
# docs/claims.md tells. A claims.json that names none was judged by the first;
# docs/ledger.md keeps its verdicts.
EDITION = 2


def claims_document(
  tables: Mapping[str, pd.DataFrame],
  context: Mapping,
  registry: Registry | None = None,
) -> dict:
  """What claims.json holds: the run, how it was judged, its claims and checks.

  `edition`, `evidence` and `rl_requires` are what, besides the tables, decides
  a verdict: with them it can be computed again.

  Args:
    tables: name -> frame, as `runs.read_tables` gives them.
    context: as for `judge`.
    registry: None: that of the house.
  """
  registry = registry or load()
  lost = context.get('failures') or ()
  lacking = {'failures': list(lost), 'failed_runs': failures.counts(lost)}
  return {
    **{key: context.get(key) for key in RUN_KEYS},
    'edition': EDITION,
    'evidence': context.get('evidence', 'simulated'),
    'rl_requires': bool(context.get('rl_requires')),
    'claims': judge(tables, context, registry),
    'checks': checks(tables, registry),
    **(lacking if lost else {}),
  }


def judge(
  tables: Mapping[str, pd.DataFrame],
  context: Mapping,
  registry: Registry | None = None,
) -> list[dict]:
  """One row a claim, always all of them, in order of number.

  Args:
    tables: name -> frame; a missing one leaves its claims 'not run'.
    context: preset, commit, device, seconds, config_hash; evidence
      ('simulated' or 'real'); rl_requires, true when claims on RL are
      inconclusive unless the PMs behind them beat chance; failures, of
      `failures.find_failures`: a claim that lacks one of these is no more than
      inconclusive.
    registry: None: that of the house.

  Returns:
    Rows with the keys of the claims contract, every one ready for JSON but
    for numbers that are not finite (`claims_io` writes those as null).
  """
  registry = registry or load()
  lost = context.get('failures') or ()
  return [
    failures.weighed(judge_claim(spec, tables, context), spec, tables, lost)
    for spec in registry.claims
  ]


def judge_claim(spec: ClaimSpec, tables, context: Mapping) -> dict:
  """The row of one claim; arguments as for `judge`."""
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
    'seeds_wanted': spec.min_seeds,
    'verdict': intervals.NOT_RUN,
    'figure': f'figures/{spec.figure}.svg' if spec.figure else None,
    **{key: context.get(key) for key in RUN_KEYS},
    'evidence': evidence,
    'decides': None,
    'contrasts': [],
    'note': '',
  }
  if spec.evaluator is None:
    return row | {'note': 'nothing measures it yet'}
  if spec.crossed and spec.crossed.applies(tables):
    return _judged_on_conversations(spec.crossed, row, tables)
  try:
    finding = spec.evaluator(tables)
  except NotRunError as error:
    return row | {'note': str(error)}
  row |= _outcome(finding)
  if row['seeds'] < spec.min_seeds:
    row['verdict'] = intervals.INCONCLUSIVE
    wanted = f'{row["seeds"]} seeds; wanted {spec.min_seeds}'
    row['note'] = '; '.join(filter(None, [wanted, row['note']]))
  if spec.pm_role and context.get('rl_requires'):
    reason = _pm_at_chance(tables, spec.pm_role)
    if reason:
      row['verdict'] = intervals.INCONCLUSIVE
      row['note'] = '; '.join(filter(None, [reason, row['note']]))
  return row


def _judged_on_conversations(crossed, row, tables):
  """The row of a claim on one draw of real data: many conversations."""
  row |= {'threshold': crossed.threshold, 'unit': 'conversation'}
  row |= {'seeds_wanted': 1}
  try:
    return row | _outcome(crossed.evaluator(tables)) | {'seeds': 1}
  except NotRunError as error:
    return row | {'note': str(error)}


def _outcome(finding: Finding) -> dict:
  """The part of a row that was measured, what decides first.

  `ci` is the interval of the contrast that `decides`; `seeds` are those of the
  contrast that has the fewest.
  """
  decides = intervals.deciding(finding.contrasts)
  others = [c for c in finding.contrasts if c is not decides]
  return {
    'measured': {c.name: c.interval.mean for c in [decides, *others]}
    | {key: float(value) for key, value in finding.measured.items()},
    'ci': finite_interval(decides.interval),
    'seeds': min(c.interval.n for c in finding.contrasts),
    'verdict': intervals.verdict(finding.contrasts),
    'decides': decides.name,
    'contrasts': [
      {
        'name': c.name,
        'mean': c.interval.mean,
        'ci': finite_interval(c.interval),
        'side': c.side,
        'bound': c.bound,
      }
      for c in [decides, *others]
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
    own = curve[curve['train_subset'] == curve['eval_subset']]
    curve = last(keep(own, 'pm_curve.csv', role=role), 'pairs')
  except NotRunError as error:
    return f'accuracy of the {role} PMs unknown: {error}'
  column = scaling.accuracy_column(curve)
  interval = bounded.logit_mean(curve.groupby('seed')[column].mean())
  if interval.low > CHANCE:
    return ''
  return (
    f'the accuracy of the {role} PMs is not above chance: '
    f'{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]'
  )


def checks(
  tables: Mapping[str, pd.DataFrame], registry: Registry | None = None
) -> list[dict]:
  """Facts that every result is to be read beside: a row for each check.

  But for those that studies of this kind have not.
  """
  rows = []
  for check in (registry or load()).checks:
    row = {'name': check.__name__, 'threshold': '', 'ci': None, 'seeds': 0}
    try:
      row |= check(tables)
    except NotHereError:
      continue
    except NotRunError as error:
      row |= {'measured': {}, 'verdict': intervals.NOT_RUN, 'note': str(error)}
    rows.append(row)
  return rows
