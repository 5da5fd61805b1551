"""Variance between and within draws, where it is known."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import claims_io, nested, runs
from rlhf_jax.analysis.findings import NotRunError
from scripts import make_variance_doc as page
from tests.analysis import small

BY_HAND = [[1.0, 3.0], [5.0, 7.0], [0.0, 2.0]]


def test_components_by_hand():
  """Means 2, 6, 1: variance 7, MSB 14; within 2 each; between (14 - 2) / 2."""
  found = nested.one_way(BY_HAND)
  assert found.mean == 3 and (found.draws, found.seeds) == (3, 2)
  assert found.within == pytest.approx(2)
  assert found.between == pytest.approx(6)
  assert found.share == pytest.approx(0.75)
  # F = 7; of F at (2, 3): .025 quantile 1 / 39.1655, .975 quantile 16.0441.
  assert found.high == pytest.approx(
    (7 * 39.1655 - 1) / (7 * 39.1655 + 1), 1e-4
  )
  assert found.low == 0  # 7 / 16 is below 1
  error = 2 / 8
  assert found.widening(8) == pytest.approx(math.sqrt((6 + error) / error))


def by_loops(value_SR):
  """Sums of squares, one value after the other."""
  groups = [[x for x in row if not math.isnan(x)] for row in value_SR]
  S, N = len(groups), sum(map(len, groups))
  mean = sum(map(sum, groups)) / N
  usual = (N - sum(len(row) ** 2 for row in groups) / N) / (S - 1)
  between = within = 0.0
  for row in groups:
    own = sum(row) / len(row)
    between += len(row) * (own - mean) ** 2 / (S - 1)
    for value in row:
      within += (value - own) ** 2 / (N - S)
  return max(0.0, (between - within) / usual), within


@pytest.mark.parametrize('missing', [(), ((1, 3),), ((0, 0), (0, 1), (4, 2))])
def test_it_equals_its_naive_twin(missing):
  """A run that measured nothing is left out."""
  value_SR = np.random.default_rng(0).standard_normal((5, 4))
  value_SR += np.arange(5)[:, None]
  for place in missing:
    value_SR[place] = math.nan
  found = nested.one_way(value_SR)
  twin = by_loops(value_SR.tolist())
  assert (found.between, found.within) == pytest.approx(twin)
  assert found.runs == 20 - len(missing)
  assert found.mean == pytest.approx(np.nanmean(value_SR))
  assert 0 <= found.low <= found.share <= found.high <= 1


def test_unequal_draws_estimate_the_components_without_bias():
  """2,000 studies of draws of 4, 4, 2 and 2 seeds; Var(a) = 2, Var(e) = 1."""
  rng, found = np.random.default_rng(2), []
  for _ in range(2000):
    value_SR = math.sqrt(2) * rng.standard_normal((4, 1))
    value_SR = value_SR + rng.standard_normal((4, 4))
    value_SR[2:, 2:] = math.nan
    one = nested.one_way(value_SR)
    found.append((one.between, one.within))
  between, within = np.mean(found, axis=0)
  assert between == pytest.approx(2, abs=0.15)  # cut at 0 seldom; s.e. .04
  assert within == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize('share', [0.0, 0.5])
def test_the_interval_covers_the_share_of_gaussians_in_95_percent(share):
  """400 studies: the binomial standard error of .95 is .011."""
  rng = np.random.default_rng(1)
  hits = []
  for _ in range(400):
    a_S1 = math.sqrt(share) * rng.standard_normal((6, 1))
    e_SR = math.sqrt(1 - share) * rng.standard_normal((6, 4))
    found = nested.one_way(a_S1 + e_SR)
    hits.append(found.low <= share <= found.high)
  low = 0.95 if share else 0.97  # at 0 only the lower end can miss
  assert abs(np.mean(hits) - low) < 0.035


def test_no_seed_beside_the_shared_part_is_a_share_of_one():
  found = nested.one_way([[1.0, 1.0], [2.0, 2.0]])
  assert (found.share, found.low, found.high) == (1, 1, 1)
  assert math.isnan(found.widening())


def test_one_draw_or_one_seed_tells_nothing():
  one_left = np.zeros((3, 2))
  one_left[1, 0] = math.nan
  for value_SR in (np.zeros((1, 4)), np.zeros((4, 1)), one_left):
    with pytest.raises(ValueError, match='wanted two draws of two seeds or mo'):
      nested.one_way(value_SR)


def draws_study(top='draw'):
  """Two draws of two seeds; gains 1, 3 and 5, 7 in a straight line."""
  pm, curve, pi0 = [], [], []
  for seed, end in enumerate((1.0, 3.0, 5.0, 7.0)):
    folder = f'{top}{seed // 2}'
    run = {'seed': seed, 'run_id': f'{folder}/pm/x-s{seed}'}
    own = {'train_subset': 'mix', 'eval_subset': 'mix'}
    accuracy = 0.6 + end / 100
    for pairs in (1, 2):  # the last point counts
      row = {**run, **own, 'pairs': pairs}
      pm.append(row | {'expected_accuracy': accuracy * (pairs == 2)})
    run = {'seed': seed, 'role': 'linear', 'run_id': f'{folder}/rl/x-s{seed}'}
    for i, root in enumerate(np.linspace(0, 4, 17)):
      row = {**run, 'samples': i, 'kl': root**2, 'train_pm': end * root / 4}
      curve.append(row)
    pi0.append(run | {'scorer': 'train', 'mean': 0.0, 'within_variance': 1.0})
  return {
    'pm_curve': small.table('pm_curve', pm),
    'rl_curve': small.table('rl_curve', curve),
    'rl_pi0': small.table('rl_pi0', pi0),
  }


def test_a_study_of_draws_has_a_row_a_quantity():
  table = nested.table(draws_study()).set_index('quantity')
  gain = table.loc['gain of PPO']
  assert gain['mean'] == 4 and gain['within'] == pytest.approx(2)
  assert gain['between'] == pytest.approx((16 - 2) / 2)
  accuracy = table.loc['PM expected accuracy']
  assert accuracy['mean'] == pytest.approx(0.64)
  slope = table.loc['slope of reward on KL']
  assert slope['mean'] == pytest.approx(1)
  assert table.loc['score of pi_0', 'mean'] == 0
  assert len(table) == 6


def test_a_study_without_draws_is_refused():
  with pytest.raises(NotRunError, match='run0/pm/x-s0 is of no draw'):
    nested.table(draws_study('run'))


def test_the_page_has_the_table_of_the_study_or_says_how_it_is_made(tmp_path):
  text = page.generate(tmp_path)
  assert 'make reproduce PRESET=shared_variance' in text
  found = nested.table(draws_study())
  rows = list(page.rows_of(found))
  assert rows[1].startswith('| gain of PPO | 4 | 4 | 7 | 2 | 0.78 | 0.00 to ')
  assert page.generate() == page.OUT.read_text()


def test_what_the_results_say_of_shared_variance_is_its_table():
  """Shares, their intervals, and how much wider an interval would be."""
  words = (page.ROOT / 'docs' / 'results.md').read_text()
  said = words.partition('**What seeds share.**')[2].partition('\n\n')[0]
  said = ' '.join(said.split())
  found = nested.table(runs.read_tables(page.STUDY / 'tables'))
  found = found.set_index('quantity')
  short = lambda x: f'{x:.2f}'.lstrip('0') if x else '0'
  for quantity in ('PM expected accuracy', 'gain of PPO'):
    row = found.loc[quantity]
    ends = f'[{short(row["low"])}, {short(row["high"])}]'
    assert f'{short(row["share"])} {ends}' in said, quantity
  fits = found.loc[
    [f'{x} of reward on KL' for x in ('slope', 'bow', 'exponent')]
  ]
  low, high = (short(x) for x in (fits['share'].min(), fits['share'].max()))
  assert f'{low} to {high} of that of slope, bow and exponent' in said
  rest = found.loc[['gain of PPO', *fits.index]]
  low, high = (short(x) for x in (rest['high'].min(), rest['high'].max()))
  assert f'intervals that reach {low} to {high}' in said
  wide = found['widening']
  assert f'{wide["PM expected accuracy"]:.1f} times' in said
  own = wide[rest.index]
  assert f'1.0 to {own.max():.1f} times' in said and own.min() < 1.1
  _verdicts_hold(wide)
  assert 'decides 11, 13, 14 or 37 changes its verdict' in said
  widest = np.sqrt(1 + nested.SEEDS * rest['high'] / (1 - rest['high']))
  assert 'do not exclude four times' in said and (widest.max() > 4)


def _verdicts_hold(wide):
  """Intervals of headline, each wider by its own factor, decide as they did."""
  of = {11: 'gain of PPO', 13: 'bow of reward on KL'}
  of |= {14: 'exponent of reward on KL', 37: 'PM expected accuracy'}
  path = page.ROOT / 'results' / 'headline' / 'claims.json'
  rows = {row['id']: row for row in claims_io.read_claims(path)['claims']}
  for number, quantity in of.items():
    sides = {_side(x, wide[quantity]) for x in rows[number]['contrasts']}
    found = 'fail' if 'beyond' in sides else 'pass'
    assert found == 'fail' or sides == {'inside'}, number
    assert found == rows[number]['verdict'], number


def _side(contrast, wider):
  """Whether an interval lies inside its bound, beyond it or across."""
  mean, bound = contrast['mean'], contrast['bound']
  low, high = (mean + wider * (end - mean) for end in contrast['ci'])
  if contrast['side'] == 'inside':
    least, most = bound
  else:
    least, most = {'>': (bound, np.inf), '<': (-np.inf, bound)}[
      contrast['side']
    ]
  if least < low and high < most:
    return 'inside'
  return 'beyond' if high < least or low > most else 'across'
