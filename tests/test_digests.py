"""Digests: a changed, shortened or deleted artefact is named, and cheaply."""

import json

import pytest

from rlhf_jax import digests

EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'


def finished(folder):
  """A run of two artefacts that has finished."""
  (folder / 'params' / 'd').mkdir(parents=True)
  (folder / 'params' / 'd' / 'chunk').write_bytes(bytes(range(256)))
  (folder / 'curve.csv').write_text('a,b\n1,2\n')
  listed = digests.of_folder(folder)
  done = digests.sealed({'seconds': 1.5, 'digests': listed})
  (folder / 'done.json').write_text(json.dumps(done))


def flip(file, bit):
  data = bytearray(file.read_bytes())
  data[bit // 8] ^= 1 << bit % 8
  file.write_bytes(bytes(data))


def test_the_digest_of_nothing_is_that_of_the_standard(tmp_path):
  (tmp_path / 'empty').touch()
  assert digests.of_file(tmp_path / 'empty') == EMPTY
  assert digests.of_bytes(b'') == EMPTY


def test_artefacts_are_listed_and_what_still_changes_is_not(tmp_path):
  finished(tmp_path)
  for name in ('checkpoints', 'report', 'other run'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'file').touch()
  (tmp_path / 'other run' / 'config.json').touch()
  for name in ('.lock', 'spent.json', 'half.part', 'checkpoints.json'):
    (tmp_path / name).touch()
  assert set(digests.of_folder(tmp_path)) == {'curve.csv', 'params/d/chunk'}


def test_a_folder_as_it_was_written_passes(tmp_path):
  finished(tmp_path)
  digests.check(tmp_path, 'curve.csv', 'params', 'unknown.csv')
  assert digests.read_done(tmp_path)['seconds'] == 1.5


@pytest.mark.parametrize('bit', range(0, 64, 3))
def test_every_flipped_bit_of_an_artefact_is_named(tmp_path, bit):
  finished(tmp_path)
  flip(tmp_path / 'curve.csv', bit)
  digests.check(tmp_path, 'params')
  with pytest.raises(digests.DamagedError, match='curve.csv is damaged'):
    digests.check(tmp_path, 'curve.csv')


def test_what_is_missing_is_named_with_the_remedy(tmp_path):
  finished(tmp_path)
  (tmp_path / 'params' / 'd' / 'chunk').unlink()
  with pytest.raises(digests.DamagedError) as error:
    digests.check(tmp_path, 'params')
  assert str(error.value) == (
    f'{tmp_path}/params/d/chunk is missing: delete {tmp_path} and run its '
    'stage again'
  )


def test_every_flipped_bit_of_done_json_is_seen(tmp_path):
  finished(tmp_path)
  file = tmp_path / 'done.json'
  whole = file.read_bytes()
  meant = json.loads(whole)
  for bit in range(0, 8 * len(whole), 11):
    flip(file, bit)
    try:
      same = json.loads(file.read_bytes()) == meant
    except ValueError:
      same = False
    if not same:
      with pytest.raises(digests.DamagedError, match='done.json'):
        digests.check(tmp_path, 'curve.csv')
    file.write_bytes(whole)


def test_a_run_of_before_has_no_digests_and_is_read(tmp_path):
  finished(tmp_path)
  (tmp_path / 'done.json').write_text('{"seconds": 1}')
  (tmp_path / 'curve.csv').write_text('other')
  digests.check(tmp_path, 'curve.csv')
  (tmp_path / 'done.json').unlink()
  digests.check(tmp_path, 'curve.csv')
  assert digests.read_done(tmp_path) == {}


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'\xff\xfe{}', 'it is not UTF-8 text'),
    (b'{"a": ', ':1: not JSON'),
    (b'[]', 'wanted an object, got list'),
    (b'[' * 100_000, 'x.json'),
  ],
)
def test_a_file_that_is_no_object_is_one_line(tmp_path, content, message):
  file = tmp_path / 'x.json'
  file.write_bytes(content)
  with pytest.raises(digests.DamagedError) as error:
    digests.read_json(file, dict)
  assert str(file) in str(error.value) and message in str(error.value)
  assert '\n' not in str(error.value)
