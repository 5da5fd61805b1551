"""The classic world writes what it wrote when its studies were committed."""

import hashlib

import numpy as np
import pytest

from rlhf_jax.crowd import workers
from rlhf_jax.crowd.red_team import red_team_dialogue
from rlhf_jax.crowd.worlds import make_world, rules_of

# Of results/micro; the digests were taken before there was a second world.
MICRO = {
  'correctness_weight': 3.0,
  'style_cap': 8.0,
  'tone_sd': 0.3,
  'interaction_sd': 0.2,
  'harmless_style': 0.1,
  'temperature': 0.8,
}
DIGESTS = [
  ({}, '83e4bb2d08114e24c3f885e7655acb6523d244b4e6d6b6771e089dd99eab7c06'),
  (MICRO, '3f308fe8954bcaf210f4beecbbe26430f158bf04e82765f1035c68563478d153'),
]


def written(world, rng):
  """Texts of every writer, comparisons, and gold to 1e-6."""
  rules, out = rules_of(world), []
  for _ in range(300):
    out += [rules.dialogue(world, rng), rules.plain_text(world, rng)]
    prompt = rules.sample_prompt(world, rng)
    pair = [rules.write_reply(world, rng, prompt, rng.random()) for _ in 'ab']
    found = workers.compare(world, rng, prompt, *pair)
    out += [prompt.text, prompt.kind, prompt.family, *pair]
    out += [rules.human_reply(world, rng, prompt), found.chosen, found.kind]
    out += [found.prompt_id, f'{found.p_label:.6f}']
    for kind in ('helpful', 'harmless'):
      score = workers.score_reply(world, prompt.text, pair[0], kind)
      out.append(f'{score:.6f}')
  for found in red_team_dialogue(world, rng):
    out += [found.chosen, found.rejected]
  return '\n'.join(out)


@pytest.mark.parametrize(('settings', 'digest'), DIGESTS)
def test_the_classic_world_is_what_it_was_to_the_letter(settings, digest):
  text = written(make_world('classic', **settings), np.random.default_rng(11))
  assert hashlib.sha256(text.encode()).hexdigest() == digest
