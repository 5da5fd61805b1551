"""What a judge makes of a finding, with evaluators that say what they found."""

import math

import pytest

from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import Registry
from rlhf_jax.analysis.claims.spec import ClaimSpec
from rlhf_jax.analysis.findings import Finding, NotRunError, contrast
from rlhf_jax.analysis.intervals import Contrast, Interval
from tests.analysis import small

RUN = {
  'preset': 'tiny',
  'commit': 'abc',
  'device': 'cpu',
  'seconds': 1.5,
  'config_hash': 'h',
}


def registry(*evaluators, checks=(), **fields):
  """Claims 1, 2, ... of these evaluators; any number of seeds will do."""
  fields = {'min_seeds': 1} | fields
  claims = tuple(
    ClaimSpec(i, f'Title {i}', 'It is so.', 'Fig. 1', 'x > 0', f, **fields)
    for i, f in enumerate(evaluators, start=1)
  )
  return Registry({}, claims, {}, {}, (), tuple(checks))


def good(tables):
  return Finding(
    [contrast('x', [1.0, 2.0, 3.0], '>', -9.0)], {'beside': 7}, 'n'
  )


def missing(tables):
  raise NotRunError('no table x.csv')


def test_a_finding_becomes_a_row():
  (row,) = judging.judge({}, RUN, registry(good, figure='some_line'))
  wanted = small.interval([1.0, 2.0, 3.0])
  assert row.pop('ci') == pytest.approx(wanted)
  (found,) = row.pop('contrasts')
  assert found.pop('ci') == pytest.approx(wanted)
  assert found == {'name': 'x', 'mean': 2.0, 'side': '>', 'bound': -9.0}
  assert row == {
    'id': 1,
    'title': 'Title 1',
    'statement': 'It is so.',
    'source': 'Fig. 1',
    'measured': {'x': 2.0, 'beside': 7.0},
    'threshold': 'x > 0',
    'seeds': 3,
    'seeds_wanted': 1,
    'verdict': 'pass',
    'decides': 'x',
    'figure': 'figures/some_line.svg',
    **RUN,
    'evidence': 'simulated',
    'note': 'n',
  }


def test_the_contrast_that_decides_is_the_headline():
  def two(tables):
    return Finding(
      [
        contrast('a', [1.0, 1.5], '<', 9.0),
        Contrast('b', Interval(0.5, 0.4, 0.6, 7), 0.3, '<'),
      ]
    )

  (row,) = judging.judge({}, {}, registry(two))
  assert row['verdict'] == 'fail'  # by the second
  assert row['decides'] == 'b' and row['ci'] == [0.4, 0.6]
  assert list(row['measured'].items()) == [('b', 0.5), ('a', 1.25)]
  assert row['seeds'] == 2  # of the one that has fewest
  found = [(c['name'], c['side'], c['bound']) for c in row['contrasts']]
  assert found == [('b', '<', 0.3), ('a', '<', 9.0)]


@pytest.mark.parametrize(
  ('fields', 'wanted'),
  [
    ({'min_seeds': 0}, 5),
    ({'min_seeds': 0, 'pm_role': 'rl'}, 8),
    ({'min_seeds': 6}, 6),
  ],
)
def test_too_few_seeds_leave_a_claim_open_and_are_said(fields, wanted):
  def held(n):
    return lambda tables: Finding(
      [contrast('x', [1.0 + i / 9 for i in range(n)], '>', -9.0)], {}, 'n'
    )

  claims = registry(held(wanted), held(wanted - 1), **fields)
  assert claims.claims[0].min_seeds == wanted
  enough, few = judging.judge({}, {'rl_requires': False}, claims)
  assert (enough['verdict'], enough['note']) == ('pass', 'n')
  note = f'{wanted - 1} seeds; wanted {wanted}; n'
  assert (few['verdict'], few['note']) == ('inconclusive', note)


def test_one_seed_will_do_for_an_identity():
  (spec,) = registry(good, min_seeds=0, evidence='identity').claims
  assert spec.min_seeds == 1


def test_too_few_seeds_cannot_fail_a_claim_either():
  def bad(tables):
    return Finding([contrast('x', [1.0, 2.0, 3.0], '>', 9.0)])

  for seeds, verdict in ((4, 'inconclusive'), (3, 'fail')):
    (row,) = judging.judge({}, {}, registry(bad, min_seeds=seeds))
    assert row['verdict'] == verdict


def test_an_interval_that_is_not_finite_is_none():
  def lone(tables):
    return Finding([contrast('x', [1.0], '>', 0.0)])

  (row,) = judging.judge({}, {}, registry(lone))
  assert row['ci'] is None and row['contrasts'][0]['ci'] is None
  assert (row['verdict'], row['seeds']) == ('inconclusive', 1)


def test_what_cannot_be_measured_is_not_run_and_says_why():
  rows = judging.judge({}, RUN, registry(missing, None))
  assert [row['verdict'] for row in rows] == ['not run'] * 2
  notes = [row['note'] for row in rows]
  assert notes == ['no table x.csv', 'nothing measures it yet']
  for row in rows:
    empty = (row['measured'], row['ci'], row['seeds'], row['contrasts'])
    assert empty == ({}, None, 0, []) and row['decides'] is None
    assert row['figure'] is None and row['commit'] == 'abc'


