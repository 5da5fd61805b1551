"""Every judged claim on whole studies of which it is known what is true."""

import hashlib

import numpy as np
import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.operating.scenario import EFFECT
from rlhf_jax.analysis.operating.studies import SCENARIOS
from tests.analysis import synthetic

REGISTRY = load()
CLAIMS = REGISTRY.claims
SPECS = [spec for spec in CLAIMS if spec.evaluator]
JUDGED = [spec.id for spec in SPECS]
# What a study of `synthetic` measures; other chapters are judged on the studies
# of `analysis/operating`, where each is true and where it is just not.
ONLINE = {9, 28, 30, 31, 32}
WHOLE = {*range(1, 8), *range(11, 21), 24, 27, 37, 66, 67} | ONLINE
RL = {11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 24, 27, 66, 67} | ONLINE
CHAPTERS_RL = {10, 21, 22, 23, 25, 26, 29, 33, 34, 35, 36, 41, 42} | {
  *(58, 59, 60, 68),
}


def verdicts(tables, **context):
  return {row['id']: row for row in judging.judge(tables, context)}


def measure(number, tables):
  """(verdict, name -> mean) of one claim, without a gate."""
  finding = REGISTRY.claim(number).evaluator(tables)
  means = {c.name: c.interval.mean for c in finding.contrasts}
  return intervals.verdict(finding.contrasts), means | dict(finding.measured)


@pytest.fixture(scope='module')
def true_tables():
  return synthetic.make_tables(0)


@pytest.fixture(scope='module')
def few_tables():
  return synthetic.make_tables(0, n_pairs=500)


@pytest.fixture(scope='module')
def true_rows(true_tables):
  return verdicts(true_tables, rl_requires=True)


@pytest.fixture(scope='module')
def false_rows():
  return verdicts(synthetic.make_tables(0, truth=False), rl_requires=True)


def test_the_claims_of_the_papers_are_there_and_these_are_measured():
  assert [spec.id for spec in CLAIMS] == list(range(1, 69))
  ours = {spec.id for spec in CLAIMS if spec.source == 'this project'}
  assert ours == {66, 67}
  assert all(s.title and s.statement and s.threshold for s in CLAIMS)
  assert WHOLE <= set(JUDGED)


def test_the_thresholds_are_frozen():
  """A threshold may change only together with this line, in plain sight."""
  text = '\n'.join(f'{spec.id} {spec.threshold}' for spec in CLAIMS)
  assert hashlib.sha256(text.encode()).hexdigest()[:16] == '543d5c016bcea3ec'


def test_claims_on_rl_are_gated_by_the_pms_that_trained_the_policies():
  gated = {spec.id: spec.pm_role for spec in CLAIMS if spec.pm_role}
  assert set(gated) == RL | CHAPTERS_RL
  robust = {number for number, role in gated.items() if role == 'robust'}
  assert robust == {19, 20, 21, 24, 35, 58, 59}
  assert {n for n, role in gated.items() if role == 'online0'} == ONLINE
  assert set(gated.values()) == {'rl', 'robust', 'online0', 'skill_hh'}


@pytest.mark.parametrize('number', sorted(WHOLE))
def test_a_true_claim_passes(true_rows, number):
  row = true_rows[number]
  assert row['verdict'] == 'pass', row
  assert row['seeds'] == len(synthetic.SEEDS)
  assert len(row['ci']) == 2
  assert row['measured']


@pytest.mark.parametrize('number', sorted(WHOLE - {11}))
def test_a_false_claim_fails(false_rows, number):
  assert false_rows[number]['verdict'] == 'fail', false_rows[number]


def test_a_policy_that_loses_score_fails_claim_11(few_tables):
  curve = few_tables['rl_curve']
  turned = curve.assign(train_pm=-curve['train_pm'])
  assert measure(11, {'rl_curve': turned})[0] == 'fail'


def passed_on_null_data(seed, real):
  tables = synthetic.make_null_tables(seed, n_pairs=1_000)
  if real:
    tables = synthetic.real(tables)
  rows = verdicts(tables).values()
  return [row['id'] for row in rows if row['verdict'] == 'pass']


@pytest.mark.parametrize(
  'real',
  [
    pytest.param(False, marks=pytest.mark.slow),  # as the committed null study
    True,
  ],
)
def test_no_claim_of_an_effect_passes_on_null_data(real):
  assert not passed_on_null_data(0, real)


