"""Claims over conversations beside loops over draws and pairs.

Which conversations each draw holds is `conversations.counts`, whose own tests
say what it does; here every statistic is computed again on each draw.
"""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import calibration, conversations, crossed, length_rules
from rlhf_jax.analysis.claims import real_pairs
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import loops, small
from tests.analysis.crossed_tables import scored, tables


def draws_of(frame, draws=conversations.DRAWS):
  """How often each row is in each draw, as lists."""
  return conversations.counts(frame['prompt_id'], draws).tolist()


def weighted(counts, values):
  """The mean of values, each so often as it was drawn."""
  total = sum(n * v for n, v in zip(counts, values, strict=True))
  return total / sum(counts)


def ends_of(values):
  return list(np.quantile(values, [0.025, 0.975]))


def right_of(frame):
  """1 where the preferred reply scores higher, one half where they tie."""
  gap = frame['score_chosen'] - frame['score_rejected']
  return [1.0 if x > 0 else 0.0 if x < 0 else 0.5 for x in gap]


def test_claim_37_is_that_of_loops_over_draws_of_conversations():
  """Heads of fewer pairs and other models are no part of it."""
  parts, both = {}, ('helpful', 'harmless')
  for model, other in zip(both, both[::-1], strict=True):
    cross = scored(0.4, 2, 30, subset=other).assign(pairs=99)
    cross.loc[7, 'score_chosen'] = cross.loc[7, 'score_rejected']
    few = scored(0.0, 3, 30, subset=other).assign(pairs=50)
    own = scored(0.7, 1, 30, subset=model).assign(pairs=99)
    parts[model] = pd.concat([own, cross, few])
    parts[other, model] = cross
  models = {model: parts[model] for model in both}
  odd = scored(0.0).assign(pairs=99)
  found = crossed.cross_accuracy(tables(**models, conditional=odd))
  for model, other in zip(both, both[::-1], strict=True):
    cross, name = parts[other, model], f'{model}_on_{other}'
    right = right_of(cross)
    again = [weighted(counts, right) for counts in draws_of(cross)]
    assert small.ends(found, name) == pytest.approx(ends_of(again))
    assert small.numbers(found)[name] == pytest.approx(loops.mean(right))
    own = found.measured[f'{model}_on_{model}']
    assert own == pytest.approx(0.7) and right[7] == 0.5
  assert found.contrasts[0].interval.n == 15  # conversations, not pairs
  assert set(small.sides(found).values()) == {('<', 0.5)}


def test_claim_38_is_that_of_loops_over_draws_of_equal_shares():
  """Other shares and other numbers of rows are no part of it."""
  names, parts = ('100/0', '0/100', '50/50', '25/75'), {}
  kinds = ('helpful', 'harmless')
  for i, name in enumerate(names):
    own = [scored(0.5, 2 * i + k, 30, subset=x) for k, x in enumerate(kinds)]
    own = pd.concat(own, ignore_index=True)
    # Right in a share of three draws of the training pairs.
    own['right'] = np.random.default_rng(i).integers(0, 4, 60) / 3
    parts[name] = own.sample(frac=1, random_state=i)
  found = crossed.mixture_serves_both(tables(**parts))
  best = {'helpful': '100/0', 'harmless': '0/100'}
  for kind in kinds:
    own = {
      name: rows[rows['subset'] == kind].sort_values('pair_id')
      for name, rows in parts.items()
    }
    drawn = {'room': [], 'nearness': []}
    for counts in draws_of(own['50/50']):
      level = {n: weighted(counts, x['right']) for n, x in own.items()}
      drawn['room'].append(level['50/50'] - 0.95 * level[best[kind]])
      both = (level['100/0'] + level['0/100']) / 2
      drawn['nearness'].append(level['50/50'] - both)
    for name, values in drawn.items():
      ends = small.ends(found, f'{kind}_{name}')
      assert ends == pytest.approx(ends_of(values)), (kind, name)
    mean = loops.mean(own['50/50']['right'])
    assert found.measured[f'{kind}_at_50'] == pytest.approx(mean)
  assert set(small.sides(found).values()) == {('>', 0.0)}
  assert found.contrasts[0].interval.n == 15  # conversations, not pairs
  del parts['0/100']
  with pytest.raises(NotRunError, match='no heads of the share 0/100'):
    crossed.mixture_serves_both(tables(**parts))


