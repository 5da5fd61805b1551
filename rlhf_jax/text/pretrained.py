"""Tokenizers of imported models, through the `tokenizers` package.

From a Hugging Face folder (tokenizer.json and its side files) and from the
vocabulary inside a GGUF file. The extra `hf` brings `tokenizers`, `gguf` the
reader of GGUF files.
"""

import json
import os
import re
from pathlib import Path

from rlhf_jax.text import tokenizer_files as files
from rlhf_jax.text.chat import SYSTEM, ChatTemplate
from rlhf_jax.text.control_tokens import SPACES, Control, ControlTokens
from rlhf_jax.text.imported import ImportedTokenizer, Layout
from rlhf_jax.text.imported_settings import Settings
from rlhf_jax.text.prefix_space import take_out
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.text.tokenizer_export import folder_files

# As control tokens are spelled, and nothing else: <|im_start|>.
BARRED = re.compile(r'<[|\uff5c].+[|\uff5c]>')
FORMAT = 'rlhf_jax imported tokenizer 1'


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
    self._backend = files.backend_of(model)
    self.settings = settings
    self._template, self._eats = None, False
    if settings.chat_template:
      tokens = settings.tokens()
      self._template = ChatTemplate(settings.chat_template, tokens)
    self._control = ControlTokens(self._control_tokens())
    # Text goes through this one: no space that the text does not have, and a
    # control token that somebody types is text.
    without, self._space = take_out(self._backend.to_str())
    self._plain = backend.from_str(self._control.all_special(without))
    self._plain.encode_special_tokens = True
    self._plain.no_padding()
    self._plain.no_truncation()
    self._lead = self._before_a_reply() if self._template else ''
    self._set_ids(
      eos_id=self._id(settings.eos),
      pad_id=self._id(settings.pad),
      bos_id=self._id(settings.bos) if settings.add_bos else None,
      rows=max(settings.rows, self._backend.get_vocab_size()),
      special_ids=self._control.ids,
      stop_ids=[self._id(token) for token in settings.stops],
    )

  def _control_tokens(self):
    """Tokens that a text has no right to: special, named, or the template's.

    Some files add the tokens between turns without calling them special.
    """
    added = self._backend.get_added_tokens_decoder()
    found = {}
    for i, token in added.items():
      delimits = token.special or self._delimits(token.content)
      if delimits or self._mentioned(token.content):
        found[token.content] = Control(
          i, token.lstrip, token.rstrip, token.single_word, not delimits
        )
    named = self.settings.tokens().values()
    for token in (*named, *self.settings.stops):
      control = found.get(token, Control(self._id(token)))
      found[token] = control._replace(shown=False)
    return found

  def _delimits(self, token):
    """Whether a token that is not called special is no text all the same."""
    if BARRED.fullmatch(token):
      return True
    return self._mentioned(token) and self._template.writes(token)

  def _mentioned(self, token):
    """Whether the template speaks of a token that is no plain word."""
    letters = token.replace('\u2581', '').strip()
    if not self._template or not letters or letters.isalnum():
      return False
    return self._template.mentions(token) or self._template.writes(token)

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
    *_, last = self._control.cut([(asked, True)]) or ['']
    begins = isinstance(last, int)  # nothing is between the token and the reply
    self._eats = begins and self._control.eats_behind(last)
    lead = '' if self._eats else lead
    return lead or (self._space.before('a', begins=False) * begins)

  def _first_space(self, text):
    # The begin token is put before a text when its space is there already.
    return self._space.before(text, begins=True)

  def _layout(self, turns):
    """A prompt by the chat template, tokenised between its special tokens."""
    if not self._template:
      return super()._layout(turns)
    *before, last = turns
    pieces = self._template.pieces(turns, self.settings.system)
    layout = Layout([], [])
    # The system prompt is text, but no turn of which tokens are cut.
    owner = [
      None if piece.turn == SYSTEM else piece.turn
      for piece in pieces
      for _ in piece.text
    ]
    cut = self._control.cut([(p.text, p.turn is None) for p in pieces])
    for part in cut:
      if isinstance(part, int):
        layout.ids.append(part)
        layout.turn.append(None)
      else:
        self._add_text(layout, part.text, owner[part.start : part.stop])
    said = self.encode_reply(last.text)  # a reply that has been begun
    return Layout(layout.ids + said, layout.turn + [len(before)] * len(said))

  def _add_text(self, layout, text, owner):
    """Adds the tokens of a run of text to a layout."""
    space = self._space.before(text, begins=not layout.ids)
    owner = [None] * len(space) + owner
    encoding = self._plain.encode(space + text, add_special_tokens=False)
    for i, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
      owners = set(owner[start:end])
      layout.ids.append(i)
      layout.turn.append(owners.pop() if len(owners) == 1 else None)

  def encode_reply(self, reply):
    """Ids of a reply; its space is HH's, or with a template the template's."""
    if self._template:
      reply = reply.removeprefix(' ')
      if self._eats:
        reply = reply.lstrip(SPACES)
      if self._control.eats_before(self.settings.eos):
        reply = reply.rstrip(SPACES)
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
    try:
      settings = Settings(**content['settings'])
      settings = settings._replace(
        stops=tuple(settings.stops),
        names=tuple((name, token) for name, token in settings.names),
      )
      return cls(json.dumps(content['tokenizer']), settings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
      raise ValueError(
        f'{path}: a damaged tokenizer ({type(error).__name__}: {error}); make '
        'the run again'
      ) from error

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
    made = files.read_folder(folder, pad_token)
    return cls._of(folder, *made, system)

  @classmethod
  def from_gguf(cls, path, *, pad_token=None, system=None):
    """The tokenizer inside a GGUF file; arguments as `from_folder`.

    Raises:
      FileNotFoundError, ValueError: if the file is no GGUF, or holds no
        byte-level BPE with the pre-tokenizer of SmolLM.
    """
    made = files.read_gguf(path, pad_token)
    return cls._of(path, *made, system)

  @classmethod
  def _of(cls, where, model, found, system):
    """A tokenizer; its errors name the place it is from."""
    try:
      return cls(model, Settings(**found, system=system))
    except ValueError as error:
      raise ValueError(f'{where}: {error}') from error

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
    if template and not preference:
      template = self._template.source  # with its date, if it has one
    made = folder_files(
      self._control.all_special(self._backend.to_str()),
      rows=self.end_of_context_id,
      tokens=settings.tokens(),
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
