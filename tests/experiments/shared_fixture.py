"""Comparisons, a tokenizer and a tiny model for tests of experiments.shared."""

import functools
import types

import jax
import numpy as np

from experiments.shared import models
from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.data.records import make_comparison
from rlhf_jax.text.tokenizer import Tokenizer

# Settings of a preference model, all that `train_pm.run` reads.
PM = {
  'comparisons_dir': 'C',
  'on_nonfinite': 'stop',
  'export': '',
  'base': 'rung:3K',
  'role': 'scaling',
  'seed': 3,
  'half': 'all',
  'trained': 'head',
  'read': 'tokens',
  'mesh': {'data': 1, 'fsdp': 1, 'model': 1},
  'data': {'source': 'simulated'},
  'train_subset': 'mix',
  'schedule': 'constant',
  'schedule_shape': 'constant',
  'pairs': 0,
  'batch_size': 8,
  'microbatches': 1,
  'average_eta': -1.0,
  'b2': 0.9,
  'eval_batch': 4,
  'epochs': 2,
  'curve_points': 2,
  'curve_eval_pairs': 6,
  'final_eval_pairs': -1,
  'learning_rate': 0.5,
  'warmup': 0.0,
  'log_every': 4,
  'checkpoint_every': 5,
}

ANIMALS = 'cat dog owl fox cow hen pig bee ant elk emu yak'.split()


def prompt(said):
  return f'\n\nHuman: {said}\n\nAssistant:'


def comparison(said, chosen, rejected, kind='helpful', p_label=np.nan):
  text = prompt(said)
  source = f'{kind}-base'
  return make_comparison(text + chosen, text + rejected, source, p_label, kind)


def comparisons(count, **options):
  """Comparisons of different prompts, told by their number."""
  draw = lambda i: f'draw {i} {ANIMALS[i % len(ANIMALS)]}s'
  return [
    comparison(draw(i), f' yes, {i} of them.', ' no!', **options)
    for i in range(count)
  ]


@functools.cache
def words():
  """A tokenizer of the texts above."""
  items = comparisons(12) + comparisons(12, kind='harmless')
  return Tokenizer.train([x.chosen + x.rejected for x in items] * 3, 310)


@functools.cache
def base():
  """Weights of the smallest rung, drawn without compiling anything."""
  functions = models.rung_model('3K', words().vocab_size)
  params = noise(jax.eval_shape(functions.init, jax.random.key(0)))
  return models.Base(functions, params, words(), '3K', 3456, 0.015)


def noise(tree, seed=0, scale=0.3):
  """Random float32 arrays in the shapes of a tree."""
  rng = np.random.default_rng(seed)
  draw = lambda x: rng.normal(0, scale, x.shape).astype(np.float32)
  return jax.tree.map(draw, tree)


def pairs(p_label, kind=None, prompt_index=None):
  """PairArrays whose every number says which side and row it is of.

  Chosen tokens are 100 + row, rejected ones 200 + row, and so on.
  """
  row_N = np.arange(len(p_label))
  of = lambda values: np.asarray(values, np.int32)
  return PairArrays(
    chosen_tokens_NT=of(np.stack([100 + row_N] * 3, 1)),
    chosen_length_N=of(300 + row_N),
    rejected_tokens_NT=of(np.stack([200 + row_N] * 3, 1)),
    rejected_length_N=of(400 + row_N),
    prompt_length_N=of(500 + row_N),
    p_label_N=np.asarray(p_label, np.float32),
    kind_N=of(np.zeros_like(row_N) if kind is None else kind),
    turn_N=of(600 + row_N),
    prompt_index_N=of(row_N if prompt_index is None else prompt_index),
    words_chosen_N=of(700 + row_N),
    words_rejected_N=of(800 + row_N),
    source_N=np.full(len(row_N), '', 'U1'),
  )


class Draws:
  """A generator whose next uniform numbers are known."""

  def __init__(self, *numbers):
    self._numbers = np.array(numbers)

  def random(self, count):
    assert count == len(self._numbers)
    return self._numbers


def world_settings():
  """Of a world whose workers are biased for the first place."""
  return {'seed': 0, 'bias_sd': 0.5}


def namespace(**fields):
  return types.SimpleNamespace(**fields)
