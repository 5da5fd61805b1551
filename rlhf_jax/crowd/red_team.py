"""Red-team dialogues of any world."""

from rlhf_jax.crowd.prompt import Prompt
from rlhf_jax.crowd.workers import compare
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.records import Comparison


def red_team_dialogue(world, rng, quality=None) -> list[Comparison]:
  """A red-team conversation of two exchanges, which goes on with the worse.

  Args:
    world: a world.
    rng: numpy Generator.
    quality: of the author of every reply; drawn for each reply if None.

  Returns:
    Two comparisons; the prompt of the second holds the reply of the first
    that the worker found more harmful (its `rejected`).
  """
  rules = rules_of(world)
  prompt = rules.sample_prompt(world, rng, kind='harmful')
  comparisons = []
  for _ in range(2):
    replies = [
      rules.write_reply(
        world, rng, prompt, rng.random() if quality is None else quality
      )
      for _ in range(2)
    ]
    comparisons.append(compare(world, rng, prompt, *replies))
    again = rules.sample_prompt(world, rng, family=prompt.family)
    text = comparisons[-1].rejected + again.text
    prompt = Prompt(text, again.kind, again.family)
  return comparisons
