# %% [markdown]
# # Three queries to a network's activations
#
# Of Wang et al. 2016 (arXiv 1611.02767) only the abstract and the first
# paragraph could be read: a hierarchical generative model of the activations
# of a CNN, inference in it as a backward pass that fuses top-down with
# bottom-up information, and three queries; its factors, its learning and every
# number here are a reconstruction.
#
# This notebook trains a small CNN on drawn digits, fits the models of its
# activations, and puts the queries to them. It needs JAX, on a CPU, no data
# and a minute. From the root of the repository:
#
#     pip install jupyterlab
#     jupyter lab notebooks/activations.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import pathlib
import tempfile

import numpy as np
import pandas as pd
from IPython.display import SVG, display

from experiments.shared import activation_images as images_of
from experiments.shared import activation_models as models
from experiments.shared import activation_rows
from experiments.shared.activation_ways import Answers
from rlhf_jax.analysis import figures

settings = dict(
  seed=0,
  images='drawn',
  side=12,
  train_images=600,
  test_images=100,
  copies=2,
  shift=1,
  channels=(6, 8),
  dense=24,
  kernel=3,
  epochs=8,
  batch_size=32,
  learning_rate=2e-3,
  components=4,
  em_steps=12,
  fit_images=400,
  fit_steps=150,
  fit_rate=3e-3,
  trust=0.1,
  upper=0.05,
  iterations=3,
  calibration=20,
  overlaps=40,
  blends=20,
  occlusions=40,
  cluttered=8,
  canvas=18,
  pieces=8,
  stride=3,
  pictures=3,
  eval_batch=20,
)
# %% [markdown]
# ## Digits, and a classifier that stays as it is
#
# The digest of its parameters is compared at the end.
# %%
images = images_of.make(settings)
program = models.programs_of(settings)
params, loss = models.train_classifier(settings, program, images.train)
before = models.digest(params)
print(f'{len(images.train.label_N)} digits, last loss {float(loss):.3f}')
# %% [markdown]
# ## Models of its activations
#
# V0 has the classifier's own kernels, transposed; V1 fits kernels by least
# squares; V2 says of each unit whether it is on, and has a background for what
# is not the object's. Losses are nats a unit, layer by layer (those of V2 are
# densities with a point at 0, and not to be compared with those of Gaussians).
# %%
fitted = models.fit_all(settings, images, params)
display(pd.Series(fitted.losses, name='loss').round(3))
# %% [markdown]
# ## The queries
#
# Two overlapping digits, each recovered by clamping its class; a blend of two
# digits, as each class has it; a digit behind an occluder. All of it is one
# backward pass, with other clamps and another mask.
# %%
answers = Answers(settings, fitted, program)
rows = activation_rows.all_rows(answers, images, settings)
run = {'run_id': 'notebook', 'seed': 0, 'size': 'cnn', 'n_params': 1}
tables = {
  'activation_queries': pd.DataFrame(rows.queries).assign(**run),
  'activation_pictures': pd.DataFrame(rows.pictures).assign(**run),
}
out_dir = pathlib.Path(tempfile.mkdtemp())


def show(name):
  display(SVG(filename=str(figures.FIGURES[name](tables, out_dir))))


show('overlapping_digits')
# %%
show('blended_digits')
# %%
show('occluded_digits')
# %% [markdown]
# ## In numbers
#
# One seed of a small network: nothing is judged here. Claims 61 to 65 ask the
# same of MNIST, over eight seeds.
# %%
table = tables['activation_queries'].query('query == "overlap"')
table = table.pivot(index='method', columns='measure', values='value')
display(table.sort_values('iou_margin', ascending=False).round(3))
# %%
table = tables['activation_queries'].query('query == "occlusion"')
table = table.pivot_table(
  index='method', columns=['measure', 'case'], values='value'
)
display(table.round(3))
# %% [markdown]
# ## The classifier is what it was
# %%
after = models.digest(fitted.params)
print('unchanged' if after == before else 'changed', np.unique([before, after]))
