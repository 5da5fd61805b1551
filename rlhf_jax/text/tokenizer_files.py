"""Files beside a model: what they say of its tokenizer.

Both readers return (text of a tokenizer.json, fields of `Settings`).
"""

import importlib
import json
from pathlib import Path


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
    content = json.loads(path.read_text(encoding='utf-8'))
  except ValueError as error:
    raise ValueError(
      f'{path}: wanted JSON, got other bytes: {error}'
    ) from error
  if not isinstance(content, dict):
    raise ValueError(f'{path}: wanted a JSON object, got another value')
  return content


def _content(token):
  """The characters of a token, which may be an object with settings."""
  return token.get('content') if isinstance(token, dict) else token


def _tokens_by_id(model):
  """{id: token} of a tokenizer.json."""
  vocab = model.get('model', {}).get('vocab', {})
  if isinstance(vocab, dict):
    found = {i: token for token, i in vocab.items()}
  else:  # unigram: (token, score) in the order of ids
    found = {i: token for i, (token, _) in enumerate(vocab)}
  added = model.get('added_tokens', [])
  return found | {token['id']: token['content'] for token in added}


def _begins_with(model):
  """The special token that the post-processor puts before a text, or None."""
  last = model.get('post_processor') or {}
  for step in last.get('processors', [last]):
    for part in step.get('single', [])[:1]:
      if 'SpecialToken' in part:
        return part['SpecialToken']['id']
  return None


def _template(folder, config):
  """The chat template: a file of its own, or in tokenizer_config.json."""
  file = folder / 'chat_template.jinja'
  if file.exists():
    return file.read_text(encoding='utf-8')
  found = config.get('chat_template')
  if isinstance(found, list):  # several, by name
    by_name = {entry['name']: entry['template'] for entry in found}
    return by_name.get('default')
  return found


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
  model = read_json(file)
  config = read_json(folder / 'tokenizer_config.json', {})
  special = read_json(folder / 'special_tokens_map.json', {})
  shape = read_json(folder / 'config.json', {})
  generation = read_json(folder / 'generation_config.json', {})
  by_id = _tokens_by_id(model)

  def listed(source, key):
    ids = source.get(key)
    ids = ids if isinstance(ids, list) else [ids]
    return [by_id[i] for i in ids if i in by_id]

  def token(name):
    for source in (config, special):
      if source.get(f'{name}_token'):
        return _content(source[f'{name}_token'])
    return next(iter(listed(shape, f'{name}_token_id')), None)

  begin, bos = _begins_with(model), token('bos')
  found = dict(
    rows=shape.get('vocab_size', 0),
    eos=_named(token('eos'), 'end', folder),
    pad=_named(pad_token or token('pad'), 'pad', folder),
    bos=begin or bos,
    add_bos=begin is not None,
    stops=(*listed(shape, 'eos_token_id'), *listed(generation, 'eos_token_id')),
    chat_template=_template(folder, config),
  )
  return json.dumps(model), found


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
  from rlhf_jax.text.gguf_file import field, open_gguf

  reader = open_gguf(path)
  read = lambda key, default=None: field(
    reader, f'tokenizer.ggml.{key}', default
  )
  kind = read('model'), read('pre', 'default')
  if kind != ('gpt2', 'smollm'):
    raise ValueError(
      f'{path}: wanted a byte-level BPE vocabulary with the pre-tokenizer '
      f'smollm, got {kind[0]} with {kind[1]}; read the tokenizer.json of the '
      'model instead'
    )
  tokens = read('tokens')
  name = lambda key: _at(tokens, read(f'{key}_token_id', -1))
  model = _bpe(tokens, read('merges'), read('token_type'))
  found = dict(
    rows=len(tokens),
    eos=_named(name('eos'), 'end', path),
    pad=_named(pad_token or name('padding'), 'pad', path),
    bos=name('bos'),
    add_bos=read('add_bos_token', False),
    stops=tuple(t for t in (name('eot'), name('eom')) if t is not None),
    chat_template=field(reader, 'tokenizer.chat_template', '') or None,
  )
  return model, found


def _at(tokens, i):
  return tokens[i] if 0 <= i < len(tokens) else None


CONTROL, USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type


def _bpe(tokens, merges, kinds) -> str:
  """The tokenizer.json of a byte-level BPE that takes digits one by one."""
  package = need('tokenizers', 'hf')
  split = package.pre_tokenizers
  backend = package.Tokenizer(
    package.models.BPE(
      vocab={token: i for i, token in enumerate(tokens)},
      merges=[tuple(merge.split(' ', 1)) for merge in merges],
    )
  )
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
