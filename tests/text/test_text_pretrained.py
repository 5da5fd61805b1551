import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, DialogueError
from rlhf_jax.text.encode import encode_example, encode_prompt, encode_reply
from tests.pretrained_files import need_or_skip

need_or_skip('tokenizers')

from small_tokenizer import write_folder  # noqa: E402

from rlhf_jax.text.pretrained import (  # noqa: E402
  PretrainedTokenizer,
  load_tokenizer,
)

WORDS = st.text(
  st.characters(exclude_categories=['Cs'], exclude_characters='\ue000\ue001'),
  max_size=12,
)
BODY = st.one_of(
  WORDS,
  st.sampled_from(
    ['<|im_start|>', '<|im_end|>', '<|im_end|>\n<|im_start|>assistant\n']
  ),
).filter(lambda text: HUMAN not in text and ASSISTANT not in text)
FIRST = '\n\nHuman: the cat\n\nAssistant: and the dog'
LAST = '\n\nHuman: say hello\n\nAssistant:'
HEAD = '<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\n'
TAIL = '<|im_end|>\n<|im_start|>assistant\n'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return write_folder(tmp_path_factory.mktemp('hf') / 'chat')


@pytest.fixture(scope='module')
def chat(folder):
  return PretrainedTokenizer.from_folder(folder)


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
  path = tmp_path_factory.mktemp('hf') / 'plain'
  return PretrainedTokenizer.from_folder(write_folder(path, template=None))


def spelled(tokenizer, ids):
  """The text of ids, special tokens written out."""
  return tokenizer._backend.decode(ids, skip_special_tokens=False)


def test_a_dialogue_becomes_turns_of_the_chat_template(chat):
  ids, cut = encode_prompt(chat, FIRST + LAST, 200)
  assert cut == 0
  assert spelled(chat, ids) == (
    f'{HEAD}the cat{TAIL}and the dog<|im_end|>\n<|im_start|>user\n'
    f'say hello{TAIL}'
  )
  assert chat.decode(ids) == FIRST + LAST


def test_a_reply_has_no_leading_space_and_gets_it_back(chat):
  ids, _ = encode_reply(chat, ' hello dog', 50)
  assert ids == [*chat.encode('hello dog'), chat.eos_id]
  assert chat.decode_reply(ids) == ' hello dog'
  assert chat.decode_reply([chat.eos_id]) == ''


@settings(deadline=None, max_examples=150)
@given(st.lists(BODY, min_size=1, max_size=3), BODY, st.integers(1, 20))
def test_training_and_sampling_see_the_same_prompt(
  chat, plain, turns, reply, max_reply
):
  """Imported tokenizers too have the prefix property (checklist 15)."""
  prompt = '\n\nAssistant: yes'.join(f'\n\nHuman: {turn}' for turn in turns)
  prompt += ASSISTANT
  for tokenizer in (chat, plain):
    arrays = encode_prompts([prompt], tokenizer, 500)
    sampled = arrays.tokens_NP[0, : arrays.length_N[0]].tolist()
    ids, length, _ = encode_example(
      tokenizer, prompt, f' {reply}', 500 + max_reply, max_reply
    )
    assert ids[:length] == sampled
    ended = [*tokenizer.encode_reply(f' {reply}'), tokenizer.eos_id]
    assert ids[length:] == ended[:max_reply]


@settings(deadline=None, max_examples=150)
@given(st.lists(BODY.filter(bool), min_size=1, max_size=3), BODY)
def test_what_is_said_comes_back_to_the_character(chat, plain, turns, reply):
  said = '\n\nAssistant: yes'.join(f'\n\nHuman: {turn}' for turn in turns)
  for tokenizer in (chat, plain):
    ids, _ = encode_prompt(tokenizer, said + ASSISTANT, 500)
    assert tokenizer.decode(ids) == said + ASSISTANT
    assert tokenizer.decode(tokenizer.encode(reply)) == reply
  if reply:
    ids = chat.encode_reply(f' {reply}')
    assert chat.decode_reply([*ids, chat.eos_id]) == f' {reply}'


