"""RLOO, GRPO and DPO as stages: what they hold, and what comes of them."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny
import tiny_stages as stages

from experiments import export, frontier, score_replies, train_dpo, train_ppo
from experiments.shared import direct, models
from rlhf_jax.train import about
from rlhf_jax.types import Prompts
from tests.test_configs import _config

CONFIG = {
  'trained': 'all',
  'batch_size': 8,
  'seed': 0,
  'max_prompt': 16,
  'prompt_buckets': (),
  'value_pm_dir': '',
  'b2': 0.9,
}


@pytest.mark.parametrize('name', ['rloo', 'grpo'])
def test_where_there_is_no_critic_the_state_has_none(name):
  """Neither parameters nor moments; PPO has both."""
  config = CONFIG | {'algorithm': name, 'group': 4}
  state = train_ppo.initial_state(config, tiny.base(), None)
  assert set(state.params) == {'policy'}
  names = {
    key.key
    for path, _ in jax.tree_util.tree_leaves_with_path(state.opt_state)
    for key in path
    if hasattr(key, 'key')
  }
  assert 'policy' in names and 'value' not in names
  state = train_ppo.initial_state(CONFIG, tiny.base(), None)
  assert set(state.params) == {'policy', 'value'}


def test_a_batch_of_groups_has_fewer_prompts_and_as_many_replies():
  found = [(tiny.prompt(f'draw {i} cats'), 'helpful') for i in range(12)]
  config = CONFIG | {'algorithm': 'rloo', 'group': 4}
  batch = next(train_ppo.prompt_batches(config, tiny.base(), found))
  assert isinstance(batch, Prompts) and len(batch.length_B) == 2
  batch = next(train_ppo.prompt_batches(CONFIG, tiny.base(), found))
  assert len(batch.length_B) == 8


@pytest.mark.parametrize('group', [1, 3])
def test_groups_that_do_not_fit_a_batch_are_one_line(group):
  config = CONFIG | {'algorithm': 'grpo', 'group': group}
  with pytest.raises(ValueError, match=f'batch_size=8 for grpo, got .*{group}'):
    train_ppo.algorithm_of(config)
  assert train_ppo.algorithm_of(CONFIG | {'group': group}).replies == 1


def test_a_policy_reads_pairs_without_their_end_of_context():
  """A token fewer on each side; the prompt is as long as before."""
  pairs = tiny.pairs([0.9, 0.6, 0.7])
  found = direct.reply_pairs(pairs, np.array([2, 0]))
  assert found.chosen_tokens_BT.tolist() == [[102, 102], [100, 100]]
  assert found.chosen_length_B.tolist() == [301, 299]
  assert found.rejected_length_B.tolist() == [401, 399]
  assert found.prompt_length_B.tolist() == [502, 500]


def test_the_reference_is_asked_in_batches_of_one_shape():
  seen = []

  def logps(params, part):
    seen.append(part.prompt_length_B.shape)
    return params + part.chosen_length_B, params - part.rejected_length_B

  pairs = direct.reply_pairs(tiny.pairs([0.9] * 5))
  found = direct.with_reference(logps, 1000.0, pairs, 2)
  assert seen == [(2,)] * 3
  wanted_B = 1000.0 + np.arange(299, 304)
  np.testing.assert_array_equal(found.ref_chosen_B, wanted_B)
  wanted_B = 1000.0 - np.arange(399, 404)
  np.testing.assert_array_equal(found.ref_rejected_B, wanted_B)


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  path = tmp_path_factory.mktemp('algorithms')
  stages.prepare(path)
  return path


@pytest.mark.slow  # compiles two iterations and an evaluation
@pytest.mark.parametrize('name', ['rloo', 'grpo'])
def test_a_policy_without_a_critic_has_the_tables_of_ppo(
  study, killed_at, name
):
  """Killed in iteration 2 of 2 it resumes bit for bit (checklist 82)."""
  config = stages.ppo(
    study, algorithm=name, group=4, value_pm_dir='', kl_coef=0.1
  )
  train_ppo.run(config, study / name)
  curve = pd.read_csv(study / name / 'rl_curve.csv')
  assert curve['samples'].tolist() == [0, 16, 32]
  assert curve['kl'].iloc[0] == 0 and curve['kl'].iloc[-1] > 0
  killed_at(train_ppo, config, study / f'{name}-resumed', last=1)
  train_ppo.run(config, study / f'{name}-resumed')
  for file in ('metrics.jsonl', 'rl_curve.csv'):
    ours, theirs = (
      (study / x / file).read_bytes() for x in (name, f'{name}-resumed')
    )
    assert ours == theirs
  rows = (study / name / 'metrics.jsonl').read_text().splitlines()
  train = [row for row in map(json.loads, rows) if row['kind'] == 'train']
  assert ('kl_loss' in train[0]) == (name == 'grpo')
  assert 'value_loss' not in train[0]


@pytest.mark.slow  # compiles a step and an evaluation
def test_dpo_leaves_a_policy_that_every_script_takes(
  study, killed_at, tmp_path
):
  """Never a classifier; killed in step 3 of 4 it resumes (checklist 82)."""
  path = study / 'dpo'
  train_dpo.run(stages.dpo(study), path)
  assert about.read(path).about.holds == 'policy'
  curve = pd.read_csv(path / 'rl_curve.csv')
  assert curve['iteration'].tolist() == [0, 1, 2, 4]
  assert curve['kl'].iloc[0] == 0 and curve['kl'].iloc[-1] > 0
  assert (curve['kl_coef'] == 0.1).all()  # beta
  with pytest.raises(about.RunError, match='is no run of experiments.train_pm'):
    models.open_scorer(path)
  killed_at(train_dpo, stages.dpo(study), study / 'dpo-resumed', last=3)
  train_dpo.run(stages.dpo(study), study / 'dpo-resumed')
  again = (study / 'dpo-resumed' / 'rl_curve.csv').read_bytes()
  assert again == (path / 'rl_curve.csv').read_bytes()
  told = {'run': str(path), 'output': str(tmp_path / 'model')}
  export.run(told | {'dtype': 'float32'})
  written = json.loads((tmp_path / 'model' / 'config.json').read_text())
  assert all('Classification' not in x for x in written['architectures'])
  assert all('CausalLM' in x for x in written['architectures'])
  few = {'prompts': 4, 'replies': 64}
  frontier.run(few | {'run_dir': str(path)}, tmp_path / 'frontier')
  assert (tmp_path / 'frontier' / 'frontier.csv').exists()
  asked = _config('reproduce', 'full_smoke')['replies'] | few
  asked |= {'policy_dir': str(path), 'pm_dirs': [str(study / 'pm')]}
  asked |= {'role': 'judged_dpo', 'seed': 0}
  score_replies.run(asked, tmp_path / 'replies')
  assert (tmp_path / 'replies' / 'scored.csv').exists()


@pytest.mark.slow  # compiles a step
def test_dpo_without_preference_models_measures_nothing(study):
  path = study / 'dpo-alone'
  train_dpo.run(stages.dpo(study, train_pm_dir='', test_pm_dir=''), path)
  assert not (path / 'rl_curve.csv').exists()
  same = models.open_run(study / 'dpo-alone').params
  assert about.read(path).about.holds == 'policy'
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(same))
