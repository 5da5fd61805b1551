"""What a run trains, and how it and what is frozen become parameters."""

import hashlib

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import trained

ADAPTERS = {
  'layers': 1,
  'rank': 2,
  'alpha': 4.0,
  'targets': ('attention/qkv/kernel', 'mlp/out/kernel'),
}
CONFIG = {
  'trained': 'adapters',
  'adapters': ADAPTERS,
  'seed': 3,
  'half': 'a',
  'train_subset': 'mix',
}


def same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  jax.tree.map(np.testing.assert_array_equal, a, b)


def differ(a, b):
  """Whether any array of two trees of one structure does."""
  assert jax.tree.structure(a) == jax.tree.structure(b)
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return any(not np.array_equal(x, y) for x, y in pairs)


def test_equal_ways_are_one_object_so_that_programs_are_shared():
  way = trained.way_of(CONFIG)
  assert way.kind == 'adapters'
  again = CONFIG | {'adapters': ADAPTERS | {'layers': 2}, 'seed': 9}
  assert trained.way_of(again) is way
  louder = CONFIG | {'adapters': ADAPTERS | {'alpha': 8.0}}
  assert trained.way_of(louder) is not way
  for kind in ('all', 'head'):
    one = trained.way_of({'trained': kind})
    assert trained.way_of(louder | {'trained': kind}) is one
    assert one.kind == kind
  with pytest.raises(ValueError, match="'all', 'adapters' or 'head', got 'a'"):
    trained.way_of(CONFIG | {'trained': 'a'})


def test_of_full_training_what_is_trained_is_all_there_is():
  way = trained.way_of({'trained': 'all'})
  params = {'trunk': 1, 'head': 2}
  assert way.merge((), params) is params is way.attach((), params)
  assert trained.frozen_of(way, params) == ()
  assert trained.bases(way, tiny.base()) is None


def test_a_head_is_put_on_the_frozen_base():
  way = trained.way_of({'trained': 'head'})
  base = {'trunk': 'frozen'}
  whole = {'trunk': 'frozen', 'head': 'new'}
  assert way.merge(base, {'head': 'new'}) == whole
  assert way.attach(base, {'head': 'new'}) == whole
  assert base == {'trunk': 'frozen'}
  assert trained.frozen_of(way, base) is base
  under = trained.bases(way, tiny.base())
  assert set(under) == {'policy', 'value'}
  assert all(x is tiny.base().params for x in under.values())


def test_adapters_change_nothing_at_first_and_their_product_later():
  """W + (alpha / rank) A B, with B = 0 at first."""
  base, way = tiny.base(), trained.way_of(CONFIG)
  fresh = trained.policy(CONFIG, base)
  assert set(fresh) == {'adapters'}
  same(way.merge(base.params, fresh), base.params)
  moved = {'adapters': tiny.noise(fresh['adapters'])}
  merged = way.merge(base.params, moved)
  place = lambda tree: tree['trunk']['layer_1']['mlp']['out']['kernel']
  pair = place(moved['adapters'])['all']
  wanted = place(base.params) + 4.0 / 2 * pair['a'] @ pair['b']
  # Products of two numbers of size 1 in float32: 4 ulp are 5e-7.
  np.testing.assert_allclose(place(merged), wanted, rtol=1e-5, atol=1e-6)
  same(merged['trunk']['layer_0'], base.params['trunk']['layer_0'])


def test_adapters_are_in_the_last_blocks_alone_with_their_targets():
  fresh = trained.fresh_adapters(tiny.base(), ADAPTERS, jax.random.key(0))
  assert set(fresh['trunk']) == {'layer_1'}
  assert set(fresh['trunk']['layer_1']) == {'attention', 'mlp'}
  assert set(fresh['trunk']['layer_1']['attention']) == {'qkv'}
  more = ADAPTERS | {'layers': 2}
  both = trained.fresh_adapters(tiny.base(), more, jax.random.key(0))
  assert set(both['trunk']) == {'layer_0', 'layer_1'}
  ranks = {x.shape for x in jax.tree.leaves(fresh)}
  assert ranks == {(12, 2), (2, 36), (48, 2), (2, 12)}


