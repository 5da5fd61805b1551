"""The study smollm2_policies: its jobs, and all of it on a tiny model."""

import importlib
import json

import imported_fixture as tiny
import jax
import numpy as np
import pandas as pd
import policies_fixture as policies
import pytest

from experiments import reproduce
from experiments.harness import listed
from experiments.shared import imported, models, targets
from experiments.studies import registry
from rlhf_jax.analysis import figures, runs
from rlhf_jax.analysis.claims import judging, real_baselines, real_ptx
from rlhf_jax.data import documents
from rlhf_jax.text.hhh import HHH_PROMPT
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config, _load

THEMES = ('real_baselines', 'real_distillation', 'real_ptx', 'real_sft')


def jobs_of(preset='smollm2_policies', **changes):
  config = _config('reproduce', preset) | changes
  return {job.name: job for job in registry.all_jobs(config, '/r')}


def test_heads_ppo_and_frontier_are_the_jobs_of_smollm2_rl():
  """To the last setting, so that nothing is made again in its folder."""
  theirs, ours = jobs_of('smollm2_rl'), jobs_of()
  shared = theirs.keys() & ours.keys()
  assert shared == {
    f'{name}-s{seed}'
    for seed in (200, 201)
    for name in (
      *('pm/scaling-helpful-a', 'pm/rl-helpful-b'),
      *('rl/linear-a', 'frontier/linear-a'),
    )
  }
  assert all(theirs[name] == ours[name] for name in shared)
  assert set(ours) - shared == {
    *('demos', 'sft/s200', 'targets/s200', 'distil/s200', 'text_loss/s200'),
    *('rl/real_ptx-a-s200', 'rl/real_beta_0.02-a-s200'),
    *(
      f'rl/real_{name}-a-s{seed}'
      for seed in (200, 201)
      for name in ('rloo', 'grpo', 'dpo')
    ),
  }


def test_a_finished_study_of_smollm2_rl_goes_on_with_these_themes(tmp_path):
  """Its folder takes the further sections, and no other change."""
  config = lambda preset: _config('reproduce', preset)
  with reproduce.Run(
    tmp_path, config('smollm2_rl'), {'role': 'study'}, about=about()
  ) as run:
    run.finish()
  reproduce.take_on_chapters(tmp_path, config('smollm2_policies'))
  assert not (tmp_path / 'config.json').exists()
  with reproduce.Run(
    tmp_path, config('smollm2_policies'), {'role': 'study'}, about=about()
  ) as run:
    assert not run.done
  other = config('smollm2_policies') | {'seeds': [0]}
  reproduce.take_on_chapters(tmp_path, other)
  assert (tmp_path / 'config.json').exists()  # it is refused later


def about():
  return reproduce.about.About('reproduce', 'study')


@pytest.mark.parametrize('theme', THEMES)
def test_a_theme_comes_alone_and_of_so_many_seeds(theme):
  found = jobs_of(themes=[theme])
  own = {
    'real_sft': {'sft/s200'},
    'real_distillation': {'distil/s200'},
    'real_ptx': {'text_loss/s200'},
    'real_baselines': {'rl/real_dpo-a-s200', 'rl/real_dpo-a-s201'},
  }
  assert own[theme] <= set(found)
  for other in THEMES:
    assert other == theme or not own[other] & set(found)
  section = _config('reproduce', 'smollm2_policies')[theme]
  key = next(key for key in section if key.endswith('seeds'))
  more = jobs_of(themes=[theme], **{theme: section | {key: 3}})
  assert {name.replace('s200', 's202') for name in own[theme]} <= set(more)


def test_policies_differ_from_ppo_in_what_their_theme_says():
  found, ppo = jobs_of(), jobs_of()['rl/linear-a-s200'].config
  differ = lambda name: {
    key for key, x in found[name].config.items() if key in ppo and ppo[key] != x
  }
  ptx, beta = 'rl/real_ptx-a-s200', 'rl/real_beta_0.02-a-s200'
  assert differ(ptx) == {'role'} and differ(beta) == {'role', 'kl_coef'}
  mixed = found[ptx].config
  assert (mixed['ptx_coef'], mixed['ptx_per_episode']) == (1.0, 1)
  folder = '../shared/data'
  names = ['text_gutenberg', 'text_misc/c4_demo.jsonl.gz']
  folder = _config('reproduce', 'smollm2_policies')['data']['path']
  assert mixed['ptx_text'].split(',') == [f'{folder}/{x}' for x in names]
  loss = found['text_loss/s200'].config
  assert loss['texts'] == mixed['ptx_text'].split(',')
  assert loss['writer_names'] == ['pi_0', 'ppo', 'ptx', 'beta_0.02']
  assert loss['writer_dirs'][:2] == ['smollm2', '/r/rl/linear-a-s200']
  shorter = {'role', 'iterations', 'dense_iterations'}
  assert differ('rl/real_rloo-a-s200') == shorter
  assert differ('rl/real_grpo-a-s200') == shorter | {'kl_coef'}
  dpo = found['rl/real_dpo-a-s200'].config
  same = ('train_pm_dir', 'test_pm_dir', 'prompt_kind', 'eval_prompts')
  same += ('reading', 'adapters', 'max_reply', 'feature_folder', 'seed')
  assert all(dpo[key] == ppo[key] for key in same)
  train = found['pm/scaling-helpful-a-s200'].config
  assert dpo['train_subset'] == train['train_subset'] == 'helpful'
  assert dpo['pairs'] == dpo['iterations'] * dpo['batch_size']  # each once


