"""When a stage does what: rates, checkpoints, batches."""

import json
import math

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments import train_lm, train_pm, train_ppo
from experiments.shared import plans, rl_tables
from rlhf_jax.data.packing import PackedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import TrainState
from rlhf_jax.types import LMBatch


@pytest.mark.parametrize(
  ('total', 'points', 'steps'),
  [
    (64, 4, [8, 16, 32, 64]),
    (100, 3, [25, 50, 100]),
    (7, 1, [7]),
    (3, 6, [1, 2, 3]),  # 3, 1.5 -> 2, .75 -> 1, and nothing below a step
    (1, 5, [1]),
  ],
)
def test_a_learning_curve_is_read_at_halvings_of_the_data(total, points, steps):
  assert train_pm.curve_points(total, 8, points) == steps


def pm_rate(step, **changes):
  config = {
    'learning_rate': 0.0,
    'lr_multiple': 0.5,
    'warmup': 0.1,
    'schedule_shape': 'constant',
  } | changes
  return train_pm.rate_at(config, tiny.namespace(rate=0.08), step, 20)


def test_a_preference_model_s_rate_is_the_rung_s_or_its_own():
  """Two of 20 steps warm up; 'linear' ends at a step's share of the rest."""
  assert [pm_rate(step) for step in (0, 1, 2, 19)] == pytest.approx(
    [0.02, 0.04, 0.04, 0.04]
  )
  assert pm_rate(19, learning_rate=0.3) == pytest.approx(0.3)
  linear = [pm_rate(step, schedule_shape='linear') for step in (1, 2, 11, 19)]
  assert linear == pytest.approx([0.04, 0.04, 0.02, 0.04 / 18])
  assert pm_rate(0, warmup=0.0) == pytest.approx(0.04)


PPO = {
  'learning_rate': 0.0,
  'lr_multiple': 0.25,
  'iterations': 10,
  'warmup_iterations': 4,
  'value_lr_ratio': 3.0,
  'kl_coef': 0.01,
  'clip': 0.3,
  'value_clip': 0.0,
  'discount': 0.99,
  'gae_lambda': 0.9,
  'truncation_penalty': 0.5,
}


def hyper(iteration, **changes):
  base = tiny.namespace(rate=0.08)
  return train_ppo.hyper_at(PPO | changes, base, iteration)


def test_rates_of_policy_and_value_warm_up_together():
  for iteration, rate in ((0, 0.005), (1, 0.01), (3, 0.02), (9, 0.02)):
    found = hyper(iteration)
    assert found.policy_learning_rate == pytest.approx(rate)
    assert found.value_learning_rate == pytest.approx(3 * rate)
  assert hyper(9, learning_rate=0.7).policy_learning_rate == pytest.approx(0.7)


def test_every_coefficient_of_ppo_is_the_config_s():
  found = hyper(0)
  for name in ('kl_coef', 'clip', 'discount', 'gae_lambda'):
    assert getattr(found, name) == PPO[name]
  assert found.truncation_penalty == 0.5
  assert found.value_clip == math.inf  # 0 in the config: no clipping
  assert hyper(0, value_clip=0.2).value_clip == 0.2
  assert found.value_coef == 1 and hyper(0, value_coef=0.1).value_coef == 0.1
  assert found.mixed_coef == 0 and hyper(0, ptx_coef=27.8).mixed_coef == 27.8
  assert (found.reward_gain, found.reward_bias) == (1, 0)


def test_the_rate_of_a_policy_can_fall_to_zero():
  """Half way down the six iterations after the warm-up (checklist 74)."""
  linear = [hyper(i, schedule_shape='linear') for i in (3, 4, 7, 9, 10)]
  rates = [found.policy_learning_rate for found in linear]
  assert rates == pytest.approx([0.02, 0.02, 0.01, 0.02 / 6, 0.0])
  values = [found.value_learning_rate for found in linear]
  assert values == pytest.approx([3 * rate for rate in rates])


@pytest.mark.parametrize('shape', ['linear', 'cosine'])
def test_the_rate_of_a_preference_model_is_0_when_its_pairs_are_over(shape):
  """After one epoch, less than a batch before its end (checklist 27, 74)."""
  config = tiny.PM | {'epochs': 1, 'schedule_shape': shape, 'warmup': 0.2}
  total = plans.steps_of(config, 85)
  assert total == 10  # batches of 8
  rates = [
    train_pm.rate_at(config, tiny.namespace(), step, total)
    for step in range(total + 1)
  ]
  assert max(rates) == config['learning_rate'] == rates[2]
  assert rates[total] == 0.0 < rates[total - 1] < rates[2]


