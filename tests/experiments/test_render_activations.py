"""One seed of the theme activations, and what it is made of."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from experiments_command import call, succeeded

from experiments.shared import activation_images as images_of
from experiments.shared import activation_models as models
from experiments.shared import activation_rows as rows_of
from experiments.shared import activation_unseen as unseen
from experiments.shared import activation_ways as ways
from experiments.studies import registry
from rlhf_jax.analysis import runs
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.drawings.activations import decoded
from rlhf_jax.models.cnn.network import Classifier
from tests import doc_commands
from tests.test_configs import _config

ROOT = pathlib.Path(__file__).resolve().parents[2]

SMALL = {'train_images': 100, 'test_images': 50, 'fit_images': 40}
SMALL |= {'calibration': 5, 'overlaps': 6, 'blends': 3, 'occlusions': 7}


def config(**changes):
  return _config('activations', 'full_smoke') | SMALL | changes


def test_the_images_of_a_seed_are_as_many_as_asked_and_its_own():
  found = images_of.make(config())
  again, other = images_of.make(config()), images_of.make(config(seed=1))
  for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
    np.testing.assert_array_equal(x, y)
  assert not np.array_equal(found.train.image_NHW, other.train.image_NHW)
  assert len(found.train.label_N) == 2 * 100 and len(found.test.label_N) == 50
  assert found.clutter.shape == (40, 12, 12)
  assert found.calibration.image_NHW.shape == (5, 12, 12)
  assert found.overlaps.label_2N.shape == (2, 6)
  assert {k: len(v.image_NHW) for k, v in found.blends.items()} == {
    '4/9': 3,
    '3/8': 3,
    '1/7': 3,
  }
  hidden = {k: 1 - v.mask_NHW.mean() for k, v in found.occluded.items()}
  assert hidden == pytest.approx(
    {'20': 25 / 144, '35': 49 / 144, '50': 64 / 144}
  )
  assert found.cluttered.image_NHW.shape == (5, 18, 18)


def test_thresholds_are_chosen_on_digits_that_nothing_is_measured_on():
  """Without a shift every part of a pair is a digit of its own side."""
  found = images_of.make(config(shift=0, copies=1))
  known = lambda digits: {x.tobytes() for x in digits.image_NHW}
  train, test = known(found.train), known(found.test)
  assert not train & test
  parts = lambda pairs: {
    x.tobytes() for x in pairs.part_2NHW.reshape(-1, 12, 12)
  }
  assert parts(found.calibration) <= train
  assert parts(found.overlaps) <= test
  assert all(parts(pairs) <= test for pairs in found.blends.values())
  assert all(known(x) <= test for x in found.occluded.values())


def test_real_digits_of_another_size_are_refused():
  with pytest.raises(ValueError, match='side=12: images of mnist have 28 pixe'):
    images_of.make(config(images='mnist'))


def test_parameters_are_counted_and_a_changed_bit_changes_their_digest():
  params = Classifier((6, 8), 24, 3).init(
    jax.random.key(0), jnp.zeros((1, 12, 12, 1))
  )
  total = sum(x.size for x in jax.tree.leaves(params))
  shape = {'side': 12, 'channels': (6, 8), 'dense': 24, 'kernel': 3}
  assert models.count(**shape) == total
  one = models.digest(params)
  assert one == models.digest(jax.device_get(params)) and len(one) == 64
  flat, tree = jax.tree.flatten(params)
  flat[0] = flat[0].at[0].add(1e-7)
  assert models.digest(jax.tree.unflatten(tree, flat)) != one


def test_pictures_are_kept_to_a_grey_level():
  image = np.random.default_rng(0).random((5, 5))
  back = decoded(rows_of.encoded(image), 5)
  assert np.abs(back - image).max() <= 0.5 / 255 + 1e-9
  rows = rows_of.Rows(pictures=2)
  rows.show('overlap', 'all', 'v2_0', np.zeros((3, 5, 5)))
  assert [x['example'] for x in rows.pictures] == [0, 1]


def test_batches_are_filled_up_and_cut_again():
  answers = object.__new__(ways.Answers)
  answers.config, seen = {'eval_batch': 4}, []

  def double(x):
    seen.append(x.shape)
    return 2 * x

  x = np.arange(6.0)
  np.testing.assert_array_equal(answers.batched(double, x), 2 * x)
  both = answers.batched(lambda a, b: (a + b, a), x[None], x[None], axis=1)
  np.testing.assert_array_equal(both[0], 2 * x[None])
  assert seen == [(4,), (4,)] and both[1].shape == (1, 6)


def test_training_digits_hide_behind_occluders_of_all_sizes():
  masks = unseen.hidden(200, 12, np.random.default_rng(0))
  shares = sorted({round(float(1 - mask.mean()), 2) for mask in masks})
  sides = [round(12 * np.sqrt(x / 100)) for x in unseen.PERCENTS]
  assert shares == sorted({round(x * x / 144, 2) for x in sides})
  assert shares[0] == 0 and shares[-1] == 1


def test_a_seed_is_one_job_that_needs_nothing():
  study = _config('reproduce', 'full') | {'themes': ['activations']}
  jobs = registry.all_jobs(study, '/r')
  assert [job.name for job in jobs] == [
    f'activations/s{seed}' for seed in range(200, 208)
  ]
  assert all(job.needs == () for job in jobs)
  assert [job.config['seed'] for job in jobs] == list(range(200, 208))


FEW = {'overlaps': 10, 'blends': 5, 'occlusions': 10, 'calibration': 10}


@pytest.mark.slow  # trains a classifier and compiles twenty programs
def test_the_command_of_the_page_runs_to_its_tables_claims_and_report(tmp_path):
  """Drawn digits: claims find their rows, pictures are drawn, hashes agree."""
  page = ROOT / 'docs' / 'activations.md'
  commands = doc_commands.commands_of(page.read_text(), page.name)
  [command] = [x for x in commands if not x.needs]
  place = tmp_path / 'run'
  words = [x.removeprefix('experiments.') for x in command.words[2:]]
  words[-1] = f'--workdir={place}'
  assert words[0] == 'render_activations'
  settings = [f'--config.{key}={value}' for key, value in FEW.items()]
  printed = succeeded(call(*words, *settings)).stdout
  assert f'report: {place}/report/index.html' in printed
  tables = runs.run_tables(place)
  columns = ['query', 'case', 'method', 'measure']
  queries = tables['activation_queries'].set_index(columns)['value']
  assert queries['clean', 'all', 'classifier', 'accuracy'].item() > 0.7
  for layer in (1, 2, 3):  # V1 has V0 among its kernels
    v0, v1 = (queries['fit', 'all', f'{x}_layer{layer}'] for x in ('v0', 'v1'))
    assert float(v1.iloc[0]) < float(v0.iloc[0])
    other = queries['fit', 'all', f'unseen_layer{layer}']
    assert np.isfinite(float(other.iloc[0]))
  assert tables['activation_hashes']['digest'].nunique() == 1
  for number in range(61, 66):
    finding = load().claim(number).evaluator(tables)
    assert all(np.isfinite(c.interval.mean) for c in finding.contrasts)
  drawn = {file.stem for file in (place / 'figures').glob('*.svg')}
  assert {
    draw.__name__ for draw in load().themes['activations'].drawings
  } <= drawn
