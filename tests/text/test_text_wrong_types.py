"""Wrong types in the files of a tokenizer: one line that names file and key."""

import json

import pytest

from rlhf_jax.text.checked import Checked
from tests.pretrained_files import need_or_skip

need_or_skip('tokenizers', 'gguf')

import gguf  # noqa: E402
from small_tokenizer import write_folder  # noqa: E402

from rlhf_jax.text.pretrained import (  # noqa: E402
  PretrainedTokenizer,
  load_tokenizer,
)

CONFIG = 'tokenizer_config.json'


@pytest.fixture
def folder(tmp_path):
  return write_folder(tmp_path, rows=300)


def refused(folder, message):
  with pytest.raises(ValueError, match=message) as error:
    PretrainedTokenizer.from_folder(folder)
  assert '\n' not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize(
  ('file', 'change', 'message'),
  [
    (CONFIG, {'eos_token': 5}, f'{CONFIG}: wanted eos_token to be a token, g'),
    (CONFIG, {'eos_token': ['a']}, 'wanted eos_token to be a token'),
    (CONFIG, {'eos_token': {'content': 5}}, 'eos_token to be a token'),
    (
      CONFIG,
      {'eos_token': '<x>'},
      r"/test_a_.*: wanted the token '<x>', which",
    ),
    (CONFIG, {'pad_token': '\ud800'}, f'{CONFIG}: wanted JSON.*surrogates'),
    (CONFIG, {'chat_template': '{% if %}'}, '/test_a_.*: wanted a chat templ'),
    (CONFIG, {'chat_template': '{{ x.y }}'}, '/test_a_.*: chat template refu'),
    ('tokenizer.json', {'x': '\udfff'}, 'tokenizer.json: wanted JSON'),
    (CONFIG, {'pad_token': True}, 'wanted pad_token to be a token'),
    (CONFIG, {'unk_token': 3}, 'wanted unk_token to be a token'),
    (CONFIG, {'chat_template': 5}, 'wanted chat_template to be a text, got 5'),
    (CONFIG, {'chat_template': {'default': 5}}, 'chat_template to be a text'),
    (CONFIG, {'chat_template': [{'name': 'default', 'template': 3}]}, 'a text'),
    ('config.json', {'vocab_size': '300'}, "vocab_size to be a whole .*'300'"),
    ('config.json', {'vocab_size': 2**40}, 'vocab_size to be a whole number'),
    ('config.json', {'vocab_size': -1}, 'vocab_size to be a whole number'),
    ('config.json', {'vocab_size': None}, 'vocab_size to be a whole number'),
    ('config.json', {'eos_token_id': '2'}, 'eos_token_id to be an id or a l'),
    ('config.json', {'eos_token_id': [[2]]}, 'eos_token_id to be an id or a'),
    ('config.json', {'eos_token_id': {'a': 1}}, 'eos_token_id to be an id or'),
    ('tokenizer.json', {'model': []}, 'wanted the text of a tokenizer.json'),
    ('tokenizer.json', {'model': {'type': 'BPE', 'vocab': 3}}, 'wanted the te'),
    ('tokenizer.json', {'added_tokens': [3]}, 'wanted the text of a tokenizer'),
    ('tokenizer.json', {'added_tokens': {'a': 1}}, 'wanted the text of a tok'),
    ('tokenizer.json', {'post_processor': [1]}, 'wanted the text of a tokeni'),
    ('tokenizer.json', {'decoder': 'x'}, 'wanted the text of a tokenizer.json'),
  ],
)
def test_a_wrong_value_is_one_line(folder, file, change, message):
  path = folder / file
  content = json.loads(path.read_text())
  path.write_text(json.dumps(content | change))
  refused(folder, message)


@pytest.mark.parametrize(
  'file', [CONFIG, 'config.json', 'tokenizer.json', 'generation_config.json']
)
@pytest.mark.parametrize('text', ['[]', '3', 'null', '"a"', '{', '[' * 10**5])
def test_a_file_that_holds_no_object_is_one_line(folder, file, text):
  (folder / file).write_text(text)
  refused(folder, f'{file}: wanted (a JSON object|JSON)')


@pytest.mark.parametrize('file', [CONFIG, 'config.json', 'chat_template.jinja'])
def test_a_file_that_is_not_utf_8_is_named(folder, file):
  (folder / file).write_bytes(b'\xff\xfe\x00')
  refused(folder, f'{file}: wanted')


