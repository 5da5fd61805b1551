"""The HHH prompt."""

import re

from rlhf_jax.text.hhh import HHH_PROMPT


def test_the_hhh_prompt_is_one_text_that_can_stand_before_a_dialogue():
  """It names what it asks for, and nothing in it looks like a turn."""
  for word in ('helpful', 'honest', 'harmless'):
    assert word in HHH_PROMPT
  assert '\n' not in HHH_PROMPT
  assert not re.search('Human:|Assistant:|<[|]', HHH_PROMPT)
  assert HHH_PROMPT == HHH_PROMPT.strip()