@pytest.mark.slow  # one draw is enough to see most rules break
@pytest.mark.parametrize('real', [False, True])
def test_no_claim_passes_on_two_draws_of_null_data(real):
  """Where nothing is true but equality, a claim may pass once in 40 draws."""
  passed = [n for seed in (1, 2, 3) for n in passed_on_null_data(seed, real)]
  assert not {number for number in passed if passed.count(number) > 1}


def test_rl_claims_need_preference_models_above_chance(true_tables):
  tables = {**true_tables, 'pm_curve': true_tables['pm_curve'].copy()}
  curve = tables['pm_curve']
  chance = curve['role'].isin(['rl', 'robust', 'online0'])
  coin = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(chance.sum())
  for column in ('accuracy', 'expected_accuracy'):
    curve.loc[chance, column] = coin
  for number, row in verdicts(tables, rl_requires=True).items():
    if number in RL:
      assert row['verdict'] == 'inconclusive'
      assert 'chance' in row['note']
    elif number in WHOLE:
      assert row['verdict'] == 'pass'


def test_real_data_have_no_gold_but_most_claims_run():
  rows = verdicts(
    synthetic.real(synthetic.make_tables(0, n_pairs=3_000)), evidence='real'
  )
  assert rows[24]['verdict'] == 'not run'
  assert 'gold' in rows[24]['note']
  assert {rows[n]['verdict'] for n in (1, 13, 19, 37)} == {'pass'}
  assert rows[4]['verdict'] != 'not run'
  assert rows[1]['evidence'] == 'real'


def test_one_seed_is_never_enough():
  tables = synthetic.make_tables(0, seeds=(100,))
  rows = verdicts(tables)
  assert all(rows[n]['verdict'] == 'inconclusive' for n in WHOLE)
  for spec in (REGISTRY.claim(n) for n in WHOLE):
    assert f'1 seeds; wanted {spec.min_seeds}' in rows[spec.id]['note']
  # Of a share or an accuracy one seed says its range, of a mean nothing.
  assert {n for n in WHOLE if rows[n]['ci'] is not None} == {6, 20, 31, 37}


class _Watched(dict):
  """Tables that remember which of them were looked for."""

  def __init__(self, tables):
    super().__init__(tables)
    self.read = set()

  def __contains__(self, name):
    self.read.add(name)
    return super().__contains__(name)

  def __getitem__(self, name):
    self.read.add(name)
    return super().__getitem__(name)


@pytest.mark.parametrize('number', JUDGED)
def test_a_claim_reads_the_tables_that_it_names_and_needs_each(
  few_tables, number
):
  spec, tables = REGISTRY.claim(number), few_tables
  if number not in WHOLE:
    rng = np.random.default_rng(0)
    tables = SCENARIOS[number].make(rng, range(8), EFFECT)
  watched = _Watched(tables)
  spec.evaluator(watched)
  assert watched.read == set(spec.tables)
  for name in spec.tables:
    rest = {key: frame for key, frame in tables.items() if key != name}
    with pytest.raises(NotRunError, match=f'no table {name}.csv'):
      spec.evaluator(rest)


@pytest.mark.parametrize(
  ('table', 'role', 'numbers'),
  [
    ('rl_curve', 'inert', {12}),
    ('rl_curve', 'robust', {19, 20, 24}),
    ('pm_curve', 'single', {37}),
    ('pm_curve', 'scaling', {1, 2, 3}),
    ('pm_pairs', 'mixture', {5}),
  ],
)
def test_a_missing_role_leaves_its_claims_not_run(
  few_tables, table, role, numbers
):
  frame = few_tables[table]
  tables = {**few_tables, table: frame[frame['role'] != role]}
  not_run = {}
  readers = [n for n in WHOLE if table in REGISTRY.claim(n).tables]
  for number in readers:
    try:
      measure(number, tables)
    except NotRunError as error:
      not_run[number] = str(error)
  assert set(not_run) == numbers
  assert all(role in note for note in not_run.values())


def few_policies(tables, seeds):
  """Linear runs of these seeds but for the smallest policy are taken away."""
  curve = tables['rl_curve']
  few = (curve['role'] == 'linear') & curve['seed'].isin(seeds)
  keep = ~few | (curve['size'] == synthetic.POLICIES[0])
  return {**tables, 'rl_curve': curve[keep]}


