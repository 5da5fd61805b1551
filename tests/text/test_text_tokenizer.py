import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN
from rlhf_jax.text.tokenizer import END, END_OF_CONTEXT, PAD, Tokenizer

# Strings rather than characters: `st.text` would draw each of them as seldom
# as any other of the million characters of Unicode.
AWKWARD = ['\n', '\n\n', ' ', '  ', '\u2581', '\t', '\0', '\x05', '\r\n', '7']
SPECIAL = [PAD, END, END_OF_CONTEXT, HUMAN, ASSISTANT, '<0x41>', '<unk>']
TEXTS = st.lists(
  st.one_of(
    st.text(st.characters(exclude_categories=['Cs']), max_size=8),
    st.text('aceht <|>\n', max_size=8),
    st.sampled_from(AWKWARD),
    st.sampled_from(SPECIAL),
  ),
  max_size=6,
).map(''.join)


def controls(tokenizer):
  return {tokenizer.pad_id, tokenizer.eos_id, tokenizer.end_of_context_id}


@settings(deadline=None, max_examples=300)
@given(text=TEXTS)
def test_any_text_comes_back_and_holds_no_control_token(tokenizer, text):
  ids = tokenizer.encode(text)
  assert tokenizer.decode(ids) == text
  assert not controls(tokenizer) & set(ids)
  assert all(0 <= i < tokenizer.vocab_size for i in ids)


@settings(deadline=None, max_examples=200)
@given(body=TEXTS, reply=TEXTS)
def test_a_prompt_tokenises_alike_alone_and_before_its_reply(
  tokenizer, body, reply
):
  """Training sees what the sampler sees: the prefix property (checklist 15)."""
  prompt = f'{HUMAN}{body}{ASSISTANT}'
  ids = tokenizer.encode(prompt)
  assert ids[0] == tokenizer.human_id and ids[-1] == tokenizer.assistant_id
  assert tokenizer.encode(prompt + reply) == ids + tokenizer.encode(reply)


@settings(deadline=None, max_examples=100)
@given(text=TEXTS)
def test_markers_are_one_token_each_and_nothing_else_is(tokenizer, text):
  ids = tokenizer.encode(text)
  assert ids.count(tokenizer.human_id) == text.count(HUMAN)
  assert ids.count(tokenizer.assistant_id) == text.count(ASSISTANT)


def test_typing_a_control_token_gives_ordinary_pieces(tokenizer):
  for typed in (PAD, END, END_OF_CONTEXT):
    ids = tokenizer.encode(f'I type {typed} here')
    assert not controls(tokenizer) & set(ids)
    assert tokenizer.decode(ids) == f'I type {typed} here'


def test_the_stop_ids_are_the_end_and_the_next_human_turn(tokenizer):
  """Sampling stops, and counts as ended, at this one set (checklist 11)."""
  assert tokenizer.stop_ids == (tokenizer.eos_id, tokenizer.human_id)
  special = [*controls(tokenizer), tokenizer.human_id, tokenizer.assistant_id]
  assert len(set(special)) == 5
  reply = tokenizer.encode(' Once there was a cat.\n\nThe end.')
  assert not set(tokenizer.stop_ids) & set(reply)
  assert tokenizer.human_id in tokenizer.encode(' A reply.\n\nHuman: go on')


def test_decoding_leaves_out_control_tokens_and_takes_arrays(tokenizer):
  ids = tokenizer.encode(' a cat\n')
  padded = [*ids, tokenizer.eos_id, tokenizer.end_of_context_id]
  padded += [tokenizer.pad_id] * 3
  assert tokenizer.decode(np.array(padded, np.int32)) == ' a cat\n'


def test_the_character_that_stands_for_a_space_survives(tokenizer):
  for text in ('\u2581', 'a\u2581b \u2581', '\u2581\u2581\n'):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_digits_are_single_tokens(tokenizer):
  assert len(tokenizer.encode('121212')) == 6


def test_pieces_longer_than_a_character_were_learned(tokenizer):
  text = 'Once there was a cat.'
  assert len(tokenizer.encode(text)) < len(text) * 0.7


def test_encode_batch_is_encode_of_each(tokenizer):
  texts = ['a cat', '', '\u2581 é']
  assert tokenizer.encode_batch(texts) == [tokenizer.encode(t) for t in texts]


def test_training_twice_and_saving_give_the_same_bytes(
  tokenizer, corpus, tmp_path
):
  tokenizer.save(tmp_path / 'new' / 'a.model')
  Tokenizer.train(iter(corpus), 320).save(tmp_path / 'b.model')
  data = (tmp_path / 'new' / 'a.model').read_bytes()
  assert data == (tmp_path / 'b.model').read_bytes()
  loaded = Tokenizer.load(tmp_path / 'b.model')
  assert loaded.encode(corpus[1]) == tokenizer.encode(corpus[1])
  assert loaded.stop_ids == tokenizer.stop_ids
  assert sorted(p.name for p in tmp_path.iterdir()) == ['b.model', 'new']


def test_long_texts_and_texts_with_tabs_are_learned_from():
  texts = ['zebra ' * 2000, 'quagga\tquagga ' * 50]
  tokenizer = Tokenizer.train(texts, 285)
  assert len(tokenizer.encode('zebra zebra')) < 6
  assert len(tokenizer.encode(' quagga')) < 4


def test_the_limit_takes_the_first_texts(corpus):
  few = Tokenizer.train(corpus[:2] + ['unseen ' * 40], 300, 2)
  assert few.encode('unseen') == Tokenizer.train(corpus[:2], 300).encode(
    'unseen'
  )
  assert len(few.encode('unseen')) > 4


def test_errors_say_what_was_wanted(tmp_path):
  with pytest.raises(ValueError, match='could not train 100 pieces'):
    Tokenizer.train(['hello'], 100)
  (tmp_path / 'x.model').write_bytes(b'not a model')
  with pytest.raises(ValueError, match='x.model: wanted a sentencepiece model'):
    Tokenizer.load(tmp_path / 'x.model')
  with pytest.raises(FileNotFoundError):
    Tokenizer.load(tmp_path / 'y.model')
  with pytest.raises(UnicodeEncodeError):
    Tokenizer.train(['hello'], 270).encode('\ud800')
