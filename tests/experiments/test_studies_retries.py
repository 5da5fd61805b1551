"""Which failed runs are tried again, and which are said once."""

import pytest

from experiments.studies import retries
from rlhf_jax.train.about import RunError, StoppedError


@pytest.mark.parametrize(
  ('error', 'kind'),
  [
    (ValueError('seed=x: wanted a whole number'), 'error'),
    (RunError('holds a run with another config'), 'error'),
    (KeyError('size'), 'error'),
    (StoppedError('loss is not finite', reason='nonfinite'), 'stopped'),
    (MemoryError(), 'memory'),
    (RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating'), 'memory'),
    (RuntimeError('CUDA error: out of memory'), 'memory'),
  ],
)
def test_an_error_says_its_kind(error, kind):
  assert retries.kind_of_error(error) == kind


@pytest.mark.parametrize(
  ('state', 'kind'),
  [
    ('', 'signal'),
    ('FAILED', 'signal'),
    ('CANCELLED', 'signal'),
    ('NODE_FAIL', 'signal'),
    ('TIMEOUT', 'time'),
    ('OUT_OF_MEMORY', 'memory'),
  ],
)
def test_a_silent_end_is_told_by_its_state(state, kind):
  assert retries.kind_of_state(state) == kind


def test_what_was_ended_from_outside_is_tried_again_and_no_more_than_said():
  kinds = dict.fromkeys('ab', 'signal') | {'c': 'error', 'd': 'stopped'}
  kinds |= {'e': 'time', 'f': 'memory', 'g': 'heartbeat', 'h': ''}
  assert retries.again(kinds, {}, 2) == ['a', 'b', 'e', 'f', 'g']
  assert retries.again(kinds, {'a': 2, 'b': 1, 'e': 3}, 2) == ['b', 'f', 'g']
  assert retries.again(kinds, {}, 0) == []


def test_every_kind_that_is_helped_has_its_words():
  assert set(retries.OF_STATE.values()) < set(retries.HELPED)
  assert not {retries.ERROR, retries.STOPPED} & set(retries.HELPED)
