"""Tables of chapters that other fixtures lack."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import equal_kl, starts, tax_by_size
from rlhf_jax.analysis.drawings import activations as pictures
from rlhf_jax.analysis.drawings import baselines, ensembles
from rlhf_jax.analysis.operating import (
  activations,
  end_of_context,
  instruct,
  kwise,
  pm,
  samples,
  scans,
  skills,
  tension,
)
from tests.analysis import small, test_lengths
from tests.analysis.test_claims_skills import policies


def tables(curve, seeds):
  """Those tables, and a pm_curve that has the PMs of these chapters as well.

  Args:
    curve: pm_curve of a study.
    seeds: of the runs that are added.
  """
  rng = np.random.default_rng(0)
  found = samples.gap_parts(rng, seeds, 'effect')
  snapshots = found['snapshots']
  found['snapshots'] = snapshots.assign(elo=100 * snapshots['test_pm'])
  found |= kwise.together(rng, seeds, 'effect')
  found |= skills.alignment_tax(rng, seeds, 'effect')
  found |= skills.skill_mixed_in(rng, seeds, 'effect')
  found['world_tax'] = taxes(curve)
  found['before_after'] = evaluated()
  found['sft'] = finetuned(seeds)
  found |= images(rng, seeds)
  found['deployed'] = deployed(seeds)
  found |= read_texts(seeds)
  joint = pm.joint_scaling(rng, seeds, 'effect')['pm_curve']
  added = [
    end_of_context.special_token(rng, seeds, 'effect')['pm_curve'],
    joint[joint['train_subset'] == 'helpful'].assign(role='joint'),
  ]
  known = curve[curve['role'] == 'scaling'].drop_duplicates('run_id')
  n_params = known.drop_duplicates('size').set_index('size')['n_params']
  rows = pd.concat(added, ignore_index=True)
  rows = rows[rows['size'].isin(n_params.index)]
  rows['n_params'] = n_params.loc[rows['size']].to_numpy()
  keys = ['run_id', 'seed', 'size', 'n_params', 'half', 'role']
  flops_N = 1e6 * known['n_params'].astype(float)
  return found | {
    'pm_curve': pd.concat([curve, rows], ignore_index=True),
    'game_replies': test_lengths.tables()['game_replies'],
    'compute': known[keys].assign(stage='train_pm', flops=flops_N),
  }


def taxes(curve):
  """Of test_claims_skills, its three sizes under the names of a study."""
  rows = pd.DataFrame(tax_by_size.rows_of(policies()))
  sizes = curve[['size', 'n_params']].dropna().drop_duplicates()
  sizes = sizes.sort_values('n_params').to_numpy()[:3]
  place = rows['size'].map('SML'.index)
  size_R, n_params_R = zip(*(sizes[k] for k in place), strict=True)
  return rows.assign(size=size_R, n_params=n_params_R, seed=0)


def evaluated():
  """Of two tasks, before and after: a model that loses, one that gains."""
  rows = []
  for model, change in (('ppo', -0.1), ('prompted', 0.05)):
    for task, form in (('piqa', 'cloze'), ('mmlu', 'letters')):
      row = {'task': task, 'form': form, 'shots': 0, 'metric': 'acc'}
      row |= {'name': f'{task}_{form}', 'headline': True, 'before': 0.5}
      row |= {'before_model': 'plain', 'after_model': model}
      row |= {'after': 0.5 + change, 'difference': change}
      row |= {'size': np.nan, 'n_params': np.nan, 'seed': 0}
      row |= {'low': change - 0.04, 'high': change + 0.04}
      rows.append(row | {'precise': task == 'piqa'})
  return pd.DataFrame(rows)


def with_scan(curve, seeds):
  """Tables of the chapter `instruct`, its long runs added to an rl_curve.

  Args:
    curve: rl_curve of a study, with the role robust.
    seeds: of the runs that are added.
  """
  found = instruct.repaired(np.random.default_rng(0), seeds, 'effect')
  added = found['rl_curve'].query('role != "robust"')
  return {
    'tax': found['tax'],
    'rl_curve': pd.concat([curve, added], ignore_index=True),
  }


def with_passes(curve, seeds):
  """An rl_curve that has runs of one and of four passes as well."""
  found = scans.passes(np.random.default_rng(0), seeds, 'effect')['rl_curve']
  return pd.concat([curve, found.query('role != "linear"')], ignore_index=True)


def by_kind(tables, seeds):
  """`scored` and `pm_pairs` of a study, with policies by kind of prompt."""
  rng = np.random.default_rng(0)
  found = tension.over_optimised(rng, seeds, 'effect')
  attacked = tension.easy_to_attack(rng, seeds, 'effect')['scored']
  join = lambda *frames: pd.concat(frames, ignore_index=True)
  return {
    'scored': join(tables['scored'], found['scored'], attacked),
    'pm_pairs': join(tables['pm_pairs'], found['pm_pairs']),
  }


def finetuned(seeds):
  """Three epochs, of which the last is chosen."""
  epochs = [
    {'epoch': n, 'validation_nats': 2 / n, 'gold': n} for n in (1, 2, 3)
  ]
  run = {'role': 'sft', 'size': '13K', 'half': 'all', 'n_params': 13_000}
  return small.table(
    'sft', [run | {'seed': s} | x for s in seeds for x in epochs]
  )


def with_policies(curve):
  """An rl_curve that has runs of other algorithms and rewards as well.

  Those of algorithms, and of a real model, are the linear ones of one size, and
  so are those from a distilled model; those under ensembles the long ones, a
  little lower.
  """
  added = [curve]
  for place, role in enumerate(baselines.ALGORITHMS):
    rows = curve[(curve['role'] == 'linear') & (curve['size'] == '13K')]
    added.append(_as_role(rows, role, place))
  rows = curve[(curve['role'] == 'linear') & (curve['size'] == '13K')]
  added.append(_as_role(rows, starts.DISTILLED, 2))
  real = [*equal_kl.REAL, 'real_ptx', 'real_beta_0.02']
  for place, role in enumerate(real):
    rows = curve[(curve['role'] == 'linear') & (curve['size'] == '13K')]
    added.append(_as_role(rows, role, place))
  for place, role in enumerate(ensembles.REWARDS):
    if role != 'robust':
      added.append(_as_role(curve[curve['role'] == 'robust'], role, place))
  return pd.concat(added, ignore_index=True)


def _as_role(rows, role, place):
  rows = rows[rows['half'] == 'a']
  names = rows['run_id'].str.replace('^[a-z]+', role, regex=True)
  return rows.assign(role=role, run_id=names, gold=rows['gold'] - 0.1 * place)


def read_texts(seeds):
  """Held-out text that policies of a real model read."""
  run = {'role': 'text_loss', 'size': '13K', 'half': 'a', 'n_params': 13_000}
  run |= {'file': 'all files', 'before': 'pi_0', 'nats_stderr': 0.01}
  policies = {'ppo': 0.3, 'ptx': 0.1, 'beta_0.02': 0.2}
  rows = [
    run | {'seed': s, 'after': name, 'nats_per_token': x}
    for s in seeds
    for name, x in policies.items()
  ]
  name = 'text_loss_differences'
  return {name: small.table(name, rows)}


def images(rng, seeds):
  """Tables of the chapter `activations`, with pictures of four pixels."""
  queries = ('overlap', 'occlusion', 'both_directions')
  parts = [getattr(activations, name)(rng, seeds, 'effect') for name in queries]
  rows = pd.concat([part[activations.QUERIES] for part in parts])
  maps = ('deconv', 'guided', 'gradient_times_input')
  cut = ('no_bottom_up', 'no_top_down')
  shown = ('input', *maps, *pictures.RECONSTRUCT, *cut, *pictures.MODELS)
  cases = {'overlap': ['all'], 'blend': ['4/9', '3/8'], 'occlusion': ['20']}
  drawn = [
    {'query': query, 'case': case, 'example': example, 'method': method}
    | {'seed': seeds[0], 'side': 2, 'pixels': '00408fff'}
    for query, own in cases.items()
    for case in own
    for example in range(2)
    for method in (*shown, 'truth')
  ]
  return {
    activations.QUERIES: rows,
    **activations.untouched(rng, seeds, 'effect'),
    pictures.PICTURES: small.table(pictures.PICTURES, drawn),
  }


def deployed(seeds):
  """Elo of two snapshots of a round."""
  run = {'role': 'deployed', 'size': '42K', 'half': 'a', 'seed': seeds[0]}
  rows = [
    run | {'player': player, 'elo': elo, 'fit': 'converged'}
    for player, elo in (('first', 0.0), ('last', 40.0))
  ]
  found = small.table('deployed', rows)
  found['elo_low'], found['elo_high'] = found['elo'] - 30, found['elo'] + 30
  return found
