"""Claims on RL runs beside loops, on curves that were drawn at random."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis.claims import best_of_n, robustness, scans
from tests.analysis import loops, small
from tests.analysis.loops import SEEDS

SAMPLES = range(0, 201, 10)
PMS = {'S': 'under_S', 'M': 'under_M', 'L': 'robust'}  # size -> role


def long_runs(rng, pm='L', policies='SL'):
  """Rows of both halves in no order; two checkpoints of one run are missing."""
  rows = []
  for seed in SEEDS:
    for size in policies:
      for half in 'ab':
        run = {'role': PMS[pm], 'pm_size': pm, 'seed': seed, 'size': size}
        run |= {'half': half, 'run_id': f'{pm}{seed}{size}{half}'}
        start, gap = rng.normal(size=2)
        for s in SAMPLES:
          if (seed, size, half) == (1, 'S', 'b') and s in (30, 170):
            continue
          train = start + s / 100 + 0.2 * rng.random() * (s > 0)
          row = {'samples': s, 'train_pm': train, 'kl': s / 20}
          row['test_pm'] = train - gap * (s > 0) - s / 300 * rng.random()
          row |= {'gold': 0.1 * rng.normal() + s / 150 - (s / 200) ** 2}
          row |= {'win_rate': 0.5 + s / 500, 'pm_win_rate': 0.5 + s / 420}
          rows.append(run | row)
  return [rows[i] for i in rng.permutation(len(rows))]


def gap_of(rows):
  """(seed, samples) -> (gap, train gain): directions, then policies."""
  starts = {
    row['run_id']: row['train_pm'] for row in rows if not row['samples']
  }
  cells, found = {}, {}
  for row in rows:
    score, key = row['train_pm'], (row['seed'], row['samples'], row['size'])
    pair = score - row['test_pm'], score - starts[row['run_id']]
    cells.setdefault(key, []).append(pair)
  for (seed, samples, _), pairs in cells.items():
    if len(pairs) == 2:  # a checkpoint of one direction alone is none
      both = [loops.mean(values) for values in zip(*pairs, strict=True)]
      found.setdefault((seed, samples), []).append(both)
  return {
    key: [loops.mean(values) for values in zip(*means, strict=True)]
    for key, means in found.items()
  }


def window(gap, seed, low, high, place):
  """The mean of gaps (place 0) or gains (1) from `low` to `high` samples."""
  return loops.mean(
    pair[place]
    for (own, samples), pair in gap.items()
    if own == seed and low <= samples <= high
  )


def test_the_gap_of_claims_19_and_20_is_that_of_loops():
  """Early is 20 to 40 of 200 samples, late is from 150 on."""
  rows = long_runs(np.random.default_rng(0))
  tables, gap = {'rl_curve': small.table('rl_curve', rows)}, gap_of(rows)
  early = [window(gap, seed, 20, 40, 0) for seed in SEEDS]
  late = [window(gap, seed, 150, 200, 0) for seed in SEEDS]
  gain = [window(gap, seed, 150, 200, 1) for seed in SEEDS]
  found = robustness.train_test_gap(tables)
  share = [a / b for a, b in zip(early, gain, strict=True)]
  ends = small.ends(found, 'early_gap_per_gain')
  assert ends == pytest.approx(small.interval(share))
  assert small.ends(found, 'late_gap') == pytest.approx(small.interval(late))
  assert found.measured['late_gain'] == pytest.approx(loops.mean(gain))
  ranks = []
  for seed in SEEDS:
    own = [(s, pair[0]) for (k, s), pair in gap.items() if k == seed and s > 40]
    ranks.append(loops.rank_correlation(*zip(*own, strict=True)))
  growth = robustness.gap_growth(tables)
  assert growth.measured['spearman'] == pytest.approx(loops.mean(ranks))
  met = loops.mean(rank >= 0.8 for rank in ranks)
  assert small.numbers(growth)['share_ranked'] == pytest.approx(met)


def turn_of(run, s0):
  """The numbers of claim 24 of one run."""
  run = sorted(run, key=lambda row: row['samples'])
  part = lambda low, high: [r for r in run if low <= r['samples'] <= high]
  slope = lambda rows, name: loops.slope(
    [row['samples'] for row in rows], [row[name] for row in rows]
  )
  first, last, final = part(0, 50), part(150, 200), run[-1]
  gold = [row['gold'] for row in run]
  top = max(run, key=lambda row: row['gold'])
  middle = loops.mean(row['gold'] for row in part(80, 120))
  naive = 400 / math.log(10) * (final['train_pm'] - s0)
  won, said = loops.odds_elo(final['win_rate']), final['pm_win_rate']
  flattening = slope(last, 'gold') - 0.25 * slope(first, 'gold')
  return {
    'gold_middle_gain': middle - gold[0],
    'gold_flattening': 200 * flattening,
    'train_late_rise': 50 * slope(last, 'train_pm'),
    'elo_excess': naive - won,
    'pm_elo_excess': loops.odds_elo(said) - won,
    'gold_peak_gain': top['gold'] - gold[0],
    'gold_final_gain': gold[-1] - gold[0],
    'sqrt_kl_at_peak': math.sqrt(top['kl']),
  }


def test_the_turn_of_gold_is_that_of_loops_over_runs_and_then_seeds():
  rng = np.random.default_rng(1)
  rows = long_runs(rng, policies='S')
  ids = sorted({row['run_id'] for row in rows})
  s0 = {run_id: rng.normal() for run_id in ids}
  pi0 = [
    {'role': 'robust', 'seed': int(k[1]), 'run_id': k, 'scorer': 'train'}
    | {'mean': value}
    for k, value in s0.items()
  ]
  pi0 += [row | {'scorer': 'test', 'mean': 99.0} for row in pi0]
  tables = {'rl_curve': rows, 'rl_pi0': pi0}
  found = robustness.gold_turns(loops.frames(tables))
  turns = {
    k: turn_of([row for row in rows if row['run_id'] == k], s0[k]) for k in ids
  }
  for name in turns[ids[0]]:
    seeds = [
      loops.mean(turns[k][name] for k in ids if int(k[1]) == seed)
      for seed in SEEDS
    ]
    assert small.numbers(found)[name] == pytest.approx(loops.mean(seeds)), name
    if name == 'elo_excess':
      assert small.ends(found, name) == pytest.approx(small.interval(seeds))


def by_pm(gap, seed, equal):
  """(gap over gain where the gain is first `equal`, where it diverges)."""
  own = sorted((s, *pair) for (k, s), pair in gap.items() if k == seed)
  reached = next(i for i, (_, _, gain) in enumerate(own) if gain >= equal)
  (_, low, under), (_, high, over) = own[reached - 1], own[reached]
  there = loops.at(equal, [under, over], [low, high]) / equal
  late = [(s / 200, x, gain) for s, x, gain in own if s >= 20]
  for i, (share, *_) in enumerate(late):
    if all(x > 0.1 * gain for _, x, gain in late[i:]):
      return there, share
  return there, 1.0


def test_claim_21_is_that_of_loops_over_sizes_of_pms_and_seeds():
  rng = np.random.default_rng(2)
  rows = {pm: long_runs(rng, pm, 'S') for pm in PMS}
  gaps = {pm: gap_of(own) for pm, own in rows.items()}
  tables = {'rl_curve': sum(rows.values(), [])}
  tables['pm_curve'] = [{'size': pm} for pm in PMS]
  # A PM that was told apart from its name by nobody plays no part.
  tables['rl_curve'] += [
    row | {'role': 'linear', 'pm_size': 'XL'} for row in rows['S']
  ]
  found = scans.large_pms_last(loops.frames(tables))
  wanted = {'gap_per_gain': [], 'diverged_at': []}
  for seed in SEEDS:
    tops = [
      max(pair[1] for (own, _), pair in gap.items() if own == seed)
      for gap in gaps.values()
    ]
    pairs = {pm: by_pm(gap, seed, min(tops)) for pm, gap in gaps.items()}
    for place, name in enumerate(wanted):
      values = {small.PARAMS[pm]: pair[place] for pm, pair in pairs.items()}
      wanted[name].append(loops.ln_slope(values))
  for name, slopes in wanted.items():
    ends = small.ends(found, f'{name}_slope')
    assert ends == pytest.approx(small.interval(slopes)), name


CHOICES = (2, 8, 64)


def spending(rng):
  """Rows of best_of_n, rl_curve and rl_pi0 of two sizes and both halves."""
  tables = {'best_of_n': [], 'rl_curve': [], 'rl_pi0': []}
  for seed in SEEDS:
    for size in 'SL':
      for half in 'ab':
        run = {'role': 'linear', 'seed': seed, 'size': size, 'half': half}
        for scorer in ('gold', 'train', 'test'):
          row = {'scorer': scorer, 'mean': rng.normal()}
          tables['rl_pi0'].append(run | row)
          for n in CHOICES:
            row = {'n': n, 'kl': math.log(n) - (n - 1) / n, 'scorer': scorer}
            row |= {'gain': rng.random(), 'chooser': 'train', 'subset': 'all'}
            tables['best_of_n'].append(run | row)
            decoy = {'gain': 9.0, 'chooser': 'gold'}
            tables['best_of_n'].append(run | row | decoy)
        for i in range(12):
          row = {'samples': i, 'kl': (0.2 * i + 0.05 * rng.random()) ** 2}
          row |= {'gold': rng.normal(), 'train_pm': rng.normal()}
          tables['rl_curve'].append(run | row)
  return tables


def spent_by_loops(tables, size, seed, half, scorer):
  """Best-of-n less PPO at the same KL, a mean over checkpoints."""
  own = lambda name: [
    row
    for row in tables[name]
    if (row['size'], row['seed'], row['half']) == (size, seed, half)
    and row.get('scorer', scorer) == scorer
    and row.get('chooser', 'train') == 'train'
  ]
  root = [0.0, *(math.sqrt(row['kl']) for row in own('best_of_n'))]
  gain = [0.0, *(row['gain'] for row in own('best_of_n'))]
  (start,) = [row['mean'] for row in own('rl_pi0')]
  column = {'gold': 'gold', 'train': 'train_pm'}[scorer]
  return loops.mean(
    loops.at(math.sqrt(row['kl']), root, gain) - (row[column] - start)
    for row in own('rl_curve')
    if 0.5 <= math.sqrt(row['kl']) <= root[-1]
  )


def test_claim_34_is_that_of_loops_over_checkpoints_halves_and_seeds():
  tables = spending(np.random.default_rng(3))
  found = best_of_n.spends_better(loops.frames(tables))
  for scorer in ('gold', 'train'):
    for size in 'SL':
      seeds = [
        loops.mean(
          spent_by_loops(tables, size, seed, half, scorer) for half in 'ab'
        )
        for seed in SEEDS
      ]
      ends = small.ends(found, f'{scorer}_{size}')
      assert ends == pytest.approx(small.interval(seeds)), (scorer, size)
