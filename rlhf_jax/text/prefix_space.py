"""The space that tokenizers such as Llama 2's put before a text.

They were trained on texts with it, so a word at the beginning has the id of the
same word inside. Prompts and replies are tokenised apart here, and a reply is
no beginning: with the space put in unasked, `decode(encode(x)) == x` is lost.
So the space is taken out of the tokenizer and put in as a character where the
model saw it: at the beginning, or after each special token too.
"""

import json
from typing import NamedTuple

_CHARACTERS = (' ', '\u2581')  # a space, and how vocabularies spell it
_SPACE_FIRST = {
  'type': 'Metaspace',
  'replacement': ' ',
  'prepend_scheme': 'first',
  'split': False,
}


class PrefixSpace(NamedTuple):
  """Space that a tokenizer puts before a text.

  Attributes:
    first: whether at the beginning of a text.
    every: whether after each special token too.
    double: whether also where the text has a space in front already.
  """

  first: bool = False
  every: bool = False
  double: bool = False

  def before(self, text: str, *, begins: bool) -> str:
    """' ' or '': what goes before a run of text without special tokens.

    Args:
      text: the run.
      begins: whether nothing is before it, not even a special token.
    """
    wanted = self.every or (self.first and begins)
    has_one = text.startswith(_CHARACTERS) and not self.double
    return ' ' if text and wanted and not has_one else ''


def take_out(model: str) -> tuple[str, PrefixSpace]:
  """A tokenizer.json that puts no space before a text, and what it had put.

  The space may come from a normalizer (Prepend) or a pre-tokenizer (Metaspace,
  ByteLevel); decoders that take it off (Strip, Metaspace) no longer do.

  Args:
    model: the text of a tokenizer.json.
  """
  content = json.loads(model)
  found = PrefixSpace()
  for step in _steps(content, 'normalizer', 'normalizers'):
    if step['type'] == 'Prepend' and step['prepend'] in _CHARACTERS:
      found = PrefixSpace(first=True, every=True, double=True)
      step['prepend'] = ''
  for step in _steps(content, 'pre_tokenizer', 'pretokenizers'):
    scheme = _scheme(step)
    if scheme != 'never':
      found = PrefixSpace(first=True, every=scheme == 'always')
    _never(step)
  if not found.first:
    return model, found
  for step in _steps(content, 'decoder', 'decoders'):
    _never(step)
    if step['type'] == 'Strip' and step['content'] in _CHARACTERS:
      step['start'] = 0
  return json.dumps(content), found


def at_the_beginning_only(content: dict) -> list[dict]:
  """Pre-tokenizers that put a space at the beginning of a text, if anywhere.

  Those that put one before every part would do so too where a step before them
  has split the text.

  Args:
    content: a tokenizer.json.
  """
  found = []
  for step in _steps(content, 'pre_tokenizer', 'pretokenizers'):
    if _scheme(step) == 'never':
      found.append(step)
    elif step['type'] == 'Metaspace':
      found.append(step | {'prepend_scheme': 'first'})
    else:  # ByteLevel has no such setting
      found += [_SPACE_FIRST, step | {'add_prefix_space': False}]
  return found


def _steps(content, part, listed):
  """The steps of a part of a tokenizer.json: one, several or none."""
  step = content.get(part)
  if not step:
    return []
  return step[listed] if step['type'] == 'Sequence' else [step]


def _scheme(step):
  """'never', 'first' or 'always', whatever the file calls it."""
  if step['type'] not in ('Metaspace', 'ByteLevel'):
    return 'never'
  old = 'always' if step.get('add_prefix_space') else 'never'
  return step.get('prepend_scheme', old)


def _never(step):
  """Has a step put no space before a text."""
  if 'add_prefix_space' in step:
    step['add_prefix_space'] = False
  if 'prepend_scheme' in step:
    step['prepend_scheme'] = 'never'
