"""The models that write the replies, and the one that scores them unseen.

A batch has a fixed number of rows, what is not wanted being filled in, and a
fixed width for each range of prompt lengths. So a reply is the work of the same
compiled program whoever else writes at the time, with random numbers that
depend on its seed alone: it comes out the same after a restart, alone or in
company.
"""

import functools
import hashlib

import jax
import numpy as np

from apps.feedback import texts
from apps.feedback.queued import Request, Written
from apps.feedback.talk import SEEDS
from experiments.shared import pm_scoring
from experiments.shared.models import open_scorer, open_writer
from rlhf_jax.rollout.generate import SamplingConfig
from rlhf_jax.rollout.stream import bucket, make_rows_stream
from rlhf_jax.text.encode import encode_prompt, pad_batch
from rlhf_jax.types import Prompts


@functools.cache
def _stream(functions, sampling):
  """One pair of programs for all snapshots of one network."""
  return make_rows_stream(functions.prefill_fn, functions.decode_fn, sampling)


def weights_uid(params) -> str:
  """SHA-256 of parameters, of their names and shapes too."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    array = np.asarray(leaf)
    name = f'{jax.tree_util.keystr(path)} {array.dtype} {array.shape}'
    digest.update(name.encode())
    digest.update(array.tobytes())
  return digest.hexdigest()


class Writers:
  """Snapshots that are served.

  Attributes:
    rows: replies of a batch.
    snapshots: [(uid, name, path)].
    sampler: settings, as they are stored with each reply.
  """

  def __init__(self, paths, *, rows, sampler, pm=''):
    """Opens all models.

    Args:
      paths: of runs, or what else `open_writer` takes.
      rows: of a batch.
      sampler: {'temperature', 'top_k', 'top_p', 'max_reply', 'max_prompt'}.
      pm: run of a preference model, or ''.

    Raises:
      ValueError, OSError, RunError: saying what is missing or wrong.
    """
    self.rows, self.sampler = rows, dict(sampler, rows=rows)
    self._opened, self.snapshots = {}, []
    for path in paths:
      opened = open_writer(path)
      room = sampler['max_prompt'] + sampler['max_reply']
      if opened.context and room > opened.context:
        raise ValueError(
          f'{path} was made for {opened.context} tokens, wanted {room} for '
          'prompt and reply: lower --max_prompt or --max_reply'
        )
      uid = weights_uid(opened.params)
      if uid in self._opened:
        raise ValueError(f'{path} has the weights of another of --policies')
      self._opened[uid] = opened
      self.snapshots.append((uid, snapshot_name(path), str(path)))
    self._pm = open_scorer(pm) if pm else None
    self._pm_uid = None
    if pm:
      self._pm_uid = weights_uid((self._pm.frozen, self._pm.trained))

  def group(self, request: Request):
    """A key; only requests of one key can be of one batch.

    Raises:
      ValueError: if the prompt cannot be put to that model.
    """
    return request.snapshot, bucket(len(self._ids(request)))

  def _ids(self, request):
    words = self._opened[request.snapshot].tokenizer
    return encode_prompt(words, request.prompt, self.sampler['max_prompt'])[0]

  def write(self, requests: list[Request], show) -> list[Written]:
    """Replies to requests of one group, at most `rows` of them.

    Args:
      requests: of one group, with different seeds.
      show: (index, text so far) is called as the tokens come.
    """
    opened = self._opened[requests[0].snapshot]
    words, ids = opened.tokenizer, [self._ids(x) for x in requests]
    sampling = self._sampling(words)
    asked = self._arrays(ids, [x.seed for x in requests], words.pad_id)
    replies = [[] for _ in requests]
    stream = _stream(opened.functions, sampling)
    for token_B in stream(opened.params, asked, jax.random.key(0)):
      for i, reply in enumerate(replies):
        if not (reply and reply[-1] in sampling.stop_ids):
          reply.append(int(token_B[i]))
          text = texts.one_reply(words.decode_reply(reply))
          show(i, text.rstrip('\ufffd'))  # half of a character
      if all(reply[-1] in sampling.stop_ids for reply in replies):
        break  # what fills the batch may be longer
    found = [texts.one_reply(words.decode_reply(reply)) for reply in replies]
    score = self._scores(requests, found)
    return [
      Written(
        text=text,
        token_ids=reply,
        prompt_ids=of,
        ended=reply[-1] in sampling.stop_ids,
        score=value,
        scored_by=self._pm_uid,
      )
      for text, reply, of, value in zip(found, replies, ids, score, strict=True)
    ]

  def _arrays(self, ids, seeds, pad_id):
    """Prompts of `rows` rows: those, and the first again with other names."""
    fill = self.rows - len(ids)
    names_B = [*seeds, *range(SEEDS, SEEDS + fill)]
    ids = [*ids, *[ids[0]] * fill]
    width = bucket(max(map(len, ids)))
    return Prompts(*pad_batch(ids, width, pad_id), np.array(names_B, np.int32))

  def _sampling(self, tokenizer):
    own = {k: self.sampler[k] for k in ('temperature', 'top_k', 'top_p')}
    return SamplingConfig(
      max_reply=self.sampler['max_reply'],
      stop_ids=tuple(tokenizer.stop_ids),
      pad_id=tokenizer.pad_id,
      **own,
    )

  def _scores(self, requests, replies):
    """Scores of the preference model, each text in a batch of one width."""
    if self._pm is None:
      return [None] * len(replies)
    found = pm_scoring.scores(
      self._pm,
      [(x.prompt, text) for x, text in zip(requests, replies, strict=True)],
      self.sampler['max_prompt'],
      self.sampler['max_reply'],
      progress=lambda start, total, label: range(start, total),
    )
    return found.tolist()


def snapshot_name(path) -> str:
  """The last two parts of a path: rl/13K-s0."""
  parts = [part for part in str(path).split('/') if part not in ('', '.', '..')]
  return '/'.join(parts[-2:])
