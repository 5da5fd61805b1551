"""Figures of bars over seeds: values, means, intervals and bounds by hand."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import figures
from rlhf_jax.analysis.drawings import marks, online, scans, tension
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import loops, small
from tests.analysis.test_drawings import axes_of
from tests.analysis.test_drawings_chapters import ticks

SEEDS = small.SEEDS


def bars(axis):
  """(place, mean, low, high) of every bar, in the order of drawing."""
  found = []
  for one in axis.containers:
    ((x,), (y,)) = one.lines[0].get_data()
    (segment,) = one.lines[2][0].get_segments()
    found.append((x, y, *segment[:, 1]))
  return found


def wanted(*columns):
  """What bars of these values of three seeds have to be."""
  return [
    pytest.approx((place, loops.mean(own), *small.interval(own)), abs=1e-9)
    for place, own in enumerate(columns)
  ]


def seeds_of(axis):
  """The values of each seed, as they are joined."""
  grey = [line for line in axis.lines if line.get_marker() == '.']
  return [list(np.round(line.get_ydata(), 9)) for line in grey]


def signs(axis):
  """Marker of every bar: what tells them apart without colour."""
  return [one.lines[0].get_marker() for one in axis.containers]


def assert_bounded(axis):
  """A dashed line lies at 0, the bound of all five claims."""
  (line,) = [x for x in axis.lines if x.get_label() == 'bound of the claim']
  assert set(line.get_ydata()) == {0} and line.get_linestyle() == '--'


GAINS = {
  'passes_1': [1.0, -1.0, 3.0],
  'linear': [1.0, 2.0, 2.5],
  'passes_4': [1.5, 1.6, 1.8],
}


def passes():
  """Runs of GAINS, and one of a larger policy."""
  rows = [
    {'role': role, 'seed': seed, 'samples': s, 'train_pm': 5 + gain * s / 20}
    for role, own in GAINS.items()
    for seed, gain in enumerate(own)
    for s in (20, 0, 10)
  ]
  large = {'role': 'linear', 'size': 'XL', 'n_params': 10**6, 'samples': 20}
  return small.table('rl_curve', [*rows, large | {'train_pm': 99.0}])


def test_gains_by_passes_and_their_variances_against_one_pass():
  gain, spread = axes_of(scans.inner_passes, 'rl_curve', passes())
  assert ticks(gain) == ['1', '2', '4'] and ticks(spread) == ['2', '4']
  one, two, four = GAINS.values()
  assert bars(gain) == wanted(one, two, four)
  assert seeds_of(gain) == [list(x) for x in zip(one, two, four, strict=True)]
  variance = lambda x: sum((v - loops.mean(x)) ** 2 for v in x) / (len(x) - 1)
  ratio = lambda a, b: math.log(variance(a) / variance(b))
  left = lambda x, i: x[:i] + x[i + 1 :]
  pseudo = [
    [3 * ratio(own, one) - 2 * ratio(left(own, i), left(one, i)) for i in SEEDS]
    for own in (two, four)
  ]
  assert bars(spread) == wanted(*pseudo)
  assert signs(gain) == ['o', 's', '^'] and signs(spread) == ['o', 's']
  assert_bounded(spread)


def test_a_seed_without_every_number_of_passes_is_not_drawn():
  frame = passes()
  rows = frame[(frame['role'] != 'passes_4') | (frame['seed'] != 2)]
  gain, spread = axes_of(scans.inner_passes, 'rl_curve', rows)
  assert len(seeds_of(gain)) == 2
  for bar in spread.containers:  # of two seeds there is no jackknife
    assert math.isnan(*bar.lines[0].get_ydata()) and not bar.lines[2]
  with pytest.raises(NotRunError, match='rl_curve.csv has no rows with role'):
    axes_of(scans.inner_passes, 'rl_curve', frame[frame['role'] == 'linear'])


ACCURACY = {
  'pi_0': [0.5, 0.52, 0.54],
  'round1': [0.55, 0.55, 0.58],
  'final@12': [0.56, 0.6, 0.61],
  'final': [0.6, 0.6, 0.66],
}
RIGHT = [36, 37, 38]  # of 40 base pairs, by seed


def tranche_pairs():
  """Pairs of three tranches; of base the final PM has RIGHT of 40 right."""
  rows = []
  for seed, right in zip(SEEDS, RIGHT, strict=True):
    for tranche in ('base', 'rs', 'online'):
      for i in range(40):
        sign = 1 if i < right and tranche == 'base' else -1
        own = {'pm': 'final', 'tranche': tranche, 'pair_id': i, 'seed': seed}
        rows.append(own | {'score_chosen': sign, 'p_label': 1.0})
  return small.table('tranche_pairs', rows)


@pytest.mark.parametrize('column', ['expected_accuracy', 'accuracy'])
def test_policies_as_judges_stand_in_their_order_before_their_pm(column):
  """On real data, without expected labels, accuracies are those counted."""
  other = {'expected_accuracy': 'accuracy', 'accuracy': 'expected_accuracy'}
  off = {other[column]: math.nan if column == 'accuracy' else 9.0}
  rows = [
    {'seed': seed, 'policy': name, column: values[seed]} | off
    for name, values in reversed(ACCURACY.items())
    for seed in SEEDS
  ]
  judges, steps = axes_of(
    online.policies_as_judges,
    'online_policies',
    small.table('online_policies', rows),
    tranche_pairs=tranche_pairs(),
  )
  assert ticks(judges) == [*ACCURACY, 'PM']
  pm = [right / 40 for right in RIGHT]
  assert bars(judges) == wanted(*ACCURACY.values(), pm)
  *joined, alone = seeds_of(judges)
  assert joined == [list(x) for x in zip(*ACCURACY.values(), strict=True)]
  assert alone == pm  # no line leads from a policy to the PM
  assert signs(judges) == ['o'] * 4 + ['s']
  less = lambda a, b: [x - y for x, y in zip(a, b, strict=True)]
  first, last = ACCURACY['pi_0'], ACCURACY['final']
  assert ticks(steps) == ['final - pi_0', 'PM - final']
  assert bars(steps) == wanted(less(last, first), less(pm, last))
  assert_bounded(steps)


SURE = 1 / (1 + math.exp(-1))  # of a pair whose scores differ by 1
LOST = {'base_only': (12, 9, 6), 'thirds': (0, 3, 0), 'final': (3, 3, 3)}


def top_pairs():
  """Twelve pairs of 120 lie at the top; LOST of these each PM has wrong."""
  rows = []
  for pm, lost in LOST.items():
    for seed in SEEDS:
      for i in range(120):
        low, wrong = float(i), i >= 108 and i - 108 < lost[seed]
        own = {'pm': pm, 'tranche': 'base', 'pair_id': i, 'seed': seed}
        own |= {
          'score_chosen': low + (not wrong),
          'score_rejected': low + wrong,
        }
        rows.append(own | {'p_label': 1.0})
  return small.table('tranche_pairs', rows)


def error_of(wrong):
  """Less what chance would show, of twelve pairs that are alike."""
  spread = wrong * (12 - wrong) / (12 * 11)  # of right and wrong, over n - 1
  chance = math.sqrt(spread / 12) * math.sqrt(2 / math.pi)
  return abs((12 - wrong) / 12 - SURE) - chance


def test_errors_at_the_top_are_of_the_same_pairs_for_all_pms():
  frame = top_pairs()
  errors, step = axes_of(online.top_calibration, 'tranche_pairs', frame)
  error = {pm: [error_of(n) for n in lost] for pm, lost in LOST.items()}
  assert ticks(errors) == ['base pairs', 'thirds', 'all pairs']
  assert bars(errors) == wanted(*error.values())
  assert signs(errors) == ['o', 's', '^']
  pairs = zip(error['thirds'], error['base_only'], strict=True)
  assert bars(step) == wanted([a - b for a, b in pairs])
  assert_bounded(step)
  few = frame[frame['pm'] != 'thirds']
  with pytest.raises(NotRunError, match='lacks ece_thirds'):
    axes_of(online.top_calibration, 'tranche_pairs', few)


def test_median_replies_stand_at_their_percentile_of_the_data():
  """Ten data scores 1 to 10 of a kind; a median of n + .5 lies above n."""
  medians = {'helpful': (4.5, 5.5, 6.5), 'harmless': (7.5, 9.5, 8.5)}
  scored = [
    {'role': 'linear', 'seed': seed, 'subset': kind, 'pm_params': params}
    | {'median': own[seed] if params else 99.0}
    for kind, own in medians.items()
    for seed in SEEDS
    for params in (5, 0)  # gold has none
  ]
  pairs = [
    {'seed': seed, 'subset': kind, 'pairs': 8}
    | {'score_chosen': 2.0 * i, 'score_rejected': 2.0 * i - 1}
    for kind in medians
    for seed in SEEDS
    for i in range(1, 6)
  ]
  places, step = axes_of(
    tension.reply_percentiles,
    'scored',
    small.table('scored', scored),
    pm_pairs=small.table('pm_pairs', pairs),
  )
  helpful, harmless = [40, 50, 60], [70, 90, 80]
  assert ticks(places) == ['helpful', 'harmless']
  assert bars(places) == wanted(helpful, harmless)
  assert seeds_of(places) == [[40, 70], [50, 90], [60, 80]]
  (middle,) = [x for x in places.lines if x.get_linestyle() == ':']
  assert set(middle.get_ydata()) == {50}
  assert bars(step) == wanted([30, 40, 20])
  assert_bounded(step)


def test_gold_and_attacks_are_drawn_by_the_pm_of_a_policy():
  gold = {'mixed_pm': [1.0, 1.5, 1.25], 'helpful_pm': [2.0, 1.5, 2.25]}
  attacked = {'mixed_pm': [0.25, 0.5, 0.0], 'helpful_pm': [0.75, 0.5, 1.0]}
  rows = []
  for role in gold:
    for seed in SEEDS:
      own = {'role': role, 'seed': seed, 'pm': 'gold'}
      value, share = gold[role][seed], attacked[role][seed]
      rows.append(own | {'subset': 'helpful', 'mean': value, 'negative': 9.0})
      rows.append(own | {'subset': 'harmless', 'mean': 9.0, 'negative': share})
  rows += [row | {'pm': '42K mix 8', 'mean': 50.0} for row in rows]
  frame = small.table('scored', rows)
  found = axes_of(tension.helpful_only_policies, 'scored', frame)
  for (level, step), own in zip(
    (found[:2], found[2:]), (gold, attacked), strict=True
  ):
    assert ticks(level) == ['mixed PM', 'helpful PM']
    assert bars(level) == wanted(*own.values())
    mixed, alone = own.values()
    assert bars(step) == wanted(
      [a - b for a, b in zip(alone, mixed, strict=True)]
    )
    assert signs(level) == ['o', 's']
    assert_bounded(step)
  names = [found[i].get_ylabel() for i in (0, 2)]
  assert names == ['gold', 'share attacked']
  with pytest.raises(NotRunError, match='under both PMs'):
    alone = frame[frame['role'] == 'mixed_pm']
    axes_of(tension.helpful_only_policies, 'scored', alone)


def test_a_seed_alone_has_a_mean_without_a_bar():
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], '', '')
  marks.seed_bar(axis, 0, [2.0])
  (only,) = axis.containers
  assert only.lines[0].get_ydata() == [2.0] and not only.lines[2]
