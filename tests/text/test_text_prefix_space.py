"""Tokenizers that put a space before a text: Llama 2's, Mistral's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN
from rlhf_jax.text.encode import encode_prompt, encode_reply
from tests.pretrained_files import need_or_skip

need_or_skip('tokenizers')

import tokenizers  # noqa: E402
from spaced_tokenizer import (  # noqa: E402
  BRACKETS,
  LINES,
  SPECIAL,
  STYLES,
  write_folder,
)

from rlhf_jax.text.prefix_space import take_out  # noqa: E402
from rlhf_jax.text.pretrained import PretrainedTokenizer  # noqa: E402

pytestmark = pytest.mark.slow  # compares with transformers

TEXT = st.text(
  st.characters(exclude_categories=['Cs'], exclude_characters='\ue000\ue001'),
  max_size=12,
)
SPACED = st.sampled_from(['hi all', ' hi', '  hi ', '\nhi'])
SAID = st.one_of(TEXT, SPACED).filter(
  lambda text: HUMAN not in text and ASSISTANT not in text
)


@pytest.fixture(scope='module', params=STYLES)
def style(request):
  return request.param


@pytest.fixture(scope='module', params=[False, True], ids=['', 'begin'])
def folder(style, request, tmp_path_factory):
  """A model without a chat template, with and without a begin token."""
  folder = tmp_path_factory.mktemp(style) / 'base'
  return write_folder(folder, style, begin=request.param)


@pytest.fixture(scope='module')
def base(folder):
  return PretrainedTokenizer.from_folder(folder)


@settings(deadline=None, max_examples=200)
@given(SAID)
def test_the_space_taken_out_and_put_back_gives_the_tokenizers_own_ids(
  base, text
):
  own = tokenizers.Tokenizer.from_str(base._backend.to_str())
  own.encode_special_tokens = True
  without, space = take_out(own.to_str())
  plain = tokenizers.Tokenizer.from_str(without)
  plain.encode_special_tokens = True
  begun = space.before(text, begins=True) + text
  assert plain.encode(begun).ids == own.encode(text).ids


@settings(deadline=None, max_examples=200)
@given(st.lists(SAID, min_size=1, max_size=3), SAID.filter(bool))
def test_what_is_said_comes_back_to_the_character(base, turns, reply):
  prompt = '\n\nAssistant: hi'.join(f'\n\nHuman: {turn}' for turn in turns)
  prompt += ASSISTANT
  ids, _ = encode_prompt(base, prompt, 900)
  # These vocabularies spell a space as U+2581, and so have no other.
  prompt, back = prompt.replace('▁', ' '), reply.replace('▁', ' ')
  assert base.decode(ids) == prompt
  assert base.decode(base.encode(reply)) == back
  assert base.decode_reply(base.encode_reply(f' {reply}')) == f' {back}'


def test_a_reply_begins_with_the_piece_of_a_word_inside_a_text(base):
  """' hi' is one piece, as it is after the colon in a whole text."""
  hi = base._backend.token_to_id('▁hi')
  assert base.encode_reply(' hi') == [hi]
  assert base.encode_document('hi')[-1] == hi


def test_a_text_has_the_ids_of_transformers(folder, base):
  """The space is there before the begin token is, so it is no text's second.

  A dialogue begins as a text does.
  """
  transformers = pytest.importorskip('transformers')
  theirs = transformers.AutoTokenizer.from_pretrained(folder)
  for text in ('hi', 'hi all', ' hi', '  hi ', '\nhi', 'B', ''):
    assert base.encode_document(text) == theirs(text).input_ids, text
  prompt = f'{HUMAN} hi all{ASSISTANT} hi{HUMAN} at hi{ASSISTANT}'
  ids, _ = encode_prompt(base, prompt, 900)
  assert ids == theirs(prompt).input_ids
  space = base._backend.token_to_id('▁')
  assert (ids[0], ids[ids[0] == base.bos_id]) == (base.bos_id or space, space)


@pytest.mark.parametrize('begin', [False, True])
@pytest.mark.parametrize('template', [BRACKETS, LINES, SPECIAL])
def test_a_dialogue_has_the_ids_of_transformers(
  style, template, begin, tmp_path
):
  """The reply too, which is tokenised apart from its prompt.

  A begin token that the template writes is text before what is said.
  """
  transformers = pytest.importorskip('transformers')
  folder = write_folder(tmp_path, style, template, begin)
  ours = PretrainedTokenizer.from_folder(folder)
  theirs = transformers.AutoTokenizer.from_pretrained(folder)
  said = ['hi all', 'hello at all', 'at hi', 'hi hello']
  roles = ['user', 'assistant'] * 2
  whole = [
    {'role': role, 'content': text}
    for role, text in zip(roles, said, strict=True)
  ]
  prompt = f'{HUMAN} {said[0]}{ASSISTANT} {said[1]}{HUMAN} {said[2]}{ASSISTANT}'
  ids, _ = encode_prompt(ours, prompt, 900)
  asked = theirs.apply_chat_template(
    whole[:3], add_generation_prompt=True, return_dict=False
  )
  assert ids == asked
  reply, _ = encode_reply(ours, f' {said[3]}', 900)
  given_ = theirs.apply_chat_template(whole, return_dict=False)
  end = given_[: len(ids) + len(reply)]
  assert end == ids + reply and reply[-1] == ours.eos_id
  assert ours.decode_reply(reply) == f' {said[3]}'
