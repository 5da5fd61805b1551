"""The doors to a model: to train from it, to score with it, to write with it.

    smollm2, FOLDER, FILE.gguf, FILE.bin: see `imported`
    RUN               directory of a run of ours
    rung:13K          fresh weights of a rung of the ladder

`open_base` is for training: the end-of-context token is in its vocabulary;
`open_scorer` for finished preference models. `open_run` is a whole model of any
finished run, adapters merged; `open_writer` is for whoever wants text.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.shared.devices import of_job, over_job, restored, spread
from experiments.shared.imported import (
  NO_SYSTEM,
  Opened,
  load_as,
  open_file,
  with_system,
)
from experiments.shared.trained import (
  Way,
  fresh_adapters,
  frozen_of,
  last_token_params,
  way_of,
  zero_pooled_head,
)
from rlhf_jax import digests
from rlhf_jax.models import ladder
from rlhf_jax.models.build import build
from rlhf_jax.models.matmul import usable
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.text.pretrained import PretrainedTokenizer, load_tokenizer
from rlhf_jax.train import about, hosts
from rlhf_jax.train.about import RunError

RUNG = 'rung:'


@dataclasses.dataclass(frozen=True, eq=False)
class Base:
  """A language model to train from.

  Attributes:
    functions: `build`'s Model, the end-of-context token in its vocabulary.
    params: {'trunk'}; None where the weights were not asked for.
    tokenizer: of its texts.
    size: its rung on the ladder, or all of its weights as a label: 135M.
    n_params: weights without the embedding; of a rung, 12 L D^2.
    rate: learning rate that goes with its size.
  """

  functions: Any
  params: Any
  tokenizer: Any
  size: str
  n_params: int
  rate: float


class Network(NamedTuple):
  """A finished preference model.

  Attributes:
    functions: `build`'s Model.
    frozen: what its training left as it was; () if nothing.
    trained: what its training made.
    way: how the two become parameters.
    tokenizer: of its texts.
    size: label of its size.
  """

  functions: Any
  frozen: Any
  trained: Any
  way: Way
  tokenizer: Any
  size: str


def arithmetic(config):
  """{'dtype', 'matmul'} of a config; runs of old know of no `matmul`."""
  return {
    'dtype': config['dtype'],
    'matmul': config.get('matmul', 'float32'),
  }


def rung_model(size, vocab_size, dtype='float32', matmul='float32'):
  """The Transformer of a rung, the same object for the same arguments."""
  return _rung_model(size, vocab_size, dtype, usable(matmul))


@functools.cache
def _rung_model(size, vocab_size, dtype, matmul):
  config = ladder.config_for(size, vocab_size, dtype=dtype, matmul=matmul)
  return build(config)


def preference_init(functions):
  """From a `Model` to rng -> {'trunk', 'head'}."""
  return lambda rng: functions.init(rng) | {'head': functions.init_head(rng)}


def open_base(config, mesh=None, weights=True, scored=False) -> Base:
  """The Base that a stage's config names.

  Args:
    config: base, size, dtype, matmul and pad_token.
    mesh: over which the parameters are cut; None: `devices.of_job`.
    weights: whether the parameters are wanted.
    scored: whether a preference model will do, whose head comes with it.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  name, mesh = config['base'], of_job(mesh)
  if name.startswith(RUNG):
    return _of_rung(config, name.removeprefix(RUNG), mesh, weights)
  if about.is_run(name):
    return _of_run(config, name, mesh, weights, scored)
  if config['size']:
    return _of_ladder(config, name, mesh, weights)
  base = _of_file(name, config['pad_token'], **arithmetic(config))
  if not mesh:
    return base
  return dataclasses.replace(base, params=spread(base.params, mesh))


def _of_rung(config, size, mesh, weights):
  """Fresh weights; the tokenizer is that of the texts or the comparisons."""
  words = text_tokenizer(config)
  functions = rung_model(size, words.vocab_size, **arithmetic(config))
  params = None
  if weights:
    params = spread(functions.init(jax.random.key(config['seed'])), mesh)
  return _rung_base(functions, params, words, size)


def _rung_base(functions, params, tokenizer, size):
  rung = ladder.rung(size)
  return Base(
    functions, params, tokenizer, size, rung.non_embedding, rung.learning_rate
  )


def text_tokenizer(config):
  """The tokenizer of a `text_dir`, or of the comparisons of a config."""
  if config.get('text_dir'):
    digests.check(config['text_dir'], 'tokenizer.model')
    return load_tokenizer(f'{config["text_dir"]}/tokenizer.model')
  folder = config['comparisons_dir']
  own = Path(folder) / 'tokenizer.model'
  if own.exists():
    digests.check(folder, own.name)
    return load_tokenizer(own)
  return text_tokenizer({'comparisons_dir': ''} | about.read(folder).config)


def _of_run(config, path, mesh, weights, scored=False):
  """What a run of a language model, a policy or, `scored`, a PM has trained."""
  run = about.read(path)
  has_head = scored and run.about.holds == 'preference model'
  if run.about.holds not in ('language model', 'policy') and not has_head:
    raise RunError(
      f'{path} holds {run.about.holds}: wanted a run of train_lm or train_ppo'
    )
  own = {'pad_token': ''} | run.config
  own |= {'base': run.about.base, **arithmetic(config)}
  frozen = run.about.trained == 'adapters'
  base = open_base(own, mesh, weights and frozen, has_head)
  if config['size'] not in ('', base.size):
    raise ValueError(
      f'{path} holds a model of size {base.size}, got size {config["size"]}: '
      'let base and size name one model'
    )
  params = None
  if weights:
    functions = base.functions
    init = preference_init(functions) if has_head else functions.init
    params = _whole(path, run, base, init, mesh)
  return dataclasses.replace(base, params=params)


