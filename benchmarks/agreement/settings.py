"""What both implementations are told, once; imports no package.

The peer's environment reads this module too. `NAMES` says under which name
each side knows a setting; docs/performance.md draws its table from it.
"""

import json
import pathlib
from typing import NamedTuple


class Settings(NamedTuple):
  """One comparison: the models, the data and the hyper-parameters of PPO.

  Attributes:
    n_layers, d_model, n_heads, d_mlp, vocab_size: of all four models, which
      are of the Llama kind, in float32.
    prompt_length: tokens of each prompt, P.
    reply_length: tokens of each reply, R; nothing ends one earlier.
    train_prompts: prompts to draw batches from, each once an epoch.
    batch: replies of an iteration; one minibatch, so that both sides whiten
      advantages over the same replies.
    iterations: of a run.
    checkpoints: iterations after which the policy is kept.
    passes: over the replies of an iteration, one update each.
    learning_rate: of Adam, constant, for the policy and the value network.
    b1, b2, eps: of Adam.
    kl_coef, clip, value_clip, value_coef, discount, gae_lambda: see PPOHyper.
    lm_steps, pm_steps: updates that make pi_0 and the reward model.
    held_out: prompts on which checkpoints are measured.
    samples: replies to each.
  """

  n_layers: int = 2
  d_model: int = 64
  n_heads: int = 4
  d_mlp: int = 128
  vocab_size: int = 256
  prompt_length: int = 12
  reply_length: int = 16
  train_prompts: int = 512
  batch: int = 64
  iterations: int = 40
  checkpoints: tuple[int, ...] = (5, 10, 20, 30, 40)
  passes: int = 4
  learning_rate: float = 2e-4
  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  kl_coef: float = 0.05
  clip: float = 0.2
  value_clip: float = 0.2
  value_coef: float = 0.1
  discount: float = 1.0
  gae_lambda: float = 0.95
  lm_steps: int = 400
  pm_steps: int = 400
  held_out: int = 256
  samples: int = 4

  @property
  def matmul(self):
    """In what products are made, as a Shape of the benchmarks says it."""
    return 'float32'


PRESETS = {
  'full': Settings(),
  'tiny': Settings(
    d_model=16,
    n_heads=2,
    d_mlp=32,
    vocab_size=32,
    prompt_length=4,
    reply_length=4,
    train_prompts=16,
    batch=8,
    iterations=2,
    checkpoints=(1, 2),
    passes=2,
    lm_steps=2,
    pm_steps=2,
    held_out=8,
    samples=2,
  ),
}

# What it is, our name, TRL's (arguments of PPOConfig), and what both are set to
# where no field of Settings holds it.
NAMES = (
  ('lambda_KL', 'kl_coef', 'kl_coef', ''),
  ('KL inside the reward', 'kl_k1', 'kl_estimator', 'k1'),
  ('clip of the ratio', 'clip', 'cliprange', ''),
  ('clip of the value', 'value_clip', 'cliprange_value', ''),
  ('weight of the value loss', 'value_coef', 'vf_coef', ''),
  ('discount', 'discount', 'gamma', ''),
  ('lambda of the advantages', 'gae_lambda', 'lam', ''),
  ('replies of an iteration', 'batch', 'per_device_train_batch_size', ''),
  ('passes over them', 'passes', 'num_ppo_epochs', ''),
  ('minibatches of a pass', 'minibatch_size', 'num_mini_batches', '1'),
  ('parts of a gradient', 'microbatches', 'gradient_accumulation_steps', '1'),
  ('tokens of a reply', 'reply_length', 'response_length', ''),
  ('temperature', 'temperature', 'temperature', '1'),
  ('learning rate, both networks', 'learning_rate', 'learning_rate', ''),
  ('its schedule', 'learning_rate_at', 'lr_scheduler_type', 'constant'),
  ('warm-up', 'warmup', 'warmup_steps', '0'),
  ('Adam beta 1', 'b1', 'adam_beta1', ''),
  ('Adam beta 2', 'b2', 'adam_beta2', ''),
  ('Adam epsilon', 'eps', 'adam_epsilon', ''),
  ('weight decay', 'weight_decay', 'weight_decay', '0'),
  ('clip of the gradient', 'max_grad_norm', 'not read by PPOTrainer', 'none'),
  ('rewards whitened', 'whiten', 'whiten_rewards', 'no'),
  ('gain of the score', 'reward_gain', 'no such thing', '1'),
  ('offset of the score', 'reward_bias', 'no such thing', '0'),
  ('replies without an end', 'truncation_penalty', 'missing_eos_penalty', '0'),
  ('pretraining gradient', 'mixed_coef', 'no such thing', '0'),
)


def value_of(settings, name, fixed):
  """What the table of settings shows for a row of NAMES."""
  return fixed or f'{getattr(settings, name):g}'


def write(path, settings):
  """Keeps the settings beside what was made with them."""
  pathlib.Path(path).write_text(json.dumps(settings._asdict()) + '\n')


def read(path):
  """The settings that `write` kept."""
  fields = json.loads(pathlib.Path(path).read_text())
  return Settings(**fields | {'checkpoints': tuple(fields['checkpoints'])})
