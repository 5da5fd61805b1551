"""Whatever is checked, in one form.

Batches come as they are: `data.pairs.PairArrays`, `types.PairBatch`, a dict of
arrays, anything with fields of these names, with or without shape letters.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from rlhf_jax.losses.language import token_logps
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.types import Prompts

PAIRS, ROWS = ('train', 'test'), ('prompts', 'texts', 'evaluation')
MOST_REPLY = 8  # tokens that are sampled: a check, no training
MOST_ROWS = 8  # that a model reads at once
SMALL = 2**24  # bytes of parameters


class Rows(NamedTuple):
  """Right-padded token rows."""

  tokens_NT: np.ndarray
  length_N: np.ndarray


class Pairs(NamedTuple):
  """Comparisons; `prompt_length_N` counts what both sides begin with."""

  chosen: Rows
  rejected: Rows
  prompt_length_N: np.ndarray


class Settings(NamedTuple):
  """The settings that are read; a config may have any others.

  Attributes:
    temperature: of the sampler.
    max_reply: most tokens of a reply.
    top_k: of the sampler; 0: off.
    top_p: of the sampler; 1: off.
    dtype: numbers that the model computes with.
    batch_size: rows of a batch; 0: not said.
    minibatch_size: rows of an update; 0: not said.
    end_of_context: whether pairs end in the tokenizer's end-of-context token.
  """

  temperature: float = 1.0
  max_reply: int = MOST_REPLY
  top_k: int = 0
  top_p: float = 1.0
  dtype: str = 'float32'
  batch_size: int = 0
  minibatch_size: int = 0
  end_of_context: bool = True


def settings_of(config) -> Settings:
  """The Settings that a config has, of any mapping."""
  return Settings(**{k: config[k] for k in Settings._fields if k in config})


def _field(value, stem, required=True):
  """The array `stem`, whatever shape letters follow it."""
  if isinstance(value, Mapping):
    found = dict(value)
  else:
    found = {
      name: getattr(value, name) for name in getattr(value, '_fields', ())
    }
  for name, array in found.items():
    head, _, letters = name.rpartition('_')
    if name == stem or (head == stem and letters.isupper()):
      return np.asarray(array)
  if required:
    raise ValueError(
      f'wanted arrays {stem}_BT or so in a batch, got '
      f'{", ".join(found) or type(value).__name__}'
    )
  return None


def rows_of(value) -> Rows:
  """Rows of a batch with `tokens` and `length`."""
  if isinstance(value, Rows):
    return value
  return Rows(_field(value, 'tokens'), _field(value, 'length'))


def pairs_of(value) -> Pairs:
  """Pairs of a batch; prompts are what both sides share, where it names none.

  Raises:
    ValueError: naming the array that is not there.
  """
  sides = [
    Rows(_field(value, f'{side}_tokens'), _field(value, f'{side}_length'))
    for side in ('chosen', 'rejected')
  ]
  prompt_length_N = _field(value, 'prompt_length', required=False)
  if prompt_length_N is None:
    prompt_length_N = shared_prefix(*sides)
  return Pairs(*sides, prompt_length_N)


def shared_prefix(chosen: Rows, rejected: Rows) -> np.ndarray:
  """Tokens that both sides begin with; 0 where one is all of the other."""
  width = min(chosen.tokens_NT.shape[1], rejected.tokens_NT.shape[1])
  differ_NT = chosen.tokens_NT[:, :width] != rejected.tokens_NT[:, :width]
  first_N = np.where(differ_NT.any(1), differ_NT.argmax(1), width)
  shorter_N = np.minimum(chosen.length_N, rejected.length_N)
  return np.where(first_N < shorter_N, first_N, 0)


def encoded(texts, tokenizer) -> Rows:
  """Rows of texts, by the tokenizer's `encode`."""
  ids = [list(tokenizer.encode(text)) for text in texts]
  width = max(map(len, ids), default=1)
  tokens_NT = np.zeros((len(ids), max(width, 1)), np.int64)
  for row, own in zip(tokens_NT, ids, strict=True):
    row[: len(own)] = own
  return Rows(tokens_NT, np.array([len(own) for own in ids], np.int64))


