"""The preset for a GPU, two steps a stage on the CPU."""

import json

import pytest
from experiments_command import call, succeeded

pytestmark = pytest.mark.slow  # compiles the larger rungs

# One rung of four and two themes: compiling is what takes the time.
SMALL = {
  'themes': "('scaling', 'sqrt_kl')",
  'seeds': '(0,)',
  'text.dialogues': 400,
  'text.plain_texts': 20,
  'text.tokenizer_texts': 400,
  'lm.steps': 2,
  'lm.batch_size': 8,
  'lm.samples': 8,
  'comparisons.lm_size': '197K',
  'comparisons.pairs': 500,
  'comparisons.sample_batch': 64,
  'scaling.sizes': "('197K',)",
  'pm.pairs': 32,
  'pm.batch_size': 16,
  'pm.curve_eval_pairs': 32,
  'pm.eval_batch': 32,
  'linear.sizes': "('197K',)",
  'linear.pm_size': '197K',
  'rl_seeds': 1,
  'rl.iterations': 2,
  'rl.batch_size': 8,
  'rl.minibatch_size': 8,
  'rl.warmup_iterations': 1,
  'rl.eval_prompts': 16,
  'rl.eval_batch': 8,
  'rl.pi0_samples': 2,
  'linear.pi0_samples': 2,
  'rl.shown.each': 1,
  'rl.shown.replies': 1,
  'frontier.prompts': 4,
  'frontier.replies': 128,
}


def test_the_gpu_preset_runs_on_a_cpu(tmp_path):
  flags = [f'--config.{key}={value}' for key, value in SMALL.items()]
  config = '--config=configs/reproduce.py:gpu'
  done = call('reproduce', config, *flags, f'--workdir={tmp_path}/study')
  assert 'report/index.html' in succeeded(done).stdout
  report = tmp_path / 'study' / 'report' / 'claims.json'
  document = json.loads(report.read_text())
  assert document['preset'] == 'gpu'
  assert any(c['verdict'] != 'not run' for c in document['claims'])
