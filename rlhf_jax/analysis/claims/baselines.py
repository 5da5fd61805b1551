"""PPO beside RLOO, GRPO, DPO and best-of-n: measured, and nothing claimed."""

from rlhf_jax.analysis import equal_kl
from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.drawings.baselines import ALGORITHMS, algorithms
from rlhf_jax.analysis.findings import NotHereError, select

PPO = 'by_ppo'


def algorithms_at_equal_kl(tables) -> dict:
  """Gain of each algorithm, and less that of PPO, at the KL all runs reach.

  No verdict: the papers at hand claim nothing of them.
  """
  if 'rl_curve' not in tables or not (tables['rl_curve']['role'] == PPO).any():
    raise NotHereError('this study has no policies of several algorithms')
  return at_equal_kl(select(tables, 'rl_curve', role=list(ALGORITHMS)))


def at_equal_kl(curve) -> dict:
  """The part of a check's row on policies of these roles.

  Args:
    curve: rows of rl_curve.
  """
  found = equal_kl.gains(curve).dropna()
  last = found[found['root'] == found['root'].max()]
  measured = {'sqrt_kl': float(last['root'].max())}
  for (scorer, role), rows in last.groupby(['scorer', 'role']):
    measured[f'{scorer}_{role}'] = float(rows['gain'].mean())
    if role != PPO:
      (row,) = equal_kl.less_than(
        last[last['scorer'] == scorer], role, PPO
      ).to_dict('records')
      name = f'{scorer}_{role}_less_ppo'
      measured[name] = row['mean']
      measured |= {f'{name}_{end}': row[end] for end in ('low', 'high')}
  return {
    'measured': measured,
    'seeds': last['seed'].nunique(),
    'verdict': 'reported',
    'note': 'gains over pi_0 in log-odds, 95 % intervals over seeds',
  }


THEME = Theme(
  title='PPO, RLOO, GRPO, DPO and best-of-n',
  drawings=(algorithms,),
  checks=(algorithms_at_equal_kl,),
  roles={
    'by_ppo': 'a policy by PPO at the settings of this chapter, under the PMs '
    'of the linear runs',
    'by_rloo': 'the same by RLOO: four replies to each of a fourth of the '
    'prompts, no value network',
    'by_grpo': 'the same by GRPO, whose penalty is in its loss',
    'by_dpo': 'a policy by DPO on the pairs of the train PM; an iteration is '
    'an update, `samples` counts pairs, and `kl_coef` is beta',
  },
)
