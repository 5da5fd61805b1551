"""Members of a group are runs by themselves, in one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.train import together

traced = []


def step(state, shift, rate):
  """state x (1 + rate) + shift, and the sum of the new one."""
  traced.append(jnp.shape(state))
  after = state * (1 + rate) + shift
  return after, {'sum': after.sum()}


ALONE = jax.jit(step, donate_argnums=0)
STEP = together.meeting(step, ALONE)


@pytest.fixture(autouse=True)
def fresh():
  traced.clear()
  together._program.cache_clear()


def member(log, name, steps, rate, size=3):
  """Some steps of a run, whose sums it logs."""

  def run():
    state = jnp.zeros(size)
    for i in range(steps):
      state, metrics = STEP(state, jnp.float32(i), rate)
      log.append((name, i, float(metrics['sum'])))

  return run


def by_hand(steps, rate, size=3):
  x, sums = 0.0, []
  for i in range(steps):
    x = x * (1 + rate) + i
    sums.append(size * x)
  return sums


def sums(log, name):
  return [x for who, _, x in log if who == name]


def test_each_member_has_the_numbers_of_a_run_alone():
  log, rates = [], {'a': 0.0, 'b': 0.5, 'c': -0.25}
  runs = [member(log, name, 4, rate) for name, rate in rates.items()]
  assert together.run(runs) == [None] * 3
  for name, rate in rates.items():
    np.testing.assert_allclose(sums(log, name), by_hand(4, rate), rtol=1e-6)


def test_members_take_their_steps_in_one_program_in_turn():
  log = []
  together.run([member(log, name, 3, 0.1) for name in 'abc'])
  assert [(name, i) for name, i, _ in log] == [
    (name, i) for i in range(3) for name in 'abc'
  ]
  assert traced == [(3,)]  # under vmap; no program of one


def test_the_others_go_on_when_one_ends_or_fails():
  log = []

  def fails():
    STEP(jnp.zeros(3), jnp.float32(0), 0.1)
    raise ValueError('no')

  runs = [member(log, 'a', 1, 0.1), fails, member(log, 'c', 5, 0.2)]
  first, second, third = together.run(runs)
  assert first is None and third is None and str(second) == 'no'
  np.testing.assert_allclose(sums(log, 'c'), by_hand(5, 0.2), rtol=1e-6)
  assert sums(log, 'a') == [0.0]


def test_members_of_other_shapes_step_by_themselves():
  log = []
  sizes = {'a': 3, 'b': 4, 'c': 3}
  together.run([member(log, n, 3, 0.1, size) for n, size in sizes.items()])
  for name, size in sizes.items():
    np.testing.assert_allclose(
      sums(log, name), by_hand(3, 0.1, size), rtol=1e-6
    )
  assert sorted(traced) == [(3,), (4,)]


def test_what_all_members_hand_over_is_not_copied(monkeypatch):
  shared = []
  make = together._program

  def program(step, positions):
    shared.append(positions)
    return make(step, positions)

  monkeypatch.setattr(together, '_program', program)
  shift, done = jnp.ones(3), []
  run = lambda: done.append(STEP(jnp.zeros(3), shift, 0.1)[1]['sum'])
  assert together.run([run, run]) == [None, None]
  assert shared[0][0] == 1 and [float(x) for x in done] == [3.0, 3.0]


def test_a_step_that_fails_is_every_member_s_error():
  def wrong(state):
    raise TypeError('bad shape')

  failing = together.meeting(wrong, jax.jit(wrong))
  run = lambda: failing(jnp.zeros(3))
  errors = together.run([run, run])
  assert [str(x) for x in errors] == ['bad shape'] * 2


def test_outside_of_a_group_a_step_is_itself():
  state, metrics = STEP(jnp.ones(2), jnp.float32(1), 1.0)
  assert float(metrics['sum']) == 6.0 and traced == [(2,)]
  assert STEP.lower(jnp.ones(2), jnp.float32(1), 1.0).compile()
  assert together.run([]) == []


def test_two_calls_are_alike_where_step_and_shapes_are():
  call = lambda step, *args: together._Call(step, None, args)
  calls = {
    0: call(step, jnp.zeros(3), 0.1),
    1: call(step, jnp.zeros(3), 0.2),
    2: call(step, jnp.zeros(3), jnp.float32(1)),
    3: call(step, jnp.zeros(3, jnp.int32), 0.1),
    4: call(member, jnp.zeros(3), 0.1),
    5: call(step, (jnp.zeros(3),), 0.1),
  }
  assert together.alike_of(calls) == [[0, 1], [2], [3], [4], [5]]
