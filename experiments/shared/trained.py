"""What a run trains: every parameter, adapters of a frozen base, or a head.

    all        {'trunk', 'head'}      nothing is frozen
    adapters   {'adapters', 'head'}   over the base's {'trunk'}
    head       {'head'}               over the base's {'trunk'}

A head that was fitted to pooled features (`read` 'pooled') is a linear one on
several layers and tokens; else it reads the last token of the last layer.

A language model has no head, so a policy trains all or adapters. How what is
frozen and what is trained become the parameters of a model is a `Way`.
"""

import functools
import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np

from rlhf_jax.linear import head
from rlhf_jax.models import lora, pooled
from rlhf_jax.train.about import RunError
from rlhf_jax.train.pieces import whole


class Way(NamedTuple):
  """A way from (frozen, trained) to parameters; equal ones are one object.

  Attributes:
    kind: 'all', 'adapters' or 'head'.
    attach: combine(frozen, trained) -> params, for whatever has gradients.
    merge: the same for sampling: a token costs what it costs the base.
    layers: that a head on pooled features reads, (): the quarters of the depth;
      None of every other model.
  """

  kind: str
  attach: Any
  merge: Any
  layers: tuple | None = None


@functools.cache
def _way(kind, alpha, layers):
  if kind == 'all':
    return Way(kind, whole, whole)
  if kind == 'head':
    with_head = lambda frozen, trained: {**frozen, **trained}
    return Way(kind, with_head, with_head, layers)
  combine = lora.combiner
  return Way(kind, combine(lora.attach, alpha), combine(lora.merge, alpha))


def way_of(config):
  """The Way of a config's `trained` and `adapters`.

  Raises:
    ValueError: if `trained` is none of the three.
  """
  kind = config['trained']
  if kind not in ('all', 'adapters', 'head'):
    raise ValueError(
      f"wanted trained of 'all', 'adapters' or 'head', got {kind!r}"
    )
  alpha = config['adapters']['alpha'] if kind == 'adapters' else None
  layers = None
  if kind == 'head' and config.get('read') == 'pooled':
    layers = tuple(config['head']['layers'])
  return _way(kind, alpha, layers)


def pooled_layers(layers, functions):
  """The layers of a head on pooled features, () being the quarters."""
  return tuple(layers) or pooled.quarters(functions.config.n_layers)


def zero_pooled_head(layers, functions):
  """A head on pooled features that scores 0, as parameters (a dict)."""
  n_layers, width = len(pooled_layers(layers, functions)), functions.config
  zero = head.zero_head(len(pooled.POOLS), n_layers, width.d_model)
  return pooled_params(zero)


def pooled_params(found: head.Head):
  """A Head as float32 parameters."""
  return {k: np.asarray(v, np.float32) for k, v in found._asdict().items()}


def as_scalar_head(params, layers, functions):
  """The scalar head that a pooled one is, or None if there is none.

  Args:
    params: of `pooled_params`.
    layers: of its Way.
    functions: `build`'s Model.
  """
  top = pooled_layers(layers, functions)[-1] == functions.config.n_layers
  rest = np.array(params['weight_CPLD'])
  kernel = rest[0, head.LAST, -1].copy()
  rest[0, head.LAST, -1] = 0
  if not top or rest.any() or params['offset_C'][1]:
    return None
  return {'kernel': kernel, 'bias': np.asarray(params['offset_C'])[0]}


@functools.cache
def score_function(functions, way):
  """score((frozen, trained), tokens_BT, prompt_length_B, length_B) -> score_B.

  Args:
    functions: `build`'s Model of a preference model.
    way: its Way.
  """
  if way.layers is None:
    return lambda weights, tokens_BT, _, length_B: functions.score_fn(
      way.attach(*weights), tokens_BT, length_B
    )
  layers = pooled_layers(way.layers, functions)
  score = pooled.pooled_score_fn(functions.config, layers)
  return lambda weights, *rows: score(way.attach(*weights), *rows)


def frozen_of(way, params):
  """What of a base's parameters stays as it is; () where all are trained."""
  return () if way.kind == 'all' else params


def bases(way, base):
  """What lies frozen under policy and value network; None: nothing does."""
  if way.kind == 'all':
    return None
  return {'policy': base.params, 'value': base.params}