@settings(deadline=None, max_examples=100)
@given(BODY, BODY)
def test_typing_a_special_token_gives_ordinary_pieces(chat, text, more):
  special = {chat.eos_id, chat.human_id}
  said = f'{text}<|im_end|>{more}<|im_start|>'
  assert not special & set(chat.encode(said))
  assert not special & set(chat.encode_reply(said))
  empty, _ = encode_prompt(chat, '\n\nHuman: \n\nAssistant:', 900)
  ids, _ = encode_prompt(chat, f'\n\nHuman: {said}\n\nAssistant:', 900)
  for i in special:
    assert ids.count(i) == empty.count(i)


def test_a_long_prompt_loses_early_turns_and_then_its_left(chat, plain):
  """With a chat template the format stays whole (checklist 12)."""
  for tokenizer in (chat, plain):
    last, _ = encode_prompt(tokenizer, LAST, 500)
    whole, _ = encode_prompt(tokenizer, FIRST * 3 + LAST, 500)
    ids, cut = encode_prompt(tokenizer, FIRST * 3 + LAST, len(last))
    assert ids == last and cut == len(whole) - len(last)
  last, _ = encode_prompt(chat, LAST, 500)
  ids, _ = encode_prompt(chat, FIRST + LAST, len(last) - 1)
  assert len(ids) == len(last) - 1
  assert spelled(chat, ids).startswith(HEAD)
  assert spelled(chat, ids).endswith(f'hello{TAIL}')
  with pytest.raises(ValueError, match='of the chat format, got 9; raise'):
    encode_prompt(chat, LAST, 9)


def test_the_stop_ids_are_the_end_and_the_next_turn(chat, plain):
  """One set of stop tokens for imported tokenizers too (checklist 11)."""
  assert chat.stop_ids == (chat.eos_id, chat.human_id)
  assert spelled(chat, list(chat.stop_ids)) == '<|im_end|><|im_start|>'
  assert plain.stop_ids == (plain.eos_id,) and plain.human_id is None


def pairs_of(tokenizer, *replies):
  chosen, rejected = (LAST + reply for reply in replies)
  pairs, _ = encode_pairs(
    [make_comparison(chosen, rejected, 'tests/here')], tokenizer, 60, 8
  )
  return pairs


def test_the_end_token_may_be_the_pad_token(chat):
  """Lengths count the end token though it is the pad too (checklist 1)."""
  assert chat.pad_id == chat.eos_id
  prompt, _ = encode_prompt(chat, LAST, 52)
  pairs = pairs_of(chat, ' hello', ' the dog says nothing at all, at all')
  reply = chat.encode('hello')
  whole = [*prompt, *reply, chat.eos_id, chat.end_of_context_id]
  length = pairs.chosen_length_N[0]
  row_T = pairs.chosen_tokens_NT[0]
  assert length == len(whole) and row_T[:length].tolist() == whole
  assert (row_T[length:] == chat.eos_id).all() and len(row_T) > length
  cut = pairs.rejected_length_N[0]
  assert cut == len(prompt) + 8 + 1  # no end token in a reply that was cut
  assert pairs.rejected_tokens_NT[0, cut - 2] != chat.eos_id


def test_the_end_of_context_is_a_new_id_after_the_models_own(chat, folder):
  """No text and no other token has it (checklist 32)."""
  assert chat.end_of_context_id == 290 and chat.vocab_size == 291
  padded = write_folder(folder.parent / 'padded', rows=352)
  wide = PretrainedTokenizer.from_folder(padded)
  assert wide.end_of_context_id == 352 and wide.vocab_size == 353
  assert chat.decode([*chat.encode('hello'), 290]) == 'hello'
  assert 290 not in chat.encode('<|context_end|>')


def test_a_system_prompt_takes_the_place_of_the_templates_own(folder):
  tokenizer = PretrainedTokenizer.from_folder(folder, system='Say <|im_end|>.')
  ids, _ = encode_prompt(tokenizer, LAST, 200)
  text = spelled(tokenizer, ids)
  assert text.startswith('<|im_start|>system\nSay <|im_end|>.<|im_end|>\n')
  assert ids.count(tokenizer.eos_id) == 2


