"""Ensembles of preference models as rewards: a chapter of the preset `full`.

What: Coste et al. 2023 (arXiv 2310.02743): long runs as of `robustness`, under
the mean, the worst case and the variance-penalised mean of four PMs in place of
one. All members read the same pairs of half a and start from the same language
model; their heads and the order of their pairs differ. The first is the train
PM of the robust run of that half, which is the single PM beside them. The
weight of the variance is the paper's for PPO. Runs stand beside that of
headline, so that lambda of GAE is .95 as there, and iterations as many.

Time: 45 minutes by estimate after headline: each way 13, members 5. Measured on
256 prompts at every fourth of the first 24 iterations and later ones; on 512 at
every second one it would take 58.
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    ensembles=dict(
      members=4,
      ways=('mean', 'min', 'variance'),
      ensemble_coef=0.1,
    ),
    ensembles_pm=stages.pm(config)
    | dict(member=blocks.to_set(int), pairs=blocks.to_set(int)),
    ensembles_rl=policies_rl(config),
  )


def policies_rl(config):
  """Section of `train_ppo` with an ensemble as its reward."""
  return stages.rl(config) | dict(
    ensemble_dirs=blocks.to_set(tuple),
    ensemble=blocks.to_set(str),
    ensemble_coef=blocks.to_set(float),
    iterations=blocks.to_set(int),
    lr_multiple=blocks.to_set(float),
    eval_prompts=256,
    pi0_samples=2,
    dense_iterations=24,
    dense_every=4,
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  config.ensembles.update(members=2)
  cut = ('curve_eval_pairs', 'checkpoint_every')
  config.ensembles_pm.update({key: config.pm[key] for key in cut})
  cut = ('eval_batch', 'scoring_parts', 'eval_prompts', 'pi0_samples', 'shown')
  cut += ('batch_size', 'minibatch_size', 'microbatches', 'warmup_iterations')
  cut += ('dense_iterations', 'checkpoint_every')
  config.ensembles_rl.update({key: config.rl[key] for key in cut})
