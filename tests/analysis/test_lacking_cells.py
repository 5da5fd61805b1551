"""Seeds that lack a size, a model or a turn: a claim is open, not its judge.

A run that stopped leaves such a seed (`failures`); what it lacks is no number
of another kind, and no seed is dropped.
"""

import itertools
import math

import pandas as pd
import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import (
  best_of_n,
  calibration,
  distillation,
  imitation,
  online,
  samples,
  scans,
)
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import loops, small, test_lengths
from tests.analysis.loops import SEEDS


def is_open(finding, name):
  """Whether a contrast says nothing and the claim is neither true nor false."""
  low, _ = small.ends(finding, name)
  verdict = intervals.verdict(finding.contrasts)
  return math.isnan(low) and verdict == 'inconclusive'


def students(lost=()):
  """Each student leaves a tenth at the largest size, more at smaller ones."""
  left = {'S': 0.3, 'M': 0.2, 'L': 0.1}
  return loops.frames(
    {
      'distillation': [
        {'seed': seed, 'size': size, 'tokens': tokens, 'texts': 'all', 'kl': kl}
        for seed, size in itertools.product(SEEDS, left)
        if (seed, size) not in lost
        for tokens, kl in ((0, 1.0), (9, left[size] + seed / 1000))
      ]
    }
  )


def test_a_student_that_is_lacking_leaves_the_slope_of_its_seed_open():
  whole = distillation.distillation_works(students())
  assert intervals.verdict(whole.contrasts) == 'pass'
  found = distillation.distillation_works(students({(1, 'M')}))
  assert is_open(found, 'slope_of_final_kl')
  assert small.ends(found, 'left_of_own_kl')[1] < 0.2
  two = {(seed, 'M') for seed in SEEDS}
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    distillation.distillation_works(students(two))


def games(lost=()):
  """Ratings -40, 0 and 40; what is lost is (seed, model)."""
  elo = {'S': -40.0, 'M': 0.0, 'L': 40.0}
  rows = [
    {'seed': seed, 'reading': 'prompted', 'n_prompts': 100}
    | {'model_params': small.PARAMS[a], 'other_params': small.PARAMS[b]}
    | {'win_rate': 1 / (1 + 10 ** ((elo[b] - elo[a] + seed) / 400))}
    for seed in SEEDS
    for a, b in itertools.permutations(elo, 2)
    if not {(seed, a), (seed, b)} & set(lost)
  ]
  return loops.frames({'games': rows})


def test_a_model_that_played_no_games_leaves_the_elo_of_its_seed_open():
  whole = distillation.elo_by_size(games())
  assert intervals.verdict(whole.contrasts) == 'pass'
  assert is_open(distillation.elo_by_size(games({(2, 'L')})), 'slope')


def scored(lost=()):
  """Slopes on ln policy size that rise with ln test-PM size."""
  rows = [
    {'role': 'judged_shared', 'seed': seed, 'size': size, 'subset': 'all'}
    | {'pm_params': small.PARAMS[pm]}
    | {'mean': math.log(small.PARAMS[pm]) * math.log(small.PARAMS[size])}
    for seed, size, pm in itertools.product(SEEDS, 'SML', 'SML')
    if (seed, size, pm) not in lost
  ]
  return loops.frames({'scored': rows})


def test_a_test_pm_or_a_policy_that_is_lacking_leaves_claim_22_open():
  found = scans.large_tests_discriminate(scored())
  assert small.numbers(found)['change_of_slope'] == pytest.approx(1)
  pm = {(0, size, 'M') for size in 'SML'}
  policy = {(0, 'M', pm) for pm in 'SML'}
  for lost in (pm, policy):
    found = scans.large_tests_discriminate(scored(lost))
    assert is_open(found, 'change_of_slope')


def methods(lost=()):
  rows = [
    {'role': 'compared', 'seed': seed, 'size': size, 'kind': kind}
    | {'task': kind, 'method': method}
    | {'accuracy': 0.6 + lead * (kind == 'ranked') * (method != 'imitation')}
    for seed in SEEDS
    for size, lead in (('S', 0.1), ('M', 0.2), ('L', 0.3))
    if (seed, size) not in lost
    for kind in ('ranked', 'binary')
    for method in ('ranked', 'binary', 'imitation')
  ]
  return loops.frames({'methods': rows})


def test_a_seed_of_one_size_has_no_slope_of_claim_52():
  found = imitation.ranking_against_imitation(methods())
  assert intervals.verdict(found.contrasts) == 'pass'
  found = imitation.ranking_against_imitation(methods({(1, 'S'), (1, 'M')}))
  assert is_open(found, 'slope')
  two = imitation.ranking_against_imitation(methods({(1, 'S')}))
  assert math.isfinite(small.ends(two, 'slope')[0])


