"""Replies of models to questions: conversations, and what is kept."""

import types

import pytest

from experiments.shared import model_replies
from rlhf_jax.data.questions import Question

ASKED = [
  Question(('Who?', 'Why?'), 'two'),
  Question(('Where?',), 'one'),
  Question(('\n\nHuman: draw\n\nAssistant:',), 'helpful'),
]
TOLD = {'max_reply': 4, 'temperature': 0.0, 'replies': 1, 'seed': 3}


def test_second_turns_are_compared_as_conversations():
  first = [[['me'], ['so']], [['here']], [['a cat']]]
  second = [[['you'], ['no']], [['there']], [['a dog']]]
  games = model_replies.games(ASKED, first, second)
  assert [len(games[turns]) for turns in (1, 2)] == [3, 1]
  assert games[1][0][:3] == ('Who?', 'me', 'you')
  (last,) = games[2]
  assert last.first == 'me\n\nHuman: Why?\n\nAssistant: so'
  assert model_replies.as_text(*last[:2]) == (
    '\n\nHuman: Who?\n\nAssistant: me\n\nHuman: Why?\n\nAssistant:',
    ' so',
  )
  # A dialogue is asked as it is, and votes of people there are none.
  assert model_replies.as_text(*games[1][2][:2]) == (
    '\n\nHuman: draw\n\nAssistant:',
    ' a cat',
  )
  assert games[1][0].votes == ()


@pytest.fixture
def model(monkeypatch, tmp_path):
  """A model that says how often it was asked before; a folder stands for it."""
  calls = []

  def continuations(opened, asked, label, *, replies, draw, seed, first, rows):
    if len(calls) == model.dies:
      raise KeyboardInterrupt
    calls.append((seed, first, draw, [one.prompt for one in asked]))
    return [
      [f'\n\nHuman: {k} of {len(calls)}'] * replies for k in range(len(asked))
    ]

  model = types.SimpleNamespace(calls=calls, dies=99)
  words = types.SimpleNamespace(has_template=True)
  opened = types.SimpleNamespace(tokenizer=words)
  model.tools = model_replies.Tools(lambda *_, **__: opened, continuations)
  monkeypatch.setattr(model_replies.imported, 'revision', lambda _: 'r')
  return model


def test_a_second_turn_is_asked_after_the_model_s_own_first_reply(
  model, tmp_path
):
  found = model_replies.written('a', 'm', ASKED, TOLD, tmp_path, model.tools)
  assert found.template == 'chat'
  # Markers of a reply are no turns.
  assert found.said[0] == [['Human: 0 of 1'], ['Human: 0 of 2']]
  (seed, _, draw, _), (later, _, _, prompts) = model.calls
  assert (seed, later) == (3, 4) and draw['greedy']
  assert prompts == [
    '\n\nHuman: Who?\n\nAssistant: Human: 0 of 1\n\nHuman: Why?\n\nAssistant:'
  ]


def test_a_killed_model_goes_on_and_another_one_is_refused(
  model, tmp_path, monkeypatch
):
  monkeypatch.setattr(model_replies, 'PART', 1)
  model.dies = 3  # two turns of the first question, one of the second
  with pytest.raises(KeyboardInterrupt):
    model_replies.written('a', 'm', ASKED, TOLD, tmp_path, model.tools)
  model.dies = 99
  found = model_replies.written('a', 'm', ASKED, TOLD, tmp_path, model.tools)
  assert [call[1] for call in model.calls] == [0, 0, 1, 2]
  assert (
    model_replies.written('a', 'm', ASKED, TOLD, tmp_path, model.tools) == found
  )
  assert len(model.calls) == 4
  for changes in ({'temperature': 1.0}, {'max_reply': 9}):
    with pytest.raises(ValueError, match='holds results of'):
      model_replies.written(
        'a', 'm', ASKED, TOLD | changes, tmp_path, model.tools
      )
  with pytest.raises(ValueError, match='holds results of questions'):
    model_replies.written('a', 'm', ASKED[:1], TOLD, tmp_path, model.tools)
