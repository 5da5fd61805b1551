"""The job of a plan: which programs are compiled, and of which model."""

from rlhf_jax.models import ladder

# What is compiled of one and two layers; `collect` is `prefill` and a loop.
PROGRAMS = ('pm_step', 'prefill', 'collect', 'iteration')
# The two programs that train, and the phases that each one's time is made of.
PHASES = {
  'pm_step': ('pm_step',),
  'iteration': ('prefill', 'decode', 'learn'),
}
TRAINING = tuple(PHASES)
SHORT = {'pm_step': 'pm', 'iteration': 'ppo'}


def model_config(name, job, n_layers=0):
  """TransformerConfig of a rung for a job; `n_layers` replaces its depth."""
  depth = {'n_layers': n_layers} if n_layers else {}
  return ladder.config_for(
    name, job['vocab_size'], dtype=job['dtype'], remat=job['remat'], **depth
  )


def no_room(measured):
  """What the compiler said where it found no room for a program, or None."""
  said = [
    f'{key} of {depth} layers: {found["no_room"]}'
    for depth, programs in measured.items()
    for key, found in programs.items()
    if 'no_room' in found
  ]
  return said[0] if said else None


def missing(measured):
  """A program of one or two layers that was not compiled yet, or ''.

  Nothing is missing where the compiler found no room for one of them.
  """
  lacking = [
    f'{key} of {depth} layers'
    for depth in ('1', '2')
    for key in PROGRAMS
    if key not in measured.get(depth, {})
  ]
  return lacking[0] if lacking and not no_room(measured) else ''