@pytest.mark.parametrize(
  ('dense', 'total', 'points'),
  [
    (8, 20, [0, 1, 2, 4, 6, 8, 12, 16, 20]),
    (8, 18, [0, 1, 2, 4, 6, 8, 12, 16, 18]),
    (8, 19, [0, 1, 2, 4, 6, 8, 12, 16, 19]),  # and never past it
    (8, 5, [0, 1, 2, 4, 5]),
    (8, 1, [0, 1]),
    (0, 9, [0, 1, 4, 8, 9]),
  ],
)
def test_a_policy_is_measured_often_at_first_and_always_at_the_end(
  dense, total, points
):
  config = {'dense_iterations': dense, 'iterations': total}
  config |= {'dense_every': 2, 'sparse_every': 4}
  assert rl_tables.evaluated_iterations(config) == points


FOUND = [(tiny.prompt('cats ' * (1 + i % 3)), 'helpful') for i in range(12)]


def prompts_of(found=FOUND, **changes):
  config = {'max_prompt': 24, 'batch_size': 4, 'seed': 1, 'prompt_buckets': ()}
  return train_ppo.prompt_batches(config | changes, tiny.base(), found)


def test_training_prompts_are_named_by_their_number():
  """Three batches of four are an epoch: every prompt once, with its tokens."""
  batches = prompts_of()
  seen = [next(batches) for _ in range(3)]
  assert all(batch.tokens_BP.shape == (4, 24) for batch in seen)
  names = np.concatenate([batch.row_B for batch in seen])
  assert sorted(names.tolist()) == list(range(12))
  assert names.tolist() != list(range(12))
  for batch in seen:
    for ids, length, row in zip(*batch, strict=True):
      assert tiny.words().decode(ids[:length].tolist()) == FOUND[row][0]
  again = np.concatenate([next(prompts_of()).row_B for _ in range(1)])
  assert again.tolist() == names[:4].tolist()
  assert next(prompts_of(seed=2)).row_B.tolist() != names[:4].tolist()


def test_prompts_of_a_length_share_a_batch_and_its_columns():
  lengths = {len(tiny.words().encode(text)) for text, _ in FOUND}
  short, middle, long = sorted(lengths)
  batches = prompts_of(prompt_buckets=(short, 24))
  seen = [next(batches) for _ in range(6)]
  widths = [batch.tokens_BP.shape[1] for batch in seen]
  assert sorted(widths) == [short] * 2 + [24] * 4  # a third are short
  for batch in seen:
    wanted = {short} if batch.tokens_BP.shape[1] == short else {middle, long}
    assert set(batch.length_B.tolist()) <= wanted
    assert {row % 3 for row in batch.row_B.tolist()} <= (
      {0} if wanted == {short} else {1, 2}
    )
  with pytest.raises(ValueError, match=f'wanted an edge of at least {long}'):
    prompts_of(prompt_buckets=(short,))


def write_texts(folder):
  """Twelve texts of 2 to 11 tokens, as make_text writes them."""
  length_N = 2 + np.arange(12, dtype=np.int32) % 10
  tokens_NT = np.where(np.arange(12) < length_N[:, None], length_N[:, None], 0)
  np.savez(
    folder / 'rows.npz',
    tokens_NT=tokens_NT.astype(np.uint16),
    length_N=length_N,
  )
  return {'text_dir': str(folder), 'batch_size': 12, 'seed': 0}


def test_texts_are_read_as_rows_whose_every_token_counts(tmp_path):
  rows = train_lm.texts_of(write_texts(tmp_path), 'rows')
  assert isinstance(rows, LMBatch) and rows.tokens_BT.dtype == np.int32
  assert rows.length_B.tolist() == [*range(2, 12), 2, 3]
  assert rows.tokens_BT[3].tolist() == [5] * 5 + [0] * 7
  assert not rows.loss_start_B.any()


def test_texts_are_packed_into_rows_that_every_device_and_part_can_share(
  tmp_path,
):
  """Microbatches 4 over 6 parts of a mesh: a multiple of 12 rows."""
  config = write_texts(tmp_path)
  arrays = train_lm.texts_of(config, 'rows')
  padded = train_lm.batches_of(config | {'pack': False}, arrays, None, 0)
  assert isinstance(padded, Batches) and len(next(padded).length_B) == 12
  mesh = tiny.namespace(shape={'data': 2, 'fsdp': 3, 'model': 7})
  for microbatches, on, multiple in ((4, None, 4), (4, mesh, 12), (1, mesh, 6)):
    how = config | {'pack': True, 'microbatches': microbatches}
    packed = train_lm.batches_of(how, arrays, on, 0)
    assert isinstance(packed, PackedBatches)
    assert len(next(packed)[0]) % multiple == 0


