"""Supervised finetuning on demonstrations, and PPO from there."""

import functools

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of
from experiments.studies.starts import needing, start_of


def demos_job(config, root):
  """Demonstrations by experts, with headline's tokenizer."""
  text = blocks.text_job(config, root)
  made = filled(config, 'demos', {'text_dir': f'{root}/{text.name}'}, {})
  return Job('demos', 'experiments.make_demonstrations', made, (text,))


def sft_job(config, root, seed, size):
  """The finetuned model of a size; the largest PM of a half scores it."""
  demos, lm = demos_job(config, root), blocks.lm_job(config, root, size)
  judge = blocks.scaling_pm(config, root, config['scaling']['sizes'][-1], seed)
  values = {'text_dir': f'{root}/{demos.name}', 'size': size, 'seed': seed}
  values |= {'base': f'{root}/{lm.name}', 'rm_dir': f'{root}/{judge.name}'}
  made = filled(config, 'sft', values, {})
  return Job(
    f'sft/{size}-s{seed}',
    'experiments.train_lm',
    made,
    (demos, lm, judge),
    program=f'sft-{size}',
    weight=made['epochs'] * cost_of(size),
  )


def policy_run(config, root, seed):
  """PPO of one policy from where `pi0` says, under the PMs of headline."""
  size = config['demonstrations']['rl_size']
  starts = {
    'lm': functools.partial(blocks.lm_job, config, root),
    'sft': functools.partial(sft_job, config, root, seed),
  }
  pi0, start = start_of(config, 'demonstrations', starts, size)
  pms = blocks.shared_pms(config, root, size, seed)
  args, base = (f'from_{pi0}', size, seed, 'a', pms), f'{root}/{start.name}'
  return needing(blocks.rl_job(config, root, *args, base=base), start)


def jobs(config, root, seed):
  """A finetuned model of every size, and a policy that starts from one."""
  block, seeds, found = config['demonstrations'], config['seeds'], []
  if seed in seeds[: block['sft_seeds']]:
    found += [sft_job(config, root, seed, size) for size in block['sizes']]
  if seed in seeds[: block['rl_seeds']]:
    found.append(policy_run(config, root, seed))
  return found
