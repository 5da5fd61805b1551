r"""PPO beside RLOO, GRPO, DPO and best-of-n: a chapter of the preset `full`.

What: one pi_0, one set of pairs, one train PM and one test PM a seed; every way
to a policy is measured by the same programs on the same held-out prompts, with
the exact per-prefix KL. PPO, RLOO and GRPO write as many replies, RLOO and GRPO
`group` to each of fewer prompts; DPO sees the train PM's own pairs three times.
Best-of-n and the frontier are those of the linear runs, which have this pi_0
and these PMs. PPO runs once more here, since its lambda of GAE is 1: with .95,
as in the linear runs, it spends its first nats for little (docs/results.md).

Time: 35 minutes by estimate after headline: DPO 14, each of the others 7.

Settings that differ are those of the papers: GRPO's penalty is in its loss and
its weight .04 (Shao et al. 2024, section 4.2), DPO's beta .1 (Rafailov et al.
2023, appendix B). Rates are multiples of the rung's own. Set here is PPO's,
.06, for all four. They are to be tried on one grid, on development seeds and
before any confirmation, and chosen by the train PM at the end, so that nothing
is measured before; that has not been run, and takes half an hour by estimate,
PMs of both seeds included:

    python -m experiments.sweep --stage=ppo --config=configs/baselines.py \
        --config.dense_iterations=0 --config.sparse_every=34 \
        --grid seed=0,1 --grid algorithm=ppo,rloo \
        --grid lr_multiple=0.02,0.06,0.2,0.6 --workdir=DIR
    ... --config.algorithm=grpo --config.kl_coef=0.04 (the same grid)
    python -m experiments.sweep --stage=dpo --config=configs/dpo.py \
        --config.dense_iterations=0 --config.sparse_every=576 \
        --grid seed=0,1 --grid lr_multiple=0.02,0.06,0.2,0.6 --workdir=DIR
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    baselines=dict(
      size='13K',
      ppo=dict(lr_multiple=0.06),
      rloo=dict(lr_multiple=0.06),
      grpo=dict(lr_multiple=0.06, kl_coef=0.04),
      dpo=dict(lr_multiple=0.06, beta=0.1),
    ),
    baselines_rl=policies_rl(config),
    dpo=dpo(config),
  )


def policies_rl(config):
  """Section of `train_ppo` with a choice of the algorithm."""
  return stages.rl(config) | dict(
    algorithm=blocks.to_set(str),
    lr_multiple=blocks.to_set(float),
    group=4,  # replies to a prompt of RLOO and GRPO; of a batch, not besides
    gae_lambda=1.0,
    eval_prompts=512,
    pi0_samples=2,
    dense_iterations=24,
    dense_every=2,
  )


def dpo(config):
  """Section of `train_dpo`."""
  shared = {key: config.get_ref(key) for key in ('max_prompt', 'max_reply')}
  return (
    stages.trained_model(config)
    | shared
    | measured(config)
    | dict(
      train_subset=blocks.to_set(str),
      pairs=blocks.to_set(int),
      iterations=576,  # three times 12,288 pairs, 64 at a time
      batch_size=64,
      microbatches=4,
      lr_multiple=blocks.to_set(float),
      warmup_iterations=24,
      b2=0.95,
      beta=blocks.to_set(float),
      dense_iterations=96,
      dense_every=16,
      sparse_every=64,
      log_every=8,
      checkpoint_every=192,
    )
  )


def measured(config):
  """How the policies of `train_dpo` are measured: as those of `train_ppo`."""
  return dict(
    world=config.world,
    hashed_rewards=config.get_ref('null'),
    train_pm_dir=blocks.to_set(str),
    test_pm_dir=blocks.to_set(str),
    pm_size=blocks.to_set(str),
    pm_pairs=blocks.to_set(int),
    temperature=1.0,
    scoring_parts=8,
    eval_prompts=512,
    eval_batch=256,
    pi0_samples=2,
    shown=dict(each=2, replies=17, snapshots=4),
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  cut = ('eval_batch', 'scoring_parts', 'eval_prompts', 'pi0_samples', 'shown')
  config.dpo.update({key: config.rl[key] for key in cut})
  config.dpo.update(
    iterations=24,
    batch_size=32,
    microbatches=1,
    warmup_iterations=2,
    dense_iterations=8,
    dense_every=4,
    sparse_every=8,
    log_every=2,
    checkpoint_every=12,
  )
  cut += ('batch_size', 'minibatch_size', 'microbatches', 'warmup_iterations')
  cut += ('iterations', 'dense_iterations', 'checkpoint_every')
  config.baselines_rl.update({key: config.rl[key] for key in cut})