def turns(accuracies, seed):
  """Thirty pairs a turn, right in a share."""
  return [
    {'role': 'mixture', 'train_subset': 'mix', 'schedule': 'decay'}
    | {'seed': seed, 'turn': turn, 'p_label': math.nan}
    | {'score_chosen': 1.0 if i < 30 * share else -1.0}
    for turn, share in accuracies.items()
    for i in range(30)
  ]


def test_a_turn_that_one_run_lacks_is_left_out_of_claim_7():
  """Turn 5, perfect, is of seed 0 alone; later turns 2 and 4 are .1 apart."""
  first = {1: 0.9, 2: 0.7, 4: 0.6, 5: 1.0}
  second = {turn: share for turn, share in first.items() if turn != 5}
  rows = turns(first, 0) + turns(second, 1)
  found = calibration.turn_accuracy(loops.frames({'pm_pairs': rows}))
  numbers = small.numbers(found)
  assert numbers['first_minus_later'] == pytest.approx(0.9 - 0.65)
  assert numbers['later_slope'] == pytest.approx(-0.05)  # a turn, not a row
  lacks = {turn: share for turn, share in first.items() if turn > 1}
  rows = turns(first, 0) + turns(lacks, 1)
  with pytest.raises(NotRunError, match='first and of two later turns'):
    calibration.turn_accuracy(loops.frames({'pm_pairs': rows}))


def test_a_seed_without_every_number_of_passes_has_no_part_in_claim_26():
  """Gains of six seeds; one ends where it began, which is no crash."""
  gains = {
    'passes_1': [1.0, -2.0, 3.0, 0.0, 5.0, 9.0],
    'linear': [1.0, 2.0, 2.5, 1.5, 1.0, 9.0],
    'passes_4': [1.5, 1.6, 1.8, 1.7, 1.4],
  }
  rows = [
    {'role': role, 'seed': seed, 'samples': s, 'train_pm': 3 + gain * s / 20}
    for role, own in gains.items()
    for seed, gain in enumerate(own)
    for s in (20, 0, 10)
  ]
  found = scans.passes(loops.frames({'rl_curve': rows}))
  spread = lambda x: sum((v - loops.mean(x)) ** 2 for v in x) / (len(x) - 1)
  logs = lambda a, b: math.log(spread(a) / spread(b))
  ratio, under = {}, gains['passes_1'][:5]
  for k, role in ((2, 'linear'), (4, 'passes_4')):
    over, left = gains[role][:5], []
    for i in range(5):
      rest = (x[:i] + x[i + 1 :] for x in (over, under))
      left.append(5 * logs(over, under) - 4 * logs(*rest))
    ratio[k] = loops.mean(left)
  numbers = small.numbers(found)
  for k, value in ratio.items():
    assert numbers[f'log_variance_ratio_{k}_over_1'] == pytest.approx(value)
  assert found.contrasts[0].interval.n == 5
  assert numbers['crash_rate_1'] == pytest.approx(1 / 6)
  assert numbers['gain_1'] == pytest.approx(16 / 6)


def test_a_policy_that_is_lacking_leaves_claim_28_not_run():
  tables = loops.frames(
    {
      'tranche_pairs': [
        {'pm': 'final', 'tranche': t} for t in ('base', 'rs', 'online')
      ],
      'online_policies': [{'policy': 'final', 'expected_accuracy': 0.5}],
    }
  )
  with pytest.raises(NotRunError, match='lacks pi_0 or the final policy'):
    online.policies_rank(tables)


def test_workers_that_did_not_judge_an_n_are_said():
  row = {'role': 'linear', 'subset': 'all', 'chooser': 'train'}
  rows = [
    row | {'scorer': scorer, 'n': n, 'kl': n, 'gain': 0.1}
    for scorer in ('worker', 'train')
    for n in (4, 64)
  ]
  with pytest.raises(NotRunError, match='has no rows of n = 16'):
    best_of_n.best_of_k(loops.frames({'best_of_n': rows}))


def test_the_last_policy_is_that_of_each_size():
  """Size M stopped after 2 iterations, size S went on to 8."""
  rows = test_lengths.tables()['game_replies']
  other = rows[rows['player'] != '@8'].assign(size='M', n_params=4000)
  both = pd.concat([rows, other], ignore_index=True)
  found = samples.length_of_gain({'game_replies': both})['measured']
  assert found['gain_train_pm'] == pytest.approx((2.1 + 1.0) / 2)
