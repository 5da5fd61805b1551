"""Stages at their smallest: packed, in buckets, on a mesh, in few programs."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import train_lm, train_pm, train_ppo
from experiments.shared import models
from rlhf_jax.analysis import speed as page
from rlhf_jax.data.packing import row_counts
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train import ledger
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.finite import NonFiniteError
from rlhf_jax.train.health import HealthError
from rlhf_jax.train.run import Run

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """Texts, a language model, comparisons and a preference model."""
  root = tmp_path_factory.mktemp('tiny')
  tiny.prepare(root)
  return root


def metrics(path, kind='train'):
  lines = (path / 'metrics.jsonl').read_text().splitlines()
  return [row for row in map(json.loads, lines) if row['kind'] == kind]


def assert_same_metrics(ours, wanted, tolerance):
  """Each of the same rows, with the same names."""
  assert len(ours) == len(wanted) > 0
  for a, b in zip(ours, wanted, strict=True):
    assert a.keys() == b.keys()
    for name, value in b.items():
      if not isinstance(value, str):
        np.testing.assert_allclose(
          a[name], value, rtol=tolerance, atol=tolerance, err_msg=name
        )


def assert_same_end(a, b, table):
  """Metrics, table and parameters of two runs are equal to the last bit."""
  for name in ('metrics.jsonl', table):
    assert (a / name).read_bytes() == (b / name).read_bytes()
  params = [models.open_run(path).params for path in (a, b)]
  jax.tree.map(np.testing.assert_array_equal, *params)


def test_a_packed_language_model_learns_as_a_padded_one(study):
  """The same texts a batch in fewer rows: loss and gradient norm agree."""
  padded = study / 'lm-padded'
  train_lm.run(tiny.lm(study, pack=False), padded)
  assert_same_metrics(metrics(padded), metrics(study / 'lm'), 2e-4)


def test_a_packed_language_model_resumes_bit_for_bit(study, killed_at):
  """Killed in step 5 of 6, resumed from step 4 (checklist 82)."""
  config, workdir = tiny.lm(study), study / 'lm-resumed'
  killed_at(train_lm, config, workdir, last=5)
  train_lm.run(config, workdir)
  assert_same_end(workdir, study / 'lm', 'lm.csv')


def test_a_moved_study_resumes_bit_for_bit(study, killed_at, tmp_path):
  """Killed in step 5 of 6 here, resumed from step 4 there."""
  here, there = tmp_path / 'here', tmp_path / 'there'
  with Run(here, {'preset': 'x'}, about=About('reproduce', 'study')):
    pass
  shutil.copytree(study / 'text', here / 'text')
  killed_at(train_lm, tiny.lm(here), here / 'lm', last=5)
  here.rename(there)
  train_lm.run(tiny.lm(there), there / 'lm')
  assert_same_end(there / 'lm', study / 'lm', 'lm.csv')


def _buckets(study):
  """Two edges, about as many prompts below the first as above."""
  prompts = json.loads((study / 'comparisons' / 'prompts.json').read_text())
  tokenizer = models.text_tokenizer({'text_dir': str(study / 'text')})
  cut = tiny.CUT['max_prompt']
  texts = [text for text, _ in prompts['train']]
  length_N = encode_prompts(texts, tokenizer, cut).length_N
  edge = int(np.median(length_N))
  assert min((length_N <= edge).sum(), (length_N > edge).sum()) >= 16
  return edge, cut


@pytest.mark.slow  # programs of its own
def test_ppo_compiles_one_program_for_each_length_bucket(study):
  """Two buckets, three iterations; the ledger says which shape differs."""
  edges = _buckets(study)
  # A setting of its own, so that no other test has compiled this program.
  config = tiny.ppo(study, prompt_buckets=edges, iterations=3, b2=0.9375)
  before = ledger.count('ppo_iteration_3K')
  with ledger.no_more_than(2, 'ppo_iteration_3K'):
    train_ppo.run(config, study / 'ppo-buckets')
  assert ledger.count('ppo_iteration_3K') == before + 2
  shapes = ledger.shapes('ppo_iteration_3K')
  assert shapes.startswith('prompts/tokens_BP: ') and ';' not in shapes
  assert all(f'int32[16,{edge}]' in shapes for edge in edges)


@pytest.mark.slow  # programs of its own
def test_ppo_in_buckets_resumes_bit_for_bit(study, killed_at):
  """Killed in iteration 2 of 3, with both streams begun (checklist 82)."""
  workdir = study / 'ppo-resumed'
  config = tiny.ppo(
    study, prompt_buckets=_buckets(study), iterations=3, b2=0.9375
  )
  killed_at(train_ppo, config, workdir, last=2)
  train_ppo.run(config, workdir)
  assert_same_end(workdir, study / 'ppo-buckets', 'rl_curve.csv')


@pytest.mark.slow  # compiles PPO
def test_ppo_stops_at_a_sign_of_health_and_goes_on_when_told_to(study):
  """Replies of eight tokens rarely end; its logger is told (checklist 81)."""
  pytest.importorskip('tensorboardX', reason='needs the extra tensorboard')
  workdir, health = study / 'ppo-health', {'off': (), 'stop': ('end_rate',)}
  own = {'loggers': ('tensorboard',), 'health': health}
  with pytest.raises(HealthError, match='end_rate at update 4: .* no end'):
    train_ppo.run(tiny.ppo(study, **own), workdir)
  failed = json.loads((workdir / 'failed.json').read_text())
  assert (failed['reason'], failed['name']) == ('health', 'end_rate')
  own['health'] = {'off': (), 'stop': ()}
  train_ppo.run(tiny.ppo(study, **own), workdir)
  assert not (workdir / 'failed.json').exists()
  said = [row['name'] for row in metrics(workdir, 'health')]
  assert 'end_rate' in said and len(set(said)) == len(said)
  row = metrics(workdir)[-1]
  np.testing.assert_allclose(row['first_ratio'], 1.0, atol=1e-4)
  [speed] = page.table(workdir)
  assert speed['stage'] == 'train_ppo' and speed['mfu'] > 0
  assert speed['tokens_per_s'] > 0 and speed['seconds'] > speed['update_s']
  assert list((workdir / 'tensorboard').iterdir())


@pytest.mark.slow  # programs of their own
def test_a_sweep_of_language_models_compiles_one_step(study):
  """Two seeds and two rates; packed, one for each number of rows."""
  packed, padded = row_counts(16, multiple=4), [16]
  for pack, counts in ((True, packed), (False, padded)):
    with (
      ledger.no_more_than(len(counts), 'lm_step_3K'),
      ledger.no_more_than(1, 'sample_3K'),
    ):
      for seed in (0, 1):
        for rate in (0.01, 0.02):
          config = tiny.lm(
            study, pack=pack, seed=seed, learning_rate=rate, b2=0.96875
          )
          workdir = study / f'lm-sweep-{pack}-{seed}-{rate}'
          train_lm.run(config | {'steps': 2}, workdir)


@pytest.mark.slow  # programs of their own
def test_a_sweep_of_preference_models_compiles_one_step(study):
  """Two seeds and two rates."""
  with (
    ledger.no_more_than(1, 'pm_step_3K'),
    ledger.no_more_than(1, 'pm_score_3K'),
  ):
    for seed in (0, 1):
      for rate in (0.3, 0.4):
        config = tiny.pm(study, seed=seed, lr_multiple=rate, b2=0.96875)
        train_pm.run(config, study / f'pm-sweep-{seed}-{rate}')


@pytest.mark.slow  # programs of their own
def test_a_sweep_of_policies_compiles_one_iteration(study):
  """Two seeds and two lambda_KL, with their evaluations."""
  with (
    ledger.no_more_than(1, 'ppo_iteration_3K'),
    ledger.no_more_than(1, 'policy_eval_3K'),
  ):
    for seed in (0, 1):
      for kl_coef in (0.0, 0.1):
        config = tiny.ppo(study, seed=seed, kl_coef=kl_coef, b2=0.96875)
        train_ppo.run(config, study / f'ppo-sweep-{seed}-{kl_coef}')


@pytest.mark.slow  # compiles PPO; that a stage hands it on: shared_policies
def test_at_any_temperature_the_policy_starts_at_pi_0(study):
  """Ratio 1 and KL 0 in the first step, through the stage's own assembly.

  At T = 0.7 with scores of T = 1 the ratio was .85 and the KL 2.1.
  """
  config = tiny.ppo(study, temperature=0.7, iterations=1, minibatch_size=16)
  train_ppo.run(config | {'passes': 1}, study / 'ppo-cool')
  [first] = metrics(study / 'ppo-cool')
  assert first['ratio_mean'] == pytest.approx(1, abs=1e-5)
  assert first['kl_k1'] == pytest.approx(0, abs=1e-5)
  assert first['clip_fraction'] == 0
  start, end = metrics(study / 'ppo-cool', 'checkpoint')
  assert start['kl'] == start['kl_k1'] == 0 and end['kl'] > 0


@pytest.fixture(scope='module')
def eight(study, tmp_path_factory):
  """Where eight_stages.py ran both stages, on one device and on eight."""
  workdir = tmp_path_factory.mktemp('eight')
  process = subprocess.run(
    [sys.executable, HERE / 'eight_stages.py', study, workdir],
    env=os.environ
    | {
      'PYTHONPATH': os.pathsep.join([str(ROOT), str(HERE)]),
      'XLA_FLAGS': '--xla_force_host_platform_device_count=8 '
      + os.environ.get('XLA_FLAGS', ''),  # of conftest: compiles sooner
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr[-3000:]
  return workdir


@pytest.mark.slow  # eight faked devices
def test_the_language_model_stage_is_the_same_on_eight_devices(eight):
  """Packed rows in two microbatches on 2 x 2 x 2 (checklist 68)."""
  one, many = (metrics(eight / f'lm-{name}') for name in ('one', 'eight'))
  assert abs(one[0]['loss'] - one[-1]['loss']) > 1e-3
  assert_same_metrics(many, one, 1e-5)


@pytest.mark.slow  # eight faked devices
@pytest.mark.parametrize('stage', ['lm', 'pm', 'ppo'])
def test_one_device_reads_what_eight_have_written(study, eight, stage):
  """This process has one; the parameters are those of one (checklist 68)."""
  one, many = (
    models.open_run(eight / f'{stage}-{name}').params
    for name in ('one', 'eight')
  )
  near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
  jax.tree.map(near, many, one)


@pytest.mark.slow  # eight faked devices
def test_the_preference_model_stage_is_the_same_on_eight_devices(eight):
  """Steps in two microbatches, curve, and scores of pairs (checklist 68)."""
  for kind in ('train', 'curve'):
    one, many = (
      metrics(eight / f'pm-{name}', kind) for name in ('one', 'eight')
    )
    assert_same_metrics(many, one, 1e-5)
  one, many = (
    pd.read_csv(eight / f'pm-{name}' / 'pm_pairs.csv.gz')
    for name in ('one', 'eight')
  )
  pd.testing.assert_frame_equal(many, one, rtol=1e-4, atol=1e-4)


@pytest.mark.slow  # eight faked devices
def test_the_ppo_stage_is_the_same_on_eight_devices(eight):
  """Training metrics and the evaluations of the policy (checklist 68)."""
  for kind in ('train', 'checkpoint'):
    one, many = (
      metrics(eight / f'ppo-{name}', kind) for name in ('one', 'eight')
    )
    assert_same_metrics(many, one, 1e-5)


def test_a_stage_that_is_not_finite_stops_and_keeps_its_checkpoint(study):
  """At this rate parameters are 1e30 after one update, the loss NaN then."""
  workdir = study / 'pm-burst'
  config = tiny.pm(study, learning_rate=1e30, checkpoint_every=1, log_every=4)
  with pytest.raises(NonFiniteError, match='loss.* not finite at update 2 '):
    train_pm.run(config, workdir)
  assert not (workdir / 'done.json').exists()
  assert not (workdir / 'params').exists()
  record = json.loads((workdir / 'failed.json').read_text())
  assert record['step'] == 2 and len(record['rows']) == config['batch_size']
  kept = [p.name for p in (workdir / 'checkpoints').iterdir()]
  assert kept == ['1']


@pytest.mark.parametrize('key', ['kl_coef', 'lr_multiple'])
def test_a_coefficient_that_is_not_finite_is_refused_by_name(study, key):
  workdir = study / f'ppo-{key}'
  with pytest.raises(RunError, match=f'config.{key} is nan'):
    train_ppo.run(tiny.ppo(study, **{key: float('nan')}), workdir)
  assert not workdir.exists()
