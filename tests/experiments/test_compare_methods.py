"""Three methods on the same pairs: what they read, and how a rate is chosen."""

import json
import math
import types

import numpy as np
import pytest

from experiments import compare_methods, make_tasks
from experiments.shared import methods
from rlhf_jax.crowd import exact
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.data.pairs import pairs_of
from rlhf_jax.train.about import RunError


def fake_pairs(count=4):
  """Pairs whose chosen side is 7 8 9 and the rejected one 7 6, prompt 7."""
  row = lambda *ids: np.tile(np.int32([*ids, 0, 0][:5]), (count, 1))
  whole = lambda value: np.full(count, value, np.int32)
  return pairs_of(
    {
      'chosen_tokens_NT': row(7, 8, 9, 1),
      'chosen_length_N': whole(4),
      'rejected_tokens_NT': row(7, 6, 1),
      'rejected_length_N': whole(3),
      'prompt_length_N': whole(1),
      'p_label_N': np.ones(count, np.float32),
      'kind_N': whole(0),
      'turn_N': whole(1),
      'prompt_index_N': np.arange(count),
      'words_chosen_N': whole(2),
      'words_rejected_N': whole(1),
    }
  )


def test_an_imitator_reads_the_good_reply_without_the_end_of_context():
  rows = methods.rows_of('imitation', fake_pairs(), 0)
  assert rows.tokens_BT[0].tolist() == [7, 8, 9, 1, 0]
  assert rows.length_B.tolist() == [3] * 4  # the 1 is the end of context
  assert rows.loss_start_B.tolist() == [1] * 4


def test_a_head_reads_both_replies_in_as_many_columns_as_are_asked():
  pairs = fake_pairs()
  assert methods.columns_of(pairs) == 16
  rows = methods.rows_of('binary', pairs, 32)
  assert rows.tokens_BT.shape == (4, 32)
  assert rows.tokens_BT[0][:6].tolist() == [7, 8, 9, 1, 6, 1]


@pytest.mark.parametrize(
  ('accuracies', 'rate'),
  [
    ((0.5, 0.7, 0.6), 0.1),
    ((0.7, 0.7, 0.6), 0.03),  # of equal ones the smallest
    ((0.5, 0.6, math.nan), 0.1),
    ((math.nan, math.nan, 0.2), 0.3),
  ],
)
def test_the_best_rate(accuracies, rate):
  assert methods.best((0.03, 0.1, 0.3), accuracies) == rate


def test_the_sides_of_a_task_share_no_prompt_and_follow_from_the_seed():
  world, config = make_world(), {'seed': 1, 'pairs': 40, 'held_out': 0.25}
  found = make_tasks.splits_of(config, world)
  wanted = {f'{t}_{s}' for t in exact.TASKS for s in make_tasks.SIDES}
  assert set(found) == wanted
  for task in exact.TASKS:
    sides = [found[f'{task}_{side}'] for side in make_tasks.SIDES]
    assert sum(map(len, sides)) == 40
    prompts = [{item.prompt_id for item in side} for side in sides]
    assert not set.intersection(*prompts)
    assert sum(map(len, prompts)) == len(set.union(*prompts))
  assert make_tasks.splits_of(config, world) == found


CONFIG = {
  'tasks': ['answer'],
  'methods': ['ranked', 'imitation'],
  'crossed': True,
  'rates': [0.1, 1.0],
  'tuning_seeds': [0, 1],
  'seed': 7,
  'pairs': 3,
  'eval_pairs': 4,
}
# What the pretended models of each rate and seed reach.
REACHED = {(0.1, 0): 0.5, (0.1, 1): 0.7, (1.0, 0): 0.9, (1.0, 1): 0.2}


def pretend(method, rate, seed):
  """Accuracy of a pretended model; those of an imitator are turned round."""
  found = REACHED.get((rate, seed), rate / 2)
  return found if method == 'ranked' else 1 - found


