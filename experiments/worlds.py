"""Measures a simulated world by what needs no RL (docs/worlds.md).

    python -m experiments.worlds --root=STUDY --workdir=DIR

STUDY has the texts of stage 1, from which the world is known, and as many as
there are of: lm/*, runs of train_lm; frontier/*, runs of `experiments.frontier
--policy`; pm/*, runs of train_pm that kept scores of test pairs. Written are

    worlds.csv    a row a kind of prompt and writer: authors, experts (whose
                  replies are written here) and language models, with the mean
                  of gold, its spread within prompts, and the frontier's bow,
                  exponent and end, skew and excess kurtosis of the scores, of
                  pi_0 and tilted: to where INNER effective replies carry the
                  curve, and to its end, where normal scores, drawn as often,
                  lie between `normal_skew_low` and `normal_skew_high`
    families.csv  accuracy of each preference model by family of request, beside
                  the best that any could expect there
"""

import functools
import math
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags

from experiments.shared import command, comparisons, sources
from experiments.shared.files import write_csv
from experiments.shared.models import text_tokenizer
from rlhf_jax.analysis import frontier
from rlhf_jax.analysis.gain_bound import MIN_ESS
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.evals import preference
from rlhf_jax.train import about
from rlhf_jax.train.run import Run

KINDS = {'helpful': 'helpful', 'harmless': 'harmful'}
INNER = 8 * MIN_ESS
normal_moments = functools.cache(frontier.normal_moments)


def row_of(writer, kind, score_PN, **more):
  """A row of worlds.csv from the scores of many replies to each prompt."""
  edge = frontier.curve(score_PN)
  found = frontier.moments(score_PN)
  row = {'writer': writer, 'kind': kind, 'gold': float(score_PN.mean())}
  row |= {'spread': math.sqrt(found['variance'])} | frontier.shape(edge)
  row |= {key: found[key] for key in ('skew', 'kurtosis')}
  row |= inner_moments(edge)
  row |= frontier.tilted_moments(edge)
  row |= renamed(normal_moments(score_PN.shape), 'tilted', 'normal')
  return row | {'nats': math.nan, 'n_params': 0} | more


def inner_moments(edge):
  """Moments where INNER replies carry the curve; NaN where they never do."""
  inner = frontier.carried(edge, INNER)
  if len(inner) < 3:  # three coefficients
    return dict.fromkeys(('inner_skew', 'inner_kurtosis', 'inner_sqrt_kl'))
  found = renamed(frontier.tilted_moments(inner), 'tilted', 'inner')
  return found | {'inner_sqrt_kl': math.sqrt(inner['kl'].max())}


def renamed(values, old, new):
  """A dict whose keys begin with another word."""
  return {key.replace(old, new): value for key, value in values.items()}


def written_scores(world, kind, write, prompts, replies):
  """score_PN of replies by a writer: (rng, prompt) -> reply."""
  rng = np.random.default_rng([2, prompts])
  asked = sources.sample_prompts(world, rng, prompts, KINDS[kind])
  score = lambda prompt: sources.gold_scores(
    world,
    [prompt.text] * replies,
    [kind] * replies,
    [write(rng, prompt) for _ in range(replies)],
  )
  return np.stack([score(prompt) for prompt in asked])


def writer_rows(world, prompts, replies, progress):
  """Rows of worlds.csv of the world's own writers."""
  rules = rules_of(world)
  author = lambda rng, p: rules.write_reply(world, rng, p, rng.random())
  expert = lambda rng, p: rules.human_reply(world, rng, p)
  todo = [(name, w) for name, w in (('authors', author), ('experts', expert))]
  rows = []
  for i in progress(0, len(todo) * len(KINDS)):
    (name, write), kind = todo[i // len(KINDS)], list(KINDS)[i % len(KINDS)]
    scores = written_scores(world, kind, write, prompts, replies)
    rows.append(row_of(name, kind, scores))
  return rows


def finished(root, pattern):
  """The finished runs of a study whose folder has that name, in order."""
  return sorted(path.parent for path in Path(root).glob(f'{pattern}/done.json'))


def model_rows(root):
  """Rows of worlds.csv of language models, from their frontiers and lm.csv."""
  rows = []
  for path in finished(root, 'frontier/*'):
    run = about.read(path)
    if not run.config.get('policy') or run.config['pm']:
      continue
    with np.load(path / 'scores.npz') as scores:
      gold_PN, nats_PN = scores['gold'], scores['nats']
    own = {'nats': float(nats_PN.mean()), 'n_params': run.row['n_params']}
    rows.append(row_of(run.row['size'], run.config['kind'], gold_PN, **own))
  return sorted(rows, key=lambda row: (row['kind'], row['n_params']))


def family_rows(root, world):
  """Rows of families.csv: each preference model on each family of request."""
  rows, recognise = [], rules_of(world).recognise
  for path in finished(root, 'pm/*'):
    if not (path / 'pm_pairs.csv.gz').exists():
      continue
    run, table = about.read(path), pd.read_csv(path / 'pm_pairs.csv.gz')
    pairs = comparisons.load_pairs(run.config['comparisons_dir'], 'test')
    words = text_tokenizer(run.config)
    prompt = lambda i, p=pairs, w=words: w.decode(
      p.chosen_tokens_NT[i][: p.prompt_length_N[i]].tolist()
    )
    families = [recognise(world, prompt(i)).family for i in table['pair_id']]
    sides = table.groupby(['subset', np.array(families)])
    for (kind, family), part in sides:
      p_N = part['p_label'].to_numpy()
      both = part['score_chosen'].to_numpy(), part['score_rejected'].to_numpy()
      rows.append(
        {
          'size': run.row['size'],
          'pairs': int(part['pairs'].iloc[0]),
          'kind': kind,
          'family': family,
          'accuracy': preference.expected_accuracy(*both, p_N),
          'ceiling': float(np.maximum(p_N, 1 - p_N).mean()),
          'n': len(part),
        }
      )
  return rows


def run(options):
  """Measures and writes; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  root = options['root']
  text = about.read(Path(root) / 'text')
  world = sources.world_of(text.config['world'])
  keys = ('root', 'prompts', 'replies')
  row = {'role': 'worlds', 'seed': 0, 'size': '', 'n_params': 0, 'half': 'all'}
  kind = about.About('worlds', 'table')
  config = {key: options[key] for key in keys}
  with Run(Path(options['workdir']), config, row, about=kind) as run_:
    if run_.done:
      print(f'{run_.path} is finished: its tables are there')
      return
    write = functools.partial(
      writer_rows, world, options['prompts'], options['replies']
    )
    rows = write(run_.progress) + model_rows(root)
    rows = [{'world': world.name} | row for row in rows]
    families = [{'world': world.name} | r for r in family_rows(root, world)]
    write_csv(run_.path / 'worlds.csv', rows)
    for name, found in (('worlds', rows), ('families', families)):
      if found:
        write_csv(run_.path / f'{name}.csv', found)
        print(pd.DataFrame(found).round(3).to_string(index=False))
    run_.finish(rows=len(rows), families=len(families))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('root', None, 'Folder of the study.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('prompts', 24, 'Prompts of each kind.'),
    flags.DEFINE_integer('replies', 1024, 'Replies of a writer to each.'),
  ]
  command.main_of_flags(run, values, ('root', 'workdir'))


if __name__ == '__main__':
  main()
