"""Replies to be read: the same prompts, to every snapshot of a policy.

Of each family of held-out prompts the first few are asked, in the order in
which a run draws them, whatever is written to them. A snapshot answers each of
them several times, apart from the replies that are measured for the tables; the
one of median score by the train PM is kept, of those that are not empty (Bai et
al. 2022, section 6 and appendix C). samples.json has an item a prompt.
"""

import functools
import json
import math
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.shared.devices import jit_read
from experiments.shared.sampling import sampling_of, split_model
from rlhf_jax import digests
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.evals import policy
from rlhf_jax.train import hosts

FILE = 'samples.json'
APART = 2**20  # first name of the rows asked, above those of any measurement
SCORES = {
  'train PM': 'score_0',
  'test PM': 'score_1',
  'gold': 'gold',
  'KL': 'kl',
}


class Asked(NamedTuple):
  """A prompt that is asked.

  Attributes:
    prompt: its text.
    kind: 'helpful' or 'harmless'.
    family: of the world, or of the file that it comes from.
  """

  prompt: str
  kind: str
  family: str


def families_of(world, prompts):
  """The family of each (text, kind): the world's, or without one the kind."""
  if world is None:
    return [kind for _, kind in prompts]
  recognise = rules_of(world).recognise
  return [recognise(world, text).family for text, _ in prompts]


def asked_of(prompts, families, each):
  """The Asked: of each family the first `each` different texts.

  Args:
    prompts: [(text, kind)], in the order in which they were drawn.
    families: of each.
    each: most prompts of a family.
  """
  found = {}
  for (text, kind), family in zip(prompts, families, strict=True):
    own = found.setdefault(family, {})
    if len(own) < each:
      own.setdefault(text, kind)
  return [
    Asked(text, kind, family)
    for family in sorted(found)
    for text, kind in found[family].items()
  ]


def snapshots_of(points, count):
  """`count` of the iterations, first and last, evenly spaced in their list."""
  places_N = np.linspace(0, len(points) - 1, min(count, len(points)))
  return sorted({points[i] for i in places_N.round().astype(int)})


