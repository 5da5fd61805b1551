"""Claims on preference models beside loops, on numbers drawn at random.

Every number is another one for each seed, so that means that are taken over the
wrong thing, or differences of what does not belong together, are seen.
"""

import itertools
import math

import numpy as np
import pytest

from rlhf_jax.analysis.claims import best_of_n, imitation, scans, tension
from tests.analysis import loops, small
from tests.analysis.loops import SEEDS

KINDS = ('helpful', 'harmless')


def accuracies(rng, subsets, sizes):
  """(seed, size, subset, kind) -> accuracy of a finished PM."""
  cells = itertools.product(SEEDS, sizes, subsets, KINDS)
  return {cell: 0.5 + 0.4 * rng.random() for cell in cells}


def curve(role, accuracy):
  """Rows of pm_curve, and before each its PM half way, much better."""
  rows = []
  for (seed, size, subset, kind), value in accuracy.items():
    run = {'role': role, 'seed': seed, 'size': size, 'train_subset': subset}
    run |= {'eval_subset': kind, 'run_id': f'{role}{seed}{size}{subset}'}
    for pairs, found in ((5, 0.99), (10, value)):
      rows.append(run | {'pairs': pairs, 'expected_accuracy': found})
  return {'pm_curve': small.table('pm_curve', rows)}


SHARES = {'0/100': 0.0, '20/80': 0.2, '50/50': 0.5, '70/30': 0.7, '100/0': 1.0}


def chosen_by_others(worth, choices):
  """For each seed the choice that is worth most to the other seeds."""
  return {
    seed: max(
      choices,
      key=lambda c, own=seed: sum(worth[k, c] for k in SEEDS if k != own),
    )
    for seed in SEEDS
  }


@pytest.mark.parametrize('draw', range(3))
def test_claim_38_is_that_of_loops_over_shares_and_the_other_seeds(draw):
  rng = np.random.default_rng(draw)
  accuracy = accuracies(rng, SHARES, 'SL')
  found = tension.mixture_serves_both(curve('mixed', accuracy))
  best = {'helpful': '100/0', 'harmless': '0/100'}
  inner, room = list(SHARES)[1:-1], {}
  for seed, share, kind in itertools.product(SEEDS, inner, KINDS):
    specialist = accuracy[seed, 'L', best[kind], kind]
    own = accuracy[seed, 'L', share, kind]
    room[seed, share, kind] = own - 0.95 * specialist
  worse = {
    (seed, share): min(room[seed, share, kind] for kind in KINDS)
    for seed in SEEDS
    for share in inner
  }
  chosen = chosen_by_others(worse, inner)
  for kind in KINDS:
    values = [room[seed, chosen[seed], kind] for seed in SEEDS]
    ends = small.ends(found, f'{kind}_room')
    assert ends == pytest.approx(small.interval(values))
  share = loops.mean(SHARES[share] for share in chosen.values())
  assert found.measured['share'] == pytest.approx(share)
  at_20 = loops.mean(accuracy[s, 'L', '20/80', 'harmless'] for s in SEEDS)
  assert found.measured['harmless_at_20'] == pytest.approx(at_20)


def test_claim_39_is_that_of_trapezoids_of_uneven_width():
  accuracy = accuracies(np.random.default_rng(4), SHARES, 'SML')
  found = tension.large_mind_less(curve('mixed', accuracy))
  slopes, areas = [], []
  for seed in SEEDS:
    area = {}
    for size, params in small.PARAMS.items():
      both = [
        loops.mean(accuracy[seed, size, subset, kind] for kind in KINDS)
        for subset in SHARES
      ]
      share, total = list(SHARES.values()), 0.0
      for i in range(1, len(share)):
        total += (share[i] - share[i - 1]) * (both[i] + both[i - 1]) / 2
      area[params] = total / max(both)
    slopes.append(loops.ln_slope(area))
    areas.append(area[small.PARAMS['M']])
  ends = small.ends(found, 'area_slope')
  assert ends == pytest.approx(small.interval(slopes))
  assert found.measured['area_M'] == pytest.approx(loops.mean(areas))


