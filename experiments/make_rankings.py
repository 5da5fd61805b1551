"""Rankings of K replies to each prompt, and demonstrations beside them.

    python -m experiments.make_rankings --config=configs/rankings.py \
        --workdir=DIR

To each prompt, which comes once, a language model writes `least` to `most`
replies, and one simulated worker puts them in an order, with ties where two
scores are written alike (`crowd.workers.rank`). Written are the records,
train.jsonl.gz and test.jsonl.gz, whose prompts are on the sides that they have
in the comparisons; demonstrations.jsonl.gz, a reply by an expert to training
prompts; and the pairs of all rankings as every stage of pairs has them
(train.npz, test.npz, prompts.json), so that whatever reads comparisons reads
these.
"""

import json

import jax
import numpy as np

from experiments.shared import command, policies, rankings, sources, writers
from experiments.shared.models import open_base, text_tokenizer
from rlhf_jax.crowd import workers
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.pairs import prompt_uniform
from rlhf_jax.data.rankings import make_ranking, write_rankings
from rlhf_jax.data.records import prompt_hash
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run

SIDES = ('train', 'test')
DRAWS = 50  # of as many prompts as are wanted, before too few are different


def draw_prompts(config, world, rng):
  """{side: [Prompt]} of different prompts, as many as are asked for.

  Args:
    config: prompts, test_prompts, test_fraction, data.split_seed.
    world: the World.
    rng: NumPy generator.

  Raises:
    RunError: if the world has not so many.
  """
  wanted = {'train': config['prompts'], 'test': config['test_prompts']}
  found, total = {side: {} for side in SIDES}, sum(wanted.values())
  held, seed = config['test_fraction'], config['data']['split_seed']
  for _ in range(DRAWS):
    for prompt in sources.sample_prompts(world, rng, total):
      named = prompt_hash(prompt.text)
      side = SIDES[prompt_uniform(named, seed) >= 1 - held]
      if len(found[side]) < wanted[side]:
        found[side].setdefault(named, prompt)
    if all(len(found[side]) == wanted[side] for side in SIDES):
      return {side: list(own.values()) for side, own in found.items()}
  there = ', '.join(f'{len(found[side])} to {side} on' for side in SIDES)
  raise RunError(
    f'wanted {wanted["train"]} and {wanted["test"]} different prompts, the '
    f'world gave {there}: lower prompts or test_prompts'
  )


def ranked(config, writer, world, prompts, rng):
  """[Ranking] of K replies to each prompt, K drawn evenly.

  Args:
    config: seed, least, most, tie_step, max_prompt, sample_batch.
    writer: Writer.
    world: the World.
    prompts: [Prompt].
    rng: NumPy generator.
  """
  count_N = rng.integers(config['least'], config['most'] + 1, len(prompts))
  texts = [
    prompt.text
    for prompt, count in zip(prompts, count_N, strict=True)
    for _ in range(count)
  ]
  key = jax.random.key(int(rng.integers(2**31)))
  said = writers.replies_of(writer, texts, config, key)
  found, first = [], 0
  for prompt, count in zip(prompts, count_N, strict=True):
    own, first = said[first : first + count], first + count
    step = config['tie_step']
    found.append(workers.rank(world, rng, prompt, own, step))
  return found


def demonstrations_of(world, prompts, rng):
  """[Ranking] of one reply each, an expert's."""
  reply = rules_of(world).human_reply
  return [
    make_ranking(
      prompt.text,
      [reply(world, rng, prompt)],
      [0],
      'demonstration',
      'helpful' if prompt.kind == 'helpful' else 'harmless',
    )
    for prompt in prompts
  ]


def write_pairs(config, path, found):
  """Writes SIDE.npz of all pairs, and prompts.json; returns counts by side.

  Args:
    config: max_prompt, max_reply, and where the tokenizer is.
    path: of the run.
    found: {side: [Ranking]}.
  """
  size, summary = (config['max_prompt'], config['max_reply']), {}
  arrays = rankings.encoded(found, text_tokenizer(config), size)
  for side, (own, counts) in arrays.items():
    pairs = rankings.pairs_of(own).pairs
    np.savez_compressed(path / f'{side}.npz', **pairs._asdict())
    tied = rankings.tied_share(own)
    summary[side] = counts | {'pairs': len(pairs.kind_N), 'tied': tied}
  prompts = {s: [(x.prompt, x.kind) for x in own] for s, own in found.items()}
  (path / 'prompts.json').write_text(json.dumps(prompts))
  return summary


def run(config, workdir):
  """Samples, has the replies ranked, and writes everything.

  Raises:
    ValueError: if `most` is below `least`.
    RunError: of `draw_prompts`.
  """
  if config['most'] < config['least']:
    raise ValueError(
      f'wanted most of {config["least"]} replies or more, as least is, got '
      f'{config["most"]}'
    )
  about = About('make_rankings', 'comparisons')
  with Run(
    workdir, config, {'role': 'rankings'}, about=about, apart=True
  ) as run_:
    if run_.done:
      return
    world = sources.world_of(config['world'])
    rng = np.random.default_rng(config['seed'])
    named = {'base': config['lm_dir'], 'size': config['lm_size']}
    base = open_base(config | named | {'pad_token': ''})
    writer = policies.writer_of(base, config['max_reply'])
    prompts = draw_prompts(config, world, rng)
    found = {
      side: ranked(config, writer, world, prompts[side], rng) for side in SIDES
    }
    for side in SIDES:
      write_rankings(run_.path / f'{side}.jsonl.gz', found[side])
    shown = prompts['train'][: config['demonstrations']]
    shown = demonstrations_of(world, shown, rng)
    write_rankings(run_.path / rankings.DEMONSTRATIONS, shown)
    run_.finish(**write_pairs(config, run_.path, found))


if __name__ == '__main__':
  command.main(run, 'configs/rankings.py', several=True)
