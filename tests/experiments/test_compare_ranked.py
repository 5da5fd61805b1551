"""Imitation and heads on ranked sets: likelihoods, fits, parts, tables."""

import imported_fixture as tiny
import numpy as np
import pandas as pd
import pytest
import ranked_fixture

from experiments import compare_ranked
from experiments.shared import imported, ranked_sets
from rlhf_jax.analysis import runs
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.rankings import RankingArrays, pairs_of
from rlhf_jax.linear import head
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config

HEAD = {'layers': [], 'pools': ['mean'], 'joint': 1, 'l2': [0.1, 1.0]}
HEAD |= {'folds': 2}


def config(**changes):
  return _config('compare_ranked', 'smollm2_recipes') | {
    'draws': 2,
    'folds': 3,
    'head': HEAD,
    'most_prompts': 12,
    'most_replies': 3,
    **changes,
  }


def read(N=30, C=3, seed=0):
  """A set of which block (1, 1) tells ranks; the last reply may be missing."""
  rng = np.random.default_rng(seed)
  rank_NC = np.argsort(rng.normal(size=(N, C)), 1).astype(np.int32)
  rank_NC[::4, -1] = -1
  rank_NC[::4, :-1] = [1, 0]
  reply = rng.normal(size=(N, C, 2, 2, 3)).astype(np.float32)
  reply[:, :, 1, 1, 0] -= 2 * rank_NC
  length_NC = np.where(rank_NC >= 0, 10 + rank_NC, 0).astype(np.int32)
  one = np.zeros(N, np.int32)
  rankings = RankingArrays(
    tokens_NCT=np.zeros((N, C, 20), np.int32),
    length_NC=length_NC,
    rank_NC=rank_NC,
    prompt_length_N=one + 4,
    kind_N=one,
    turn_N=one + 1,
    prompt_index_N=(np.arange(N) // 2).astype(np.int32),
    words_NC=np.where(rank_NC >= 0, 5, 0).astype(np.int32),
    source_N=np.full(N, 's'),
  )
  prompt = rng.normal(size=(N, 2, 2, 3)).astype(np.float32)
  logp = np.where(rank_NC >= 0, -10.0 - rank_NC**2, np.nan)
  count = np.where(rank_NC >= 0, length_NC - 5, 0)
  return compare_ranked.Read(rankings, prompt, reply, logp, count)


def stored(own):
  return own | {'head': own['head'] | {'layers': [1, 2]}}


def test_no_head_scores_a_conversation_that_it_was_fitted_on(monkeypatch):
  own, seen = read(), []
  for module in (compare_ranked.head, compare_ranked.binary):
    fit = module.fit

    def noting(*args, fit=fit, **kwargs):
      seen.append((len(args[2]), set(args[2])))
      return fit(*args, **kwargs)

    monkeypatch.setattr(module, 'fit', noting)
  place_M3 = pairs_of(own.rankings).place_M3
  rows = []
  for fold in range(3):
    scores, fits = compare_ranked.fold_tables(stored(config()), own, 0, fold)
    rows += scores['pair'].tolist()
    held = set(own.rankings.prompt_index_N[place_M3[scores['pair'], 0]])
    assert fits['method'].tolist() == ['ranked', 'binary']
    for (count, groups), said in zip(seen[-2:], fits['n_train'], strict=True):
      assert count == said and not groups & held
    # Every pair with a conversation that some fold does not hold.
    assert fits['n_train'][0] == len(place_M3) - len(scores)
  assert sorted(rows) == list(range(len(place_M3)))


def test_both_heads_learn_what_ranks_follow_and_choose_from_one_grid():
  own = read(60)
  folds = [
    compare_ranked.fold_tables(stored(config()), own, 0, f) for f in (0, 1)
  ]
  for scores, fits in folds:
    assert scores[['ranked', 'binary']].mean().min() > 0.75
    assert set(fits['blocks']) == {'mean-2'} and set(fits['l2']) <= {0.1, 1.0}


def test_the_binary_head_is_of_the_best_replies_against_the_rest():
  own = read()
  settings = compare_ranked.heads.settings_of(HEAD, 2, False)
  inside_N = np.arange(30) < 20
  rng = lambda: np.random.default_rng(0)
  found, choice, count = compare_ranked.fit_binary(
    own, inside_N, settings, rng()
  )
  reply, good, group = [], [], []
  for n in range(20):
    for c in range(3):
      if own.rankings.rank_NC[n, c] >= 0:
        reply.append(own.reply_NCPLD[n, c])
        good.append(own.rankings.rank_NC[n, c] == 0)
        group.append(n // 2)
  wanted, other = compare_ranked.binary.fit(
    np.array(reply), good, group, settings, rng()
  )
  assert count == len(reply) == 55 and choice[:3] == other[:3]
  np.testing.assert_array_equal(found.weight_CPLD, wanted.weight_CPLD)


def test_plain_rules_are_those_of_loops_and_ties_are_a_half():
  own = read()
  found = compare_ranked.plain_right(own)
  place = pairs_of(own.rankings).place_M3
  for m, (n, better, worse) in enumerate(place):
    mean = [own.logp_NC[n, c] / own.count_NC[n, c] for c in (better, worse)]
    assert found['imitation'][m] == (mean[0] > mean[1]) + (
      0.5 * (mean[0] == mean[1])
    )
    whole = [own.logp_NC[n, c] for c in (better, worse)]
    assert found['imitation_whole'][m] == (whole[0] > whole[1])
  assert (found['longer'] == 0.5).all()


def test_rows_are_means_over_draws_in_the_order_of_the_pairs():
  own = read(4)
  M = len(pairs_of(own.rankings).place_M3)
  frames = [
    pd.DataFrame({'pair': np.arange(M)[::-1], 'ranked': r, 'binary': 0.0})
    for r in (1.0, 0.0, np.arange(M)[::-1] % 2)
  ]
  rows = compare_ranked.pair_rows('a', own, pd.concat(frames))
  wanted = [(1 + k % 2) / 3 for k in range(M)]
  assert rows['ranked'].tolist() == pytest.approx(wanted, abs=1e-4)
  assert (
    rows['ranking'].tolist() == pairs_of(own.rankings).place_M3[:, 0].tolist()
  )


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('ranked')
  tiny.write_model(root / 'model')
  ranked_fixture.write_sets(root / 'data', 20)
  return root


def stage_config(root, **changes):
  base = tiny.pm(root)
  keys = ('base', 'pad_token', 'data', 'feature_folder', 'features', 'reading')
  return config(**{k: base[k] for k in keys}, draws=1) | changes


def test_a_likelihood_is_the_sum_over_the_tokens_of_the_reply(root):
  """Beside whole forward passes, one reply after the other."""
  own = stage_config(root)
  opened = imported.open_file(own['base'], pad_token=own['pad_token'])
  words = tiny.base(root).tokenizer
  rankings, _ = ranked_sets.read_set(own, 'oasst', words)
  file = root / 'nats' / 'oasst.jsonl'
  logp_NC, count_NC = compare_ranked.likelihoods(own, rankings, file, 'x')
  again = compare_ranked.likelihoods(own, rankings, file, 'x')
  np.testing.assert_array_equal(logp_NC, again[0])
  for n, c in ((0, 0), (3, 2)):
    start = rankings.prompt_length_N[n]
    stop = rankings.length_NC[n, c] - 1  # without end-of-context
    ids = rankings.tokens_NCT[n, c, :stop]
    logits = opened.functions.logits_fn(
      opened.params, ids[None], np.array([stop])
    )
    logits = np.asarray(logits[0], np.float64)
    logits -= logits.max(-1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = sum(logp[t - 1, ids[t]] for t in range(start, stop))
    # Some ten tokens of a loss of 6 nats in float32.
    assert logp_NC[n, c] == pytest.approx(wanted, abs=1e-3)
    assert count_NC[n, c] == stop - start
  other, _ = ranked_sets.read_set(own, 'alpaca_eval', words)
  with pytest.raises(ValueError, match='holds results of replies'):
    compare_ranked.likelihoods(own, other, file, 'x')


def test_the_stage_writes_its_tables_and_goes_on_where_it_was(
  root, monkeypatch, capsys
):
  """Killed in the second set's first fold; the first is not fitted again."""
  own, fitted = stage_config(root), []
  inner = compare_ranked.fold_tables

  def counted(*args):
    if len(fitted) == 3 and not (root / 'again').exists():
      raise KeyboardInterrupt
    fitted.append(args[2:])
    return inner(*args)

  monkeypatch.setattr(compare_ranked, 'fold_tables', counted)
  with pytest.raises(KeyboardInterrupt):
    compare_ranked.run(own, root / 'run')
  (root / 'again').mkdir()
  compare_ranked.run(own, root / 'run')
  assert fitted == 3 * [(0, 0), (0, 1), (0, 2)]
  tables = runs.run_tables(root / 'run')
  methods = tables['ranked_methods'].set_index(['set', 'method'])
  sets = ['stackexchange', 'alpaca_eval', 'oasst']
  assert [*methods.index.get_level_values(0).unique()] == sets
  # The better reply says hello; weights are random, so nobody else knows.
  assert methods.xs('ranked', level=1)['accuracy'].min() > 0.75
  assert methods['n_eval'].tolist() == [36] * 15
  assert len(tables['ranked_pairs']) == 3 * 36
  assert len(tables['ranked_fits']) == 3 * 3 * 2
  counts = tables['reading'].set_index(['part', 'count'])['rows']
  assert counts['sets oasst', 'kept'] == 12
  out = capsys.readouterr().out
  assert 'alpaca_eval (a model) ranked' in out


def test_a_set_that_is_missing_leaves_no_run(root, tmp_path):
  data = stage_config(root)['data'] | {'path': str(tmp_path)}
  with pytest.raises(DataError, match='is no file: wanted the set'):
    compare_ranked.run(stage_config(root, data=data), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_a_prompt_has_no_part_in_what_a_head_prefers():
  """Both replies have the same prompt, and the head no condition."""
  own = read()
  settings = compare_ranked.heads.settings_of(HEAD, 2, False)
  every = np.ones(30, bool)
  rng = np.random.default_rng(0)
  found, *_ = compare_ranked.fit_ranked(own, every, settings, rng)
  there = own.reply_NCPLD[:, 0]
  a, b = (head.score(found, x, there) for x in (own.prompt_NPLD, 0 * there))
  np.testing.assert_array_equal(a, b)
