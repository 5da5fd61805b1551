"""Gains of pretraining: paired differences, ends by loops, check, figure."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import conversations, figures, pretrained
from rlhf_jax.analysis.claims.real_pretraining import pretrained_heads_help
from rlhf_jax.analysis.drawings.real_pretraining import real_pretraining
from rlhf_jax.analysis.findings import NotHereError
from tests.analysis import loops

N = 40
ENDS = [0.025, 0.975]


def pairs(level, model='helpful', noise=True):
  """Rows of pretrained_pairs.

  Args:
    level: {(before, pairs): accuracy}.
    model: of all of them.
    noise: whether which pairs are right differs from cell to cell.
  """
  frames = []
  for i, ((before, count), accuracy) in enumerate(level.items()):
    order = np.random.default_rng(i if noise else 0).permutation(N)
    frames.append(
      pd.DataFrame(
        {
          'model': model,
          'before': before,
          'pairs': count,
          'pair_id': [f'p{k}' for k in range(N)],
          'prompt_id': [f'c{k // 2}' for k in range(N)],
          'subset': 'helpful',
          'right': (order < round(accuracy * N)).astype(float),
        }
      )
    )
  return pd.concat(frames, ignore_index=True)


LEVEL = {
  ('stackexchange', 0): 0.55,
  ('none', 100): 0.5,
  ('stackexchange', 100): 0.7,
  ('none', 1000): 0.65,
  ('stackexchange', 1000): 0.7,
}


def test_a_gain_is_a_difference_on_the_same_pairs_and_its_ends_are_loops():
  given = pairs(LEVEL)
  rows = pd.DataFrame(pretrained.rows(given))
  rows = rows.set_index(['before', 'pairs'])
  assert rows['n_eval'].tolist() == [N] * 5
  for cell, accuracy in LEVEL.items():
    assert rows.loc[cell, 'accuracy'] == pytest.approx(accuracy)
  assert rows.loc[('stackexchange', 100), 'gain'] == pytest.approx(0.2)
  assert rows.loc[('none', 100), 'gain'] == 0
  assert math.isnan(rows.loc[('stackexchange', 0), 'gain'])
  assert math.isnan(rows.loc[('stackexchange', 0), 'gain_low'])
  own = {
    before: given.query('before == @before and pairs == 100').sort_values(
      'pair_id'
    )
    for before in ('none', 'stackexchange')
  }
  gap = (
    own['stackexchange']['right'].to_numpy() - own['none']['right'].to_numpy()
  )
  drawn = [
    np.average(gap, weights=counts)
    for counts in conversations.counts(own['none']['prompt_id'])
  ]
  found = rows.loc[('stackexchange', 100), ['gain_low', 'gain_high']]
  assert found.tolist() == pytest.approx(list(np.quantile(drawn, ENDS)))


def check(level, noise=False):
  return pretrained_heads_help({'pretrained_pairs': pairs(level, noise=noise)})


def test_the_check_wants_a_gain_on_few_pairs_that_many_do_not_have():
  found = check(LEVEL)
  assert found['verdict'] == 'pass' and found['seeds'] == 1
  measured = found['measured']
  assert measured['gain_at_100'] == pytest.approx(0.2)
  assert measured['gain_at_100_less_1000'] == pytest.approx(0.15)
  assert measured['gain_at_100_low'] < 0.2 < measured['gain_at_100_high']
  assert found['note'] == 'gain_at_100_less_1000 decides'
  worse = LEVEL | {('stackexchange', 100): 0.3, ('stackexchange', 1000): 0.65}
  assert check(worse)['verdict'] == 'fail'
  same = LEVEL | {('stackexchange', 1000): 0.85}
  assert check(same)['verdict'] == 'inconclusive'


def test_ends_of_the_contrast_are_those_of_loops_over_draws():
  given = pairs(LEVEL)
  found = pretrained.contrast_of_gains(given, 'helpful', 'stackexchange')
  right = {
    cell: own.set_index('pair_id')['right']
    for cell, own in given.groupby(['before', 'pairs'])
  }
  order = sorted(right['none', 100].index)
  gain = {
    n: [right['stackexchange', n][p] - right['none', n][p] for p in order]
    for n in (100, 1000)
  }
  both = [a - b for a, b in zip(gain[100], gain[1000], strict=True)]
  group = given.drop_duplicates('pair_id').set_index('pair_id')['prompt_id']
  drawn = [
    sum(n * x for n, x in zip(counts, both, strict=True)) / sum(counts)
    for counts in conversations.counts(group[order]).tolist()
  ]
  one = found['gain_at_100_less_1000'].interval
  assert one.mean == pytest.approx(loops.mean(both))
  assert [one.low, one.high] == pytest.approx(list(np.quantile(drawn, ENDS)))
  assert one.n == N // 2


def test_the_check_is_of_studies_with_such_heads_alone():
  with pytest.raises(NotHereError, match='no pretrained heads'):
    pretrained_heads_help({})
  only = {k: v for k, v in LEVEL.items() if k[0] == 'none'}
  with pytest.raises(NotHereError, match='no heads after stackexchange'):
    check(only)
  other = {'pretrained_pairs': pairs(LEVEL, model='mix')}
  with pytest.raises(NotHereError, match='no heads of helpful pairs'):
    pretrained_heads_help(other)


def test_a_panel_a_model_has_a_line_a_pretraining_and_where_it_starts():
  given = pd.concat([pairs(LEVEL), pairs(LEVEL, model='mix')])
  rows = pd.DataFrame(pretrained.rows(given)).assign(size='135M', n_params=1)
  tables = {'pretraining_gains': rows}
  canvas = figures.Canvas(tables)
  real_pretraining(canvas, tables)
  helpful, mix = canvas.figure.axes
  assert helpful.get_title() == 'pairs: helpful'
  assert mix.get_title() == 'pairs: mix'
  for axis in (helpful, mix):
    lines = {c.get_label(): c[0].get_ydata() for c in axis.containers}
    assert lines['no pretraining'] == pytest.approx([0.5, 0.65])
    assert lines['after stackexchange'] == pytest.approx([0.7, 0.7])
    assert next(iter(lines)) == 'no pretraining'
    assert [x.get_text() for x in axis.get_xticklabels()] == ['100', '1000']
    flat = [x.get_ydata()[0] for x in axis.lines if x.get_linestyle() == ':']
    assert flat == [pytest.approx(0.55)]
