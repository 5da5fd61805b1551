"""A classifier, a generative model of its activations, and three queries.

    python -m experiments.render_activations --workdir=DIR \
        --config=configs/activations.py:full_smoke

Of Wang et al. 2016 (arXiv:1611.02767) only the abstract and the first paragraph
could be read, so that the model is a reconstruction of the idea: see
rlhf_jax/models/cnn. One seed: a CNN is trained on digits and frozen; three
nested models of its activations are fitted layer by layer; overlapping,
ambiguous, occluded and cluttered digits are put to them, to ablations and to
baselines. Tables: activation_queries, activation_hashes, activation_pictures.
"""

import jax

from experiments.shared import activation_images as images_of
from experiments.shared import activation_models as models
from experiments.shared import activation_rows, command
from experiments.shared.activation_ways import Answers
from experiments.shared.files import write_csv
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, load_params

SIZE = 'cnn'  # it is on no ladder


def hashes(params, folder, after=None):
  """Rows of activation_hashes.

  Args:
    params: of the classifier, once it was trained.
    folder: of the run, in which they are stored.
    after: those that the fits and queries were given, when they are done.
  """
  like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
  found = {'used': after, 'stored': load_params(folder, like)}
  return [{'moment': k, 'digest': models.digest(x)} for k, x in found.items()]


def lines_of(rows):
  """Yields what is printed: the methods of each query, and what they reach."""
  table = {}
  for row in rows:
    key = row['query'], row['case'], row['method']
    table.setdefault(key, []).append(f'{row["measure"]} {row["value"]:.4g}')
  for (query, case, method), found in table.items():
    yield f'{query:>9} {case:>3} {method:>20}: {", ".join(found)}'


def run(config, workdir):
  """Trains, fits, asks, and writes the three tables."""
  row = {key: config[key] for key in ('role', 'seed', 'half')}
  shape = {'side': config['side'], 'channels': config['channels']}
  shape |= {'dense': config['dense'], 'kernel': config['kernel']}
  row |= {'size': SIZE, 'n_params': models.count(**shape)}
  with Run(
    workdir, config, row, about=About('render_activations', 'table')
  ) as run_:
    if run_.done:
      return
    images = images_of.make(config)
    program = models.programs_of(config)
    params, loss = models.train_classifier(config, program, images.train)
    digest = {'moment': 'trained', 'digest': models.digest(params)}
    run_.save_params(params)
    fitted = models.fit_all(config, images, params)
    answers = Answers(config, fitted, program)
    rows = activation_rows.all_rows(answers, images, config)
    changed = hashes(params, run_.path, answers.fitted.params)
    write_csv(run_.path / 'activation_queries.csv', rows.queries)
    write_csv(run_.path / 'activation_hashes.csv', [digest, *changed])
    if rows.pictures:
      write_csv(run_.path / 'activation_pictures.csv', rows.pictures)
    for line in lines_of(rows.queries):
      print(line)
    run_.finish(classifier_loss=float(loss))


if __name__ == '__main__':
  command.main(run, 'configs/activations.py', report=True)