def test_what_ppo_is_told_reaches_the_policies_beside_it():
  """One setting of rl is that of the runs it is compared with."""
  config = _load('reproduce').get_config('smollm2_policies')
  config.rl.batch_size, config.rl.shown.each = 64, 1
  found = config.to_dict()
  for name in ('instruct_rl', 'baselines_rl'):
    assert found[name]['batch_size'] == 64
    assert found[name]['shown']['each'] == 1
  assert found['dpo']['shown']['each'] == 1
  assert found['dpo']['batch_size'] != 64


SLOW = pytest.mark.slow  # fourteen stages of a tiny model


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """(root, {name: Job}) of a study that has run."""
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('policies')
  tiny.write_model(root / 'model')
  policies.write_data(root / 'data')
  found = policies.jobs(root)
  for job in found.values():
    importlib.import_module(job.module).run(job.config, root / job.name)
  return root, found


@pytest.fixture(scope='module')
def tables(study):
  return runs.collect(study[0])


@SLOW
def test_every_job_runs_once_and_a_second_call_changes_nothing(study):
  root, found = study
  stamp = lambda: {
    name: (root / name / 'done.json').stat().st_mtime_ns for name in found
  }
  before = stamp()
  assert len(before) == 14
  for job in found.values():
    importlib.import_module(job.module).run(job.config, root / job.name)
  assert stamp() == before


@SLOW
@pytest.mark.parametrize(
  'name', ['sft/s0', 'distil/s0', 'rl/real_ptx-a-s0', 'rl/real_dpo-a-s0']
)
def test_adapters_that_come_out_open_as_evals_opens_them(study, name):
  """Merged into the base, of which two blocks have changed."""
  root, _ = study
  sizes = {'pad_token': tiny.PAD, 'dtype': 'float32', 'matmul': 'float32'}
  first, own = (
    listed.Model('x', str(path), sizes, models.open_base).opened
    for path in (root / 'model', root / name)
  )
  moved = jax.tree.map(
    lambda a, b: float(np.abs(a - b).max()), own.params, first.params
  )
  changed = {
    layer for layer, x in moved['trunk'].items() if max(jax.tree.leaves(x)) > 0
  }
  assert changed == {'layer_1', 'layer_2'}
  assert own.functions is first.functions
  assert models.open_run(root / name).params['trunk'].keys() == changed | {
    *(first.params['trunk'].keys() - changed)
  }


@SLOW
def test_an_epoch_is_named_by_loss_and_by_score(study, tables):
  root, found = study
  rows = tables['sft'].set_index('epoch')
  assert list(rows.index) == [1, 2] and rows['gold'].isna().all()
  assert rows['rm_score'].notna().all()
  by_loss, by_score = rows['least_loss'].idxmax(), rows['best_score'].idxmax()
  assert by_loss == rows['validation_nats'].idxmin()
  assert by_score == rows['rm_score'].idxmax()
  assert rows['chosen'].idxmax() == by_loss
  snapshot = root / 'sft' / 's0' / 'snapshots' / str(by_score)
  assert models.open_run(snapshot).holds == 'language model'
  judge = found['sft/s0'].config['rm_dir']
  assert judge == f'{root}/pm/scaling-helpful-a-s0'
  prompts = json.loads((root / 'demos' / 'prompts.json').read_text())
  assert len(prompts['train']) + len(prompts['test']) == 40


@SLOW
def test_a_student_comes_nearer_to_the_model_behind_the_prompt(tables):
  ends = tables['distillation'].query('texts == "all"').set_index('tokens')
  before, after = ends['kl'].sort_index()
  assert 0 < after < 0.9 * before
  rows = tables['buckets']
  assert (rows['largest_excess'] <= 0).all()
  assert rows['ids'].max() == 291  # the vocabulary, end-of-context included