def batches_of(batches, tokenizer) -> dict:
  """{'train', 'test': Pairs, 'prompts', 'texts', 'evaluation': Rows}.

  Args:
    batches: a mapping with some of these names, or pairs alone, which are
      'train'. 'evaluation' and 'texts' may be lists of str.
    tokenizer: which encodes those.

  Raises:
    ValueError: if a name is unknown or an array is missing.
  """
  known = (*PAIRS, *ROWS)
  if not isinstance(batches, Mapping) or not set(batches) & set(known):
    batches = {'train': batches}
  unknown = sorted(set(batches) - set(known))
  if unknown:
    raise ValueError(
      f'wanted batches of the names {", ".join(known)}, got {unknown[0]!r}'
    )
  found = {}
  for name, value in batches.items():
    if value is None:
      continue
    if name in PAIRS:
      found[name] = pairs_of(value)
    elif isinstance(value, list | tuple) and all(
      isinstance(text, str) for text in value
    ):
      found[name] = encoded(value, tokenizer)
    else:
      found[name] = rows_of(value)
  return found


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
  """A model, a tokenizer, data and settings; what is not there is None.

  Attributes:
    logits_fn: (tokens_BT, length_B) -> logits_BTV.
    score_fn: (tokens_BT, length_B) -> score_B.
    tokenizer: with `eos_id` and `pad_id`, and optionally `encode`, `decode`,
      `stop_ids`, `end_of_context_id` and `vocab_size`.
    batches: of `batches_of`.
    settings: Settings.
    prefill_fn: (tokens_BP, length_B, cache_slots) -> (logits_BV, cache).
    decode_fn: (token_B, position_B, cache) -> (logits_BV, cache).
    sample_fn: (Prompts, rng) -> Rollout; None: ours.
    logps_fn: (tokens_BT, prompt_length_B, length_B, temperature) -> logp_BT,
      as the update scores replies; None: ours.
    ref_logps_fn: the same of pi_0, equal to the policy; None: `logps_fn`.
  """

  logits_fn: Any
  score_fn: Any
  tokenizer: Any
  batches: dict
  settings: Settings
  prefill_fn: Any = None
  decode_fn: Any = None
  sample_fn: Any = None
  logps_fn: Any = None
  ref_logps_fn: Any = None
  _kept: dict = dataclasses.field(default_factory=dict)  # compiled samplers

  @property
  def pad_id(self):
    """Id of padding; 0 where the tokenizer names none."""
    found = getattr(self.tokenizer, 'pad_id', None)
    return 0 if found is None else int(found)

  @property
  def stop_ids(self):
    """Ids that end a reply."""
    stops = getattr(self.tokenizer, 'stop_ids', None)
    if stops is None:
      end = getattr(self.tokenizer, 'eos_id', None)
      stops = () if end is None else (end,)
    return tuple(int(i) for i in stops)

  def rows(self) -> Rows:
    """A few rows for a model to read, of different lengths, cut to the longest.

    Rows of one length are cut, or padding would never be read.
    """
    found = [x for n in PAIRS for x in self.batches.get(n, ())[:2]]
    found += [self.batches[n] for n in ROWS if n in self.batches]
    tokens_NT, length_N = found[0].tokens_NT, found[0].length_N
    tokens_BT = np.asarray(tokens_NT[:MOST_ROWS], np.int32)
    length_B = np.asarray(length_N[:MOST_ROWS], np.int32)
    if len(length_B) > 1 and length_B.min() == length_B.max():
      shorter_B = np.arange(len(length_B)) % 4
      length_B = np.maximum(length_B - shorter_B, 1).astype(np.int32)
    return Rows(tokens_BT[:, : length_B.max()], length_B)

  def prompts(self, alike=False) -> Prompts:
    """Prompts to answer; `alike`: the first one in every row."""
    if 'prompts' in self.batches:
      own = self.batches['prompts']
      tokens_BP, length_B = own.tokens_NT, own.length_N
    elif set(PAIRS) & set(self.batches):
      pairs = self.batches.get('train') or self.batches['test']
      tokens_BP, length_B = pairs.chosen.tokens_NT, pairs.prompt_length_N
    else:  # texts: their first halves
      tokens_BP, length_B = self.rows()
      length_B = length_B // 2
    tokens_BP = np.asarray(tokens_BP[:MOST_ROWS], np.int32)
    length_B = np.maximum(np.asarray(length_B[:MOST_ROWS], np.int32), 1)
    if alike:
      tokens_BP = np.repeat(tokens_BP[:1], MOST_ROWS, 0)
      length_B = np.repeat(length_B[:1], MOST_ROWS)
    tokens_BP = tokens_BP[:, : length_B.max()]
    return Prompts(
      tokens_BP, length_B, np.arange(len(length_B), dtype=np.int32)
    )

  def sample(self, prompts, temperature, step=0, greedy=False):
    """Rollout of a step, by the given sampler or by ours."""
    rng = jax.random.fold_in(jax.random.key(0), step)
    if self.sample_fn is not None:
      return self.sample_fn(prompts, rng)
    if greedy not in self._kept:
      self._kept[greedy] = self._sampler(greedy, prompts, rng)
    return self._kept[greedy](prompts, rng, temperature)

  def _sampler(self, greedy, *example):
    """Our sampler: (prompts, rng, temperature) -> Rollout.

    It is jitted where what the functions have bound is small: a program holds
    it as constants.
    """

    def collect(prompts, rng, temperature):
      config = SamplingConfig(
        max_reply=min(MOST_REPLY, self.settings.max_reply),
        stop_ids=self.stop_ids,
        pad_id=self.pad_id,
        temperature=temperature,
        greedy=greedy,
      )
      return make_collect(config, **self._writer())((), prompts, rng)

    bound_arrays = jax.make_jaxpr(collect)(*example, 1.0).consts
    small = sum(getattr(x, 'nbytes', 0) for x in bound_arrays) < SMALL
    return jax.jit(collect) if small else collect

  def _writer(self):
    """Arguments of `make_collect`; parameters are bound already."""
    if self.prefill_fn is None or self.decode_fn is None:
      return {'logits_fn': lambda _, *rows: self.logits_fn(*rows)}
    return {
      'prefill_fn': lambda _, *rows: self.prefill_fn(*rows),
      'decode_fn': lambda _, *rows: self.decode_fn(*rows),
    }

  def own_logps(self, rollout, temperature):
    """Log-probabilities of the full forward pass, logp_BT."""
    logits_BTV = self.logits_fn(rollout.tokens_BT, rollout.length_B)
    return np.asarray(token_logps(logits_BTV, rollout.tokens_BT, temperature))

  def logps(self, rollout, temperature, reference=False):
    """Log-probabilities as the update scores them, or pi_0's."""
    scorer = self.ref_logps_fn if reference else None
    scorer = scorer or self.logps_fn
    if scorer is None:
      return self.own_logps(rollout, temperature)
    return np.asarray(scorer(*rollout[:3], temperature))


def bound(function, params):
  """A function of `docs/steps.md` without its first argument, or None."""
  return None if function is None else functools.partial(function, params)
