"""Pieces that a recipe of PPO has besides: text, a controller, an average.

Each is off where the config does not have its key, and the run is then the
program that it would be without.

    ptx_coef         pretraining text whose loss is added (Ouyang et al. 2022)
    kl_target        a coefficient of the KL that adapts (Ziegler et al. 2019)
    reward_samples   scores brought to a scale that is fitted on pi_0 (the same)
    whiten_rewards   rewards of a batch that get variance 1 (the same)
    average_decay    a moving average of the policy's weights (Ouyang et al.)
"""

import functools
import re
from typing import NamedTuple

import jax.numpy as jnp

from experiments.shared.devices import spread
from experiments.shared.files import read_arrays
from rlhf_jax import digests
from rlhf_jax.data import documents, plain_texts
from rlhf_jax.data.mixed import MixedBatches
from rlhf_jax.data.packing import pack
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.text.pretrained import load_tokenizer
from rlhf_jax.train import about, control
from rlhf_jax.train.averaging import AveragedState, make_averaging_advance
from rlhf_jax.train.objectives import language_objective
from rlhf_jax.train.optimiser import make_optimiser

APART = 2**21  # first name of the replies that a scale is fitted on


class Recipe(NamedTuple):
  """Changes of the compiled program; equal ones share it.

  Attributes:
    mixes: whether text is mixed in.
    whitens: whether rewards are whitened.
    adam_eps: of Adam.
    average_decay: of the policy's weights; 0: there is no average.
  """

  mixes: bool
  whitens: bool
  adam_eps: float
  average_decay: float

  def optimiser(self, b2):
    """Adam of policy and value network."""
    return make_optimiser(b2=b2, eps=self.adam_eps)

  def options(self, policy, microbatches):
    """Options of `train.pieces.make_pieces`.

    Args:
      policy: SplitModel.
      microbatches: parts whose gradients are summed, of both losses.
    """
    text = language_objective(policy, microbatches=microbatches, packed=True)
    found = {'mixed': text if self.mixes else None, 'whiten': self.whitens}
    if self.average_decay:
      averaging = make_averaging_advance(self.average_decay, _policy)
      found['advance'] = averaging
    return found


def _policy(params):
  """What is averaged: the value network is not kept."""
  return params['policy']


def recipe_of(config):
  """The Recipe of a config; None where it changes nothing."""
  found = Recipe(
    config.get('ptx_coef', 0.0) > 0,
    config.get('whiten_rewards', False),
    config.get('adam_eps', 1e-8),
    config.get('average_decay', 0.0),
  )
  return None if found == Recipe(False, False, 1e-8, 0.0) else found


def text_rows(config):
  """Rows of text that are mixed into an iteration; 0: none."""
  if not config.get('ptx_coef', 0.0):
    return 0
  return config['ptx_per_episode'] * config['batch_size']


def with_texts(config, prompts, tokenizer, share=None):
  """The stream of prompts, with one of packed texts beside it if asked for.

  Args:
    config: ptx_coef, ptx_per_episode, ptx_text, batch_size, seed.
    prompts: stream of Prompts.
    tokenizer: of the policy.
    share: of `devices.share_of`.

  Returns:
    (the stream, counts of what was read for it, as `packed_texts`).
  """
  rows = text_rows(config)
  if not rows:
    return prompts, {}
  packed, counts = packed_texts(config, tokenizer)
  texts = Batches(packed, rows, config['seed'], share=share)
  return MixedBatches(prompts, texts), counts


def packed_texts(config, tokenizer):
  """All texts of `ptx_text`, several a row, as a PackedBatch.

  Args:
    config: ptx_text: a run of make_text, or files and folders of text, commas
      between, whose documents that are not held out (`data.documents`) are cut
      into rows of max_prompt + max_reply tokens.
    tokenizer: of the policy.

  Returns:
    (the batch, {'ptx_text': counts of `documents.Sides`}); of a run no counts.

  Raises:
    ValueError: if there is no text, or it has other tokens than the policy.
  """
  told, T = config['ptx_text'], config['max_prompt'] + config['max_reply']
  if not told:
    raise ValueError(
      'ptx_text is empty and ptx_coef is not 0: wanted a run of make_text, or '
      'files and folders of text, commas between'
    )
  counts = {}
  if about.is_run(told):
    texts, T = _rows_of_run(told, tokenizer)
  else:
    found = _texts_to_train_on(told)
    texts, counts = [], {'ptx_text': found.counts}
    for text in found.train:
      ids = [i for part in _parts(text) for i in tokenizer.encode(part)]
      ids += [tokenizer.eos_id]
      texts += [ids[i : i + T] for i in range(0, len(ids), T)]
  return pack(texts, T, pad_id=tokenizer.pad_id), counts