@SLOW
def test_targets_are_of_the_teacher_s_own_reading_of_each_text(study):
  """By hand: the whole dialogue with the HHH prompt, and the next ids."""
  root, found = study
  config = found['targets/s0'].config
  base = models.open_base(config | {'size': ''})
  batch, kind_N = targets.read_targets(root / 'targets' / 's0' / 'heldout.npz')
  words = imported.with_system(base.tokenizer, HHH_PROMPT)
  opening = words.opening()
  for n in (0, 1):
    ids = batch.tokens_BT[n, : batch.length_B[n]].tolist()
    row = np.array([opening + ids], np.int32)
    logits_TV = base.functions.logits_fn(
      base.params, row, np.array([row.shape[1]])
    )[0]
    logp_TV = np.asarray(jax.nn.log_softmax(logits_TV))
    for t in range(1, len(ids)):
      place = len(opening) + t - 1
      best = np.argsort(-logp_TV[place], kind='stable')[:50]
      np.testing.assert_allclose(
        batch.target_logp_BTC[n, t, :50], logp_TV[place, best], atol=1e-4
      )
  assert kind_N.tolist() == [0, 1, 0, 1]
  own = targets.student_prefix(root / 'targets' / 's0')
  assert list(own) == base.tokenizer.opening() != opening


@SLOW
def test_text_is_read_by_pi_0_and_every_policy(study, tables):
  root, _ = study
  losses = tables['text_losses'].query('file == "all files"')
  names = ['pi_0', 'ppo', 'ptx', 'beta_0.02']
  assert losses['model'].tolist() == names
  assert set(losses['documents']) == {2}
  nats = losses.set_index('model')['nats_per_token']
  found = tables['text_loss_differences'].query('file == "all files"')
  for row in found.itertuples():
    more = nats[row.after] - nats['pi_0']
    assert row.nats_per_token == pytest.approx(more, abs=1e-9)
  assert found['nats_per_token'].ne(0).all()
  names = [str(root / 'data' / x) for x in ('text_gutenberg', 'text_misc')]
  held = {x.text for x in documents.read_sides(names).held}
  assert len(held) > 2
  metrics = runs.read_metrics(root / 'rl' / 'real_ptx-a-s0')
  mixed = metrics[metrics['kind'] == 'train']['mixed_loss']
  assert np.isfinite(mixed).all() and len(mixed) == 2


@SLOW
def test_the_study_reports_and_judges_nothing_of_it(tables, tmp_path):
  context = {'preset': 'x', 'evidence': 'real', 'rl_requires': True}
  document = judging.claims_document(tables, context)
  judged = {
    row['id']: row['verdict']
    for row in document['claims']
    if row['verdict'] not in ('not run', 'inconclusive')
  }
  assert set(judged) <= {50}  # an identity, of any model
  checks = {row['name']: row for row in document['checks']}
  for name in ('real_algorithms_at_equal_kl', 'real_distilled'):
    assert checks[name]['verdict'] == 'reported'
  for name in ('real_epochs', 'real_tax'):
    assert checks[name]['verdict'] == 'reported'
  assert real_ptx.real_tax(tables)['seeds'] == 1
  measured = real_baselines.real_algorithms_at_equal_kl(tables)['measured']
  assert {'train_by_ppo', 'test_by_dpo'} <= set(measured)
  drawn = figures.draw_all(tables, tmp_path)
  for name in ('real_algorithms', 'real_text_tax', 'finetuning'):
    assert drawn[name].exists()
  assert drawn['distilled_kl'].exists() and drawn['algorithms'] is None


@SLOW
def test_a_killed_student_ends_as_one_that_was_not(study, killed_at):
  """Adapters, behind the prefix of the template (checklist 82)."""
  from experiments import distil

  root, found = study
  config, again = found['distil/s0'].config, root / 'again'
  killed_at(distil, config, again, last=5)
  distil.run(config, again)
  for name in ('distillation.csv', 'metrics.jsonl'):
    ours = (root / 'distil' / 's0' / name).read_bytes()
    assert (again / name).read_bytes() == ours


@SLOW
def test_reading_says_what_was_read_and_left_out(study):
  root, _ = study
  rows = pd.read_csv(root / 'targets' / 's0' / 'reading.csv')
  rows = rows.set_index(['part', 'count'])['rows']
  assert rows['questions', 'read'] == 30
  assert rows['texts text_misc/c4_demo.jsonl.gz', 'held out'] > 0