def test_an_identity_is_evidence_of_its_own():
  context = {'evidence': 'real'}
  (row,) = judging.judge({}, context, registry(good))
  assert row['evidence'] == 'real'
  (row,) = judging.judge({}, context, registry(good, evidence='identity'))
  assert row['evidence'] == 'identity'


def curve(accuracies, role='rl', **more):
  """A PM a seed, tested on its own kind at the end of its training."""
  own = {'train_subset': 'mix', 'eval_subset': 'mix', 'role': role, 'pairs': 90}
  rows = [
    {'seed': seed, 'accuracy': value, 'expected_accuracy': value, **own, **more}
    for seed, value in enumerate(accuracies)
  ]
  return rows


def gate(rows, role='rl', requires=True):
  """The row of a claim that passes, under PMs of these accuracies."""
  tables = {'pm_curve': small.table('pm_curve', rows)}
  context = {'rl_requires': requires}
  (row,) = judging.judge(tables, context, registry(good, pm_role=role))
  return row['verdict'], row['note']


def test_an_rl_claim_needs_pms_whose_interval_is_above_chance():
  assert gate(curve([0.6, 0.61, 0.62])) == ('pass', 'n')
  verdict, note = gate(curve([0.4, 0.6, 0.8]))
  assert verdict == 'inconclusive'
  low, high = small.logit_interval([0.4, 0.6, 0.8])
  # Log-odds -.405, .405, 1.386 average .462.
  wanted = f'not above chance: 0.614 [{low:.3f}, {high:.3f}]; n'
  assert note == f'the accuracy of the rl PMs is {wanted}'
  assert gate(curve([0.4, 0.6, 0.8]), requires=False) == ('pass', 'n')


def test_the_gate_reads_the_last_test_of_the_role_on_its_own_kind():
  chance = [0.45, 0.5, 0.55]
  good_rows = curve([0.6, 0.61, 0.62])
  for other in (
    {'eval_subset': 'helpful'},
    {'pairs': 10},
    {'role': 'robust', 'run_id': 'other'},
  ):
    odd = [{**row, **other} for row in curve(chance)]
    assert gate(good_rows + odd)[0] == 'pass', other
  later = [{**row, 'pairs': 200} for row in curve(chance)]
  assert gate(good_rows + later)[0] == 'inconclusive'


def test_pms_of_unknown_accuracy_cannot_carry_a_claim():
  verdict, note = gate(curve([0.9, 0.9, 0.9], role='scaling'))
  assert verdict == 'inconclusive'
  assert note.startswith('accuracy of the rl PMs unknown: pm_curve.csv has no')
  away = curve([0.9, 0.9, 0.9], eval_subset='helpful')
  assert 'unknown' in gate(away)[1]


def test_a_failed_claim_under_pms_at_chance_is_open_too():
  def bad(tables):
    return Finding([contrast('x', [1.0, 2.0, 3.0], '>', 9.0)])

  tables = {'pm_curve': small.table('pm_curve', curve([0.4, 0.5, 0.6]))}
  claims = registry(bad, pm_role='rl')
  for requires, verdict in ((True, 'inconclusive'), (False, 'fail')):
    (row,) = judging.judge(tables, {'rl_requires': requires}, claims)
    assert row['verdict'] == verdict


def test_checks_have_their_functions_names_and_may_be_missing():
  def warmth(tables):
    return {'measured': {'heat': 3.0}, 'verdict': 'reported', 'note': ''}

  rows = judging.checks({}, registry(checks=(warmth, missing)))
  assert rows == [
    {
      'name': 'warmth',
      'threshold': '',
      'ci': None,
      'seeds': 0,
      'measured': {'heat': 3.0},
      'verdict': 'reported',
      'note': '',
    },
    {
      'name': 'missing',
      'threshold': '',
      'ci': None,
      'seeds': 0,
      'measured': {},
      'verdict': 'not run',
      'note': 'no table x.csv',
    },
  ]


def test_the_document_says_by_what_it_was_judged():
  context = {**RUN, 'evidence': 'real', 'rl_requires': True}
  document = judging.claims_document({}, context, registry(good))
  assert {key: document[key] for key in RUN} == RUN
  found = [document[k] for k in ('edition', 'evidence', 'rl_requires')]
  assert found == [2, 'real', True]
  assert [row['id'] for row in document['claims']] == [1]
  assert document['checks'] == []
  plain = judging.claims_document({}, {}, registry())
  assert (plain['evidence'], plain['rl_requires']) == ('simulated', False)
  assert plain['preset'] is None


def test_a_number_that_is_not_finite_stays_for_the_writer():
  def odd(tables):
    return Finding([contrast('x', [math.nan, 1.0], '>', 0.0)], {'y': math.inf})

  (row,) = judging.judge({}, {}, registry(odd))
  assert math.isnan(row['measured']['x']) and row['measured']['y'] == math.inf
  assert (row['verdict'], row['seeds']) == ('inconclusive', 2)
