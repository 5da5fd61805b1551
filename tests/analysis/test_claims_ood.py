"""Claims 44 to 48 on numbers that are written down."""

import math

import numpy as np
import pytest
from scipy import stats

from rlhf_jax.analysis import intervals, outlier_rows
from rlhf_jax.analysis.claims import judging, ood
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.operating import ood as simulated
from tests.analysis import small

SEEDS = range(8)
DEPTHS = {'S': 2, 'M': 2, 'L': 4}


def distances(area=lambda size, layer: 0.8, over=lambda size, layer: 0.1):
  """Both scores of every layer, size and seed; seeds alternate by .01."""
  rows = []
  for seed in SEEDS:
    shift = 0.01 * (-1) ** seed
    for size, depth in DEPTHS.items():
      for layer in range(1, depth + 1):
        row = {'seed': seed, 'size': size, 'role': 'ood', 'pool': 'last'}
        row |= {'layers': depth, 'layer': layer}
        value, more = area(size, layer) + shift, over(size, layer)
        halves = {'auroc_first': value, 'auroc_second': value}
        row |= halves
        rows.append(
          row | {'score': 'simplified', 'auroc': value, 'over_plain': more}
        )
        rows.append(row | {'score': 'plain', 'auroc': value - more})
  return {'ood': small.table('ood', rows)}


def test_a_cell_counts_by_its_interval_over_seeds():
  """Eight cells; one that is worse, one that is level."""
  apart = {('L', 1): -0.1, ('L', 2): 0.0}
  over = lambda size, layer: apart.get((size, layer), 0.1)
  found = ood.relative_is_better(distances(over=over))
  numbers = small.numbers(found)
  assert numbers['share_of_cells'] == pytest.approx(6 / 8)
  ends = small.ends(found, 'share_of_cells')
  assert ends == pytest.approx([6 / 8, 7 / 8])
  assert numbers['cells'] == 8
  assert numbers['smallest_difference'] == pytest.approx(-0.1)
  assert small.sides(found) == {'share_of_cells': ('>=', 0.9)}
  assert intervals.verdict(found.contrasts) == 'fail'
  whole = ood.relative_is_better(distances())
  assert small.ends(whole, 'share_of_cells') == [1, 1]
  assert intervals.verdict(whole.contrasts) == 'pass'


def test_at_the_ceiling_of_both_nothing_is_concluded():
  found = ood.relative_is_better(distances(over=lambda size, layer: 0.0))
  assert small.ends(found, 'share_of_cells') == [0, 1]
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_the_level_of_a_cell_pays_for_the_ties_that_are_allowed():
  levels = [outlier_rows.level_of(cells) for cells in (8, 10, 19, 20, 30)]
  assert levels == pytest.approx([0.9, 0.95, 0.95, 1 - 0.1 / 3, 0.975])


def test_each_half_chooses_the_layer_that_the_other_measures():
  rows = small.table(
    'ood',
    [
      {'layer': 1, 'auroc_first': 0.9, 'auroc_second': 0.6},
      {'layer': 2, 'auroc_first': 0.7, 'auroc_second': 0.8},
    ],
  )
  assert outlier_rows.best_of_layers(rows) == pytest.approx((0.6 + 0.7) / 2)


def test_slope_of_the_best_layer_and_where_it_lies():
  best = {'S': 0.70, 'M': 0.75, 'L': 0.80}
  area = lambda size, layer: best[size] - 0.1 * (layer != 2)
  found = ood.grows_with_size(distances(area))
  numbers = small.numbers(found)
  assert numbers['slope'] == pytest.approx(0.05 / math.log(4))
  assert numbers['auroc_L'] == pytest.approx(0.80)
  low = stats.beta.ppf(0.025, 8, 1)
  assert small.ends(found, 'best_in_middle_half') == pytest.approx([low, 1])
  assert small.sides(found) == {
    'slope': ('>', 0.0),
    'best_in_middle_half': ('>', 0.5),
  }
  edge = ood.grows_with_size(distances(lambda size, layer: 0.1 * layer))
  assert small.numbers(edge)['best_in_middle_half'] == 0
  level = ood.grows_with_size(distances(lambda size, layer: 0.7))
  assert math.isnan(small.numbers(level)['best_in_middle_half'])


def test_models_that_have_no_middle_or_no_ladder_are_not_run():
  tables = distances()
  frame = tables['ood']
  with pytest.raises(NotRunError, match='models of 4 layers has no rows'):
    flat = frame.assign(layers=2)
    ood.grows_with_size({'ood': flat})
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    ood.grows_with_size({'ood': frame[frame['size'] != 'S']})


def exposed(area=lambda size, count: 0.8 + 0.01 * count / 10, best=0.7):
  rows = []
  for seed in SEEDS:
    for size in DEPTHS:
      for count in (1, 10, 100):
        value = area(size, count) + 0.01 * (-1) ** seed
        row = {'seed': seed, 'size': size, 'pool': 'last', 'outliers': count}
        rows.append(row | {'auroc': value, 'over_best': value - best})
  return {'ood_exposure': small.table('ood_exposure', rows, role='ood')}


