"""Files beside a model: what they say of its tokenizer.

Both readers return (text of a tokenizer.json, fields of `Settings`).
"""

import importlib
import json
from pathlib import Path

from rlhf_jax.text.checked import MOST, Checked, shown


def need(module: str, extra: str):
  """Imports a package that an extra brings.

  Raises:
    ValueError: if it is not installed, naming the extra.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise ValueError(
      f'the package {module} is missing: pip install "rlhf-jax[{extra}]"'
    ) from error


def read_json(path, default=None) -> dict:
  """A JSON object from a file; the default, if any, where there is no file.

  Raises:
    FileNotFoundError: if there is neither.
    ValueError: if the file holds something else.
  """
  path = Path(path)
  if default is not None and not path.exists():
    return default
  try:
    text = path.read_text(encoding='utf-8')
    content = json.loads(text)
    if '\\ud' in text.lower():  # half a surrogate pair is no text
      json.dumps(content, ensure_ascii=False).encode()
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f'{path}: wanted JSON, got other bytes: {error}'
    ) from error
  if not isinstance(content, dict):
    raise ValueError(f'{path}: wanted a JSON object, got another value')
  return content


def _one_line(error):
  return ' '.join(str(error).split())[:200]


def backend_of(model: str):
  """The `tokenizers.Tokenizer` of the text of a tokenizer.json.

  Raises:
    ValueError: if the text is none.
  """
  package = need('tokenizers', 'hf')
  try:
    return package.Tokenizer.from_str(model)
  except (KeyboardInterrupt, SystemExit):
    raise
  except BaseException as error:  # plain Exceptions, and panics of Rust
    raise ValueError(
      'wanted the text of a tokenizer.json, got another: '
      f"{_one_line(error)}; save the tokenizer again with transformers' "
      'save_pretrained'
    ) from error


def _token(config, key):
  """The characters of a token, which may be an object with settings, or None.

  Args:
    config: `Checked` of a side file.
    key: such as 'eos_token'.
  """
  found = config.value(key) if key in config else None
  if isinstance(found, dict):
    found = found.get('content')
  if found is not None and not isinstance(found, str):
    config.fail(f'wanted {key} to be a token, got {shown(found)}: correct it')
  return found or None


def _begins_with(backend):
  """The special token that the post-processor puts before a text, or None."""
  if not backend.post_processor:
    return None
  try:
    ids = backend.encode('a').ids
    without = backend.encode('a', add_special_tokens=False).ids
  except Exception as error:  # the package raises plain Exceptions
    raise ValueError(
      f'wanted a tokenizer that takes any text, got one that fails at "a": '
      f'{_one_line(error)}; give it an unknown token'
    ) from error
  if len(ids) > len(without) and ids[:1] != without[:1]:
    return backend.id_to_token(ids[0])
  return None


def _template(folder, config):
  """The chat template: a file of its own, or in tokenizer_config.json."""
  file = folder / 'chat_template.jinja'
  if file.exists():
    return _text_of(file)
  found = config.value('chat_template') if 'chat_template' in config else None
  if isinstance(found, list):  # several, by name
    found = {
      entry.get('name'): entry.get('template')
      for entry in found
      if isinstance(entry, dict) and isinstance(entry.get('name'), str)
    }
  if isinstance(found, dict):
    found = found.get('default')
  if found is not None and not isinstance(found, str):
    config.fail(f'wanted chat_template to be a text, got {shown(found)}')
  return found


def _text_of(file):
  try:
    return file.read_text(encoding='utf-8')
  except UnicodeDecodeError as error:
    raise ValueError(f'{file}: wanted a text in UTF-8, got {error}') from error


def _side_file(path, **defaults):
  return Checked(read_json(path, {}), path, defaults=defaults)


def _listed(source, key, backend):
  """The tokens of a setting that is an id or a list of ids."""
  ids = source.value(key) if key in source else []
  ids = ids if isinstance(ids, list) else [] if ids is None else [ids]
  if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
    source.fail(f'wanted {key} to be an id or a list, got {shown(ids)}')
  tokens = (backend.id_to_token(i) if 0 <= i <= MOST else None for i in ids)
  return [token for token in tokens if token is not None]


NAMES = ('unk_token', 'sep_token', 'cls_token', 'mask_token')


def read_folder(folder, pad_token=None) -> tuple[str, dict]:
  """Reads a Hugging Face folder.

  Args:
    folder: the folder.
    pad_token: what to pad with; None: the token that the folder names.

  Raises:
    FileNotFoundError, ValueError: if a file or a token is missing.
  """
  folder = Path(folder)
  file = folder / 'tokenizer.json'
  if not file.exists():
    raise FileNotFoundError(
      f'{file} is missing: save the tokenizer there with '
      "transformers' AutoTokenizer.from_pretrained(...).save_pretrained"
    )
  model = json.dumps(read_json(file))
  backend = backend_of(model)
  config = _side_file(folder / 'tokenizer_config.json')
  special = _side_file(folder / 'special_tokens_map.json')
  shape = _side_file(folder / 'config.json', vocab_size=0)
  generation = _side_file(folder / 'generation_config.json')

  def token(key):
    stated = (_token(source, key) for source in (config, special))
    by_id = _listed(shape, f'{key}_id', backend)
    return next(filter(None, (*stated, *by_id)), None)

  names = ((name, token(name)) for name in NAMES)
  known = lambda x: x is not None and backend.token_to_id(x) is not None
  begin, bos = _begins_with(backend), token('bos_token')
  found = dict(
    rows=shape.whole('vocab_size', 0),
    eos=_named(token('eos_token'), 'end', folder),
    pad=_named(pad_token or token('pad_token'), 'pad', folder),
    bos=begin or bos,
    add_bos=begin is not None,
    stops=(
      *_listed(shape, 'eos_token_id', backend),
      *_listed(generation, 'eos_token_id', backend),
    ),
    chat_template=_template(folder, config),
    names=tuple((name, x) for name, x in names if known(x)),
  )
  return model, found


def _named(token, name, where):
  """The token, or an error that says what to do without it."""
  if token is None:
    hint = (
      "pass pad_token='TOKEN', --config.pad_token=TOKEN to a stage (any token "
      'of the vocabulary will do: masks come from lengths)'
      if name == 'pad'
      else 'set eos_token in tokenizer_config.json'
    )
    raise ValueError(
      f'{where}: wanted a tokenizer with {"an" if name == "end" else "a"} '
      f'{name} token, got one without: {hint}'
    )
  return token


def read_gguf(path, pad_token=None) -> tuple[str, dict]:
  """Reads the vocabulary in a GGUF file; arguments as `read_folder`.

  Raises:
    FileNotFoundError, ValueError: if it is no GGUF, or holds another kind of
      tokenizer than byte-level BPE with the pre-tokenizer of SmolLM.
  """
  from rlhf_jax.text.gguf_file import field, fields_below, open_gguf

  reader = open_gguf(path)
  read = Checked(
    fields_below(reader, 'tokenizer.ggml.'),
    path,
    defaults={'pre': 'default', 'add_bos_token': False},
  )
  kind = read.text('model'), read.text('pre')
  if kind != ('gpt2', 'smollm'):
    read.fail(
      'wanted a byte-level BPE vocabulary with the pre-tokenizer smollm, got '
      f'{kind[0]} with {kind[1]}; read the tokenizer.json of the model instead'
    )
  tokens = read.texts('tokens')

  def name(key):
    key = f'{key}_token_id'
    i = read.whole(key, -1, 2**32 - 1) if key in read else -1
    return tokens[i] if 0 <= i < len(tokens) else None

  template = field(reader, 'tokenizer.chat_template', '')
  if not isinstance(template, str):
    read.fail(f'wanted chat_template to be a text, got {shown(template)}')
  model = _bpe(path, tokens, read.texts('merges'), read.value('token_type'))
  found = dict(
    rows=len(tokens),
    eos=_named(name('eos'), 'end', path),
    pad=_named(pad_token or name('padding'), 'pad', path),
    bos=name('bos'),
    add_bos=read.flag('add_bos_token'),
    stops=tuple(t for t in (name('eot'), name('eom')) if t is not None),
    chat_template=template or None,
  )
  return model, found


CONTROL, USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type


def _bpe(path, tokens, merges, kinds) -> str:
  """The tokenizer.json of a byte-level BPE that takes digits one by one."""
  if not isinstance(kinds, list) or len(kinds) != len(tokens):
    raise ValueError(
      f'{path}: wanted a token_type for each of {len(tokens)} tokens, got '
      f'{shown(kinds)}; download it again'
    )
  package = need('tokenizers', 'hf')
  split = package.pre_tokenizers
  try:
    model = package.models.BPE(
      vocab={token: i for i, token in enumerate(tokens)},
      merges=[tuple(merge.split(' ', 1)) for merge in merges],
    )
  except Exception as error:  # the package raises plain Exceptions
    raise ValueError(
      f'{path}: wanted merges of pairs of its tokens, got others '
      f'({_one_line(error)}); download it again'
    ) from error
  backend = package.Tokenizer(model)
  backend.pre_tokenizer = split.Sequence(
    [
      split.Digits(individual_digits=True),
      split.ByteLevel(add_prefix_space=False, use_regex=True),
    ]
  )
  backend.decoder = package.decoders.ByteLevel()
  for kind, special in ((CONTROL, True), (USER_DEFINED, False)):
    chosen = [
      package.AddedToken(token, special=special, normalized=False)
      for token, k in zip(tokens, kinds, strict=True)
      if k == kind
    ]
    add = backend.add_special_tokens if special else backend.add_tokens
    add(chosen)
  return backend.to_str()
