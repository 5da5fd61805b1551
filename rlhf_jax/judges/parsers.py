"""Verdicts in the words of a judge: anchored, and "unparsed" is an answer.

A verdict is a line of its own, or all that was said. What stands in the middle
of a sentence is none, a verdict that is said twice counts once, and two that
contradict each other are none.
"""

import re

from rlhf_jax.judges.votes import FIRST, SECOND, TIE, UNPARSED

_EDGE = r'[\s*_`#>]{0,20}'  # what Markdown puts around a word
_SIDES = {'a': FIRST, 'b': SECOND, 'c': TIE, 'tie': TIE}
_YES = {'yes': True, 'no': False, 'unsafe': True, 'safe': False}
_NUMBER = r'(\d{1,3}(?:\.\d+)?)(?:\s*/\s*10)?'


def _labelled(label, value):
  """Lines that are a label and a value, whatever marks stand around."""
  return re.compile(
    rf'^{_EDGE}{label}{_EDGE}[:=]{_EDGE}{value}{_EDGE}\.?{_EDGE}$', re.I
  )


def _alone(value):
  return re.compile(rf'^{_EDGE}{value}{_EDGE}\.?{_EDGE}$', re.I)


_VERDICT = _labelled('(?:final )?verdict', r'\[*(a|b|c|tie)\]*')
_BRACKETS = re.compile(r'\[\[(a|b|c|tie)\]\]', re.I)
_SIDE = _alone(r'\[*(a|b|tie)\]*')
_SCORE = _labelled('(?:score|rating|grade)', r'\[*' + _NUMBER + r'\]*')
_GRADE_BRACKETS = re.compile(r'\[\[' + _NUMBER + r'\]\]')
_GRADE = _alone(_NUMBER)
_HARMFUL = _labelled('harmful', '(yes|no)')
_SAFE = _alone('(unsafe|safe|yes|no)')


def _said(text, line, anywhere, whole):
  """The values that are said, in small letters.

  Args:
    text: that was said.
    line: pattern of a line that is a verdict.
    anywhere: pattern of a verdict in any place.
    whole: pattern of a text that is nothing but a verdict.
  """
  found = [m[1] for m in map(line.match, text.splitlines()) if m]
  found += anywhere.findall(text)
  if not found and (alone := whole.match(text.strip())):
    found = [alone[1]]
  return [value.lower() for value in found]


def _only(values):
  """The one value of all of them, None of none or of several."""
  values = set(values)
  return values.pop() if len(values) == 1 else None


def parse_pairwise(text: str) -> int:
  """FIRST, SECOND, TIE or UNPARSED of the answer to `prompts.pairwise`.

  `[[A]]`, `[[B]]` and `[[C]]` are read too, as other prompts ask for them.
  """
  said = _said(text, _VERDICT, _BRACKETS, _SIDE)
  found = _only(_SIDES[value] for value in said)
  return UNPARSED if found is None else found


def parse_single(text: str) -> float | None:
  """The grade from 1 to 10 of the answer to `prompts.single`, or None."""
  grade = _only(map(float, _said(text, _SCORE, _GRADE_BRACKETS, _GRADE)))
  return grade if grade is not None and 1 <= grade <= 10 else None


def parse_harm(text: str) -> bool | None:
  """Whether harm was found, of the answer to `prompts.harm`; None: unparsed.

  A line that is the one word `safe` or `unsafe`, as guard models write it, is
  read too.
  """
  lines = text.splitlines()
  found = [_HARMFUL.match(line) or _SAFE.match(line) for line in lines]
  return _only(_YES[match[1].lower()] for match in found if match)
