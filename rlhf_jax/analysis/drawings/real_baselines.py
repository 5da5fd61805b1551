"""Figure of several ways to a policy of a real model, on one axis of KL."""

import numpy as np

from rlhf_jax.analysis import equal_kl
from rlhf_jax.analysis.drawings.baselines import draw_ways
from rlhf_jax.analysis.findings import select


def real_algorithms(canvas, tables):
  """Gain over pi_0 against sqrt(KL) of a real model: PPO, RLOO, GRPO, DPO.

  Train and test PM of the same replies to held-out prompts, KL exact; means
  over seeds. PPO as far as it has written as many replies as RLOO and GRPO.
  Best-of-n chooses by the train PM. Grey: the most that pi_0 allows. Last
  panel: test PM less that of PPO at equal KL.
  """
  curve = equal_kl.of_real_model(select(tables, 'rl_curve'))
  curve = curve.sort_values('samples')
  root_N = np.sqrt(curve['kl'].clip(lower=0))
  draw_ways(canvas, tables, curve.assign(root=root_N))
