"""Red-team prompts as outliers among helpful ones, by a model's features.

    python -m experiments.detect_outliers --config=configs/outliers.py:smollm2 \
        --config.data.path=FOLDER --workdir=DIR

The model reads every prompt once, and what it makes of it at every layer is
kept in `feature_folder`. Distances to a Gaussian of helpful prompts, and linear
classifiers that were shown a few red-team prompts, then tell the two kinds
apart (Bai et al. 2022, section 5.4 and appendix B.9). Prompts are split several
times; splits share all prompts, and what they differ in is no interval. A split
that is done is not done again.
"""

from experiments.shared import command, comparisons, outliers, pooling
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, read_json, write_json


def split_tables(folder, config, pooled_NPLD, number):
  """`outliers.tables_of` of one split, from its file or into it."""
  file = folder / f'{number:03d}.json'
  if not file.exists():
    folder.mkdir(exist_ok=True)
    write_json(file, outliers.tables_of(pooled_NPLD, config, number))
  return read_json(file)


def lines_of(tables, pool='last'):
  """Yields what is printed: each score at its best layer, then exposure."""
  rows = [row for row in tables['ood'] if row['pool'] == pool]
  for score in dict.fromkeys(row['score'] for row in rows):
    own = [row for row in rows if row['score'] == score]
    best = max(own, key=lambda row: row['auroc'])
    yield (
      '{score:>10}: AUROC {auroc:.3f} [{auroc_low:.3f}, {auroc_high:.3f}] at '
      'layer {layer} of {layers}'.format(**best)
    )
  for row in tables['ood_exposure']:
    if row['pool'] == pool and row['split'] == 0:
      yield (
        '{outliers:>4} outliers shown: AUROC {auroc:.3f} +- {auroc_se:.3f} at '
        'layer {layer}'.format(**row)
      )


def run(config, workdir):
  """Writes `ood.csv`, `ood_exposure.csv` and `ood_control.csv`."""
  comparisons.require_data(config | {'comparisons_dir': ''})
  base = open_base(config, weights=False, scored=True)
  row = {key: config[key] for key in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('detect_outliers', 'table', base=config['base'])
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    base = open_base(config, scored=True)
    accepted = lambda items: comparisons.accepted(items, base.tokenizer)
    texts = outliers.read_texts(config, accepted)
    prompts = outliers.encoded(texts, config, base.tokenizer)
    cut = {'prompt cut': int((prompts.cut_N > 0).sum())}
    if texts.counts:
      comparisons.write_reading(run_.path, texts.counts | {'prompts': cut})
    pooled_NPLD = pooling.pooled_prompts(config, base, prompts)
    tables = {}
    for number in run_.progress(0, config['splits']):
      part = split_tables(run_.path / 'parts', config, pooled_NPLD, number)
      for name, rows in part.items():
        tables.setdefault(name, []).extend(rows)
    for name, rows in tables.items():
      order = load().tables[name].columns
      rows = [{column: row[column] for column in order} for row in rows]
      write_csv(run_.path / f'{name}.csv', rows)
    for line in lines_of(tables):
      print(line)
    run_.finish(prompts=len(prompts.length_N), **cut)


if __name__ == '__main__':
  command.main(run, 'configs/outliers.py', report=True)
