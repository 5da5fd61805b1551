"""What TRL's RLOO, GRPO and DPO and ours are told; imports no package of ours.

The peer's environment reads this module too. docs/baselines.md draws its tables
from it: `NAMES` says under which name each side knows a setting, `DIFFER` where
an equation of TRL's is another, and what is done about it here.
"""

from typing import NamedTuple


class Curve(NamedTuple):
  """One comparison, the same for all three algorithms.

  Attributes:
    rows: replies, or pairs, of an update.
    updates: of a run.
    group: replies to a prompt, of RLOO and GRPO.
    passes: updates on one batch of replies, of GRPO; of RLOO it is 1, since
      the two clip another ratio.
    prompts: and as many pairs, to draw batches from.
    rate: of Adam at the first update; it falls to 0 after the last.
    beta: lambda_KL of RLOO and GRPO, beta of DPO.
    clip: of the ratio, of RLOO and GRPO.
    b1, b2, eps: of Adam.
    max_grad_norm: of a gradient.
  """

  rows: int = 16
  updates: int = 20
  group: int = 4
  passes: int = 2
  prompts: int = 64
  rate: float = 1e-3
  beta: float = 0.1
  clip: float = 0.2
  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  max_grad_norm: float = 1.0


# Sizes of the models are those of `settings.PRESETS` under the same name.
PRESETS = {'full': Curve(), 'tiny': Curve(rows=8, updates=4, prompts=16)}

WAYS = ('rloo', 'grpo', 'dpo')
ALL, REPLIES = WAYS, WAYS[:2]

# What it is, who has it, our name, TRL's, and what both are set to where no
# field of Curve holds it.
NAMES = (
  ('replies or pairs of an update', ALL, 'rows', 'per_device_train_batch_size'),
  ('updates', ALL, 'updates', 'max_steps'),
  ('parts of a gradient', ALL, 'microbatches', 'gradient_accumulation_steps'),
  ('replies to a prompt', REPLIES, 'group', 'num_generations'),
  ('updates on one batch', REPLIES, 'passes', 'num_iterations'),
  ('weight of the KL', ALL, 'beta', 'beta'),
  ('clip of the ratio', REPLIES, 'clip', 'epsilon'),
  ('mean over', ('grpo',), 'how', 'loss_type'),
  ('advantages in deviations of', ('grpo',), 'grpo', 'scale_rewards'),
  ('KL times the ratio', ('grpo',), 'no such thing', 'use_bias_correction_kl'),
  ('learning rate at first', ALL, 'rate', 'learning_rate'),
  ('its schedule', ALL, 'shape', 'lr_scheduler_type'),
  ('warm-up', ALL, 'warmup', 'warmup_steps'),
  ('Adam beta 1', ALL, 'b1', 'adam_beta1'),
  ('Adam beta 2', ALL, 'b2', 'adam_beta2'),
  ('Adam epsilon', ALL, 'eps', 'adam_epsilon'),
  ('weight decay', ALL, 'weight_decay', 'weight_decay'),
  ('clip of the gradient', ALL, 'max_grad_norm', 'max_grad_norm'),
)
FIXED = {
  'microbatches': '1',
  'how': '`sequence_mean`, `grpo`',
  'grpo': 'the group',
  'no such thing': 'no',
  'shape': 'linear to 0',
  'warmup': '0',
  'weight_decay': '0',
}

# Algorithm, what, ours, TRL's, and what is done about it here.
DIFFER = (
  (
    'RLOO',
    'loss',
    'mean over tokens',
    'mean over replies of sums over tokens',
    'our advantages times the mean length, so that both have one gradient; '
    'values of the losses are not compared, the mean of A log pi is',
  ),
  (
    'RLOO',
    'ratio that is clipped',
    'of each token',
    'of the whole reply',
    'one update a batch: the ratio is 1, and gradients are the same',
  ),
  (
    'RLOO',
    'KL',
    'k1 of the sampling policy, summed over a reply, off its reward before '
    'the others are',
    'the same; its log has the mean over tokens',
    'compared as a mean over tokens',
  ),
  (
    'RLOO',
    'advantages',
    'as they come',
    'the same; `normalize_advantages` divides by the deviation of the batch',
    'left off, as is its default',
  ),
  (
    'GRPO',
    'mean',
    'over replies of means over tokens (the paper)',
    'over all tokens (`dapo`) by default',
    "told `grpo`, the paper's",
  ),
  (
    'GRPO',
    'weight of the KL',
    '.04 (the paper)',
    '0 by default',
    'one number for both; k3 in the loss on both sides',
  ),
  (
    'GRPO',
    'KL of a token',
    'k3 (the paper)',
    'k3 times the ratio by default (`use_bias_correction_kl`)',
    'told not to: another gradient from the first update on',
  ),
  (
    'GRPO',
    'deviation of a group',
    'divisor k - 1, 1e-4 added',
    'the same',
    'nothing',
  ),
  (
    'DPO',
    'log-probability of a reply',
    'sum over its tokens, its end too',
    'the same; a mean only in `ipo` and `sigmoid_norm`',
    'nothing',
  ),
  (
    'DPO',
    'label smoothing',
    'none',
    'none in the loss `sigmoid`; in `robust` and others',
    'nothing',
  ),
  (
    'DPO',
    'log-probabilities of pi_0',
    'once, before training',
    'at every update, or once (`precompute_ref_log_probs`)',
    'nothing: the same numbers',
  ),
  (
    'DPO',
    'accuracy where both rewards are equal',
    'a half',
    '0',
    'not compared: at the first update all are equal',
  ),
  (
    'all',
    'clip of the gradient',
    'by c / norm where the norm is above c',
    'by c / (norm + 1e-6) where that is below 1',
    'nothing: 1e-6 of a step',
  ),
  (
    'all',
    'padding of prompts',
    'none: reply after prompt, pads at the end',
    'left, of RLOO and GRPO',
    'prompts have one length',
  ),
)


def value_of(curve, way, name):
  """What the table of settings shows for one row of NAMES.

  Args:
    curve: Curve.
    way: one of WAYS.
    name: ours.
  """
  if (way, name) == ('rloo', 'passes'):
    return '1'
  return FIXED.get(name) or f'{getattr(curve, name):g}'
