"""Claims 49 to 51 and 55 on numbers that are written down."""

import math

import pytest

from rlhf_jax.analysis.claims import distillation
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

BEFORE = {'S': 2.0, 'M': 2.0, 'L': 2.0}
AFTER = {'S': 0.5, 'M': 0.4, 'L': 0.3}


def students(shift=0.0, seed=0):
  """Three students before and after; generic texts count for nothing."""
  return [
    {'seed': seed, 'size': size, 'tokens': tokens, 'texts': texts, 'kl': value}
    for tokens, kl in ((0, BEFORE), (90, AFTER))
    for size in kl
    for texts, value in (
      ('all', kl[size] + shift * (tokens > 0)),
      ('generic', 9),
    )
  ]


def test_what_is_left_at_the_largest_size_and_the_slope_by_hand():
  rows = [r for s in small.SEEDS for r in students(0.01 * s, s)]
  tables = {'distillation': small.table('distillation', rows)}
  found = distillation.distillation_works(tables)
  numbers = small.numbers(found)
  left = (0.30 * 0.31 * 0.32) ** (1 / 3) / 2  # the geometric mean
  assert numbers['left_of_own_kl'] == pytest.approx(left)
  assert numbers['slope_of_final_kl'] == pytest.approx(-0.1 / math.log(4))
  assert numbers['kl_before_M'] == 2.0
  assert numbers['kl_after_M'] == pytest.approx(0.41)
  assert small.sides(found) == {
    'left_of_own_kl': ('<', 0.2),
    'slope_of_final_kl': ('<', 0.0),
  }


def test_a_student_that_was_measured_once_is_not_run():
  rows = [row for row in students() if row['tokens']]
  tables = {'distillation': small.table('distillation', rows)}
  with pytest.raises(NotRunError, match='wanted before and after'):
    distillation.distillation_works(tables)


def test_the_largest_excess_of_any_seed_decides():
  rows = [
    {'seed': seed, 'ids': ids, 'top': 50, 'tokens': 10, 'full': 0.4}
    | {'bucketed': 0.3, 'largest_excess': excess, 'smallest_excess': low}
    for seed, excess, low in ((0, -1e-3, -0.2), (1, 2e-6, -0.1))
    for ids in (60, 50)
  ]
  for row in rows:
    if row['ids'] == 50:
      row |= {'largest_excess': 0.0, 'smallest_excess': -1e-14}
  found = distillation.buckets_bound({'buckets': small.table('buckets', rows)})
  numbers = small.numbers(found)
  assert numbers['largest_excess'] == 2e-6
  assert numbers['apart_where_all_are_kept'] == 1e-14
  assert numbers['ratio'] == pytest.approx(0.75)
  with pytest.raises(NotRunError, match='wanted vocabularies'):
    distillation.buckets_bound({'buckets': small.table('buckets', [rows[0]])})


def readings(plain=0.6, prompted=0.8, distilled=0.79):
  right = {'plain': plain, 'prompted': prompted, 'distilled': distilled}
  return [
    {'seed': seed, 'model': size, 'model_params': small.PARAMS[size]}
    | {'reading': reading, 'accuracy': value + 0.01 * seed * (size == 'L')}
    | {'nats_per_token': 1.0 + (reading == 'distilled') / 8}
    for seed in small.SEEDS
    for size in 'SL'
    for reading, value in right.items()
  ]


def test_distilled_less_prompted_of_the_largest_model():
  tables = {'prompted': small.table('prompted', readings())}
  found = distillation.distilled_like_prompted(tables)
  numbers = small.numbers(found)
  assert numbers['distilled_minus_prompted'] == pytest.approx(-0.01)
  assert numbers['accuracy_plain'] == pytest.approx(0.61)
  assert numbers['tax_nats'] == pytest.approx(0.125)
  assert small.sides(found) == {
    'distilled_minus_prompted': ('inside', (-0.03, 0.03))
  }


def test_a_prompt_that_moves_nothing_decides_nothing():
  tables = {'prompted': small.table('prompted', readings(plain=0.79))}
  found = distillation.distilled_like_prompted(tables)
  low, high = small.ends(found, 'distilled_minus_prompted')
  assert math.isnan(low) and math.isnan(high)
  assert found.note.startswith('the prompt moves right choices by 0.010')


def games(seed, elo):
  """All ordered pairs of models of known Elo."""
  return [
    {'seed': seed, 'reading': 'prompted', 'n_prompts': 100}
    | {'model': one, 'model_params': small.PARAMS[one]}
    | {'other': other, 'other_params': small.PARAMS[other]}
    | {'win_rate': 1 / (1 + 10 ** ((elo[other] - elo[one]) / 400))}
    for one in elo
    for other in elo
    if one != other
  ]


def test_elo_of_games_comes_back_and_its_slope_on_size():
  elo = {'S': -40.0, 'M': 0.0, 'L': 40.0}
  rows = [r for s in small.SEEDS for r in games(s, elo)]
  found = distillation.elo_by_size({'games': small.table('games', rows)})
  numbers = small.numbers(found)
  assert numbers['slope'] == pytest.approx(40 / math.log(4))
  assert numbers['r2'] == pytest.approx(1.0)
  assert numbers['elo_of_all_sizes'] == pytest.approx(80.0)
  few = [row for row in rows if 'S' not in (row['model'], row['other'])]
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    distillation.elo_by_size({'games': small.table('games', few)})
