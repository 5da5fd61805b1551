"""Skills mixed in: who is trained on what, and the evaluation of all."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import (
  evaluate_skills,
  make_comparisons,
  make_text,
  mix_tranches,
  train_lm,
  train_pm,
)
from experiments.studies import registry
from rlhf_jax.crowd import skills
from rlhf_jax.crowd.worlds import make_world
from tests.test_configs import _config

TASKS = ('hh', 'summaries', 'oneliners')


def jobs_of(preset='full', **changes):
  config = _config('reproduce', preset) | {'themes': ['skills']}
  config |= {'seeds': config['seeds'][:1]} | changes
  return {job.name: job for job in registry.all_jobs(config, '/r')}


def test_tasks_have_comparisons_of_their_own_and_models_know_the_skills():
  jobs = jobs_of()
  assert jobs['skills/text'].config['world']['skill_share'] == 0.35
  worlds = {
    task: jobs[f'skills/comparisons_{task}'].config['world'] for task in TASKS
  }
  assert worlds['hh']['skill_share'] == 0.0
  for task in TASKS[1:]:
    assert worlds[task]['skill_share'] == 1.0
    assert worlds[task]['skill_families'] == [task]
  for job in jobs.values():
    if 'base' in job.config and job.config['size']:
      assert job.config['base'] == f'/r/skills/lm/{job.config["size"]}'


def test_a_mixture_holds_as_many_pairs_of_each_task_as_single_ones_do():
  jobs = jobs_of()
  counts = {
    name: jobs[f'skills/data_{name}-s200'].config['train_counts']
    for name in (*TASKS, 'mixed')
  }
  assert counts == {
    'hh': [6144],
    'summaries': [3072],
    'oneliners': [3072],
    'mixed': [6144, 3072, 3072],
  }
  numbers = jobs['skills/data_oneliners-s200'].config['tranche_numbers']
  assert numbers == [2]  # the same labels as in the mixture
  for name, parts in counts.items():
    pm = jobs[f'pm/skill_{name}-197K-mix-all-s200'].config
    assert pm['pairs'] == sum(parts)
    assert pm['comparisons_dir'] == f'/r/skills/data_{name}-s200'


def test_preference_models_are_compared_at_the_sizes_that_are_asked_for():
  pms = {x for x in jobs_of() if x.startswith('pm/')}
  assert pms == {f'pm/skill_{x}-197K-mix-all-s200' for x in (*TASKS, 'mixed')}
  last = {
    size: jobs_of()[f'skills/capability-{size}-s200'].config['pm_names']
    for size in ('3K', '197K')
  }
  assert last == {'3K': [], '197K': [*TASKS, 'mixed']}


def test_policies_are_asked_what_their_pm_has_read():
  """All sizes under the largest; the value network starts at zero."""
  jobs = jobs_of()
  for role, name in (('tax', 'hh'), ('tax_mixed', 'mixed')):
    for size in ('3K', '13K'):
      rl = jobs[f'rl/{role}-{size}-all-s200'].config
      assert rl['comparisons_dir'] == f'/r/skills/data_{name}-s200'
      assert rl['train_pm_dir'] == f'/r/pm/skill_{name}-197K-mix-all-s200'
      assert rl['value_pm_dir'] == ''
      assert rl['world']['skill_share'] == 0.35  # so that gold knows them
  last = jobs['skills/capability-13K-s200'].config
  assert last['writer_names'] == ['pi_0', 'hh', 'mixed']
  without = jobs_of(rl_seeds=0)
  last = without['skills/capability-13K-s200'].config
  assert last['writer_names'] == ['pi_0']
  assert not [name for name in without if name.startswith('rl/')]


def tranche(folder, name, count):
  folder = folder / name
  folder.mkdir()
  prompts = [[f'{name}{i}', 'helpful'] for i in range(count)]
  found = {'train': prompts, 'test': [*prompts[:3], [f'{name}x', 'harmless']]}
  (folder / 'prompts.json').write_text(json.dumps(found))
  return str(folder)


def test_prompts_are_the_first_tranche_s_or_as_many_of_each_as_pairs(tmp_path):
  config = {'tranche_dirs': [tranche(tmp_path, x, 5) for x in 'ab']}
  config |= {'train_counts': [4, 2], 'subset': 'mix'}
  said = lambda rows: ''.join(text for text, _ in rows)
  first = mix_tranches.prompts_of(config)
  assert said(first['train']) == 'a0a1a2a3a4'
  every = mix_tranches.prompts_of(config | {'prompts_of': 'all'})
  assert said(every['train']) == 'a0a1a2a3b0b1'
  assert said(every['test']) == 'a0a1a2axb0b1'
  helpful = mix_tranches.prompts_of(config | {'subset': 'helpful'})
  assert said(helpful['test']) == 'a0a1a2'


@pytest.mark.parametrize('task', TASKS)
def test_choices_are_between_a_right_and_a_wrong_answer(task):
  world, rng = make_world('parts', skill_share=0.3), np.random.default_rng(0)
  found = evaluate_skills.choices_of(world, rng, task, 20)
  assert len(found) == 20
  for prompt, right, wrong in found:
    asked = skills.recognise(prompt)
    assert (asked is None) == (task == 'hh') and right != wrong
    if asked:
      assert asked.skill.is_right(asked.asked, right)
      assert not asked.skill.is_right(asked.asked, wrong)


@pytest.mark.slow  # stages, each with programs of its own
def test_a_pm_and_a_model_are_tested_on_every_task(tmp_path):
  """A PM of one task on that task; of all of them on all."""
  root, share = tmp_path, {'skill_share': 0.4}
  text = tiny.text(root)
  make_text.run(text | {'world': text['world'] | share}, root / 'text')
  train_lm.run(tiny.lm(root), root / 'lm')
  pairs = tiny.comparisons(root)
  for task in TASKS:
    families = {'skill_families': [task]} if task != 'hh' else {}
    own = {'skill_share': float(task != 'hh')} | families
    config = pairs | {'world': pairs['world'] | own}
    make_comparisons.run(config, root / task)
  mix = {'role': 'x', 'seed': 0, 'half': 'all', 'size': '3K', 'subset': 'mix'}
  mix |= {'tranche_dirs': [f'{root}/{task}' for task in TASKS]}
  mix |= {'tranche_numbers': [0, 1, 2], 'prompts_of': 'all'}
  mix |= {'train_counts': [16] * 3, 'test_counts': [8] * 3}
  mix_tranches.run(mix, root / 'comparisons')
  train_pm.run(tiny.pm(root, half='all'), root / 'pm')
  config = _config('skills', 'full_smoke') | tiny.CUT | {'size': '3K'}
  config |= {'tranche_dirs': [f'{root}/{task}' for task in TASKS]}
  config |= {'pm_names': ['mixed', 'summaries'], 'pm_dirs': [f'{root}/pm'] * 2}
  config |= {'writer_names': ['pi_0'], 'writer_dirs': [f'{root}/lm']}
  config |= {'test_pairs': 16, 'choices': 8, 'samples': 8, 'eval_batch': 8}
  evaluate_skills.run(config, root / 'found')
  pms = pd.read_csv(root / 'found' / 'skill_pms.csv')
  tested = list(zip(pms['pm'], pms['task'], strict=True))
  wanted = [('mixed', task) for task in TASKS] + [('summaries', 'summaries')]
  assert sorted(tested) == sorted(wanted)
  assert pms['expected_accuracy'].between(0, 1).all()
  alone = config | {'pm_names': [], 'pm_dirs': []}
  evaluate_skills.run(alone, root / 'without')
  assert not (root / 'without' / 'skill_pms.csv').exists()
  found = pd.read_csv(root / 'found' / 'capability.csv')
  assert list(found['task']) == list(TASKS)
  assert found['passed'].isna().tolist() == [True, False, False]
