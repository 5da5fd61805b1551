"""Scripts, one a stage; rooms below hold what they share.

`python -m experiments.NAME` says at once that it starts: libraries take some
seconds to load. A module that is no script says so in place of doing nothing.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIN = "if __name__ == '__main__':"


def scripts():
  """Names of the modules that are run, and not only imported."""
  return sorted(
    file.stem
    for file in HERE.glob('*.py')
    if f'\n{MAIN}' in file.read_text(encoding='utf-8')
  )


def asked(argv, words):
  """The module of `python -m MODULE` while Python looks for it, else ''.

  Args:
    argv: sys.argv, whose first is '-m' until the module is found.
    words: sys.orig_argv.
  """
  if argv[:1] != ['-m'] or '-m' not in words:
    return ''
  return ''.join(words[words.index('-m') + 1 :][:1])


def opening(module):
  """(first line of a script, whether the module is one)."""
  name = module.partition('.')[2]
  if name in scripts():
    return f'{name}: starting, libraries take some seconds to load', True
  return (
    f'error: {module} is no script: python -m experiments.NAME, NAME one of '
    f'{", ".join(scripts())}; --help lists the settings of each',
    False,
  )


_module = asked(sys.argv, sys.orig_argv)
if _module.partition('.')[0] == __name__:
  _line, _is_script = opening(_module)
  print(_line, file=sys.stderr, flush=True)
  if not _is_script:
    raise SystemExit(2)
