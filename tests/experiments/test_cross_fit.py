"""The cross-fit stage on a tiny model: who scores whom, parts, tables."""

import imported_fixture as tiny
import numpy as np
import pandas as pd
import pytest
import shared_fixture as shared

from experiments import cross_fit
from experiments.shared import comparisons, heads
from rlhf_jax.analysis import runs
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config


def data(N=120, D=3):
  """Pairs of two kinds, three of a conversation, with a feature that tells."""
  rng = np.random.default_rng(0)
  pooled = rng.normal(size=(N, 3, 2, 2, D)).astype(np.float32)
  pooled[:, 1] += 0.5
  group = np.arange(N) // 3
  return heads.Data(pooled, group % 2, group)


def config(**changes):
  return _config('cross_fit', 'smollm2') | {
    'draws': 2,
    'folds': 3,
    'pairs': [10, 500],
    'head': {
      'layers': [],
      'pools': ['mean'],
      'joint': 1,
      'l2': [0.1, 1.0],
      'folds': 2,
    },
    **changes,
  }


def test_no_head_scores_a_conversation_that_it_was_fitted_on(monkeypatch):
  """Sizes that there are not are left out; others are parts of all."""
  seen, given = [], data()
  fit = heads.head.fit

  def noting(pooled, kinds, groups, *rest):
    seen.append((len(groups), set(groups), set(kinds)))
    return fit(pooled, kinds, groups, *rest)

  monkeypatch.setattr(heads.head, 'fit', noting)
  found = list(heads.crossed(config(), given, draw=0, fold=1))
  assert [x[:2] for x in found] == [
    (model, asked) for model in heads.MODELS for asked in (10, 0)
  ]
  held = heads.fold_of(config(), given, 0) == 1
  kinds = {'helpful': {0}, 'harmless': {1}}
  for (model, asked, scored), (count, groups, trained) in zip(
    found, seen, strict=True
  ):
    assert not groups & set(given.group_N[scored.rows])
    assert trained <= kinds.get(model, {0, 1}) and scored.pairs == count
    wanted = held
    if asked:  # a few pairs more, for whole conversations
      assert 10 <= count < 13
      wanted = held & np.isin(given.kind_N, list(trained))
    np.testing.assert_array_equal(scored.rows, np.flatnonzero(wanted))
  assert seen[0][1] < seen[1][1]


def test_folds_of_another_draw_are_others_and_cover_every_pair_once():
  given = data()
  first, second = (heads.fold_of(config(), given, draw) for draw in (0, 1))
  assert (first != second).any()
  rows = [
    scored.rows
    for fold in range(3)
    for model, asked, scored in heads.crossed(
      config(models=['mix'], pairs=[]), given, 0, fold
    )
  ]
  assert sorted(np.concatenate(rows)) == list(range(120))


def test_sides_are_put_together_with_conversations_of_their_own():
  train = shared.pairs([np.nan] * 3, prompt_index=[0, 0, 1])
  test = shared.pairs([np.nan] * 2, prompt_index=[0, 1])
  both = heads.both_sides(comparisons.Pairs(train, test, {}))
  assert both.prompt_index_N.tolist() == [0, 0, 1, 2, 3]
  assert both.chosen_length_N.tolist() == [300, 301, 302, 300, 301]


def test_scores_are_averaged_over_draws_and_right_counts_draws():
  pairs = shared.pairs([np.nan] * 2, kind=[0, 1])
  parts = [
    pd.DataFrame(
      {
        'pair_id': [0, 1],
        'chosen': chosen,
        'rejected': [0.0, 0.0],
        'asked': [0, 0],
        'trained_on': trained,
        'model': 'mix',
      }
    )
    for chosen, trained in (([3.0, 1.0], 40), ([-1.0, 0.0], 43))
  ]
  rows = cross_fit.pair_rows(pd.concat(parts), pairs).to_dict('records')
  assert [r['score_chosen'] for r in rows] == [1.0, 0.5]
  assert [r['right'] for r in rows] == [0.5, 0.75]
  assert [r['pairs'] for r in rows] == [42, 42]  # 41.5 to the even number
  assert [r['subset'] for r in rows] == ['helpful', 'harmless']
  assert [r['words_chosen'] for r in rows] == [700, 701]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('cross')
  tiny.write_model(root / 'model')
  tiny.write_data(root / 'data', 30)
  return root


