"""A folder with a tokenizer in the manner of Llama 2's: spaces are characters.

Byte fallback, and a space before a text in one of three ways: `prepend` (Llama
2, Mistral 7B v0.1), `first` (Mistral 7B v0.3), `always` (older files).
"""

import json
import string

import tokenizers

STYLES = ('prepend', 'first', 'always')
MERGES = ['▁ h', 'h i', '▁h i', 'l l', '▁ a', 'e ll', '▁ ▁', 'a t', ': ▁']

# As Mistral's, where the brackets are text.
BRACKETS = (
  '{{ bos_token }}{% for message in messages %}'
  "{% if message['role'] == 'user' %}"
  "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
  "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}"
  '{% endfor %}'
)
# As Zephyr's: lines, and nothing between a prompt and its reply.
LINES = (
  '{% for message in messages %}'
  "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token }}"
  "{{ '\n' }}{% endfor %}"
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# A special token right before the reply.
SPECIAL = (
  '{% for message in messages %}'
  "{% if message['role'] == 'user' %}{{ bos_token + message['content'] }}"
  "{% else %}{{ '<|reply|>' + message['content'] + eos_token }}{% endif %}"
  "{% endfor %}{% if add_generation_prompt %}{{ '<|reply|>' }}{% endif %}"
)


def _parts(style):
  """(normalizer, pre_tokenizer, decoder) of a style."""
  normalizers, decoders = tokenizers.normalizers, tokenizers.decoders
  back = [
    decoders.Replace('▁', ' '),
    decoders.ByteFallback(),
    decoders.Fuse(),
    decoders.Strip(' ', 1, 0),
  ]
  if style == 'prepend':
    put = [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')]
    return normalizers.Sequence(put), None, decoders.Sequence(back)
  scheme = {'prepend_scheme': style, 'split': False}
  before = tokenizers.pre_tokenizers.Metaspace(**scheme)
  if style == 'first':
    return None, before, decoders.Sequence(back)
  bytes_first = [decoders.ByteFallback(), decoders.Metaspace(**scheme)]
  return None, before, decoders.Sequence(bytes_first)


def write_folder(folder, style, template=None, begin=False):
  """Writes tokenizer.json and tokenizer_config.json; returns the folder.

  Args:
    folder: where to.
    style: one of STYLES.
    template: chat template, or None.
    begin: whether the post-processor puts '<s>' before a text.
  """
  tokens = ['<unk>', *(f'<0x{i:02X}>' for i in range(256)), '▁']
  tokens += string.ascii_letters + string.punctuation
  merges = [tuple(merge.split(' ')) for merge in MERGES]
  tokens += [''.join(merge) for merge in merges]
  model = tokenizers.Tokenizer(
    tokenizers.models.BPE(
      vocab={token: i for i, token in enumerate(tokens)},
      merges=merges,
      unk_token='<unk>',
      byte_fallback=True,
      fuse_unk=True,
    )
  )
  normalizer, pre_tokenizer, decoder = _parts(style)
  if normalizer:
    model.normalizer = normalizer
  if pre_tokenizer:
    model.pre_tokenizer = pre_tokenizer
  model.decoder = decoder
  model.add_special_tokens(['<s>', '</s>', '<|reply|>'])
  if begin:
    model.post_processor = tokenizers.processors.TemplateProcessing(
      single='<s> $A', special_tokens=[('<s>', model.token_to_id('<s>'))]
    )
  folder.mkdir(parents=True, exist_ok=True)
  model.save(str(folder / 'tokenizer.json'))
  config = {
    'tokenizer_class': 'PreTrainedTokenizerFast',
    'bos_token': '<s>',
    'eos_token': '</s>',
    'pad_token': '</s>',
  }
  if template:
    config['chat_template'] = template
  (folder / 'tokenizer_config.json').write_text(json.dumps(config))
  return folder
