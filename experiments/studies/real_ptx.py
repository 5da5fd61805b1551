"""PPO of a real model with text mixed in, and what PPO costs on text."""

from experiments.studies import blocks
from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """The policies of a seed and their loss on text, where they are asked for."""
  linear = blocks.linear_runs(config, root, seed)
  if (
    not linear or seed not in config['seeds'][: config['real_ptx']['rl_seeds']]
  ):
    return []
  return [loss_job(config, root, seed, policies(config, root, linear[0]))]


def texts_of(config):
  """Paths of the text that is mixed in, and whose held-out part is read."""
  return [f'{config["data"]["path"]}/{x}' for x in config['real_ptx']['texts']]


def policies(config, root, ppo):
  """{name: Job}: PPO, PPO with text mixed in, PPO of a larger kl_coef.

  Args:
    config: of the study.
    root: of the study.
    ppo: Job of the linear run that the others differ from.
  """
  own, seed = config['real_ptx'], ppo.config['seed']
  mixed = {'ptx_coef': own['ptx_coef'], 'ptx_text': ','.join(texts_of(config))}
  beta = f'beta_{own["kl_coef"]:g}'
  return {
    'ppo': ppo,
    'ptx': _run(config, root, 'ptx', seed, **mixed),
    beta: _run(config, root, beta, seed, kl_coef=own['kl_coef']),
  }


def _run(config, root, name, seed, **changes):
  """A run as the linear one, but for what is changed."""
  size = config['linear']['sizes'][0]
  pms = blocks.shared_pms(config, root, size, seed)
  args = config, root, f'real_{name}', size, seed, 'a', pms, 'instruct_rl'
  return blocks.rl_job(*args, **changes)


def loss_job(config, root, seed, found):
  """Loss of pi_0 and of all policies on text that is held out."""
  values = {'role': 'text_loss', 'seed': seed, 'half': 'a'}
  values |= {'writer_names': ['pi_0', *found], 'texts': texts_of(config)}
  folders = [f'{root}/{job.name}' for job in found.values()]
  values['writer_dirs'] = [config['base'], *folders]
  made = filled(config, 'text_loss', values, {})
  return Job(
    f'text_loss/s{seed}',
    'experiments.measure_loss',
    made,
    tuple(found.values()),
    program='text_loss',
    weight=made['documents'] / 10,
  )
