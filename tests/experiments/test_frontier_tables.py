"""Tables of frontiers and of best-of-n, of scores that are written down."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments.shared import best_of_n_tables, frontier_tables, labels
from rlhf_jax.train import about

UP = np.array([[0.0, 1, 2, 3]] * 3)
DOWN = UP[:, ::-1]
KINDS = ['harmless', 'helpful', 'harmless']


def gains(scores, chooser, scorers, kinds=KINDS):
  rows = best_of_n_tables.rows_of(scores, kinds, {'pm': 'x'}, chooser, scorers)
  return {(row['scorer'], row['subset'], row['n']): row for row in rows}


def test_the_better_of_two_by_one_score_may_be_the_worse_by_another():
  """Of six pairs the larger is 1 once, 2 twice, 3 three times: 14 / 6.

  The mean is 3 / 2. What the other scorer says of them is 3 less that.
  """
  found = gains({'up': UP, 'down': DOWN}, 'up', ['up', 'down'])
  assert set(found) == {
    (scorer, subset, 2)
    for scorer in ('up', 'down')
    for subset in ('all', 'harmless')
  }
  assert found['up', 'all', 2]['gain'] == pytest.approx(14 / 6 - 3 / 2)
  assert found['down', 'all', 2]['gain'] == pytest.approx(3 / 2 - 14 / 6)
  row = found['down', 'harmless', 2]
  assert (row['n_prompts'], row['n_replies'], row['pm']) == (2, 4, 'x')
  assert row['chooser'] == 'up'


def test_replies_that_score_alike_are_drawn_and_nothing_is_gained():
  """A score that is the same for all chooses as pi_0 does, at no KL."""
  found = gains({'flat': 0 * UP, 'up': UP}, 'flat', ['up'], ['helpful'] * 3)
  assert found['up', 'all', 2]['gain'] == pytest.approx(0, abs=1e-12)
  assert found['up', 'all', 2]['kl'] == pytest.approx(0, abs=1e-12)
  assert found['up', 'helpful', 2]['n_prompts'] == 3


def test_a_kind_of_one_prompt_is_no_subset():
  found = best_of_n_tables.subsets_of(KINDS)
  assert {name: own.tolist() for name, own in found.items()} == {
    'all': [True] * 3,
    'harmless': [True, False, True],
  }
  assert list(best_of_n_tables.subsets_of(['helpful'])) == ['all']


@pytest.fixture(scope='module')
def scores():
  """Unit normal scores of four prompts; gold is the same for all replies."""
  score_PN = np.random.default_rng(0).standard_normal((4, 256))
  found = {'train': score_PN, 'gold': 0 * score_PN}
  return found | {'worker': 1 / (1 + np.exp(-score_PN))}


def test_workers_measure_and_do_not_choose(scores):
  kinds = ['helpful', 'harmless'] * 2
  own, more = {'world': 'w'}, {'pm_params': 9}
  edges, best, without = frontier_tables.tables_of(scores, kinds, own, more)
  assert {row['scorer'] for row in edges} == {'train'}
  assert {row['subset'] for row in edges} == {'all', 'helpful', 'harmless'}
  assert all('pm_params' not in row and row['world'] == 'w' for row in edges)
  assert all(row['pm_params'] == 9 and row['world'] == 'w' for row in best)
  pairs = {(row['chooser'], row['scorer']) for row in best}
  assert pairs == {
    *(('train', x) for x in ('train', 'gold', 'worker')),
    ('gold', 'gold'),
  }
  assert [text.partition(':')[0] for text in without] == [
    *('gold, all', 'gold, harmless', 'gold, helpful')
  ]


def test_where_nothing_has_a_frontier_it_is_said_why(scores):
  flat = {'train': scores['gold'], 'worker': scores['worker']}
  with pytest.raises(ValueError, match='^no frontier: train, all: all replies'):
    frontier_tables.tables_of(flat, ['helpful'] * 4, {})


def test_the_gain_over_a_frontier_is_said_as_far_as_a_policy_went(scores):
  """Half of the frontier's gain at .5, to sqrt(KL) .8: no more is said."""
  kinds = ['helpful'] * 4
  edges, *_ = frontier_tables.tables_of({'train': scores['train']}, kinds, {})
  edge = pd.DataFrame(edges)
  edge = edge[edge['subset'] == 'all']
  kl_N = np.array([0.0, 0.25, 0.5, 0.64])
  best_N = np.interp(
    np.sqrt(kl_N), np.append(0, np.sqrt(edge['kl'])), np.append(0, edge['gain'])
  )
  curve = pd.DataFrame({'kl': kl_N})
  share_N = np.array([0, 0.5, 0.25, 0.25])
  curve['train_pm'] = scores['train'].mean() + best_N * share_N
  lines = lambda curve: list(
    frontier_tables.lines_of(scores, edges, kinds, curve)
  )
  said = [line for line in lines(curve[::-1]) if line.startswith('  gain')]
  wanted = '  gain of the policy over it at sqrt(KL): 50% at 0.5'
  assert said == [wanted]  # of all prompts alone
  still = curve.assign(kl=0.0)  # it has not moved: there is nothing to compare
  assert not [line for line in lines(still) if line.startswith('  gain')]
  assert lines(None) == lines(still)


def test_replies_are_of_a_world_and_of_a_train_pm(tmp_path):
  config = {'data': {'source': 'simulated'}, 'world': {'name': 'parts'}}
  config |= {'hashed_rewards': True, 'train_pm_dir': 'nowhere'}
  assert labels.labels_of(config) == {'world': 'parts', 'pm': 'hashed'}
  nothing = {'pm_params': 0, 'pm_pairs': 0}
  assert labels.pm_numbers(config) == nothing
  config |= {'hashed_rewards': False, 'train_pm_dir': '', 'pm_pairs': 5}
  assert labels.pm_numbers(config) == nothing
  kind = about.About('train_pm', 'preference model')._asdict()
  row = {'role': 'x', 'seed': 0, 'size': '42K', 'n_params': 9, 'half': 'a'}
  content = kind | {'config': {'pairs': 768}, 'row': row}
  (tmp_path / 'config.json').write_text(json.dumps(content))
  config |= {'train_pm_dir': str(tmp_path)}
  assert labels.pm_numbers(config) == {'pm_params': 9, 'pm_pairs': 5}
  asked = config | {'pm_pairs': 0}  # what it was trained on
  assert labels.pm_numbers(asked) == {'pm_params': 9, 'pm_pairs': 768}


def test_gold_is_known_of_simulated_worlds_alone():
  simulated = {'data': {'source': 'simulated'}, 'world': {'name': 'parts'}}
  assert labels.gold_world(simulated).name == 'parts'
  assert labels.gold_world(simulated | {'world': None}) is None
  assert labels.gold_world({'data': {'source': 'hh'}, 'world': {}}) is None
