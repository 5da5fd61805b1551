"""Pairs as tokens and as features: the same rows, and the same scores."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import readers, trained
from rlhf_jax.data import features
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PMHyper

ADAPTERS = {
  'layers': 1,
  'rank': 2,
  'alpha': 4.0,
  'targets': ('attention/qkv/kernel',),
}


def config(folder, **changes):
  return {
    'trained': 'adapters',
    'read': 'features',
    'adapters': ADAPTERS,
    'features': {'edges': (64, 32), 'tokens': 128},
    'feature_folder': str(folder),
    'seed': 0,
    'half': 'a',
    'train_subset': 'mix',
  } | changes


@pytest.fixture(scope='module')
def pairs():
  """Twenty pairs, of which some take 32 columns and some more."""
  items = [
    tiny.comparison(
      f'draw {i} ' + 'cats and dogs ' * (i % 3),
      f' yes, {i} of them.',
      ' no!',
    )
    for i in range(20)
  ]
  found, _ = encode_pairs(items, tiny.words(), 52, 12)
  assert len(set(zip(*map(tuple, wanted_sums(found)), strict=True))) == 20
  return found


def sums(_, rows):
  """Stands for a score: the sum of all tokens of both sides; a pad is 0."""
  tokens_BT = getattr(rows, 'tokens_BT', None)
  if tokens_BT is None:
    tokens_BT = np.asarray(rows.features_BTD)[:, :, 0]
  segment_BT = np.asarray(rows.segment_BT)
  inside = lambda *which: np.where(np.isin(segment_BT, which), tokens_BT, 0)
  return tuple(inside(1, side).sum(1).astype(np.float32) for side in (2, 3))


@pytest.fixture
def tokens_as_features(monkeypatch):
  """Features are the tokens themselves, with nothing compiled."""
  calls = []

  def program(config, layer):
    calls.append((config, layer))
    return lambda params, part: np.float32(part.tokens_BT)[..., None]

  monkeypatch.setattr(readers, '_feature_program', program)
  return calls


def wanted_sums(pairs):
  """What `sums` finds, from the two sides by themselves."""
  return pairs.chosen_tokens_NT.sum(1), pairs.rejected_tokens_NT.sum(1)


def test_the_reader_is_the_config_s(pairs, tmp_path, tokens_as_features):
  how = config(tmp_path, read='tokens')
  assert isinstance(
    readers.reader_of(how, None, pairs, 'train'), readers.Tokens
  )
  assert not tokens_as_features
  found = readers.reader_of(config(tmp_path), tiny.base(), pairs, 'train')
  assert isinstance(found, readers.Features)
  assert tokens_as_features == [(tiny.base().functions.config, 1)]


@pytest.mark.parametrize('read', ['tokens', 'features'])
@pytest.mark.parametrize('count', [None, 7])
def test_scores_are_those_of_the_first_rows_in_their_order(
  read, count, pairs, tmp_path, tokens_as_features
):
  """Batches of 8 do not divide 20, nor 7, and buckets do not reorder."""
  reader = readers.reader_of(
    config(tmp_path, read=read), tiny.base(), pairs, 'test'
  )
  sizes = set()

  def score(both, rows):
    sizes.add(len(rows.segment_BT))
    return sums(both, rows)

  found = reader.scores(score, ('frozen', 'trained'), count, 8)
  assert sizes == {8}  # a batch that is not full too: one program
  wanted = wanted_sums(pairs.take(slice(None, count)))
  assert len(found[0]) == (count or 20)
  for side, tokens_N in zip(found, wanted, strict=True):
    np.testing.assert_array_equal(side, tokens_N)


@pytest.mark.parametrize('read', ['tokens', 'features'])
def test_batches_are_of_exactly_the_rows_that_were_asked_for(
  read, pairs, tmp_path, tokens_as_features
):
  """Two epochs of six rows: each is seen twice, no other ever."""
  rows = np.array([19, 2, 5, 11, 7, 14])
  reader = readers.reader_of(
    config(tmp_path, read=read), tiny.base(), pairs, 'train'
  )
  batches = reader.batches(rows, 3, seed=1)
  seen = []
  for _ in range(4):
    chosen_B, rejected_B = sums(None, next(batches))
    seen += zip(chosen_B.tolist(), rejected_B.tolist(), strict=True)
  sides = zip(*(x.tolist() for x in wanted_sums(pairs.take(rows))), strict=True)
  assert sorted(seen) == sorted(2 * list(sides))
  again = [next(reader.batches(rows, 3, seed=s)) for s in (1, 1, 2)]
  first = [sums(None, batch)[0].tolist() for batch in again]
  assert first[0] == first[1] != first[2]


def test_features_are_kept_by_what_made_them(
  pairs, tmp_path, tokens_as_features
):
  """Another layer, other rows: another folder; the same: the same."""
  folders = lambda: {path.name for path in tmp_path.iterdir()}
  make = lambda rows, **changes: readers.reader_of(
    config(tmp_path, **changes), tiny.base(), rows, 'train'
  )
  make(pairs)
  (one,) = folders()
  make(pairs)
  assert folders() == {one}
  make(pairs, trained='head')  # reads all blocks
  make(pairs.take(slice(5)))
  assert len(folders()) == 3
  assert len(features.fingerprint('x')) == len(one)


def test_the_score_function_is_that_of_the_reader(tmp_path):
  base, how = tiny.base(), config(tmp_path)
  tokens = readers.score_function(how | {'read': 'tokens'}, base)
  assert tokens is base.functions.pair_score_fn
  found = readers.score_function(how, base)
  assert found is not tokens
  assert readers.score_function(how | {'seed': 1}, base) is found
  head = readers.score_function(how | {'trained': 'head'}, base)
  assert head is not found


def test_every_setting_of_a_step_reaches_it(monkeypatch):
  made = {}

  def make_pm_step(score_fn, tx, **settings):
    made.update(settings, score_fn=score_fn, tx=tx)
    return lambda *_: None

  monkeypatch.setattr(readers, 'make_pm_step', make_pm_step)
  monkeypatch.setattr(readers, 'make_optimiser', lambda **given: given)
  way = tiny.namespace(attach=lambda *_: None)
  readers.pm_programs.__wrapped__(sums, way, '3K', 0.9, 4, -1.0, None)
  assert made == {
    'score_fn': sums,
    'tx': {'b2': 0.9},
    'microbatches': 4,
    'shared': True,
    'combine': way.attach,
  }


@pytest.mark.parametrize(
  ('read', 'kind'), [('features', 'all'), ('pixels', 'head')]
)
def test_what_no_reader_reads_is_one_line(read, kind, tmp_path):
  how = config(tmp_path, read=read, trained=kind)
  with pytest.raises(ValueError, match=f"got '{read}' with '{kind}'") as error:
    readers.score_function(how, tiny.base())
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('dtype', 'bound'), [('float32', 1e-4), ('float16', 2e-2)]
)
def test_both_readers_give_one_model_the_same_scores(
  dtype, bound, pairs, tmp_path, monkeypatch
):
  """Each feature is off by its type's rounding, of itself.

  Weights of size 1 make the block above steep: what goes in comes out 10 times
  as large in the scores, which spread by 1.5. At float16, as features are kept,
  40 times the rounding of 2^-11 are asked. At float32 all sums are rounded too,
  some hundred of them by 2^-24: 1e-4 is ten times that.
  """
  kept = functools.partial(features.cached_features, dtype=dtype)
  monkeypatch.setattr(features, 'cached_features', kept)
  base, way = tiny.base(), trained.way_of(config(tmp_path))
  base = dataclasses.replace(base, params=tiny.noise(base.params, scale=1.0))
  like = trained.preference_model(config(tmp_path), base, jax.random.key(0))
  both = base.params, tiny.noise(like, seed=1)
  scores = {}
  for read in ('tokens', 'features'):
    how = config(tmp_path, read=read)
    score_fn = readers.score_function(how, base)
    score = jax.jit(lambda both, rows, f=score_fn: f(way.attach(*both), rows))
    reader = readers.reader_of(how, base, pairs, 'test')
    scores[read] = np.array(reader.scores(score, both, None, 20))
  assert np.std(scores['tokens']) > 1
  off = np.abs(scores['tokens'] - scores['features']).max()
  assert off < bound


def test_a_program_is_one_for_all_seeds_and_halves(tmp_path):
  way, score_fn = trained.way_of(config(tmp_path)), sums
  make = lambda *rest: readers.pm_programs(score_fn, way, '3K', *rest)
  assert make(0.9, 1, -1.0, None) is make(0.9, 1, -1.0, None)
  assert make(0.9, 1, -1.0, None) is not make(0.9, 2, -1.0, None)


@pytest.mark.parametrize('eta', [-1.0, 0.0])
def test_a_step_moves_what_is_trained_and_averages_where_asked(eta, tmp_path):
  """Scores w and -w, times a little: the loss pulls w up from 0."""
  way = trained.way_of({'trained': 'head'})
  score_fn = lambda params, rows: (
    params['head'] * 0.01 * rows.prefix_B,
    -params['head'] * 0.01 * rows.prefix_B,
  )
  step, score = readers.pm_programs(score_fn, way, 'w', 0.9, 1, eta, None)
  params = {'head': jax.numpy.zeros(())}
  state = init_state(params, make_optimiser(b2=0.9))
  if eta >= 0:
    state = AveragedState(state, jax.tree.map(jax.numpy.array, params))
  rows = readers.shared_rows(tiny_rows())
  for _ in range(2):
    state, metrics = step(
      state, {'trunk': ()}, rows, jax.random.key(0), PMHyper(0.5)
    )
  inner = state.state if eta >= 0 else state
  # Adam's steps are the rate while the gradient keeps its sign and size.
  moved = float(inner.params['head'])
  assert 0.9 < moved < 1.0
  if eta >= 0:  # the plain mean of .5 and `moved`
    assert float(state.average['head']) == pytest.approx((0.5 + moved) / 2)
  chosen_B, rejected_B = score(({'trunk': ()}, inner.params), rows)
  np.testing.assert_allclose(chosen_B, -np.asarray(rejected_B))
  assert (np.asarray(chosen_B) > 0).all()
  assert 0 < float(metrics['loss']) < np.log(2)


def tiny_rows():
  """Two pairs that share a prefix of one token."""
  items = [tiny.comparison('draw cats', ' yes', ' no')] * 2
  pairs, _ = encode_pairs(items, tiny.words(), 52, 12)
  return pairs
