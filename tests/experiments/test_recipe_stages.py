"""PPO with text mixed in, a coefficient that adapts and a fitted scale."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import measure_tax, train_ppo
from experiments.shared.models import open_run
from rlhf_jax.train.run import read_json
from tests.test_configs import _load

# Each compiles PPO programs of its own: minutes in all.
pytestmark = pytest.mark.slow

RECIPE = _load('blocks').chapters()['instruct'].recipe()


class Killed(KeyboardInterrupt):
  """Leaves a training loop like Ctrl-C."""


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  root = tmp_path_factory.mktemp('recipes')
  tiny.prepare(root)
  return root


def config(study, **changes):
  own = {'ptx_text': f'{study}/text', 'iterations': 3, 'dense_iterations': 3}
  return tiny.ppo(study) | RECIPE | own | {'microbatches': 1} | changes


def rows(path, kind='train'):
  lines = (path / 'metrics.jsonl').read_text().splitlines()
  return [row for row in map(json.loads, lines) if row['kind'] == kind]


def killed(asked, workdir, last, monkeypatch):
  """Runs the stage until it asks for the rate of an iteration."""
  rate_at = train_ppo.learning_rate_at

  def rate_or_kill(step, **options):
    if step == last:
      raise Killed
    return rate_at(step, **options)

  with monkeypatch.context() as patch:
    patch.setattr(train_ppo, 'learning_rate_at', rate_or_kill)
    with pytest.raises(Killed):
      train_ppo.run(asked, workdir)


def assert_same_end(a, b):
  """Metrics, curve and parameters of two runs are equal to the last bit."""
  for name in ('metrics.jsonl', 'rl_curve.csv'):
    assert (a / name).read_bytes() == (b / name).read_bytes()
  params = [open_run(path).params for path in (a, b)]
  jax.tree.map(np.testing.assert_array_equal, *params)


@pytest.fixture(scope='module')
def plain(study):
  asked = tiny.ppo(study, iterations=3, dense_iterations=3)
  train_ppo.run(asked | {'microbatches': 1}, study / 'plain')
  return study / 'plain'


@pytest.fixture(scope='module')
def everything(study):
  """Text, an adaptive coefficient and a fitted scale at once."""
  asked = config(
    study,
    ptx_coef=0.7,
    kl_target=0.02,
    kl_horizon=40,
    reward_samples=8,
    average_decay=0.7,
    seed=1,
  )
  train_ppo.run(asked, study / 'everything')
  return asked, study / 'everything'


def test_without_a_weight_the_mix_is_ppo_to_the_bit(study, plain):
  """All keys of a recipe are there, and all are off (checklist 75)."""
  train_ppo.run(config(study, ptx_coef=0.0), study / 'off')
  assert_same_end(study / 'off', plain)


def test_with_a_weight_the_text_is_learnt_beside_the_reward(study, plain):
  train_ppo.run(config(study, ptx_coef=5.0), study / 'mixed')
  mixed, alone = rows(study / 'mixed'), rows(plain)
  assert 0 < mixed[0]['mixed_loss'] < 10 and 'mixed_loss' not in alone[0]
  assert mixed[0]['score'] == alone[0]['score']  # the same first replies
  assert mixed[-1]['score'] != alone[-1]['score']
  flops = [
    read_json(study / x / 'done.json')['flops'] for x in ('mixed', 'plain')
  ]
  assert flops[0] > flops[1]


def test_a_killed_run_of_everything_resumes_bit_for_bit(
  study, everything, monkeypatch
):
  """Streams, coefficient, scale and average (checklist 75, 82, 84)."""
  asked, whole = everything
  broken = study / 'broken'
  killed(asked, broken, 2, monkeypatch)
  [kept] = (broken / 'checkpoints').iterdir()
  train_ppo.run(asked, broken)
  assert_same_end(broken, whole)
  assert kept.name != '0'


def test_the_coefficient_follows_the_kl_and_stands_in_metrics_and_curve(
  everything,
):
  """By hand from what was logged: Ziegler et al., section 2.2.

  n is the replies of an iteration, not its updates (checklist 52).
  """
  asked, path = everything
  found = rows(path)
  coefs = [row['kl_coef'] for row in found]
  assert coefs[0] == pytest.approx(asked['kl_coef'])
  for before, after, row in zip(coefs, coefs[1:], found, strict=False):
    error = np.clip(row['kl_k1'] / 0.02 - 1, -0.2, 0.2)
    wanted = before * (1 + error * asked['batch_size'] / 40)
    assert after == pytest.approx(wanted, rel=1e-5)
  assert coefs[1] != coefs[0]
  curve = pd.read_csv(path / 'rl_curve.csv').set_index('iteration')
  assert curve['kl_coef'][0] == pytest.approx(coefs[0])
  assert curve['kl_coef'][1] == pytest.approx(coefs[1], rel=1e-5)


def test_the_scale_is_logged_once_and_gives_pi_0_mean_0(everything):
  """Gain and bias of the scores of pi_0 (checklist 25)."""
  [row] = rows(everything[1], 'reward')
  assert row['gain'] * row['sd'] == pytest.approx(1, rel=1e-5)
  assert row['bias'] == pytest.approx(-row['gain'] * row['mean'], rel=1e-5)
  assert row['replies'] == 8


def test_the_average_is_measured_and_kept_and_never_acts(study, plain):
  """Replies and losses of training are those of the run without it.

  By hand of the first update: three quarters of pi_0 and a quarter of what it
  led to, which is the policy of the run of that one update without an average.
  """
  train_ppo.run(config(study, average_decay=0.75), study / 'averaged')
  ours, alone = rows(study / 'averaged'), rows(plain)
  assert len(ours) == len(alone) == 3
  for one, other in zip(ours, alone, strict=True):
    assert one['score'] == pytest.approx(other['score'], rel=1e-4)
    assert one['loss'] == pytest.approx(other['loss'], rel=1e-3, abs=1e-5)
  curves = [
    pd.read_csv(x / 'rl_curve.csv').set_index('iteration')['kl']
    for x in (study / 'averaged', plain)
  ]
  assert curves[0][0] == curves[1][0] == 0  # both are pi_0
  assert 0 < curves[0][3] < curves[1][3]
  one = {'iterations': 1, 'dense_iterations': 1, 'warmup_iterations': 0}
  one |= {'minibatch_size': config(study)['batch_size'], 'passes': 1}
  for name, decay in (('one', 0.75), ('other', 0.0)):
    train_ppo.run(config(study, average_decay=decay, **one), study / name)
  pi0, average, last = (
    open_run(study / name).params for name in ('lm', 'one', 'other')
  )
  differ = jax.tree.map(
    lambda a, b: float(np.abs(np.asarray(a) - b).max()), pi0, last
  )
  assert max(jax.tree.leaves(differ)) > 1e-5
  jax.tree.map(
    lambda a, p, q: np.testing.assert_allclose(
      a, 0.75 * np.asarray(p) + 0.25 * np.asarray(q), rtol=1e-5, atol=1e-7
    ),
    average,
    pi0,
    last,
  )


def test_policies_stand_beside_each_other_on_text_and_prompts(study, plain):
  """pi_0 against itself is even; losses are those of the held-out texts."""
  asked = {'text_dir': f'{study}/text', 'heldout_texts': 12, 'prompts': 8}
  asked |= {'comparisons_dir': f'{study}/comparisons', 'replies': 2}
  asked |= {'writer_names': ['pi_0', 'ppo'], 'eval_batch': 8}
  asked |= {'writer_dirs': [f'{study}/lm', str(plain)], 'sample_batch': 8}
  asked |= {'role': 'tax', 'seed': 0, 'half': 'a'}
  asked |= {'dtype': 'float32', 'matmul': 'float32'}
  measure_tax.run(asked, study / 'tax')
  tax = pd.read_csv(study / 'tax' / 'tax.csv').set_index('policy')
  for _, row in tax.iterrows():
    low, high = sorted([row['nats_dialogues'], row['nats_plain']])
    assert 0 < low < row['nats'] < high
  assert tax['nats']['pi_0'] != tax['nats']['ppo']
  games = pd.read_csv(study / 'tax' / 'win_rates.csv')
  rate = games.set_index(['player', 'opponent'])['win_rate']
  assert rate['ppo', 'pi_0'] + rate['pi_0', 'ppo'] == pytest.approx(1)
  whole = read_json(study / 'lm' / 'done.json')['nats_per_token']
  few = tax['nats_dialogues']['pi_0']  # 12 of the 20 or so of make_text
  assert few == pytest.approx(whole, rel=0.1)
