"""Heads with and without pretraining: who is pulled where, parts, tables."""

import imported_fixture as tiny
import numpy as np
import pandas as pd
import pytest
import ranked_fixture
import shared_fixture as shared

from experiments import pretrain_heads
from experiments.shared import heads
from rlhf_jax.analysis import runs
from rlhf_jax.data.faults import DataError
from rlhf_jax.linear import head
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config

HEAD = {'layers': [], 'pools': ['mean'], 'joint': 1, 'l2': [0.1, 10.0]}
HEAD |= {'folds': 2}


def config(**changes):
  return _config('pretrain_heads', 'smollm2_recipes') | {
    'draws': 2,
    'folds': 3,
    'pairs': [12, 500],
    'head': HEAD,
    **changes,
  }


def data(N=120, seed=0, kinds=2):
  """Pairs, two of a conversation, with features that tell a little."""
  rng = np.random.default_rng(seed)
  pooled = rng.normal(size=(N, 3, 2, 2, 3)).astype(np.float32)
  pooled[:, 1, 1] += 0.5
  group = np.arange(N) // 2
  return heads.Data(pooled, group % kinds, group)


def stored(own):
  return own | {'head': own['head'] | {'layers': [1, 2]}}


def test_heads_are_pretrained_on_each_set_and_on_all_with_other_prompts():
  own = stored(config())
  forum = {'a': (20, data(40, 1, 1)), 'b': (30, data(60, 2, 1))}
  centres, best, rows = pretrain_heads.pretrained_heads(own, forum)
  assert [r['before'] for r in rows] == ['a', 'b', 'all'] == [*centres]
  assert [r['pairs'] for r in rows] == [40, 60, 100]
  assert [r['rankings'] for r in rows] == [20, 30, 50]
  assert all(r['accuracy'] > 0.6 for r in rows)
  both = pretrain_heads.together([x for _, x in forum.values()])
  assert len(set(both.group_N)) == 20 + 30
  settings = pretrain_heads.settings_of(own, both)
  for blocks, found in centres['all'].items():
    alone = settings._replace(candidates=(blocks,))
    rng = np.random.default_rng([own['seed'], *b'all'])
    wanted, choice = head.fit(*both, alone, rng)
    np.testing.assert_array_equal(found.weight_CPLD, wanted.weight_CPLD)
    if blocks == best['all']:
      assert rows[-1]['inner_loss'] == choice.loss
  alone = pretrain_heads.pretrained_heads(own, {'a': forum['a']})
  assert [r['before'] for r in alone[2]] == ['a']


def test_with_and_without_see_the_same_pairs_and_differ_in_the_centre(
  monkeypatch,
):
  own, given = stored(config()), data()
  forum = {'a': (20, data(40, 1, 1))}
  *made, _ = pretrain_heads.pretrained_heads(own, forum)
  seen, fit = [], heads.head.fit

  def noting(pooled, kinds, groups, settings, rng, centres=None):
    seen.append((pooled, set(groups), centres))
    return fit(pooled, kinds, groups, settings, rng, centres)

  monkeypatch.setattr(heads.head, 'fit', noting)
  scores, fits = pretrain_heads.fold_tables(own, given, made, 0, 1)
  # 500 pairs are more than there are.
  cells = fits[['model', 'before', 'pairs']].to_numpy().tolist()
  models = ('helpful', 'harmless', 'mix')
  assert cells == [[m, b, 12] for m in models for b in ('none', 'a')]
  held = set(given.group_N[heads.fold_of(own, given, 0) == 1])
  for plain, centred in zip(seen[::2], seen[1::2], strict=True):
    np.testing.assert_array_equal(plain[0], centred[0])
    assert not plain[1] & held
    assert plain[2] is None and centred[2] is made[0]['a']
  assert set(scores['pairs']) == {0, 12}
  start = scores[(scores['pairs'] == 0) & (scores['model'] == 'mix')]
  assert set(start['before']) == {'a'}
  one = head.score(
    made[0]['a'][made[1]['a']], *(given.pooled_N3PLD[:, i] for i in (0, 1))
  )
  other = head.score(
    made[0]['a'][made[1]['a']], *(given.pooled_N3PLD[:, i] for i in (0, 2))
  )
  rows = start['pair_id'].to_numpy()
  assert set(given.group_N[rows]) == held
  np.testing.assert_array_equal(start['right'], (one > other)[rows])


