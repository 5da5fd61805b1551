"""The stages that a sweep can run: scripts with `run(config, workdir)`.

A program is compiled once for all runs that differ in TRACED settings alone:
they are arguments of it, or say what it is fed with, or when it stops.
"""

import difflib

STAGES = (
  'compare_methods',
  'compare_policies',
  'compare_ranked',
  'cross_fit',
  'detect_outliers',
  'distil',
  'evals',
  'evaluate_hhh',
  'evaluate_prompted',
  'evaluate_skills',
  'frontier',
  'humaneval',
  'import_hh',
  'make_comparisons',
  'make_demonstrations',
  'make_forum',
  'make_pages',
  'make_rankings',
  'make_targets',
  'make_tasks',
  'make_text',
  'make_tranche',
  'measure_loss',
  'measure_tax',
  'mix_tranches',
  'play_games',
  'pretrain_heads',
  'render_activations',
  'samples',
  'score_replies',
  'train_dpo',
  'train_lm',
  'train_pm',
  'train_ppo',
)
SHORT = {'lm': 'train_lm', 'pm': 'train_pm', 'ppo': 'train_ppo'}
SHORT |= {'dpo': 'train_dpo'}

TRACED = frozenset(
  {
    *('seed', 'role', 'half', 'train_subset', 'pairs', 'epochs', 'steps'),
    *('base', 'text_dir', 'lm_dir', 'comparisons_dir', 'feature_folder'),
    *('train_pm_dir', 'test_pm_dir', 'value_pm_dir', 'policy_dir', 'pm_dirs'),
    *('learning_rate', 'lr_multiple', 'value_lr_ratio', 'warmup'),
    *('warmup_iterations', 'iterations', 'schedule', 'schedule_shape'),
    *('kl_coef', 'clip', 'value_clip', 'value_coef', 'discount', 'gae_lambda'),
    *('truncation_penalty', 'curve_points', 'pi0_samples', 'loggers'),
    *('dense_iterations', 'dense_every', 'sparse_every', 'log_every'),
    'checkpoint_every',
  }
)


def stage_of(name):
  """The script's name of a stage, which may be given as one of SHORT.

  Raises:
    ValueError: with the nearest name, if there is none.
  """
  found = SHORT.get(name, name)
  if found not in STAGES:
    known = [*STAGES, *SHORT]
    close = difflib.get_close_matches(name, known, 1, cutoff=0)[0]
    raise ValueError(
      f'--stage={name}: wanted one of {", ".join(known)}; did you mean {close}?'
    )
  return found


def module_of(stage):
  """The module that runs a stage."""
  return f'experiments.{stage}'
