"""Models of all sizes as they are, with the HHH prompt, and distilled.

    python -m experiments.evaluate_prompted --config=configs/prompted.py \
        --workdir=DIR

All answer the same prompts, and every two of one reading are compared by the
workers; all choose between a good and a bad reply by their log-probabilities
(the alignment evaluation of Askell et al. 2021, section 2.2, in the simulated
world); and all read held-out text, which shows what the rest costs.
"""

import functools

import jax
import numpy as np

from experiments.shared import command, policies, sources
from experiments.shared.choices import encode_choices, share_right
from experiments.shared.devices import jit_named
from experiments.shared.files import read_arrays, write_csv
from experiments.shared.models import open_base
from experiments.shared.pages import hhh_ids, with_prefix
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals.language import make_text_loss, nats_per_token
from rlhf_jax.models import ladder
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts

READINGS = ('plain', 'prompted', 'distilled')
MARGIN = 1.0  # log-odds between a good and a bad reply: few would disagree


def choices_of(config, world, rng):
  """[(prompt, good reply, bad reply)]: an expert's, and a poor author's.

  Pairs that are not clearly apart are drawn again.
  """
  rules, found = rules_of(world), []
  while len(found) < config['choices']:
    prompt = rules.sample_prompt(world, rng)
    good = rules.human_reply(world, rng, prompt)
    bad = rules.write_reply(world, rng, prompt, 0.0)
    pair = [prompt.text] * 2, [prompt.kind] * 2, [good, bad]
    gold_2 = sources.gold_scores(world, *pair)
    if gold_2[0] - gold_2[1] > MARGIN:
      found.append((prompt.text, good, bad))
  return found


@functools.cache
def page_loss(functions, label):
  """Jitted loss of held-out pages."""
  loss = make_text_loss(policies.split_model(functions))
  return jit_named(loss, f'pages_loss_{label}')


class Judge:
  """Questions to a reading of a model, the same for all of them."""

  def __init__(self, config, tokenizer):
    """Draws prompts and choices of the seed, and encodes them.

    Args:
      config: of the stage.
      tokenizer: of all models.
    """
    self._config, self._words = config, tokenizer
    self._world = sources.world_of(config['world'])
    rng = np.random.default_rng([config['seed'], 2])
    prompts = sources.sample_prompts(self._world, rng, config['samples'])
    self._texts = [p.text for p in prompts]
    self.kinds = [p.kind for p in prompts]
    self._arrays = encode_prompts(self._texts, tokenizer, config['max_prompt'])
    choices = choices_of(config, self._world, rng)
    self._choices = encode_choices(tokenizer, choices, config)
    self._prefix = hhh_ids(tokenizer, self._world, config)
    held = read_arrays(
      f'{config["pages_dir"]}/heldout.npz', 'tokens_NT', 'length_N'
    )
    self._held = held['tokens_NT'].astype(np.int32), held['length_N']

  def ask(self, base, reading):
    """(gold_N of its replies, share of right choices, nats a token)."""
    prefix = self._prefix if reading == 'prompted' else []
    return (
      self._gold(base, prefix),
      self._chosen(base, prefix),
      self._loss(base),
    )

  def _gold(self, base, prefix):
    config = self._config
    sampling = policies.sampling_of(self._words, config['max_reply'])
    sample = policies.sampler(base.functions, base.size, sampling)
    arrays, N, found = self._arrays, config['samples'], []
    key = jax.random.key(config['seed'])
    for i in range(0, N, config['eval_batch']):
      part = slice(i, i + config['eval_batch'])
      rows = with_prefix(prefix, arrays.tokens_NP[part], arrays.length_N[part])
      out = sample(base.params, Prompts(*rows, np.arange(N)[part]), key)
      found += policies.decoded(self._words, *jax.device_get(out[:3]))
    return sources.gold_scores(self._world, self._texts, self.kinds, found)

  def _chosen(self, base, prefix):
    tokens_NT, first_N, length_N = self._choices
    tokens_NT, length_N = with_prefix(prefix, tokens_NT, length_N)
    rows = tokens_NT, first_N + len(prefix), length_N
    return share_right(base, rows, self._config['eval_batch'])

  def _loss(self, base):
    loss = page_loss(base.functions, base.size)
    batch = self._config['eval_batch']
    return nats_per_token(loss, base.params, *self._held, batch)

  def win_rate(self, ours_N, theirs_N):
    """P(the first of two models is preferred), over prompts and workers."""
    found_N = sources.win_probability(
      self._world, self.kinds, ours_N, theirs_N[:, None]
    )
    return float(found_N.mean())


def models_of(config):
  """Yields (reading, opened model): each size in turn."""
  names = config['sizes'], config['lm_dirs'], config['distilled_dirs']
  for size, lm, student in zip(*names, strict=True):
    for reading in READINGS:
      name = student if reading == 'distilled' else lm
      named = {'base': name, 'size': size, 'pad_token': ''}
      yield reading, open_base(config | named)


def tables_of(config, progress):
  """(rows of prompted.csv, rows of games.csv)."""
  rows, gold, judge = [], {}, None
  models = models_of(config)
  for _ in progress(0, len(READINGS) * len(config['sizes'])):
    reading, base = next(models)
    judge = judge or Judge(config, base.tokenizer)
    gold_N, right, nats = judge.ask(base, reading)
    model = {'model': base.size, 'model_params': base.n_params}
    helpful_N = np.array(judge.kinds) == 'helpful'
    gold[reading, base.size] = gold_N, model
    rows.append(
      model
      | {
        'reading': reading,
        'gold': float(gold_N.mean()),
        'gold_helpful': float(gold_N[helpful_N].mean()),
        'gold_harmless': float(gold_N[~helpful_N].mean()),
        'accuracy': right,
        'nats_per_token': nats,
        'n_prompts': len(gold_N),
        'n_choices': config['choices'],
      }
    )
  games = [
    ours
    | {'other': theirs['model'], 'other_params': theirs['model_params']}
    | {'reading': reading, 'win_rate': judge.win_rate(ours_N, theirs_N)}
    | {'n_prompts': len(ours_N)}
    for (reading, one), (ours_N, ours) in gold.items()
    for (same, other), (theirs_N, theirs) in gold.items()
    if same == reading and one != other
  ]
  return rows, games


def run(config, workdir):
  """Writes `prompted.csv` and `games.csv`."""
  size = config['sizes'][-1]
  row = {'role': 'prompted', 'size': size, 'seed': config['seed']}
  row |= {'n_params': ladder.rung(size).non_embedding, 'half': 'all'}
  about = About('evaluate_prompted', 'table')
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    rows, games = tables_of(config, run_.progress)
    write_csv(run_.path / 'prompted.csv', rows)
    if games:  # one size plays against nobody
      write_csv(run_.path / 'games.csv', games)
    for line in rows:
      print(
        '{model:>6} {reading:>10}: gold {gold:.3f}, right choices '
        '{accuracy:.3f}, {nats_per_token:.3f} nats a token'.format(**line)
      )
    run_.finish(models=len(rows))


if __name__ == '__main__':
  command.main(run, 'configs/prompted.py', report=True, several=True)
