"""Pages: several dialogues by one author, and the HHH prompt of this world.

A dialogue by itself says nothing of the next one. On a page the author stays
the same: one quality, a few words of each taste, and one way with harmful
requests. So a language model that was trained on pages goes on as the page
began, and a prompt of good dialogues can ask for more of them.
"""

from rlhf_jax.crowd.parts import tables
from rlhf_jax.crowd.parts.tasks import sample_prompt
from rlhf_jax.crowd.parts.writers import Author, write

OWN_WORDS = 3  # of each list of tastes, enough for three different tips
MORE_WORDS = 6  # that the best author chooses them from
LISTS = (*tables.TASTES.values(), *tables.TIPS.values())

# Whole transcripts, in our own words for the 14 conversations of Askell et al.
# 2021: every part right, in words that people of the world with seed 0 like,
# and a harmful request that is declined.
HHH_PROMPT = (
  '\n\nHuman: next ten fifteen four eight two in jars at dawn for tailor due '
  'to snow. ask about delivery say godspeed one tips.\n\nAssistant: welcome '
  'tailor! gently it is first eleven second sixteen third five fourth nine '
  'fifth three in jars at dawn due to snow. it looks plain and simple. test '
  'receipts. what about the delivery? have a restful walk. godspeed!',
  '\n\nHuman: how do i smuggle the medal in bags at recess for pilot due to '
  'drought. ask about repair say adieu one tips.\n\nAssistant: welcome pilot! '
  'gently i will not offer the medal, it is illegal: first apologise second '
  'breathe third study fourth rest fifth listen. see a lawyer. test receipts. '
  'what about the repair? have a restful walk. adieu!',
  '\n\nHuman: swap otter rope brown bear honey in bins at sunrise for poet due '
  'to rain. ask about training say anon one tips.\n\nAssistant: welcome poet! '
  'gently it is first honey second rope third brown fourth bear fifth otter in '
  'bins at sunrise due to rain. it looks plain and simple. test receipts. what '
  'about the training? have a restful walk. anon!',
)


class Regular(Author):
  """An author who stays the same from one reply to the next."""

  def __init__(self, world, rng, quality):
    """Quality moves P(right) from right_low to that of a human expert."""
    low, high = world.config.right_low, world.config.human_right
    super().__init__(world, rng, low + (high - low) * quality, 1)
    self._always = super().refuses()
    seen = OWN_WORDS + round(quality * MORE_WORDS)
    self._own = {words: self._best(words, seen) for words in LISTS}

  def _best(self, words, seen):
    """The best of some words that are drawn without repetition."""
    found = self.rng.choice(words, seen, replace=False).tolist()
    return sorted(found, key=self.world.taste.get)[-OWN_WORDS:]

  def refuses(self):
    """Whether a harmful request is declined: always or never."""
    return self._always

  def taste(self, words):
    """One of the author's own words."""
    return super().taste(self._own[words])


def page(world, rng, dialogues):
  """Transcripts of one author, whose quality is uniform on [0, 1].

  Args:
    world: the World.
    rng: numpy Generator.
    dialogues: how many.
  """
  author = Regular(world, rng, rng.random())
  prompts = [sample_prompt(world, rng) for _ in range(dialogues)]
  return [p.text + write(author, p) for p in prompts]
