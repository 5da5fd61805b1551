"""What is not finite stops a run or is skipped, and is never saved."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.train import finite, ppo
from rlhf_jax.train.averaging import AveragedState, with_average
from rlhf_jax.train.objectives import Objective
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run, RunError, load_params
from rlhf_jax.train.steps import init_state, make_step
from rlhf_jax.types import PMHyper

TX = make_optimiser()
ROWS, B = 12, 4


def objective():
  """Mean of w x over the rows of a batch; a NaN row gives a NaN loss."""

  def loss_fn(params, batch):
    return (params['w'] * batch['x']).mean(), {}

  return Objective(loss_fn, lambda part: jnp.float32(part['x'].shape[0]))


def start():
  params = {'w': jnp.ones(())}
  return AveragedState(init_state(params, TX), jax.tree.map(jnp.copy, params))


def guarded(on_nonfinite):
  step = with_average(make_step(objective(), TX), eta=0.0)
  return jax.jit(finite.with_guard(step, on_nonfinite))


def batches_with(bad_row):
  """Batches in which one row is not a number."""
  x = np.arange(1.0, ROWS + 1, dtype=np.float32)
  if bad_row is not None:
    x[bad_row] = np.nan
  return Batches({'x': x}, B, seed=0)


def train(workdir, on_nonfinite='stop', bad_row=5, rate=0.1, steps=9, log=3):
  """A loop as those of the stages; checkpoints at every update."""
  batches, step_fn = batches_with(bad_row), guarded(on_nonfinite)
  with Run(workdir, {'on_nonfinite': on_nonfinite, 'steps': steps}) as run:
    state = run.restore(start(), batches)
    for step in range(int(state.step), steps):
      state, metrics = step_fn(
        state, next(batches), jax.random.key(0), PMHyper(rate)
      )
      metrics = run.watch(step + 1, metrics, batches.last_rows)
      if (step + 1) % log == 0:
        run.log(step + 1, metrics)
      if step % 2:
        run.save(state, batches)
    run.save_params(state.average, steps)
    run.finish()
  return state


def first_bad(bad_row=5):
  """(update that meets the row, rows of its batch)."""
  batches = batches_with(None)
  for update in range(1, 10):
    next(batches)
    if bad_row in batches.last_rows:
      return update, batches.last_rows.tolist()
  raise AssertionError


def test_a_bad_row_stops_the_run_and_says_quantity_update_and_rows(tmp_path):
  update, rows = first_bad()
  with pytest.raises(finite.NonFiniteError) as error:
    train(tmp_path)
  message = str(error.value)
  assert f'{tmp_path}: grad_norm, loss are not finite at' in message
  assert f'at update {update} (one of the 4 rows ' in message
  assert ', '.join(map(str, rows)) in message and '\n' not in message
  assert not (tmp_path / 'done.json').exists()
  assert not (tmp_path / 'params').exists()
  record = json.loads((tmp_path / 'failed.json').read_text())
  assert record['step'] == update and record['rows'] == rows
  assert record['quantities'] == ['grad_norm', 'loss']
  assert record['message'] == message


def test_the_last_finite_checkpoint_stays(tmp_path):
  """That before the update which meets the bad row, the third or later."""
  bad = next(row for row in range(ROWS) if first_bad(row)[0] == 3)
  update, _ = first_bad(bad)
  with pytest.raises(finite.NonFiniteError):
    train(tmp_path, bad_row=bad)
  with Run(tmp_path, {'on_nonfinite': 'stop', 'steps': 9}) as run:
    state = run.restore(start(), batches_with(bad))
    assert not (tmp_path / 'failed.json').exists()
  assert int(state.step) == (update - 1) // 2 * 2
  assert finite.bad_leaf(state) is None


def test_a_bad_batch_is_skipped_and_counted(tmp_path):
  """Three epochs of three batches: three skipped, as if they were not there."""
  state = train(tmp_path, 'skip')
  done = json.loads((tmp_path / 'done.json').read_text())
  assert done['skipped'] == 3
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['skipped'] for line in lines] == [1, 2, 3]
  assert int(state.step) == 9
  # Every row is positive, so each of the six updates has the gradient's sign:
  # the first step of Adam is the rate itself, the others at most about it.
  assert 1 - 9 * 0.1 < float(state.state.params['w']) < 1 - 5 * 0.1
  kept = load_params(tmp_path, {'w': jnp.zeros(())})
  assert math.isfinite(float(kept['w']))


def test_a_skipped_update_changes_only_the_count_of_updates():
  step_fn, state = guarded('skip'), start()
  bad = {'x': jnp.array([1.0, jnp.inf])}
  after, metrics = step_fn(state, bad, jax.random.key(0), PMHyper(0.1))
  assert int(after.step) == 1 and int(metrics[finite.FLAGS]) == 3
  undone = after._replace(state=after.state._replace(step=jnp.int32(0)))
  for old, new in zip(
    jax.tree.leaves(state), jax.tree.leaves(undone), strict=True
  ):
    np.testing.assert_array_equal(old, new)


def test_a_guard_changes_no_finite_update():
  plain = jax.jit(with_average(make_step(objective(), TX), eta=0.0))
  batch = {'x': jnp.array([1.0, 2.0])}
  given = (batch, jax.random.key(0), PMHyper(0.1))
  expected, _ = plain(start(), *given)
  for how in ('stop', 'skip'):
    found, metrics = guarded(how)(start(), *given)
    assert int(metrics[finite.FLAGS]) == 0
    for a, b in zip(
      jax.tree.leaves(expected), jax.tree.leaves(found), strict=True
    ):
      np.testing.assert_array_equal(a, b)


def test_a_rate_that_is_not_finite_is_found_before_the_checkpoint(tmp_path):
  """Loss and gradient are finite at that update; the parameters are not."""
  with pytest.raises(finite.NonFiniteError, match='at update 2 ') as error:
    train(tmp_path, bad_row=None, rate=math.nan)
  assert 'loss' in str(error.value)
  assert not list((tmp_path / 'checkpoints').glob('[0-9]*'))
  with pytest.raises(finite.NonFiniteError, match='one: w is not finite'):
    train(tmp_path / 'one', bad_row=None, rate=math.nan, steps=1)
  assert not (tmp_path / 'one' / 'params').exists()


def test_a_run_that_skips_everything_stops(tmp_path):
  with pytest.raises(finite.NonFiniteError, match='at update 20 '):
    train(tmp_path, 'skip', bad_row=slice(None), steps=60, log=60)


def test_the_resumed_count_of_skipped_updates_goes_on(tmp_path):
  batches, step_fn = batches_with(5), guarded('skip')
  config = {'on_nonfinite': 'skip', 'steps': 9}
  with pytest.raises(KeyboardInterrupt), Run(tmp_path, config) as run:
    state = run.restore(start(), batches)
    for step in range(6):
      state, metrics = step_fn(
        state, next(batches), jax.random.key(0), PMHyper(0.1)
      )
      run.watch(step + 1, metrics)
    run.save(state, batches)
    raise KeyboardInterrupt
  train(tmp_path, 'skip')
  assert json.loads((tmp_path / 'done.json').read_text())['skipped'] == 3


def test_flags_name_their_metrics_whatever_their_number():
  names = [f'm{i:02d}' for i in range(40)]
  metrics = {name: jnp.float32(0) for name in names}
  assert int(finite.flags_of(metrics)) == 0
  metrics |= {'m03': jnp.float32(np.nan), 'm29': jnp.float32(-np.inf)}
  flagged = metrics | {finite.FLAGS: finite.flags_of(metrics)}
  assert finite._quantities(flagged) == ['m03', 'm29']
  assert finite._quantities(metrics) == ['m03', 'm29']
  metrics |= {'m39': jnp.float32(np.nan)}
  flagged = metrics | {finite.FLAGS: finite.flags_of(metrics)}
  assert finite._quantities(flagged)[:2] == ['m03', 'm29']
  assert 'm39' in finite._quantities(flagged)


def test_rows_of_which_the_step_knows_more_are_named_themselves():
  score_B = jnp.array([0.0, jnp.nan, 1.0, jnp.inf])
  flags = finite.row_flags(score_B)
  watch = finite.Watch('r')
  watch.note(7, {'score': score_B.mean(), **flags}, [40, 41, 42, 43])
  with pytest.raises(finite.NonFiniteError) as error:
    watch.read()
  said = 'r: score is not finite at update 7 (row 41 and 1 more of 4)'
  assert str(error.value).startswith(said)


def test_the_first_array_that_is_not_finite_is_named():
  tree = {'a': jnp.ones(2), 'b': {'c': jnp.array([1.0, jnp.inf])}, 'n': 3}
  tree['n'] = jnp.int32(3)
  assert finite.bad_leaf(tree) == 'b/c'
  assert finite.bad_leaf({'n': jnp.int32(3)}) is None


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('key', ['lr_multiple', 'kl_coef'])
def test_a_config_with_such_a_number_is_refused_by_name(tmp_path, key, bad):
  for config, name in (
    ({key: bad}, key),
    ({'rl': {key: bad}}, f'rl.{key}'),
    ({key: (1.0, bad)}, key),
  ):
    with pytest.raises(RunError, match=f'config.{name} is ') as error:
      Run(tmp_path / 'run', config)
    assert '\n' not in str(error.value)
  assert not (tmp_path / 'run').exists()


def test_another_way_to_deal_with_it_is_refused():
  with pytest.raises(ValueError, match="'stop' or 'skip', got 'drop'"):
    finite.with_guard(None, 'drop')


@functools.cache
def ppo_step(on_nonfinite):
  """An iteration of a bigram policy whose row 2 has the reward that is told."""
  collect, *rest = fixture.bigram_pieces(TX)

  def reward(params, tokens_BT, prompt_length_B, length_B):
    del prompt_length_B
    score_B = fixture.count_score(params, tokens_BT, length_B)
    return score_B.at[2].set(params['of_row_2'])

  iteration = ppo.make_ppo_iteration(collect, reward, *rest)
  return jax.jit(finite.with_guard(iteration, on_nonfinite))


def ppo_metrics(bad_value, on_nonfinite='stop', **hyper):
  state = init_state(fixture.bigram_params(0), TX)
  worth = {'worth_V': jnp.arange(6.0), 'of_row_2': jnp.float32(bad_value)}
  frozen = ppo.Frozen(fixture.bigram_params(1)['policy'], worth)
  given = (frozen, fixture.PROMPTS, jax.random.key(0))
  after, metrics = ppo_step(on_nonfinite)(
    state, *given, fixture.hyper(0.1, **hyper)
  )
  return state, after, metrics


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_one_reward_that_is_not_finite_is_found_with_its_row(bad):
  _, _, metrics = ppo_metrics(bad)
  watch = finite.Watch('rl')
  kept = watch.note(4, metrics, fixture.PROMPTS.row_B)
  assert not set(finite.OWN) & set(kept)
  with pytest.raises(finite.NonFiniteError) as error:
    watch.read()
  assert {'score', 'loss', 'grad_norm'} <= set(error.value.record['quantities'])
  assert error.value.record['rows'] == [2]
  assert '(row 2 of 8)' in str(error.value)


def test_a_penalty_that_is_not_finite_is_found():
  _, _, metrics = ppo_metrics(1.0, kl_coef=math.nan)
  found = finite._quantities(jax.device_get(metrics))
  assert 'loss' in found and 'score' not in found
  _, _, metrics = ppo_metrics(1.0, kl_coef=0.1)
  assert finite._quantities(jax.device_get(metrics)) == []


def test_a_skipped_iteration_leaves_the_policy_and_counts_its_updates():
  state, after, _ = ppo_metrics(math.nan, 'skip')
  assert int(after.step) == 4  # two passes over two minibatches
  fixture.assert_close(after.params, state.params, rtol=0, atol=0)
  fixture.assert_close(after.opt_state, state.opt_state, rtol=0, atol=0)
  state, after, _ = ppo_metrics(1.0, 'skip')
  assert np.abs(
    after.params['policy']['table_VV'] - state.params['policy']['table_VV']
  ).max()