def test_a_seed_without_every_policy_size_is_left_out_of_claim_16():
  tables = synthetic.make_tables(0, seeds=(*synthetic.SEEDS, 108), n_pairs=500)
  pi0 = tables['rl_pi0']
  # Its lone small policy starts far above the others: it must not count.
  pi0.loc[pi0['seed'] == 108, 'mean'] += 100
  tables = few_policies(tables, [108])
  rows = {
    number: judging.judge_claim(REGISTRY.claim(number), tables, {})
    for number in (11, 16)
  }
  assert (rows[16]['verdict'], rows[16]['seeds']) == ('pass', 8)
  assert rows[16]['measured']['s0_13K'] == pytest.approx(0)
  assert rows[16]['measured']['s0_rise'] == pytest.approx(0.4)
  gains = REGISTRY.claim(11).evaluator(tables).contrasts
  assert [gain.interval.n for gain in gains] == [9, 8, 8]
  assert rows[11]['seeds'] == 8  # of the sizes that have fewest


def test_claim_16_needs_one_seed_with_every_policy_size(few_tables):
  curve = few_tables['rl_curve']
  last = curve['size'] == synthetic.POLICIES[-1]
  lone = (curve['role'] == 'linear') & last & (curve['seed'] == 100)
  other = (curve['size'] == synthetic.POLICIES[1]) & (curve['seed'] == 100)
  tables = {**few_tables, 'rl_curve': curve[~other & (lone | ~last)]}
  with pytest.raises(NotRunError, match='all 3 sizes'):
    measure(16, tables)


@pytest.mark.parametrize(
  ('number', 'names'),
  [
    (1, {'slope', 'r2'}),
    (2, {'slope', 'share_ranked', 'spearman', 'spearman_of_mean'}),
    (4, {'ece_excess', 'ece', 'ece_floor', 't', 'ceiling'}),
    (6, {'share_ranked', 'spearman', 'accuracy_q0.0', 'ceiling_q0.8'}),
    (13, {'bow_units_13K', 'bow_13K', 'r2_13K', 'slope_197K'}),
    (14, {'p', 'share_sqrt', 'share_sqrt_low', 'p_197K'}),
    (16, {'cv', 's0_rise', 'slope_13K'}),
    (17, {'excess_13K', 'share_of_bound_13K', 'ratio_13K', 'limit_197K'}),
    (19, {'early_gap_per_gain', 'late_gap', 'early_gap', 'late_gain'}),
    (24, {'elo_excess', 'naive_elo', 'gold_elo', 'pm_elo', 'pm_elo_excess'}),
    (27, {'entropy_start_13K', 'entropy_end_13K', 'length_end_13K'}),
  ],
)
def test_what_is_measured_has_its_names(true_rows, number, names):
  assert names <= set(true_rows[number]['measured'])


def test_what_is_measured_is_what_was_put_in(true_rows):
  slope = true_rows[1]['measured']['slope']
  assert slope == pytest.approx(0.02, abs=0.002)
  assert true_rows[17]['measured']['ratio_13K'] == pytest.approx(0.45, abs=0.05)


def test_the_checks_on_length_and_ceiling(few_tables):
  """The known ceiling stands beside every result (checklist 29)."""
  length, ceiling = judging.checks(synthetic.make_tables(0, n_pairs=2_000))
  assert length['verdict'] == 'pass'
  assert length['measured']['longer_wins'] == pytest.approx(0.5, abs=0.02)
  # The scores of these pairs are the truth, so accuracy is at the ceiling.
  assert ceiling['measured']['accuracy'] == pytest.approx(
    ceiling['measured']['ceiling']
  )
  assert ceiling['measured']['share_of_range'] == pytest.approx(1)
  _, real = judging.checks(synthetic.real(few_tables))
  assert real['verdict'] == 'not run'


def test_a_pm_that_only_counts_words_fails_the_length_check(few_tables):
  pairs = few_tables['pm_pairs'].copy()
  for side in ('chosen', 'rejected'):
    pairs[f'score_{side}'] = pairs[f'words_{side}'].astype(float)
  length = judging.checks({'pm_pairs': pairs})[0]
  assert length['verdict'] == 'fail'
  assert length['measured']['score_length_correlation'] == pytest.approx(1)
