r"""Texts that the harness hands to and fro, and the tokens they stand for.

The harness knows strings alone. A dialogue is told from a plain text by a mark
in front:

    MARK, system prompt, MARK, transcript in the format of HH

so that chat templates go the way that training takes: a prompt is tokenised
without its reply, and what people wrote never becomes a special token.
"""

from rlhf_jax.text.dialogue import (
  Turn,
  format_dialogue,
  parse_dialogue,
  split_reply,
)
from rlhf_jax.text.encode import encode_prompt

MARK = '\ue000'  # of the private use area: no text of a benchmark has it
ROLES = {'user': 'human', 'assistant': 'assistant'}
NO_LIMIT = 10**6


def plain_ids(tokenizer, text):
  """Ids of a text from its beginning, a begin token included where used."""
  start = getattr(tokenizer, 'encode_document', tokenizer.encode)
  return start(text)


def begin_id(tokenizer):
  """Id that stands before a text without context: begin, or else end."""
  begin = getattr(tokenizer, 'bos_id', None)
  return tokenizer.eos_id if begin is None else begin


def without_begin(tokenizer, ids):
  """The ids of a whole text, without the begin token where one is first."""
  begin = getattr(tokenizer, 'bos_id', None)
  return ids[1:] if ids and ids[0] == begin else ids


def dialogue_text(history):
  """The marked text of messages, ready for the Assistant's words.

  Args:
    history: [{'role': system, user or assistant; 'content': str}]; a last
      message of the Assistant is a reply that has been begun.

  Raises:
    ValueError: for another role, or a system message that is not the first.
    DialogueError: if a message holds a marker of a turn.
  """
  system, turns = '', []
  for i, message in enumerate(history):
    role, words = message['role'], message['content']
    if role == 'system' and i == 0:
      system = words
    elif role in ROLES:
      turns.append(Turn(ROLES[role], f' {words}'))
    else:
      raise ValueError(
        f'wanted messages of user and assistant, a system message first, got '
        f'{role!r} as number {i + 1}: look at the task file'
      )
  if not turns or turns[-1].role != 'assistant':
    turns.append(Turn('assistant', ''))
  return f'{MARK}{system}{MARK}{format_dialogue(turns)}'


def ids_of(tokenizer, text, with_system):
  """Ids of a text, plain or marked.

  Args:
    tokenizer: ours or an imported one.
    text: of the harness; a context, or a context and its continuation.
    with_system: (tokenizer, system prompt) -> tokenizer; where there is no
      chat template the system prompt opens the first turn.
  """
  if not text.startswith(MARK):
    return plain_ids(tokenizer, text)
  _, system, transcript = text.split(MARK, 2)
  prompt, reply = split_reply(transcript)
  if system and getattr(tokenizer, 'has_template', False):
    tokenizer = with_system(tokenizer, system)
  elif system:
    first, *rest = parse_dialogue(prompt)
    words = f' {system.rstrip()}\n\n{first.text.removeprefix(" ")}'
    prompt = format_dialogue([first._replace(text=words), *rest])
  ids, _ = encode_prompt(tokenizer, prompt, NO_LIMIT)
  if not reply:
    return ids
  reply = reply if reply.startswith(' ') else f' {reply}'
  encode = getattr(tokenizer, 'encode_reply', tokenizer.encode)
  return ids + encode(reply)


def reply_text(tokenizer, ids, marked):
  """Text of a reply's ids; without the space of HH after a dialogue."""
  if marked:
    return tokenizer.decode_reply(ids).removeprefix(' ')
  return tokenizer.decode(ids)


def cut_at(text, stops):
  """The text before the first of the stop strings that it holds."""
  ends = [text.find(stop) for stop in stops if stop]
  return text[: min([end for end in ends if end >= 0], default=len(text))]
