"""Skills mixed into preference models and RL: claims 29 and 43.

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=skills --workdir=DIR

What: texts, language models and comparisons of their own, a third of whose
requests are for a summary or for a line of Python (rlhf_jax/crowd/skills.py).
Preference models of the world's own pairs, of each skill's, and of all of them
together (Bai et al. 2022, section 5.2, Fig. 20); PPO on the own requests alone
and on all (sections 3.3 and 5.2, Figs. 3, 21 and 28), every size under the
largest preference model; and what the policies can do before and after. Seeds
share texts, language models and comparisons. Iterations: as many as `bows` has;
lambda of GAE is 1 (docs/results.md, the headline).

Time: 50 minutes by estimate, which need nothing of headline: policies 29,
preference models 7, language models 5, what all can do 6. Of the four sizes of
headline three are here, as many as claim 29 asks for; preference models are
compared at the largest alone, of which claim 43 is.
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    skills=dict(
      sizes=('3K', '13K', '197K'),
      compared=('197K',),  # preference models of one task and of all
      share=0.35,  # of the dialogues of the texts
      own_comparisons=10000,
      skill_comparisons=7000,  # of each skill
      own_pairs=6144,  # that a preference model is trained on
      skill_pairs=3072,
    ),
    skills_rl=policies_rl(config),
    skills_mix=mix(),
    capability=capability(config),
  )


def policies_rl(config):
  """Section of `train_ppo` for these policies."""
  return stages.rl(config) | dict(
    iterations=18,
    gae_lambda=1.0,
    eval_prompts=256,
    pi0_samples=2,
    dense_iterations=0,
    dense_every=1,
    sparse_every=6,
  )


def mix():
  """Section of `mix_tranches`."""
  return dict(
    role=blocks.to_set(str),
    seed=blocks.to_set(int),
    half=blocks.to_set(str),
    size=blocks.to_set(str),
    subset='mix',
    prompts_of='all',
    tranche_dirs=blocks.to_set(tuple),
    tranche_numbers=blocks.to_set(tuple),
    train_counts=blocks.to_set(tuple),
    test_counts=blocks.to_set(tuple),
  )


def capability(config):
  """Section of `evaluate_skills`."""
  keys = ('max_prompt', 'max_reply', *blocks.ARITHMETIC)
  shared = {key: blocks.ref(config, key) for key in keys}
  return shared | dict(
    world=config.world,
    role=blocks.to_set(str),
    seed=blocks.to_set(int),
    half=blocks.to_set(str),
    size=blocks.to_set(str),
    tranche_names=blocks.to_set(tuple),
    tranche_dirs=blocks.to_set(tuple),
    pm_names=blocks.to_set(tuple),
    pm_dirs=blocks.to_set(tuple),
    writer_names=blocks.to_set(tuple),
    writer_dirs=blocks.to_set(tuple),
    test_pairs=2048,  # of each task
    choices=1024,  # of each task
    samples=256,  # answers to each skill
    eval_batch=64,
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  cut = ('iterations', 'batch_size', 'eval_batch', 'minibatch_size')
  cut += ('microbatches', 'scoring_parts', 'eval_prompts', 'checkpoint_every')
  cut += ('warmup_iterations', 'shown')
  config.skills_rl.update({key: config.rl[key] for key in cut})
  config.skills_rl.update(sparse_every=8)
  config.skills.update(sizes=('3K', '13K'), compared=('13K',))
  config.skills.update(own_pairs=384, skill_pairs=192)
  config.skills.update(own_comparisons=1000, skill_comparisons=600)
  config.capability.update(test_pairs=128, choices=64, samples=64)
