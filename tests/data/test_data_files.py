"""Which files of a folder are read, and what is said of the others."""

import gzip
import json
import os

import pytest
from comparison_fixture import comparison

from rlhf_jax.data import data_files, tfds_builder
from rlhf_jax.data.jsonl import (
  DataError,
  read_comparisons,
  write_comparisons,
)


def pairs(count, kind='helpful'):
  return [
    comparison(f'{kind} {i}?', ' Yes.', ' No.', kind=kind, source=kind)
    for i in range(count)
  ]


@pytest.fixture
def warnings(monkeypatch):
  """Lines that are said; the same folder is said anew in each test."""
  lines = []
  data_files._say_unread.cache_clear()
  monkeypatch.setattr(
    data_files.logging, 'warning', lambda text, *args: lines.append(text % args)
  )
  return lines


def test_a_linked_tranche_is_read_by_all_readers_alike(tmp_path):
  """80 pairs in the folder, 80 behind a link: 160, and each of its kind."""
  root = tmp_path / 'hh'
  write_comparisons(root / 'helpful-base' / 'test.jsonl.gz', pairs(80))
  elsewhere = tmp_path / 'disk' / 'x7'
  row = {'chosen': pairs(1)[0].chosen, 'rejected': pairs(1)[0].rejected}
  elsewhere.mkdir(parents=True)
  text = ''.join(json.dumps(row) + '\n' for _ in range(80))
  (elsewhere / 'test.jsonl.gz').write_bytes(gzip.compress(text.encode()))
  (root / 'harmless-base').symlink_to(elsewhere)
  records, counts = read_comparisons(root)
  assert counts == {'read': 160, 'kept': 160}
  by_name = [
    read_comparisons(tfds_builder.source_files(root, tranche)['test'])[0]
    for tranche in ('harmless-base', 'helpful-base')
  ]
  assert records == [*by_name[0], *by_name[1]]
  linked = records[:80]  # the name is that of the link
  assert {x.source for x in linked} == {'harmless-base/test'}
  assert {x.kind for x in linked} == {'harmless'}


def test_a_linked_file_has_the_name_of_the_link(tmp_path):
  """As in the caches of Hugging Face, whose files are blobs."""
  blob = tmp_path / 'blobs' / '0a1b'
  row = {'chosen': pairs(1)[0].chosen, 'rejected': pairs(1)[0].rejected}
  blob.parent.mkdir()
  blob.write_text(json.dumps(row) + '\n')
  link = tmp_path / 'harmless-base' / 'train.jsonl'
  link.parent.mkdir()
  link.symlink_to(blob)
  (record,), _ = read_comparisons(link.parent)
  assert (record.source, record.kind) == ('harmless-base/train', 'harmless')


def test_a_folder_that_holds_itself_is_read_once(tmp_path):
  write_comparisons(tmp_path / 'a' / 'x.jsonl', pairs(3))
  (tmp_path / 'a' / 'again').symlink_to(tmp_path)
  assert read_comparisons(tmp_path)[1] == {'read': 3, 'kept': 3}


def test_a_link_to_nothing_is_an_error_in_every_reader(tmp_path):
  folder = tmp_path / 'helpful-base'
  write_comparisons(folder / 'test.jsonl.gz', pairs(2))
  (folder / 'train.jsonl.gz').symlink_to(tmp_path / 'gone.gz')
  wanted = r'train\.jsonl\.gz: wanted a file, got a link to .*gone\.gz'
  with pytest.raises(DataError, match=wanted):
    read_comparisons(tmp_path)
  with pytest.raises(DataError, match=wanted):
    tfds_builder.source_files(tmp_path, 'helpful-base')
  with pytest.raises(DataError, match='got a link to .*gone'):
    read_comparisons(folder / 'train.jsonl.gz')