def test_ten_outliers_against_the_best_distance_of_every_size():
  found = ood.outliers_help(exposed())
  numbers = small.numbers(found)
  for size in DEPTHS:
    assert numbers[f'over_best_{size}'] == pytest.approx(0.11)
  assert numbers['spearman'] == 1
  assert numbers['auroc_L_of_100_shown'] == pytest.approx(0.9)
  names = {f'over_best_{size}': ('>', 0.0) for size in DEPTHS}
  assert small.sides(found) == names | {'spearman': ('>', 0.0)}
  fewer = ood.outliers_help(exposed(lambda size, count: 0.9 - count / 1000))
  assert small.numbers(fewer)['spearman'] == -1
  assert intervals.verdict(fewer.contrasts) == 'fail'


def test_the_smallest_with_ten_outliers_less_the_best_layer_of_the_largest():
  """.01 * 10 / 10 + .8 = .81, against .9 of the third layer."""
  area = lambda size, layer: 0.9 if (size, layer) == ('L', 3) else 0.7
  tables = distances(area, lambda size, layer: 0.0) | exposed()
  found = ood.outliers_replace_size(tables)
  assert small.numbers(found)['smallest_minus_largest'] == pytest.approx(-0.09)
  assert small.sides(found) == {'smallest_minus_largest': ('>', -0.02)}
  plain = distances(area, lambda size, layer: -0.05) | exposed()
  numbers = small.numbers(ood.outliers_replace_size(plain))
  assert numbers['largest_without'] == pytest.approx(0.95)


def test_the_largest_of_each_control_decides():
  rows = [
    {'seed': seed, 'layer': layer, 'rotated': value, 'shuffled': half}
    for seed, layer, value, half in (
      (0, 1, 1e-9, 0.501),
      (0, 2, 3e-5, 0.499),
      (1, 1, 1e-8, 0.492),
    )
  ]
  found = ood.controls({'ood_control': small.table('ood_control', rows)})
  numbers = small.numbers(found)
  assert numbers['rotated'] == 3e-5
  assert numbers['shuffled_off_half'] == pytest.approx(0.008)
  assert small.sides(found) == {
    'rotated': ('<', 1e-4),
    'shuffled_off_half': ('<', 0.01),
  }


def real(value=0.05, error=0.01, role='ood_base', layers=10):
  """One model: two splits, whose mean is `value`; exposure likewise."""
  run = {'seed': 3, 'size': '135M', 'n_params': 1, 'role': role, 'pool': 'last'}
  rows, shown = [], []
  for split, step in ((0, -0.01), (1, 0.01)):
    for layer in range(1, layers + 1):
      row = {'split': split, 'layer': layer, 'layers': layers}
      row |= {'score': 'simplified', 'auroc': 0.8, 'over_plain': value + step}
      rows.append(run | row | {'over_plain_se': error})
    for count, more in ((1, 0.0), (10, 0.1), (100, 0.2)):
      row = {'split': split, 'outliers': count, 'auroc': 0.7 + more}
      row |= {'over_best': value + step, 'over_best_se': error}
      shown.append(run | row | {'over_fewest': more, 'over_fewest_se': 0.02})
  return {
    'ood': small.table('ood', rows),
    'ood_exposure': small.table('ood_exposure', shown),
  }


def test_of_one_model_intervals_are_over_prompts_and_splits_make_none_smaller():
  tables = real()
  found = ood.outliers_help_over_prompts(tables)
  z = 1.959963984540054
  wanted = [0.05 - z * 0.01, 0.05 + z * 0.01]
  assert small.ends(found, 'over_best') == pytest.approx(wanted)
  most = [0.2 - z * 0.02, 0.2 + z * 0.02]
  assert small.ends(found, 'most_over_fewest') == pytest.approx(most)
  share = ood.relative_is_better_over_prompts(tables)
  assert small.ends(share, 'share_of_cells') == [1, 1]
  unsure = ood.relative_is_better_over_prompts(real(error=0.05))
  assert small.ends(unsure, 'share_of_cells') == [0, 1]


def test_a_model_of_which_there_is_one_is_judged_over_prompts():
  for number in (44, 46):
    row = judging.judge_claim(load().claim(number), real(), {})
    assert (row['verdict'], row['unit'], row['seeds']) == (
      'pass',
      'conversation',
      1,
    )
    assert 'over prompts of different conversations' in row['threshold']
    own = judging.judge_claim(load().claim(number), real(role='ood'), {})
    assert own['verdict'] == 'inconclusive' and 'unit' not in own


@pytest.mark.parametrize('scenario', simulated.SCENARIOS, ids=lambda s: s.claim)
def test_what_is_true_passes_and_what_is_clearly_false_does_not(scenario):
  rng = np.random.default_rng(0)
  tables = scenario.make(rng, SEEDS, 'effect')
  row = judging.judge_claim(load().claim(scenario.claim), tables, {})
  assert row['verdict'] == 'pass', row
  for name in ('ood', 'ood_exposure'):
    if name in tables:
      for column in {'over_plain', 'over_best', 'auroc'} & set(tables[name]):
        tables[name][column] = 1 - tables[name][column]
        if column != 'auroc':
          tables[name][column] -= 1.1
      for column in {'auroc_first', 'auroc_second'} & set(tables[name]):
        tables[name][column] = 1 - tables[name][column]
  if 'ood_control' in tables:
    tables['ood_control']['shuffled'] = 0.6
  row = judging.judge_claim(load().claim(scenario.claim), tables, {})
  assert row['verdict'] == 'fail', row
