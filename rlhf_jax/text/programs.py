r"""Programs out of what a model writes after a task of HumanEval.

Two forms, which are part of the name of every result:

    raw    the model goes on from the prompt as it is; what it writes is cut
           before the first of "\nclass", "\ndef", "\n#", "\nif", "\nprint"
           (Chen et al. 2021, arXiv:2107.03374, section 2.1)
    chat   the prompt is put as a request, in the model's chat template; of the
           reply the first code block counts, or all of it where there is none
"""

import re

RAW, CHAT = 'raw', 'chat'
FORMS = (RAW, CHAT)
STOPS = ('\nclass', '\ndef', '\n#', '\nif', '\nprint')
REQUEST = (
  'Complete this Python function. Answer with the whole function in one code '
  'block.\n\n```python\n{}```'
)
# What says how a program came about, by form.
PROTOCOL = {
  RAW: f'prompt as is; cut before the first of {", ".join(map(repr, STOPS))}',
  CHAT: f'first code block of the reply to {REQUEST!r}',
}
_BLOCK = re.compile(r'```[^\n]*\n(.*?)(?:\n?```|\Z)', re.DOTALL)


def cut_at_stops(text: str) -> str:
  """The text before the first of STOPS, whichever that is."""
  ends = [text.find(stop) for stop in STOPS]
  return text[: min((end for end in ends if end >= 0), default=len(text))]


def program(form: str, prompt: str, entry: str, written: str) -> str:
  """The program that is judged.

  In the form `chat` a block that defines the function stands after the prompt,
  which gives it imports and helpers; any other goes on from the prompt.

  Args:
    form: of FORMS.
    prompt: of the task.
    entry: name of the task's function.
    written: by the model.
  """
  if form == RAW:
    return prompt + cut_at_stops(written)
  block = _BLOCK.search(written)
  code = block[1] if block else written
  if re.search(rf'^(?:async )?def {re.escape(entry)}\b', code, re.MULTILINE):
    return f'{prompt}\n\n{code}\n'
  return prompt + code
