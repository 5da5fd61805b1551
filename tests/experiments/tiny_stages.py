"""Configs of stages so small that each runs in seconds, one after the other."""

from experiments import make_comparisons, make_text, train_lm, train_pm
from tests.test_configs import _config

CUT = {'max_prompt': 32, 'max_reply': 8}


def text(root):
  del root
  sizes = {'dialogues': 200, 'plain_texts': 5, 'vocab_size': 320}
  sizes['heldout_dialogues'] = 20
  return _config('text', 'smoke') | CUT | sizes


def lm(root, **changes):
  return (
    _config('lm', 'smoke')
    | CUT
    | {'text_dir': f'{root}/text', 'size': '3K', 'samples': 16}
    | {'steps': 6, 'batch_size': 16, 'log_every': 1, 'checkpoint_every': 2}
    | changes
  )


def comparisons(root):
  return (
    _config('comparisons', 'smoke')
    | CUT
    | {'text_dir': f'{root}/text', 'lm_dir': f'{root}/lm', 'lm_size': '3K'}
    | {'pairs': 200, 'sample_batch': 64}
  )


def pm(root, **changes):
  return (
    _config('pm', 'smoke')
    | {'base': f'{root}/lm', 'size': '3K'}
    | {'comparisons_dir': f'{root}/comparisons', 'pairs': 32}
    | {'batch_size': 8, 'microbatches': 2, 'curve_points': 1}
    | {'curve_eval_pairs': 16, 'eval_batch': 16, 'final_eval_pairs': 0}
    | changes
  )


def ppo(root, **changes):
  return (
    _config('ppo', 'smoke')
    | CUT
    | {'base': f'{root}/lm', 'size': '3K'}
    | {'comparisons_dir': f'{root}/comparisons', 'pm_size': '3K'}
    | {f'{name}_pm_dir': f'{root}/pm' for name in ('train', 'test', 'value')}
    | {'iterations': 2, 'batch_size': 16, 'minibatch_size': 8}
    | {'eval_prompts': 8, 'eval_batch': 8, 'dense_iterations': 2}
    | {'shown': {'each': 1, 'replies': 2, 'snapshots': 2}}
    | {'kl_coef': 0.1, 'checkpoint_every': 1}
    | changes
  )


def dpo(root, **changes):
  return (
    _config('dpo', 'full_smoke')
    | CUT
    | {'base': f'{root}/lm', 'size': '3K', 'pm_size': '3K'}
    | {'comparisons_dir': f'{root}/comparisons', 'pairs': 32}
    | {f'{name}_pm_dir': f'{root}/pm' for name in ('train', 'test')}
    | {'iterations': 4, 'batch_size': 8, 'checkpoint_every': 1}
    | {'eval_prompts': 8, 'eval_batch': 8, 'dense_iterations': 4}
    | {'dense_every': 2, 'lr_multiple': 1.0, 'log_every': 1}
    | {'shown': {'each': 1, 'replies': 2, 'snapshots': 2}}
    | changes
  )


def prepare(root):
  """Everything that PPO starts from."""
  make_text.run(text(root), root / 'text')
  train_lm.run(lm(root), root / 'lm')
  make_comparisons.run(comparisons(root), root / 'comparisons')
  train_pm.run(pm(root), root / 'pm')
