"""A Hugging Face folder with a small byte-level BPE and a chat template."""

import json

import tokenizers

CHATML = (
  "{% if messages[0]['role'] != 'system' %}"
  "{{ '<|im_start|>system\nBe good.<|im_end|>\n' }}{% endif %}"
  '{% for message in messages %}'
  "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
  "{{ '<|im_end|>\n' }}{% endfor %}"
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXTS = ['system user assistant Be good.', 'the cat and the dog say hello'] * 9


def write_folder(folder, *, template=CHATML, rows=None, begin=False, **special):
  """Writes tokenizer.json and its side files; returns the folder.

  Args:
    folder: where to.
    template: chat template, or None.
    rows: vocab_size in config.json; None: no such file.
    begin: whether the post-processor puts '<s>' before a text.
    **special: keys of tokenizer_config.json; the default has the end token
      '<|im_end|>' for padding too.
  """
  model = tokenizers.Tokenizer(tokenizers.models.BPE())
  byte_level = tokenizers.pre_tokenizers.ByteLevel
  model.pre_tokenizer = byte_level(add_prefix_space=False)
  model.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=290,
    special_tokens=['<s>', '<|im_start|>', '<|im_end|>'],
    initial_alphabet=byte_level.alphabet(),
    show_progress=False,
  )
  model.train_from_iterator(TEXTS, trainer)
  if begin:
    model.post_processor = tokenizers.processors.TemplateProcessing(
      single='<s> $A', special_tokens=[('<s>', 0)]
    )
  folder.mkdir(parents=True, exist_ok=True)
  model.save(str(folder / 'tokenizer.json'))
  if not special:
    special = {'eos_token': '<|im_end|>', 'pad_token': '<|im_end|>'}
  if template:
    special = special | {'chat_template': template}
  (folder / 'tokenizer_config.json').write_text(json.dumps(special))
  if rows is not None:
    (folder / 'config.json').write_text(json.dumps({'vocab_size': rows}))
  return folder
