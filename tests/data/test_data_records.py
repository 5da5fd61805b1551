import dataclasses
import hashlib
import math

import pytest

from rlhf_jax.data.records import Comparison, make_comparison, prompt_hash
from rlhf_jax.text.dialogue import DialogueError

PROMPT = '\n\nHuman: Hi\n\nAssistant:'


def test_the_prompt_id_is_a_sha1_of_the_prompt_alone():
  first = make_comparison(PROMPT + ' a', PROMPT + ' b', 's')
  second = make_comparison(PROMPT + ' c', PROMPT + ' d', 't', kind='harmless')
  wanted = hashlib.sha1(PROMPT.encode()).hexdigest()[:16]
  assert first.prompt_id == second.prompt_id == prompt_hash(PROMPT) == wanted
  other = make_comparison(
    PROMPT + ' a\n\nHuman: b\n\nAssistant: c', PROMPT, 's'
  )
  assert other.prompt_id != wanted


def test_a_record_is_frozen_and_unlabelled_by_default():
  record = Comparison(PROMPT, PROMPT, 's', prompt_hash(PROMPT))
  assert math.isnan(record.p_label) and record.kind == 'helpful'
  wanted = Comparison(PROMPT, PROMPT, 's', prompt_hash(PROMPT))
  assert repr(record) == repr(wanted)  # NaN is not equal to itself
  with pytest.raises(dataclasses.FrozenInstanceError):
    record.kind = 'harmless'


def test_a_side_without_a_reply_is_no_comparison():
  with pytest.raises(DialogueError):
    make_comparison(PROMPT, PROMPT + ' a\n\nHuman: b', 's')
