"""A further tranche of comparisons: of deployed policies, or best of k.

    python -m experiments.make_tranche --config=configs/tranche.py --workdir=DIR

The base tranche compares two samples of a language model (make_comparisons).
Later ones compare the best of k samples by a preference model (rejection
sampling), or replies of several snapshots of several policies (online; Bai et
al. 2022, sections 2.3 and 4.5). Prompts are those of the base tranche, and stay
on its two sides. Who compares is one of `experiments/shared/label_sources.py`.
With labels='queue' nothing is sampled: people have talked with the policies on
the page of apps/feedback, and its database is read
(`experiments/shared/queued.py`).

Written are train.npz, test.npz and prompts.json, as every stage of pairs has
them; the same in the format of the HH release, below data/; and where a reader
of people's answers stopped, queue.json, where the next round goes on. Of a page
also who won against whom, deployed.csv and deployed_games.csv.
"""

import collections
import json
from pathlib import Path

import jax
import numpy as np

from experiments.shared import (
  command,
  comparisons,
  label_sources,
  policies,
  queued,
  writers,
)
from experiments.shared.devices import jit_named
from experiments.shared.files import read_json, write_csv
from experiments.shared.models import arithmetic, open_base, open_scorer
from experiments.shared.trained import score_function
from rlhf_jax.analysis import deployed
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_prompt,
  encode_reply,
  pad_batch,
)
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run

SIDES = ('train', 'test')
BATCH = 256  # replies that a judge reads at once
PASSES = 20  # over fresh prompts, before too many replies are found equal


def prompts_of(config):
  """{side: [(text, kind)]} of the prompts that are asked.

  Raises:
    RunError: if a side has none of the kind.
  """
  found = read_json(f'{config["comparisons_dir"]}/prompts.json')
  own = {s: [(t, k) for t, k in found[s] if k == config['kind']] for s in SIDES}
  if not all(own.values()):
    raise RunError(
      f'{config["comparisons_dir"]} has no {config["kind"]} prompts on one of '
      'its sides: take another kind'
    )
  return own


def open_writers(config):
  """[Writer] of `writer_dirs`."""
  plain = {'size': '', 'pad_token': '', **arithmetic(config)}
  found = [open_base(plain | {'base': path}) for path in config['writer_dirs']]
  return [policies.writer_of(base, config['max_reply']) for base in found]


def open_ranker(config):
  """The Ranker of `ranker_dir` and `best_of`, or None where one is sampled.

  Raises:
    ValueError: if there are several to choose from and no ranker.
  """
  if config['best_of'] == 1:
    return None
  if not config['ranker_dir']:
    raise ValueError(
      f'best_of={config["best_of"]} wants a ranker_dir, a run of train_pm that '
      'chooses'
    )
  computes = arithmetic(config)
  pm = open_scorer(config['ranker_dir'], computes=computes)
  base = open_base(
    {'base': config['writer_dirs'][0], 'size': '', 'pad_token': ''} | computes,
    weights=False,
  )
  found = policies.scorers_of({}, base, [pm, pm], None)
  score = jit_named(found.functions[0], f'ranker_{pm.size}')
  return writers.Ranker(score, found.weights[0], config['best_of'])


def judge_scores(config):
  """(texts, replies) -> score_N of the preference model in `judge_dir`."""
  pm = open_scorer(config['judge_dir'], computes=arithmetic(config))
  words, longest = pm.tokenizer, config['max_prompt'] + config['max_reply']
  program = jit_named(score_function(pm.functions, pm.way), f'judge_{pm.size}')

  def score(texts, replies):
    prompts = [encode_prompt(words, x, config['max_prompt'])[0] for x in texts]
    said = [encode_reply(words, x, config['max_reply'])[0] for x in replies]
    rows = [a + b for a, b in zip(prompts, said, strict=True)]
    rows = append_end_of_context(
      *pad_batch(rows, longest, words.pad_id),
      words.end_of_context_id,
      words.pad_id,
    )
    first_N = np.array([len(ids) for ids in prompts], np.int32)
    columns = rows[0], first_N, rows[1]
    parts = []
    for i in range(0, len(texts), BATCH):
      part = [x[i : i + BATCH] for x in columns]
      grow = BATCH - len(part[0])
      full = [
        np.pad(x, [(0, grow)] + [(0, 0)] * (x.ndim - 1), 'edge') for x in part
      ]
      out = np.asarray(program((pm.frozen, pm.trained), *full))
      parts.append(out[: len(part[0])])
    return np.concatenate(parts) if parts else np.zeros(0)

  return score