@pytest.mark.parametrize('draw', range(3))
def test_claim_40_is_that_of_loops_over_weights_sizes_and_seeds(draw):
  subsets = {f'67/33*{w}': w for w in (1, 2, 3, 4, 10)}
  rng = np.random.default_rng(draw)
  accuracy = accuracies(rng, subsets, 'SML')
  found = tension.weights_mind_less(curve('weighted', accuracy))
  slopes, worth = [], {}
  for seed in SEEDS:
    drop = {}
    for size, params in small.PARAMS.items():
      own = {w: accuracy[seed, size, k, 'helpful'] for k, w in subsets.items()}
      drop[params] = own[1] - own[10]
    slopes.append(loops.ln_slope(drop))
    for subset, weight in subsets.items():
      worth[seed, weight] = loops.mean(
        accuracy[seed, size, subset, kind]
        for size in small.PARAMS
        for kind in KINDS
      )
  ends = small.ends(found, 'drop_slope')
  assert ends == pytest.approx(small.interval(slopes))
  chosen = chosen_by_others(worth, (2, 3, 4))
  for end in (1, 10):
    above = [worth[seed, chosen[seed]] - worth[seed, end] for seed in SEEDS]
    ends = small.ends(found, f'inner_minus_{end}')
    assert ends == pytest.approx(small.interval(above))


def test_claim_41_counts_scores_of_the_seeds_own_pm_ties_as_a_half():
  """Medians of two policies; a smaller and an unfinished PM play no part."""
  rng = np.random.default_rng(5)
  scored, pairs, wanted = [], [], []
  for seed in SEEDS:
    place = {}
    for kind in KINDS:
      medians = rng.integers(0, 5, 2) / 1.0
      for size, median in zip('SL', medians, strict=True):
        row = {'role': 'linear', 'seed': seed, 'size': size, 'subset': kind}
        row |= {'pm_params': 9, 'pm': 'x', 'median': median, 'mean': 99.0}
        scored.append(row)
      scores = rng.integers(0, 5, (6, 2)) + seed / 2
      for chosen, rejected in scores:
        row = {'role': 'scaling', 'seed': seed, 'subset': kind, 'pairs': 8}
        row |= {'score_chosen': chosen, 'score_rejected': rejected}
        off = {'score_chosen': -50.0, 'score_rejected': -50.0}
        pairs += [row, row | off | {'pairs': 4}, row | off | {'size': 'S'}]
      middle = loops.mean(medians)
      place[kind] = 100 * loops.mean(
        (value < middle) + (value == middle) / 2 for value in scores.ravel()
      )
    wanted.append(place['harmless'] - place['helpful'])
  tables = loops.frames({'scored': scored, 'pm_pairs': pairs})
  found = tension.over_optimised(tables)
  ends = small.ends(found, 'difference')
  assert ends == pytest.approx(small.interval(wanted))


def test_claim_36_divides_within_a_seed_and_not_by_what_was_lost():
  """Of PM L one seed loses with all pairs: it has no share of a gain."""
  rng = np.random.default_rng(6)
  rows, gain = [], {}
  for seed, pm, pairs in itertools.product(SEEDS, 'SL', (10, 40, 100)):
    value = 1 + rng.random()
    value = -value if (seed, pm, pairs) == (1, 'L', 100) else value
    gain[seed, pm, pairs] = value
    row = {'role': 'best_of_n', 'seed': seed, 'pm_params': small.PARAMS[pm]}
    row |= {'scorer': 'gold', 'chooser': 'train', 'subset': 'all', 'n': 64}
    rows.append(row | {'pm_pairs': pairs, 'gain': value})
  found = best_of_n.little_data(loops.frames({'best_of_n': rows}))
  shares = [gain[s, 'S', 10] / gain[s, 'S', 100] for s in SEEDS]
  ends = small.ends(found, 'share_1000')
  assert ends == pytest.approx(small.interval(shares))
  middle = loops.mean(gain[s, 'S', 40] / gain[s, 'S', 100] for s in SEEDS)
  assert found.measured['share_1000_40_pairs'] == pytest.approx(middle)
  assert math.isnan(small.ends(found, 'share_16000')[0])


