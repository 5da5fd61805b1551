"""config.json of Hugging Face to and from our config.

What is read has been checked: a value of a wrong type or out of its range is
one line. Both spellings of rotary angles are read and written: see `rope`.
"""

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained import rope
from rlhf_jax.models.pretrained.families import FAMILIES
from rlhf_jax.models.pretrained.placing import PretrainedError
from rlhf_jax.text.checked import Checked, shown

SHIFT = 'rlhf_jax_score_bias'  # our setting in a preference model's config.json

# Sizes that may be null: `transformers` fills them in from others.
_NULLABLE = ('num_key_value_heads', 'head_dim', 'n_inner')
_WINDOW = ('sliding_window', 'layer_types')


def checked(settings, path, defaults=None):
  """A reader of a config.json, which may leave out what has a default."""
  return Checked(
    settings,
    path,
    defaults=defaults,
    nullable=_NULLABLE + _WINDOW,
    error=PretrainedError,
  )


def family_of(settings, path):
  """(Family, whether the folder holds a preference model).

  Raises:
    PretrainedError: if the architecture is not one that we know.
  """
  checked(settings, path)
  kind = settings.get('model_type')
  family = FAMILIES.get(kind) if isinstance(kind, str) else None
  if family is None:
    raise PretrainedError(
      f'{path}: unknown architecture {shown(kind)} in config.json: wanted a '
      f'model_type of {", ".join(FAMILIES)}'
    )
  classes = settings.get('architectures') or [family.causal]
  read = checked({'architectures': classes}, path)
  classes = read.texts('architectures')
  known = [name for name in classes if name == family.classifier]
  name = family.classifier.removesuffix('ForSequenceClassification')
  if not known and classes[0] not in (family.causal, f'{name}Model'):
    raise PretrainedError(
      f'{path}: unknown architecture {shown(classes[0])} in config.json: '
      f'wanted {family.causal} or {family.classifier}'
    )
  return family, bool(known)


def _refuse(settings, family, path):
  """Raises PretrainedError for what would change the numbers."""
  for key, plain in (
    ('quantization_config', None),
    ('scale_attn_by_inverse_layer_idx', False),
    ('scale_attn_weights', True),
    ('add_cross_attention', False),
    ('is_causal', True),
  ):
    found = settings.get(key, plain)
    if found != plain:
      raise PretrainedError(
        f'{path}: config.json has {key}={shown(found)}, which '
        f'{family.model_type} here does not do: wanted {plain!r}'
      )


def config_of(settings, path='config.json', **overrides):
  """Our config from a config.json.

  Args:
    settings: dict.
    path: for messages.
    **overrides: fields of TransformerConfig that win, such as dtype.

  Raises:
    PretrainedError: if the architecture, or a setting of it, is unknown, or a
      value has a wrong type or is out of its range.
  """
  family, classifies = family_of(settings, path)
  _refuse(settings, family, path)
  read = checked(settings, path, family.defaults)
  fields = {ours: _field(read, ours, key) for ours, key in family.keys.items()}
  # None, for the sizes that have a default here, is our 0.
  fields = {name: 0 if x is None else x for name, x in fields.items()}
  fields |= family.fixed | {'embed_scale': 1.0}
  for name, value in family.biases.items():
    fields[name] = read.flag(value) if isinstance(value, str) else value
  act = read.text(family.act)
  if act not in family.activations:
    raise PretrainedError(
      f'{path}: {family.act} {shown(act)} is not known here: wanted one of '
      f'{", ".join(family.activations)}'
    )
  fields['activation'] = family.activations[act]
  if classifies:
    fields['tied'] = True  # there is no next-token head of its own
  fields |= _window(read, family, fields['n_layers'])
  try:
    if fields['positions'] == 'rotary':
      fields |= rope.fields_of(read, family, fields)
    return TransformerConfig(**fields | overrides)
  except PretrainedError:
    raise
  except ValueError as error:
    raise PretrainedError(f'{path}: {error}') from error


def _field(read, ours, key):
  """A setting of one of `Family.keys`, by what our field is."""
  if ours in ('tied', 'parallel_residual'):
    return read.flag(key)
  return read.positive(key) if ours == 'norm_eps' else read.whole(key)


def _window(read, family, n_layers):
  """Our two fields of the sliding window."""
  if family.window == 'none':
    return {}
  window = read.whole('sliding_window') or 0
  if family.window == 'all' or not window:
    return {'sliding_window': window}
  if not read.flag('use_sliding_window'):
    return {}
  kinds = read.texts('layer_types')
  if kinds is None:
    below = min(read.whole('max_window_layers', 0), n_layers)
  else:
    below = kinds.count('full_attention')
  full, near = 'full_attention', 'sliding_attention'
  above = n_layers - below
  if kinds is not None and kinds != [full] * below + [near] * above:
    read.fail(
      f'layer_types must be {full} below and {near} above for {n_layers} '
      f'layers, got {shown(kinds)}'
    )
  if below >= n_layers:
    return {}
  return {'sliding_window': window, 'window_from': below}


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
    settings |= rope.settings_of(family, config)
  return settings