@pytest.fixture
def bench(monkeypatch, tmp_path):
  """A Bench whose models are pretended; it counts those it trains."""
  fitted = []

  def fit(config, base, method, pairs, columns, rate, seed):
    assert (len(pairs.kind_N), columns) == (3, 16)
    fitted.append((method, rate, seed))
    return pretend(method, rate, seed)

  load = lambda folder, name: fake_pairs(6)
  test = lambda config, base, method, params, *_: methods.Result(params, 0.25)
  monkeypatch.setattr(compare_methods.comparisons, 'load_pairs', load)
  monkeypatch.setattr(methods, 'fit', fit)
  monkeypatch.setattr(methods, 'accuracy_on', test)
  config, base = CONFIG | {'tasks_dir': ''}, types.SimpleNamespace()
  made = compare_methods.Bench(config, base, 'valid', tmp_path / 'parts')
  return made, fitted


def progress(first, last):
  return range(first, last)


def test_every_method_tries_the_same_grid_and_the_best_mean_is_chosen(bench):
  made, fitted = bench
  ranked, imitation = compare_methods.tune(CONFIG, made, progress)
  tried = {m: [x[1:] for x in fitted if x[0] == m] for m in CONFIG['methods']}
  assert tried['ranked'] == tried['imitation'] == list(REACHED)
  assert ranked['grid'] == imitation['grid'] == '0.1 1'
  assert ranked['accuracies'] == '0.6000 0.5500' and ranked['chosen'] == 0.1
  assert imitation['accuracies'] == '0.4000 0.4500'
  assert imitation['chosen'] == 1.0


def test_a_model_that_was_tested_is_not_trained_again(bench):
  made, fitted = bench
  first = compare_methods.tune(CONFIG, made, progress)
  count = len(fitted)
  assert compare_methods.tune(CONFIG, made, progress) == first
  assert len(fitted) == count == 8


def choices(folder, **changed):
  """Writes method_rates.csv of a run that has tuned."""
  lines = ['task,method,grid,chosen']
  grid = changed.get('grid', '0.1 1')
  for method, rate in (('ranked', 0.1), ('imitation', 1.0)):
    lines.append(f'answer,{method},{grid},{rate}')
  lines = lines[: changed.get('rows', 3)]
  (folder / 'method_rates.csv').write_text('\n'.join(lines) + '\n')


def test_each_method_is_measured_at_its_own_rate(bench, tmp_path):
  made, fitted = bench
  choices(tmp_path)
  config = CONFIG | {'tuned_dir': str(tmp_path)}
  ranked, imitation = compare_methods.measure(config, made, progress)
  assert fitted == [('ranked', 0.1, 7), ('imitation', 1.0, 7)]
  assert ranked['accuracy'] == 0.05 and ranked['kind'] == 'binary'
  assert (imitation['rate'], imitation['accuracy_whole']) == (1.0, 0.25)
  assert {row['n_eval'] for row in (ranked, imitation)} == {4}
  parts = sorted((tmp_path / 'parts').iterdir())
  assert json.loads(parts[0].read_text())['accuracy'] == 0.05


@pytest.mark.parametrize('changed', [{'grid': '0.1 0.3'}, {'rows': 2}])
def test_rates_of_another_grid_or_too_few_are_refused(tmp_path, changed):
  choices(tmp_path, **changed)
  config = CONFIG | {'tuned_dir': str(tmp_path)}
  with pytest.raises(RunError, match='wanted 0.1 1 for all tasks and methods'):
    compare_methods.chosen_rates(config)


def test_a_task_has_the_head_of_its_kind_alone_unless_they_are_crossed():
  config = {'tasks': ['helpful', 'answer'], 'crossed': False}
  config |= {'methods': list(methods.METHODS)}
  own = [('helpful', 'ranked'), ('helpful', 'imitation')]
  own += [('answer', 'binary'), ('answer', 'imitation')]
  assert compare_methods.cells(config) == own
  every = compare_methods.cells(config | {'crossed': True})
  assert len(every) == 6 and set(own) < set(every)


def test_too_few_pairs_are_a_clear_error():
  config = CONFIG | {'pairs': 9}
  with pytest.raises(ValueError, match='9 pairs of the task answer wanted, 6'):
    compare_methods.drawn(config, {'answer': fake_pairs(6)}, 'answer', 0)
