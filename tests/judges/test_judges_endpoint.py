"""The client of a chat endpoint, against a server of the test."""

import http.server
import json
import threading

import pytest

from experiments.shared.kept import Journal
from rlhf_jax.judges import endpoint as client
from rlhf_jax.judges import scores, votes
from rlhf_jax.judges.votes import FIRST, SECOND, UNPARSED


@pytest.fixture
def server(monkeypatch):
  """A server whose answers are popped from `server.answers`."""
  monkeypatch.setenv('no_proxy', '127.0.0.1')

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802 (the library's name)
      size = int(self.headers['Content-Length'])
      body = json.loads(self.rfile.read(size))
      self.server.asked.append((self.path, dict(self.headers), body))
      status, content = self.server.answers.pop(0)
      self.send_response(status)
      self.end_headers()
      self.wfile.write(content)

    def log_message(self, *_):
      pass

  found = http.server.HTTPServer(('127.0.0.1', 0), Handler)
  found.asked, found.answers = [], []
  thread = threading.Thread(target=found.serve_forever, daemon=True)
  thread.start()
  yield found
  found.shutdown()
  found.server_close()
  thread.join()


def said(words, status=200):
  body = {'choices': [{'message': {'role': 'assistant', 'content': words}}]}
  return status, json.dumps(body).encode()


def at(server, **changes):
  url = f'http://127.0.0.1:{server.server_port}/v1'
  return client.Endpoint(url, 'judge', pause=0.0, timeout=5.0)._replace(
    **changes
  )


def test_a_judge_of_pairs_is_asked_in_both_orders(server):
  server.answers += [said('Good.\nVERDICT: A'), said('VERDICT: B')]
  judge = client.make_pairwise(client.make_ask(at(server, key='secret')))
  found = votes.ballot(judge, 'Why?', 'uno', 'due')
  assert (found.verdict, found.consistent) == (FIRST, True)
  assert found.votes[0].raw == 'Good.\nVERDICT: A'
  (path, headers, body), (_, _, other) = server.asked
  assert path == '/v1/chat/completions' and body['model'] == 'judge'
  assert headers['Authorization'] == 'Bearer secret'
  first, second = (x['messages'][0]['content'] for x in (body, other))
  assert first.index('uno') < first.index('due')
  assert second.index('due') < second.index('uno')


@pytest.mark.parametrize('words', ['', None, 'I cannot judge that.'])
def test_an_answer_without_a_verdict_is_unparsed_and_kept(words, server):
  server.answers += [said(words)]
  judge = client.make_pairwise(client.make_ask(at(server)))
  assert judge('p', 'x', 'y') == (UNPARSED, words or '')


def test_grades_that_are_close_are_a_tie_and_harm_is_asked(server):
  server.answers += [said('SCORE: 3'), said('SCORE: 8'), said('HARMFUL: YES')]
  ask = client.make_ask(at(server))
  judge = scores.make_score_judge(client.make_grade(ask), scores.GRADES_APART)
  assert judge('p', 'x', 'y') == (SECOND, '3.0 8.0')
  assert client.make_harm(ask)('p', 'x') is True


def test_a_busy_server_is_asked_again_and_a_refusing_one_is_not(server):
  server.answers += [(503, b''), (429, b''), said('A'), (401, b'no')]
  ask = client.make_ask(at(server))
  assert ask([]) == 'A'
  with pytest.raises(client.EndpointError, match='gave no answer .HTTP 401'):
    ask([])
  assert len(server.asked) == 4


def test_a_server_that_stays_busy_is_given_up(server):
  server.answers += [(500, b'')] * 3
  with pytest.raises(client.EndpointError, match='HTTP 500'):
    client.make_ask(at(server, tries=2))([])
  assert len(server.asked) == 2


@pytest.mark.parametrize(
  'content', [b'<html>', b'{}', b'{"choices": []}', b'[1]', b'']
)
def test_what_is_no_chat_endpoint_is_one_line(content, server):
  server.answers += [(200, content)]
  with pytest.raises(client.EndpointError, match='it is no chat endpoint'):
    client.make_ask(at(server))([])


def test_nobody_at_the_address_is_one_line(server):
  port = server.server_port
  server.shutdown()
  server.server_close()
  nobody = client.Endpoint(f'http://127.0.0.1:{port}', 'x', tries=1)
  with pytest.raises(
    client.EndpointError, match='look whether the server runs'
  ):
    client.make_ask(nobody)([])


@pytest.mark.parametrize('url', ['file:///etc/hosts', 'localhost:8000', ''])
def test_an_address_that_is_none_of_the_web_is_refused(url):
  with pytest.raises(ValueError, match='wanted a URL that starts with http'):
    client.make_ask(client.Endpoint(url, 'x'))


def test_kept_answers_are_not_asked_again_even_after_a_kill(tmp_path):
  asked, path = [], tmp_path / 'kept.jsonl'
  ask = lambda messages: asked.append(messages) or f'said {len(asked)}'
  kept = client.make_kept(ask, Journal(path), 'judge')
  assert kept(['a']) == kept(['a']) == 'said 1' and kept(['b']) == 'said 2'
  with path.open('a') as file:
    file.write('{"key": "half')
  again = client.make_kept(ask, Journal(path), 'judge')
  assert again(['a']) == 'said 1' and again(['c']) == 'said 3'
  assert client.make_kept(ask, Journal(path), 'judge')(['c']) == 'said 3'
  assert client.make_kept(ask, Journal(path), 'other')(['a']) == 'said 4'
