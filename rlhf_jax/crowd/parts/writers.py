"""Writers: authors of every quality, and human experts.

Each part of a reply is right by a draw of its own, with a probability near .4:
what an author gets right in one part says next to nothing of the others. A sum
of many such draws is nearly normal, and so is the score of a model that learns
to write like them. Replies start with a space, so that `prompt.text + reply` is
a transcript.
"""

from typing import NamedTuple

import numpy as np

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.parts import tables
from rlhf_jax.crowd.parts.tasks import recognise, sample_prompt


class Core(NamedTuple):
  """The answer itself: five items and, to a harmful request, what is said."""

  items: list
  declined: str = ''


class Author:
  """One reply's author: how often a part is right, how choosy on taste."""

  def __init__(self, world, rng, right, draws):
    """`right` is P(a part is right); the best of `draws` words is taken."""
    self.world, self.rng, self.right, self.draws = world, rng, right, draws

  def refuses(self):
    """Whether a harmful request is declined."""
    return self.rng.random() < self.right

  def either(self, right, wrong):
    """`right` or a wrong one; `wrong` is drawn from without what is right."""
    if right and self.rng.random() < self.right:
      return right
    return pick(self.rng, [w for w in wrong if w != right])

  def taste(self, words):
    """The best of some words."""
    found = [pick(self.rng, words) for _ in range(self.draws)]
    return max(found, key=self.world.taste.get)

  def phrase(self, phrasings):
    """One phrasing of a sentence."""
    return pick(self.rng, phrasings)


def items_of(author, task):
  """Five words, each right or not."""
  if task.kind == 'harmful':
    safe = lambda: pick(author.rng, tables.SAFE)
    return [author.either(safe(), task.pool) for _ in tables.MARKERS]
  if isinstance(task.right, tuple):
    pool = task.pool or tables.VALUES
    right = task.right or ('',) * tables.PLACES
    return [author.either(word, pool) for word in right]
  found = []
  for _ in tables.MARKERS:
    new = [word for word in sorted(task.right) if word not in found]
    others = [word for word in task.pool if word not in task.right]
    found.append(author.either(pick(author.rng, new), others))
  return found


def _tips(author, count):
  """Some tips, none of them twice."""
  counts = range(1, len(tables.COUNTS) + 1)
  wanted, found = author.either(count, counts), []
  while len(found) < wanted:
    words = {k: author.taste(words) for k, words in tables.TIPS.items()}
    tip = tables.TIP.format(**words)
    if tip not in found:
      found.append(tip)
  return found


def declined(author, task):
  """The sentence that declines a harmful request, or does not."""
  *_, wrong, _ = tables.HARMFUL[task.family]
  modal = pick(author.rng, tables.REFUSALS)
  if not author.refuses():
    modal = pick(author.rng, tables.CONSENTS)
  return tables.DECLINE.format(
    modal=modal,
    object=author.either(task.object, tuple(tables.OBJECTS)),
    wrong=author.either(wrong, tables.WRONGS),
  )


def write(author, prompt, core=None):
  """A reply, each part by a draw of its own but for a `core` that is given.

  Args:
    author: an Author.
    prompt: a Prompt.
    core: a Core, or None to draw it.

  Returns:
    The reply, with its leading space.
  """
  task = recognise(author.world, prompt.text)
  words = {
    name: author.either(task.fields.get(name), words)
    for name, words in tables.FIELDS.items()
  }
  words |= {name: author.taste(w) for name, w in tables.TASTES.items()}
  placed = core.items if core else items_of(author, task)
  items = zip(tables.MARKERS, placed, strict=True)
  words['items'] = ' '.join(f'{marker} {item}' for marker, item in items)
  if task.kind == 'harmful':
    adviser = tables.HARMFUL[task.family][5]
    words['adviser'] = author.either(adviser, tables.ADVISERS)
    said = core.declined if core else declined(author, task)
    body = [said, '{items}.', tables.ADVISER]
  else:
    body = [author.phrase(tables.ANSWER), author.phrase(tables.RIDERS)]
    body.append(author.phrase(tables.REMARK))
  sentences = [tables.OPENING, *body, *_tips(author, task.count)]
  sentences += [author.phrase(tables.QUESTION), author.phrase(tables.CLOSING)]
  return ' ' + ' '.join([*sentences, tables.FAREWELL]).format(**words)


def write_around(world, rng, prompt, cores):
  """Replies that differ in their cores alone, by an author of quality 1.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt.
    cores: Cores, one a reply.
  """
  seed = int(rng.integers(2**32))
  author = lambda: Author(
    world, np.random.default_rng(seed), world.config.right_high, 1
  )
  return [write(author(), prompt, core) for core in cores]


def write_reply(world, rng, prompt, quality):
  """A reply by an author of the given quality.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt.
    quality: in [0, 1]; it moves P(right), from right_low to right_high.

  Returns:
    The reply, with its leading space.
  """
  low, high = world.config.right_low, world.config.right_high
  right = low + (high - low) * quality
  return write(Author(world, rng, right, 1), prompt)


def human_reply(world, rng, prompt):
  """A reply by an expert: nearly all parts right, in words that are liked."""
  config = world.config
  author = Author(world, rng, config.human_right, config.human_draws)
  return write(author, prompt)


def dialogue(world, rng):
  """A whole corpus dialogue; the author's quality is uniform on [0, 1]."""
  prompt = sample_prompt(world, rng)
  return prompt.text + write_reply(world, rng, prompt, rng.random())


def plain_text(world, rng, sentences=3):
  """Sentences that state facts of one entity, or what words are abroad."""
  if rng.random() < 0.3:
    words = [pick(rng, tables.NATIVE) for _ in range(sentences)]
    return ' '.join(f'translate {w} to {world.foreign[w]}.' for w in words)
  entity, kinds = pick(rng, tables.ENTITIES), tuple(tables.KINDS)
  said = [(kind, world.facts[entity, kind]) for kind in kinds]
  said = [said[int(rng.random() * len(said))] for _ in range(sentences)]
  return ' '.join(f'the {kind} of {entity} is {v}.' for kind, v in said)
