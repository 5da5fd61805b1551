"""Command line of the checks.

    python -m rlhf_jax.check --model=FOLDER --data=PAIRS [--reward=FOLDER]
    python -m rlhf_jax.check --functions=MODULE:FUNCTION

Prints a line a check; exit code 0 if none has failed, 1 if one has, 2 if
something cannot be read.
"""

import argparse
import json
import sys
from pathlib import Path

from rlhf_jax.check import findings, opened, runner


def parser():
  """The parser of the flags."""
  found = argparse.ArgumentParser(prog='python -m rlhf_jax.check')
  add = found.add_argument
  add('--model', default='', help='folder as transformers has it, or .gguf')
  add('--reward', default='', help='folder of a preference model, one label')
  add('--data', default='', help='pairs, a file or a folder')
  add('--prompts', default='', help='prompts of RL, a file')
  add('--evaluation', default='', help='what must not be trained on, a file')
  add('--functions', default='', help='MODULE:FUNCTION, of your own model')
  add('--pad_token', default='', help='where the tokenizer names none')
  add('--temperature', type=float, default=1.0, help='of the sampler')
  add('--max_prompt', type=int, default=128, help='tokens of a prompt')
  add('--max_reply', type=int, default=64, help='tokens of a reply')
  add('--limit', type=int, default=5000, help='pairs of each side; 0: all')
  add('--json', nargs='?', const='-', default='', help='a file; alone: stdout')
  return found


def main(argv=None) -> int:
  """Runs the checks of a command line; the exit code."""
  options = parser().parse_args(argv)
  try:
    given = _arguments(options)
    found = runner.run(**given)
  except (ValueError, OSError, TypeError) as error:
    line = str(error).strip().splitlines()[0]
    print(f'error: {line}', file=sys.stderr)
    return 2
  text = json.dumps(findings.as_json(found), indent=1)
  if options.json == '-':
    print(text)
  else:
    print(*findings.table(found), sep='\n')
    if options.json:
      Path(options.json).write_text(text + '\n')
  return 1 if findings.failed(found) else 0


def _arguments(options):
  if bool(options.functions) == bool(options.model):
    raise ValueError('wanted --model with --data, or --functions')
  if options.functions:
    return opened.named(options.functions)
  if not options.data:
    raise ValueError('wanted --data, pairs in a form of docs/own-pairs.md')
  return opened.of_files(options)


if __name__ == '__main__':
  sys.exit(main())