def test_claims_22_and_23_are_those_of_loops():
  """Halves of a seed are averaged; a policy that one side lacks is left out."""
  rng = np.random.default_rng(7)
  rows, mean = [], {}
  for role in ('judged_shared', 'judged_own'):
    cells = itertools.product(SEEDS, 'SML', 'ab', small.PARAMS.values())
    for seed, size, half, pm in cells:
      if (role, seed, size) == ('judged_own', 1, 'M'):
        continue
      value = mean[role, seed, size, half, pm] = rng.normal()
      row = {'role': role, 'seed': seed, 'size': size, 'half': half}
      row |= {'subset': 'all', 'pm_params': pm, 'mean': value, 'median': 9.0}
      rows += [row, row | {'subset': 'helpful', 'mean': 9.0}]
  tables = loops.frames({'scored': rows})
  score = lambda role, seed, size, pm: loops.mean(
    mean[role, seed, size, half, pm] for half in 'ab'
  )
  changes = []
  for seed in SEEDS:
    slope = {}
    for pm in small.PARAMS.values():
      own = {
        params: score('judged_shared', seed, size, pm)
        for size, params in small.PARAMS.items()
      }
      slope[pm] = loops.ln_slope(own)
    changes.append(loops.ln_slope(slope))
  found = scans.large_tests_discriminate(tables)
  ends = small.ends(found, 'change_of_slope')
  assert ends == pytest.approx(small.interval(changes))
  found = scans.small_pms_make_poor_policies(tables)
  apart = [
    score('judged_own', seed, 'S', 16_000)
    - score('judged_shared', seed, 'S', 16_000)
    for seed in SEEDS
  ]
  ends = small.ends(found, 'difference_S')
  assert ends == pytest.approx(small.interval(apart))
  seeds = {c.name: c.interval.n for c in found.contrasts}
  assert seeds == {'difference_S': 3, 'difference_M': 2, 'difference_L': 3}


TASKS = {'helpful': 'ranked', 'harmless': 'ranked', 'answer': 'binary'}


def test_claim_52_is_that_of_loops_over_tasks_sizes_and_seeds():
  rng = np.random.default_rng(8)
  rows, right = [], {}
  cells = itertools.product(SEEDS, 'SML', TASKS.items())
  for seed, size, (task, kind) in cells:
    for method in ('ranked', 'binary', 'imitation'):
      value, whole = right[seed, size, task, method] = rng.random(2)
      row = {'role': 'compared', 'seed': seed, 'size': size, 'task': task}
      row |= {'kind': kind, 'method': method, 'accuracy': value}
      rows.append(row | {'accuracy_whole': whole})
  found = imitation.ranking_against_imitation(loops.frames({'methods': rows}))

  def lead(seed, size, kind, rule=0):
    return loops.mean(
      right[seed, size, task, kind][0]
      - right[seed, size, task, 'imitation'][rule]
      for task, own in TASKS.items()
      if own == kind
    )

  for kind, size in itertools.product(('ranked', 'binary'), 'SML'):
    values = [lead(seed, size, kind) for seed in SEEDS]
    ends = small.ends(found, f'{kind}_{size}')
    assert ends == pytest.approx(small.interval(values)), (kind, size)
  slopes = [
    loops.ln_slope(
      {n: lead(seed, size, 'ranked') for size, n in small.PARAMS.items()}
    )
    for seed in SEEDS
  ]
  assert small.ends(found, 'slope') == pytest.approx(small.interval(slopes))
  for kind in ('ranked', 'binary'):
    whole = loops.mean(
      lead(seed, size, kind, 1) for seed in SEEDS for size in 'SML'
    )
    assert found.measured[f'{kind}_over_whole'] == pytest.approx(whole)
