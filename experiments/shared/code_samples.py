"""Samples of code: a model's completions of tasks, and their verdicts.

Both are journals (`kept`), so that a killed run goes on where it stopped. A
sample depends on (seed, setting, task, sample) alone, up to the rounding of a
batch.
"""

import concurrent.futures
import zlib
from typing import NamedTuple

import jax
import numpy as np

from rlhf_jax.rollout.generate import SamplingConfig, make_generate
from rlhf_jax.sandbox.judge import judge
from rlhf_jax.text import programs
from rlhf_jax.text.dialogue import Turn, format_dialogue
from rlhf_jax.text.encode import encode_prompt, pad_batch
from rlhf_jax.train.progress import Progress
from rlhf_jax.types import Prompts

WIDTH = 128  # prompts are padded to multiples of it: a program each
NO_LIMIT = 10**6  # of prompt tokens: a prompt is never cut
MOST_SAMPLES = 10_000  # of a task


class Setting(NamedTuple):
  """A setting of the sampler.

  Attributes:
    temperature: 0: the most probable token.
    top_p: of `adjust_logits`; not read at temperature 0.
  """

  temperature: float
  top_p: float

  @property
  def name(self):
    """Its name in files."""
    return f't{self.temperature:g}-p{self.top_p:g}'

  @property
  def greedy(self):
    """Whether all samples of a task are alike."""
    return self.temperature == 0


def key_of(row):
  """(setting, task, sample) of a row."""
  return row['setting'], row['task'], row['sample']


def prompt_ids(opened, prompt, form):
  """Tokens of a task's prompt, in a form of `programs`."""
  words = opened.tokenizer
  if form == programs.RAW:
    return getattr(words, 'encode_document', words.encode)(prompt)
  request = programs.REQUEST.format(prompt)
  turns = [Turn('human', f' {request}'), Turn('assistant', '')]
  return encode_prompt(words, format_dialogue(turns), NO_LIMIT)[0]


def batches_of(ids, wanted, batch):
  """Yields (width, pairs): at most `batch` (task, sample), equally padded.

  Args:
    ids: tokens of each prompt.
    wanted: (number of a task, of a sample).
    batch: rows of a batch.
  """
  width_of = lambda pair: -(-len(ids[pair[0]]) // WIDTH) * WIDTH
  for width in sorted({width_of(pair) for pair in wanted}):
    own = [pair for pair in wanted if width_of(pair) == width]
    for start in range(0, len(own), batch):
      yield width, own[start : start + batch]


def sampler_of(opened, setting, max_reply):
  """Jitted (params, prompts, rng) -> Rollout of a setting."""
  sampling = SamplingConfig(
    max_reply=max_reply,
    stop_ids=tuple(opened.tokenizer.stop_ids),
    pad_id=opened.tokenizer.pad_id,
    temperature=setting.temperature or 1.0,
    top_p=setting.top_p,
    greedy=setting.greedy,
  )
  functions = opened.functions
  return jax.jit(
    make_generate(functions.prefill_fn, functions.decode_fn, sampling)
  )


def write(opened, tasks, setting, config, journal):
  """Adds to the journal what the model writes and what it lacks.

  Args:
    opened: of `open_writer`.
    tasks: CodeTasks.
    setting: Setting.
    config: form, samples, max_reply, batch, seed.
    journal: Journal of {'setting', 'task', 'sample', 'text', 'ended'}.

  Raises:
    ValueError: if the model's context does not hold a prompt and its reply.
  """
  count = 1 if setting.greedy else config['samples']
  done = {key_of(row) for row in journal.rows}
  wanted = [
    (i, j)
    for i, task in enumerate(tasks)
    for j in range(count)
    if (setting.name, task.name, j) not in done
  ]
  ids = [prompt_ids(opened, task.prompt, config['form']) for task in tasks]
  most = max(map(len, ids)) + config['max_reply']
  if opened.context and most > opened.context:
    raise ValueError(
      f'a prompt and a reply of {config["max_reply"]} tokens are {most}, more '
      f"than the model's context of {opened.context}: lower --max_reply"
    )
  sample = sampler_of(opened, setting, config['max_reply'])
  seed = jax.random.key(config['seed'])
  rng = jax.random.fold_in(seed, zlib.crc32(setting.name.encode()))
  found = list(batches_of(ids, wanted, config['batch']))
  for i in Progress(0, len(found), f'{setting.name} written'):
    width, pairs = found[i]
    full = pairs + pairs[-1:] * (config['batch'] - len(pairs))
    tokens_BP, length_B = pad_batch(
      [ids[task] for task, _ in full], width, opened.tokenizer.pad_id
    )
    row_B = np.array([task * MOST_SAMPLES + j for task, j in full])
    rollout = sample(opened.params, Prompts(tokens_BP, length_B, row_B), rng)
    journal.add(_rows(opened, tasks, setting, pairs, rollout))


def _rows(opened, tasks, setting, pairs, rollout):
  """Rows of the journal of a batch; rows that only fill it are left out."""
  tokens_BT, *lengths, ended_B = map(np.asarray, rollout[:4])
  rows = []
  for b, (task, j) in enumerate(pairs):
    ids = tokens_BT[b, lengths[0][b] : lengths[1][b]].tolist()
    stops = opened.tokenizer.stop_ids
    text = opened.tokenizer.decode(ids[:-1] if ids[-1] in stops else ids)
    rows.append(
      {
        'setting': setting.name,
        'task': tasks[task].name,
        'sample': j,
        'ended': bool(ended_B[b]),
        'text': text,
      }
    )
  return rows


def judge_all(tasks, written, form, limits, workers, journal):
  """Adds to the journal the verdict of each row that has none.

  Args:
    tasks: CodeTasks.
    written: rows of `write`.
    form: of `programs`.
    limits: of the sandbox.
    workers: programs that are judged at once.
    journal: Journal of {'setting', 'task', 'sample', 'outcome', 'words',
      'seconds'}.

  Raises:
    SandboxError: if the kernel refuses a box.
  """
  by_name = {task.name: task for task in tasks}
  done = {key_of(row) for row in journal.rows}
  left = [row for row in written if key_of(row) not in done]

  def verdict(row):
    task = by_name[row['task']]
    text = programs.program(form, task.prompt, task.entry, row['text'])
    found = judge(text, task.prompt, task.test, task.entry, limits)
    named = {name: row[name] for name in ('setting', 'task', 'sample')}
    return named | found._asdict()

  pool = concurrent.futures.ThreadPoolExecutor(workers)
  try:
    verdicts = pool.map(verdict, left)
    for _ in Progress(0, len(left), 'judged'):
      journal.add([next(verdicts)])
  finally:
    pool.shutdown(cancel_futures=True)