def test_notes_of_macos_and_hidden_folders_are_no_data(tmp_path, warnings):
  """AppleDouble files have the names of the files that they are about."""
  write_comparisons(tmp_path / 'helpful-base' / 'train.jsonl.gz', pairs(2))
  for name in (
    'helpful-base/._train.jsonl.gz',
    '__MACOSX/helpful-base/train.jsonl.gz',
    '.cache/train.jsonl',
  ):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b'\x00\x05\x16\x07' + bytes(60))
  assert read_comparisons(tmp_path)[1] == {'read': 2, 'kept': 2}
  files = tfds_builder.source_files(tmp_path, 'helpful-base')
  assert list(files) == ['train']
  assert warnings == []
  with pytest.raises(DataError, match='an AppleDouble file, .*; delete it'):
    read_comparisons(tmp_path / 'helpful-base' / '._train.jsonl.gz')


def test_files_of_unknown_endings_are_said_once_and_counted(tmp_path, warnings):
  """Seven of eight: each is named, and none is an error."""
  write_comparisons(tmp_path / 'a.jsonl', pairs(2))
  others = [f'part-{i}.jsonl.zst' for i in range(6)] + ['sub/table.csv']
  for name in others:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('x')
  for _ in range(2):
    counts = read_comparisons(tmp_path)[1]
    assert counts == {'read': 2, 'kept': 2, 'files not read': 7}
  [line] = warnings
  assert '1 files read; 7 not' in line and 'rename those' in line
  assert all(name in line for name in others)


def test_a_folder_without_data_names_what_is_there(tmp_path):
  (tmp_path / 'pairs.csv').write_text('x')
  with pytest.raises(DataError, match=r'with 1 others \(pairs\.csv\)'):
    read_comparisons(tmp_path)


@pytest.mark.parametrize('other', ['a.jsonl', 'a.json', 'a.parquet'])
def test_a_file_beside_its_packed_self_is_not_counted_twice(tmp_path, other):
  write_comparisons(tmp_path / 'a.jsonl.gz', pairs(2))
  write_comparisons(tmp_path / 'sub' / 'a.jsonl', pairs(2))  # another folder
  assert read_comparisons(tmp_path)[1] == {'read': 4, 'kept': 4}
  (tmp_path / other).write_bytes(b'')
  with pytest.raises(DataError, match='wanted one file of a name, got a.* del'):
    read_comparisons(tmp_path, 'skip-broken-files')


def test_a_pipe_is_no_data_file(tmp_path):
  os.mkfifo(tmp_path / 'a.jsonl')
  with pytest.raises(DataError, match='file or directory, got what is neither'):
    read_comparisons(tmp_path / 'a.jsonl')


@pytest.mark.parametrize(
  ('name', 'split'),
  [
    ('train.jsonl', 'train'),
    ('data/train-00000-of-00002.parquet', 'train'),
    ('training/0.jsonl', 'train'),
    ('val.jsonl', 'validation'),
    ('dev/0.json', 'validation'),
    ('validation_prefs.parquet', 'validation'),
    ('test_prefs.jsonl.gz', 'test'),
    ('hh_helpful_base_test/pairs.jsonl.gz', 'test'),
    ('test/train.jsonl', 'train'),  # the file's name goes before its folder's
    ('latest.jsonl', None),
    ('pairs.jsonl', None),
    ('train_test.jsonl', None),
  ],
)
def test_a_split_is_told_by_a_name(tmp_path, name, split):
  assert data_files.split_of(tmp_path / name, tmp_path) == split


def test_the_folder_above_says_nothing(tmp_path):
  root = tmp_path / 'test'
  assert data_files.split_of(root / 'pairs.jsonl', root) is None


LFS = (
  b'version https://git-lfs.github.com/spec/v1\n'
  b'oid sha256:4d7a214614ab2935c943f9e0ff69d22e\n'
  b'size 12345\n'
)
FOREIGN = {
  'Git LFS pointer': (LFS, 'git lfs pull'),
  'git-annex pointer': (b'/annex/objects/SHA256E-s9--0a.jsonl', 'annex get'),
  'empty gzip': (gzip.compress(b''), 'a gzip of nothing'),
  'empty file': (b'', '0 bytes'),
  'web page': (b'<!DOCTYPE html>\n<html>', 'a web page; download'),
  'zip archive': (b'PK\x03\x04' + bytes(30), 'a zip archive; unpack'),
  'zstd file': (b'\x28\xb5\x2f\xfd' + bytes(30), 'zstd; unpack'),
  'UTF-16 text': ('{"a": 1}'.encode('utf-16'), 'UTF-16; convert'),
  'UTF-32 text': ('{"a": 1}'.encode('utf-32'), 'UTF-32; convert'),
  'SQLite file': (b'SQLite format 3\x00' + bytes(84), 'a SQLite database'),
  'binary file': (bytes(99), 'no text, from 00 00 00 00 00 00 00 00 on'),
  'broken parquet': (b'\x15' * 40 + b'PAR1', 'a whole Parquet file'),
  'tar archive': (bytes([65]) * 257 + b'ustar' + bytes(250), 'a tar archive'),
}


