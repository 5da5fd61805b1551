"""config.json of Hugging Face to and from our config.

Both spellings are read and written: `rope_theta` and `rope_scaling` (before
transformers 5), and `rope_parameters`.
"""

import math

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.families import FAMILIES
from rlhf_jax.models.pretrained.placing import PretrainedError
from rlhf_jax.models.rotary import RopeScaling

SHIFT = 'rlhf_jax_score_bias'  # our setting in a preference model's config.json


def family_of(settings, path):
  """(Family, whether the folder holds a preference model).

  Raises:
    PretrainedError: if the architecture is not one that we know.
  """
  kind = settings.get('model_type')
  family = FAMILIES.get(kind)
  if family is None:
    raise PretrainedError(
      f'{path}: unknown architecture {kind!r} in config.json: wanted a '
      f'model_type of {", ".join(FAMILIES)}'
    )
  classes = settings.get('architectures') or [family.causal]
  known = [name for name in classes if name == family.classifier]
  name = family.classifier.removesuffix('ForSequenceClassification')
  if not known and classes[0] not in (family.causal, f'{name}Model'):
    raise PretrainedError(
      f'{path}: unknown architecture {classes[0]!r} in config.json: wanted '
      f'{family.causal} or {family.classifier}'
    )
  return family, bool(known)


def _setting(settings, family, key, path):
  """A setting, or what `transformers` takes where it is left out."""
  if key in settings:
    return settings[key]
  if key in family.defaults:
    return family.defaults[key]
  raise PretrainedError(f'{path}: config.json has no {key!r}')


def _refuse(settings, family, path):
  """Raises PretrainedError for what would change the numbers."""
  for key, plain in (
    ('quantization_config', None),
    ('scale_attn_by_inverse_layer_idx', False),
    ('scale_attn_weights', True),
    ('add_cross_attention', False),
  ):
    found = settings.get(key, plain)
    if found != plain:
      raise PretrainedError(
        f'{path}: config.json has {key}={found!r}, which {family.model_type} '
        f'here does not do: wanted {plain!r}'
      )


def config_of(settings, path='config.json', **overrides):
  """Our config from a config.json.

  Args:
    settings: dict.
    path: for messages.
    **overrides: fields of TransformerConfig that win, such as dtype.

  Raises:
    PretrainedError: if the architecture, or a setting of it, is unknown.
  """
  family, classifies = family_of(settings, path)
  _refuse(settings, family, path)
  read = lambda key: _setting(settings, family, key, path)
  fields = {ours: read(key) for ours, key in family.keys.items()}
  # None, for the sizes that have a default here, is our 0.
  fields = {name: 0 if x is None else x for name, x in fields.items()}
  fields |= family.fixed | {'embed_scale': 1.0}
  for name, value in family.biases.items():
    fields[name] = read(value) if isinstance(value, str) else value
  act = read(family.act)
  if act not in family.activations:
    raise PretrainedError(
      f'{path}: {family.act} {act!r} is not known here: wanted one of '
      f'{", ".join(family.activations)}'
    )
  fields['activation'] = family.activations[act]
  if classifies:
    fields['tied'] = True  # there is no next-token head of its own
  try:
    fields |= _window(settings, family, fields['n_layers'], path)
    if fields['positions'] == 'rotary':
      fields |= _rotary(settings, family, fields, path)
    return TransformerConfig(**fields | overrides)
  except PretrainedError:
    raise
  except (ValueError, TypeError, ZeroDivisionError) as error:
    raise PretrainedError(f'{path}: {error}') from error


def _window(settings, family, n_layers, path):
  """Our two fields of the sliding window."""
  read = lambda key: _setting(settings, family, key, path)
  if family.window == 'none':
    return {}
  window = read('sliding_window') or 0
  if family.window == 'all' or not window:
    return {'sliding_window': window}
  if not read('use_sliding_window'):
    return {}
  kinds = read('layer_types')
  if kinds is None:
    below = min(read('max_window_layers'), n_layers)
  else:
    below = kinds.count('full_attention')
  full, near = ['full_attention'], ['sliding_attention']
  if kinds not in (None, full * below + near * (n_layers - below)):
    raise PretrainedError(
      f'{path}: layer_types must be full_attention below and '
      f'sliding_attention above for {n_layers} layers, got {kinds}'
    )
  if below >= n_layers:
    return {}
  return {'sliding_window': window, 'window_from': below}


