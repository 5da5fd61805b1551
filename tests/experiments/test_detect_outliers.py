"""Prompts of two kinds, their splits, and classifiers that are shown a few."""

import json

import imported_fixture as tiny
import numpy as np
import pandas as pd
import pytest
import tiny_stages

from experiments import detect_outliers, make_text, train_lm
from experiments.shared import outliers
from experiments.studies import registry
from rlhf_jax.analysis import ood
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.linear import logistic
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config

SIZES = {'fit_prompts': 40, 'test_prompts': 20, 'exposed_prompts': 12}
SIZES |= {'exposures': [1, 4], 'exposure_draws': 3, 'shuffles': 5}


def config(**changes):
  return _config('outliers', 'full_smoke') | SIZES | changes


def test_simulated_prompts_are_of_two_kinds_and_come_once():
  found = outliers.read_texts(config())
  assert [len(x) for x in found[:2]] == [60, 32]
  assert len(set(found.known) | set(found.others)) == 92
  again = outliers.read_texts(config())
  other = outliers.read_texts(config(seed=1))
  assert again == found and other.known != found.known
  assert all(x.endswith('\n\nAssistant:') for x in found.known + found.others)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'exposures': [1, 13]}, 'wanted at most exposed_prompts, 12'),
    ({'exposed_prompts': 9000}, 'wanted 9020 different harmful prompts, got'),
  ],
)
def test_more_prompts_than_there_are_is_one_line(changes, message, monkeypatch):
  monkeypatch.setattr(outliers, 'TRIES', 2)
  with pytest.raises(ValueError, match=message):
    outliers.read_texts(config(**changes))


def test_no_prompt_is_in_two_parts_of_a_split():
  one, other = (outliers.split_rows(config(), number) for number in (0, 1))
  for split in (one, other):
    assert [len(rows) for rows in split] == [40, 20, 20, 12]
    assert sorted(np.concatenate(split)) == list(range(92))
    assert max(*split.fit, *split.known) < 60
  assert sorted(one.fit) != sorted(other.fit)


def features(seed=0, apart=2.0, layers=2):
  """[92, 2, L, 3]: known prompts about 0, outliers off along the last axis."""
  rng = np.random.default_rng(seed)
  found = rng.normal(size=(92, 2, layers, 3))
  found[..., 1] += found[..., 0]  # else there is nothing but a diagonal
  found[60:, :, :, 2] += apart
  return found.astype(np.float32)


def test_the_classifier_is_that_of_copied_rows():
  rng = np.random.default_rng(0)
  fit, shown, tested = (rng.normal(size=(n, 3)) for n in (11, 2, 5))
  shown += 1
  found = outliers.exposed_scores(fit, shown, tested, 0.1)
  z = lambda x: (x - fit.mean(0)) / fit.std(0)
  rows = [*z(fit)] + [row for row in z(shown) for _ in range(5)]
  weight, offset = logistic.fit_classes(
    np.array(rows), [0] * 11 + [1] * 10, 0.1
  )
  np.testing.assert_allclose(found, z(tested) @ weight + offset)


def test_tables_of_a_split_have_their_columns_and_the_areas_of_a_loop():
  pooled, own = features(), config()
  tables = outliers.tables_of(pooled, own, 1)
  for name, rows in tables.items():
    for row in rows:
      assert set(row) == set(load().tables[name].columns), name
  split = outliers.split_rows(own, 1)
  rows = pd.DataFrame(tables['ood']).set_index(['pool', 'layer', 'score'])
  assert len(rows) == 2 * 2 * 4 and rows['n_fit'].eq(40).all()
  x = lambda part: pooled[part, 1, 0].astype(float)
  gaussian = ood.fit_gaussian(x(split.fit))
  sides = [
    ood.scores(gaussian, x(part))['simplified']
    for part in (split.outliers, split.known)
  ]
  area = np.mean([[a > b for b in sides[1]] for a in sides[0]])
  found = rows.loc['mean', 1, 'simplified']
  assert found['auroc'] == pytest.approx(area)
  halves = [ood.auroc(sides[0][i::2], sides[1][i::2]).value for i in (0, 1)]
  assert list(found[['auroc_first', 'auroc_second']]) == pytest.approx(halves)
  plain = rows.loc['mean', 1, 'plain']
  assert found['over_plain'] == pytest.approx(area - plain['auroc'])
  assert plain['over_plain'] == plain['over_plain_se'] == 0
  background = ood.fit_gaussian(
    np.concatenate([x(split.fit), x(split.exposed)])
  )
  sides = [
    ood.mahalanobis(gaussian, x(part)) - ood.mahalanobis(background, x(part))
    for part in (split.outliers, split.known)
  ]
  area = np.mean([[a > b for b in sides[1]] for a in sides[0]])
  assert rows.loc['mean', 1, 'relative']['auroc'] == pytest.approx(area)
  control = pd.DataFrame(tables['ood_control'])
  assert control['rotated'].max() < 1e-9 < control['unrotated'].min()


