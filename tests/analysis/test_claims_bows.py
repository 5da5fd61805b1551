"""Claims 66 and 67 on policies and frontiers of known shape."""

import math

import numpy as np
import pytest

from experiments import claims
from rlhf_jax.analysis import intervals, runs
from rlhf_jax.analysis.claims import bows
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.operating.tables import bent
from tests.analysis import small

ROOT_N = np.linspace(0, 2, 21)
# PM -> bows of the frontier on helpful and on harmless prompts.
PMS = {'x': (0.0, -0.1), 'y': (-0.02, -0.08), 'z': (-0.01, -0.06)}


def bow_study(policy_bow, pms=PMS, seeds=small.SEEDS, level=0.5):
  """Rows of rl_subsets and frontier; policy_bow: (seed, bow) -> bow."""
  curve, edges = [], []
  for seed in seeds:
    for pm, pair in pms.items():
      run = {'role': f'role of {pm}', 'seed': seed}
      for subset, bow in zip(('helpful', 'harmless'), pair, strict=True):
        own = policy_bow(seed, bow)
        for i, root in enumerate(ROOT_N):
          row = {**run, 'subset': subset, 'kl': root**2}
          gain = level * bent(root / 2, own)
          curve.append(row | {'samples': i, 'train_gain': gain})
          label = {'world': 'w', 'pm': pm, 'scorer': 'train'}
          edges.append(row | label | {'gain': bent(root / 2, bow)})
  return {
    'rl_subsets': small.table('rl_subsets', curve),
    'frontier': small.table('frontier', edges),
  }


def test_policies_that_bend_as_their_frontiers_have_a_slope_of_one():
  found = bows.same_shape(bow_study(lambda seed, bow: bow))
  numbers = small.numbers(found)
  assert numbers['slope'] == pytest.approx(1)
  assert numbers['combinations'] == 6 and found.note == ''
  assert numbers['frontier_bow_min'] == pytest.approx(-0.1)
  assert numbers['frontier_bow_max'] == pytest.approx(0, abs=1e-12)
  assert numbers['offset'] == pytest.approx(0, abs=1e-9)
  assert small.sides(found) == {'slope': ('inside', (0.5, 1.5))}
  assert intervals.verdict(found.contrasts) == 'pass'


def test_a_slope_and_its_interval_by_hand():
  """Slopes .8, 1 and 1.2 of three seeds, and bows lower by .01 in all."""
  slopes = {0: 0.8, 1: 1.0, 2: 1.2}
  study = bow_study(lambda seed, bow: slopes[seed] * bow - 0.01)
  found = bows.same_shape(study)
  half = 0.2 * small.HALF_OF_THREE
  assert small.ends(found, 'slope') == pytest.approx([1 - half, 1 + half])
  assert small.numbers(found)['offset'] == pytest.approx(-0.01)


@pytest.mark.parametrize('slope', [-1.0, 0.3, 2.0])
def test_policies_of_another_shape_fail(slope):
  found = bows.same_shape(bow_study(lambda seed, bow: slope * bow))
  assert small.numbers(found)['slope'] == pytest.approx(slope)
  assert intervals.verdict(found.contrasts) == 'fail'


@pytest.mark.parametrize(
  ('pms', 'note'),
  [
    ({'x': (0.0, -0.1), 'y': (-0.02, -0.08)}, '4 combinations of world, PM an'),
    ({k: (0.0, -0.04) for k in 'xyz'}, 'no frontier has a bow below -0.05: th'),
    ({k: (-0.1, -0.03) for k in 'xyz'}, 'no frontier has a bow within 0.02 of'),
  ],
)
def test_too_few_frontiers_or_too_much_alike_decide_nothing(pms, note):
  found = bows.same_shape(bow_study(lambda seed, bow: bow, pms))
  assert small.numbers(found)['slope'] == pytest.approx(1)
  assert found.note.startswith(note)
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_a_combination_that_one_seed_lacks_is_left_out_and_counted():
  tables = bow_study(lambda seed, bow: bow)
  rows = tables['rl_subsets']
  lost = (rows['role'] == 'role of x') & (rows['subset'] == 'helpful')
  lost &= rows['seed'] == 1
  rows.loc[lost, 'train_gain'] *= 0.1  # no gain, no shape
  found = bows.same_shape(tables)
  assert small.numbers(found)['combinations'] == 5
  assert '1 combinations lack a seed' in found.note
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_runs_of_one_seed_and_pm_are_averaged():
  """Half b bends twice as much as its frontier, half a not at all: 1."""
  tables = {}
  for half, multiple in (('a', 0.0), ('b', 2.0)):
    own = bow_study(lambda seed, bow, m=multiple: m * bow)
    for name, frame in own.items():
      run_id = frame['run_id'] + half
      tables.setdefault(name, []).append(frame.assign(half=half, run_id=run_id))
  tables = {name: bows.pd.concat(x) for name, x in tables.items()}
  found = bows.same_shape(tables)
  assert small.numbers(found)['slope'] == pytest.approx(1)
  assert found.contrasts[0].interval.n == 3


