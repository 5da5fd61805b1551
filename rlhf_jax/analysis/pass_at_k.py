"""pass@k: the chance that one of k samples of a program is right.

Reference: Chen et al. 2021, "Evaluating large language models trained on code"
(arXiv:2107.03374), section 2.1.
"""

import numpy as np

from rlhf_jax.analysis.bounded import bootstrap_mean, share
from rlhf_jax.analysis.intervals import Interval


def pass_at_k(n: int, correct_N, k: int) -> np.ndarray:
  """Unbiased estimates of pass@k, a task each, from n samples of which c pass.

    1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n - c + 1 .. n} (1 - k / i)

  The product has c factors, none of them large; the binomials would overflow.
  With fewer than k samples that fail it is 1.

  Args:
    n: samples a task.
    correct_N: [N] whole numbers, of 0 to n.
    k: of 1 to n.

  Returns:
    [N] float64.

  Raises:
    ValueError: if k or a count is out of its range.
  """
  correct_N = np.asarray(correct_N, int)
  if not 1 <= k <= n:
    raise ValueError(f'wanted k of 1 to the {n} samples of a task, got {k}')
  if (correct_N < 0).any() or (correct_N > n).any():
    raise ValueError(
      f'wanted 0 to {n} of {n} samples that pass, got {correct_N.tolist()}'
    )
  i_n = np.arange(1, n + 1)
  # Factors below n - c + 1 are left out; at i = k the product becomes 0.
  factor_n = np.maximum(1 - k / i_n, 0.0)
  kept_Nn = np.where(i_n > n - correct_N[:, None], factor_n, 1.0)
  return 1 - kept_Nn.prod(1)


def estimate(n: int, correct_N, k: int) -> Interval:
  """Mean of pass@k over tasks with its 95 % interval; the task is the unit.

  A bootstrap over tasks; where each task's value is 0 or 1, the exact interval
  of counts, since a bootstrap of nothing but zeros would say [0, 0].
  """
  value_N = pass_at_k(n, correct_N, k)
  if np.isin(value_N, (0.0, 1.0)).all():
    return share(value_N)
  return bootstrap_mean(value_N, (0.0, 1.0))
