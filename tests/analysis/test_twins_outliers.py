"""Claims on outliers and on distilled models beside loops and boundaries."""

import itertools
import math

import numpy as np
import pytest

from rlhf_jax.analysis import intervals, outlier_rows
from rlhf_jax.analysis import ood as areas
from rlhf_jax.analysis.claims import distillation, ood
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import loops, small
from tests.analysis.loops import SEEDS

DEPTHS = {'S': 2, 'M': 8, 'L': 4}
SPLITS = (0, 1)


def distances(rng):
  """Rows of `ood`; (seed, size, layer) -> halves and whole of both scores.

  Two splits of the prompts, whose numbers lie .1 below and above; a mean over
  tokens and the diagonal distance play no part.
  """
  rows, value = [], {}
  for seed, (size, depth) in itertools.product(SEEDS, DEPTHS.items()):
    for layer, score in itertools.product(
      range(1, depth + 1), ('plain', 'simplified')
    ):
      own = 0.2 + 0.6 * rng.random(3)
      value[seed, size, layer, score] = own
      for split in SPLITS:
        row = {'seed': seed, 'size': size, 'role': 'ood', 'pool': 'last'}
        row |= {'layers': depth, 'layer': layer, 'score': score}
        names = ('auroc_first', 'auroc_second', 'auroc')
        shifted = own + (0.1 if split else -0.1)
        row |= dict(zip(names, shifted, strict=True)) | {'split': split}
        other = dict.fromkeys(names, 0.99)
        rows += [row, row | other | {'pool': 'mean'}]
        rows.append(row | other | {'score': 'diagonal'})
  return rows, value


@pytest.mark.parametrize('draw', range(4))
def test_claim_45_is_that_of_loops_over_layers_halves_and_splits(draw):
  rows, value = distances(np.random.default_rng(draw))
  found = ood.grows_with_size(loops.frames({'ood': rows}))
  slopes, middles, of_large = [], [], []
  for seed in SEEDS:
    area, inside = {}, []
    for size, depth in DEPTHS.items():
      own = [value[seed, size, k, 'simplified'] for k in range(1, depth + 1)]
      first, second, whole = zip(*own, strict=True)
      by_first = second[first.index(max(first))]
      by_second = first[second.index(max(second))]
      area[small.PARAMS[size]] = (by_first + by_second) / 2
      if depth >= 4:
        best = whole.index(max(whole)) + 1
        inside.append(depth / 4 < best <= 3 * depth / 4)
    slopes.append(loops.ln_slope(area))
    middles.append(all(inside))
    of_large.append(area[small.PARAMS['L']])
  assert small.ends(found, 'slope') == pytest.approx(small.interval(slopes))
  assert found.measured['auroc_L'] == pytest.approx(loops.mean(of_large))
  share = small.numbers(found)['best_in_middle_half']
  assert share == pytest.approx(loops.mean(middles))


@pytest.mark.parametrize('draw', range(3))
def test_claim_47_takes_the_best_of_both_scores_at_any_layer(draw):
  rng = np.random.default_rng(draw)
  rows, value = distances(rng)
  shown, ours = [], []
  for seed, size, count in itertools.product(SEEDS, 'SL', (1, 10, 100)):
    own = rng.random()
    ours += [own] if (size, count) == ('S', 10) else []
    for pool, split in itertools.product(('last', 'mean'), SPLITS):
      shift = (0.1 if split else -0.1) + 5 * (pool == 'mean')
      row = {'seed': seed, 'size': size, 'outliers': count, 'pool': pool}
      shown.append(row | {'split': split, 'auroc': own + shift})
  tables = loops.frames({'ood': rows, 'ood_exposure': shown})
  found = ood.outliers_replace_size(tables)
  best = [
    max(v[2] for (own, size, *_), v in value.items() if (own, size) == (s, 'L'))
    for s in SEEDS
  ]
  apart = [a - b for a, b in zip(ours, best, strict=True)]
  middle = small.numbers(found)['smallest_minus_largest']
  assert middle == pytest.approx(loops.mean(apart))
  assert found.measured['largest_without'] == pytest.approx(loops.mean(best))
  lone = {k: frame[frame['size'] == 'S'] for k, frame in tables.items()}
  with pytest.raises(NotRunError, match='one size; wanted a smallest and a la'):
    ood.outliers_replace_size(lone)


