"""What replies and scores are of, as the columns of tables say it."""

from experiments.shared import sources
from rlhf_jax.train import about


def labels_of(config):
  """{'world', 'pm'}: what a run's replies and scores are of.

  The world is the simulated one's name or the source of the data, the train
  PM its size, kind of pairs and number of them.

  Args:
    config: of a PPO run, or data, world, train_pm_dir ('': none) and pm_pairs.
  """
  world = config['data']['source']
  if world == 'simulated':
    world = (config['world'] or {}).get('name', 'classic')
  if config['hashed_rewards']:
    return {'world': world, 'pm': 'hashed'}
  if not config['train_pm_dir']:
    return {'world': world, 'pm': 'none'}
  pm = about.read(config['train_pm_dir'])
  count = config['pm_pairs'] or pm.config['pairs'] or 'all'
  name = f'{pm.row["size"]} {pm.config["train_subset"]} {count}'
  return {'world': world, 'pm': name}


def pm_numbers(config):
  """{'pm_params', 'pm_pairs'} of the train PM of `labels_of`; 0: none."""
  if config['hashed_rewards'] or not config['train_pm_dir']:
    return {'pm_params': 0, 'pm_pairs': 0}
  pm = about.read(config['train_pm_dir'])
  pairs = config['pm_pairs'] or pm.config['pairs']
  return {'pm_params': pm.row['n_params'], 'pm_pairs': pairs}


def gold_world(config):
  """The world whose workers judge the replies; None on real data.

  Args:
    config: as of `labels_of`.
  """
  if config['data']['source'] != 'simulated' or config['world'] is None:
    return None
  return sources.world_of(config['world'])
