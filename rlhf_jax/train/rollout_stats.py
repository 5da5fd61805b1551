"""Numbers of one iteration's replies that tell a sick run from a healthy one.

Made of what the step holds anyway: no forward pass, and nothing of an update
depends on them. `train.health` reads them.
"""

import jax.numpy as jnp

from rlhf_jax.losses import masked

_TINY = 1e-12


def k3_of_k1(kl_BT):
  """Schulman's k3 of tokens from their k1: exp(-k1) - 1 + k1, nats.

  Never negative, and 0 where k1 is; its mean is that of k1 if the tokens were
  drawn from the policy whose log-probabilities are compared.
  """
  return jnp.maximum(jnp.expm1(-kl_BT) + kl_BT, 0.0)


def repeated_share(tokens_BT, mask_BT):
  """Share of the replies' token pairs that stand earlier in the same reply.

    mean over t of [some s < t has tokens (s-1, s) equal to tokens (t-1, t)]

  Args:
    tokens_BT: int.
    mask_BT: 1 on reply tokens.

  Returns:
    A float32 scalar; 0 if no reply has two tokens.
  """
  same_BTT = tokens_BT[:, :, None] == tokens_BT[:, None, :]
  real_BT = mask_BT > 0
  pair_BS = real_BT[:, 1:] & real_BT[:, :-1]
  again_BSS = same_BTT[:, 1:, 1:] & same_BTT[:, :-1, :-1]
  S = pair_BS.shape[1]
  earlier_SS = jnp.arange(S)[None, :] < jnp.arange(S)[:, None]
  again_BSS = again_BSS & earlier_SS & pair_BS[:, None, :]
  return masked.masked_mean(again_BSS.any(2), pair_BS)


def correlation(x_B, y_B):
  """Pearson's correlation; 0 where one of the two does not vary.

  What is not finite counts as 0, so that it is reported by its own name alone.
  """
  x_B, y_B = (
    jnp.nan_to_num(jnp.asarray(z, jnp.float32), posinf=0.0, neginf=0.0)
    for z in (x_B, y_B)
  )
  x_B, y_B = x_B - x_B.mean(), y_B - y_B.mean()
  product = jnp.square(x_B).mean() * jnp.square(y_B).mean()
  varies = product > _TINY
  root = jnp.sqrt(jnp.where(varies, product, 1.0))
  return jnp.where(varies, (x_B * y_B).mean() / root, 0.0)


def rollout_stats(rollout, score_B, kl_BT, mask_BT):
  """Means over replies, as metrics.

  Args:
    rollout: Rollout.
    score_B: of the reward.
    kl_BT: k1 of each reply token, nats; 0 elsewhere.
    mask_BT: 1 on reply tokens.

  Returns:
    {'kl_k3': nats a reply, 'entropy': nats a token, by the sampled ones,
    'repeated': of `repeated_share`, 'length_score': correlation of the length
    of a reply with its score}.
  """
  length_B = rollout.length_B - rollout.prompt_length_B
  return {
    'kl_k3': masked.zero_masked(k3_of_k1(kl_BT), mask_BT).sum(1).mean(),
    'entropy': -masked.masked_mean(rollout.logp_BT, mask_BT),
    'repeated': repeated_share(rollout.tokens_BT, mask_BT),
    'length_score': correlation(length_B, score_B),
  }


def first_update(steps):
  """{'first_ratio', 'first_kl'} of the first minibatch of an iteration.

  Nothing was updated before it: the mean ratio is 1, the mean k3 of KL(old ||
  new) is 0.

  Args:
    steps: metrics of `ppo_update.make_ppo_update`, arrays over minibatches.
  """
  named = {'first_ratio': 'ratio_mean', 'first_kl': 'approx_kl'}
  return {new: steps[old][0] for new, old in named.items() if old in steps}
