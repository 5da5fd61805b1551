"""A real model finetuned on demonstrations of people."""

from experiments.studies import blocks
from experiments.studies.job import Job, filled


def demos_job(config):
  """Demonstrations of files, in the tokens of the base."""
  made = filled(config, 'demos', {}, {})
  return Job('demos', 'experiments.make_demonstrations', made)


def sft_job(config, root, seed):
  """The finetuned model; the study's train PM scores its replies."""
  demos = demos_job(config)
  judge = blocks.scaling_pm(config, root, config['scaling']['sizes'][-1], seed)
  values = {'text_dir': f'{root}/{demos.name}', 'size': '', 'seed': seed}
  values |= {'rm_dir': f'{root}/{judge.name}'}
  made = filled(config, 'sft', values, {})
  return Job(
    f'sft/s{seed}',
    'experiments.train_lm',
    made,
    (demos, judge),
    program='sft',
    weight=10 * made['epochs'],
  )


def jobs(config, root, seed):
  """The finetuned model of a seed."""
  if seed in config['seeds'][: config['real_sft']['sft_seeds']]:
    return [sft_job(config, root, seed)]
  return []