def median_place(score_C, replies):
  """(place of the reply of median score, number of replies that count).

  Those that are empty do not count, unless all are. Of an even number it is the
  lower of the two in the middle, of equal scores the first.
  """
  said_N = np.flatnonzero([bool(reply.strip()) for reply in replies])
  counted_N = said_N if len(said_N) else np.arange(len(replies))
  order_N = np.argsort(np.asarray(score_C)[counted_N], kind='stable')
  return int(counted_N[order_N[(len(order_N) - 1) // 2]]), len(counted_N)


def medians(replies, score_N, count):
  """Places of the replies of median score, one of every `count` in a row.

  Bai et al. 2022, section 6.1, which takes the median of 17; of the replies
  that are not empty (`median_place`).
  """
  return [
    start
    + median_place(
      score_N[start : start + count], replies[start : start + count]
    )[0]
    for start in range(0, len(replies), count)
  ]


def pieces_of(decode, ids):
  """Text that each token adds; together they are `decode(ids)`.

  A token that ends inside a character adds nothing: the one that ends it does.
  """
  shown, pieces = '', []
  for i in range(1, len(ids) + 1):
    text = decode(ids[:i])
    whole = text.startswith(shown) and not text.endswith('\ufffd')
    pieces.append(text[len(shown) :] if whole or i == len(ids) else '')
    shown = text if pieces[-1] else shown
  return pieces


@functools.cache
def token_kl(functions, way, label, sampling, mesh):
  """Jitted (trained, ref, tokens_BT, prompt_length_B, length_B) -> k1_BT.

    k1[b, t] = log pi(token t | tokens < t) - log pi_0(token t | tokens < t)

  in nats, 0 where no reply token is.
  """
  measure = policy.make_token_measure(
    split_model(functions), **sampling.scored()
  )

  def measured(trained, ref, tokens_BT, prompt_length_B, length_B):
    rows = tokens_BT, prompt_length_B, length_B
    return measure(way.merge(ref, trained), ref, rows)['kl_k1']

  return jit_read(measured, f'token_kl_{label}', mesh)


def in_parts(program, rows, count):
  """`program` of all rows, `count` at a time; the last are filled up.

  Args:
    program: of arrays of `count` rows.
    rows: tuple of arrays [N, ...].
    count: rows of a call, so that one program serves all.
  """
  found, N = [], len(rows[0])
  for start in range(0, N, count):
    place_B = np.arange(start, start + count) % N
    found.append(jax.device_get(program(*(x[place_B] for x in rows))))
  return np.concatenate(found)[:N]


class Shown:
  """The prompts that are asked of every snapshot of one policy."""

  def __init__(self, label, asked, replies, held_out, decode, token_kl=None):
    """Keeps what is asked, and how.

    Args:
      label: of the policy, on the page.
      asked: of `asked_of`.
      replies: of a snapshot to each of them.
      held_out: `measuring.HeldOut` of the prompts, each as often as it is
        answered, and perhaps some once more.
      decode: ids -> text of a reply.
      token_kl: (trained, tokens, prompt_length, length) -> k1_BT; None: the
        replies are kept without it.
    """
    self._label, self._asked, self._replies = label, asked, replies
    self._held_out, self._decode = held_out, decode
    self._token_kl = token_kl

  def note(self, folder, trained, iteration):
    """Answers all prompts, and keeps the replies in samples.json of a run.

    Args:
      folder: of the run.
      trained: what the policy has trained.
      iteration: 0: it is pi_0, which has no KL.
    """
    out = self._held_out.measure(trained, iteration, row_offset=APART)
    chosen = [self._median(out, item.prompt) for item in self._asked]
    rows_B = [row for row, _ in chosen]
    names = ('tokens', 'prompt_length', 'total_length')
    arrays = tuple(out[name][rows_B] for name in names)
    k1_BT = None
    if iteration and self._token_kl:
      k1_BT = self._token_kl(trained, *arrays)
    items = []
    for b, item in enumerate(self._asked):
      row, choice = chosen[b]
      reply = {'policy': self._label, 'iteration': iteration, **choice}
      reply |= {'text': out['replies'][row], 'scores': scores_of(out, row)}
      if k1_BT is not None:
        tokens_T, start, end = (x[b] for x in arrays)
        reply['pieces'] = pieces_of(self._decode, tokens_T[start:end].tolist())
        reply['k1'] = [round(float(x), 3) for x in k1_BT[b, start:end]]
      items.append({**item._asdict(), 'replies': [reply]})
    keep(folder, items)

  def _median(self, out, prompt):
    """(row of the reply to show, what is said of its choice)."""
    same_N = [text == prompt for text in self._held_out.texts]
    rows_C = np.flatnonzero(same_N)[: self._replies]
    score_C = out['score_0'][rows_C]
    place, counted = median_place(score_C, [out['replies'][i] for i in rows_C])
    bounds = [round(float(x), 4) for x in (score_C.min(), score_C.max())]
    of = {'of': len(rows_C), 'counted': counted, 'range': bounds}
    return int(rows_C[place]), of


def of_run(config, base, way, mesh, held_out, measured):
  """The Shown of a PPO run: some of its held-out prompts; None: of none.

  Args: as of `answered`.
    held_out: `measuring.HeldOut` of the run.
  """
  each = config['shown']['each']
  if not each:
    return None
  prompts = list(zip(held_out.texts, held_out.kinds, strict=True))
  asked = asked_of(prompts, families_of(held_out.world, prompts), each)
  size = config['pm_size'] or held_out.pm_size
  judge = f'PM {size}' if size else 'noise'
  label = f'{config["role"]}: {base.size} under {judge}, seed {config["seed"]}'
  return answered(config, label, asked, base, way, mesh, measured)


def answered(config, label, asked, base, way, mesh, measured):
  """The Shown of one policy.

  Args:
    config: shown, temperature, and how rows are evaluated: max_reply,
      eval_batch, scoring_parts.
    label: of the policy.
    asked: of `asked_of`.
    base: Base of the policy, which is pi_0.
    way: Way of the policy.
    mesh: of `devices.mesh_from`.
    measured: (config, [(text, kind)]) -> `measuring.HeldOut` of them.
  """
  replies, batch = config['shown']['replies'], config['eval_batch']
  found = [(item.prompt, item.kind) for item in asked] * replies
  rows = math.ceil(len(found) / batch) * batch
  words = base.tokenizer
  sampling = sampling_of(words, config['max_reply'], config['temperature'])
  program = token_kl(base.functions, way, base.size, sampling, mesh)
  return Shown(
    label,
    asked,
    replies,
    measured(config | {'eval_prompts': rows}, found),
    words.decode_reply,
    lambda trained, *rows: in_parts(
      functools.partial(program, trained, base.params),
      rows,
      batch // config['scoring_parts'],
    ),
  )


def scores_of(out, row):
  """{name: number} of a reply, those that are known."""
  found = {
    name: round(float(out[key][row]), 4)
    for name, key in SCORES.items()
    if key in out
  }
  return {name: x for name, x in found.items() if math.isfinite(x)}


@hosts.by_one
def keep(folder, items):
  """Adds replies to the samples.json of a run.

  Replies of the same policy that are of this iteration or a later one go: they
  are of before the run was killed.

  Raises:
    DamagedError: if the file that is there is not what was written.
  """
  path = Path(folder) / FILE
  old = digests.read_json(path, list) if path.exists() else []
  known = {item['prompt']: item for item in old}
  for item in items:
    (new,) = item['replies']
    before = known.get(item['prompt'], {'replies': []})['replies']
    kept = [
      reply
      for reply in before
      if reply['policy'] != new['policy']
      or reply['iteration'] < new['iteration']
    ]
    known[item['prompt']] = {**item, 'replies': [*kept, new]}
  part = path.with_name(path.name + '.part')
  part.write_text(json.dumps(list(known.values()), indent=1), encoding='utf-8')
  part.replace(path)
