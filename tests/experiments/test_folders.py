"""Stages that start from a Hugging Face folder, and the release they read."""

import gzip
import json

import jax
import numpy as np
import pytest
from pythia_folder import ROWS, comparison, write_model, write_pairs

from experiments.shared import models, people
from rlhf_jax.data.jsonl import DataError, write_comparisons
from rlhf_jax.models import ladder
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train import about
from tests.pretrained_files import need_or_skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  need_or_skip('tokenizers', 'safetensors')
  return write_model(tmp_path_factory.mktemp('models') / 'pythia-dry')


def test_a_folder_is_told_from_a_run(folder, tmp_path):
  assert not about.is_run(folder)
  assert not about.is_run(tmp_path)
  (tmp_path / 'config.json').write_text('{"config": {}, "row": {}}')
  assert about.is_run(tmp_path)


def test_a_language_model_stage_may_be_a_folder(folder):
  """Its weights, and one row more for the end-of-context token."""
  config = {'base': str(folder), 'size': 'pythia-dry', 'dtype': 'bfloat16'}
  base = models.open_base(config | {'pad_token': '<|padding|>'})
  params = base.params
  assert base.functions.config.dtype == 'bfloat16'
  wanted = load_folder(folder).params
  embed = params['trunk']['embed']
  assert embed.shape == (ROWS + 1, 32)
  np.testing.assert_array_equal(embed[:-1], wanted['trunk']['embed'])
  like = jax.eval_shape(
    models.rung_model('pythia-dry', ROWS + 1).init, jax.random.key(0)
  )
  same = lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype)
  assert jax.tree.all(jax.tree.map(same, params, like))


def test_the_path_of_a_folder_is_a_size(folder):
  config = ladder.config_for(str(folder), ROWS + 1, dtype='bfloat16')
  named = ladder.config_for('pythia-dry', ROWS + 1, dtype='bfloat16')
  assert config == named
  rung = ladder.rung(str(folder))
  assert rung[:3] == ladder.rung('pythia-dry')[:3]
  assert 1e-4 < rung.learning_rate < 3e-3


def test_a_folder_of_another_model_names_what_differs(folder):
  with pytest.raises(ValueError, match='holds another model: n_layers 2, want'):
    models.load_as(folder, ladder.config_for('pythia-70m', ROWS + 1))
  with pytest.raises(ValueError, match='vocab_size 264, wanted at most 100'):
    models.load_as(folder, ladder.config_for('pythia-dry', 100))


def test_a_folder_with_more_tokens_than_rows_is_refused(folder):
  with pytest.raises(ValueError, match='vocab_size 264, wanted 265 for the to'):
    models.load_as(folder, ladder.config_for('pythia-dry', ROWS + 2))


def test_a_path_without_a_folder_is_an_error(tmp_path):
  with pytest.raises(OSError, match='config.json'):
    ladder.rung(f'{tmp_path}/nothing')


def test_the_release_keeps_its_split(tmp_path):
  write_pairs(tmp_path)
  tranches = ('helpful-base', 'harmless-base')
  found, counts = people.released_comparisons(tmp_path, tranches, 'raise')
  assert {k: len(v) for k, v in found.items()} == {'train': 48, 'test': 12}
  kinds = [item.kind for item in found['train']]
  assert kinds == ['helpful'] * 24 + ['harmless'] * 24
  assert counts['helpful-base/train'] == {'read': 24, 'kept': 24}
  assert counts['train pairs of a test conversation'] == 0


def test_training_pairs_of_a_test_conversation_are_left_out(tmp_path):
  write_pairs(tmp_path)
  file = tmp_path / 'harmless-base' / 'test.jsonl.gz'
  write_comparisons(file, [comparison('big cathe')])  # a helpful training one
  tranches = ('helpful-base', 'harmless-base')
  found, counts = people.released_comparisons(tmp_path, tranches, 'raise')
  assert counts['train pairs of a test conversation'] == 1
  assert len(found['train']) == 47
  sides = [{item.prompt_id for item in part} for part in found.values()]
  assert not sides[0] & sides[1]


def test_a_tranche_without_a_split_is_an_error(tmp_path):
  write_pairs(tmp_path, ('helpful-base',))
  (tmp_path / 'helpful-base' / 'train.jsonl.gz').unlink()
  with pytest.raises(DataError, match='helpful-base has no train file, got'):
    people.released_comparisons(tmp_path, ('helpful-base',), 'raise')


def test_a_malformed_row_of_the_release_is_named(tmp_path):
  write_pairs(tmp_path, ('helpful-base',))
  file = tmp_path / 'helpful-base' / 'test.jsonl.gz'
  with gzip.open(file, 'at') as stream:
    stream.write(json.dumps({'chosen': 'x'}) + '\n')
  with pytest.raises(DataError, match='test.jsonl.gz:7: '):
    people.released_comparisons(tmp_path, ('helpful-base',), 'raise')
