"""What figures of the later chapters show, read off their axes."""

import numpy as np
import pytest

from rlhf_jax.analysis.drawings import (
  distillation,
  imitation,
  ood,
  pretraining,
  scans,
  tension,
)
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small
from tests.analysis.test_drawings import axes_of, points

SEEDS = small.SEEDS  # noise of a seed is -1, 0 or 1 times something


def labels(axis):
  """Of the lines that a legend names."""
  return axis.get_legend_handles_labels()[1]


def ticks(axis):
  return [tick.get_text() for tick in axis.get_xticklabels()]


def bands(axis):
  """{x: (low, high)} of each band that is not empty."""
  found = []
  for one in axis.collections:
    if len(one.get_paths()):
      edges = {}
      for x, y in one.get_paths()[0].vertices:
        edges.setdefault(round(float(x), 9), []).append(float(y))
      found.append({x: (min(y), max(y)) for x, y in edges.items()})
  return found


def test_each_task_has_a_panel_and_each_method_a_line_over_sizes():
  """Seeds lie .1 apart; runs that chose a rate are not drawn."""
  right = {'ranked': 0.7, 'binary': 0.6, 'imitation': 0.5}
  rows = [
    {'role': role, 'seed': seed, 'size': size, 'task': task, 'kind': kind}
    | {'method': method, 'accuracy': value + up + more + (seed - 1) / 10}
    for role, more in (('compared', 0.0), ('tuned', 9.0))
    for seed in SEEDS
    for size, up in (('S', 0.0), ('L', 0.1))
    for task, kind in (('helpful', 'ranked'), ('answer', 'binary'))
    for method, value in right.items()
  ]
  frame = small.table('methods', rows)
  found = axes_of(imitation.methods_by_size, 'methods', frame)
  titles = [axis.get_title() for axis in found]
  assert titles == ['answer (binary)', 'helpful (ranked)']
  for axis in found:
    assert labels(axis) == list(right) and ticks(axis) == ['S', 'L']
    for method, value in right.items():
      wanted = [(1e3, value), (16e3, round(value + 0.1, 9))]
      assert points(axis, method) == wanted
    low, high = small.interval([0.6, 0.7, 0.8])
    assert bands(axis)[0][1e3] == pytest.approx((low, high))


def test_students_are_drawn_before_and_after_by_kind_of_text():
  rows = [
    {'seed': seed, 'size': size, 'tokens': tokens, 'texts': texts}
    | {'kl': kl + more + (size == 'S') + (seed - 1) / 4}
    for seed in SEEDS
    for size in 'SL'
    for texts, more in (('all', 0.0), ('generic', 2.0))
    for tokens, kl in ((0, 5.0), (90, 1.0))
  ]
  frame = small.table('distillation', rows)
  found = axes_of(distillation.distilled_kl, 'distillation', frame)
  for axis, title, more in zip(found, ('all', 'generic'), (0, 2), strict=True):
    assert axis.get_title() == title
    assert points(axis, 'before') == [(1e3, 6 + more), (16e3, 5 + more)]
    assert points(axis, 'after') == [(1e3, 2 + more), (16e3, 1 + more)]
    assert axis.get_ylim()[0] == 0 and ticks(axis) == ['S', 'L']


def test_readings_stand_over_the_model_that_is_read_and_not_over_the_run():
  """The run columns are those of an evaluation of the largest model."""
  level = {'plain': 0.0, 'prompted': 1.0, 'distilled': 2.0}
  rows = [
    {'seed': seed, 'size': 'L', 'model': model, 'reading': reading}
    | {'model_params': small.PARAMS[model], 'nats_per_token': 10 + value + up}
    | {'accuracy': 20 + value + up, 'gold': 30 + value + up + seed - 1}
    for seed in SEEDS
    for model, up in (('S', 0.0), ('M', 0.5))
    for reading, value in level.items()
  ]
  frame = small.table('prompted', rows)
  found = axes_of(distillation.prompted_models, 'prompted', frame)
  names = ['gold of replies', 'right choices', 'held-out loss (nats per token)']
  assert [axis.get_ylabel() for axis in found] == names
  for axis, start in zip(found, (30, 20, 10), strict=True):
    assert ticks(axis) == ['S', 'M']
    for reading, value in level.items():
      wanted = [(1e3, start + value), (4e3, start + value + 0.5)]
      assert points(axis, reading) == wanted
  half = small.HALF_OF_THREE  # seeds of gold are 1 apart
  assert labels(found[0])[0] == 'distilled'
  assert bands(found[0])[0][1e3] == pytest.approx((32 - half, 32 + half))


