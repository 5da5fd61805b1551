"""Finetuning on demonstrations: its choice, its jobs, and its stages."""

import json
import math

import jax
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import (
  make_demonstrations,
  make_text,
  train_lm,
  train_ppo,
)
from experiments.shared import demonstrations, models
from experiments.studies import registry
from rlhf_jax.data.packing import PackedBatches
from tests.test_configs import _config, _load

EPOCHS = [
  {'epoch': 1, 'validation_nats': 2.0, 'rm_score': -1.0},
  {'epoch': 2, 'validation_nats': 1.0, 'rm_score': 0.5},
  {'epoch': 3, 'validation_nats': 1.0, 'rm_score': 0.7},
  {'epoch': 4, 'validation_nats': 1.5, 'rm_score': 0.7},
]


@pytest.mark.parametrize(
  ('rule', 'epoch'), [('validation_loss', 2), ('rm_score', 3), ('last', 4)]
)
def test_each_rule_chooses_its_epoch_and_of_equals_the_first(rule, epoch):
  assert demonstrations.chosen(EPOCHS, rule)['epoch'] == epoch


def test_rows_name_the_epoch_of_each_rule_and_the_one_that_is_kept():
  rows = demonstrations.marked(EPOCHS, 'last')
  column = lambda name: [row[name] for row in rows]
  assert column('least_loss') == [0, 1, 0, 0]
  assert column('best_score') == [0, 0, 1, 0]
  assert column('chosen') == [0, 0, 0, 1]
  without = [row | {'rm_score': math.nan} for row in EPOCHS]
  rows = demonstrations.marked(without, 'validation_loss')
  assert column('best_score') == [0, 0, 0, 0]
  assert column('least_loss') == column('chosen') == [0, 1, 0, 0]


def test_a_choice_by_score_wants_a_preference_model():
  config = {'choose_by': 'rm_score', 'rm_dir': ''}
  with pytest.raises(ValueError, match='choose_by=rm_score wants rm_dir'):
    demonstrations.require_rule(config)
  demonstrations.require_rule(config | {'rm_dir': 'runs/pm'})
  demonstrations.require_rule(config | {'choose_by': 'last'})


def test_the_paper_s_rate_and_choice_are_what_the_preset_says():
  config = _config('lm', 'sft') | {'learning_rate': 0.0}
  rates = [
    train_lm.rate_at(config, tiny_base(), step, 100) for step in (0, 50, 100)
  ]
  peak = 0.01 * config['lr_multiple']
  assert rates == pytest.approx([peak, 0.55 * peak, 0.1 * peak])
  assert _load('lm').get_config('sft').choose_by == 'validation_loss'
  assert config['base'] == 'smollm2' and config['trained'] == 'adapters'


def tiny_base():
  return type('Base', (), {'rate': 0.01})


def rows_of(folder):
  """Three demonstrations as the stage writes them; the last id is the end."""
  tokens_NT = np.array([[5, 6, 7, 2, 0], [5, 8, 2, 0, 0], [5, 6, 7, 8, 2]])
  length_N, start_N = np.int32([4, 3, 5]), np.int32([2, 1, 3])
  arrays = {'tokens_NT': tokens_NT, 'length_N': length_N}
  np.savez(folder / 'rows.npz', **arrays, loss_start_N=start_N)
  return {'text_dir': str(folder), 'objective': 'demonstrations'}


def test_replies_and_their_ends_are_learned_apart_from_each_other(tmp_path):
  """Packed, a row has several replies; prompts and pads are not (checklist 8).

  Each text is a segment of its own, which attention and positions go by.
  """
  config = rows_of(tmp_path)
  arrays = train_lm.texts_of(config, 'rows')
  assert arrays.loss_start_B.tolist() == [2, 1, 3]
  packed = next(PackedBatches(iter([arrays]), 3, pad_id=0))
  learned = packed.mask_BT * (packed.segment_BT > 0)
  assert learned.sum() == 2 + 2 + 2
  assert (packed.tokens_BT[packed.mask_BT > 0] == 2).sum() == 3
  other = config | {'objective': 'texts'}
  assert not train_lm.texts_of(other, 'rows').loss_start_B.any()


def jobs_of(**changes):
  config = _config('reproduce', 'full_smoke') | {'themes': ['demonstrations']}
  config['demonstrations'] |= changes
  return {job.name: job for job in registry.all_jobs(config, '/r')}


@pytest.mark.parametrize('pi0', ['lm', 'sft'])
def test_the_policy_starts_where_pi0_says(pi0):
  """And is the linear one otherwise, as that of distillation is."""
  jobs = jobs_of(pi0=pi0)
  policy = jobs[f'rl/from_{pi0}-3K-a-s0']
  start = {'lm': 'lm/3K', 'sft': 'sft/3K-s0'}[pi0]
  assert policy.config['base'] == f'/r/{start}'
  assert start in {need.name for need in policy.needs}
  linear = _config('reproduce', 'full_smoke')
  linear |= {'themes': ['ppo'], 'linear': linear['linear'] | {'sizes': ['3K']}}
  wanted = {job.name: job for job in registry.all_jobs(linear, '/r')}
  wanted = wanted['rl/linear-3K-a-s0'].config
  changed = {k for k in wanted if policy.config[k] != wanted[k]}
  assert changed <= {'base', 'role'}
  assert jobs['sft/13K-s1'].config['rm_dir'] == '/r/pm/scaling-13K-mix-a-s1'
  with pytest.raises(ValueError, match="pi0='distilled': wanted one of lm, s"):
    jobs_of(pi0='distilled')