def preference_model(config, base, rng):
  """What a new preference model trains, as it starts.

  Halves start from heads of their own: a shared one would be a direction in
  which train and test PM agree for no reason. That of a base which is a
  preference model goes on. Heads over a frozen base start at
  zero, adapters change nothing yet.

  Args:
    config: trained, adapters; seed, half and train_subset draw the start.
    base: {'functions', 'params'}.
    rng: key of the run's seed.
  """
  half = config['half']
  if config['trained'] == 'all':
    head_rng = jax.random.fold_in(rng, ('all', 'a', 'b').index(half))
    return {'head': base.functions.init_head(head_rng)} | base.params
  member = config.get('member', 0)
  names = [f'member {member}'] if member else []
  key = seed_key(config['seed'], half, config['train_subset'], *names)
  start = {'head': base.functions.init_head(key, 'zero')}
  if config['trained'] == 'head':
    return start
  return {'adapters': fresh_adapters(base, config['adapters'], key)} | start


def member_key(config):
  """The key of a preference model; members of an ensemble start apart."""
  key = jax.random.key(config['seed'])
  member = config.get('member', 0)
  return jax.random.fold_in(key, 1000 + member) if member else key


def member_order(config):
  """What orders its pairs, which are those of its seed whatever the member."""
  return config['seed'] + 100_003 * config.get('member', 0)


def policy(config, base):
  """What a new policy trains; with it the model is still the base.

  Raises:
    ValueError: if it is to train a head, which a language model has not.
  """
  if config['trained'] == 'head':
    raise ValueError("a policy has no head: wanted trained 'all' or 'adapters'")
  if config['trained'] == 'all':
    return base.params
  key = seed_key(config['seed'], 'policy', config['half'])
  return {'adapters': fresh_adapters(base, config['adapters'], key)}


def zero_value(config, base):
  """What a value network trains whose head is zero, over the base."""
  zero = {'head': base.functions.init_head(jax.random.key(0), 'zero')}
  if config['trained'] == 'all':
    return {'trunk': base.params['trunk']} | zero
  key = seed_key(config['seed'], 'value', config['half'])
  return {'adapters': fresh_adapters(base, config['adapters'], key)} | zero


def fresh_adapters(base, adapters, rng):
  """Adapters of the last blocks that change nothing yet.

  Args:
    base: {'functions', 'params'}.
    adapters: layers (blocks from the top), rank, targets, alpha.
    rng: key.
  """
  n_layers = base.functions.config.n_layers
  layers = range(n_layers - _layers(base, adapters), n_layers)
  targets = lora.layer_targets(layers, adapters['targets'])
  return lora.init_adapters(rng, base.params, adapters['rank'], targets)


def first_trained_layer(config, base):
  """The first block that has something trained; L where the head alone is."""
  if config['trained'] == 'all':
    return 0
  n_layers = base.functions.config.n_layers
  if config['trained'] == 'head':
    return n_layers
  return n_layers - _layers(base, config['adapters'])


def _layers(base, adapters):
  n_layers = base.functions.config.n_layers
  if not 1 <= adapters['layers'] <= n_layers:
    raise ValueError(
      f'wanted adapters in the last 1 to {n_layers} blocks, got '
      f'{adapters["layers"]}'
    )
  return adapters['layers']


def seed_key(seed, *names):
  """A key for (seed, names), so that halves and subsets start apart."""
  digest = hashlib.sha1('/'.join(names).encode()).digest()
  return jax.random.fold_in(
    jax.random.key(seed), int.from_bytes(digest[:4], 'big')
  )


def last_token_params(found, path):
  """Parameters of a preference model whose head reads one last token.

  Args:
    found: Network of `models.open_scorer`.
    path: of its run, for the error.

  Raises:
    RunError: if it reads other layers, means, or the kind of the prompt: no
      scalar head does.
  """
  params = found.way.merge(found.frozen, found.trained)
  if found.way.layers is None:
    return params
  kernel = as_scalar_head(params['head'], found.way.layers, found.functions)
  if kernel is None:
    raise RunError(
      f'{path} holds a head on pooled features, which no scalar head at the '
      'last token is: for a model to export, fit one with --config.head.pools='
      '"(\'last\',)", --config.head.layers=() and no head.conditional'
    )
  return params | {'head': kernel}