@pytest.mark.parametrize('reason', FOREIGN)
def test_a_file_that_holds_no_rows_says_what_it_is(tmp_path, reason):
  """And is an error, unless broken files are asked for."""
  data, words = FOREIGN[reason]
  file = tmp_path / 'train.jsonl.gz'
  file.write_bytes(data)
  for on_error in ('raise', 'skip'):
    with pytest.raises(DataError, match=r'train\.jsonl\.gz:1: ') as caught:
      read_comparisons(file, on_error)
    assert words in str(caught.value)
  _, counts = read_comparisons(file, 'skip-broken-files')
  assert counts == {'read': 1, 'kept': 0, reason: 1}


def test_what_is_in_a_gzip_is_told_too(tmp_path):
  file = tmp_path / 'a.jsonl.gz'
  file.write_bytes(gzip.compress(LFS))
  with pytest.raises(DataError, match='got a gzip of a Git LFS pointer'):
    read_comparisons(file, 'skip')


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-32'])
@pytest.mark.parametrize('order', ['le', 'be'])
def test_a_wide_text_is_told_without_its_mark(tmp_path, encoding, order):
  """Each of its lines would be one of bad JSON."""
  file = tmp_path / 'a.jsonl'
  for text in ('{"chosen": "\u4e2d\u6587"}\n', '\n[{"chosen": 1}]'):
    data = text.encode(f'{encoding}-{order}')
    for written in (data, gzip.compress(data)):
      file.write_bytes(written)
      with pytest.raises(DataError, match=f'text in {encoding.upper()}'):
        read_comparisons(file, 'skip')


def test_a_gzip_in_a_gzip_and_a_parquet_in_one_are_named(tmp_path):
  file = tmp_path / 'a.jsonl.gz'
  for inner, words in (
    (gzip.compress(b'{}'), 'a gzip of a gzip; unpack it once'),
    (b'PAR1' + bytes(99), 'a gzip of a Parquet file; unpack it'),
  ):
    file.write_bytes(gzip.compress(inner))
    with pytest.raises(DataError, match=words):
      read_comparisons(file, 'skip')


def test_a_gzip_whose_first_bytes_are_lost_is_binary(tmp_path):
  """And a line with a few bytes of its own wrong is a line."""
  file = tmp_path / 'a.jsonl.gz'
  rows = ''.join(json.dumps({'a': i * i}) + '\n' for i in range(500))
  file.write_bytes(b'\0\0' + gzip.compress(rows.encode())[2:])
  with pytest.raises(DataError, match='bytes that are no text'):
    read_comparisons(file, 'skip')
  row = json.dumps({'chosen': pairs(1)[0].chosen, 'rejected': 'x' * 99})
  file.write_bytes(row.replace('x' * 5, '\0' * 5, 1).encode() + b'\n{}\n')
  assert read_comparisons(file, 'skip')[1]['read'] == 2


@pytest.mark.parametrize('text', ['\n \n', '[]', '[ \n]'])
def test_a_file_without_a_row_is_an_empty_file(tmp_path, text):
  for name, data in (('a', text.encode()), ('b', gzip.compress(text.encode()))):
    file = tmp_path / f'{name}.jsonl'
    file.write_bytes(data)
    with pytest.raises(DataError, match='wanted at least one row, got'):
      read_comparisons(file, 'skip')


def test_a_file_that_may_not_be_read_is_no_empty_one(tmp_path):
  file = tmp_path / 'a.jsonl'
  file.write_text('{}')
  file.chmod(0)
  if os.access(file, os.R_OK):
    pytest.skip('this user may read everything')
  with pytest.raises(PermissionError):
    read_comparisons(file, 'skip-broken-files')
