r"""Tokenizers as `transformers` loads them, for policies and preference models.

What a preference model reads ends in the end-of-context token, and so does what
its tokenizer makes: of a text by the post-processor, of the turns of a dialogue
by the chat template (`ChatTemplate.of_whole_dialogues`). Without a template a
dialogue is a text, '\n\nHuman: ...', whose markers are tokenised apart from
what is said, as they were in training.
"""

import json

from rlhf_jax.text.prefix_space import at_the_beginning_only
from rlhf_jax.text.tokenizer import END_OF_CONTEXT, PAD
from rlhf_jax.text.tokenizer_files import need

# The space that a tokenizer puts before the first marker belongs to it.
_MARKERS = '(?:\\A[ \u2581])?\\n\\n(?:Human|Assistant):'


def folder_files(
  model: str,
  *,
  rows: int,
  tokens: dict[str, str],
  begin: str | None = None,
  chat_template: str | None = None,
  preference: bool = False,
) -> dict[str, str]:
  """The files of a folder, {name: content}.

  Args:
    model: the text of a tokenizer.json.
    rows: of the model's embedding; the id of the end-of-context token.
    tokens: 'bos_token', 'eos_token' and 'pad_token', as far as there are any.
    begin: token before every text, or None.
    chat_template: jinja2 source, or None.
    preference: whether texts end in the end-of-context token, and padding is a
      token of its own, one id further.
  """
  package = need('tokenizers', 'hf')
  if preference and not chat_template:
    model = _markers_apart(model)
  backend = package.Tokenizer.from_str(model)
  missing = rows - backend.get_vocab_size()
  new = [f'<|unused_{i}|>' for i in range(missing)] + [END_OF_CONTEXT]
  new += [PAD] * preference
  backend.add_special_tokens(
    [package.AddedToken(token, special=True) for token in new]
  )
  before, after = [begin] * (begin is not None), [END_OF_CONTEXT] * preference
  if preference or (before and backend.post_processor is None):
    backend.post_processor = package.processors.TemplateProcessing(
      single=[*before, '$A', *after],
      special_tokens=[(x, backend.token_to_id(x)) for x in before + after],
    )
  if preference:
    tokens = tokens | {'pad_token': PAD}
  config = tokens | {
    'tokenizer_class': 'PreTrainedTokenizerFast',
    'clean_up_tokenization_spaces': False,
    'model_input_names': ['input_ids', 'attention_mask'],
  }
  if chat_template:
    config['chat_template'] = chat_template
  return {
    'tokenizer.json': backend.to_str(pretty=True),
    'tokenizer_config.json': json.dumps(config, indent=2),
    'special_tokens_map.json': json.dumps(tokens, indent=2),
  }


def _markers_apart(model):
  r"""A tokenizer.json that merges nothing across the markers of HH dialogues.

  Vocabularies have tokens such as '.\n\n', and ours never has the end of one
  turn and the beginning of the next in one token. What is apart must not begin
  with a space of the tokenizer's either.
  """
  content = json.loads(model)
  steps = at_the_beginning_only(content)
  split = {
    'type': 'Split',
    'pattern': {'Regex': _MARKERS},
    'behavior': 'Isolated',
    'invert': False,
  }
  content['pre_tokenizer'] = {
    'type': 'Sequence',
    'pretokenizers': [split, *steps],
  }
  return json.dumps(content)
