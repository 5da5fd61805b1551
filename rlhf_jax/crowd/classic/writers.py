"""Writers: authors of every quality, and human experts.

Replies start with a space, so that `prompt.text + reply` is a transcript.
"""

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.tasks import core_text, recognise, sample_prompt
from rlhf_jax.crowd.draw import pick


def _between(low, high, quality):
  return low + (high - low) * quality


def _pair(rng, world, slot, draws):
  """The best of `draws` style pairs by hidden tone; popular ones are likely."""
  pairs = [pick(rng, slot.pairs, slot.cumulative) for _ in range(draws)]
  return slot.template.format(*max(pairs, key=world.pair_tone))


def _slot(rng, world, name, share, draws):
  """A style slot: absent, once, or (rarely) twice."""
  if rng.random() >= share:
    return ()
  slot = world.slots[name]
  times = 2 if rng.random() < world.config.doubled_slot else 1
  return tuple(_pair(rng, world, slot, draws) for _ in range(times))


def _refusal(rng, config, quality, adviser):
  """Reply that declines, and perhaps sends the human to somebody better."""
  text = pick(rng, tables.REFUSALS)
  if rng.random() >= _between(
    config.redirect_low, config.redirect_high, quality
  ):
    return text
  if adviser is None or rng.random() >= config.right_adviser:
    adviser = pick(rng, tables.ADVISERS)
  return f'{text} {tables.REDIRECT.format(adviser)}'


def _answer(rng, task, p_right):
  """The core of a reply that is right with probability `p_right`."""
  right = rng.random() < p_right or not task.wrong
  return core_text(rng, task, pick(rng, task.right if right else task.wrong))


def _harmful_core(world, rng, task, quality):
  """Declines, or helps with one to three specific words."""
  config = world.config
  _, _, _, hazards, adviser, comply = tables.HARMFUL[task.family]
  if rng.random() < _between(config.refuse_low, config.refuse_high, quality):
    return _refusal(rng, config, quality, adviser)
  start, count = int(rng.random() * len(hazards)), 1 + int(rng.random() * 3)
  named = (hazards + hazards)[start : start + count]
  return comply.format(' and '.join(named))


def _helpful_core(world, rng, task, quality):
  """The answer: right, plausibly wrong, off the topic, or a wrong refusal."""
  config = world.config
  draw = rng.random()
  if draw < config.refuse_harmless:
    return _refusal(rng, config, quality, None)
  if draw < config.refuse_harmless + config.stray or not task.right:
    prompt = sample_prompt(world, rng, kind='helpful')
    task = recognise(world, prompt.text)
  p_right = _between(config.right_low, config.right_high, quality)
  return _answer(rng, task, p_right)


def _write_each(world, rng, cores, draws):
  """Replies [opener] core [tip] [closer], a core each, all else the same."""
  config = world.config
  before = _slot(rng, world, 'opener', config.opener_share, draws)
  after = (
    *_slot(rng, world, 'tip', config.tip_share, draws),
    *_slot(rng, world, 'closer', config.closer_share, draws),
  )
  return [' ' + ' '.join((*before, core, *after)) for core in cores]


def write_around(world, rng, cores):
  """Replies in one style that differ in their cores alone.

  Args:
    world: the World.
    rng: numpy Generator.
    cores: sentences that answer, one a reply.
  """
  return _write_each(world, rng, cores, 1)


def write_reply(world, rng, prompt, quality):
  """A reply by an author of the given quality.

  Args:
    world: the World.
    rng: numpy Generator.
    prompt: a Prompt.
    quality: in [0, 1]; it decides how often the core is right and how often a
      harmful request is declined.

  Returns:
    The reply, with its leading space.
  """
  task = recognise(world, prompt.text)
  make = _harmful_core if task.kind == 'harmful' else _helpful_core
  core = make(world, rng, task, quality)
  return _write_each(world, rng, [core], 1)[0]


def human_reply(world, rng, prompt):
  """A reply by an expert: nearly always right, in words of good tone."""
  config = world.config
  task = recognise(world, prompt.text)
  if task.kind == 'harmful':
    adviser = tables.HARMFUL[task.family][4]
    redirect = tables.REDIRECT.format(adviser)
    core = f'{pick(rng, tables.REFUSALS)} {redirect}'
  elif task.right:
    core = _answer(rng, task, config.human_quality)
  else:
    core = pick(rng, tables.REFUSALS)
  return _write_each(world, rng, [core], config.human_draws)[0]


def dialogue(world, rng):
  """A whole corpus dialogue; the author's quality is uniform on [0, 1]."""
  prompt = sample_prompt(world, rng)
  return prompt.text + write_reply(world, rng, prompt, rng.random())


def plain_text(world, rng, sentences=3):
  """Sentences that state facts of one entity of the world."""
  entity = pick(rng, world.entities, world.entity_cumulative)
  parts = [f'{entity} is a {world.kind_of[entity]}.']
  while len(parts) < sentences:
    attribute = pick(rng, world.attributes, world.attribute_cumulative)
    value = world.facts[entity, attribute]
    parts.append(f'the {attribute} of {entity} is {value}.')
  return ' '.join(parts)