def test_claim_1_is_that_of_loops_over_draws_and_numbers_of_pairs():
  """Pairs that small heads did not score are left out, as another kind is."""
  sizes, parts = (50, 100, 200, 400, 800), []
  for k, pairs in enumerate(sizes):
    own = scored(0.5 + 0.08 * k, k, 30)
    own['right'] = np.random.default_rng(k).integers(0, 4, 30) / 3 + k / 9
    parts.append(own.assign(pairs=pairs))
  late = scored(0.0, 9, 20, subset='harmless').assign(pairs=800, right=0.0)
  shuffled = pd.concat([*parts, late]).sample(frac=1, random_state=0)
  found = crossed.data_scaling(tables(conditional=shuffled))
  x = [math.log(n) for n in sizes]

  def line(level):
    rise = loops.slope(x, level)
    middle, mean = loops.mean(x), loops.mean(level)
    left = sum(
      (y - mean - rise * (a - middle)) ** 2
      for a, y in zip(x, level, strict=True)
    )
    return rise, 1 - left / sum((y - mean) ** 2 for y in level)

  # The rows of the matrix are pairs in order of their name.
  parts = [own.sort_values('pair_id') for own in parts]
  drawn = [
    line([weighted(counts, own['right']) for own in parts])
    for counts in draws_of(parts[0])
  ]
  slopes, r2s = zip(*drawn, strict=True)
  assert small.ends(found, 'slope') == pytest.approx(ends_of(slopes))
  assert small.ends(found, 'r2') == pytest.approx(ends_of(r2s))
  whole = line([own['right'].mean() for own in parts])
  numbers = small.numbers(found)
  assert (numbers['slope'], numbers['r2']) == pytest.approx(whole)
  assert numbers['accuracy_800'] == pytest.approx(parts[-1]['right'].mean())
  assert found.note == 'conditional head, from 50 to 800 pairs'


def test_claim_7_is_that_of_loops_over_draws_and_turns():
  """Turns 1, 2, 4 and 7; the last has 29 pairs, one too few."""
  frame = scored(0.6, 4, 149)
  frame['turn'] = np.repeat([1, 2, 4, 7], [45, 45, 30, 29])
  frame['prompt_id'] = [f'c{i % 37}' for i in range(149)]
  found = crossed.turn_accuracy(tables(conditional=frame))
  right, turn = right_of(frame), list(frame['turn'])

  def measure(counts):
    level = {}
    for group in ((1,), (2,), (4,), (2, 4)):
      own = [n if t in group else 0 for n, t in zip(counts, turn, strict=True)]
      level[group] = weighted(own, right)
    slope = (level[4,] - level[2,]) / 2  # two turns apart
    return level[1,] - level[2, 4], slope

  gaps, slopes = zip(*map(measure, draws_of(frame)), strict=True)
  ends = small.ends(found, 'first_minus_later')
  assert ends == pytest.approx(ends_of(gaps))
  assert small.ends(found, 'later_slope') == pytest.approx(ends_of(slopes))
  gap, slope = measure([1] * 149)
  numbers = small.numbers(found)
  assert numbers['first_minus_later'] == pytest.approx(gap)
  assert numbers['later_slope'] == pytest.approx(slope)
  assert set(found.measured) == {f'accuracy_turn{t}' for t in (1, 2, 4)}
  assert numbers['accuracy_turn4'] == pytest.approx(loops.mean(right[90:120]))
  with pytest.raises(NotRunError, match='first and of two later turns'):
    crossed.turn_accuracy(tables(conditional=frame.query('turn != 1')))


