# %% [markdown]
# # Reward against sqrt(KL), and the frontier
#
# Bai et al. 2022 (section 4.3) saw the preference-model score rise in a
# straight line in $\sqrt{\mathrm{KL}(\pi\,||\,\pi_0)}$ for much of RL
# training. This notebook draws that figure from the tables of a finished
# study, looks at the fit of each run, asks whether the score may be read as
# log-odds at all, and ends with the most that any policy could have gained.
#
# It needs no JAX and no GPU. Set `RLHF_JAX_RUN` to the directory of a study
# (the one that holds `tables/`); the default is `results/headline`, whose
# outputs are kept below. From the root of the repository:
#
#     pip install jupyterlab
#     RLHF_JAX_RUN=runs/reproduce jupyter lab notebooks/reward_vs_kl.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import os
import pathlib
import tempfile

import pandas as pd
from IPython.display import SVG, display

from rlhf_jax.analysis import bows, figures, kl_reward, runs

root = pathlib.Path('.' if os.path.isdir('results') else '..')
study = root / os.environ.get('RLHF_JAX_RUN', 'results/headline')
tables = runs.read_tables(study / 'tables')
display(pd.Series({k: len(v) for k, v in tables.items()}, name='rows'))
# %% [markdown]
# ## The figure
#
# Points are checkpoints of single seeds, lines their means. Dotted: the fit
# over the early window, up to $\sqrt{\mathrm{KL}} = 3.5$. Dashed: the
# steepest line that theory allows early on, $s_0 + \sqrt{2V\,\mathrm{KL}}$,
# where $V$ is the variance of the score among the replies of $\pi_0$ to one
# prompt. On the right are the same replies, scored by a PM that the policy
# was not trained against.
# %%
out_dir = pathlib.Path(tempfile.mkdtemp())


def show(name):
  path = figures.FIGURES[name](tables, out_dir)
  if path is None:
    print(f'{name}: the tables of {study.name} hold nothing to draw')
  else:
    display(SVG(filename=str(path)))


show('reward_vs_sqrt_kl')
# %% [markdown]
# ## The fit of each run
#
# `slope` is in log-odds per square root of a nat. `r2` alone is a weak test:
# any power of KL between 0.3 and 1 fits with $R^2$ near 1. `bow` (the share
# of the gain by which a parabola leaves the line) and `p` (the fitted power
# of KL; 0.5 is the square root) can fail. `efficiency` is the slope over
# $\sqrt{2V}$, which should not exceed 1. A run whose window is too short has
# no fit.
# %%
rows = []
curve = tables['rl_curve'].query('role == "linear"')
for run_id, run in curve.groupby('run_id'):
  s0 = kl_reward.pi0_score(tables['rl_pi0'], run_id, 'train')
  variance = kl_reward.within_variance(tables['rl_pi0'], run_id, 'train')
  fit = kl_reward.fit_window(run, 'train_pm', s0)
  rows.append(
    {
      'size': run['size'].iloc[0],
      'seed': run['seed'].iloc[0],
      's0': s0,
      'slope': fit.slope,
      'r2': fit.r2,
      'bow': fit.bow,
      'p': fit.p,
      'efficiency': fit.slope / kl_reward.theory_slope(variance),
      'points': fit.n_points,
    }
  )
fits = pd.DataFrame(rows).sort_values(['size', 'seed'], ignore_index=True)
display(fits.round(3))
# %% [markdown]
# ## Is the score calibrated?
#
# A gain of one unit is a win rate of $1/(1+e^{-1})$ only if score differences
# are log-odds. Points on the line say so; points above it mean that the PM is
# less sure than it should be. `notebooks/calibration.ipynb` goes on from
# here.
# %%
show('pm_calibration')
# %% [markdown]
# ## Does a gain in score mean better replies?
#
# In a simulated study the gold score is known. In the long runs against a
# small PM it turns down while the train PM keeps rising: over-optimisation.
# Real data have no gold, and then only the train PM is drawn.
# %%
show('overoptimisation')
# %% [markdown]
# ## The frontier: the most that any policy gains
#
# Of all policies at one KL, the best one weighs each reply $y$ of $\pi_0$ by
# $e^{b\,r(y)}$. So from replies of $\pi_0$ alone, scored by the PM, follows
# how much any policy could gain at that KL (`rlhf_jax/analysis/frontier.py`).
# It is a straight line in $\sqrt{\mathrm{KL}}$ where scores are normal within
# a prompt, and bends where they are not. A study keeps it in `frontier.csv`;
# then the figure sets it beside best-of-n and PPO, and the table gives the
# share of it that each run of PPO reached at $\sqrt{\mathrm{KL}}$ from 0.5 to
# 1.5.
# %%
if 'frontier' in tables:
  show('frontier_and_policies')
  edges = tables['frontier'].query('scorer == "train" and subset == "all"')
  same, reached = ['size', 'half', 'seed'], []
  edge_of = dict(list(edges.groupby(same)))
  for key, run in curve.groupby(same):
    if key in edge_of:
      edge = edge_of[key]
      gain = run['train_pm'] - run.sort_values('iteration')['train_pm'].iloc[0]
      share = bows.efficiency(run['kl'], gain, edge)
      reached.append(dict(zip(same, key, strict=True)) | {'share': share})
  display(pd.DataFrame(reached).round(3))
else:
  print(f'{study.name} has no frontier.csv: its runs kept no replies of pi_0.')
  print('make reproduce PRESET=headline writes one for every policy size.')
# %% [markdown]
# ## How straight is the frontier itself?
#
# Measured without any RL, from replies of three sizes of language models in
# the world of parts (`docs/worlds.md`), scored by gold. `bow` 0 and `p` 0.5
# are a straight line, as far as `sqrt_kl`.
# %%
worlds = pd.read_csv(root / 'results' / 'worlds' / 'worlds.csv')
names = ['writer', 'kind', 'gold', 'spread', 'bow', 'p', 'sqrt_kl']
display(worlds[worlds['n_params'] > 0][names].round(3))
