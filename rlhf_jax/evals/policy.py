"""One checkpoint of a policy, judged on held-out prompts.

Score, KL, entropy and length are taken on the same replies, never on the
training rollouts.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.losses import chunked, kl, language, masked
from rlhf_jax.mapping import map_microbatches
from rlhf_jax.types import Prompts


def make_token_measure(logits_fn, temperature=1.0, max_reply=None):
  """Builds measure(params, ref_params, rows) -> the divergences of each token.

  Args:
    logits_fn: of `make_evaluate`.
    temperature: likewise.
    max_reply: likewise.

  Returns:
    The function; `rows` are (tokens_BT, prompt_length_B, length_B), and its
    dict holds x_BT of `kl`, `kl_k1`, `kl_k3` and `entropy` in nats, those of
    `make_evaluate` before they are summed, 0 where no reply token is.
  """
  model = chunked.split_model(logits_fn)

  def of_tokens(logits, tokens_BT):
    logits_BTV, ref_BTV = logits
    logp_BT = language.token_logps(logits_BTV, tokens_BT, temperature)
    ref_logp_BT = language.token_logps(ref_BTV, tokens_BT, temperature)
    return {
      'kl': kl.kl_exact(logits_BTV, ref_BTV, temperature),
      'kl_k1': kl.kl_k1(logp_BT, ref_logp_BT),
      'kl_k3': kl.kl_k3(logp_BT, ref_logp_BT),
      'entropy': language.entropy(logits_BTV, temperature),
    }

  def measure(params, ref_params, part):
    tokens_BT, prompt_length_B, length_B = part
    mask_BT = masked.reply_mask(prompt_length_B, length_B, tokens_BT.shape[1])
    both = (params, ref_params)
    of_replies = chunked.per_token(
      of_tokens,
      lambda hidden: tuple(map(model.head_fn, both, hidden)),
      tuple(
        chunked.on_replies(model.hidden_fn, p, *part, max_reply) for p in both
      ),
      *part,
      chunk=model.chunk,
      max_reply=max_reply,
    )
    return {
      name: masked.zero_masked(x_BT, mask_BT)
      for name, x_BT in of_replies.items()
    }

  return measure


def _make_measure(logits_fn, temperature, max_reply):
  """Builds measure(params, ref_params, rows) -> the divergences and entropy."""
  if logits_fn is None:
    return lambda *_: {}
  of_tokens = make_token_measure(logits_fn, temperature, max_reply)

  def measure(params, ref_params, part):
    tokens_BT, *lengths = part
    mask_BT = masked.reply_mask(*lengths, tokens_BT.shape[1])
    found = of_tokens(params, ref_params, part)
    out = {name: x_BT.sum(1) for name, x_BT in found.items()}
    out['entropy'] /= jnp.maximum(mask_BT.sum(1), 1.0)
    return out

  return measure


def make_evaluate(
  collect, logits_fn, rewards, *, temperature=1.0, parts=1, max_reply=None
):
  """Builds evaluate(params, ref_params, reward_params, prompts, rng) -> dict.

    kl      sum_t KL(pi(. | x, y_<t) || pi_0(. | x, y_<t)), whole vocabulary
    kl_k1   sum_t log pi(t) - log pi_0(t)
    kl_k3   sum_t (r - 1) - log r,  r = pi_0(t) / pi(t)

  all in nats per reply, on replies sampled from pi; the first is an unbiased
  and low-variance estimate of the sequence KL (Rao-Blackwell).

  Args:
    collect: (params, prompts, rng) -> Rollout.
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel;
      None: only the scores are wanted, as of pi_0, and no logits are made.
    rewards: tuple of (reward_params, tokens_BT, prompt_length_B, length_B) ->
      score_B.
    temperature: the sampler's.
    parts: the forward passes run over this many parts of the batch.
    max_reply: tokens of the longest reply, R: logits are made for R positions
      a row in place of all T. A longer reply gives NaN.

  Returns:
    The function; its dict holds, per row: `kl`, `kl_k1`, `kl_k3`, `entropy`
    (nats per token), which need `logits_fn`; `length` (tokens), `truncated`,
    `score_<i>`, and
    `tokens`, `prompt_length`, `total_length`.
  """
  measure = _make_measure(logits_fn, temperature, max_reply)

  def evaluate(params, ref_params, reward_params, prompts, rng):
    rollout = collect(params, prompts, rng)
    whole = (rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B)

    def one(part, params, ref_params, reward_params):
      out = measure(params, ref_params, part)
      for i, (reward, weights) in enumerate(
        zip(rewards, reward_params, strict=True)
      ):
        out[f'score_{i}'] = reward(weights, *part)
      return out

    out = map_microbatches(one, whole, parts, params, ref_params, reward_params)
    reply_B = rollout.length_B - rollout.prompt_length_B
    return out | {
      'length': reply_B.astype(jnp.float32),
      'truncated': 1.0 - rollout.ended_B.astype(jnp.float32),
      'tokens': rollout.tokens_BT,
      'prompt_length': rollout.prompt_length_B,
      'total_length': rollout.length_B,
    }

  return evaluate


def make_policy_evaluation(
  generate, policy, rewards, sampling, *, parts=1, merge=None
):
  """Builds `make_evaluate`'s function of a policy and its sampler.

  Args:
    generate: of `make_collect`, with `sampling`.
    policy: logits_fn or SplitModel, or None, as there.
    rewards: of `make_evaluate`.
    sampling: SamplingConfig of the replies: they are scored at its temperature,
      and logits are made for its `max_reply` positions a row.
    parts: of `make_evaluate`.
    merge: combine(base, trained) -> params, where adapters are evaluated.

  Returns:
    evaluate(params, ref_params, reward_params, prompts, rng, base=None); with
    `merge`, `params` are what is trained over `base`.

  Raises:
    ValueError: if the sampler cuts its distribution (top-k, top-p).
  """
  evaluate = make_evaluate(
    generate, policy, rewards, parts=parts, **sampling.scored()
  )

  def evaluate_over(params, ref_params, reward_params, prompts, rng, base=None):
    params = merge(base, params) if merge else params
    return evaluate(params, ref_params, reward_params, prompts, rng)

  return evaluate_over


def evaluate_prompts(
  evaluate, params, ref, rewards, prompts, rng, batch_size, base=None
):
  """Runs a jitted `evaluate` over all prompts; arrays [N, ...] in NumPy.

  The number of prompts must be a multiple of `batch_size`, so that one program
  serves all calls. A base is handed on, after the others.

  Raises:
    ValueError: if it is none, or if two rows have one name: in batches of their
      own they would get one reply.
  """
  over = () if base is None else (base,)
  N = len(prompts.length_B)
  names, count = np.unique(np.asarray(prompts.row_B), return_counts=True)
  if len(names) < N:
    raise ValueError(
      f'wanted a name for each of {N} prompts, got row_B '
      f'{names[count.argmax()]} {count.max()} times: number them, also where '
      'the text is the same'
    )
  if N % batch_size:
    raise ValueError(f'{N} prompts are no multiple of batches of {batch_size}')
  parts = []
  for i in range(0, N, batch_size):
    part = Prompts(*(np.asarray(x)[i : i + batch_size] for x in prompts))
    out = evaluate(params, ref, rewards, part, rng, *over)
    parts.append(jax.device_get(out))
  return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def standard_error(x_N):
  """Sample standard deviation over sqrt(N)."""
  return float(np.std(x_N, ddof=1) / len(x_N) ** 0.5)


def within_variance(score_NC):
  """V = mean over prompts of the unbiased variance over C replies."""
  return float(np.mean(np.var(score_NC, axis=1, ddof=1)))
