"""Pages, teacher, student, and a policy that starts from it, at their least."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import (
  distil,
  evaluate_prompted,
  make_pages,
  make_targets,
  make_text,
  train_lm,
)
from experiments.shared import models
from experiments.studies import distillation, registry
from rlhf_jax.train.about import About
from tests.test_configs import _config


def names_of(pi0):
  config = _config('reproduce', 'full_smoke') | {'themes': ['distillation']}
  config['distillation'] |= {'pi0': pi0}
  return {job.name: job for job in registry.all_jobs(config, '/r')}


@pytest.mark.parametrize('pi0', ['lm', 'distilled'])
def test_the_policy_starts_where_pi0_says(pi0):
  jobs = names_of(pi0)
  policy = jobs[f'rl/from_{pi0}-3K-a-s0']
  start = {'lm': 'pages_lm/3K', 'distilled': 'distil/3K-s0'}[pi0]
  assert policy.config['base'] == f'/r/{start}'
  assert start in {need.name for need in policy.needs}
  linear = _config('reproduce', 'full_smoke')
  linear |= {'themes': ['ppo'], 'linear': linear['linear'] | {'sizes': ['3K']}}
  jobs = {job.name: job for job in registry.all_jobs(linear, '/r')}
  wanted = jobs['rl/linear-3K-a-s0'].config
  changed = {k for k in wanted if policy.config[k] != wanted[k]}
  assert changed == {'base', 'role'}


def test_another_pi0_is_refused():
  with pytest.raises(ValueError, match="pi0='sft': wanted one of lm, distil"):
    names_of('sft')


def test_students_share_one_teacher_and_models_are_shared_by_seeds():
  jobs = names_of('distilled')
  for size in ('3K', '13K'):
    for seed in (0, 1):
      job = jobs[f'distil/{size}-s{seed}']
      assert job.config['targets_dir'] == f'/r/targets/s{seed}'
      assert job.config['base'] == f'/r/pages_lm/{size}'
  assert jobs['targets/s1'].config['lm_dir'] == '/r/pages_lm/13K'
  assert (
    distillation.pages_job(_config('reproduce', 'full_smoke'), '/r').name
    in jobs
  )


def settings(name, **changes):
  config = _config(name, 'full_smoke') | changes
  return config | {k: v for k, v in tiny.CUT.items() if k in config}


@pytest.mark.slow  # five stages, each with programs of its own
def test_a_student_of_a_prompted_teacher_resumes_and_is_a_policy_s_base(
  tmp_path, monkeypatch
):
  root = tmp_path
  make_text.run(tiny.text(root), root / 'text')
  pages = settings('pages', text_dir=f'{root}/text', rows_pages=60)
  make_pages.run(pages, root / 'pages')
  lm = tiny.lm(root, text_dir=f'{root}/pages', microbatches=1)
  train_lm.run(lm, root / 'lm')
  targets = settings('targets', lm_dir=f'{root}/lm', lm_size='3K')
  targets |= {'texts': 40, 'heldout_texts': 12, 'eval_batch': 8}
  make_targets.run(targets, root / 'targets')
  student = settings('distil', base=f'{root}/lm', size='3K', steps=6)
  student |= {'targets_dir': f'{root}/targets', 'batch_size': 8}
  student |= {'checkpoint_every': 2, 'log_every': 1, 'eval_batch': 8}
  distil.run(student, root / 'student')
  rate = distil.learning_rate_at

  def killed(step, **options):
    if step == 5:
      raise KeyboardInterrupt
    return rate(step, **options)

  monkeypatch.setattr(distil, 'learning_rate_at', killed)
  with pytest.raises(KeyboardInterrupt):
    distil.run(student, root / 'again')
  monkeypatch.setattr(distil, 'learning_rate_at', rate)
  distil.run(student, root / 'again')
  for name in ('distillation.csv', 'metrics.jsonl'):
    ours, theirs = (root / x / name for x in ('student', 'again'))
    assert ours.read_bytes() == theirs.read_bytes()
  kl = pd.read_csv(root / 'student' / 'distillation.csv')
  kl = kl[kl['texts'] == 'all'].set_index('tokens')['kl']
  assert kl.iloc[1] < kl.iloc[0]
  base = models.open_base(
    {'base': f'{root}/student', 'size': '3K', 'pad_token': ''}
    | {'dtype': 'float32', 'text_dir': ''}
  )
  start = models.open_run(root / 'lm').params
  moved = base.params['trunk']['embed'] - start['trunk']['embed']
  assert base.size == '3K' and np.abs(moved).max() > 0
  shown = json.loads((root / 'student' / 'config.json').read_text())
  assert About(*(shown[k] for k in About._fields)).holds == 'language model'
  prompted = settings('prompted', pages_dir=f'{root}/pages', sizes=['3K'])
  prompted |= {'lm_dirs': [f'{root}/lm'], 'samples': 8, 'choices': 4}
  prompted |= {'distilled_dirs': [f'{root}/student'], 'eval_batch': 8}
  evaluate_prompted.run(prompted, root / 'prompted')
  rows = pd.read_csv(root / 'prompted' / 'prompted.csv')
  assert list(rows['reading']) == ['plain', 'prompted', 'distilled']