def layers(seeds, **more):
  """Two scores at two layers, on two splits .1 apart; pools beside `last`."""
  return small.table(
    'ood',
    [
      {'seed': seed, 'size': size, 'score': score, 'layer': layer}
      | {'pool': pool, 'split': split, 'layers': 2}
      | {'auroc': value + layer / 100 + split / 10 + (pool == 'mean')}
      | {'auroc_low': 0.1 + layer / 100, 'auroc_high': 0.9 + layer / 100}
      | more
      for seed in seeds
      for size in 'SL'
      for score, value in (('plain', 0.5), ('simplified', 0.7), ('diagonal', 9))
      for layer in (1, 2)
      for pool in ('last', 'mean')
      for split in (0, 1)
    ],
  )


def test_both_distances_are_drawn_by_layer_and_size_over_chance():
  found = axes_of(ood.outlier_layers, 'ood', layers(SEEDS))
  assert [axis.get_title() for axis in found] == ['S', 'L']
  for axis in found:
    assert labels(axis) == ['plain', 'simplified', 'chance']
    assert points(axis, 'plain') == [(1, 0.56), (2, 0.57)]
    assert points(axis, 'simplified') == [(1, 0.76), (2, 0.77)]
    assert set(axis.lines[-1].get_ydata()) == {0.5}
    assert bands(axis)[0][1] == pytest.approx((0.56, 0.56))  # seeds are alike


def test_one_model_has_its_bands_over_prompts():
  for axis in axes_of(ood.outlier_layers, 'ood', layers((3,))):
    both = bands(axis)
    assert len(both) == 2
    for band in both:
      assert band[1] == pytest.approx((0.11, 0.91))
      assert band[2] == pytest.approx((0.12, 0.92))


def exposure(seeds):
  """AUROC .7, .8, .9 of 1, 10, 100 shown; the best distance has .6."""
  return small.table(
    'ood_exposure',
    [
      {'seed': seed, 'size': size, 'pool': pool, 'outliers': 10**k}
      | {'auroc': area + (seed - seeds[0]) / 10, 'auroc_se': 0.01 * (k + 1)}
      | {'over_best': area + (seed - seeds[0]) / 10 - 0.6 + (size == 'S') / 10}
      for seed in seeds
      for size in 'SL'
      for pool, more in (('last', 0.0), ('mean', 5.0))
      for k in range(3)
      for area in [0.7 + k / 10 + more]
    ],
  )


def test_shown_outliers_stand_over_the_best_distance_of_each_size():
  (axis,) = axes_of(ood.outlier_exposure, 'ood_exposure', exposure(SEEDS))
  wanted = [(1, 0.8), (10, 0.9), (100, 1.0)]
  assert points(axis, 'S') == points(axis, 'L') == wanted
  assert points(axis, 'S, best distance') == [(1, 0.5), (100, 0.5)]
  assert points(axis, 'L, best distance') == [(1, 0.6), (100, 0.6)]
  assert ticks(axis) == ['1', '10', '100'] and axis.get_xscale() == 'log'
  assert axis.containers == []  # of several seeds the band is enough


def test_bars_of_one_model_are_two_standard_errors_over_prompts():
  (axis,) = axes_of(ood.outlier_exposure, 'ood_exposure', exposure((4,)))
  small_one, _ = axis.containers
  (segments,) = [x.get_segments() for x in small_one.lines[2]]
  for k, segment in enumerate(segments):
    low, high = segment[:, 1]
    half = 1.96 * 0.01 * (k + 1)
    assert (low, high) == pytest.approx(
      (0.7 + k / 10 - half, 0.7 + k / 10 + half)
    )


