"""Serves the page on which people talk with policies and compare replies.

    python -m apps.feedback --policies=RUN[,RUN...] --db=FILE

A policy is a run of train_lm or train_ppo, smollm2, a Hugging Face folder or a
.gguf file. The page is at http://127.0.0.1:8000, for this machine alone; the
links to it are printed the first time. Killed at any moment, the same command
goes on where it was. See docs/feedback.md.
"""

import dataclasses
import os

import jax
import uvicorn
from absl import flags

from apps.feedback import app, serving
from apps.feedback.database import connect, told
from apps.feedback.plan import DIRECTIONS, SHOWN, Plan
from apps.feedback.writers import Writers
from experiments.shared import command

PLANNED = {field.name: field for field in dataclasses.fields(Plan)}
# Fields of a Plan that have a flag, and its help.
FLAGS = {
  'conversations': 'Tasks of a person.',
  'turns': 'Most exchanges of a conversation.',
  'overlap': 'People who compare the first two replies of a conversation.',
  'attention_every': 'Every so manieth task is an attention item.',
  'lease_seconds': 'How long a task waits for a person who does nothing.',
  'queue': 'Most replies that wait for the model.',
}
LEAST = {'rows': 2, 'max_prompt': 2, 'max_reply': 1, 'top_k': 0}


def plan_of(options) -> Plan:
  """The Plan of the flags.

  Raises:
    ValueError: naming the first value that is wrong.
  """
  values = {name: options[name] for name in FLAGS}
  return Plan(
    tasks=tuple(options['tasks'].split(',')),
    red_team_direction=options['red_team_direction'],
    shown=options['shown'],
    **values,
  )


def check_sampler(options) -> None:
  """Raises a ValueError at a value that no reply can be written with."""
  for name, least in LEAST.items():
    value = options[name]
    if value < least:
      raise ValueError(f'wanted --{name} of {least} or more, got {value}')
  if not options['temperature'] > 0:
    raise ValueError(
      f'wanted --temperature above 0, got {options["temperature"]}'
    )
  if not 0 < options['top_p'] <= 1:
    raise ValueError(
      f'wanted --top_p above 0 and at most 1, got {options["top_p"]}'
    )


def run(options) -> None:
  """Serves until it is ended; `options` has the flags' names."""
  plan = plan_of(options)
  check_sampler(options)
  # What takes no time is looked at before the models are opened.
  sock, origins = serving.listen(options)
  connect(options['db'], create=True).close()
  with sock, serving.alone(options['db']), told(options['db']):
    _serve(options, plan, sock, origins)


def _serve(options, plan, sock, origins):
  """Opens the models and serves; the database is this process's alone."""
  sampler = ('temperature', 'top_k', 'top_p', 'max_reply', 'max_prompt')
  writers = Writers(
    [x for x in options['policies'].split(',') if x],
    rows=options['rows'],
    sampler={name: options[name] for name in sampler},
    pm=options['pm'],
  )
  lines = serving.prepare(options, plan)
  served = app.make_app(options['db'], plan, writers, origins)
  for line in lines:
    print(line.replace('{origin}', origins[0]))
  if options['public']:
    port = sock.getsockname()[1]
    where = origins[0], options['host'], port, options['db']
    print(serving.told_outside(*where))
  print(f'serving at {origins[0]}', flush=True)
  config = uvicorn.Config(
    served,
    log_level='warning',
    access_log=False,  # a path may be an invitation
    server_header=False,
    proxy_headers=False,
    ws='none',
    h11_max_incomplete_event_size=16384,
    timeout_graceful_shutdown=5,
  )
  uvicorn.Server(config).run(sockets=[sock])


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  number = lambda name, default, words: flags.DEFINE_integer(
    name, default, words
  )
  values = [
    flags.DEFINE_string('policies', None, 'Runs or models, commas between.'),
    flags.DEFINE_string('db', None, 'File of the database; made if not there.'),
    flags.DEFINE_string('pm', '', 'Run of train_pm that scores, unseen.'),
    flags.DEFINE_string('tasks', 'helpful', 'helpful, red_team, or both.'),
    flags.DEFINE_enum(
      'red_team_direction', 'better', DIRECTIONS, 'Reply that is asked for.'
    ),
    flags.DEFINE_enum('shown', 'stream', SHOWN, 'Token by token, or not.'),
    flags.DEFINE_string('openings', '', 'File of first messages, one a line.'),
    flags.DEFINE_string('attention', '', 'Pairs with a known answer, as HH.'),
    flags.DEFINE_string('host', '127.0.0.1', 'Address to listen at.'),
    flags.DEFINE_string('public', '', 'Address that people outside open.'),
    number('port', 8000, '0: one that is free.'),
    number('rows', 8, 'Replies that are written at once.'),
    number('max_prompt', 512, 'Most tokens of a prompt.'),
    number('max_reply', 256, 'Most tokens of a reply.'),
    number('top_k', 0, 'Of the sampling; 0: all.'),
    flags.DEFINE_float('top_p', 1.0, 'Of the sampling; 1: all.'),
    flags.DEFINE_float('temperature', 1.0, 'Of the sampling.'),
  ]
  values += [
    flags.DEFINE_float(name, PLANNED[name].default, words)
    if isinstance(PLANNED[name].default, float)
    else number(name, PLANNED[name].default, words)
    for name, words in FLAGS.items()
  ]
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  command.main_of_flags(run, values, ('policies', 'db'))


if __name__ == '__main__':
  main()