@pytest.mark.parametrize(('errors', 'low'), [(1.64, 0.0), (1.65, 1.0)])
def test_nine_layers_over_prompts_have_intervals_of_90_percent(errors, low):
  """1 - .1 / 1: each ends 1.645 standard errors below its difference."""
  run = {'role': 'ood_base', 'size': 'L', 'pool': 'last', 'layers': 9}
  run |= {'score': 'simplified', 'over_plain_se': 0.01}
  rows = [run | {'layer': k, 'over_plain': errors / 100} for k in range(1, 10)]
  found = ood.relative_is_better_over_prompts(loops.frames({'ood': rows}))
  assert small.ends(found, 'share_of_cells') == [low, 1.0]


def test_nine_cells_over_seeds_have_intervals_of_90_percent():
  """Eight seeds with one of them below: .95 would reach 0, .9 does not."""
  value_N = np.array([1.0, 2, 3, 4, 5, 6, 7, -2])
  rows = [
    {'seed': seed, 'size': 'L', 'pool': 'last', 'layers': 9, 'layer': layer}
    | {'score': 'simplified', 'over_plain': value}
    for seed, value in enumerate(value_N + 0.0)
    for layer in range(1, 10)
  ]
  ends = {
    level: ood.over_seeds(value_N, level=level).low for level in (0.9, 0.95)
  }
  middle = sum(ends.values()) / 2
  for row in rows:
    row['over_plain'] -= middle
  found = ood.relative_is_better(loops.frames({'ood': rows}))
  assert small.ends(found, 'share_of_cells')[0] == 1.0
  ten = [row | {'layer': 10} for row in rows if row['layer'] == 9]
  found = ood.relative_is_better(loops.frames({'ood': rows + ten}))
  assert small.ends(found, 'share_of_cells')[0] == 0.0


def test_the_layers_of_a_run_are_level_within_rounding_alone():
  """Level layers of both kinds have no best one; of one kind they have."""
  rows = [{'layers': 4, 'layer': k, 'auroc': 0.7} for k in (1, 2, 3)]
  frame = small.table('ood', rows)
  assert math.isnan(outlier_rows.best_in_the_middle(frame))
  assert outlier_rows.best_in_the_middle(frame[frame['layer'] > 1]) == 1.0
  frame.loc[0, 'auroc'] += 1e-9
  assert outlier_rows.best_in_the_middle(frame) == 0.0
  frame.loc[0, 'auroc'] = 0.7 - 1e-9
  assert outlier_rows.best_in_the_middle(frame) == 1.0


def test_an_area_that_is_surer_has_the_interval_of_its_log_odds():
  """logit(A) -+ z se / (A (1 - A)), at 80 %: z = 1.2816."""
  found = areas.auroc([3.0, 1.0, 2.0, 2.0], [0.0, 2.0, 1.0])
  area, error = 19 / 24, found.error
  half = 1.2815515655446004 * error / (area * (1 - area))
  odds = math.log(area / (1 - area))
  wanted = [1 / (1 + math.exp(-(odds + side))) for side in (-half, half)]
  ends = areas.interval(found, 0.8)
  assert [ends.low, ends.high] == pytest.approx(wanted)
  assert ends.n == 3


