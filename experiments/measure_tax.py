"""Policies beside each other: loss on pretraining text, gold, win rates.

    python -m experiments.measure_tax --text=RUN --comparisons=RUN \
        --policies=RUN,RUN --workdir=DIR

What reinforcement learning costs on the text that the language models were
trained on, and what it gains. Every policy, a finished run of train_lm or of
train_ppo, reads held-out text of the pretraining mixture and answers the same
held-out prompts; the crowd says who is preferred. Written are tax.csv, a row a
policy, and win_rates.csv, a row a pair of them. What was measured of a policy
is kept in measured.jsonl: a killed run goes on with the next one.
"""

from pathlib import Path

import numpy as np
from absl import flags

from experiments.shared import command, matches, policies, sources
from experiments.shared.files import read_arrays, read_json, write_csv
from experiments.shared.kept import Journal
from experiments.shared.models import arithmetic, open_base, text_tokenizer
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.evals.language import nats_per_token
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.train import about
from rlhf_jax.train.run import Run

HELD_OUT = 2  # which draw of the world's plain texts, after those of make_text


def held_out_texts(config, text):
  """{kind: (tokens_NT, length_N)} that no language model was trained on.

  Dialogues are those that make_text held out; plain texts of the simulated
  world are drawn anew, and those that are rows of the training text left out.
  Of real plain texts none are held out: the dialogues stand alone.

  Args:
    config: text_dir, heldout_texts (of each kind, at most).
    text: config of the run of make_text.
  """
  most = config['heldout_texts']
  named = 'tokens_NT', 'length_N'
  kept = read_arrays(f'{config["text_dir"]}/heldout.npz', *named)
  found = {'dialogues': tuple(kept[name][:most] for name in named)}
  if text['data']['source'] != 'simulated':
    return found
  rows = read_arrays(f'{config["text_dir"]}/rows.npz', *named)
  known = {
    ids_T[:n].astype(np.int32).tobytes()
    for ids_T, n in zip(*(rows[name] for name in named), strict=True)
  }
  words, plain = text_tokenizer(config), {}
  world, width = sources.world_of(text['world']), rows['tokens_NT'].shape[1]
  rng = np.random.default_rng([text['seed'], HELD_OUT])
  for _ in range(most):
    said = rules_of(world).plain_text(world, rng)
    ids = np.array([*words.encode(said), words.eos_id][:width], np.int32)
    if ids.tobytes() not in known:
      plain[ids.tobytes()] = ids.tolist()
  if plain:
    found['plain'] = pad_batch(list(plain.values()), width, words.pad_id)
  return found


def shares(config):
  """{kind: share} of the tokens that language models learn in training."""
  count = read_json(f'{config["text_dir"]}/done.json')['dialogues']
  rows = read_arrays(f'{config["text_dir"]}/rows.npz', 'length_N')
  learned_N = rows['length_N'].astype(int) - 1
  total = learned_N.sum()
  dialogues = float(learned_N[:count].sum() / total)
  return {'dialogues': dialogues, 'plain': 1 - dialogues}


def losses(config, base, texts, share):
  """{nats, nats_dialogues, nats_plain} of a policy, nats a token.

  The first is that of the training mixture, kinds weighed by their share of
  its tokens; where a kind was not held out, by the shares of the others.
  """
  program, found = policies.text_loss(base.functions, base.size), {}
  for kind, rows in texts.items():
    args = program, base.params, *rows, config['eval_batch']
    found[kind] = nats_per_token(*args)
  total = sum(share[kind] for kind in found)
  mean = sum(share[kind] * nats for kind, nats in found.items()) / total
  each = {f'nats_{kind}': found.get(kind, float('nan')) for kind in share}
  return {'nats': mean} | each


def run(config, workdir):
  """Writes tax and win_rates.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  names = config['writer_names']
  if len(set(names)) < 2 or len(set(names)) < len(names):
    raise ValueError(f'wanted two policies or more of different names: {names}')
  asked = {'size': '', 'pad_token': ''} | arithmetic(config)
  first = open_base(asked | {'base': config['writer_dirs'][0]}, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': first.size, 'n_params': first.n_params}
  kind = about.About('measure_tax', 'table')
  with Run(workdir, config, row, about=kind, apart=True) as run_:
    if run_.done:
      return
    text = about.read(config['text_dir']).config
    simulated = text['data']['source'] == 'simulated'
    world = sources.world_of(text['world']) if simulated else None
    told = config | {k: text[k] for k in ('max_prompt', 'max_reply')}
    texts, share = held_out_texts(config, text), shares(config)
    prompts = matches.held_out(config)
    kept = Journal(run_.path / 'measured.jsonl')
    for i in range(len(kept.rows), len(names)):
      base = open_base(asked | {'base': config['writer_dirs'][i]})
      writer = policies.writer_of(base, told['max_reply'])
      gold_NC, words = matches.answered(told, writer, prompts, world, i)
      row = {'policy': names[i], 'model': base.size}
      row |= {'model_params': base.n_params, 'words': words}
      row |= losses(config, base, texts, share)
      row |= {'gold': float(gold_NC.mean())}
      kept.add([{'row': row, 'gold': gold_NC.tolist()}])
    write_csv(run_.path / 'tax.csv', [found['row'] for found in kept.rows])
    gold = {x['row']['policy']: np.array(x['gold']) for x in kept.rows}
    kinds = [kind for _, kind in prompts]
    games = matches.rows_of(names, gold, kinds, world)
    write_csv(run_.path / 'win_rates.csv', games)
    counts = {kind: len(rows[1]) for kind, rows in texts.items()}
    run_.finish(policies=len(names), prompts=len(prompts), texts=counts)


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('text', None, 'Workdir of make_text.'),
    flags.DEFINE_string('comparisons', None, 'Workdir of make_comparisons.'),
    flags.DEFINE_list('policies', None, 'Workdirs of train_lm or train_ppo.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('texts', 512, 'Held-out texts of each kind.'),
    flags.DEFINE_integer('prompts', 512, 'Held-out prompts.'),
    flags.DEFINE_integer('replies', 2, 'Replies to each.'),
  ]

  def started(options):
    config = {key: options[key] for key in ('prompts', 'replies')}
    config |= {'heldout_texts': options['texts']}
    config |= {'text_dir': options['text']}
    config |= {'comparisons_dir': options['comparisons']}
    config |= {'writer_dirs': options['policies']}
    config['writer_names'] = [Path(x).name for x in options['policies']]
    config |= {'dtype': 'float32', 'matmul': 'float32'}
    config |= {'eval_batch': 64, 'sample_batch': 512}
    config |= {'role': 'tax', 'seed': 0, 'half': 'all'}
    run(config, options['workdir'])

  required = ('text', 'comparisons', 'policies', 'workdir')
  command.main_of_flags(started, values, required, several=True)


if __name__ == '__main__':
  main()
