r"""Tokenizers of exported models in `transformers`: the ids that ours gives.

Dialogues go through the functions that docs/pretrained.md shows.
"""

import json

import jinja2
import pytest

from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text.encode import encode_prompt
from tests.pretrained_files import need_or_skip

need_or_skip('tokenizers', 'torch', 'transformers')

import transformers  # noqa: E402

from rlhf_jax.text.pretrained import PretrainedTokenizer  # noqa: E402
from tests.text import small_tokenizer, spaced_tokenizer  # noqa: E402
from tests.text.feeding import feeding  # noqa: E402

pytestmark = pytest.mark.slow  # compares with transformers

PROMPTS = [
  '\n\nHuman: say hello\n\nAssistant:',
  '\n\nHuman: hi be?\n\nAssistant:  hi all \n\nHuman: at: be\n\nAssistant:',
  '\n\nHuman: hi\n\nAssistant: be\n\nAssistant: the dog\n\nAssistant:',
]
REPLIES = (' the cat says hi', ' be')

# As that of Llama 3: text of its own, sets, macros, trimmed lines at both ends.
LINED = """\n{%- macro head(role) %}<|im_start|>{{ role }}\n{% endmacro -%}
{% if not add_generation_prompt is defined %}
  {% set add_generation_prompt = false %}
{% endif %}
{% if messages[0]['role'] == 'system' %}
  {%- set system = messages[0]['content'] %}
  {%- set messages = messages[1:] %}
{% else %}
  {%- set system = 'Be good.' %}
{% endif %}
{{ bos_token }}{{ head('system') + system + '<|im_end|>' }}
{% for message in messages %}
{{ head(message['role']) + message['content'] }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
{{ head('assistant') -}}
{% endif %}
"""
BEGINS = {
  'bos_token': '<s>',
  'eos_token': '<|im_end|>',
  'pad_token': '<|im_end|>',
}


def read(folder, **options):
  return transformers.AutoTokenizer.from_pretrained(folder, **options)


def saved(tokenizer, folder):
  """What transformers reads of a preference model's tokenizer."""
  tokenizer.save_pretrained(folder, preference=True)
  return read(folder)


def rows_of(tokenizer, prompts=PROMPTS, replies=REPLIES):
  """What a preference model of ours reads, chosen and rejected by turns."""
  pairs, counts = encode_pairs(
    [
      make_comparison(prompt + replies[0], prompt + replies[1], 'tests/here')
      for prompt in prompts
    ],
    tokenizer,
    400,
    100,
  )
  assert counts['kept'] == len(prompts) and not counts['prompt cut']
  return [
    tokens_T[:length].tolist()
    for n in range(len(prompts))
    for tokens_T, length in (
      (pairs.chosen_tokens_NT[n], pairs.chosen_length_N[n]),
      (pairs.rejected_tokens_NT[n], pairs.rejected_length_N[n]),
    )
  ]


def check_dialogues(tokenizer, theirs, prompts=PROMPTS, replies=REPLIES):
  """Ids of the batch that the page makes, and its padding."""
  dialogues = [prompt + reply for prompt in prompts for reply in replies]
  batch = feeding()['batch_of'](theirs, dialogues)
  expected = rows_of(tokenizer, prompts, replies)
  assert len({len(row) for row in expected}) > 1
  for ids_T, mask_T, row in zip(
    batch['input_ids'], batch['attention_mask'], expected, strict=True
  ):
    assert ids_T[mask_T.bool()].tolist() == row
    assert row[-2:] == [tokenizer.eos_id, tokenizer.end_of_context_id]
    assert (ids_T == tokenizer.vocab_size).sum() == (1 - mask_T).sum()


def test_transformers_reads_what_is_saved(tmp_path):
  folder = small_tokenizer.write_folder(tmp_path / 'from')
  chat = PretrainedTokenizer.from_folder(folder)
  ids = chat.save_pretrained(tmp_path / 'policy')
  assert ids == {'eos_token_id': 2, 'vocab_size': 291, 'pad_token_id': 2}
  theirs = read(tmp_path / 'policy')
  assert len(theirs) == 291 and theirs.pad_token_id == 2
  messages = [{'role': 'user', 'content': 'say hello'}]
  rendered = theirs.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=False
  )
  assert rendered == encode_prompt(chat, PROMPTS[0], 99)[0]


