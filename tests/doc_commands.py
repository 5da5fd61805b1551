"""Commands of the README and of docs/, and the machines they are marked with.

A command is an indented line of a block that begins with a program: make, pip,
python, jupyter, ... What a machine has to have stands in a line of its own
before the block, in italics: *Needs a GPU:*.
"""

import pathlib
import re
import shlex
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
_BLOCK = re.compile(r'(?:^(?: {4}.*)?\n)+', flags=re.M)
_START = re.compile(
  r'((?:[A-Z_]+=\S* )*)(?:\.venv/bin/)?'
  r'(make|pip|python|jupyter|sbatch|srun|bash|gcloud|for)\b'
)
_NEEDS = re.compile(r'\*Needs ([^*]+):\*\s*$')


class Command(NamedTuple):
  """One command of a page.

  Attributes:
    page: name of its file.
    text: without line breaks and comments.
    needs: the machine it is marked with; '' of any.
  """

  page: str
  text: str
  needs: str

  @property
  def words(self) -> list[str]:
    """Its words, without the folder of the environment."""
    return shlex.split(self.text.replace('.venv/bin/', ''))


def commands_of(text: str, page: str) -> list[Command]:
  """The commands of a page, in their order."""
  found, end = [], 0
  # Fenced programs are no commands.
  text = re.sub(r'^```.*?^```$', '', text + '\n', flags=re.M | re.S)
  for block in _BLOCK.finditer(text):
    before = text[end : block.start()].rstrip('\n')
    if block[0].strip():
      needs = _NEEDS.search(before)
      lines = block[0].replace('\\\n', ' ').splitlines()
      for line in lines:
        words = re.sub(r'\s+# .*', '', ' '.join(line.split()))
        if _START.match(words):
          found.append(Command(page, words, needs[1] if needs else ''))
      end = block.end()
  return found


def all_commands() -> list[Command]:
  """Those of all pages."""
  return [
    command
    for path in PAGES
    for command in commands_of(path.read_text(), path.name)
  ]
