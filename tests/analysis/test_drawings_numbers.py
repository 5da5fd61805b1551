"""What figures of RL show, read off their axes; marks of every figure."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import elo, figures
from rlhf_jax.analysis.drawings import best_of_n, online, robustness, sqrt_kl
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import loops, small
from tests.analysis.loops import SEEDS
from tests.analysis.test_drawings import axes_of, points

CHOICES = [2**k for k in range(1, 8)]
KL = {n: math.log(n) - (n - 1) / n for n in CHOICES}


def gold_of_both(policies=8):
  """Gold in the form of each way: alpha 1, beta .2 and .5; seeds 1 apart."""
  tables = {'best_of_n': [], 'rl_curve': [], 'frontier': []}
  for seed, size in itertools.product(SEEDS, 'SL'):
    run = {'role': 'linear', 'seed': seed, 'size': size}
    for n, kl in KL.items():
      d = math.sqrt(kl)
      row = {'n': n, 'kl': kl, 'gain': d * (1 - 0.2 * d) + (seed - 1) * d}
      row |= {'subset': 'all', 'scorer': 'gold', 'chooser': 'train'}
      off = {'gain': 50.0}
      tables['best_of_n'] += [run | row, run | row | off | {'chooser': 'gold'}]
      tables['best_of_n'].append(run | row | off | {'subset': 'helpful'})
    for i in range(policies):
      d = i / 2
      gold = d * (1 - 0.5 * math.log(d)) if d else 0.0
      row = {'iteration': i, 'samples': 9 * i, 'kl': d**2, 'gold': 7 + gold}
      row['gold'] += (seed - 1) * d
      tables['rl_curve'].append(run | row)
    for b in (1.0, 2.0):  # a seed's own grid of tilts
      row = {'b': b * (1 + seed), 'kl': 4 * b**2, 'gain': 3 * b + seed}
      row |= {'scorer': 'gold', 'subset': 'all'}
      tables['frontier'] += [run | row, run | row | {'scorer': 'train'}]
  return loops.frames(tables)


def test_gold_under_both_ways_has_points_and_its_own_form_through_them():
  found = gold_of_both()
  curve = found.pop('rl_curve')
  axes = axes_of(best_of_n.gold_and_forms, 'rl_curve', curve, **found)
  assert [axis.get_title() for axis in axes] == [
    'policy of S',
    'policy of L',
  ]
  for axis in axes:
    roots = [math.sqrt(kl) for kl in KL.values()]
    wanted = [(d, d * (1 - 0.2 * d)) for d in roots]
    np.testing.assert_allclose(points(axis, 'best of n'), wanted, atol=1e-9)
    d_N = np.arange(1, 8) / 2  # pi_0 has no root to divide by
    wanted = np.stack([d_N, d_N * (1 - 0.5 * np.log(d_N))], 1)
    np.testing.assert_allclose(points(axis, 'PPO'), wanted, atol=1e-9)
    best, policy = [line for line in axis.lines if line.get_linewidth() == 1]
    assert (best.get_linestyle(), policy.get_linestyle()) == ('--', '-')
    x_N, y_N = best.get_data()
    assert (x_N[0], x_N[-1]) == (0.02, pytest.approx(roots[-1]))
    np.testing.assert_allclose(y_N, x_N * (1 - 0.2 * x_N), atol=1e-9)
    x_N, y_N = policy.get_data()
    np.testing.assert_allclose(y_N, x_N * (1 - 0.5 * np.log(x_N)), atol=1e-9)
    edge = points(axis, r'the most $\pi_0$ allows')
    assert edge == [(2, 4), (4, 7)]  # gains 3 b and one more of the seeds


def test_five_points_have_no_form_and_a_study_without_frontier_no_edge():
  found = gold_of_both(policies=6)
  curve = found.pop('rl_curve')
  del found['frontier']
  for axis in axes_of(best_of_n.gold_and_forms, 'rl_curve', curve, **found):
    thin = [x for x in axis.lines if x.get_linewidth() == 1]
    assert [line.get_linestyle() for line in thin] == ['--']
    assert len(points(axis, 'PPO')) == 5
    names = axis.get_legend_handles_labels()[1]
    assert names == ['best of n', 'PPO']
  with pytest.raises(NotRunError, match='chosen by train, measured by gold'):
    best = found['best_of_n'].assign(chooser='gold')
    axes_of(best_of_n.gold_and_forms, 'rl_curve', curve, best_of_n=best)


def test_densities_of_tranches_are_shares_of_replies_over_the_width():
  """Forty bins from the least to the most score of all three."""
  rng = np.random.default_rng(0)
  rows, scores = [], {}
  for tranche, level in (('base', 0.0), ('rs', 1.0), ('online', 2.0)):
    own = level + rng.normal(size=(30, 2))
    scores[tranche] = list(own.ravel())
    rows += [
      {'pm': 'final', 'tranche': tranche, 'score_chosen': a}
      | {'score_rejected': b}
      for a, b in own
    ]
  rows += [row | {'pm': 'thirds', 'score_chosen': 99.0} for row in rows]
  frame = small.table('tranche_pairs', rows)
  (axis,) = axes_of(online.tranche_scores, 'tranche_pairs', frame)
  every = sum(scores.values(), [])
  low, width = min(every), (max(every) - min(every)) / 40
  for patch, own in zip(axis.patches, scores.values(), strict=True):
    counts = [0] * 40
    for score in own:
      counts[min(int((score - low) / width), 39)] += 1
    density, edges, _ = patch.get_data()
    assert density == pytest.approx([n / 60 / width for n in counts])
    assert (edges[0], edges[-1]) == pytest.approx((low, max(every)))
  assert [patch.get_label() for patch in axis.patches] == [
    *('base', 'best of k', 'online'),
  ]


def test_policies_stand_at_their_mean_elo_with_its_interval():
  """Of seed s the rounds are 10 s below and above 100 and 200."""
  rows, rated = [], {}
  for seed in SEEDS:
    step = 10 * (seed - 1)
    own = {'pi_0': 0.0, 'round1': 100.0 + step, 'final': 200.0 - step}
    for name, rating in own.items():
      rated.setdefault(name, []).append(rating)
    for a, b in itertools.permutations(own, 2):
      won = float(elo.win_rate_from_elo(own[a] - own[b]))
      row = {'player': a, 'opponent': b, 'win_rate': won, 'games': 64}
      rows.append({'seed': seed, 'size': 'L'} | row)
  (axis,) = axes_of(
    online.online_rounds, 'matches', small.table('matches', rows)
  )
  names = [tick.get_text() for tick in axis.get_xticklabels()]
  assert names == ['pi_0', 'round1', 'final']
  for i, (name, bars) in enumerate(zip(names, axis.containers, strict=True)):
    ((x,), (y,)) = bars.lines[0].get_data()
    assert (x, y) == (i, pytest.approx(loops.mean(rated[name]), abs=1e-6))
    (segment,) = bars.lines[2][0].get_segments()
    wanted = small.interval(rated[name])
    assert list(segment[:, 1]) == pytest.approx(wanted, abs=1e-6)


def test_the_window_of_claim_19_is_shaded_from_a_tenth_to_a_fifth():
  rows = [
    {'role': 'robust', 'half': half, 'samples': s, 'pm_size': 'M'}
    for half in 'ab'
    for s in (0, 400, 800)
  ]
  frame = small.table('rl_curve', rows)
  (axis,) = axes_of(robustness.gap_vs_samples, 'rl_curve', frame)
  (shade,) = axis.patches
  assert (shade.get_x(), shade.get_width()) == pytest.approx((80, 80))
  assert shade.get_label() == 'claim 19, early'


def test_every_train_pm_of_claim_21_has_a_line_smallest_first():
  """Gaps of 1, 2 and 3 at the end; half b of one PM was not run."""
  ladder = [{'role': 'scaling', 'size': size} for size in 'SML']
  rows = [
    {'role': role, 'size': 'S', 'pm_size': pm, 'half': half, 'samples': s}
    | {'train_pm': gap * s / 400, 'seed': seed}
    for seed in SEEDS
    for role, pm, gap in (
      ('robust', 'L', 1),
      ('under_M', 'M', 2),
      ('under_S', 'S', 3),
      ('linear', 'L', 50),
      ('under_XS', 'XS', 60),
    )
    for half in ('a' if pm == 'XS' else 'ab')
    for s in (0, 400)
  ]
  frame, pms = small.table('rl_curve', rows), small.table('pm_curve', ladder)
  (axis,) = axes_of(robustness.gap_vs_samples, 'rl_curve', frame, pm_curve=pms)
  names = [x for x in axis.get_legend_handles_labels()[1] if 'PM' in x]
  assert names == ['train PM S', 'train PM M', 'train PM L']
  for name, gap in zip(names, (3, 2, 1), strict=True):
    assert points(axis, name) == [(0, 0), (400, gap)]


def test_scores_are_drawn_over_the_mean_of_pi_0_of_each_seed():
  """Two sizes start at 1 and 3 of seed 0, at 11 and 13 of seed 1."""
  curve, pi0 = [], []
  for seed, (size, start) in itertools.product((0, 1), (('S', 1), ('L', 3))):
    run = {'role': 'linear', 'seed': seed, 'size': size}
    zero = start + 10 * seed
    for i in range(13):
      root = i / 3
      scores = {'train_pm': zero + root / 2, 'test_pm': 5 * zero + root / 4}
      row = {'iteration': i, 'samples': i, 'kl': root**2, 'kl_se': 1e-3}
      curve.append(run | row | scores)
    for scorer, mean in (('train', zero), ('test', 5 * zero)):
      row = {'scorer': scorer, 'mean': mean, 'within_variance': 0.5}
      pi0.append(run | row)
  tables = loops.frames({'rl_curve': curve, 'rl_pi0': pi0})
  axes = axes_of(
    sqrt_kl.reward_vs_sqrt_kl,
    'rl_curve',
    tables['rl_curve'],
    rl_pi0=tables['rl_pi0'],
  )
  roots = np.arange(13) / 3
  for axis, scale, slope in zip(axes, (1, 5), (0.5, 0.25), strict=True):
    for size, start in (('S', -1), ('L', 1)):
      wanted = np.stack([roots, start * scale + slope * roots], 1)
      np.testing.assert_allclose(points(axis, size), wanted, atol=1e-8)
    dots = [
      c.get_offsets() for c in axis.collections if len(c.get_offsets()) > 9
    ]
    assert sum(map(len, dots)) == 2 * 2 * 13
    lines = {
      (line.get_linestyle(), round(float(line.get_ydata()[0]), 6)): line
      for line in axis.lines
      if len(line.get_xdata()) == 2 and line.get_xdata()[1] == 3.5
    }
    for start in (-float(scale), float(scale)):
      fit, bound = lines[':', start], lines['--', start]
      assert np.ptp(fit.get_ydata()) == pytest.approx(3.5 * slope)
      assert np.ptp(bound.get_ydata()) == pytest.approx(3.5)  # sqrt(2 V) = 1
  assert tables['rl_pi0']['mean'].max() == 65  # what was given stays


def test_a_line_goes_by_its_x_and_its_band_by_where_seeds_are_several():
  """Step 2 lies before step 1; step 3 is of one seed alone."""
  rows = [
    (1, 0, 5.0, 1.0),
    (1, 1, 7.0, 3.0),
    (2, 0, 2.0, 4.0),
    (2, 1, 2.0, 6.0),
  ]
  rows.append((3, 0, 9.0, 8.0))
  frame = pd.DataFrame(rows, columns=['step', 'seed', 'x', 'y'])
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  canvas.mean_line(axis, frame, 'step', 'x', 'y', label='mean')
  assert points(axis, 'mean') == [(2, 5), (6, 2), (9, 8)]
  (band,) = axis.collections
  (path,) = band.get_paths()
  assert set(path.vertices[:, 0]) == {2.0, 6.0}
  half = 12.706204736432095  # t of one degree of freedom; sd sqrt(2) of two
  assert path.vertices[:, 1].max() == pytest.approx(5 + half)


def test_marks_differ_from_line_to_line_and_come_again_after_six():
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  frame = pd.DataFrame({'seed': [0, 0], 'x': [1, 2], 'y': [1.0, 2.0]})
  for _ in range(7):
    canvas.mean_line(axis, frame, 'x', 'x', 'y')
  markers = [line.get_marker() for line in axis.lines]
  assert markers == [*figures.MARKERS, figures.MARKERS[0]]


def test_a_legend_has_three_columns_and_a_row_adds_its_height():
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  high = canvas.figure.get_size_inches()[1]
  for i in range(4):
    axis.plot([0, 1], [0, i], label=f'line {i % 4}')
  axis.plot([0, 1], [1, 1], label='line 0')  # named already
  canvas.add_legend()
  (legend,) = canvas.figure.legends
  assert legend._ncols == 3 and len(legend.get_texts()) == 4
  grown = canvas.figure.get_size_inches()[1] - high
  assert grown == pytest.approx(2 * figures.LEGEND_ROW)


@pytest.mark.parametrize(('letters', 'columns'), [(10, 3), (30, 2), (70, 1)])
def test_a_legend_has_the_columns_that_the_figure_has_room_for(
  letters, columns
):
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  high = canvas.figure.get_size_inches()[1]
  for i in range(4):
    axis.plot([0, 1], [0, i], label=f'{i}' + 'n' * (letters - 1))
  canvas.add_legend()
  (legend,) = canvas.figure.legends
  assert legend._ncols == columns
  rows = -(-4 // columns)
  grown = canvas.figure.get_size_inches()[1] - high
  assert grown == pytest.approx(rows * figures.LEGEND_ROW)


def test_shades_go_evenly_from_light_to_dark_and_sizes_by_parameters():
  frame = small.table('lm', [{'size': size} for size in 'LSM'])
  canvas = figures.Canvas({'lm': frame, 'more': frame[:1]})
  assert list(canvas.colours) == list(canvas.markers) == ['S', 'M', 'L']
  light = [sum(canvas.colours[size][:3]) for size in 'SML']
  assert light == sorted(light, reverse=True)
  one = figures.Canvas.shades(['a', 'b', 'c'])
  two = figures.Canvas.shades([1, 2])
  np.testing.assert_allclose(one['a'], two[1])
  np.testing.assert_allclose(one['c'], two[2])