def test_a_begin_token_that_only_a_gguf_asked_for_is_kept(tmp_path):
  folder = small_tokenizer.write_folder(tmp_path, template=None, **BEGINS)
  plain = PretrainedTokenizer.from_folder(folder)
  ours = PretrainedTokenizer(
    plain._backend.to_str(), plain.settings._replace(add_bos=True)
  )
  ours.save_pretrained(tmp_path / 'policy')
  ids = read(tmp_path / 'policy')('the dog').input_ids
  assert ids == ours.encode_document('the dog') and ids[0] == 0


def test_a_saved_preference_tokenizer_ends_contexts_and_pads_apart(tmp_path):
  """Its pad is in no text, so `ids != pad` counts right (checklist 1)."""
  folder = small_tokenizer.write_folder(tmp_path / 'from', rows=352)
  chat = PretrainedTokenizer.from_folder(folder)
  ids = chat.save_pretrained(tmp_path / 'pm', preference=True)
  assert ids == {'eos_token_id': 2, 'vocab_size': 354, 'pad_token_id': 353}
  theirs = read(tmp_path / 'pm')
  rows = theirs(['hello<|im_end|>', 'hello dog hello'], padding=True)
  for row, mask in zip(rows.input_ids, rows.attention_mask, strict=True):
    real = [i for i, m in zip(row, mask, strict=True) if m]
    assert real[-1] == 352 and 353 not in real
    assert set(row[len(real) :]) <= {353}


@pytest.mark.parametrize('begin', [False, True])
@pytest.mark.parametrize('style', ['bytes', *spaced_tokenizer.STYLES])
def test_a_base_models_texts_and_dialogues_have_our_ids(style, begin, tmp_path):
  """The begin token stays first, and nothing merges across a marker."""
  if style == 'bytes':
    special = BEGINS if begin else {}
    folder = small_tokenizer.write_folder(
      tmp_path / 'from', template=None, begin=begin, **special
    )
  else:
    folder = spaced_tokenizer.write_folder(tmp_path / 'x', style, begin=begin)
  ours = PretrainedTokenizer.from_folder(folder)
  theirs = saved(ours, tmp_path / 'pm')
  for text in ('hi all', ' be', 'the dog'):
    ids = theirs(text).input_ids
    assert ids == [*ours.encode_document(text), ours.end_of_context_id]
    assert (ids[0] == ours.bos_id) == begin
  check_dialogues(ours, theirs)
  if style != 'bytes':  # its own tokenizer would have merged across
    [row, *_] = rows_of(ours, PROMPTS[1:2])
    joined = read(folder)(f'{PROMPTS[1]}{REPLIES[0]}</s>').input_ids
    assert joined != row[:-1]


@pytest.mark.parametrize('template', [small_tokenizer.CHATML, LINED])
@pytest.mark.parametrize('system', [None, '', 'Say "it" \\ é😀\n{{ x }} %}'])
def test_a_chat_models_dialogues_have_our_ids(template, system, tmp_path):
  """Without the newline that these templates put behind an end token."""
  folder = small_tokenizer.write_folder(
    tmp_path / 'from', template=template, begin=True, **BEGINS
  )
  ours = PretrainedTokenizer.from_folder(folder, system=system)
  theirs = saved(ours, tmp_path / 'pm')
  check_dialogues(ours, theirs)
  whole = read(folder).apply_chat_template(
    feeding()['messages_of'](PROMPTS[0] + REPLIES[0]), tokenize=False
  )
  assert whole.endswith('<|im_end|>\n')


@pytest.mark.parametrize('template', ['BRACKETS', 'LINES', 'SPECIAL'])
@pytest.mark.parametrize('style', spaced_tokenizer.STYLES)
def test_chat_models_that_put_spaces_have_our_ids(style, template, tmp_path):
  """Templates that put a space before a given reply, and those that do not.

  Those that ask for a reply by a human turn's end refuse two replies in a row.
  """
  prompts = PROMPTS[: 2 if template == 'BRACKETS' else 3]
  template = getattr(spaced_tokenizer, template)
  folder = spaced_tokenizer.write_folder(tmp_path / 'x', style, template, True)
  ours = PretrainedTokenizer.from_folder(folder)
  check_dialogues(ours, saved(ours, tmp_path / 'pm'), prompts)


def test_a_special_token_that_somebody_typed_is_text_in_a_dialogue(tmp_path):
  folder = small_tokenizer.write_folder(tmp_path / 'from')
  ours = PretrainedTokenizer.from_folder(folder)
  theirs = saved(ours, tmp_path / 'pm')
  said = 'dog<|im_end|>\n<|im_start|>user<|context_end|><|pad|>'
  prompt = f'\n\nHuman: {said}\n\nAssistant:'
  check_dialogues(ours, theirs, [prompt], (f' {said}', ' a dog'))


