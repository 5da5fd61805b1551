"""What a recipe of PPO has besides, read off its config."""

import gzip
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.shared import recipes
from rlhf_jax.data import documents
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.losses.ppo import scaled_scores
from rlhf_jax.train.about import About
from rlhf_jax.train.control import ControlledState
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PPOHyper, Prompts
from tests.test_configs import _load

PLAIN = {'batch_size': 4, 'seed': 3, 'kl_coef': 0.2}
OFF = {**PLAIN, **_load('blocks').chapters()['instruct'].recipe()}


class Letters:
  """A tokenizer of characters, whose end is 1."""

  vocab_size, eos_id, pad_id = 128, 1, 0

  def encode(self, text):
    return [ord(x) for x in text]


def state():
  return init_state({'w': jnp.zeros(2)}, make_optimiser())


def prompts():
  rows = np.arange(8, dtype=np.int32)
  return Batches(Prompts(np.zeros((8, 3), np.int32), rows + 1, rows), 4, 0)


@pytest.mark.parametrize('config', [PLAIN, OFF])
def test_a_config_without_a_recipe_is_the_program_of_before(config):
  """Nothing is wrapped, so that it is PPO to the bit (checklist 75)."""
  stream, start = prompts(), state()
  assert recipes.recipe_of(config) is None
  assert recipes.controller_of(config) is None
  assert recipes.with_texts(config, stream, None) == (stream, {})
  assert recipes.controlled(config, start, None) is start
  assert recipes.averaged(config, start, None) is start
  assert recipes.fitted(config, None, start, None, None) is start
  assert recipes.coef_of(config, start) == {}
  assert recipes.text_rows(config) == 0


def test_equal_recipes_are_one_and_a_changed_one_is_another():
  """Coefficients are traced: a scan of gamma shares its program."""
  mixed = {**OFF, 'ptx_coef': 0.5}
  assert recipes.recipe_of(mixed) == recipes.recipe_of({**mixed, 'ptx_coef': 9})
  assert recipes.recipe_of(mixed).mixes
  assert recipes.recipe_of({**OFF, 'whiten_rewards': True}).whitens
  averages = recipes.recipe_of({**OFF, 'average_decay': 0.9})
  assert averages.average_decay == 0.9 and not averages.mixes
  adapts = {**OFF, 'kl_target': 6.0}
  one, other = (recipes.controller_of({**adapts, 'seed': i}) for i in (0, 1))
  assert one is other
  assert recipes.controller_of({**adapts, 'kl_target': 5.0}) is not one


def write_books(folder):
  """Two books, of 11 and of 4 characters."""
  for name, text in (('a', 'abcde\n\nfghj'), ('b', 'wxyz')):
    file = folder / 'text_books' / f'{name}.txt.gz'
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress(text.encode()))
  return {**OFF, 'ptx_coef': 1.0, 'ptx_text': str(folder), 'max_prompt': 4} | {
    'max_reply': 2,
    'ptx_per_episode': 2,
  }


def test_a_folder_of_books_is_cut_into_rows_and_packed(tmp_path):
  """12 ids in two rows of 6, and one of 5."""
  packed, counts = recipes.packed_texts(write_books(tmp_path), Letters())
  rows = {
    bytes(ids[:n].tolist())
    for ids, n in zip(packed.tokens_BT, packed.length_B, strict=True)
  }
  assert rows == {b'abcde\n', b'\nfghj\x01', b'wxyz\x01'}
  assert packed.mask_BT.sum() == 5 + 5 + 4
  assert packed.tokens_BT.shape == (3, 6)
  assert counts == {
    'ptx_text': {
      'text_books/a.txt.gz': {'read': 1, 'kept': 1},
      'text_books/b.txt.gz': {'read': 1, 'kept': 1},
    }
  }