def _texts_to_train_on(told):
  """The `documents.Sides` of a setting, which are said in a line."""
  found = documents.read_sides(plain_texts.named(told))
  print(f'ptx_text: {documents.said(found.counts)}', flush=True)
  if not found.train:
    raise ValueError(
      f'ptx_text={told}: every document of it is held out: name more text'
    )
  return found


def _parts(text):
  """Paragraphs, so that no tokenizer meets a whole book at once."""
  return re.findall(r'.+?(?:\n\n+|$)', text, flags=re.S)


def _rows_of_run(folder, tokenizer):
  """(ids of each text, tokens of a row) of a run of make_text."""
  digests.check(folder, 'tokenizer.model')
  size = load_tokenizer(f'{folder}/tokenizer.model').vocab_size
  if size != tokenizer.vocab_size:
    raise ValueError(
      f'{folder} has texts of {size} tokens and the policy knows '
      f'{tokenizer.vocab_size}: wanted those that its language model read'
    )
  data = read_arrays(f'{folder}/rows.npz', 'tokens_NT', 'length_N')
  tokens_NT, length_N = data['tokens_NT'], data['length_N']
  rows = zip(tokens_NT, length_N, strict=True)
  return [ids_T[:n] for ids_T, n in rows], tokens_NT.shape[1]


def controller_of(config):
  """The Controller of a config, equal ones being one object; None: none."""
  target = config.get('kl_target', 0.0)
  law = (config['kl_horizon'], config['batch_size']) if target else (0, 0)
  return _controller(bool(config.get('reward_samples', 0)), target, *law)


@functools.cache
def _controller(scales, target, horizon, episodes):
  found = {'scores': control.frozen_scores()} if scales else {}
  if target:
    found['kl'] = control.adaptive_kl(target, horizon, episodes)
  return control.together(found) if found else None


def controlled(config, state, mesh):
  """A TrainState with the state of the config's controllers, if it has any.

  Raises:
    ValueError: if a coefficient is to adapt that can only stay 0.
  """
  found = {}
  if config.get('reward_samples', 0):
    found['scores'] = jnp.float32(1.0), jnp.float32(0.0)
  if config.get('kl_target', 0.0):
    if not config['kl_coef'] > 0:
      raise ValueError(
        f'kl_coef={config["kl_coef"]}: wanted more than 0 to start from where '
        f'it adapts (kl_target={config["kl_target"]})'
      )
    found['kl'] = jnp.float32(config['kl_coef'])
  if not found:
    return state
  return control.ControlledState(state, spread(found, mesh))


def averaged(config, state, mesh):
  """A TrainState with the average of its policy, if one is kept.

  It starts as the policy does.
  """
  if not config.get('average_decay', 0.0):
    return state
  return AveragedState(state, spread(_policy(state.params), mesh))


def policy_of(state):
  """The policy to measure and to keep: the average, or the last weights."""
  inner = state.state if isinstance(state, control.ControlledState) else state
  averages = isinstance(inner, AveragedState)
  return inner.average if averages else _policy(inner.params)


def fitted(config, run, state, scores, mesh):
  """The state with a gain and a bias that are fitted on pi_0, if asked for.

  Logged as a row of kind 'reward'. A state that was restored has them.

  Args:
    config: reward_samples, reward_sd.
    run: Run.
    state: of `controlled`, perhaps restored.
    scores: count -> score_N of replies of pi_0, at least so many.
    mesh: of `devices.mesh_from`.
  """
  count = config.get('reward_samples', 0)
  if not count or int(state.step):
    return state
  score_N = scores(count)
  gain, bias = control.score_scale(score_N, config['reward_sd'])
  row = {'mean': float(score_N.mean()), 'sd': float(score_N.std())}
  row |= {'gain': float(gain), 'bias': float(bias), 'replies': len(score_N)}
  run.log(0, row, kind='reward')
  scale = spread((jnp.asarray(gain), jnp.asarray(bias)), mesh)
  return state._replace(controller=state.controller | {'scores': scale})


def coef_of(config, state):
  """{'kl_coef'}: of the KL, as it is now; {} where it is fixed."""
  if not config.get('kl_target', 0.0):
    return {}
  return {'kl_coef': float(state.controller['kl'])}
