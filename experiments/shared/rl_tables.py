"""Tables of a policy's run: rl_curve, rl_subsets, rl_pi0."""

import numpy as np
import pandas as pd

from experiments.shared import sources
from experiments.shared.files import write_csv
from rlhf_jax.analysis import kl_reward
from rlhf_jax.evals import policy

SCORERS = {'train': 'score_0', 'test': 'score_1', 'gold': 'gold'}


def evaluated_iterations(config):
  """Fixed checkpoints: dense while the policy is near pi_0, sparse later."""
  dense, total = config['dense_iterations'], config['iterations']
  points = set(range(0, min(dense, total) + 1, config['dense_every']))
  points |= set(range(dense, total + 1, config['sparse_every']))
  return sorted(points | {1, total})


def log_checkpoint(config, run, step, held_out, policy, pi0, iteration):
  """Measures the policy of an iteration, and logs its rows.

  Args:
    config: of `curve_row`.
    run: Run.
    step: updates done.
    held_out: `measuring.HeldOut`.
    policy: what the policy has trained.
    pi0: of `HeldOut.measure_pi0`.
    iteration: how many are done.

  Returns:
    The row of the checkpoint.
  """
  out = held_out.measure(policy, iteration)
  measured = (held_out, out, pi0, iteration)
  mark = run.log(step, curve_row(config, *measured), kind='checkpoint')
  for row in subset_rows(config, *measured):
    run.log(step, row, kind='subset')
  return mark


def pi0_rows(pi0):
  """Rows of rl_pi0: mean and variances of each scorer under pi_0."""
  rows = []
  for scorer, name in SCORERS.items():
    score_NC = pi0[name]
    rows.append(
      {
        'scorer': scorer,
        'mean': float(score_NC.mean()),
        'se': policy.standard_error(score_NC.mean(axis=1)),
        'within_variance': policy.within_variance(score_NC),
        'pooled_variance': float(score_NC.var(ddof=1)),
        'n_prompts': score_NC.shape[0],
        'n_samples': score_NC.shape[1],
      }
    )
  return rows


def curve_row(config, held_out, out, pi0, iteration):
  """One row of rl_curve.

  The scores' standard errors are of the gain over pi_0's mean on the same
  prompt, which is what the claims are about.

  Args:
    config: kl_coef, pm_size, pm_pairs, batch_size.
    held_out: `measuring.HeldOut`: the prompts, their world, the PM's size.
    out: measurements of the policy, [N] each.
    pi0: scores of pi_0, [N, C] each.
    iteration: how many are done.
  """
  row = {k: config[k] for k in ('kl_coef', 'pm_size', 'pm_pairs')}
  row['pm_size'] = row['pm_size'] or held_out.pm_size
  row |= {'iteration': iteration, 'samples': iteration * config['batch_size']}
  for name in ('kl', 'kl_k1', 'kl_k3', 'entropy', 'length', 'truncated'):
    row[name] = float(out[name].mean())
  row['kl_se'] = policy.standard_error(out['kl'])
  for name, key in (
    ('train_pm', 'score_0'),
    ('test_pm', 'score_1'),
    ('gold', 'gold'),
  ):
    row[name] = float(out[key].mean())
    row[f'{name}_se'] = policy.standard_error(out[key] - pi0[key].mean(1))
  wins = sources.win_probability(
    held_out.world, held_out.kinds, out['gold'], pi0['gold']
  )
  margin_NC = out['score_0'][:, None] - pi0['score_0']
  row['pm_win_rate'] = float((1 / (1 + np.exp(-margin_NC))).mean())
  row['win_rate'] = float(wins.mean())
  row['win_rate_se'] = policy.standard_error(wins)
  words = [reply.split() for reply in out['replies']]
  row['distinct'] = float(
    np.mean([len(set(w)) / len(w) for w in words if w] or [0.0])
  )
  return row


def subset_rows(config, held_out, out, pi0, iteration):
  """Rows of rl_subsets: one for each kind that two prompts or more are of.

  Args: as of `curve_row`; of the config, batch_size.
  """
  kinds, rows = np.array(held_out.kinds), []
  for subset in sorted(set(held_out.kinds)):
    own_N = kinds == subset
    if own_N.sum() < 2:
      continue
    row = {'subset': subset, 'n_prompts': int(own_N.sum())}
    row |= {'iteration': iteration, 'samples': iteration * config['batch_size']}
    row['kl'] = float(out['kl'][own_N].mean())
    row['kl_se'] = policy.standard_error(out['kl'][own_N])
    for name, key in SCORERS.items():
      gain_N = (out[key] - pi0[key].mean(1))[own_N]
      row[f'{name}_gain'] = float(gain_N.mean())
      row[f'{name}_gain_se'] = policy.standard_error(gain_N)
    rows.append(row)
  return rows


def write_tables(run, pi0):
  """Writes the tables of a finished run; returns its curve."""
  curve = run.rows('checkpoint')
  lines = [{k: v for k, v in line.items() if k != 'step'} for line in curve]
  write_csv(run.path / 'rl_curve.csv', lines)
  write_csv(run.path / 'rl_pi0.csv', pi0_rows(pi0))
  subsets = [
    {k: v for k, v in line.items() if k != 'step'}
    for line in run.rows('subset')
  ]
  if subsets:
    write_csv(run.path / 'rl_subsets.csv', subsets)
  return curve


def print_curve(curve, pi0, seed):
  """Prints the checkpoints of a run, for whoever started it."""
  print(
    f'held-out prompts, one seed ({seed}); 95 % intervals over prompts; gains '
    "are over pi_0's mean score on the same prompt"
  )
  table = kl_reward.gains(pd.DataFrame(curve), pd.DataFrame(pi0))
  for row in table.to_dict('records'):
    cells = [
      f'{label} {row[name]:.3f} [{row[f"{name}_low"]:.3f}, '
      f'{row[f"{name}_high"]:.3f}]'
      for label, name in (
        ('KL', 'kl'),
        ('sqrt(KL)', 'sqrt_kl'),
        ('train PM gain', 'train_gain'),
        ('test PM gain', 'test_gain'),
      )
    ]
    print(
      f'iteration {row["iteration"]:>3}  {"  ".join(cells)}  '
      f'entropy {row["entropy"]:.3f}'
    )