def test_files_are_chosen_by_name_and_their_held_out_texts_are_not_read(
  tmp_path, capsys
):
  """The book beside the one that is named is left alone."""
  pages = tmp_path / 'web' / 'c4.jsonl'
  pages.parent.mkdir()
  names = [f'page {n}' for n in range(30)]
  held = [x for x in names if documents.side_of(x) == 'held out']
  assert 0 < len(held) < 8
  pages.write_text(''.join(json.dumps({'text': x}) + '\n' for x in names))
  config = write_books(tmp_path) | {'max_prompt': 14}
  config['ptx_text'] = f'{tmp_path}/text_books/b.txt.gz,{pages}'
  packed, counts = recipes.packed_texts(config, Letters())
  words = ''.join(chr(i) for i in packed.tokens_BT[packed.tokens_BT > 0])
  read = set(words.split('\x01')) - {''}
  assert read == {'wxyz', *names} - set(held)
  kept = {'read': 30, 'kept': 30 - len(held), 'held out': len(held)}
  assert counts['ptx_text']['web/c4.jsonl'] == kept
  assert list(counts['ptx_text']) == ['text_books/b.txt.gz', 'web/c4.jsonl']
  assert capsys.readouterr().out == (
    f'ptx_text: 2 files, 31 documents: {31 - len(held)} to train on, '
    f'{len(held)} held out\n'
  )
  pages.write_text(json.dumps({'text': held[0]}) + '\n')
  config['ptx_text'] = str(pages)
  with pytest.raises(ValueError, match='every document of it is held out'):
    recipes.packed_texts(config, Letters())


def test_texts_come_beside_the_prompts_so_many_an_episode(tmp_path):
  config = write_books(tmp_path)
  stream, counts = recipes.with_texts(config, prompts(), Letters())
  batch = next(stream)
  assert batch.batch.length_B.shape == (4,)
  assert batch.mixed.tokens_BT.shape == (8, 6)
  assert list(counts) == ['ptx_text']
  assert stream.last_rows.tolist() == batch.batch.row_B.tolist()


def test_text_that_is_missing_or_of_other_tokens_is_one_line(
  tmp_path, monkeypatch
):
  config = {**OFF, 'ptx_coef': 1.0, 'max_prompt': 4, 'max_reply': 2}
  with pytest.raises(ValueError, match='ptx_text is empty and ptx_coef is not'):
    recipes.with_texts(config, prompts(), Letters())
  with Run(tmp_path, {'x': 1}, about=About('make_text', 'texts')):
    pass
  monkeypatch.setattr(recipes, 'load_tokenizer', lambda path: load_as(path, 7))
  config['ptx_text'] = str(tmp_path)
  with pytest.raises(ValueError, match='texts of 7 tokens .* knows 128'):
    recipes.with_texts(config, prompts(), Letters())


def load_as(path, size):
  """A tokenizer of so many tokens, from where a run has its own."""
  assert path.endswith('/tokenizer.model')
  found = Letters()
  found.vocab_size = size
  return found


def test_a_coefficient_that_adapts_is_part_of_the_state():
  """It starts at kl_coef, which must not be 0 (checklist 84)."""
  config = {**OFF, 'kl_target': 6.0}
  start = recipes.controlled(config, state(), None)
  assert isinstance(start, ControlledState)
  assert recipes.coef_of(config, start) == pytest.approx({'kl_coef': 0.2})
  with pytest.raises(ValueError, match='kl_coef=0.0: wanted more than 0'):
    recipes.controlled({**config, 'kl_coef': 0.0}, state(), None)


def test_a_scale_is_fitted_once_and_is_part_of_the_state(tmp_path):
  """Fitted at the start of a run, kept when it goes on (checklist 25, 84)."""
  config, asked = {**OFF, 'reward_samples': 3}, []
  start = recipes.controlled(config, state(), None)
  assert start.controller == {'scores': (1.0, 0.0)}
  scores = lambda count: asked.append(count) or np.array([1.0, 3.0, 5.0, 7.0])
  with Run(tmp_path, config) as run:
    found = recipes.fitted(config, run, start, scores, None)
    [row] = run.rows('reward')
  gain, bias = (float(x) for x in found.controller['scores'])
  assert (gain, bias) == pytest.approx((5**-0.5, -4 * 5**-0.5))
  assert row['gain'] == gain and row['replies'] == 4 and asked == [3]
  scaled_N = scaled_scores(np.array([1.0, 3.0, 5.0, 7.0]), gain, bias)
  assert scaled_N.mean() == pytest.approx(0.0, abs=1e-6)
  assert scaled_N.std() == pytest.approx(1.0, rel=1e-6)
  later = found._replace(state=found.state._replace(step=jnp.int32(1)))
  assert recipes.fitted(config, None, later, None, None) is later