def test_claim_6_reads_accuracy_where_both_scores_are_above_a_quantile():
  frame = scored(0.6, 5, 60)
  found = crossed.high_score_accuracy(tables(conditional=frame))
  pairs = frame[['score_chosen', 'score_rejected']].to_numpy().tolist()
  right, smaller = right_of(frame), [min(pair) for pair in pairs]
  for k in range(9):
    bound = float(np.quantile(smaller, k / 10))
    kept = [r for r, low in zip(right, smaller, strict=True) if low >= bound]
    name = f'accuracy_q{k / 10:.1f}'
    assert found.measured[name] == pytest.approx(loops.mean(kept)), name
  assert found.contrasts[0].interval.n == 30


def test_claim_4_takes_one_floor_off_the_error_of_every_draw(monkeypatch):
  """Forty draws of the helpful head on helpful pairs, not 200."""
  monkeypatch.setattr(crossed, 'FEW', 40)
  frame = scored(0.65, 6, 60, spread=2.0)
  other = scored(0.0, 7, 60, subset='harmless')
  found = crossed.helpful_calibration(tables(helpful=pd.concat([frame, other])))
  pairs = frame.assign(p_label=math.nan)
  floor, again = calibration.calibrate(pairs).floor, []
  for counts in draws_of(frame, 40):
    rows = [i for i, n in enumerate(counts) for _ in range(n)]
    again.append(calibration.error_and_refit(pairs.iloc[rows]))
  errors, t = zip(*again, strict=True)
  ends = ends_of([error - floor for error in errors])
  assert small.ends(found, 'ece_excess') == pytest.approx(ends)
  assert small.ends(found, 't') == pytest.approx(ends_of(t))
  assert found.measured['pairs'] == 60
  assert found.measured['accuracy'] == pytest.approx(0.65)


def test_the_check_on_length_is_of_each_head_on_its_own_kind():
  """The head of both kinds is right in .75: .9 of one kind, .6 of the other."""
  kinds = ('helpful', 'harmless')
  both = pd.concat(
    [
      scored(a, i, 40, subset=k)
      for i, (a, k) in enumerate(zip((0.9, 0.6), kinds, strict=True))
    ]
  )
  cross = {
    model: pd.concat(
      [scored(0.8, 3, 40, subset=model), scored(0.1, 4, 40, subset=other)]
    )
    for model, other in zip(kinds, kinds[::-1], strict=True)
  }
  found = real_pairs.over_length_rules(tables(**cross, conditional=both))
  measured = found['measured']
  assert measured['helpful_accuracy'] == pytest.approx(0.8)
  assert measured['harmless_accuracy'] == pytest.approx(0.8)
  assert measured['conditional_accuracy'] == pytest.approx(0.75)
  counts = draws_of(both)
  gap = (both['words_chosen'] - both['words_rejected']).tolist()
  longer = [1.0 if x > 0 else 0.0 if x < 0 else 0.5 for x in gap]
  rule = []
  for k in (0, 40):
    own = longer[k : k + 40]
    rule += own if loops.mean(own) >= 0.5 else [1 - x for x in own]
  over = [a - b for a, b in zip(right_of(both), rule, strict=True)]
  assert measured['conditional_over_rule'] == pytest.approx(loops.mean(over))
  assert measured['conditional_rule'] == pytest.approx(loops.mean(rule))
  ends = ends_of([weighted(own, over) for own in counts])
  names = ('conditional_over_rule_low', 'conditional_over_rule_high')
  assert [measured[name] for name in names] == pytest.approx(ends)
  assert found['note'].endswith(' decides')


def test_replies_that_differ_by_just_a_tenth_of_the_longer_are_matched():
  """18 of 20 words and 27 of 30; 17 of 19 are more than a tenth apart."""
  frame = scored(n=3).assign(
    words_chosen=[18, 30, 17], words_rejected=[20, 27, 19], p_label=math.nan
  )
  found = length_rules.columns(frame)['matched']
  assert list(np.isfinite(found)) == [True, True, False]


def test_a_rule_that_is_right_in_one_half_is_that_of_the_longer_reply():
  frame = scored(n=4).assign(words_chosen=[9, 9, 1, 1], words_rejected=5)
  assert list(length_rules.better_rule(frame)) == [1, 1, 0, 0]
