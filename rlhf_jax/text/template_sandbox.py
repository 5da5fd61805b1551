"""Chat templates in a process of their own: a stranger's program, with limits.

A template can loop for hours or double a text until memory is full, also while
it is compiled, and nothing stops it in this process. So this file runs as a
script: it reads a request from stdin as JSON, limits itself, renders, and
writes the texts to stdout. It imports nothing of ours.

The names and settings are those with which transformers renders
(`utils/chat_template_utils.py`), {% generation %} blocks included, except that
`strftime_now` is a macro of `rlhf_jax.text.chat`.
"""

import json
import math
import os
import resource
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

SECONDS = 5  # of processor time, for all texts of a request
MEMORY = 2**30  # bytes of address space
CHARACTERS = 2**20  # of a text


class TooLongError(Exception):
  """A text of more than CHARACTERS."""


def _raise_exception(message):
  raise jinja2.TemplateError(message)


def _tojson(
  x, ensure_ascii=False, indent=None, separators=None, sort_keys=False
):
  return json.dumps(
    x,
    ensure_ascii=ensure_ascii,
    indent=indent,
    separators=separators,
    sort_keys=sort_keys,
  )


class Generation(jinja2.ext.Extension):
  """{% generation %}: words of the Assistant; rendered as they stand.

  A call block, as in transformers: what is set inside is not seen outside.
  """

  tags = {'generation'}

  def parse(self, parser):
    """The call block of the tag."""
    line = next(parser.stream).lineno
    body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
    call = self.call_method('_inside')
    return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

  def _inside(self, caller):
    return caller()


def environment():
  """The sandbox, with the settings and the names that templates count on."""
  found = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=[Generation, jinja2.ext.loopcontrols],
  )
  found.globals['raise_exception'] = _raise_exception
  found.filters['tojson'] = _tojson
  return found


def _render(template, names, messages, ask):
  """One text; what nobody has asked for is None, as in transformers."""
  text = template.render(
    messages=messages,
    add_generation_prompt=ask,
    tools=None,
    documents=None,
    **names,
  )
  if len(text) > CHARACTERS:
    raise TooLongError(f'{len(text)} characters, wanted {CHARACTERS} at most')
  return text


def _said(error):
  """(name of its class, one line)."""
  line = ' '.join(str(error).split())
  return type(error).__name__, line[:200]


def _literals(tree):
  nodes = jinja2.nodes
  found = [node.data for node in tree.find_all(nodes.TemplateData)]
  found += [
    node.value
    for node in tree.find_all(nodes.Const)
    if isinstance(node.value, str)
  ]
  return '\0'.join(found)


def answer(request):
  """Texts of a request, or why there are none.

  Args:
    request: {'source': of the template, 'names': that it may use, 'shapes':
      [[messages, whether a reply is asked for]]}.

  Returns:
    {'syntax': why it does not compile, or None; 'literals': the texts that are
    written in it, one after the other; 'texts': [[text, None] or [None, [class
    of the error, its message]]]}.
  """
  made = environment()
  try:
    literals = _literals(made.parse(request['source']))
    template = made.from_string(request['source'])
  except Exception as error:
    return {'syntax': _said(error), 'literals': '', 'texts': []}
  texts = []
  for messages, ask in request['shapes']:
    try:
      texts.append((_render(template, request['names'], messages, ask), None))
    except Exception as error:  # MemoryError and RecursionError too
      texts.append((None, _said(error)))
  return {'syntax': None, 'literals': literals, 'texts': texts}


def _lower(kind, most):
  """Sets a limit, unless there is a lower one already."""
  _, hard = resource.getrlimit(kind)
  most = most if hard == resource.RLIM_INFINITY else min(most, hard)
  resource.setrlimit(kind, (most, hard))


def limit():
  """Limits this process; what it has used so far does not count."""
  used = math.ceil(sum(os.times()[:2]))
  _lower(resource.RLIMIT_CPU, used + SECONDS)
  _lower(resource.RLIMIT_CORE, 0)
  if sys.platform.startswith('linux'):  # others refuse it or do not keep it
    _lower(resource.RLIMIT_AS, MEMORY)


if __name__ == '__main__':
  asked = json.loads(sys.stdin.buffer.read())
  limit()
  sys.stdout.buffer.write(json.dumps(answer(asked)).encode())
