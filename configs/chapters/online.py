"""Iterated online training: a chapter of the preset `full`.

What: Bai et al. 2022, section 4.5, on helpful pairs alone, as its controlled
test is: base pairs, a preference model (PM) and a policy of them; the
rejection-sampled tranche (best of 16); three rounds, in each of which snapshots
of the last two rounds are deployed and everything is retrained from scratch;
then base pairs alone against equal thirds at one total. All at one size, which
writes a base tranche of its own. K = 4 inner passes, as the paper has for its
online runs; lambda of GAE is 1 (docs/results.md, the headline); other settings
are those of `rl`.

Time: 48 minutes by estimate, which need nothing of headline but texts and a
language model: policies 28, rejection sampling 9, preference models 5,
comparing 3. At 197K, the largest size, and with 24 iterations it would take
140. Policies have 16: after 16 of two passes linear runs of 197K have won 81 to
100 % of the gold that they ever win (results/headline).
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    online=dict(
      size='42K',
      base_pairs=14000,  # of which 7,700 are helpful and trained on
      rounds=3,
      round_pairs=768,  # three rounds: 2,304 of each tranche, 6,912 in all
      round_test_pairs=512,
      best_of=16,
      deployed_rounds=2,
      labels='crowd',
      judge_dir='',
      queue='',
    ),
    online_rl=policies_rl(config),
    tranche=tranche(config),
    mix=mix(),
    policies=policies(config),
  )


def policies_rl(config):
  """Section of `train_ppo` for the policies of the rounds."""
  return stages.rl(config) | dict(
    snapshots=(8,),  # iterations whose policies are kept besides the last
    iterations=16,
    passes=4,
    gae_lambda=1.0,
    eval_prompts=256,
    pi0_samples=2,
    dense_iterations=16,
    dense_every=8,
  )


def shared(config):
  """What the stages of this chapter have of the study's settings."""
  keys = ('max_prompt', 'max_reply', *blocks.ARITHMETIC)
  found = {key: blocks.ref(config, key) for key in keys}
  return found | {'data': config.data, 'world': config.world}


def labels():
  """Which run a stage of this chapter is."""
  return dict(
    role=blocks.to_set(str),
    seed=blocks.to_set(int),
    half=blocks.to_set(str),
    size=blocks.to_set(str),
  )


def tranche(config):
  """Section of `make_tranche`."""
  return (
    shared(config)
    | labels()
    | dict(
      kind='helpful',
      coin_flip_labels=config.get_ref('null'),
      comparisons_dir=blocks.to_set(str),
      source=blocks.to_set(str),
      writer_dirs=blocks.to_set(tuple),
      ranker_dir=blocks.to_set(str),
      best_of=blocks.to_set(int),
      labels=blocks.to_set(str),
      judge_dir=blocks.to_set(str),
      queue=blocks.to_set(str),
      before_dir=blocks.to_set(str),
      pairs=blocks.to_set(int),
      test_pairs=blocks.to_set(int),
      sample_batch=512,
    )
  )


def mix():
  """Section of `mix_tranches`."""
  return labels() | dict(
    subset=blocks.to_set(str),
    tranche_dirs=blocks.to_set(tuple),
    tranche_numbers=blocks.to_set(tuple),
    train_counts=blocks.to_set(tuple),
    test_counts=blocks.to_set(tuple),
  )


def policies(config):
  """Section of `compare_policies`."""
  return (
    shared(config)
    | labels()
    | dict(
      comparisons_dir=blocks.to_set(str),
      subset=blocks.to_set(str),
      tranche_names=blocks.to_set(tuple),
      tranche_dirs=blocks.to_set(tuple),
      pm_names=blocks.to_set(tuple),
      pm_dirs=blocks.to_set(tuple),
      writer_names=blocks.to_set(tuple),
      writer_dirs=blocks.to_set(tuple),
      test_pairs=blocks.to_set(int),
      prompts=512,
      replies=2,  # of each policy to each prompt
      eval_batch=64,
      sample_batch=512,
    )
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  cut = ('batch_size', 'eval_batch', 'minibatch_size', 'microbatches')
  cut += ('scoring_parts', 'eval_prompts', 'warmup_iterations')
  config.online_rl.update({key: config.rl[key] for key in cut})
  config.online_rl.update(
    iterations=4,
    passes=1,
    snapshots=(2,),
    dense_iterations=4,
    dense_every=4,
    checkpoint_every=2,
  )
  config.online.update(size='3K', base_pairs=1600, best_of=4)
  config.online.update(round_pairs=64, round_test_pairs=40)
  config.tranche.sample_batch = 128
  config.policies.update(prompts=32, sample_batch=128)
