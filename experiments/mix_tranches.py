"""One set of comparisons out of several tranches, so many pairs of each.

    python -m experiments.mix_tranches --config=configs/mix.py --workdir=DIR

What a round of online training retrains on is all older data and the new; what
two rounds are compared on may be equal parts of some tranches at one total
(Bai et al. 2022, section 4.5). The order of a tranche and its labels are drawn
by (seed, its number) alone: a smaller part lies in a larger one, and a pair has
the same label in every mixture. Training pairs therefore forget how likely
their labels were; held-out pairs keep it. Prompts are those of the first
tranche, of the kinds that are there; or with prompts_of='all' as many of each
tranche as pairs are trained on.
"""

import json

import numpy as np

from experiments.shared import command, comparisons, people, sources
from experiments.shared.files import read_json
from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run


def part_of(folder, side, count, subset, key):
  """`count` pairs of a tranche, in the order and with the labels of a key.

  Args:
    folder: of the tranche.
    side: 'train' or 'test'.
    count: of pairs.
    subset: of sources.SUBSETS.
    key: [seed, number of the tranche].

  Raises:
    RunError: if it has not so many.
  """
  pairs = comparisons.load_pairs(folder, side)
  rng = np.random.default_rng([*key, side == 'test'])
  pairs = comparisons.redraw_labels(pairs, rng)
  rows = np.flatnonzero(np.isin(pairs.kind_N, sources.SUBSETS[subset]))
  if len(rows) < count:
    raise RunError(
      f'{folder} has {len(rows)} {subset} pairs to {side} on, wanted {count}: '
      'make more of them, or take fewer'
    )
  return pairs.take(rng.permutation(rows)[:count])


def joined(parts) -> PairArrays:
  """Pairs of several tranches one after the other; no prompt is shared."""
  first = np.cumsum([0, *(x.prompt_index_N.max() + 1 for x in parts)])
  parts = [
    x._replace(prompt_index_N=(x.prompt_index_N + n).astype(np.int32))
    for x, n in zip(parts, first, strict=False)
  ]
  return PairArrays(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def forget_odds(pairs):
  """The pairs with labels that stay as they are: p_label is unknown."""
  return pairs._replace(p_label_N=np.full_like(pairs.p_label_N, np.nan))


def mixed(config, side):
  """The mixture of a side."""
  counts = {'train': config['train_counts'], 'test': config['test_counts']}
  dirs, numbers = config['tranche_dirs'], config['tranche_numbers']
  rows = zip(dirs, numbers, counts[side], strict=True)
  parts = [
    part_of(folder, side, count, config['subset'], [config['seed'], number])
    for folder, number, count in rows
    if count
  ]
  pairs = joined(parts)
  return forget_odds(pairs) if side == 'train' else pairs


def prompts_of(config):
  """{side: [(text, kind)]}: of the first tranche, or of all of them."""
  kinds = [list(people.TRANCHES)[i] for i in sources.SUBSETS[config['subset']]]
  every = config.get('prompts_of', 'first') == 'all'
  counts = config['train_counts'] if every else [None]
  found = {'train': [], 'test': []}
  for folder, count in zip(config['tranche_dirs'], counts, strict=every):
    for side, rows in read_json(f'{folder}/prompts.json').items():
      found[side] += [x for x in rows if x[1] in kinds][:count]
  return found


def run(config, workdir):
  """Writes `train.npz`, `test.npz` and `prompts.json`."""
  row = {k: config[k] for k in ('role', 'seed', 'half', 'size')}
  about = About('mix_tranches', 'comparisons')
  with Run(workdir, config, row | {'n_params': 0}, about=about) as run_:
    if run_.done:
      return
    counts = {}
    for side in ('train', 'test'):
      pairs = mixed(config, side)
      np.savez(run_.path / f'{side}.npz', **pairs._asdict())
      counts[side] = len(pairs.kind_N)
    found = prompts_of(config)
    (run_.path / 'prompts.json').write_text(json.dumps(found))
    run_.finish(**counts)


if __name__ == '__main__':
  command.main(run, 'configs/mix.py')
