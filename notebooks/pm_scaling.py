# %% [markdown]
# # How preference models grow with data and size
#
# Bai et al. 2022 (section 3.2, Fig. 7) saw the accuracy of a preference model
# rise in a straight line in the logarithm of its training pairs, and with the
# logarithm of its size. This notebook draws both, fits both, asks how well a
# fit to small models and few pairs forecasts the rest, and ends with the same
# question on real pairs.
#
# It needs no JAX and no GPU. Set `RLHF_JAX_RUN` to the directory of a study
# (the one that holds `tables/`); the default is `results/headline`, whose
# outputs are kept below. From the root of the repository:
#
#     pip install jupyterlab
#     RLHF_JAX_RUN=runs/reproduce jupyter lab notebooks/pm_scaling.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import os
import pathlib
import tempfile

import numpy as np
import pandas as pd
from IPython.display import SVG, display

from rlhf_jax.analysis import figures, findings, intervals, runs, scaling
from rlhf_jax.analysis.claims import judging, registry

root = pathlib.Path('.' if os.path.isdir('results') else '..')
study = root / os.environ.get('RLHF_JAX_RUN', 'results/headline')
tables = runs.read_tables(study / 'tables')
display(pd.Series({k: len(v) for k, v in tables.items()}, name='rows'))
# %% [markdown]
# ## Accuracy against pairs
#
# One line a size, tested along one training run at a constant learning rate.
# In a simulated study the true probability of every label is known, and
# accuracy is counted against it. The dashed line is the ceiling: the accuracy
# of somebody who knows those probabilities. The dotted line is the rule that
# the longer reply wins. Bands are 95 % intervals over seeds.
# %%
out_dir = pathlib.Path(tempfile.mkdtemp())


def show(name, tables=tables):
  path = figures.FIGURES[name](tables, out_dir)
  if path is None:
    print(f'{name}: these tables hold nothing to draw')
  else:
    display(SVG(filename=str(path)))


show('pm_accuracy_vs_pairs')
# %% [markdown]
# ## Accuracy against size
#
# The same numbers the other way round: one line for each number of pairs
# seen.
# %%
show('pm_accuracy_vs_size')
# %% [markdown]
# ## A straight line in ln D
#
# For each seed and size, accuracy = c + b ln D. `slope` is accuracy for each
# unit of ln D, so a doubling of the pairs adds .69 times as much. `r2` is
# that of the points of one seed.
# %%
curve = tables['pm_curve'].query('role == "scaling" and pairs > 0')
curve = curve[curve['train_subset'] == curve['eval_subset']]
kinds = sorted(curve['train_subset'].unique())
subset = 'mix' if 'mix' in kinds else kinds[0]
curve = scaling.mean_over_halves(curve[curve['train_subset'] == subset])
rows = []
for size, own in findings.by_size(curve):
  found = [scaling.data_fit(group) for _, group in own.groupby('seed')]
  slope = intervals.t_interval([fit.coefficient_K[1] for fit in found])
  rows.append(
    {
      'size': size,
      'seeds': len(found),
      'slope': slope.mean,
      'low': slope.low,
      'high': slope.high,
      'least r2': min(fit.r2 for fit in found),
    }
  )
print(f'trained and tested on {subset}')
display(pd.DataFrame(rows).round(4))
# %% [markdown]
# ## Data and size in one equation
#
# accuracy = c + a ln P + b ln D over all sizes and numbers of pairs of a
# seed, with P the weights of the Transformer's blocks. The paper's
# helpful-only models, of 13M to 52B, have a = .007 and b = .015.
# %%
joint = [scaling.joint_fit(group) for _, group in curve.groupby('seed')]
rows = []
for k, name in ((1, 'a, of ln P'), (2, 'b, of ln D')):
  one = intervals.t_interval([fit.coefficient_K[k] for fit in joint])
  rows.append({'': name, 'mean': one.mean, 'low': one.low, 'high': one.high})
display(pd.DataFrame(rows).round(4))
print(
  f'R2 from {min(f.r2 for f in joint):.3f} to {max(f.r2 for f in joint):.3f}'
)
# %% [markdown]
# ## Does the equation forecast?
#
# Fitted without the largest size, and without the upper half of the pairs, it
# is asked for the largest size at the most pairs. A fit that merely describes
# would miss there.
# %%
largest, most = curve['n_params'].max(), curve['pairs'].max()
known = curve[(curve['n_params'] < largest) & (curve['pairs'] <= most / 2)]
target = curve[(curve['n_params'] == largest) & (curve['pairs'] == most)]
point = np.array([1.0, np.log(largest), np.log(most)])
column, rows = scaling.accuracy_column(curve), []
for seed, group in known.groupby('seed'):
  forecast = point @ scaling.joint_fit(group).coefficient_K
  measured = target[target['seed'] == seed][column].mean()
  rows.append({'seed': seed, 'forecast': forecast, 'measured': measured})
rows = pd.DataFrame(rows).assign(error=lambda x: x['forecast'] - x['measured'])
error = intervals.t_interval(rows['error'])
display(rows.round(4))
print(f'mean error {error.mean:.4f} [{error.low:.4f}, {error.high:.4f}]')
# %% [markdown]
# ## As the study judges it
#
# Claims 1 to 3 as `rlhf_jax/analysis/claims/scaling.py` measures them. A
# claim passes where every interval lies on its side of the bound, and where
# there are enough seeds (`docs/claims.md`).
# %%
for number in (1, 2, 3):
  row = judging.judge_claim(registry.load().claim(number), tables, {})
  print(f'{number}. {row["title"]}: {row["verdict"]} {row["note"]}')
  for one in row['contrasts']:
    ends = '-' if one['ci'] is None else '{:.4f} to {:.4f}'.format(*one['ci'])
    print(
      f'   {one["name"]} {one["mean"]:.4f} [{ends}] {one["side"]} '
      f'{one["bound"]}'
    )
# %% [markdown]
# ## Real pairs
#
# Linear heads on frozen SmolLM2-135M, on the 3,119 usable pairs of HH at
# hand, cross-fitted: every pair is scored by a head that has not seen its
# conversation (`docs/real-pairs.md`). Bars are 95 % intervals over
# conversations. The dotted line is the better rule on length alone.
# %%
real = root / 'results' / 'smollm2' / 'tables'
if real.is_dir():
  show('real_accuracy_vs_pairs', runs.read_tables(real))
else:
  print(f'no {real}: make reproduce PRESET=smollm2 DATA=folder writes it')