def test_without_a_template_a_prompt_begins_as_the_model_was_trained(tmp_path):
  special = {'eos_token': '<|im_end|>', 'pad_token': '<|im_start|>'}
  folder = write_folder(tmp_path, template=None, begin=True, **special)
  tokenizer = PretrainedTokenizer.from_folder(folder)
  ids, _ = encode_prompt(tokenizer, LAST, 200)
  assert ids[0] == tokenizer.bos_id == 0 and ids.count(0) == 1
  assert tokenizer.encode_document('hello')[0] == 0
  assert 0 not in tokenizer.encode('hello')
  assert tokenizer.decode(ids) == LAST


def test_saving_and_loading_changes_nothing(chat, tmp_path):
  chat.save(tmp_path / 'new' / 'tokenizer.model')
  loaded = load_tokenizer(tmp_path / 'new' / 'tokenizer.model')
  assert isinstance(loaded, PretrainedTokenizer)
  assert loaded.settings == chat.settings
  assert encode_prompt(loaded, LAST, 99) == encode_prompt(chat, LAST, 99)
  assert loaded.stop_ids == chat.stop_ids


def test_our_own_tokenizers_load_as_before(tokenizer, tmp_path):
  tokenizer.save(tmp_path / 'tokenizer.model')
  loaded = load_tokenizer(tmp_path / 'tokenizer.model')
  assert type(loaded) is type(tokenizer)
  assert loaded.encode('a cat') == tokenizer.encode('a cat')


def test_a_template_runs_in_a_sandbox(tmp_path):
  escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
  folder = write_folder(tmp_path, template=escape)
  with pytest.raises(ValueError, match='chat template refuses') as error:
    PretrainedTokenizer.from_folder(folder)
  assert str(error.value).startswith(f'{folder}: ')


def test_a_template_that_refuses_the_turns_says_so(tmp_path):
  strict = (
    '{% for message in messages %}'
    "{% if loop.index0 % 2 != (message['role'] == 'assistant') | int %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + message['content'] + '<|im_end|>' }}{% endfor %}"
  )
  tokenizer = PretrainedTokenizer.from_folder(
    write_folder(tmp_path, template=strict)
  )
  with pytest.raises(DialogueError, match='roles must alternate') as caught:
    encode_prompt(tokenizer, '\n\nHuman: a\n\nHuman: b\n\nAssistant:', 99)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('special', 'message'),
  [
    ({'eos_token': '<|im_end|>'}, "a pad token, got .* pass pad_token='TOKEN'"),
    ({'pad_token': '<|im_end|>'}, 'an end token, got .* set eos_token'),
    (
      {'eos_token': '<|nowhere|>', 'pad_token': '<s>'},
      r"'<\|nowhere\|>', which the configuration names",
    ),
  ],
)
def test_a_missing_token_is_one_line_that_says_what_to_do(
  tmp_path, special, message
):
  folder = write_folder(tmp_path, template=None, **special)
  with pytest.raises(ValueError, match=message) as caught:
    PretrainedTokenizer.from_folder(folder)
  assert '\n' not in str(caught.value)


def test_a_pad_token_can_be_named_where_the_folder_has_none(tmp_path):
  folder = write_folder(tmp_path, template=None, eos_token='<|im_end|>')
  tokenizer = PretrainedTokenizer.from_folder(folder, pad_token='<s>')
  assert tokenizer.pad_id == 0


def test_broken_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='tokenizer.json is missing'):
    PretrainedTokenizer.from_folder(tmp_path)
  (tmp_path / 'tokenizer.json').write_text('{"model": ')
  with pytest.raises(ValueError, match='tokenizer.json: wanted JSON'):
    PretrainedTokenizer.from_folder(tmp_path)
  special = {'eos_token': 'a', 'pad_token': 'a'}
  (tmp_path / 'tokenizer_config.json').write_text(json.dumps(special))
  (tmp_path / 'tokenizer.json').write_text('{"model": {}}')
  with pytest.raises(ValueError, match='wanted the text of a tokenizer.json'):
    PretrainedTokenizer.from_folder(tmp_path)
  (tmp_path / 'other.json').write_text('{}')
  with pytest.raises(ValueError, match='read a Hugging Face folder with'):
    load_tokenizer(tmp_path / 'other.json')
