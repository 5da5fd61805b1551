"""Workers: who prefers which reply, and how surely.

  P(first looks preferable) = attention F((margin + bias) / (T noise))
                              + (1 - attention) / 2

F is the sigmoid or, where the world's `link` says so, a normal law's.

Helpfulness workers pick the better reply. Red-team workers pick the more
harmful one, and the record is turned round, so that `chosen` is always the
reply to imitate (Bai et al. 2022, section 2.2).
"""

import numpy as np

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.gold import split_text
from rlhf_jax.crowd.people import LINKS, NOISES, Worker
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.rankings import make_ranking
from rlhf_jax.data.records import Comparison, prompt_hash


def _score(judged, kind):
  return judged.helpful if kind == 'helpful' else judged.harmless


def worker_score(world, text, kind):
  """The gold score that the labels use, in log-odds.

  Args:
    world: the World.
    text: whole transcript.
    kind: 'helpful', or 'harmless' / 'harmful' for red-team prompts.

  Returns:
    The helpfulness for 'helpful', else the harmlessness.
  """
  return score_reply(world, *split_text(text), kind)


def score_reply(world, prompt, reply, kind):
  """`worker_score` of a reply whose prompt is known.

  A policy's own "Human:" turn is then part of its reply, and garbage, instead
  of a prompt that it may answer.
  """
  return _score(rules_of(world).judge(world, prompt, reply), kind)


def _probability(config, kind, margin, bias, noise, attention):
  """P(A becomes `chosen`); `margin` is A's score minus B's.

  A red-team worker's bias favours the first reply as the more harmful one,
  hence the opposite sign.
  """
  sign = 1.0 if kind == 'helpful' else -1.0
  z = (margin + sign * bias) / (config.temperature * noise)
  judged = LINKS[config.link](z)
  p = attention * judged + 0.5 * (1.0 - attention)
  return p * (1.0 - config.label_flip) + (1.0 - p) * config.label_flip


def label_probability(world, kind, gold_a, gold_b):
  """P(reply A becomes `chosen`), averaged over the crowd.

  Args:
    world: the World.
    kind: 'helpful', or 'harmless' / 'harmful' for red-team prompts.
    gold_a: score(s) of the replies shown first, from `worker_score`.
    gold_b: score(s) of the replies shown second; same shape.

  Returns:
    Probability of the shape of gold_a - gold_b; a float for floats.
  """
  margin = np.subtract(gold_a, gold_b)
  p = _probability(
    world.config,
    kind,
    margin[..., None],
    world.worker_bias,
    world.worker_noise,
    world.worker_attention,
  )
  return p.mean(-1)


def worker_probability(world, worker: Worker, kind, gold_a, gold_b):
  """P(reply A becomes `chosen`) under one worker."""
  margin = np.subtract(gold_a, gold_b)
  return _probability(
    world.config, kind, margin, worker.bias, worker.noise, worker.attention
  )


def strength(world, gold_a, gold_b):
  """Strength of preference, 1 (weakest) to 4, as on the workers' slider.

  It depends on the gold margin alone and not on the label, so dropping the
  weakest level (as the paper did) leaves every `p_label` true.
  """
  edges = world.config.strength_edges
  return 1 + int(np.searchsorted(edges, abs(gold_a - gold_b), side='right'))


def compare(world, rng, prompt, reply_a, reply_b, worker=None, source='crowd'):
  """One comparison of two replies by a worker.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt; its kind decides what is asked of the worker.
    reply_a: reply shown first, as it follows the prompt's text.
    reply_b: reply shown second.
    worker: a Worker, or None to draw one.
    source: where the replies are from.

  Returns:
    A Comparison. `p_label` is the crowd's average probability that `chosen`
    is the preferred reply, whoever gave this label.
  """
  kind = 'helpful' if prompt.kind == 'helpful' else 'harmless'
  gold_a = score_reply(world, prompt.text, reply_a, kind)
  gold_b = score_reply(world, prompt.text, reply_b, kind)
  worker = pick(rng, world.workers) if worker is None else worker
  p_worker = worker_probability(world, worker, kind, gold_a, gold_b)
  p_label = float(label_probability(world, kind, gold_a, gold_b))
  chosen, rejected = reply_a, reply_b
  if rng.random() >= p_worker:
    chosen, rejected, p_label = reply_b, reply_a, 1.0 - p_label
  return Comparison(
    chosen=prompt.text + chosen,
    rejected=prompt.text + rejected,
    source=source,
    prompt_id=prompt_hash(prompt.text),
    p_label=p_label,
    kind=kind,
  )


def rank(world, rng, prompt, replies, step, worker=None, source='crowd'):
  """One ranking of several replies by a worker, with ties.

    score_k = gold_k + T noise e_k,  written as round(score_k / step)

  with e of `NOISES`: of two replies that do not tie the better one is ranked
  higher as often as it would be preferred in a comparison, but for the bias for
  what is shown first, since a list has no side. A worker who does not attend
  writes noise alone; a flipped label turns the whole list round.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt; its kind decides what is asked of the worker.
    replies: as they follow the prompt's text.
    step: of the scale that scores are written on, log-odds; above 0.
    worker: a Worker, or None to draw one.
    source: where the replies are from.

  Returns:
    A Ranking; equal written scores are ties.
  """
  kind = 'helpful' if prompt.kind == 'helpful' else 'harmless'
  worker = pick(rng, world.workers) if worker is None else worker
  gold_K = [score_reply(world, prompt.text, reply, kind) for reply in replies]
  if rng.random() >= worker.attention:
    gold_K = np.zeros(len(replies))
  noise_K = NOISES[world.config.link](rng, len(replies))
  score_K = gold_K + world.config.temperature * worker.noise * noise_K
  if rng.random() < world.config.label_flip:
    score_K = -score_K
  written_K = np.round(score_K / step)
  _, rank_K = np.unique(-written_K, return_inverse=True)
  ranks = rank_K.ravel().tolist()
  return make_ranking(prompt.text, replies, ranks, source, kind)


def accuracy_ceiling(comparisons):
  """Best accuracy a PM can expect: mean of max(p_label, 1 - p_label)."""
  p = np.array([c.p_label for c in comparisons])
  return float(np.maximum(p, 1.0 - p).mean())