def students(rng):
  """Rows of distillation, in no order: three tests each, all texts and one."""
  rows, kl = [], {}
  for seed, size in itertools.product(SEEDS, 'SML'):
    last = 80 if (seed, size) == (2, 'L') else 90
    for tokens in (0, 40, last):
      value = kl[seed, size, tokens and tokens // 40] = 1 + rng.random()
      run = {'role': 'distilled', 'seed': seed, 'size': size}
      run |= {'tokens': tokens, 'texts': 'all', 'kl': value}
      rows += [run, run | {'texts': 'question', 'kl': 99.0}]
  return [rows[i] for i in rng.permutation(len(rows))], kl


def test_claim_49_is_that_of_loops_over_students_first_and_last():
  rows, kl = students(np.random.default_rng(2))
  found = distillation.distillation_works(loops.frames({'distillation': rows}))
  left = [math.log(kl[s, 'L', 2] / kl[s, 'L', 0]) for s in SEEDS]
  ends = [math.exp(end) for end in small.interval(left)]
  assert small.ends(found, 'left_of_own_kl') == pytest.approx(ends)
  slopes = [
    loops.ln_slope({n: kl[s, size, 2] for size, n in small.PARAMS.items()})
    for s in SEEDS
  ]
  ends = small.ends(found, 'slope_of_final_kl')
  assert ends == pytest.approx(small.interval(slopes))
  before = loops.mean(kl[s, 'M', 0] for s in SEEDS)
  assert found.measured['kl_before_M'] == pytest.approx(before)


def readings(**right):
  """Rows of prompted of the largest model and of one that plays no part."""
  rows = []
  for seed, (reading, accuracy) in itertools.product(SEEDS, right.items()):
    row = {'seed': seed, 'reading': reading, 'gold': seed + accuracy(seed)}
    row |= {'accuracy': accuracy(seed), 'nats_per_token': accuracy(seed) / 2}
    row |= {'model': 'L', 'model_params': 9}
    rows += [row, row | {'model_params': 3, 'accuracy': 5.0}]
  return loops.frames({'prompted': rows})


def test_a_prompt_that_makes_choices_worse_moves_them_too():
  """By .1 downwards; the distilled model follows within a point."""
  tables = readings(
    plain=lambda seed: 0.8,
    prompted=lambda seed: 0.7 + 0.01 * seed,
    distilled=lambda seed: 0.7 + 0.015 * seed,
  )
  found = distillation.distilled_like_prompted(tables)
  wanted = small.interval([0.0, 0.005, 0.01])
  ends = small.ends(found, 'distilled_minus_prompted')
  assert ends == pytest.approx(wanted) and found.note == ''
  assert intervals.verdict(found.contrasts) == 'pass'
  assert found.measured['gold_prompted'] == pytest.approx(1.71)
  assert found.measured['tax_nats'] == pytest.approx((0.715 - 0.8) / 2)


def test_a_reading_that_is_lacking_is_named():
  tables = readings(plain=lambda seed: 0.8, distilled=lambda seed: 0.7)
  with pytest.raises(NotRunError, match='^prompted.csv lacks prompted$'):
    distillation.distilled_like_prompted(tables)


def test_the_buckets_of_all_tokens_are_added_up():
  """Of two seeds 10 and 30 tokens; kept ids equal to the vocabulary are few."""
  rows = [
    {'seed': seed, 'ids': ids, 'top': 50, 'tokens': tokens, 'full': full}
    | {'bucketed': bucketed, 'largest_excess': most, 'smallest_excess': least}
    for seed, tokens, full, bucketed, most in (
      (0, 10, 0.4, 0.1, -0.5),
      (1, 30, 0.6, 0.5, -0.2),
    )
    for ids, least in ((51, -9.0), (50, 1e-9))
  ]
  found = distillation.buckets_bound(loops.frames({'buckets': rows}))
  assert found.measured == pytest.approx(
    {'tokens': 40, 'full_kl': 0.5, 'ratio': 0.6}
  )
  assert [c.interval.n for c in found.contrasts] == [2, 2]
  assert small.numbers(found)['apart_where_all_are_kept'] == 0.5