def test_the_stage_writes_its_tables_and_goes_on_where_it_was(
  root, monkeypatch, capsys
):
  """Killed in its fourth fold of six, it fits three more."""
  base = tiny.pm(root)
  keys = ('base', 'pad_token', 'data', 'feature_folder')
  reading = base['reading'] | {'train_pairs': 0}
  own = config(reading=reading, **{k: base[k] for k in keys})
  fitted, inner = [], cross_fit.fold_tables

  def counted(*args):
    if len(fitted) == 3 and not (root / 'again').exists():
      raise KeyboardInterrupt
    fitted.append(args[2:])
    return inner(*args)

  monkeypatch.setattr(cross_fit, 'fold_tables', counted)
  with pytest.raises(KeyboardInterrupt):
    cross_fit.run(own, root / 'run')
  (root / 'again').mkdir()
  cross_fit.run(own, root / 'run')
  assert fitted == [(d, f) for d in (0, 1) for f in (0, 1, 2)]
  tables = runs.run_tables(root / 'run')
  pairs = tables['cross_pairs']
  largest = pairs[pairs['pairs'] > 10].groupby('model')['pair_id'].nunique()
  assert largest.to_dict() == dict.fromkeys(heads.MODELS, 60)
  fits = tables['cross_fits']
  assert len(fits) == 2 * 3 * 4 * 2
  assert fits['gate_accuracy'].notna().sum() == 2 * 3 * 2
  assert set(tables['cross_floors']['subset']) == {'mix', 'helpful', 'harmless'}
  # The better reply says hello.
  mix = pairs[(pairs['model'] == 'mix') & (pairs['pairs'] > 10)]
  assert mix['right'].mean() > 0.9
  assert 'reported elsewhere: GPT-2-large' in capsys.readouterr().out


def test_a_head_of_shares_has_its_part_of_each_kind_and_scores_both():
  given, own = data(), {'models': ['25/75'], 'pairs': [24, 500]}
  found = list(heads.crossed(config(**own), given, draw=0, fold=1))
  # 500 are more than there are, and all (0) have no shares.
  assert [x[:2] for x in found] == [('25/75', 24)]
  outside_N = heads.fold_of(config(), given, 0) != 1
  rng = np.random.default_rng(0)
  rows = heads.rows_of(given, '25/75', outside_N, 24, rng)
  assert outside_N[rows].all() and len(set(rows.tolist())) == len(rows)
  helpful = (given.kind_N[rows] == 0).sum()
  assert helpful == 6 and len(rows) - helpful == 18  # whole conversations of 3
  held = found[0][2].rows
  assert set(given.kind_N[held]) == {0, 1}
  assert set(held) == set(np.flatnonzero(~outside_N))


def test_heads_of_shares_have_a_table_at_one_number_of_pairs(tmp_path):
  """None where there are no shares, or they are scanned over numbers."""
  given, sides = data(), shared.pairs([np.nan] * 120)
  sides = sides._replace(kind_N=given.kind_N, prompt_index_N=given.group_N)

  def written(**own):
    own = config(models=['25/75', '100/0', 'mix'], **own)
    own['head'] = own['head'] | {'layers': [1, 2]}
    parts = [cross_fit.fold_tables(own, given, 0, fold)[0] for fold in range(3)]
    file = tmp_path / 'cross_shares.csv'
    file.unlink(missing_ok=True)
    cross_fit.write_shares(file, cross_fit.pair_rows(pd.concat(parts), sides))
    return file

  rows = pd.read_csv(written(pairs=[24])).set_index(['share', 'subset'])
  assert [*dict.fromkeys(rows.index.get_level_values(0))] == ['25/75', '100/0']
  assert rows.loc[('25/75', 'helpful'), 'helpful'] == 0.25
  assert rows.loc[('100/0', 'helpful'), 'lost'] == 0
  assert rows['n_eval'].tolist() == [60, 60, 120] * 2
  assert rows['lost'].isna().tolist() == [False, True, True] * 2
  assert not written(pairs=[12, 24]).exists()
  assert not written(pairs=[]).exists()
