"""What stands before the first words of a dialogue in a model's own format."""

import pytest
from small_tokenizer import write_folder

from rlhf_jax.text.pretrained import PretrainedTokenizer
from tests.pretrained_files import need_or_skip

ASKED = '\n\nHuman: {}\n\nAssistant:'


def words(folder, system=None, **options):
  need_or_skip('tokenizers')
  write_folder(folder, **options)
  return PretrainedTokenizer.from_folder(folder, system=system)


@pytest.mark.parametrize('said', ['hello', 'the dog', '<|im_start|> 7'])
def test_every_dialogue_opens_with_it_and_then_says_its_words(tmp_path, said):
  tokenizer = words(tmp_path)
  opening = tokenizer.opening()
  ids, _ = tokenizer.encode_prompt(ASKED.format(said), 1000)
  assert ids[: len(opening)] == opening
  left = tokenizer.decode(ids[len(opening) :])
  assert left.startswith(said)
  shown = tokenizer._backend.decode(opening, skip_special_tokens=False)
  assert shown == '<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\n'


def test_a_system_prompt_takes_the_place_of_the_template_s_own(tmp_path):
  plain = words(tmp_path / 'a').opening()
  prompted = words(tmp_path / 'b', system='say hello').opening()
  assert plain != prompted
  shown = words(tmp_path / 'c')._backend.decode(
    prompted, skip_special_tokens=False
  )
  assert 'say hello' in shown and 'Be good' not in shown


def test_without_a_template_it_is_the_marker_of_hh(tmp_path):
  tokenizer = words(tmp_path, template=None)
  assert tokenizer.decode(tokenizer.opening()).endswith('\n\nHuman:')
