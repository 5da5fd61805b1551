"""Judges behind an OpenAI-compatible chat endpoint, with the standard library.

    POST URL/chat/completions {model, messages, temperature, max_tokens}

Nothing here is called unless a URL is named. Every answer can be kept, and the
same question is then answered without asking again.
"""

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from rlhf_jax.judges import parsers, prompts
from rlhf_jax.judges.votes import Judge, Vote

Ask = Callable[[list[dict]], str]
_AGAIN = (408, 409, 429, 500, 502, 503, 504)
_LARGEST = 1 << 24  # bytes of an answer


class EndpointError(OSError):
  """An endpoint that gives no answer; says which and why."""


class Endpoint(NamedTuple):
  """Address and settings of a judge.

  Attributes:
    url: up to the version, such as http://localhost:8000/v1.
    model: name that the endpoint knows.
    key: sent as a bearer token; '': none is sent.
    temperature: of its sampling.
    max_tokens: of its answer.
    timeout: seconds that are waited for an answer.
    tries: how often it is asked when it is busy or does not answer.
    pause: seconds before the second try, doubled with each one.
  """

  url: str
  model: str
  key: str = ''
  temperature: float = 0.0
  max_tokens: int = 1024
  timeout: float = 120.0
  tries: int = 4
  pause: float = 1.0


def make_ask(endpoint: Endpoint) -> Ask:
  """ask(messages) -> words of the model; '' where it says nothing.

  Args:
    endpoint: address and settings.

  Raises:
    ValueError: if the address is none of the web.
  """
  if not endpoint.url.startswith(('http://', 'https://')):
    raise ValueError(
      f'wanted a URL that starts with http:// or https://, got {endpoint.url!r}'
    )
  address = f'{endpoint.url.rstrip("/")}/chat/completions'
  headers = {'Content-Type': 'application/json'}
  if endpoint.key:
    headers['Authorization'] = f'Bearer {endpoint.key}'

  def ask(messages):
    body = {'model': endpoint.model, 'messages': messages}
    body |= {'temperature': endpoint.temperature}
    body |= {'max_tokens': endpoint.max_tokens}
    data = json.dumps(body).encode()
    for i in range(endpoint.tries):
      request = urllib.request.Request(address, data, headers)
      try:
        return _words(_answer(request, endpoint.timeout), address)
      except urllib.error.HTTPError as error:
        reason, again = f'HTTP {error.code}', error.code in _AGAIN
        error.close()
      except (OSError, http.client.HTTPException) as error:
        if isinstance(error, EndpointError):
          raise
        reason, again = str(getattr(error, 'reason', error)), True
      if not again:
        break
      if i + 1 < endpoint.tries:
        time.sleep(endpoint.pause * 2**i)
    raise EndpointError(
      f'{address} gave no answer ({reason}): look whether the server runs, and '
      'at its URL, model and key'
    )

  return ask


def _answer(request, timeout):
  with urllib.request.urlopen(request, timeout=timeout) as response:
    return response.read(_LARGEST)


def _words(data, address):
  """The content of the first choice."""
  try:
    content = json.loads(data)['choices'][0]['message']['content']
    if content is None or isinstance(content, str):
      return content or ''
  except (ValueError, KeyError, IndexError, TypeError):
    pass
  raise EndpointError(
    f'{address}: wanted choices with a message and its content, got '
    f'{data[:60]!r}: it is no chat endpoint'
  )


def make_kept(ask: Ask, journal, label: str) -> Ask:
  """The same `ask`, its answers kept in a journal, and read there.

  Args:
    ask: of an endpoint.
    journal: its `rows` were kept before and are not asked again; `add(rows)`
      keeps more.
    label: model and settings: another label is another question.
  """
  known = {row['key']: row['said'] for row in journal.rows}

  def kept(messages):
    text = json.dumps([label, messages])
    key = hashlib.sha256(text.encode()).hexdigest()
    if key not in known:
      known[key] = ask(messages)
      journal.add([{'key': key, 'said': known[key]}])
    return known[key]

  return kept


def make_pairwise(ask: Ask) -> Judge:
  """The judge that is shown both replies."""

  def judge(prompt, first, second):
    said = ask(prompts.pairwise(prompt, first, second))
    return Vote(parsers.parse_pairwise(said), said)

  return judge


def make_grade(ask: Ask):
  """score(prompt, reply) -> grade of 1 to 10, or None, for `scores`."""
  return lambda prompt, reply: parsers.parse_single(
    ask(prompts.single(prompt, reply))
  )


def make_harm(ask: Ask):
  """harmful(prompt, reply) -> whether it is, or None."""
  return lambda prompt, reply: parsers.parse_harm(
    ask(prompts.harm(prompt, reply))
  )