def _of_ladder(config, path, mesh, weights):
  """A Hugging Face folder as a rung of the ladder, read onto the mesh."""
  words = PretrainedTokenizer.from_folder(
    path, pad_token=config['pad_token'] or None
  )
  functions = rung_model(config['size'], words.vocab_size, **arithmetic(config))
  params = load_as(path, functions.config, mesh) if weights else None
  return _rung_base(functions, params, words, config['size'])


@functools.cache
def _of_file(name, pad_token, dtype, matmul):
  """An imported model; a process opens it once."""
  opened = open_file(name, pad_token=pad_token or None)
  total = sum(x.size for x in jax.tree.leaves(opened.params))
  embedding = opened.params['trunk']['embed'].size
  config, params = grow_vocabulary(opened.functions.config, opened.params)
  if opened.tokenizer.vocab_size != config.vocab_size:
    raise ValueError(
      f'wanted a tokenizer of the {config.vocab_size - 1} rows that the '
      f'embedding of {name} has, got one of {opened.tokenizer.vocab_size - 1}'
    )
  label = f'{total / 1e6:.0f}M' if total >= 1e6 else f'{total / 1e3:.0f}K'
  functions = build(
    dataclasses.replace(config, dtype=dtype, matmul=usable(matmul))
  )
  return Base(
    functions,
    spread(params, None),
    opened.tokenizer,
    label,
    total - embedding,
    ladder.rung_of(config).learning_rate,
  )


def _whole(path, run, base, init, mesh=None):
  """Parameters of a finished run, what it has trained merged into its base."""
  frozen, trained, way = _parts(path, run, base, init, mesh)
  return way.merge(frozen, trained)


def _parts(path, run, base, init, mesh=None):
  """(frozen, trained, Way) of a finished run; `init` makes a whole model."""
  way = way_of(run.config | {'trained': run.about.trained})

  def trained_init(rng):
    if way.kind == 'all':
      return init(rng)
    if way.layers is not None:
      return {'head': zero_pooled_head(way.layers, base.functions)}
    head = {k: v for k, v in init(rng).items() if k == 'head'}
    if way.kind == 'head':
      return head
    return {'adapters': fresh_adapters(base, run.config['adapters'], rng)} | (
      head
    )

  trained = restored(path, trained_init, mesh)
  return frozen_of(way, base.params), trained, way


def open_scorer(path, mesh=None, computes=None) -> Network:
  """A finished preference model.

  Args:
    path: directory of a run of train_pm.
    mesh: as of `open_base`.
    computes: `arithmetic` of who asks; None: as it was trained.

  Raises:
    RunError: if it is no such run, or not finished, or does not read its score
      at the end-of-context token, which rewards and judges append.
  """
  run, mesh = about.read(path), of_job(mesh)
  if run.config.get('score_at', 'end_of_context') != 'end_of_context':
    raise RunError(
      f'{path} reads its score at {run.config["score_at"]}: wanted a '
      'preference model of score_at=end_of_context, which rewards can read'
    )
  if run.about.holds != 'preference model':
    raise RunError(
      f'{path} is no run of experiments.train_pm, it holds '
      f'{run.about.holds}: give the workdir of a preference model'
    )
  config = run.config | (computes or {})
  whole = run.about.trained == 'all'
  base = open_base(config, mesh, weights=not whole, scored=whole)
  init = preference_init(base.functions)
  parts = _parts(path, run, base, init, mesh)
  return Network(base.functions, *parts, base.tokenizer, base.size)


def open_scorers(config, mesh) -> list[Network]:
  """Train PM, test PM and `ensemble_dirs` of a run; [] where noise rewards."""
  if config['hashed_rewards']:
    return []
  folders = (config['train_pm_dir'], config['test_pm_dir'])
  folders += tuple(config.get('ensemble_dirs', ()))
  return [open_scorer(path, mesh, arithmetic(config)) for path in folders]


@hosts.alone()
def open_run(path) -> Opened:
  """The whole model of a finished run, in each process: for export and use.

  Raises:
    RunError: if the run holds no model, or is not finished.
    ValueError, OSError: if its base or tokenizer is not there any more.
  """
  run = about.read(path)
  if run.about.holds == 'preference model':
    found = open_scorer(path)
    params = last_token_params(found, path)
    return Opened(
      found.functions, params, found.tokenizer, None, run.about.holds
    )
  if run.about.holds not in ('language model', 'policy'):
    raise RunError(
      f'{path} holds {run.about.holds} and no model: wanted the workdir of a '
      'train_lm, train_pm or train_ppo that has finished'
    )
  base = _of_run(run.config | {'size': ''}, path, None, True)
  tunes = run.about.trained == 'adapters'
  context = base.functions.config.max_length if tunes else None
  return Opened(
    base.functions, base.params, base.tokenizer, context, run.about.holds
  )


@over_job
def open_writer(name, *, tokenizer='', system=None, pad_token=None) -> Opened:
  """A language model of any kind, ready to write.

  Args:
    name: 'smollm2' or a path; see the top of this file.
    tokenizer: path of a llama2.c tokenizer, for FILE.bin only.
    system: system prompt; None: what the chat template does without one.
    pad_token: for tokenizers that name none.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  if not about.is_run(name):
    return open_file(
      name, tokenizer=tokenizer, system=system, pad_token=pad_token
    )
  found = open_run(name)
  if found.holds == 'preference model':
    raise RunError(
      f'{name} is a preference model: it scores, and writes nothing'
    )
  if system is None:
    return found
  if not getattr(found.tokenizer, 'has_template', False):
    raise ValueError(NO_SYSTEM)
  return found._replace(tokenizer=with_system(found.tokenizer, system))