def demos(root, **changes):
  return (
    _config('demonstrations', 'full_smoke')
    | tiny.CUT
    | {'text_dir': f'{root}/text', 'demonstrations': 120}
    | changes
  )


def sft(root, **changes):
  return (
    _config('reproduce', 'full_smoke')['sft']
    | tiny.CUT
    | {'text_dir': f'{root}/demos', 'base': f'{root}/lm', 'size': '3K'}
    | {'seed': 0, 'rm_dir': f'{root}/pm', 'samples': 16, 'batch_size': 8}
    | {'epochs': 2, 'checkpoint_every': 4, 'log_every': 4}
    | changes
  )


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  path = tmp_path_factory.mktemp('sft')
  tiny.prepare(path)
  make_demonstrations.run(demos(path), path / 'demos')
  return path


SLOW = pytest.mark.slow  # stages, each with programs of its own


def params(path):
  plain = {'size': '', 'pad_token': '', 'dtype': 'float32'}
  return models.open_base(plain | {'base': str(path)}).params['trunk']


@SLOW
def test_experts_write_what_is_held_out_by_prompt(root):
  sides = json.loads((root / 'demos' / 'prompts.json').read_text())
  train, test = ({text for text, _ in sides[x]} for x in ('train', 'test'))
  assert len(sides['train']) + len(sides['test']) == 120 and not train & test
  held = demonstrations.held_out(sft(root))
  assert len(held.length_N) == len(sides['test'])
  assert (held.start_N > 0).all() and (held.start_N < held.length_N).all()


@SLOW
def test_a_finetuned_model_resumes_and_is_a_policy_s_base(root, monkeypatch):
  """Killed within an epoch, it ends as one that was not (checklist 82)."""
  train_lm.run(sft(root), root / 'whole')
  rate = train_lm.learning_rate_at

  def killed(step, **options):
    if step == 13:
      raise KeyboardInterrupt
    return rate(step, **options)

  monkeypatch.setattr(train_lm, 'learning_rate_at', killed)
  with pytest.raises(KeyboardInterrupt):
    train_lm.run(sft(root), root / 'again')
  monkeypatch.setattr(train_lm, 'learning_rate_at', rate)
  train_lm.run(sft(root), root / 'again')
  for name in ('sft.csv', 'metrics.jsonl'):
    ours, theirs = (root / x / name for x in ('whole', 'again'))
    assert ours.read_bytes() == theirs.read_bytes()
  table = pd.read_csv(root / 'whole' / 'sft.csv')
  assert list(table['epoch']) == [1, 2] and table['chosen'].sum() == 1
  assert table['rm_score'].notna().all() and table['gold'].notna().all()
  best = table.loc[table['validation_nats'].idxmin()]
  assert best['chosen'] == 1
  kept = params(root / 'whole' / 'snapshots' / str(best['epoch']))
  same = jax.tree.map(np.array_equal, kept, params(root / 'whole'))
  assert all(jax.tree.leaves(same))
  assert best['validation_nats'] < measured_start(root)
  policy = tiny.ppo(root, base=f'{root}/whole', iterations=1)
  train_ppo.run(policy, root / 'rl')
  assert (root / 'rl' / 'done.json').exists()


def measured_start(root):
  """Loss of the base on the held-out replies."""
  base = models.open_base(sft(root))
  held = demonstrations.held_out(sft(root))
  loss = train_lm.policies.text_loss(base.functions, base.size)
  return demonstrations.nats_per_token(
    loss, base.params, *held[:2], 8, held.start_N
  )


@SLOW
def test_adapters_are_finetuned_too_and_the_best_score_is_kept(root):
  changes = {'trained': 'adapters', 'choose_by': 'rm_score', 'pack': False}
  layers = tiny.pm(root)['adapters'] | {'layers': 1}
  train_lm.run(sft(root, adapters=layers, **changes), root / 'adapted')
  table = pd.read_csv(root / 'adapted' / 'sft.csv')
  assert table['rm_score'].idxmax() == table['chosen'].idxmax()
  moved = jax.tree.map(
    lambda a, b: float(np.abs(a - b).max()),
    params(root / 'adapted'),
    params(root / 'lm'),
  )
  assert sum(x > 0 for x in jax.tree.leaves(moved)) >= 4
  assert 'flops' not in json.loads((root / 'adapted/done.json').read_text())
  assert math.isfinite(table['validation_nats'].min())


@SLOW
def test_demonstrations_of_files_are_read_with_the_tokenizer_of_texts(
  tmp_path,
):
  make_text.run(tiny.text(tmp_path), tmp_path / 'text')
  file = tmp_path / 'rows.jsonl'
  rows = [{'instruction': f'count {i}', 'output': f'{i}'} for i in range(40)]
  file.write_text('\n'.join(map(json.dumps, rows)))
  config = demos(tmp_path, demonstrations=30)
  config['data'] |= {'source': 'files', 'path': str(file)}
  make_demonstrations.run(config, tmp_path / 'demos')
  done = json.loads((tmp_path / 'demos' / 'done.json').read_text())
  assert done['train'] + done['test'] == 30
  found = pd.read_csv(tmp_path / 'demos' / 'reading.csv')
  assert found.set_index('count')['rows']['kept'] == 40
