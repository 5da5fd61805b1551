"""Tables of a policy, each number known beforehand."""

import math

import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny

from experiments.shared import rl_tables, sources
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.train.run import Run

CONFIG = {'kl_coef': 0.01, 'pm_size': '', 'pm_pairs': 12, 'batch_size': 16}
# Workers without bias, noise or lapses: P(prefer A) = sigmoid(difference).
PLAIN = {'bias_sd': 0.0, 'noise_sd': 0.0, 'attention_low': 1.0}
PI0 = {  # four prompts, two replies each
  'score_0': np.array([[0.0, 2.0], [4.0, 6.0], [-1.0, -1.0], [0.0, 0.0]]),
  'score_1': np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]),
  'gold': np.array([[0.0, 1.0], [0.0, 0.0], [2.0, 2.0], [1.0, 0.0]]),
}
OUT = {
  'kl': np.array([1.0, 2.0, 3.0, 6.0]),
  'kl_k1': np.array([1.0, 1.0, 1.0, 2.0]),
  'kl_k3': np.array([2.0, 2.0, 2.0, 4.0]),
  'entropy': np.array([0.5, 0.5, 1.5, 1.5]),
  'length': np.array([3.0, 5.0, 7.0, 9.0]),
  'truncated': np.array([1.0, 0.0, 0.0, 0.0]),
  'score_0': np.array([1.0, 5.0, -1.0, 0.0]) + 0.5,  # pi_0's mean, and .5
  'score_1': np.array([1.0, 4.0, 4.0, 9.0]),  # gains 0, 2, 1, 5
  'gold': np.array([0.0, 1.0, 2.0, 0.0]),
  'replies': ['a b a b', 'yes', '', 'one two three'],
}
KINDS = ['helpful', 'harmless', 'helpful', 'harmless']


def held_out(world=None):
  return tiny.namespace(world=world, kinds=KINDS, pm_size='13K')


def row(config=CONFIG, world=None, **changes):
  out = OUT | changes
  return rl_tables.curve_row(config, held_out(world), out, PI0, iteration=3)


def test_a_row_says_which_run_and_how_far_it_is():
  found = row()
  assert found['iteration'] == 3 and found['samples'] == 48
  assert found['kl_coef'] == 0.01 and found['pm_pairs'] == 12
  assert found['pm_size'] == '13K'  # told by the train PM
  assert row(CONFIG | {'pm_size': '42K'})['pm_size'] == '42K'
  assert set(found) == set(load().tables['rl_curve'].columns)


def test_measurements_are_means_over_the_prompts():
  found = row()
  means = {'kl': 3.0, 'kl_k1': 1.25, 'kl_k3': 2.5, 'entropy': 1.0}
  means |= {'length': 6.0, 'truncated': 0.25}
  means |= {'train_pm': 1.75, 'test_pm': 4.5, 'gold': 0.75}
  assert {name: found[name] for name in means} == pytest.approx(means)
  # Deviations -2, -1, 0, 3: variance 14 / 3, over four prompts.
  assert found['kl_se'] == pytest.approx(math.sqrt(14 / 3 / 4))


def test_errors_of_scores_are_those_of_the_gain_on_the_same_prompt():
  """Scores of the train PM spread, but each is .5 above pi_0's mean there."""
  found = row()
  assert np.std(OUT['score_0']) > 2
  assert found['train_pm_se'] == pytest.approx(0, abs=1e-12)
  # Gains 0, 2, 1, 5: mean 2, squares of deviations 4 + 0 + 1 + 9.
  assert found['test_pm_se'] == pytest.approx(math.sqrt(14 / 3 / 4))
  # Gains -.5, 1, 0, -.5: mean 0, squares .25 + 1 + 0 + .25.
  assert found['gold_se'] == pytest.approx(math.sqrt(1.5 / 3 / 4))


def test_rows_of_each_kind_are_those_of_its_prompts():
  """Helpful are the first and the third; gains of the test PM 0 and 1."""
  args = CONFIG, held_out(), OUT, PI0, 3
  harmless, helpful = rl_tables.subset_rows(*args)
  assert (harmless['subset'], helpful['subset']) == ('harmless', 'helpful')
  assert helpful['n_prompts'] == 2 and helpful['samples'] == 48
  assert helpful['kl'] == 2.0 and helpful['kl_se'] == pytest.approx(1)
  assert helpful['train_gain'] == pytest.approx(0.5)
  assert helpful['test_gain'] == pytest.approx(0.5)
  assert helpful['test_gain_se'] == pytest.approx(0.5)
  assert harmless['test_gain'] == pytest.approx(3.5)
  # The mean over kinds of equal size is that of all prompts.
  assert (harmless['kl'] + helpful['kl']) / 2 == row()['kl']
  assert set(helpful) == set(load().tables['rl_subsets'].columns)


def test_a_kind_of_one_prompt_has_no_rows():
  lone = tiny.namespace(kinds=['helpful', 'helpful', 'helpful', 'harmless'])
  rows = rl_tables.subset_rows(CONFIG, lone, OUT, PI0, 3)
  assert [line['subset'] for line in rows] == ['helpful']


