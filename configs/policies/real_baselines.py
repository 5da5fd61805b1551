"""RLOO, GRPO and DPO of SmolLM2 beside PPO, on one axis of KL.

    python -m experiments.reproduce \
        --config=configs/reproduce.py:smollm2_policies \
        --config.themes=real_baselines --config.data.path=DATA --workdir=DIR

What: PPO and the frontier are those of the study smollm2_rl. RLOO and GRPO have
its settings, four replies to each of a fourth of the prompts, and half of its
iterations: where they are at equal KL the frontier still stands beside them
(sqrt(KL) of 1.2 or so, which PPO passes at iteration 16 to 20). DPO sees pairs
of the train PM, each once. All are adapters of the same blocks, measured on the
same held-out prompts by the same two heads, KL exact. GRPO's penalty is .04
(Shao et al. 2024), DPO's beta .1 (Rafailov et al. 2023). Rates were not tuned:
1e-3 of PPO for RLOO and GRPO, 3e-4 of configs/dpo.py:smollm2 for DPO. Two seeds
decide nothing.
"""

from configs import blocks


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  theme, rl = blocks.chapters()['baselines'], config.rl
  same = ('prompt_kind', 'scoring_parts', 'eval_prompts', 'eval_batch')
  return dict(
    real_baselines=dict(
      rl_seeds=2,
      grpo=dict(kl_coef=0.04),
      dpo=dict(beta=0.1, pairs=384),
    ),
    baselines_rl=blocks.shared(rl, *rl)
    | dict(
      algorithm=blocks.to_set(str),
      group=4,
      iterations=24,
      dense_iterations=24,
    ),
    dpo=theme.dpo(config)
    | blocks.shared(rl, *same, 'pi0_samples', 'shown')
    | dict(
      learning_rate=3e-4,
      lr_multiple=1.0,
      iterations=48,
      batch_size=8,
      microbatches=4,
      warmup_iterations=4,
      dense_iterations=48,
      dense_every=8,
      sparse_every=16,
      log_every=1,
      checkpoint_every=8,
    ),
  )


def small(config):
  """Cuts it down for a smoke test."""
  config.real_baselines.dpo.pairs = 8
  config.baselines_rl.update(iterations=2, dense_iterations=2)
  config.dpo.update(iterations=2, batch_size=4, microbatches=2)
  config.dpo.update(dense_iterations=2, dense_every=1, checkpoint_every=1)
  config.dpo.warmup_iterations = 1