def test_a_tie_of_scores_is_half_right():
  own, given = stored(config(models=['mix'], pairs=[12])), data()
  zero = {b: head.zero_head(2, 2, 3) for b in (((1, 0),), ((1, 1),))}
  made = {'a': zero}, {'a': ((1, 0),)}
  scores, _ = pretrain_heads.fold_tables(own, given, made, 0, 1)
  assert set(scores[scores['pairs'] == 0]['right']) == {0.5}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('pretrained')
  tiny.write_model(root / 'model')
  tiny.write_data(root / 'data', 24)
  ranked_fixture.write_sets(root / 'data', 20)
  return root


def stage_config(root):
  base = tiny.pm(root)
  keys = ('base', 'pad_token', 'data', 'feature_folder', 'features')
  reading = base['reading'] | {'train_pairs': 0}
  own = config(reading=reading, draws=1, **{k: base[k] for k in keys})
  return own | {'most_prompts': 12, 'most_replies': 3}


def test_the_stage_writes_its_tables_and_goes_on_where_it_was(
  root, monkeypatch, capsys
):
  """Killed in its second fold of three, it fits the last two."""
  own, fitted = stage_config(root), []
  inner = pretrain_heads.fold_tables

  def counted(*args):
    if len(fitted) == 1 and not (root / 'again').exists():
      raise KeyboardInterrupt
    fitted.append(args[3:])
    return inner(*args)

  monkeypatch.setattr(pretrain_heads, 'fold_tables', counted)
  with pytest.raises(KeyboardInterrupt):
    pretrain_heads.run(own, root / 'run')
  (root / 'again').mkdir()
  pretrain_heads.run(own, root / 'run')
  assert fitted == [(0, 0), (0, 1), (0, 2)]
  tables = runs.run_tables(root / 'run')
  befores = ['none', 'stackexchange', 'posts', 'all']
  made = tables['pretraining_heads']
  assert made['before'].tolist() == befores[1:]
  assert made['rankings'].tolist() == [12, 12, 24]
  pairs = tables['pretrained_pairs']
  mix = pairs[(pairs['model'] == 'mix') & (pairs['pairs'] == 12)]
  assert mix.groupby('before').size().to_dict() == dict.fromkeys(befores, 48)
  # The best answer says hello, as the better reply of a pair does.
  start = tables['pretraining_gains'].query('pairs == 0 and model == "mix"')
  assert start['before'].tolist() == befores[1:]
  assert start['accuracy'].iloc[0] > 0.8 and start['gain'].isna().all()
  assert len(tables['pretrained_fits']) == 3 * 3 * 4
  counts = tables['reading'].set_index(['part', 'count'])['rows']
  assert counts['sets stackexchange', 'there'] == 20
  assert 'mix    12 after stackexchange' in capsys.readouterr().out


def test_a_set_that_is_missing_leaves_no_run(root, tmp_path):
  own = stage_config(root)
  own['data'] = own['data'] | {'path': str(tmp_path)}
  with pytest.raises(DataError, match='is no file: wanted the set'):
    pretrain_heads.run(own, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_right_is_the_mean_over_draws():
  pairs = shared.pairs([np.nan] * 2, kind=[0, 1], prompt_index=[4, 7])
  keys = {'model': 'mix', 'before': 'none', 'pairs': 12}
  parts = [
    pd.DataFrame({'pair_id': [0, 1], 'right': right}).assign(**keys)
    for right in ([1.0, 0.0], [0.0, 0.0], [1.0, 0.5])
  ]
  rows = pretrain_heads.pair_rows(pd.concat(parts), pairs)
  assert rows['right'].tolist() == [0.6667, 0.1667]
  assert rows['subset'].tolist() == ['helpful', 'harmless']
  assert rows['prompt_id'].tolist() == [4, 7]
