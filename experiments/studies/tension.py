"""Helpful against harmless: alone, mixed, weighted, in RL: claims 37 to 42."""

from experiments.studies import blocks, scored


def jobs(config, root, seed):
  """A helpful-only and a harmless-only model; with `mixtures`, the scans."""
  single = blocks.single_pms(config, root, seed)
  if 'mixtures' not in config:
    return single
  return [
    *single,
    *_scans(config, root, seed),
    *_policies(config, root, seed, single[0]),
  ]


def _scans(config, root, seed):
  """Every share and every weight, at every size, on the first seeds."""
  block = config['mixtures']
  shares = [f'{share}/{100 - share}' for share in block['shares']]
  weights = [f'{block["weighted_share"]}*{x:g}' for x in block['weights']]
  scans = ('mixed', shares, 'seeds'), ('weighted', weights, 'weight_seeds')
  return [
    blocks.mixed_pm(config, root, role, size, seed, subset, block['pairs'])
    for size in block['sizes']
    for role, subsets, count in scans
    if seed in config['seeds'][: block[count]]
    for subset in subsets
  ]


def _policies(config, root, seed, helpful):
  """Short runs under a helpful-only and a mixed PM, and what they reply.

  The mixed one has as many pairs as the helpful-only one, half of each kind.
  The smallest linear run is scored by its train PM.
  """
  if not blocks.has_rl(config, seed):
    return []
  block, single = config['bows'], config['tension']
  keys = ('eval_prompts', 'dense_every', 'pi0_samples')
  seldom = {key: config['mixtures'][key] for key in keys}
  top = config['linear']['pm_size']
  test = blocks.pm_job(config, root, 'rl', top, seed, 'b')
  value = blocks.scaling_pm(config, root, block['size'], seed)
  mixed = blocks.mixed_pm(
    config, root, 'equal', single['size'], seed, '50/50', single['pairs']
  )
  judged = []
  runs = ('helpful_pm', helpful, {}), ('mixed_pm', mixed, seldom)
  for role, pm, measured in runs:
    run = blocks.rl_job(
      config,
      root,
      role,
      block['size'],
      seed,
      'a',
      (pm, test, value),
      iterations=block['iterations'],
      **measured,
    )
    judged.append(scored.replies_job(config, root, role, run, [pm], seed))
  run = blocks.linear_runs(config, root, seed)[0]
  train = blocks.scaling_pm(config, root, top, seed)
  judged.append(scored.replies_job(config, root, 'linear', run, [train], seed))
  return judged