def sigmoid(x):
  return 1 / (1 + math.exp(-x))


def test_the_train_pm_s_win_rate_is_over_every_reply_of_pi_0():
  """Margins 1.5 and -.5; 1.5 and -.5; .5 and .5; .5 and .5."""
  wanted = (2 * (sigmoid(1.5) + sigmoid(-0.5)) + 4 * sigmoid(0.5)) / 8
  assert row()['pm_win_rate'] == pytest.approx(wanted)


def test_the_crowd_s_win_rate_is_that_of_gold():
  """Margins 0 and -1; 1 and 1; 0 and 0; -1 and 0."""
  found = row(world=sources.world_of(PLAIN))
  wins = [
    (0.5 + sigmoid(-1)) / 2,
    sigmoid(1),
    0.5,
    (sigmoid(-1) + 0.5) / 2,
  ]
  assert found['win_rate'] == pytest.approx(np.mean(wins))
  wanted = np.std(wins, ddof=1) / 2
  assert found['win_rate_se'] == pytest.approx(wanted)


def test_without_a_world_there_is_no_gold_to_win_by():
  found = row(gold=np.full(4, np.nan))
  for name in ('gold', 'gold_se', 'win_rate', 'win_rate_se'):
    assert math.isnan(found[name])
  assert found['train_pm'] == 1.75


def test_distinct_words_are_counted_in_replies_that_have_words():
  """2 of 4, 1 of 1, 3 of 3; the empty reply does not count."""
  assert row()['distinct'] == pytest.approx((0.5 + 1 + 1) / 3)
  assert row(replies=['', ' ', '', ''])['distinct'] == 0


def test_pi_0_has_a_variance_within_prompts_and_one_over_all():
  pi0 = PI0 | {'score_0': np.array([[1.0, 3.0], [5.0, 5.0]])}
  found = {line['scorer']: line for line in rl_tables.pi0_rows(pi0)}
  assert list(found) == ['train', 'test', 'gold']
  train = found['train']
  assert train['mean'] == pytest.approx(3.5)
  # Means 2 and 5 of the prompts: sd sqrt(4.5), over sqrt(2).
  assert train['se'] == pytest.approx(1.5)
  assert train['within_variance'] == pytest.approx((2 + 0) / 2)
  # 1, 3, 5, 5: squares of deviations 6.25 + .25 + 2.25 + 2.25, over 3.
  assert train['pooled_variance'] == pytest.approx(11 / 3)
  assert train['n_prompts'] == 2 and train['n_samples'] == 2
  assert found['test']['mean'] == 2.5 and found['gold']['mean'] == 0.75
  assert found['test']['n_prompts'] == 4
  assert found['test']['within_variance'] == 0
  assert set(train) == set(load().tables['rl_pi0'].columns)


@pytest.fixture
def run(tmp_path):
  """A run that has logged two checkpoints between two steps of training."""
  with Run(tmp_path / 'ppo', {'seed': 7}) as run:
    run.log(0, row() | {'iteration': 0, 'kl': 0.0}, kind='checkpoint')
    run.log(1, {'loss': 1.0})
    run.log(4, row(), kind='checkpoint')
    for line in rl_tables.subset_rows(CONFIG, held_out(), OUT, PI0, 3):
      run.log(4, line, kind='subset')
    yield run


def test_the_checkpoints_of_a_run_are_its_curve(run):
  curve = rl_tables.write_tables(run, PI0)
  assert [line['iteration'] for line in curve] == [0, 3]
  table = pd.read_csv(run.path / 'rl_curve.csv')
  assert list(table) == list(row())  # no column `step`
  assert table['train_pm'].tolist() == [1.75, 1.75]
  assert table['kl'].tolist() == [0.0, 3.0]
  subsets = pd.read_csv(run.path / 'rl_subsets.csv')
  assert subsets['subset'].tolist() == ['harmless', 'helpful']
  assert 'step' not in subsets
  pi0 = pd.read_csv(run.path / 'rl_pi0.csv').set_index('scorer')
  assert pi0.loc['train', 'mean'] == 1.25


def test_the_printed_curve_is_gains_over_pi_0(run, capsys):
  curve = rl_tables.write_tables(run, PI0)
  rl_tables.print_curve(curve, rl_tables.pi0_rows(PI0), seed=7)
  first, *lines = capsys.readouterr().out.splitlines()
  assert 'one seed (7)' in first and len(lines) == 2
  half = 1.96 * math.sqrt(14 / 3 / 4)
  gain = f'test PM gain 2.000 [{2 - half:.3f}, {2 + half:.3f}]'
  assert gain in lines[1] and 'train PM gain 0.500 [0.500, 0.500]' in lines[1]
  assert f'sqrt(KL) {math.sqrt(3):.3f} [' in lines[1]
  assert 'sqrt(KL) 0.000 [0.000, 0.000]' in lines[0]