def test_an_id_outside_the_vocabulary_is_left_out(folder):
  """Models have end ids that their tokenizers lack."""
  wanted = PretrainedTokenizer.from_folder(folder).stop_ids
  for ids in ([2, 99999, -1, 2**40], 99999, None, []):
    text = json.dumps({'vocab_size': 300, 'eos_token_id': ids})
    (folder / 'config.json').write_text(text)
    assert PretrainedTokenizer.from_folder(folder).stop_ids == wanted


@pytest.mark.parametrize(
  'damage',
  [
    lambda x: x.pop('settings'),
    lambda x: x.pop('tokenizer'),
    lambda x: x.update(settings=[]),
    lambda x: x['settings'].update(more=1),
    lambda x: x['settings'].update(stops=3),
    lambda x: x['settings'].update(names=[3]),
    lambda x: x['settings'].pop('rows'),
    lambda x: x['settings'].update(rows='3'),
    lambda x: x['settings'].update(eos=3),
  ],
)
def test_a_damaged_saved_tokenizer_is_one_line(folder, damage):
  path = folder / 'tokenizer.model'
  PretrainedTokenizer.from_folder(folder).save(path)
  content = json.loads(path.read_text())
  damage(content)
  path.write_text(json.dumps(content))
  with pytest.raises(ValueError, match=f'{path}: a damaged tok') as error:
    load_tokenizer(path)
  assert '\n' not in str(error.value)


def write_vocabulary(path, **changes):
  """A GGUF file of a vocabulary alone."""
  values = {
    'model': 'gpt2',
    'pre': 'smollm',
    'tokens': ['<e>', 'a', 'b', 'ab'],
    'merges': ['a b'],
    'token_type': [3, 1, 1, 1],
    'eos_token_id': 0,
    'padding_token_id': 0,
  } | changes
  writer = gguf.GGUFWriter(path, 'llama')
  kinds = {str: 'string', bool: 'bool', int: 'uint32', float: 'float32'}
  kinds[list] = 'array'
  for key, value in values.items():
    if value is not None:
      add = getattr(writer, f'add_{kinds[type(value)]}')
      add(f'tokenizer.{key}' if '.' in key else f'tokenizer.ggml.{key}', value)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def test_a_vocabulary_of_a_gguf_is_read(tmp_path):
  path = write_vocabulary(tmp_path / 'a.gguf')
  assert PretrainedTokenizer.from_gguf(path).encode('abb') == [3, 2]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'tokens': 'abc'}, 'wanted tokens to be a list of texts'),
    ({'tokens': [1, 2, 3, 4]}, 'wanted tokens to be a list of texts'),
    ({'tokens': None}, "has no 'tokens'"),
    ({'merges': 3}, 'wanted merges to be a list of texts'),
    ({'merges': ['ab']}, 'wanted merges of pairs of its tokens'),
    ({'merges': ['a c']}, 'wanted merges of pairs of its tokens'),
    ({'token_type': [3]}, 'wanted a token_type for each of 4 tokens'),
    ({'token_type': 3}, 'wanted a token_type for each of 4 tokens'),
    ({'eos_token_id': 'a'}, 'wanted eos_token_id to be a whole number'),
    ({'add_bos_token': 3}, 'wanted add_bos_token to be true or false'),
    ({'model': 3}, 'wanted model to be a text'),
    ({'pre': 'llama-bpe'}, 'pre-tokenizer smollm, got gpt2 with llama-bpe'),
  ],
)
def test_a_wrong_vocabulary_of_a_gguf_is_one_line(tmp_path, change, message):
  path = write_vocabulary(tmp_path / 'a.gguf', **change)
  with pytest.raises(ValueError, match=message) as error:
    PretrainedTokenizer.from_gguf(path)
  assert '\n' not in str(error.value) and 'a.gguf' in str(error.value)


def test_values_are_read_with_their_types():
  read = Checked(
    {'n': 3, 'x': 2, 'on': True, 'name': 'a', 'list': ['a'], 'no': None},
    '/here/config.json',
    defaults={'missing': 7},
    nullable=('no',),
  )
  assert read.whole('n') == 3 and read.whole('missing') == 7
  assert read.positive('x') == 2.0 and isinstance(read.positive('x'), float)
  assert read.flag('on') and read.text('name') == 'a'
  assert read.texts('list') == ['a'] and read.whole('no') is None
  assert read.table('no') == {} and read.table('nothing') == {}
  message = r"^/here/config.json: config.json has no 'm': download or save"
  with pytest.raises(ValueError, match=message):
    read.whole('m')