def ask(config, base, ranker, found, count, key):
  """Pairs to compare: two replies to each of `count` prompts, the usable ones.

  Each reply is by a writer of its own, all of them equally likely.

  Args:
    config: of the stage.
    base: [Writer].
    ranker: of `open_ranker`.
    found: [(text, kind)] to draw prompts from, as often as they were asked.
    count: prompts.
    key: (seed, side, pass), which draws everything.

  Returns:
    list of Asked.
  """
  rng = np.random.default_rng(key)
  drawn = [found[i] for i in rng.integers(len(found), size=count)]
  writer_R = rng.integers(len(base), size=2 * count)
  said = [''] * (2 * count)
  for w, one in enumerate(base):
    rows = np.flatnonzero(writer_R == w)
    if not len(rows):
      continue
    seed = jax.random.key(int(rng.integers(2**31)))
    texts = [drawn[i // 2][0] for i in rows]
    own = writers.replies_of(one, texts, config, seed, ranker, f'writer {w}')
    for i, reply in zip(rows, own, strict=True):
      said[i] = reply
  pairs = zip(drawn, said[::2], said[1::2], strict=True)
  pairs = [label_sources.Asked(t, k, a, b) for (t, k), a, b in pairs]
  return [x for x in pairs if usable(x, base[0].tokenizer, config)]


def usable(asked, tokenizer, config):
  """Whether a pair stays one in tokens.

  Its replies differ, are not empty, and write no turn: a reply that begins with
  one of the assistant would make another prompt, of no known side.
  """
  sides = asked.text + asked.first, asked.text + asked.second
  pair = make_comparison(*sides, config['source'], kind=asked.kind)
  if not queued.stays(pair, tokenizer, config):
    return False
  return comparisons.sources.split_reply(pair.chosen)[0] == asked.text


def enough(config, base, ranker, found, side, count):
  """At least `count` Asked of a side, in passes over fresh prompts.

  Raises:
    RunError: if nearly all replies to a prompt are equal.
  """
  kept = []
  for i in range(PASSES):
    missing = count - len(kept)
    if missing <= 0:
      return kept[:count]
    # A little more than is missing: the share of equal ones so far is known.
    share = len(kept) / (i * count) if kept else 0.9
    key = [config['seed'], SIDES.index(side), i]
    ahead = min(4 * count, int(missing / max(share, 0.2)) + 8)
    kept += ask(config, base, ranker, found, ahead, key)
  raise RunError(
    f'{len(kept)} of {count} pairs have two different replies: the writers '
    'have collapsed; deploy earlier snapshots, or lower pairs'
  )


def position(config):
  """Where the round before stopped reading; {} of the first."""
  before = config['before_dir']
  return read_json(Path(before) / 'queue.json') if before else {}


def labelled(config, run_, asked):
  """{side: [Comparison]} of what the label source says, and its position.

  Args:
    config: of the stage.
    run_: Run.
    asked: {side: [Asked]}.
  """
  judge = lambda: judge_scores(config)
  source = label_sources.source_of(config, run_.path, position(config), judge)
  rng = np.random.default_rng([config['seed'], 9])
  everything = [x for side in SIDES for x in asked[side]]
  found = source.label(everything, rng, len(everything))
  tested = {x.text for x in asked['test']}
  sides = {side: [] for side in SIDES}
  for item in found.comparisons:
    prompt = comparisons.sources.split_reply(item.chosen)[0]
    sides[SIDES[prompt in tested]].append(item)
  return sides, found.position


def from_replies(config, run_):
  """(sides, position, tokenizer) of replies that are sampled and compared."""
  base = open_writers(config)
  asked = asked_before(run_.path)
  if asked is None:
    ranker, found = open_ranker(config), prompts_of(config)
    wanted = {'train': config['pairs'], 'test': config['test_pairs']}
    asked = {
      side: enough(config, base, ranker, found[side], side, wanted[side])
      for side in SIDES
    }
    keep_asked(run_.path, asked)
  return *labelled(config, run_, asked), base[0].tokenizer


def from_page(config, run_):
  """(sides, position, tokenizer) of what people have said on the page."""
  asked = {'base': config['writer_dirs'][0], 'size': '', 'pad_token': ''}
  words = open_base(asked | arithmetic(config), weights=False).tokenizer
  taken = queued.take(config, position(config), words)
  found = deployed.standings(taken.games, taken.players)
  players, pairs = deployed.player_rows(found), deployed.pair_rows(found)
  write_csv(run_.path / 'deployed.csv', players)
  if pairs:
    write_csv(run_.path / 'deployed_games.csv', pairs)
  return taken.sides, taken.position, words


def run(config, workdir):
  """Has replies compared, or reads what people said; writes the tranche."""
  row = {k: config[k] for k in ('role', 'seed', 'half', 'size')}
  about = About('make_tranche', 'comparisons')
  row['n_params'] = 0
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    made = from_page if config['labels'] == 'queue' else from_replies
    sides, read_to, words = made(config, run_)
    for side, items in sides.items():
      name = run_.path / 'data' / config['source'] / f'{side}.jsonl.gz'
      write_comparisons(name, items)
    size = config['max_prompt'], config['max_reply']
    kept = comparisons.write_splits(
      run_.path,
      sides,
      words,
      config['seed'],
      size,
      config['coin_flip_labels'],
    )
    (run_.path / 'queue.json').write_text(json.dumps(read_to))
    run_.finish(**kept, writers=len(config['writer_dirs']))


def asked_before(path):
  """What a run that was stopped had already sampled; None if nothing."""
  file = path / 'replies.json'
  if not file.exists():
    return None
  found = collections.defaultdict(list)
  for side, rows in read_json(file).items():
    found[side] = [label_sources.Asked(*row) for row in rows]
  return found


def keep_asked(path, asked):
  """Writes what was sampled, whole or not at all."""
  part = path / 'replies.json.part'
  part.write_text(json.dumps(asked))
  part.replace(path / 'replies.json')


if __name__ == '__main__':
  command.main(run, 'configs/tranche.py', several=True)