def _rotary(settings, family, fields, path):
  """Our fields of the rotary angles."""
  rope = dict(settings.get('rope_scaling') or {})
  rope |= settings.get('rope_parameters') or {}
  if any(isinstance(value, dict) for value in rope.values()):
    raise PretrainedError(
      f'{path}: rotary angles that differ between layers are not known here: '
      f'wanted one set, got {", ".join(rope)}'
    )
  base = settings.get('rotary_emb_base', settings.get('rope_theta', 10000.0))
  default = settings.get('rotary_pct', 0.25) if family.partial else 1.0
  part = rope.get(
    'partial_rotary_factor', settings.get('partial_rotary_factor', default)
  )
  K = fields.get('head_size') or fields['d_model'] // fields['n_heads']
  if part != 1.0 and not family.partial:
    raise PretrainedError(
      f'{path}: partial_rotary_factor {part} is not for {family.model_type}'
    )
  return {
    'rope_theta': float(rope.get('rope_theta', base)),
    'rotary_size': int(K * part),
    'rope_scaling': _scaling(rope, fields['max_length'], path),
  }


def _scaling(rope, max_length, path):
  kind = rope.get('rope_type', rope.get('type', 'default'))
  if kind == 'default':
    return None
  if kind not in ('linear', 'llama3'):
    raise PretrainedError(
      f'{path}: rotary scaling {kind!r} is not known here: wanted default, '
      'linear or llama3'
    )
  if 'factor' not in rope:
    raise PretrainedError(f'{path}: rotary scaling {kind!r} has no factor')
  if kind == 'linear':
    return RopeScaling(kind, float(rope['factor']))
  missing = {'low_freq_factor', 'high_freq_factor'} - rope.keys()
  if missing:
    raise PretrainedError(
      f'{path}: rotary scaling {kind!r} has no {min(missing)}'
    )
  return RopeScaling(
    kind,
    float(rope['factor']),
    float(rope['low_freq_factor']),
    float(rope['high_freq_factor']),
    rope.get('original_max_position_embeddings', max_length),
  )


def misfits(family, config):
  """Fields of a config that a family cannot have: ['norm=... (wanted ...)']."""
  wrong = []

  def want(name, *allowed):
    found = getattr(config, name)
    if found not in allowed:
      wanted = ' or '.join(repr(x) for x in allowed)
      wrong.append(f'{name}={found!r} (wanted {wanted})')

  for name, value in family.fixed.items():
    want(name, value)
  want('activation', *dict.fromkeys(family.activations.values()))
  keys = {}
  for name, value in family.biases.items():
    if isinstance(value, str):  # two fields may share one setting
      value = keys.setdefault(value, getattr(config, name))
    want(name, value)
  if 'n_kv_heads' not in family.keys:
    want('n_kv_heads', config.n_heads)
  if 'head_size' not in family.keys:
    want('head_size', config.d_model // config.n_heads)
  if config.d_model % config.n_heads:
    wrong.append(f'd_model={config.d_model} (wanted a multiple of n_heads)')
  if family.window == 'none':
    want('sliding_window', 0)
  if family.window == 'all' and config.sliding_window:
    want('window_from', 0)
  if config.positions == 'rotary' and not family.partial:
    want('rotary_size', config.head_size)
  return wrong


def family_for(config):
  """The first family that can hold a config.

  Raises:
    PretrainedError: if none can, naming the fields that stand in the way of
      the nearest one.
  """
  found = {name: misfits(family, config) for name, family in FAMILIES.items()}
  nearest = min(found, key=lambda name: len(found[name]))
  if found[nearest]:
    raise PretrainedError(
      'no architecture of Hugging Face that is known here has this config; '
      f'the nearest, {nearest}, cannot have {", ".join(found[nearest])}'
    )
  return FAMILIES[nearest]


def settings_of(family, config):
  """The part of config.json that says the model's shape.

  The embedding's factor is not in it: see `export`.
  """
  settings = {key: getattr(config, ours) for ours, key in family.keys.items()}
  for name, value in family.biases.items():
    if isinstance(value, str):
      settings[value] = getattr(config, name)
  names = {ours: act for act, ours in reversed(family.activations.items())}
  settings[family.act] = names[config.activation]
  settings |= {'model_type': family.model_type}
  window = config.sliding_window or None
  if family.window != 'none':
    settings['sliding_window'] = window
  if family.window == 'upper':
    below = min(config.window_from, config.n_layers)
    below = below if window else config.n_layers
    settings |= {
      'use_sliding_window': bool(window),
      'max_window_layers': below,
      'layer_types': ['full_attention'] * below
      + ['sliding_attention'] * (config.n_layers - below),
    }
  if config.positions == 'rotary':
    settings |= _rope_settings(family, config)
  return settings


def _rope_settings(family, config):
  """Rotary angles in both spellings."""
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
  old = {'rope_theta': config.rope_theta}
  if family.partial:
    old = {'rotary_emb_base': config.rope_theta, 'rotary_pct': part}
  new = rope | {'rope_theta': config.rope_theta}
  if family.partial:
    new['partial_rotary_factor'] = part
  # transformers 5 takes `rope_scaling` instead of `rope_parameters` if both
  # are there, so both say all of it.
  return old | {
    'rope_scaling': new if scaling else None,
    'rope_parameters': new,
  }
