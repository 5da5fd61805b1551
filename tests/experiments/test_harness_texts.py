"""Texts of the harness as tokens: plain ones, and dialogues behind a mark."""

import pytest

from experiments.harness import texts
from experiments.shared.imported import with_system
from rlhf_jax.text.pretrained import PretrainedTokenizer
from tests.pretrained_files import need_or_skip

HISTORY = [{'role': 'user', 'content': 'Say hello.'}]


@pytest.fixture(scope='module')
def words(tmp_path_factory):
  need_or_skip('tokenizers')
  from tests.text.small_tokenizer import write_folder

  folder = write_folder(tmp_path_factory.mktemp('words') / 'tokenizer')
  return PretrainedTokenizer.from_folder(folder)


class Bytes:
  """A tokenizer of bytes without a template."""

  def encode(self, text):
    return list(text.encode())


def test_a_plain_text_is_encoded_from_its_beginning(words):
  text = 'the cat <|im_end|>'
  assert texts.ids_of(words, text, None) == words.encode_document(text)


def test_a_dialogue_goes_through_the_chat_template(words):
  """Prompt and continuation apart: the prefix property holds."""
  context = texts.dialogue_text(HISTORY)
  prompt = '\n\nHuman: Say hello.\n\nAssistant:'
  ids, _ = words.encode_prompt(prompt, 1000)
  assert texts.ids_of(words, context, with_system) == ids
  whole = texts.ids_of(words, context + 'the dog', with_system)
  assert whole == ids + words.encode_reply('the dog')


def test_a_system_message_is_the_template_s_system_prompt(words):
  history = [{'role': 'system', 'content': 'the cat\n'}, *HISTORY]
  ids = texts.ids_of(words, texts.dialogue_text(history), with_system)
  prompt = '\n\nHuman: Say hello.\n\nAssistant:'
  wanted, _ = with_system(words, 'the cat\n').encode_prompt(prompt, 1000)
  assert ids == wanted
  assert ids != words.encode_prompt(prompt, 1000)[0]


def test_without_a_template_a_system_message_opens_the_first_turn():
  history = [{'role': 'system', 'content': 'Be good.'}, *HISTORY]
  text = texts.dialogue_text(history) + 'Hi'
  wanted = '\n\nHuman: Be good.\n\nSay hello.\n\nAssistant: Hi'
  assert bytes(texts.ids_of(Bytes(), text, with_system)).decode() == wanted


def test_examples_are_turns_of_their_own():
  history = [
    *HISTORY,
    {'role': 'assistant', 'content': 'Hello.'},
    {'role': 'user', 'content': 'Again.'},
  ]
  text = texts.dialogue_text(history)
  assert text == (
    f'{texts.MARK}{texts.MARK}\n\nHuman: Say hello.\n\nAssistant: Hello.'
    '\n\nHuman: Again.\n\nAssistant:'
  )


def test_a_reply_that_was_begun_is_gone_on_with():
  history = [*HISTORY, {'role': 'assistant', 'content': 'The answer is'}]
  text = texts.dialogue_text(history) + ' B'
  found = bytes(texts.ids_of(Bytes(), text, with_system)).decode()
  assert found.endswith('\n\nAssistant: The answer is B')


def test_a_role_that_there_is_not_is_an_error():
  history = [*HISTORY, {'role': 'system', 'content': 'x'}]
  with pytest.raises(ValueError, match="got 'system' as number 2"):
    texts.dialogue_text(history)


@pytest.mark.parametrize(
  ('stops', 'left'),
  [
    (['\n', '.'], ' Paris'),
    (['x'], ' Paris. It\nis'),
    ([''], ' Paris. It\nis'),
  ],
)
def test_a_reply_ends_before_its_first_stop(stops, left):
  assert texts.cut_at(' Paris. It\nis', stops) == left
