r"""Writes a reply, token by token as the tokens come.

    python -m experiments.generate --model=smollm2 \
        --prompt="What is the capital of France?"

`--model` is smollm2 (after `make smollm2`), a Hugging Face folder, a .gguf
file, a llama2.c .bin file with `--tokenizer`, or a run directory of train_lm or
train_ppo. The prompt is put as a dialogue of one human turn, in the model's
chat template where it has one; `--raw` continues the text itself.
Greedy unless `--temperature` is above 0. `--weights=bfloat16` reads half as
many bytes a token, of weights that are rounded. The reply goes to stdout, its
speed to stderr.
"""

import os
import sys
import time

import jax
from absl import flags

from experiments.shared import command
from experiments.shared.models import open_writer
from rlhf_jax.models.turned import turn_kernels
from rlhf_jax.rollout.generate import SamplingConfig
from rlhf_jax.rollout.stream import make_stream
from rlhf_jax.text.dialogue import Turn, format_dialogue
from rlhf_jax.text.encode import encode_prompt

NO_LIMIT = 10**6  # of prompt tokens, where the model states none


def prompt_ids(opened, prompt, raw, max_tokens):
  """Tokens of the prompt.

  Raises:
    ValueError: if the model's context does not hold prompt and reply, or the
      prompt is nothing at all.
  """
  words = opened.tokenizer
  if raw:
    start = getattr(words, 'encode_document', words.encode)
    ids = start(prompt)
  else:
    turns = [Turn('human', f' {prompt}'), Turn('assistant', '')]
    ids, _ = encode_prompt(words, format_dialogue(turns), NO_LIMIT)
  if not ids:
    raise ValueError('--prompt is empty: give this model a token to begin with')
  if opened.context and len(ids) + max_tokens > opened.context:
    raise ValueError(
      f'{len(ids)} prompt tokens and {max_tokens} of a reply are more than the '
      f"model's context of {opened.context}: lower --max_tokens or shorten "
      'the prompt'
    )
  return ids


class Printer:
  """Prints a reply as its tokens come: whole characters, at once."""

  def __init__(self, tokenizer, raw, file=None):
    """Prints to `file`, stdout if None; `raw` keeps a leading space."""
    self._decode = tokenizer.decode if raw else tokenizer.decode_reply
    self._raw, self._file = raw, file or sys.stdout
    self._ids, self._shown = [], 0

  def add(self, token):
    """Prints what the token adds, unless it ends inside a character."""
    self._ids.append(token)
    self._show(final=False)

  def close(self):
    """Prints what is left and ends the line."""
    self._show(final=True)
    print(file=self._file, flush=True)

  def _show(self, final):
    text = self._decode(self._ids)
    text = text if self._raw else text.removeprefix(' ')
    if final or not text.endswith('\ufffd'):
      print(text[self._shown :], end='', file=self._file, flush=True)
      self._shown = len(text)


def run(options):
  """Opens the model and writes; `options` has the flags' names."""
  if options['max_tokens'] < 1 or options['temperature'] < 0:
    raise ValueError(
      'wanted --max_tokens of 1 or more and --temperature of 0 or more, got '
      f'{options["max_tokens"]} and {options["temperature"]}'
    )
  if options['raw'] and options['system'] is not None:
    raise ValueError('--raw uses no chat template: leave --system out')
  opened = open_writer(
    options['model'],
    tokenizer=options['tokenizer'],
    system=options['system'],
    pad_token=options['pad_token'],
  )
  ids = prompt_ids(
    opened, options['prompt'], options['raw'], options['max_tokens']
  )
  sampling = SamplingConfig(
    max_reply=options['max_tokens'],
    stop_ids=tuple(opened.tokenizer.stop_ids),
    pad_id=opened.tokenizer.pad_id,
    temperature=options['temperature'] or 1.0,
    greedy=options['temperature'] == 0,
  )
  stream = make_stream(
    opened.functions.prefill_fn, opened.functions.decode_fn, sampling
  )
  printer, times = Printer(opened.tokenizer, options['raw']), []
  params = turn_kernels(opened.params, options['weights'])
  for token in stream(params, ids, jax.random.key(options['seed'])):
    times.append(time.perf_counter())
    if token not in sampling.stop_ids:
      printer.add(token)
  printer.close()
  print(speed(len(ids), times), file=sys.stderr)


def speed(prompt_tokens, times):
  """One line: how many tokens, how fast after the two that wait for XLA."""
  line = f'{prompt_tokens} prompt tokens, {len(times)} new'
  if len(times) > 2:
    rate = (len(times) - 2) / (times[-1] - times[1])
    line += f', {rate:.1f} tokens/s once compiled'
  return line


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('model', None, 'smollm2, or a path; see above.'),
    flags.DEFINE_string('prompt', None, 'What the human says.'),
    flags.DEFINE_string('tokenizer', '', 'tok512.bin, of a llama2.c model.'),
    flags.DEFINE_string('system', None, 'System prompt.'),
    flags.DEFINE_string('pad_token', None, 'For tokenizers that name none.'),
    flags.DEFINE_bool('raw', False, 'Continue the text: no chat template.'),
    flags.DEFINE_integer('max_tokens', 256, 'Most tokens of the reply.'),
    flags.DEFINE_float('temperature', 0.0, '0: the most probable token.'),
    flags.DEFINE_integer('seed', 0, 'Of the sampling.'),
    flags.DEFINE_enum(
      'weights', 'float32', ('float32', 'bfloat16'), 'How they are kept.'
    ),
  ]
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  command.main_of_flags(run, values, ('model', 'prompt'))


if __name__ == '__main__':
  main()
