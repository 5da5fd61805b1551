# %% [markdown]
# # Helpful against harmless
#
# A preference model of one kind of pairs alone prefers what workers reject on
# the other kind: what is helpful to a harmful request is not harmless (Bai et
# al. 2022, section 5.1, Fig. 19). This notebook shows how far that goes, on
# which pairs the two models disagree, and what a mixture does about it; in
# the simulated world first, then on real pairs.
#
# It needs no JAX and no GPU. Set `RLHF_JAX_RUN` to the directory of a study
# (the one that holds `tables/`); the default is `results/headline`, whose
# outputs are kept below. From the root of the repository:
#
#     pip install jupyterlab
#     RLHF_JAX_RUN=runs/reproduce jupyter lab notebooks/tension.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import os
import pathlib
import tempfile

import numpy as np
import pandas as pd
from IPython.display import SVG, display

from rlhf_jax.analysis import figures, findings, intervals, runs, scaling

root = pathlib.Path('.' if os.path.isdir('results') else '..')
study = root / os.environ.get('RLHF_JAX_RUN', 'results/headline')
tables = runs.read_tables(study / 'tables')
display(pd.Series({k: len(v) for k, v in tables.items()}, name='rows'))
# %% [markdown]
# ## The figure
#
# Accuracy of each preference model on both kinds of test pairs. A coin has
# .5: a bar below the dashed line is a model that is worse than none. Bars end
# in 95 % intervals over seeds.
# %%
out_dir = pathlib.Path(tempfile.mkdtemp())


def show(name, tables=tables):
  path = figures.FIGURES[name](tables, out_dir)
  if path is None:
    print(f'{name}: these tables hold nothing to draw')
  else:
    display(SVG(filename=str(path)))


show('helpful_harmless')
# %% [markdown]
# ## In numbers
#
# Rows are what a model was trained on, columns what it was tested on. Claim
# 37 asks that both models of one kind lie below .5 on the other.
# %%
curve = findings.select(tables, 'pm_curve', role=['single', 'mixture'])
final = findings.last(curve, 'pairs').query('eval_subset != "mix"')
column = scaling.accuracy_column(final)


def mean_and_interval(values):
  one = intervals.t_interval(values)
  return f'{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]'


seeds = final.groupby(['train_subset', 'eval_subset', 'seed'])[column].mean()
display(seeds.groupby(level=[0, 1]).agg(mean_and_interval).unstack())


# %% [markdown]
# ## Where they disagree
#
# Both models have scored the same test pairs. `agree` is the share of pairs
# on which they prefer the same reply, `correlation` that of their differences
# of scores, and `sure both ways` the share on which they disagree although
# each gives its own reply a probability above .6.
# %%
def disagreement(pairs):
  """A row for each seed and kind of pairs."""
  pairs = findings.last(pairs, 'pairs')
  pairs = pairs.assign(delta=pairs['score_chosen'] - pairs['score_rejected'])
  both = pairs.pivot_table(
    index=['seed', 'subset', 'pair_id'], columns='train_subset', values='delta'
  ).dropna()
  sure, rows = np.log(0.6 / 0.4), []
  for (seed, subset), own in both.groupby(level=[0, 1]):
    helpful, harmless = own['helpful'], own['harmless']
    apart = (helpful * harmless < 0) & (own.abs().min(axis=1) > sure)
    rows.append(
      {
        'seed': seed,
        'pairs of': subset,
        'n': len(own),
        'agree': (helpful * harmless > 0).mean(),
        'correlation': np.corrcoef(helpful, harmless)[0, 1],
        'sure both ways': apart.mean(),
      }
    )
  table = pd.DataFrame(rows)
  return table.sort_values(['pairs of', 'seed'], ignore_index=True)


alone = tables['pm_pairs'].query('role == "single"')
if alone.empty:
  print('pm_pairs.csv has no models of one kind of pairs alone')
else:
  display(disagreement(alone).round(3))
# %% [markdown]
# ## What a mixture does
#
# Models of as many pairs, of which a share is helpful, and models whose loss
# weighs harmless pairs more (claims 38 to 40). Micro has one mixture alone;
# the chapter `tension` of the preset `full` trains the rest.
# %%
show('mixture_scan')
# %% [markdown]
# ## Real pairs
#
# Heads on frozen SmolLM2-135M, cross-fitted on the pairs of HH at hand
# (`docs/real-pairs.md`): accuracy with its 95 % interval over conversations,
# beside the better rule on length alone. `conditional` is one head for both
# kinds that asks what kind of prompt it reads.
# %%
real = root / 'results' / 'smollm2' / 'tables'
if real.is_dir():
  floors = runs.read_tables(real)['cross_floors'].query('subset != "mix"')
  most = floors.groupby('model')['pairs'].transform('max')
  floors = floors[floors['pairs'] == most]
  ends = ['accuracy', 'accuracy_low', 'accuracy_high', 'rule']
  display(floors.set_index(['model', 'subset'])[['n_eval', *ends]].round(3))
else:
  print(f'no {real}: make reproduce PRESET=smollm2 DATA=folder writes it')
# %% [markdown]
# ## The same models on every number of pairs
# %%
if real.is_dir():
  show('real_accuracy_vs_pairs', runs.read_tables(real))