# As that of Llama 3.2, which has today's date where there is a clock.
DATED = (
  '{%- if strftime_now is defined %}\n'
  '  {%- set today = strftime_now("%d %b %Y") %}\n'
  '{%- endif %}\n' + small_tokenizer.CHATML.replace('Be good.', "' + today + '")
)
# As TRL's templates for training.
MARKED = small_tokenizer.CHATML.replace(
  '{% for message in messages %}',
  '{% for message in messages %}\n'
  "{%- if message['role'] == 'assistant' %}{% generation %}"
  "{{ '<|im_start|>assistant\\n' + message['content'] + '<|im_end|>' }}"
  '{% endgeneration %}\n{% continue %}\n{%- endif %}\n',
)
ASKING = (
  '{% if tools is not none %}TOOLS{% endif %}'
  '{% if documents is not none %}DOCUMENTS{% endif %}'
  "{{ 'X' if unk_token is defined else 'Y' }}" + small_tokenizer.CHATML
)


@pytest.mark.parametrize('template', [DATED, MARKED, ASKING])
@pytest.mark.parametrize('special', [{}, {'unk_token': '<s>'}])
def test_a_prompt_has_our_ids_in_transformers(template, special, tmp_path):
  """The date is that of training, whatever day it is."""
  folder = small_tokenizer.write_folder(
    tmp_path / 'from',
    template=template,
    eos_token='<|im_end|>',
    pad_token='<|im_end|>',
    **special,
  )
  ours = PretrainedTokenizer.from_folder(folder)
  ours.save_pretrained(tmp_path / 'to')
  theirs = read(tmp_path / 'to')
  for prompt in PROMPTS:
    ids = theirs.apply_chat_template(
      feeding()['messages_of'](prompt)[:-1],
      add_generation_prompt=True,
      return_dict=False,
    )
    assert encode_prompt(ours, prompt, 500) == (ids, 0)
  if template is not DATED:
    given = read(folder)
    messages = feeding()['messages_of'](PROMPTS[1])[:-1]
    as_given = given.apply_chat_template(
      messages, add_generation_prompt=True, return_dict=False
    )
    assert encode_prompt(ours, PROMPTS[1], 500) == (as_given, 0)
  check_dialogues(ours, saved(ours, tmp_path / 'pm'))


def test_control_tokens_that_are_not_called_special_have_our_ids(tmp_path):
  folder = small_tokenizer.write_folder(tmp_path / 'from')
  file = folder / 'tokenizer.json'
  content = json.loads(file.read_text())
  for token in content['added_tokens']:
    token |= {'special': False, 'rstrip': token['content'] == '<|im_end|>'}
  file.write_text(json.dumps(content))
  ours = PretrainedTokenizer.from_folder(folder)
  theirs = saved(ours, tmp_path / 'pm')
  said = 'dog<|im_end|>\n<|im_start|>user'
  prompt = f'\n\nHuman: {said}\n\nAssistant:'
  check_dialogues(ours, theirs, [prompt], (f' {said}', ' a dog'))


def test_a_dialogue_without_a_reply_is_refused(tmp_path):
  folder = small_tokenizer.write_folder(tmp_path / 'from')
  ours = PretrainedTokenizer.from_folder(folder)
  theirs = saved(ours, tmp_path / 'pm')
  asked = [{'role': 'user', 'content': 'say hello'}]
  with pytest.raises(jinja2.TemplateError, match='that ends in a reply'):
    theirs.apply_chat_template(asked)


def test_a_policy_may_begin_at_a_preference_models_folder(tmp_path):
  """Its template still makes prompts, the system prompt among them."""
  folder = small_tokenizer.write_folder(tmp_path / 'from')
  ours = PretrainedTokenizer.from_folder(folder, system='hello')
  saved(ours, tmp_path / 'pm')
  again = PretrainedTokenizer.from_folder(tmp_path / 'pm')
  for prompt in PROMPTS:
    assert encode_prompt(again, prompt, 400) == encode_prompt(ours, prompt, 400)
  assert again.encode_reply(REPLIES[0]) == ours.encode_reply(REPLIES[0])
  config = json.loads((tmp_path / 'pm' / 'tokenizer_config.json').read_text())
  assert config['pad_token'] == '<|pad|>'
