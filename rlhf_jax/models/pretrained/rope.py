"""Rotary angles in config.json, in every spelling that there is.

`rope_theta` and `rope_scaling` (before transformers 5) or `rope_parameters`. As
transformers does: where both objects stand, `rope_scaling` alone is taken;
`rope_type` goes before `type`; what the object lacks comes from the keys beside
it. A key that sounds of rotary angles and is not read is refused, unless it
says what is done anyway: a factor never hides.
"""

import math
import re

from rlhf_jax.models.rotary import RopeScaling
from rlhf_jax.text.checked import MOST, shown

KINDS = ('default', 'linear', 'llama3')
_SOUNDS = re.compile('rope|rotary|yarn|ntk|mscale|interpolat|alibi', re.I)
_OBJECTS = ('rope_scaling', 'rope_parameters')
_INSIDE = (
  'rope_type',
  'type',
  'rope_theta',
  'factor',
  'low_freq_factor',
  'high_freq_factor',
  'original_max_position_embeddings',
)


def fields_of(read, family, fields):
  """Our fields of the rotary angles.

  Args:
    read: `Checked` of a config.json.
    family: Family.
    fields: those of our config that have been read.

  Raises:
    PretrainedError: if they are scaled, or cut, in a way that is not known.
  """
  chosen = _chosen(read)
  theta = _first(read, chosen, 'rope_theta', _base_key(family), 10000.0)
  part = 1.0
  if family.partial:
    part = _first(read, chosen, 'partial_rotary_factor', 'rotary_pct', 0.25)
  beside = (_base_key(family), 'rotary_pct' if family.partial else None)
  _nothing_hides(read, chosen, (*_OBJECTS, *beside), theta, part)
  K = fields.get('head_size') or fields['d_model'] // fields['n_heads']
  size = int(K * part)
  if not 0 < size <= K:
    read.fail(
      f'wanted a part of the {K} features of a head to be turned, got '
      f'{part:g} of them: correct rotary_pct or partial_rotary_factor'
    )
  return {
    'rope_theta': theta,
    'rotary_size': size,
    'rope_scaling': _scaling(read, chosen, fields['max_length']),
  }


def _chosen(read):
  """A reader of the object that counts: rope_scaling before rope_parameters."""
  objects = [read.table(name) for name in _OBJECTS]
  name, chosen = next(
    ((n, x) for n, x in zip(_OBJECTS, objects, strict=True) if x),
    ('rope_parameters', {}),
  )
  if any(isinstance(value, dict) for value in chosen.values()):
    read.fail(
      'rotary angles that differ between layers are not known here: wanted one '
      f'set, got {shown(", ".join(chosen))}'
    )
  return read.inner(name, chosen)


def _base_key(family):
  return 'rotary_emb_base' if family.partial else 'rope_theta'


def _first(read, chosen, inside, beside, default):
  """A number from the object, from the key beside it, or the default."""
  if inside in chosen:
    return chosen.positive(inside)
  return read.positive(beside) if beside in read else default


def _idle(key, value):
  """Whether a value that nobody reads changes nothing."""
  if value is None or value is False or value in ({}, [], '', 'default'):
    return True
  number = isinstance(value, int | float) and not isinstance(value, bool)
  return number and value == 1 and 'factor' in key


def _nothing_hides(read, chosen, beside, theta, part):
  """Refuses settings of rotary angles that are not read."""
  done = {'rope_theta': theta, 'rotary_emb_base': theta}
  done |= {'rotary_pct': part, 'partial_rotary_factor': part}
  for where, known in ((read, beside), (chosen, _INSIDE)):
    for key in where:
      if key in known or (where is read and not _SOUNDS.search(key)):
        continue
      value = where.value(key)
      if not _idle(key, value) and done.get(key) != value:
        where.fail(
          f'{key}={shown(value)} is a setting of rotary angles that is not '
          f'done here: wanted {done.get(key, "none")}'
        )


def _scaling(read, chosen, max_length):
  """The RopeScaling of the object, or None."""
  named = [key for key in ('rope_type', 'type') if key in chosen]
  kind = chosen.text(named[0]) if named else 'default'
  if kind not in KINDS:
    chosen.fail(
      f'rotary scaling {shown(kind)} is not known here: wanted default, '
      'linear or llama3'
    )
  if kind == 'default':
    if 'factor' in chosen and not _idle('factor', chosen.value('factor')):
      chosen.fail(
        f'a factor of {shown(chosen.value("factor"))} beside the rope_type '
        'default, which has none: name the type that is meant, or leave the '
        'factor out'
      )
    return None
  needed = ('factor', 'low_freq_factor', 'high_freq_factor')
  needed = needed if kind == 'llama3' else needed[:1]
  for key in sorted(needed):
    if key not in chosen:
      chosen.fail(f'rotary scaling {kind!r} has no {key}: add it')
  numbers = [chosen.positive(key) for key in needed]
  if kind == 'linear':
    return RopeScaling(kind, *numbers)
  length, key = max_length, 'original_max_position_embeddings'
  for where in (chosen, read):  # beside the object it wins: Phi-3 has it there
    if key in where:
      length = where.whole(key, 1, MOST)
  return RopeScaling(kind, *numbers, length)


def settings_of(family, config):
  """Rotary angles of our config, in both spellings."""
  scaling, K = config.rope_scaling, config.head_size
  part = config.rotary_size / K
  while int(K * part) < config.rotary_size:  # as they round, 30 of 44 is 29
    part = math.nextafter(part, 1.0)
  rope = {'rope_type': scaling.kind if scaling else 'default'}
  if scaling:
    rope['factor'] = scaling.factor
  if scaling and scaling.kind == 'llama3':
    rope |= {
      'low_freq_factor': scaling.low_freq_factor,
      'high_freq_factor': scaling.high_freq_factor,
      'original_max_position_embeddings': scaling.original_length,
    }
  old = {_base_key(family): config.rope_theta}
  if family.partial:
    old['rotary_pct'] = part
  new = rope | {'rope_theta': config.rope_theta}
  if family.partial:
    new['partial_rotary_factor'] = part
  # transformers 5 takes `rope_scaling` instead of `rope_parameters` if both
  # are there, so both say all of it.
  return old | {
    'rope_scaling': new if scaling else None,
    'rope_parameters': new,
  }
