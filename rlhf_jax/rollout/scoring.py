"""Rewards of rollouts: a preference model in the program, or plain Python."""

import jax.numpy as jnp
import numpy as np


def end_of_context_input(
  tokens_BT, length_B, *, end_of_context_id, eos_id, stop_ids=()
):
  """Input of the preference model: the dialogue and one more token.

  The end-of-context token goes right after the last real token, and only there
  (Bai et al. 2022, appendix A.2). A reply that stopped at another stop token
  (the next human turn) is closed with `eos_id`, as in the training data.

  Returns:
    (tokens [B, T + 1], length_B + 1).
  """
  slot_BT = jnp.arange(tokens_BT.shape[1] + 1)[None]
  tokens_BT = jnp.pad(tokens_BT, ((0, 0), (0, 1)))
  last_BT = slot_BT == length_B[:, None] - 1
  for stop in stop_ids:
    tokens_BT = jnp.where(last_BT & (tokens_BT == stop), eos_id, tokens_BT)
  tokens_BT = jnp.where(
    slot_BT == length_B[:, None], end_of_context_id, tokens_BT
  )
  return tokens_BT, length_B + 1


def make_pm_reward(
  score_fn, *, end_of_context_id, eos_id, stop_ids=(), reads_prompt=False
):
  """`reward(pm_params, tokens_BT, prompt_length_B, length_B) -> reward_B`.

  The raw score of the preference model at the end of the reply, in log-odds
  (Bai et al. 2022, section 4.1: no transformation).

  Args:
    score_fn: (params, tokens_BT, length_B) -> score_B, of the whole dialogue;
      with `reads_prompt`, (params, tokens_BT, prompt_length_B, length_B).
    end_of_context_id: of `end_of_context_input`.
    eos_id: likewise.
    stop_ids: likewise.
    reads_prompt: whether the score knows where the reply begins.
  """

  def reward(pm_params, tokens_BT, prompt_length_B, length_B):
    tokens, length = end_of_context_input(
      tokens_BT,
      length_B,
      end_of_context_id=end_of_context_id,
      eos_id=eos_id,
      stop_ids=stop_ids,
    )
    ends = (prompt_length_B, length) if reads_prompt else (length,)
    return score_fn(pm_params, tokens, *ends)

  return reward


def make_text_reward(decode, judge):
  """A reward from plain Python on decoded text: a verifier, a remote judge.

  Args:
    decode: ids -> str.
    judge: (prompt: str, reply: str) -> float.

  Returns:
    `reward(tokens_BT, prompt_length_B, length_B) -> reward_B`, NumPy float32,
    to be called outside jit.
  """

  def reward(tokens_BT, prompt_length_B, length_B):
    tokens_BT = np.asarray(tokens_BT)
    rows = zip(
      tokens_BT,
      np.asarray(prompt_length_B),
      np.asarray(length_B),
      strict=True,
    )
    return np.asarray(
      [
        float(judge(decode(ids[:p].tolist()), decode(ids[p:n].tolist())))
        for ids, p, n in rows
      ],
      np.float32,
    )

  return reward


def make_hash_reward(scale):
  """A reward that is noise: standard logistic of a hash of the tokens, scaled.

  The null study optimises it, to see that no analysis finds an effect where
  there is none. `seed` plays the part of the reward model's parameters. Pads,
  their number included, change nothing.
  """

  def reward(seed, tokens_BT, prompt_length_B, length_B):
    del prompt_length_B
    T = tokens_BT.shape[1]
    real_BT = jnp.arange(T)[None] < length_B[:, None]
    word_BT = (tokens_BT + 1).astype(jnp.uint32)
    state_B = jnp.full(tokens_BT.shape[0], seed, jnp.uint32)
    for t in range(T):  # FNV-1a, then a finaliser
      mixed_B = (state_B ^ word_BT[:, t]) * jnp.uint32(16777619)
      state_B = jnp.where(real_BT[:, t], mixed_B, state_B)
    state_B = (state_B ^ (state_B >> 15)) * jnp.uint32(2246822519)
    state_B = (state_B ^ (state_B >> 13)) * jnp.uint32(3266489917)
    uniform_B = ((state_B >> 8).astype(jnp.float32) + 0.5) / 2**24
    return scale * (jnp.log(uniform_B) - jnp.log1p(-uniform_B))

  return reward
