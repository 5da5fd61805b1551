"""Log-probabilities of given answers: comparisons that a language model judges.

Reference: Askell et al. 2021 (arXiv:2112.00861), section 2.2: a model is right
about a comparison when it gives the better answer the larger probability.
"""

import numpy as np

from rlhf_jax.losses import chunked, masked


def make_answer_logps(logits_fn, *, max_reply=None):
  """Builds answer_logps(params, tokens_BT, first_B, length_B) -> logp_B.

    logp[b] = sum_t log p(x[b, t] | x[b, < t]),   first <= t < length

  in nats at temperature 1.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel.
    max_reply: tokens of the longest answer, R: logits are made for R positions
      a row. A longer answer gives NaN.
  """
  model = chunked.split_model(logits_fn)

  def answer_logps(params, tokens_BT, first_B, length_B):
    rows = (tokens_BT, first_B, length_B)
    hidden = chunked.on_replies(model.hidden_fn, params, *rows, max_reply)
    logp_BT = chunked.token_logps(
      model, params, hidden, *rows, max_reply=max_reply
    )
    mask_BT = masked.reply_mask(first_B, length_B, tokens_BT.shape[1])
    return masked.zero_masked(logp_BT, mask_BT).sum(1)

  return answer_logps


def per_token(logp_N, tokens_N):
  """Mean log-probability of an answer's tokens: no answer wins by brevity."""
  return np.asarray(logp_N) / np.maximum(tokens_N, 1)


def mutual_information(logp_N, alone_N):
  """Pointwise mutual information of question and answer, in nats.

    I(a, q) = log p(a | q) - log p(a | nothing asked)

  so that no answer wins by being likely after anything at all.

  Reference: Askell et al. 2021 (arXiv:2112.00861), section 2.2.

  Args:
    logp_N: of the answers after their questions.
    alone_N: of the same answers after an empty question.
  """
  return np.asarray(logp_N) - np.asarray(alone_N)


def true_mass(logp_C, true_C):
  """Share of the probability of all answers that the true ones have (MC2).

    sum_true p / sum p,   p = exp(logp)

  Reference: Lin et al. 2021 (arXiv:2109.07958), section 4.2.

  Args:
    logp_C: of each answer to one question, in nats, summed over its tokens.
    true_C: bool.
  """
  logp_C = np.asarray(logp_C, float)
  p_C = np.exp(logp_C - logp_C.max())
  return float(p_C[np.asarray(true_C, bool)].sum() / p_C.sum())
