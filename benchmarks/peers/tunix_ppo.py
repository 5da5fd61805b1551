"""Tunix's PPOLearner: python -m benchmarks.peers.tunix_ppo.

Four models of the shape: policy, pi_0, critic and a reward model that is, like
the critic, the language model with a scalar head. One pass, one update on the
whole batch, temperature 1, an end token that no model can emit. Replies are
sampled all at once; log-probabilities are made, and gradients accumulated, over
parts of `--micro` rows.
"""

import importlib.metadata

import jax
import numpy as np
from tunix.models.llama3 import model as llama
from tunix.rl import rl_cluster, utils
from tunix.rl.ppo import ppo_learner
from tunix.rl.rl_cluster import nnx, optax
from tunix.rl.rollout import base_rollout

from benchmarks.peers import driver

PAD = 0


class Tokenizer:
  """Text whose words are the ids."""

  def __init__(self, vocab_size):
    self.vocab_size = vocab_size

  def encode(self, text, **_):
    """Text to ids."""
    return [int(word) for word in text.split()]

  def decode(self, ids, **_):
    """Ids to text."""
    return ' '.join(str(int(i)) for i in ids)

  def bos_id(self):
    """None: no token is put before a prompt."""
    return None

  def eos_id(self):
    """An id outside the vocabulary, so that lengths are forced."""
    return self.vocab_size

  def pad_id(self):
    """Fills what is not a token."""
    return PAD


class Llama(llama.Llama3):
  """Tunix's own model; the learner passes it arguments that it cannot take."""

  def __call__(self, input_tokens, positions, cache, attention_mask, **_):
    """(logits, cache)."""
    return super().__call__(input_tokens, positions, cache, attention_mask)


class PlainMLP(nnx.Module):
  """gelu(x W_in) W_out, for the shapes that have no gate."""

  def __init__(self, shape, rngs):
    linear = lambda n, m: nnx.Linear(n, m, use_bias=False, rngs=rngs)
    self.up = linear(shape.d_model, shape.d_mlp)
    self.down = linear(shape.d_mlp, shape.d_model)

  def __call__(self, x):
    """[B, T, D] to [B, T, D]."""
    return self.down(jax.nn.gelu(self.up(x)))


class Clocked(ppo_learner.PPOLearner):
  """Ends a round where the next iteration starts, its update being done."""

  clock, starts = None, 0

  def _generate_and_compute_advantage(self, *args, **kwargs):
    cluster = self.rl_cluster
    for trainer in (cluster.actor_trainer, cluster.critic_trainer):
      jax.block_until_ready(nnx.state(trainer.model))
    if self.starts:
      self.clock.lap()
    self.starts += 1
    return super()._generate_and_compute_advantage(*args, **kwargs)


def build(shape, seed):
  """A random float32 language model."""
  rngs = nnx.Rngs(seed)
  config = llama.ModelConfig(
    num_layers=shape.n_layers,
    vocab_size=shape.vocab_size,
    embed_dim=shape.d_model,
    hidden_dim=shape.d_mlp,
    num_heads=shape.n_heads,
    head_dim=shape.d_model // shape.n_heads,
    num_kv_heads=shape.n_heads,
    rope_theta=10_000,
    norm_eps=1e-5,
  )
  model = Llama(config, rngs=rngs)
  if shape.activation == 'gelu':
    for layer in model.layers:
      layer.mlp = PlainMLP(shape, rngs)
  return model


def cluster_of(shape, iterations, micro):
  """The four models on one device, with the settings of every peer."""
  mesh = jax.make_mesh(
    (1, 1), ('fsdp', 'tp'), axis_types=(jax.sharding.AxisType.Auto,) * 2
  )
  rollout = base_rollout.RolloutConfig(
    max_tokens_to_generate=shape.reply_length,
    max_prompt_length=shape.prompt_length,
    kv_cache_size=shape.length,
    temperature=1.0,
    top_p=1.0,
    top_k=None,
  )
  training = rl_cluster.RLTrainingConfig(
    actor_optimizer=optax.adamw(1e-5),
    critic_optimizer=optax.adamw(1e-5),
    eval_every_n_steps=iterations + 1,
    max_steps=iterations,
    mini_batch_size=shape.batch,
    train_micro_batch_size=micro,
    rollout_micro_batch_size=shape.batch,  # else that of the training
  )
  policy = build(shape, 0)
  return rl_cluster.RLCluster(
    actor=policy,
    critic=utils.create_critic_model(policy),
    reference=build(shape, 0),
    reward=utils.create_critic_model(policy, seed=1),
    tokenizer=Tokenizer(shape.vocab_size),
    cluster_config=rl_cluster.ClusterConfig(
      role_to_mesh={role: mesh for role in rl_cluster.Role},
      rollout_engine='vanilla',
      training_config=training,
      rollout_config=rollout,
    ),
  )


def main():
  """Times iterations: sample, score, penalise, estimate, update."""
  args = driver.parse_args(micro=16)
  micro = min(args.micro, args.shape.batch)
  shape, iterations = args.shape, args.rounds + args.warmups + 1
  learner = Clocked(
    cluster_of(shape, iterations, micro),
    ppo_learner.PPOConfig(num_iterations=1, beta=0.001, kl_method='kl'),
  )
  version = importlib.metadata.version('google-tunix')
  told = ('ppo_samples_per_s', version, shape.batch, args)
  learner.clock = driver.Clock(*told)
  tokens = np.random.default_rng(0).integers(
    1, shape.vocab_size, (shape.batch, shape.prompt_length)
  )
  texts = np.array([' '.join(map(str, row)) for row in tokens.tolist()])
  learner.train([{'prompts': texts} for _ in range(iterations)])
  trainer = learner.rl_cluster.actor_trainer  # one update an iteration
  assert trainer.train_steps == learner.starts == iterations
  assert trainer.iter_steps == iterations * shape.batch // micro


if __name__ == '__main__':
  main()
