"""docs/real-pairs.md says of PPO what the tables of results/smollm2_rl hold."""

import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import frontier, intervals

ROOT = pathlib.Path(__file__).parents[1]
SEEDS = 200, 201, 202


def plain(number, digits):
  """A number as the page has it, '.48' and '-.02'."""
  return re.sub(r'^(-?)0\.', r'\1.', f'{number:.{digits}f}')


def interval(values, digits):
  found = intervals.t_interval(values)
  mean, low, high = (
    plain(x, digits) for x in (found.mean, found.low, found.high)
  )
  return f'{mean} [{low}, {high}]'


@pytest.fixture(scope='module')
def page():
  text = (ROOT / 'docs' / 'real-pairs.md').read_text()
  return ' '.join(text.partition('## PPO against')[2].split())


@pytest.fixture(scope='module')
def measured():
  """{scorer: a frame with a row a seed}."""
  folder = ROOT / 'results' / 'smollm2_rl' / 'tables'
  names = 'frontier', 'rl_curve', 'rl_pi0'
  edges, curves, starts = (pd.read_csv(folder / f'{x}.csv') for x in names)
  edges, found = edges.query('subset == "all"'), {'train': [], 'test': []}
  for scorer, rows in found.items():
    for seed in SEEDS:
      curve = curves[curves['seed'] == seed].sort_values('iteration')
      edge, pi0 = (
        rows_of[(rows_of['seed'] == seed) & (rows_of['scorer'] == scorer)]
        for rows_of in (edges, starts)
      )
      gain_N = (curve[f'{scorer}_pm'] - pi0['mean'].item()).to_numpy()
      share_N = frontier.efficiency(edge, curve['kl'], gain_N)
      root_N = np.sqrt(curve['kl'].clip(lower=0).to_numpy())
      inside_N = (root_N >= 0.5) & np.isfinite(share_N)
      row = frontier.shape(edge) | {'most': edge['gain'].max()}
      row |= {'share': share_N[inside_N].mean(), 'points': inside_N.sum()}
      rows.append(row | {'end': gain_N[-1], 'root': root_N[-1]})
  return {scorer: pd.DataFrame(rows) for scorer, rows in found.items()}


def test_the_frontier_is_the_one_on_the_page(page, measured):
  train, test = measured['train'], measured['test']
  assert f'p = {interval(train["p"], 3)} by the train PM' in page
  assert f'and {interval(test["p"], 3)} by the test PM' in page
  bows = [interval(rows['bow'], 3) for rows in (train, test)]
  assert f'Its bow is {bows[0]} and {bows[1]}.' in page
  ends = train['sqrt_kl'].min(), train['sqrt_kl'].max()
  assert '{:.1f} to {:.1f}, where'.format(*ends) in page
  most = [plain(x, 2) for x in (train['most'].min(), train['most'].max())]
  assert f'{most[0]} to {most[1]} log-odds of the train PM' in page


def test_the_share_of_ppo_and_its_end_are_those_on_the_page(page, measured):
  train, test = measured['train'], measured['test']
  assert f'gain {interval(train["share"], 2)} of what' in page
  assert f'and {interval(test["share"], 2)} by the test PM' in page
  assert set(train['points']) | set(test['points']) == {2, 3}
  one, two, three = (f'{x:.1f}' for x in train['root'])
  assert f'sqrt(KL) = {one}, {two} and {three}.' in page
  for name, rows in (('train PM has risen', train), ('test PM', test)):
    one, two, three = (plain(x, 2) for x in rows['end'])
    assert f'{name} by {one}, {two} and {three}' in page
