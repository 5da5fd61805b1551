import gzip
import json
import math
import subprocess
import sys

import pytest

from rlhf_jax.data import tfds_builder
from rlhf_jax.data.jsonl import DataError, write_comparisons

BY_TEXT = lambda record: record.chosen


def released(root, comparisons):
  write_comparisons(root / 'helpful-base' / 'train.jsonl.gz', comparisons)
  write_comparisons(root / 'helpful-base' / 'test.jsonl.gz', comparisons[:1])
  return root


def test_the_released_layout_builds_and_reads_back(comparisons, tmp_path):
  root = released(tmp_path / 'hh', comparisons)
  built = tmp_path / 'built'
  train = tfds_builder.load(root, 'helpful-base', 'train', built)
  test = tfds_builder.load(root, 'helpful-base', 'test', built)
  assert len(train) == 4 and len(test) == 1
  for got, wanted in zip(
    sorted(train, key=BY_TEXT), sorted(comparisons, key=BY_TEXT), strict=True
  ):
    assert (got.chosen, got.rejected) == (wanted.chosen, wanted.rejected)
    assert (got.kind, got.prompt_id) == (wanted.kind, wanted.prompt_id)
    assert got.p_label == wanted.p_label or (
      math.isnan(got.p_label) and math.isnan(wanted.p_label)
    )
    assert got.source == 'helpful-base/train'
  with pytest.raises(DataError, match=r"'validation' .* \['test', 'train'\]"):
    tfds_builder.load(root, 'helpful-base', 'validation', built)


def test_a_build_says_what_it_reads_and_claims_no_download(
  comparisons, tmp_path, capfd
):
  root = released(tmp_path / 'hh', comparisons)
  for _ in range(2):
    tfds_builder.load(root, 'helpful-base', 'train', tmp_path / 'built')
  said = capfd.readouterr()
  assert 'ownload' not in said.out + said.err
  assert said.err.count(f'reading helpful-base of {root}, once\n') == 1


def test_the_flat_layout_builds_one_split(comparisons, tmp_path):
  flat = tmp_path / 'hh_harmless_base_test' / 'pairs.jsonl.gz'
  write_comparisons(flat, comparisons)
  files = tfds_builder.source_files(tmp_path, 'harmless-base')
  assert files == {'test': flat}
  got = tfds_builder.load(tmp_path, 'harmless-base', 'test', tmp_path / 'b')
  assert sorted(c.chosen for c in got) == sorted(c.chosen for c in comparisons)


def test_red_team_attempts_build_with_features_of_their_own(tmp_path):
  row = {
    'transcript': '\n\nHuman: x\n\nAssistant: naïve',
    'rating': 2,
    'model_type': 'rlhf',
    'num_params': '52B',
    'task_description': 'try x',
    'tags': ['theft', 'fraud'],
  }
  file = tmp_path / 'red-team-attempts' / 'red_team_attempts.jsonl.gz'
  file.parent.mkdir()
  rows = [row, {**row, 'tags': None, 'rating': 4.0}]
  file.write_bytes(gzip.compress(json.dumps(rows).encode()))
  got = tfds_builder.load(tmp_path, 'red-team-attempts', 'train', tmp_path)
  first, second = sorted(got, key=lambda attempt: attempt.rating)
  assert first.tags == ('theft', 'fraud') and second.tags == ()
  assert first.transcript == row['transcript'] and second.rating == 4.0
  assert (first.model_type, first.num_params) == ('rlhf', '52B')


def test_a_changed_source_is_built_anew_and_the_same_one_is_not(
  comparisons, tmp_path
):
  root, built = tmp_path / 'hh', tmp_path / 'built'
  file = root / 'helpful-online' / 'train.jsonl.gz'
  load = lambda: tfds_builder.load(root, 'helpful-online', 'train', built)
  write_comparisons(file, comparisons[:2])
  assert len(load()) == 2
  folders = set(built.iterdir())
  assert len(load()) == 2 and set(built.iterdir()) == folders
  write_comparisons(file, comparisons)
  assert len(load()) == 4
  assert len(set(built.iterdir())) == 2


def test_a_malformed_line_stops_the_build_or_is_left_out(comparisons, tmp_path):
  file = tmp_path / 'helpful-base' / 'test.jsonl.gz'
  write_comparisons(file, comparisons)
  file.write_bytes(file.read_bytes() + gzip.compress(b'{}\n'))
  load = lambda on_error: tfds_builder.load(
    tmp_path, 'helpful-base', 'test', tmp_path / 'built', on_error
  )
  with pytest.raises(DataError, match=r'test\.jsonl\.gz:5: wanted the key'):
    load('raise')
  assert len(load('skip')) == 4
  with pytest.raises(DataError, match=r'test\.jsonl\.gz:5'):
    load('raise')


def test_an_absent_source_is_one_clear_line(tmp_path):
  with pytest.raises(DataError, match='check local_dir'):
    tfds_builder.load(tmp_path, 'helpful-base', 'test', tmp_path / 'built')


def test_without_a_local_folder_the_released_files_are_asked_for(
  comparisons, tmp_path
):
  """The manager names files by hash, so no suffix may be relied upon."""

  class Manager:
    def download(self, urls):
      self.urls = urls
      paths = {split: tmp_path / f'{split}.0a1b2c' for split in urls}
      for path in paths.values():
        write_comparisons(tmp_path / 'x.jsonl.gz', comparisons)
        (tmp_path / 'x.jsonl.gz').rename(path)
      return paths

  manager = Manager()
  builder = tfds_builder.HhRlhf(
    config='harmless-base', data_dir=tmp_path, file_format='array_record'
  )
  splits = builder._split_generators(manager)
  root = 'https://huggingface.co/datasets/Anthropic/hh-rlhf/resolve/main'
  assert manager.urls == {
    'train': f'{root}/harmless-base/train.jsonl.gz',
    'test': f'{root}/harmless-base/test.jsonl.gz',
  }
  keys, rows = zip(*splits['test'], strict=True)
  assert keys == (0, 1, 2, 3)
  assert rows[0]['source'] == 'harmless-base/test'


def test_building_and_reading_import_no_tensorflow(comparisons, tmp_path):
  released(tmp_path, comparisons)
  code = f"""
import sys
from rlhf_jax.data import tfds_builder
root = {str(tmp_path)!r}
assert len(tfds_builder.load(root, 'helpful-base', 'train', root + '/b')) == 4
assert 'tensorflow' not in sys.modules
"""
  subprocess.run([sys.executable, '-c', code], check=True)