def pm_config(**changes):
  return {
    'trained': 'head',
    'seed': 3,
    'half': 'a',
    'train_subset': 'mix',
    'b2': 0.9,
    'average_eta': -1.0,
    'schedule': 'constant',
    'final_eval_pairs': 0,
  } | changes


def test_an_average_begins_where_the_parameters_do():
  plain = train_pm.initial_state(pm_config(), tiny.base(), None)
  assert isinstance(plain, TrainState)
  assert train_pm.kept(plain) is plain.params
  averaged = train_pm.initial_state(
    pm_config(average_eta=0.0), tiny.base(), None
  )
  assert isinstance(averaged, AveragedState)
  assert train_pm.kept(averaged) is averaged.average
  pairs = zip(
    jax.tree.leaves(averaged.average),
    jax.tree.leaves(averaged.state.params),
    strict=True,
  )
  for average, start in pairs:  # equal, but not the arrays that are donated
    np.testing.assert_array_equal(average, start)
    assert average is not start


def curve_line(step, subset, accuracy):
  return {'eval_subset': subset, 'accuracy': accuracy, 'pairs': 8 * step}


@pytest.fixture
def finished(tmp_path):
  """Ends a preference model's run; returns the files that it left."""

  def call(count, p_label, subset='mix'):
    config = pm_config(final_eval_pairs=count, train_subset=subset)
    pairs, asked = tiny.pairs(p_label), []
    pairs = pairs._replace(prompt_index_N=np.arange(len(p_label)) // 2)

    def score(params, count):
      asked.append((params, count))
      row_N = np.arange(len(p_label))[:count].astype(float)
      return row_N, row_N - 1

    with Run(tmp_path / 'pm', config) as run:
      for step, better in ((1, 0.5), (2, 0.75)):
        run.log(step, curve_line(step, 'mix', better), kind='curve')
        run.log(step, curve_line(step, 'helpful', better / 2), kind='curve')
      train_pm.finish(run, config, score, 'params', pairs, seen=16)
      pairs = tiny.namespace(counts={})
      found = train_pm.summary(run, config, pairs, 5, 16)
    assert all(params == 'params' for params, _ in asked)
    names = {path.name for path in run.path.glob('*.csv*')}
    lines = run.path.joinpath('pm_curve.csv').read_text().splitlines()
    assert lines[0] == 'eval_subset,accuracy,pairs' and len(lines) == 5
    return names, [count for _, count in asked], found

  return call


@pytest.mark.parametrize(
  ('count', 'p_label', 'asked', 'files'),
  [
    (0, [0.8] * 6, [], set()),
    (4, [0.8] * 6, [4], {'pm_pairs.csv.gz'}),
    (-1, [0.8] * 6, [None], {'pm_pairs.csv.gz'}),
    (-1, [math.nan] * 6, [None], {'pm_pairs.csv.gz', 'floors.csv'}),
    (-1, [math.nan] * 5 + [0.8], [None], {'pm_pairs.csv.gz'}),
  ],
)
def test_pairs_are_kept_as_asked_and_floors_where_labels_are_people_s(
  count, p_label, asked, files, finished
):
  names, counts, found = finished(count, p_label)
  assert names == files | {'pm_curve.csv'} and counts == asked
  assert found == {'pairs': 16, 'distinct_pairs': 5, 'accuracy': 0.75}


def test_a_run_is_summed_up_by_the_last_point_of_its_own_subset(finished):
  assert finished(0, [0.8] * 2, 'helpful')[2]['accuracy'] == 0.375


def test_what_was_read_of_released_pairs_is_kept_with_the_run(tmp_path):
  with Run(tmp_path / 'pm', {}) as run:
    run.log(1, curve_line(1, 'mix', 0.5), kind='curve')
    pairs = tiny.namespace(counts={'train': {'read': 3}})
    found = train_pm.summary(run, {'train_subset': 'mix'}, pairs, 5, 16)
    run.finish(**found)
  done = json.loads((tmp_path / 'pm' / 'done.json').read_text())
  assert done['read'] == {'train': {'read': 3}}
