"""RLOO, GRPO and DPO of TRL beside ours, a few updates each, made anew.

It needs TRL, which the extra `parity` installs. Weights at random, two layers
of width 16; replies of 4 tokens, which TRL samples, and pairs.
"""

import json
import sys

import jax.numpy as jnp
import pytest

from benchmarks.agreement import curve_settings as told
from benchmarks.agreement import curves, follow, losses, parity
from benchmarks.agreement import settings as sizes

pytestmark = pytest.mark.slow  # starts PyTorch three times

TINY = told.PRESETS['tiny']


@pytest.fixture(scope='module')
def start(tmp_path_factory):
  folder = tmp_path_factory.mktemp('curves') / 'start'
  curves.make_start(folder, sizes.PRESETS['tiny'], TINY)
  return folder


@pytest.fixture(scope='module')
def ran(start):
  """The peer's run of an algorithm, once."""
  done = {}

  def run(which):
    if which not in done:
      done[which] = out = start.parent / which
      losses.run_peer(sys.executable, which, start, out, curves.ASKED)
    return done[which]

  return run


def rows_of(which, start, out, curve=TINY):
  return curves.rows_of(which, curves.sides(which, start, out, curve))


@pytest.mark.parametrize('which', told.WAYS)
def test_ours_and_trl_s_go_the_same_way_for_a_few_updates(which, start, ran):
  """Losses, norms, advantages, log-ratios, KL and weights of each update."""
  out = ran(which)
  rows = curves.require(rows_of(which, start, out))
  names = {row['what'] for row in rows}
  assert len(rows) == len(names) * TINY.updates and len(names) >= 6
  assert json.loads((out / 'done.json').read_text())['versions']['trl']
  moved = [row['theirs'] for row in rows if row['what'] == curves.WEIGHTS]
  assert moved[-1] > 0.01
  # The policies have left pi_0, and by the same numbers.
  said = {'rloo': 'KL of a token, k1', 'grpo': 'KL of a token, k3'}
  said = said.get(which, 'log-ratio of the better reply')
  first, *_, last = (row['theirs'] for row in rows if row['what'] == said)
  assert abs(first) < 1e-6 < last


@pytest.mark.parametrize(
  ('which', 'change', 'said'),
  [
    ('rloo', {'beta': 0.2}, 'RLOO: advantage'),
    ('grpo', {'beta': 0.2}, 'GRPO: loss'),
    ('dpo', {'eps': 1e-3}, 'DPO: weights'),
  ],
)
def test_another_setting_of_ours_is_seen(which, change, said, start, ran):
  rows = rows_of(which, start, ran(which), TINY._replace(**change))
  named = [row | {'algorithm': which.upper()} for row in rows]
  with pytest.raises(parity.ParityError, match=said):
    curves.require(named)


def test_another_order_of_batches_is_seen(start, ran):
  """Ours on TRL's batches of DPO, the first two exchanged."""
  out, settings = ran('dpo'), sizes.PRESETS['tiny']
  ref = curves.load_folder(start / 'policy')
  logits_fn = curves.build(ref.config).logits_fn
  way = follow.jitted(
    follow.dpo_way(logits_fn, ref.params, jnp.zeros(32), TINY)
  )
  batches = curves.batches_of(out, settings, TINY.updates)
  batches[:2] = batches[1::-1]
  rates = curves.rates_of(TINY)
  *_, (_, after) = follow.curve_of(way, ref.params, batches, rates)
  theirs = curves.load_folder(out / f'{TINY.updates - 1}').params
  apart = parity.moved(ref.params, after, theirs)
  assert apart > 2 * curves.WEIGHTS_TOLERANCE
