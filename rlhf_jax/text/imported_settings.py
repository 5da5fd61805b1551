"""Settings of an imported tokenizer, beside its tokenizer.json."""

from typing import NamedTuple


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
    names: more names that the template may use, and their tokens.
  """

  rows: int
  eos: str
  pad: str
  bos: str | None = None
  add_bos: bool = False
  stops: tuple[str, ...] = ()
  chat_template: str | None = None
  system: str | None = None
  names: tuple[tuple[str, str], ...] = ()

  def tokens(self) -> dict[str, str]:
    """Names of tokens as transformers hands them to a template."""
    own = {'bos_token': self.bos, 'eos_token': self.eos, 'pad_token': self.pad}
    return dict(self.names) | {k: v for k, v in own.items() if v}
