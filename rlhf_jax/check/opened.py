"""The arguments of `check.run` from files: a model's folder, pairs, texts.

A model is a folder as `transformers` writes it or a GGUF file; pairs are in any
form of docs/own-pairs.md.
"""

import functools
import importlib
from pathlib import Path

import jax

from rlhf_jax.check.subject import Rows, bound
from rlhf_jax.data.data_files import find
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.own_pairs import Limits, read_own_pairs
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.prompt_files import read_prompt_file
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.text.pretrained import PretrainedTokenizer

TEXTS = ('text', 'prompt', 'question', 'instruction', 'chosen')


def named(where):
  """The arguments that a function of yours returns.

  Args:
    where: 'module:function'; the function takes nothing and returns a dict of
      the arguments of `check.run`.

  Raises:
    ValueError: if there is no such function, or it returns something else.
  """
  module, colon, name = where.partition(':')
  if not colon:
    raise ValueError(f'wanted MODULE:FUNCTION, got {where!r}')
  try:
    function = getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(f'{where}: {error}') from None
  found = function()
  if not isinstance(found, dict):
    raise ValueError(
      f'{where}: wanted a dict of the arguments of check.run, got '
      f'{type(found).__name__}'
    )
  return found


def of_files(options) -> dict:
  """The arguments of `check.run` of what the command line names.

  Args:
    options: model, reward, data, prompts, evaluation ('' for none), pad_token,
      max_prompt, max_reply, temperature, limit.

  Raises:
    ValueError, OSError: saying what is missing or wrong.
  """
  tokenizer = _tokenizer(options.model, options.pad_token)
  functions, params = _model(options.model, tokenizer)
  judge, weights = functions, {}
  if 'head' in params:
    raise ValueError(
      f'{options.model} is a preference model: wanted a language model, and '
      'this one as --reward'
    )
  if options.reward:
    judge, weights = _model(options.reward, tokenizer)
  jitted = lambda function, own: bound(jax.jit(function), own)
  prefill_fn = jax.jit(functions.prefill_fn, static_argnums=3)
  return {
    'logits_fn': jitted(functions.logits_fn, params),
    'score_fn': jitted(judge.score_fn, weights) if 'head' in weights else None,
    'prefill_fn': functools.partial(prefill_fn, params),
    'decode_fn': jitted(functions.decode_fn, params),
    'tokenizer': tokenizer,
    'batches': _batches(options, tokenizer),
    'config': {
      'temperature': options.temperature,
      'max_reply': options.max_reply,
    },
  }


def _tokenizer(path, pad_token):
  """The tokenizer of a folder or a GGUF file."""
  path, pad = Path(path), pad_token or None
  if path.suffix == '.gguf':
    return PretrainedTokenizer.from_gguf(path, pad_token=pad)
  if not (path / 'config.json').is_file():
    raise FileNotFoundError(
      f'no model {path}: wanted a folder with config.json and safetensors, or '
      'a .gguf file; experiments.export writes a run as such a folder'
    )
  return PretrainedTokenizer.from_folder(path, pad_token=pad)


def _model(path, tokenizer):
  """(functions, params), with a row for every token of the tokenizer.

  Raises:
    ValueError: if more than end-of-context lacks a row.
  """
  path = Path(path)
  found = load_gguf(path) if path.suffix == '.gguf' else load_folder(path)
  more = tokenizer.vocab_size - found.config.vocab_size
  if more > 1:
    raise ValueError(
      f'{path} reads {found.config.vocab_size} tokens, and the tokenizer has '
      f'{tokenizer.vocab_size - 1}: wanted a model of this tokenizer'
    )
  config, params = grow_vocabulary(found.config, found.params, max(more, 0))
  return build(config), params


def _batches(options, tokenizer):
  """Pairs, prompts and evaluation rows, encoded as the stages do."""
  limits = Limits(options.limit, options.limit)
  pairs = read_own_pairs(options.data, 'raise', 0.1, 0, limits)
  width = options.max_prompt + options.max_reply
  encode = lambda items: encode_pairs(
    items, tokenizer, width, options.max_reply
  )[0]
  found = {'train': encode(pairs.train), 'test': encode(pairs.test)}
  if options.prompts:
    texts = [row.text for row in read_prompt_file(options.prompts)]
    rows = encode_prompts(texts, tokenizer, options.max_prompt)
    found['prompts'] = Rows(rows.tokens_NP, rows.length_N)
  if options.evaluation:
    found['evaluation'] = texts_of(options.evaluation)
  return found


def texts_of(path) -> list[str]:
  """Texts of an evaluation set: the first of TEXTS that each row has.

  Raises:
    ValueError: if a row has none of them.
  """
  found = []
  for file in find(path).data:
    for number, row in rows_of(file):
      own = row if isinstance(row, dict) else {}
      texts = [own[k] for k in TEXTS if isinstance(own.get(k), str)]
      if not texts:
        raise ValueError(
          f'{file}:{number}: wanted a text under one of {", ".join(TEXTS)}'
        )
      found.append(texts[0])
  return found
