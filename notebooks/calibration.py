# %% [markdown]
# # Is a preference model's score a probability?
#
# A preference model says that the better-scored of two replies is preferred
# with probability $\sigma(|\Delta|)$, $\Delta$ being the difference of their
# scores. Bai et al. 2022 (section 3.3, Figs. 9 and 25) found helpful-only
# models well calibrated, models of the mixture a little under-confident, and
# accuracy falling where both replies score high. This notebook looks at all
# three, pair by pair.
#
# It needs no JAX and no GPU. Set `RLHF_JAX_RUN` to the directory of a study
# (the one that holds `tables/`); the default is `results/headline`, whose
# outputs are kept below. From the root of the repository:
#
#     pip install jupyterlab
#     RLHF_JAX_RUN=runs/reproduce jupyter lab notebooks/calibration.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import os
import pathlib
import tempfile

import pandas as pd
from IPython.display import SVG, display

from rlhf_jax.analysis import calibration, figures, intervals, runs
from rlhf_jax.analysis import scored_pairs as chosen
from rlhf_jax.analysis.findings import NotRunError

root = pathlib.Path('.' if os.path.isdir('results') else '..')
study = root / os.environ.get('RLHF_JAX_RUN', 'results/headline')
tables = runs.read_tables(study / 'tables')
display(pd.Series({k: len(v) for k, v in tables.items()}, name='rows'))
# %% [markdown]
# ## The figure
#
# Test pairs in ten bins of $|\Delta|$ with as many pairs each. Across: what
# the model predicts. Up: how often the label agrees. On the line the score is
# a probability; above it the model is less sure than it may be, below it too
# sure.
# %%
out_dir = pathlib.Path(tempfile.mkdtemp())


def show(name):
  path = figures.FIGURES[name](tables, out_dir)
  if path is None:
    print(f'{name}: the tables of {study.name} hold nothing to draw')
  else:
    display(SVG(filename=str(path)))


show('pm_calibration')
# %% [markdown]
# ## In numbers
#
# - `ece`: mean distance of the bins from the line, and `floor`, what a
#   perfectly calibrated model would show on as many pairs.
# - `t`: the factor on all scores that makes the labels most likely. 1 is
#   calibrated; above 1 the scores are too small, below 1 too large.
# - `signed gap`: mean accuracy less mean prediction; above 0 is
#   under-confident.
#
# One row a seed: a preference model of its own, tested on pairs of its own.
# %%
sets = {}
for name, choose in (
  ('helpful only', chosen.helpful_pairs),
  ('mixture', chosen.mixture_pairs),
):
  try:
    sets[name] = choose(tables)
  except NotRunError as error:
    print(f'{name}: {error}')
rows = []
for name, pairs in sets.items():
  for seed, own in pairs.groupby('seed'):
    one = calibration.calibrate(own)
    row = {'trained on': name, 'seed': seed, 'pairs': one.n, 'ece': one.ece}
    row |= {'floor': one.floor, 't': one.t, 'signed gap': one.signed_gap}
    rows.append(row)
numbers = pd.DataFrame(rows)
display(numbers.round(4))
# %% [markdown]
# Over seeds, with 95 % t-intervals. Claim 4 asks that `t` lie inside .85 to
# 1.15 for helpful-only models, claim 5 that it exceed 1 for the mixture.
# %%
for name, own in numbers.groupby('trained on'):
  t = intervals.t_interval(own['t'])
  excess = intervals.t_interval(own['ece'] - own['floor'])
  print(
    f'{name}: t {t.mean:.3f} [{t.low:.3f}, {t.high:.3f}], calibration error '
    f'above its floor {excess.mean:+.4f} [{excess.low:+.4f}, '
    f'{excess.high:+.4f}]'
  )
# %% [markdown]
# ## What t does
#
# Scores of one model multiplied by 1/2, 1 and 2, and by its own `t`. The
# order of replies stays, and so does accuracy; the probabilities do not.
# %%
name, pairs = next(iter(sets.items()))
first = pairs[pairs['seed'] == pairs['seed'].min()]
rows, columns = [], ['score_chosen', 'score_rejected']
for factor in (0.5, 1.0, 2.0, calibration.calibrate(first).t):
  scaled = first.assign(**{c: factor * first[c] for c in columns})
  one = calibration.calibrate(scaled)
  rows.append(
    {
      'factor': factor,
      'accuracy': calibration.accuracy(scaled),
      'ece': one.ece,
      'floor': one.floor,
      'signed gap': one.signed_gap,
    }
  )
display(pd.DataFrame(rows).round(4))
# %% [markdown]
# ## Among good replies
#
# Pairs of which both replies score above a rising threshold (Fig. 25).
# Accuracy may fall because such pairs are closer to a tie, so the ceiling of
# the labels is drawn beside it where it is known.
# %%
show('pm_min_score')
# %% [markdown]
# ## On real pairs
#
# Heads on frozen SmolLM2-135M (`docs/real-pairs.md`), each tested on the kind
# of pairs it was fitted to. Labels are those of workers, so there is no
# ceiling, and the floor is drawn from the predictions.
# %%
real = root / 'results' / 'smollm2' / 'tables'
if real.is_dir():
  cross = runs.read_tables(real)['cross_pairs'].assign(p_label=float('nan'))
  cross = cross[
    cross['pairs'] == cross.groupby('model')['pairs'].transform('max')
  ]
  rows = []
  for model in ('helpful', 'harmless'):
    one = calibration.calibrate(
      cross[(cross['model'] == model) & (cross['subset'] == model)]
    )
    row = {'head': model, 'pairs': one.n, 'ece': one.ece, 'floor': one.floor}
    rows.append(row | {'t': one.t, 'signed gap': one.signed_gap})
  display(pd.DataFrame(rows).round(4))
else:
  print(f'no {real}: make reproduce PRESET=smollm2 DATA=folder writes it')
