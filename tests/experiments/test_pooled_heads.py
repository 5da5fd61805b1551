"""A head on pooled features as a preference model: run, reward, export."""

import imported_fixture as tiny
import jax
import numpy as np
import pandas as pd
import pytest

from experiments import train_pm
from experiments.shared import models, policies, trained
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.linear import head
from rlhf_jax.train.about import RunError
from tests.pretrained_files import need_or_skip

HEAD = {
  'layers': [],
  'pools': ['mean'],
  'joint': 2,
  'l2': [0.1, 1.0],
  'folds': 2,
  'conditional': True,
}


def config(root, **changes):
  return tiny.pm(root, trained='head', read='pooled', head=HEAD | changes)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """A tiny chat model, pairs, and a conditional head over all layers."""
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('pooled')
  tiny.write_model(root / 'model')
  tiny.write_data(root / 'data')
  train_pm.run(config(root), root / 'pm')
  return root


def test_the_run_has_the_tables_of_any_other_and_learns(root):
  """The better reply says hello."""
  curve = pd.read_csv(root / 'pm' / 'pm_curve.csv')
  assert set(curve['eval_subset']) == {'mix', 'helpful', 'harmless'}
  assert curve['accuracy'].min() > 0.9
  assert len(pd.read_csv(root / 'pm' / 'floors.csv')) == 3
  assert (root / 'pm' / 'pairs.json').exists()


def rows(root, count=6):
  """Some pairs as the stage reads them."""
  base, own = tiny.base(root), config(root)
  items = [
    item
    for item in train_pm.comparisons.people.real_comparisons(
      own['data']['path'], f'{root}/features/tfds', 'raise', 0.5, 0
    )[0]
  ][:count]
  cuts = own['reading']['max_prompt'], own['reading']['max_reply']
  return base, encode_pairs(items, base.tokenizer, sum(cuts), cuts[1])[0]


def test_it_opens_as_a_reward_that_knows_where_a_reply_begins(root):
  """The reward of a rollout is the score that the stage gave the pair."""
  found = models.open_scorer(root / 'pm')
  assert found.way.layers == () and set(found.trained) == {'head'}
  base, pairs = rows(root)
  scorers = policies.scorers_of({}, base, [found, found], None)
  assert scorers.functions[0] is scorers.functions[1]
  # A rollout has no end-of-context token yet.
  reward = jax.jit(scorers.functions[0])(
    scorers.weights[0],
    pairs.chosen_tokens_NT,
    pairs.prompt_length_N,
    pairs.chosen_length_N - 1,
  )
  layers = trained.pooled_layers((), base.functions)
  assert layers == (1, 2, 3)
  reader = trained.pooled.pooled_reader(base.functions.config, layers)
  pooled = reader.reply_fn(
    found.frozen,
    pairs.chosen_tokens_NT,
    pairs.prompt_length_N,
    pairs.chosen_length_N,
  )
  wanted = head.score(
    head.Head(**found.trained['head']), *np.moveaxis(np.asarray(pooled), 1, 0)
  )
  np.testing.assert_allclose(reward, wanted, rtol=1e-4, atol=1e-4)


def test_a_head_on_means_has_no_folder_for_transformers(root):
  with pytest.raises(RunError, match='no scalar head at the last token'):
    models.open_run(root / 'pm')


def test_a_head_on_the_last_token_of_the_last_layer_is_a_scalar_one(root):
  """Opened whole, it scores as it does over its features."""
  own = config(root, pools=['last'], conditional=False)
  train_pm.run(own, root / 'last')
  scorer, whole = (
    models.open_scorer(root / 'last'),
    models.open_run(root / 'last'),
  )
  _, pairs = rows(root)
  ends = pairs.chosen_tokens_NT, pairs.prompt_length_N, pairs.chosen_length_N
  score = trained.score_function(scorer.functions, scorer.way)
  ours = score((scorer.frozen, scorer.trained), *ends)
  theirs = whole.functions.score_fn(whole.params, ends[0], ends[2])
  np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_nothing_but_a_head_is_fitted_to_pooled_features(root):
  own = tiny.pm(root, trained='adapters', read='pooled')
  with pytest.raises(ValueError, match="wanted trained 'head' with read"):
    train_pm.run(own, root / 'adapters')
