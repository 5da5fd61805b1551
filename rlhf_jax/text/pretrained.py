"""Tokenizers of imported models, through the `tokenizers` package.

From a Hugging Face folder (tokenizer.json and its side files) and from the
vocabulary inside a GGUF file. The extra `hf` brings `tokenizers`, `gguf` the
reader of GGUF files.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.text import tokenizer_files as files
from rlhf_jax.text.chat import ChatTemplate
from rlhf_jax.text.imported import ImportedTokenizer, Layout
from rlhf_jax.text.prefix_space import take_out
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.text.tokenizer_export import folder_files

FORMAT = 'rlhf_jax imported tokenizer 1'


class Settings(NamedTuple):
  """Settings that a tokenizer.json does not hold; see `ImportedTokenizer`.

  Attributes:
    rows: of the model's embedding, which may be more than there are tokens.
    eos, pad: tokens.
    bos: token, or None.
    add_bos: whether texts without a chat template begin with `bos`.
    stops: more tokens that end a reply.
    chat_template: jinja2 source, or None.
    system: system prompt of every prompt; None: the template's own.
  """

  rows: int
  eos: str
  pad: str
  bos: str | None = None
  add_bos: bool = False
  stops: tuple[str, ...] = ()
  chat_template: str | None = None
  system: str | None = None


class PretrainedTokenizer(ImportedTokenizer):
  """A tokenizer of the `tokenizers` package with the attributes of ours.

  Make one with `from_folder`, `from_gguf` or `load`.
  """

  def __init__(self, model: str, settings: Settings):
    """Wraps the text of a tokenizer.json.

    Raises:
      ValueError: if the text is none, or lacks a token of the settings.
    """
    backend = files.need('tokenizers', 'hf').Tokenizer
    try:
      self._backend = backend.from_str(model)
    except Exception as error:  # the package raises plain Exceptions
      raise ValueError(
        f'wanted the text of a tokenizer.json, got another: {error}; save the '
        "tokenizer again with transformers' save_pretrained"
      ) from error
    # Text goes through this one: no space that the text does not have, and a
    # special token that somebody types is text.
    without, self._space = take_out(self._backend.to_str())
    self._plain = backend.from_str(without)
    self._plain.encode_special_tokens = True
    self._plain.no_padding()
    self._plain.no_truncation()
    self.settings = settings
    added = self._backend.get_added_tokens_decoder()
    special = {token.content: i for i, token in added.items() if token.special}
    special |= {
      token: self._id(token)
      for token in (settings.eos, settings.pad, settings.bos)
      if token is not None
    }
    longest_first = sorted(map(re.escape, special), key=len, reverse=True)
    self._special = special
    self._special_pattern = re.compile(f'({"|".join(longest_first)})')
    tokens = {
      f'{name}_token': getattr(settings, name) or ''
      for name in ('bos', 'eos', 'pad')
    }
    self._template, self._lead = None, ''
    if settings.chat_template:
      self._template = ChatTemplate(settings.chat_template, tokens)
      self._lead = self._before_a_reply()
    self._set_ids(
      eos_id=self._id(settings.eos),
      pad_id=self._id(settings.pad),
      bos_id=self._id(settings.bos) if settings.add_bos else None,
      rows=max(settings.rows, self._backend.get_vocab_size()),
      special_ids=special.values(),
      stop_ids=[self._id(token) for token in settings.stops],
    )

  def _id(self, token):
    found = self._backend.token_to_id(token)
    if found is None:
      raise ValueError(
        f'wanted the token {token!r}, which the configuration names, in the '
        'vocabulary; got a tokenizer without: is it of another model?'
      )
    return found

  def _ids(self, text):
    return self._plain.encode(text, add_special_tokens=False).ids

  def _text(self, ids):
    return self._plain.decode(ids, skip_special_tokens=False)

  def _before_a_reply(self):
    """The space between a prompt and its reply in the template, or ''."""
    asked, lead = self._template.before_a_reply()
    ends_special = bool(asked) and not self._special_pattern.split(asked)[-1]
    return lead or (self._space.before('a', begins=False) * ends_special)

  def _first_space(self, text):
    # The begin token is put before a text when its space is there already.
    return self._space.before(text, begins=True)

  def _layout(self, turns):
    """A prompt by the chat template, tokenised between its special tokens."""
    if not self._template:
      return super()._layout(turns)
    *before, last = turns
    pieces = self._template.pieces(turns, self.settings.system)
    layout, run = Layout([], []), []

    def close():
      text = ''.join(text for text, _ in run)
      run.insert(0, (self._space.before(text, begins=not layout.ids), None))
      owner = [turn for text, turn in run for _ in text]
      encoding = self._plain.encode(run[0][0] + text, add_special_tokens=False)
      for i, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        owners = set(owner[start:end])
        layout.ids.append(i)
        layout.turn.append(owners.pop() if len(owners) == 1 else None)
      run.clear()

    for piece in pieces:
      if piece.turn is not None:
        # The system prompt is text, but no turn of which tokens are cut.
        run.append((piece.text, piece.turn if piece.turn >= 0 else None))
        continue
      for i, text in enumerate(self._special_pattern.split(piece.text)):
        if i % 2:
          close()
          layout.ids.append(self._special[text])
          layout.turn.append(None)
        else:
          run.append((text, None))
    close()
    said = self.encode_reply(last.text)  # a reply that has been begun
    return Layout(layout.ids + said, layout.turn + [len(before)] * len(said))

  def encode_reply(self, reply):
    """Ids of a reply; its space is HH's, or with a template the template's."""
    if self._template:
      reply = reply.removeprefix(' ')
      reply = (self._lead if reply else '') + reply
    return self._ids(reply)

  def decode_reply(self, ids):
    """Text of a sampled reply as HH has it: a space, then what was said."""
    text = super().decode_reply(ids)
    opened = not text or text.startswith('\n\nHuman:')
    if opened or not self._template:
      return text
    return ' ' + text.removeprefix(self._lead)

  def save(self, path) -> None:
    """Writes one JSON file, whole or not at all."""
    content = {
      'format': FORMAT,
      'settings': self.settings._asdict(),
      'tokenizer': json.loads(self._backend.to_str()),
    }
    _write(Path(path), json.dumps(content))

  @classmethod
  def load(cls, path) -> 'PretrainedTokenizer':
    """Reads what `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a tokenizer of this class.
    """
    content = files.read_json(path)
    if content.get('format') != FORMAT:
      raise ValueError(
        f'{path}: wanted what PretrainedTokenizer.save writes, got other '
        'JSON; read a Hugging Face folder with from_folder'
      )
    settings = content['settings']
    settings['stops'] = tuple(settings['stops'])
    return cls(json.dumps(content['tokenizer']), Settings(**settings))

  @classmethod
  def from_folder(cls, folder, *, pad_token=None, system=None):
    """The tokenizer of a Hugging Face folder.

    Args:
      folder: holds tokenizer.json, and beside it tokenizer_config.json,
        special_tokens_map.json, config.json as far as there are any.
      pad_token: a token of the vocabulary, where the folder names none.
      system: system prompt of every prompt; None: the template's own.

    Raises:
      FileNotFoundError, ValueError: if a file or a token is missing.
    """
    model, found = files.read_folder(folder, pad_token)
    return cls(model, Settings(**found, system=system))

  @classmethod
  def from_gguf(cls, path, *, pad_token=None, system=None):
    """The tokenizer inside a GGUF file; arguments as `from_folder`.

    Raises:
      FileNotFoundError, ValueError: if the file is no GGUF, or holds no
        byte-level BPE with the pre-tokenizer of SmolLM.
    """
    model, found = files.read_gguf(path, pad_token)
    return cls(model, Settings(**found, system=system))

  def save_pretrained(self, folder, *, preference: bool = False) -> dict:
    """Writes a tokenizer that `transformers` loads, end-of-context included.

    Args:
      folder: made if it is not there.
      preference: for a preference model: the tokenizer appends end-of-context
        to every text, and its chat template to every dialogue, which has to end
        in a reply; both make the ids that `data.pairs.encode_pairs` makes. It
        pads with a token that no text holds, one id further than `vocab_size`;
        so the model needs one row more.

    Returns:
      The keys of config.json that go with it: vocab_size, eos_token_id,
      pad_token_id.
    """
    settings, template = self.settings, self.settings.chat_template
    if preference and template:
      template = self._template.of_whole_dialogues(settings.system)
    tokens = {'bos': settings.bos, 'eos': settings.eos, 'pad': settings.pad}
    made = folder_files(
      self._backend.to_str(),
      rows=self.end_of_context_id,
      tokens={f'{name}_token': x for name, x in tokens.items() if x},
      begin=settings.bos if settings.add_bos else None,
      chat_template=template,
      preference=preference,
    )
    for name, content in made.items():
      _write(Path(folder) / name, content)
    return {
      'vocab_size': self.vocab_size + preference,
      'eos_token_id': self.eos_id,
      'pad_token_id': self.vocab_size if preference else self.pad_id,
    }


def load_tokenizer(path) -> Tokenizer | PretrainedTokenizer:
  """Reads what `save` wrote, of either class.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is no tokenizer.
  """
  path = Path(path)
  with path.open('rb') as file:
    imported = file.read(1) == b'{'  # sentencepiece models begin otherwise
  return (PretrainedTokenizer if imported else Tokenizer).load(path)


def _write(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'.{path.name}.{os.getpid()}')
  partial.write_text(text, encoding='utf-8')
  partial.replace(path)