def test_pretraining_is_drawn_by_pairs_on_the_mixture_alone():
  rows = [
    {'role': role, 'seed': seed, 'pairs': pairs, 'eval_subset': subset}
    | {'expected_accuracy': value + pairs / 1000 + odd + (seed - 1) / 50}
    | {'accuracy': 0.0, 'run_id': f'{role}{seed}{pairs}'}
    for role, value in (('after_none', 0.5), ('after_binary', 0.6), ('rl', 9))
    for seed in SEEDS
    for pairs in (100, 200)
    for subset, odd in (('mix', 0.0), ('helpful', 5.0))
  ]
  frame = small.table('pm_curve', rows)
  (axis,) = axes_of(pretraining.accuracy_after_pretraining, 'pm_curve', frame)
  assert labels(axis) == ['no pretraining', 'GOOD/BAD pretraining']
  assert points(axis, 'no pretraining') == [(100, 0.6), (200, 0.7)]
  assert points(axis, 'GOOD/BAD pretraining') == [(100, 0.7), (200, 0.8)]
  assert axis.get_xscale() == 'log'


def test_a_line_a_test_pm_over_policies_and_a_panel_a_way_to_train_them():
  rows = [
    {'role': role, 'seed': seed, 'size': size, 'subset': subset}
    | {'pm_params': pm, 'mean': pm / 1000 + up + low + odd + seed - 1}
    for role, low in (('judged_own', -1.0), ('judged_shared', 0.0))
    for seed in SEEDS
    for size, up in (('S', 0.0), ('L', 0.5))
    for subset, odd in (('all', 0.0), ('helpful', 50.0))
    for pm in (0, 1000, 4000)
  ]
  frame = small.table('scored', rows)
  shared, own = axes_of(scans.test_pm_by_policy_size, 'scored', frame)
  assert shared.get_title() == 'policies under the largest PM'
  assert own.get_title() == 'policies under PMs of their own size'
  for axis, low in ((shared, 0.0), (own, -1.0)):
    assert labels(axis) == ['test PM of 1,000', 'test PM of 4,000']
    for name, level in (('test PM of 1,000', 1), ('test PM of 4,000', 4)):
      wanted = [(1e3, level + low), (16e3, level + low + 0.5)]
      assert points(axis, name) == wanted
    assert ticks(axis) == ['S', 'L']
  gold = frame[frame['pm_params'] == 0]
  with pytest.raises(NotRunError, match='scored.csv by a PM has no rows'):
    axes_of(scans.test_pm_by_policy_size, 'scored', gold)


MIXED = {'0/100': (0.4, 0.8), '50/50': (0.6, 0.7), '100/0': (0.8, 0.3)}
WEIGHTED = {
  '67/33*1': (0.7, 0.5),
  '67/33*3': (0.65, 0.6),
  '67/33*10': (0.6, 0.7),
}


def mixtures(**roles):
  rows = [
    {'role': role, 'size': size, 'seed': seed, 'pairs': 10}
    | {'train_subset': subset, 'eval_subset': kind}
    | {'run_id': f'{role}{size}{seed}{subset}'}
    | {'expected_accuracy': value * scale + (seed - 1) / 50}
    for role, scan in roles.items()
    for size, scale in (('S', 0.5), ('L', 1.0))
    for seed in SEEDS
    for subset, pair in scan.items()
    for kind, value in zip(('helpful', 'harmless'), pair, strict=True)
  ]
  return small.table('pm_curve', rows)


def test_the_scan_of_mixtures_and_that_of_weights():
  frame = mixtures(mixed=MIXED, weighted=WEIGHTED)
  top, relative, weights = axes_of(tension.mixture_scan, 'pm_curve', frame)
  assert points(top, 'tested on helpful') == [(0, 0.4), (0.5, 0.6), (1, 0.8)]
  assert points(top, 'tested on harmless') == [(0, 0.8), (0.5, 0.7), (1, 0.3)]
  # Means .6, .65, .55 and their halves, each over the largest of its seed.
  for size, scale in (('S', 0.5), ('L', 1.0)):
    lines = np.array(points(relative, size))
    wanted = [
      np.mean([(x * scale + s) / (0.65 * scale + s) for s in (-0.02, 0, 0.02)])
      for x in (0.6, 0.65, 0.55)
    ]
    np.testing.assert_allclose(lines, np.stack([[0, 0.5, 1], wanted], 1))
  assert points(weights, 'L') == [(1, 0), (3, -0.05), (10, -0.1)]
  assert points(weights, 'S') == [(1, 0), (3, -0.025), (10, -0.05)]


def test_without_weights_their_panel_is_empty():
  *_, weights = axes_of(tension.mixture_scan, 'pm_curve', mixtures(mixed=MIXED))
  assert not weights.axison and not weights.lines