def test_shown_outliers_are_compared_with_the_best_distance_of_any_layer():
  """The last layer is noise; the first tells the kinds apart."""
  pooled = features(apart=3.0)
  pooled[60:, :, 1, 2] -= 3.0
  tables = outliers.tables_of(pooled, config(), 0)
  rows = pd.DataFrame(tables['ood'])
  rows = rows[(rows['pool'] == 'last') & rows['score'].isin(ood.RIVALS)]
  shown = pd.DataFrame(tables['ood_exposure'])
  shown = shown[shown['pool'] == 'last'].set_index('outliers')
  assert list(shown['layer']) == [2, 2] and list(shown['draws']) == [3, 3]
  assert rows.loc[rows['auroc'].idxmax(), 'layer'] == 1
  for _, row in shown.iterrows():
    wanted = row['auroc'] - rows['auroc'].max()
    assert row['over_best'] == pytest.approx(wanted) and wanted < 0
  step = shown.loc[4, 'auroc'] - shown.loc[1, 'auroc']
  assert shown.loc[4, 'over_fewest'] == pytest.approx(step)
  assert shown.loc[1, 'over_fewest'] == shown.loc[1, 'over_fewest_se'] == 0
  assert shown.loc[1, 'auroc_se'] > shown.loc[1, 'spread'] / np.sqrt(3)


def test_a_split_that_is_done_is_not_done_again(tmp_path, monkeypatch):
  own = config()
  first = detect_outliers.split_tables(tmp_path / 'x', own, features(), 0)
  monkeypatch.delattr(outliers, 'tables_of')
  again = detect_outliers.split_tables(tmp_path / 'x', own, None, 0)
  assert again == first


def test_seeds_have_language_models_of_their_own_and_a_base_has_one():
  found = _config('reproduce', 'full_smoke') | {'themes': ['ood']}
  jobs = {job.name: job for job in registry.all_jobs(found, '/r')}
  for seed in (0, 1):
    for size in ('3K', '13K'):
      job = jobs[f'ood/{size}-s{seed}']
      assert job.config['base'] == f'/r/ood_lm/{size}-s{seed}'
      assert job.config['role'] == 'ood'
      (lm,) = job.needs
      assert (lm.config['seed'], lm.config['steps']) == (seed, 150)
  real = _config('reproduce', 'smollm2') | {'themes': ['ood']}
  (job,) = registry.all_jobs(real, '/r')
  assert job.config['base'] == 'smollm2' and job.config['role'] == 'ood_base'
  assert 'world' not in job.config


@pytest.fixture(scope='module')
def lm(tmp_path_factory):
  root = tmp_path_factory.mktemp('outliers')
  make_text.run(tiny_stages.text(root), root / 'text')
  train_lm.run(tiny_stages.lm(root), root / 'lm')
  return root


@pytest.mark.slow  # a language model, and programs of its features
def test_a_language_model_reads_prompts_and_a_killed_run_goes_on(
  lm, monkeypatch
):
  own = config(base=f'{lm}/lm', size='3K', splits=2)
  own |= {'feature_folder': f'{lm}/features', 'max_prompt': 32}
  tables_of = outliers.tables_of

  def killed(pooled, config, number):
    if number == 1:
      raise KeyboardInterrupt
    return tables_of(pooled, config, number)

  monkeypatch.setattr(outliers, 'tables_of', killed)
  with pytest.raises(KeyboardInterrupt):
    detect_outliers.run(own, lm / 'again')
  monkeypatch.setattr(outliers, 'tables_of', tables_of)
  monkeypatch.setattr(detect_outliers.pooling, '_prompt_program', None)
  detect_outliers.run(own, lm / 'again')  # its features are there
  detect_outliers.run(own, lm / 'whole')
  for name in ('ood', 'ood_exposure', 'ood_control'):
    ours, theirs = (lm / x / f'{name}.csv' for x in ('again', 'whole'))
    assert ours.read_bytes() == theirs.read_bytes()
    found = pd.read_csv(ours)
    assert list(found) == list(load().tables[name].columns)
    assert set(found['split']) == {0, 1}


@pytest.mark.slow  # an imported model of its own, and its programs
def test_first_turns_of_real_pairs_are_read_by_an_imported_model(tmp_path):
  need_or_skip('safetensors', 'tokenizers')
  tiny.write_model(tmp_path / 'model')
  tiny.write_data(tmp_path / 'data')
  own = _config('outliers', 'smollm2') | SIZES
  own |= {'base': f'{tmp_path}/model', 'feature_folder': f'{tmp_path}/features'}
  own['data'] = own['data'] | {'path': f'{tmp_path}/data'}
  own |= {'fit_prompts': 30, 'test_prompts': 6, 'exposed_prompts': 4}
  own |= {'splits': 1, 'pad_token': tiny.PAD}
  detect_outliers.run(own, tmp_path / 'run')
  row = json.loads((tmp_path / 'run' / 'config.json').read_text())['row']
  assert row['role'] == 'ood_base'
  assert (tmp_path / 'run' / 'reading.csv').exists()