def test_gain_bias_and_coefficient_come_back_from_a_checkpoint(tmp_path):
  """Into a start that has 1, 0 and kl_coef (checklist 25, 84)."""
  config = {**OFF, 'reward_samples': 3, 'kl_target': 6.0}
  start = recipes.controlled(config, state(), None)
  kept = {
    'scores': (jnp.float32(0.4), jnp.float32(-1.7)),
    'kl': jnp.float32(0.31),
  }
  with Run(tmp_path, config) as run:
    later = start.state._replace(step=jnp.int32(3))
    run.save(ControlledState(later, kept), prompts())
  with Run(tmp_path, config) as run:
    found = run.restore(start, prompts())
  assert int(found.step) == 3
  assert jax.tree.map(float, found.controller) == jax.tree.map(float, kept)
  hyper = recipes.controller_of(config).steer(
    found.controller, PPOHyper(0.1, 0.1, kl_coef=0.2)
  )
  assert (hyper.reward_gain, hyper.reward_bias) == kept['scores']
  assert hyper.kl_coef == kept['kl']


def two_networks():
  params = {'policy': {'w': jnp.ones(2)}, 'value': {'w': jnp.zeros(2)}}
  return init_state(params, make_optimiser())


@pytest.mark.parametrize('controlled', [False, True])
def test_the_policy_that_is_kept_is_the_average_where_there_is_one(
  controlled, tmp_path
):
  """It starts as pi_0, in arrays of its own, and is part of a checkpoint."""
  config = {**OFF, 'average_decay': 0.9, 'kl_target': 6.0 * controlled}
  last = recipes.controlled(OFF | config, two_networks(), None)
  assert recipes.policy_of(last) is last.params['policy']
  start = recipes.averaged(config, two_networks(), None)
  assert start.average['w'] is not start.params['policy']['w']
  later = start._replace(
    average={'w': jnp.full(2, 7.0)},
    state=start.state._replace(step=jnp.int32(3)),
  )
  start, later = (recipes.controlled(config, x, None) for x in (start, later))
  np.testing.assert_array_equal(recipes.policy_of(start)['w'], 1.0)
  with Run(tmp_path, config) as run:
    run.save(later, prompts())
  with Run(tmp_path, config) as run:
    found = run.restore(start, prompts())
  assert int(found.step) == 3 and isinstance(found, type(later))
  np.testing.assert_array_equal(recipes.policy_of(found)['w'], 7.0)
  np.testing.assert_array_equal(found.params['policy']['w'], 1.0)


def test_the_epsilon_of_a_recipe_is_adam_s():
  """1e-5 beside a gradient of 1e-5: half a step (checklist 73)."""
  gradient = jnp.float32(1e-5)
  step = {}
  for eps in (1e-5, 1e-8):
    recipe = recipes.recipe_of({**OFF, 'adam_eps': eps})
    tx = recipe.optimiser(0.98) if recipe else make_optimiser()
    update, _ = tx.update(gradient, tx.init(jnp.float32(0.0)))
    step[eps] = float(update)
  assert step[1e-5] == pytest.approx(0.5, rel=1e-5)
  assert step[1e-8] == pytest.approx(1 / 1.001, rel=1e-5)
  # TensorFlow 1: eps beside the uncorrected root, here 1.41e-6.
  root = 1e-5 * 0.02**0.5
  tf1 = 0.02**0.5 * 1e-5 / (root + 1e-5)
  assert tf1 == pytest.approx(0.1239, abs=1e-4)