def test_only_the_scorer_that_is_optimised_has_the_frontier():
  tables = bow_study(lambda seed, bow: bow)
  tables['frontier']['scorer'] = 'gold'
  with pytest.raises(NotRunError, match='no rows with scorer=train'):
    bows.same_shape(tables)
  tables = bow_study(lambda seed, bow: bow)
  tables['frontier']['seed'] += 10
  with pytest.raises(NotRunError, match='no run of rl_subsets.csv has its row'):
    bows.same_shape(tables)


def share_study(shares, seeds=small.SEEDS, start=3.0):
  """Linear runs with a share of a frontier of slope 2; share(size, seed)."""
  curve, pi0, edges = [], [], []
  for seed in seeds:
    for size in 'SML':
      run = {'role': 'linear', 'size': size, 'seed': seed}
      for root in ROOT_N:
        gain = 2 * root
        score = start + shares(size, seed) * gain
        curve.append(run | {'kl': root**2, 'train_pm': score})
        label = {'scorer': 'train', 'subset': 'all', 'gain': gain}
        edges.append(run | label | {'kl': root**2})
      pi0.append(run | {'scorer': 'train', 'mean': start})
  return {
    'rl_curve': small.table('rl_curve', curve),
    'rl_pi0': small.table('rl_pi0', pi0),
    'frontier': small.table('frontier', edges),
  }


def test_equal_efficiencies_have_ratios_of_one_for_every_two_sizes():
  found = bows.same_efficiency(share_study(lambda size, seed: 0.4))
  numbers = small.numbers(found)
  names = ('M_over_S', 'L_over_S', 'L_over_M')
  for name in names:
    assert numbers[f'efficiency_{name}'] == pytest.approx(1)
  assert numbers['efficiency_M'] == pytest.approx(0.4) and found.note == ''
  sides = small.sides(found)
  assert sides == {f'efficiency_{x}': ('inside', (0.9, 1.1)) for x in names}
  assert intervals.verdict(found.contrasts) == 'pass'


def test_a_size_at_four_fifths_fails():
  study = share_study(lambda size, seed: 0.4 if size == 'L' else 0.5)
  found = bows.same_efficiency(study)
  assert small.numbers(found)['efficiency_L_over_S'] == pytest.approx(0.8)
  assert small.numbers(found)['efficiency_M_over_S'] == pytest.approx(1)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_the_interval_of_a_ratio_is_one_of_its_logarithm():
  """Ratios e^-.1, 1 and e^.1: sd .1 on the log scale."""
  shares = lambda size, seed: 0.5 * math.exp(0.1 * (seed - 1) * (size == 'L'))
  found = bows.same_efficiency(share_study(shares))
  half = 0.1 * small.HALF_OF_THREE
  ends = small.ends(found, 'efficiency_L_over_M')
  assert ends == pytest.approx([math.exp(-half), math.exp(half)])


def test_what_cannot_be_divided_is_not():
  found = bows.same_efficiency(share_study(lambda size, seed: seed - 0.5))
  assert math.isnan(small.ends(found, 'efficiency_M_over_S')[0])
  tables = share_study(lambda size, seed: 0.5)
  edges = tables['frontier']
  short = (edges['size'] == 'S') & (edges['kl'] > 1.4**2)
  tables['frontier'] = edges[~short]
  found = bows.same_efficiency(tables)
  assert found.note == (
    '3 of 9 policies or frontiers leave sqrt(KL) in [0.5, 1.5] uncovered'
  )
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_one_size_has_nothing_to_be_compared_with():
  tables = share_study(lambda size, seed: 0.5)
  tables['rl_curve'] = tables['rl_curve'].query('size == "S"')
  with pytest.raises(NotRunError, match='one policy size'):
    bows.same_efficiency(tables)


def test_studies_of_two_worlds_are_pooled(tmp_path, capsys):
  """Three combinations of each, alike in all but their world: six."""
  few = {'x': (0.0, -0.1)}, {'y': (-0.01, -0.06), 'z': (-0.02, -0.08)}
  for world, pms in zip(('old', 'new'), few, strict=True):
    tables = bow_study(lambda seed, bow: bow, pms)
    tables['frontier']['world'] = world
    runs.write_tables(tables, tmp_path / world / 'tables')
  folders = [str(tmp_path / world) for world in ('old', 'new')]
  assert claims.main(['pool', *folders]) == 0
  printed = capsys.readouterr().out
  assert '| 66 |' in printed and 'combinations 6' in printed
  assert '3 seeds; wanted 8' in printed
  assert claims.main(['pool', folders[0], folders[0]]) == 1
  assert 'wanted studies of different names' in capsys.readouterr().err
