"""Tables of a preference model's run: pm_curve, pm_pairs, floors, pairs."""

import json

import numpy as np
import pandas as pd

from experiments.shared.files import write_csv
from experiments.shared.sources import SUBSETS
from rlhf_jax.analysis import calibration, intervals
from rlhf_jax.evals import preference
from rlhf_jax.train import hosts

DRAWS = 2000  # of a bootstrap
EXAMPLES = 8  # pairs that the page of a run shows


def accuracy_rows(config, pairs, sides, seen):
  """Rows of pm_curve from the scores of both sides, one a kind of pair.

  Args:
    config: train_subset, schedule.
    pairs: PairArrays of the test pairs that were scored.
    sides: (chosen_N, rejected_N).
    seen: training pairs seen so far.
  """
  rows = []
  for subset, kinds in SUBSETS.items():
    keep = np.isin(pairs.kind_N, kinds)
    if not keep.any():
      continue
    part = sides[0][keep], sides[1][keep]
    rows.append(
      {
        'train_subset': config['train_subset'],
        'schedule': config['schedule'],
        'pairs': seen,
        'eval_subset': subset,
        'accuracy': preference.accuracy(*part),
        'expected_accuracy': preference.expected_accuracy(
          *part, pairs.p_label_N[keep]
        ),
        'n_eval': int(keep.sum()),
      }
    )
  return rows


def pair_table(config, pairs, sides, seen):
  """The rows of pm_pairs: scores of every pair, and the worker's probability.

  The arguments are those of `accuracy_rows`.
  """
  chosen_N, rejected_N = sides
  return pd.DataFrame(
    {
      'train_subset': config['train_subset'],
      'schedule': config['schedule'],
      'pairs': seen,
      'pair_id': np.arange(len(chosen_N)),
      'prompt_id': pairs.prompt_index_N,
      'subset': np.where(pairs.kind_N == 0, 'helpful', 'harmless'),
      'turn': pairs.turn_N,
      'score_chosen': np.round(chosen_N, 5),
      'score_rejected': np.round(rejected_N, 5),
      'p_label': np.round(pairs.p_label_N, 5),
      'words_chosen': pairs.words_chosen_N,
      'words_rejected': pairs.words_rejected_N,
    }
  )


@hosts.by_one
def write_pairs(path, table):
  """Writes pm_pairs.csv.gz; equal tables give equal bytes."""
  how = {'method': 'gzip', 'mtime': 0}
  table.to_csv(path / 'pm_pairs.csv.gz', index=False, compression=how)


@hosts.by_one
def write_examples(path, tokenizer, pairs, sides):
  """Writes pairs.json: the first test pairs as text, with their scores.

  Args:
    path: of the run.
    tokenizer: of the pairs.
    pairs: PairArrays.
    sides: (chosen_N, rejected_N), scores of as many rows as are wanted.
  """
  found = []
  for i, scores in enumerate(zip(*sides, strict=True)):
    start, (chosen, rejected) = pairs.prompt_length_N[i], scores
    reply = lambda ids_T, end, p=start: tokenizer.decode(ids_T[p:end].tolist())
    prompt = pairs.chosen_tokens_NT[i][:start].tolist()
    found.append(
      {
        'prompt': tokenizer.decode(prompt),
        'chosen': reply(pairs.chosen_tokens_NT[i], pairs.chosen_length_N[i]),
        'rejected': reply(
          pairs.rejected_tokens_NT[i], pairs.rejected_length_N[i]
        ),
        'scores': {'chosen': float(chosen), 'rejected': float(rejected)},
      }
    )
  part = path / 'pairs.json.part'
  part.write_text(json.dumps(found, indent=1), encoding='utf-8')
  part.replace(path / 'pairs.json')


def floor_rows(table, draws=DRAWS):
  """Rows of floors: accuracy by kind of pair, beside 'the longer reply wins'.

  Where all pairs are of one kind there is no mixture, and no row of one.

  Intervals are percentile bootstraps over conversations, of one trained model:
  they say nothing of what another seed would give.

  Args:
    table: rows of pm_pairs.
    draws: bootstrap samples.
  """
  rng, lines = np.random.default_rng(0), []
  kinds = list(table.groupby('subset'))
  for subset, part in [('mix', table), *kinds] if len(kinds) > 1 else kinds:
    right_N = calibration.agreement(part)
    longer_N = 0.5 + 0.5 * np.sign(part.words_chosen - part.words_rejected)
    over_N = right_N - longer_N.to_numpy()
    row = {'subset': subset, 'pairs': len(part)}
    for name, x_N in (
      ('accuracy', right_N),
      ('longer_wins', longer_N.to_numpy()),
      ('over_longer', over_N),
    ):
      found = intervals.cluster_bootstrap(
        x_N, part.prompt_id.to_numpy(), rng, draws
      )
      row |= {name: found.mean, f'{name}_low': found.low}
      row |= {f'{name}_high': found.high}
    lines.append(row)
  return lines


@hosts.by_one
def write_floors(path, seed):
  """Writes floors.csv from the pairs of a run, and prints it."""
  lines = floor_rows(pd.read_csv(path / 'pm_pairs.csv.gz'))
  write_csv(path / 'floors.csv', lines)
  print(f'held-out pairs, one seed ({seed}); 95 % intervals over conversations')
  for row in lines:
    cells = [
      f'{name} {row[name]:.3f} [{row[f"{name}_low"]:.3f}, '
      f'{row[f"{name}_high"]:.3f}]'
      for name in ('accuracy', 'longer_wins', 'over_longer')
    ]
    print(f'{row["subset"]:>8} {row["pairs"]:>5} pairs  {"  ".join(cells)}')