@pytest.mark.parametrize('layers', [0, 3])
def test_more_blocks_than_there_are_is_one_line(layers):
  config = CONFIG | {'adapters': ADAPTERS | {'layers': layers}}
  wanted = f'last 1 to 2 blocks, got {layers}'
  with pytest.raises(ValueError, match=wanted):
    trained.policy(config, tiny.base())
  with pytest.raises(ValueError, match=wanted):
    trained.first_trained_layer(config, tiny.base())


@pytest.mark.parametrize(
  ('kind', 'layers', 'first'),
  [('all', 1, 0), ('head', 1, 2), ('adapters', 1, 1), ('adapters', 2, 0)],
)
def test_features_end_below_the_first_block_that_is_trained(
  kind, layers, first
):
  config = {'trained': kind, 'adapters': ADAPTERS | {'layers': layers}}
  assert trained.first_trained_layer(config, tiny.base()) == first


def preference_model(**changes):
  config = CONFIG | changes
  rng = jax.random.key(config['seed'])
  return trained.preference_model(config, tiny.base(), rng)


def test_a_whole_preference_model_is_the_base_and_a_head():
  """Its head is drawn from the seed's key and the number of its half."""
  models = {
    half: preference_model(trained='all', half=half)
    for half in ('all', 'a', 'b')
  }
  for number, (half, params) in enumerate(models.items()):
    assert set(params) == {'trunk', 'head'}
    assert params['trunk'] is tiny.base().params['trunk']
    key = jax.random.fold_in(jax.random.key(3), number)
    same(params['head'], tiny.base().functions.init_head(key))
    again = preference_model(trained='all', half=half)
    same(params['head'], again['head'])
  assert differ(models['a']['head'], models['b']['head'])
  assert differ(models['all']['head'], models['a']['head'])
  other = preference_model(trained='all', seed=4)
  assert differ(models['a']['head'], other['head'])


def test_a_head_over_a_frozen_base_starts_at_zero():
  for kind, names in (('head', {'head'}), ('adapters', {'head', 'adapters'})):
    params = preference_model(trained=kind)
    assert set(params) == names
    assert params['head']['kernel'].shape == (12,)
    assert all(not x.any() for x in jax.tree.leaves(params['head']))


def test_adapters_of_halves_subsets_and_seeds_start_apart():
  one = preference_model()['adapters']
  same(one, preference_model()['adapters'])
  for change in ({'half': 'b'}, {'train_subset': 'helpful'}, {'seed': 4}):
    assert differ(one, preference_model(**change)['adapters']), change


def test_policy_and_value_network_start_apart_too():
  base, other = tiny.base(), CONFIG | {'half': 'b'}
  starts = [
    make(config, base)['adapters']
    for make in (trained.policy, trained.zero_value)
    for config in (CONFIG, other)
  ]
  for i, one in enumerate(starts):
    assert all(differ(one, two) for two in starts[:i])


def test_a_whole_policy_starts_as_the_base_and_has_no_head():
  config = CONFIG | {'trained': 'all'}
  assert trained.policy(config, tiny.base()) is tiny.base().params
  with pytest.raises(ValueError, match="no head: wanted trained 'all' or 'ada"):
    trained.policy(CONFIG | {'trained': 'head'}, tiny.base())


def test_a_value_network_from_nothing_says_zero_everywhere():
  whole = trained.zero_value(CONFIG | {'trained': 'all'}, tiny.base())
  assert whole['trunk'] is tiny.base().params['trunk']
  over = trained.zero_value(CONFIG, tiny.base())
  assert set(over) == {'adapters', 'head'}
  for params in (whole, over):
    assert all(not x.any() for x in jax.tree.leaves(params['head']))


def test_a_key_is_a_hash_of_its_names_under_the_seed():
  digest = hashlib.sha1(b'a/mix').digest()[:4]
  wanted = jax.random.fold_in(jax.random.key(3), int.from_bytes(digest, 'big'))
  data = lambda *names: jax.random.key_data(trained.seed_key(*names)).tolist()
  assert data(3, 'a', 'mix') == jax.random.key_data(wanted).tolist()
  others = [(4, 'a', 'mix'), (3, 'b', 'mix'), (3, 'mix', 'a'), (3, 'amix')]
  found = [data(*names) for names in others]
  assert data(3, 'a', 'mix') not in found
  assert len({tuple(x) for x in found}) == 4
