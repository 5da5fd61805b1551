"""Pairs of one's own: how they are split, drawn and counted."""

import json
import tracemalloc

import pytest

from rlhf_jax.data.jsonl import DataError
from rlhf_jax.data.own_pairs import Limits, read_own_pairs


def row(question, **fields):
  return {'prompt': question, 'chosen': 'Yes.', 'rejected': 'No.', **fields}


def write(file, questions, **fields):
  file.parent.mkdir(parents=True, exist_ok=True)
  rows = [json.dumps(row(question, **fields)) for question in questions]
  file.write_text('\n'.join(rows) + '\n')
  return file


def questions(items):
  """What was asked in each pair."""
  return [
    item.chosen.split('\n\n')[1].removeprefix('Human: ') for item in items
  ]


def read(path, **options):
  settings = {'on_error': 'raise', 'test_fraction': 0.1, 'seed': 0} | options
  return read_own_pairs(path, **settings)


MANY = [f'q{i}' for i in range(200)]


def test_a_file_is_split_once_by_conversation_and_that_is_said(tmp_path):
  """Each question stands there twice; no two sides share one."""
  file = write(tmp_path / 'mine.jsonl', [q for q in MANY for _ in range(2)])
  found = read(file)
  train, test = questions(found.train), questions(found.test)
  assert set(train) | set(test) == set(MANY) and not set(train) & set(test)
  assert len(train) + len(test) == 400
  # 200 questions, a tenth of them: 20, give or take 4.2.
  assert 10 <= len(set(test)) <= 33
  assert found.counts['files'] == {'mine.jsonl': {'read': 400, 'kept': 400}}
  wanted = (
    f'{file}: {len(train)} helpful pairs to train on, {len(test)} helpful'
  )
  assert found.said.startswith(wanted)
  assert 'split by conversation with seed 0, 0.1 held out' in found.said
  assert questions(read(file).test) == test
  assert questions(read(file, seed=1).test) != test


def test_the_files_of_a_folder_stay_what_they_are(tmp_path):
  write(tmp_path / 'train' / '0.jsonl', MANY[:50])
  write(tmp_path / 'train' / '1.jsonl', MANY[50:60])
  write(tmp_path / 'validation.jsonl', MANY[60:70])
  write(tmp_path / 'test.jsonl', MANY[70:75])
  found = read(tmp_path)
  assert questions(found.train) == MANY[:60]
  assert questions(found.test) == MANY[70:75]
  left = {'test pairs left out': {'of the validation files': 10}}
  assert left.items() <= found.counts.items()
  assert 'held out are the test files' in found.said
  assert found.counts['files']['train/1.jsonl'] == {'read': 10, 'kept': 10}
  tuned = read(tmp_path, held_out='validation')
  assert questions(tuned.test) == MANY[60:70]
  (tmp_path / 'test.jsonl').unlink()
  assert questions(read(tmp_path).test) == MANY[60:70]
  (tmp_path / 'validation.jsonl').unlink()
  found = read(tmp_path)  # nothing is held out: one split is made
  assert len(found.train) + len(found.test) == 60 and found.test
  assert 'split by conversation' in found.said


def test_a_held_out_conversation_is_not_trained_on(tmp_path):
  """Of the test files and of the validation files, whichever is used."""
  write(tmp_path / 'train.jsonl', MANY[:10])
  write(tmp_path / 'dev.jsonl', [MANY[2], 'other'])
  write(tmp_path / 'test.jsonl', [MANY[7], 'new'])
  found = read(tmp_path)
  assert questions(found.train) == [
    MANY[i] for i in range(10) if i not in (2, 7)
  ]
  assert questions(found.test) == [MANY[7], 'new']
  left = found.counts['train pairs left out']
  assert left == {'training pairs of a held-out conversation': 2}


def test_held_out_files_alone_are_not_trained_on(tmp_path):
  write(tmp_path / 'test.jsonl', MANY)
  with pytest.raises(DataError, match='beside those held out, got test.jsonl'):
    read(tmp_path)
  assert len(read(tmp_path / 'test.jsonl').train) > 100  # a file is split


def test_every_kind_that_is_there_is_read_and_said(tmp_path):
  """One kind or several, by row or by the name of a file."""
  write(tmp_path / 'train' / 'mine.jsonl', MANY[:6])
  write(tmp_path / 'train' / 'harmless.jsonl', MANY[6:10])
  write(tmp_path / 'train' / 'named.jsonl', MANY[10:12], kind='harmless')
  write(tmp_path / 'test.jsonl', MANY[12:15])
  found = read(tmp_path)
  kinds = [item.kind for item in found.train]
  assert sorted(kinds) == ['harmless'] * 6 + ['helpful'] * 6
  assert '12 pairs (6 helpful, 6 harmless) to train on' in found.said
  assert ', 3 helpful pairs held out' in found.said


def test_what_is_skipped_stands_in_the_counts(tmp_path):
  file = write(tmp_path / 'pairs' / 'a.jsonl', MANY)
  file.write_text(file.read_text() + '{"chosen": 1}\n')
  (tmp_path / 'pairs' / 'b.csv').write_text('x')
  with pytest.raises(DataError, match=r'a\.jsonl:201: '):
    read(tmp_path / 'pairs')
  files = read(tmp_path / 'pairs', on_error='skip').counts['files']
  assert files == {
    'folder': {'files not read': 1},
    'a.jsonl': {'read': 201, 'kept': 200, 'wrong type': 1},
  }


def test_so_many_of_each_side_are_drawn_and_the_rest_is_counted(tmp_path):
  """Every pair has the same chance: quarters of the file come up alike."""
  file = write(tmp_path / 'a.jsonl', [f'q{i}' for i in range(2000)])
  everything = read(file, test_fraction=0.5)
  found = read(file, test_fraction=0.5, limits=Limits(400, 100))
  assert len(found.train) == 400 and len(found.test) == 100
  left = len(everything.train) - 400
  assert found.counts['train pairs left out'] == {
    'more pairs than were asked for': left
  }
  assert f'{left} more to train with left out' in found.said
  order = {q: i for i, q in enumerate(questions(everything.train))}
  places = [order[q] for q in questions(found.train)]
  assert places == sorted(places)
  quarter = len(order) // 4
  inside = [sum(p // quarter == k for p in places) for k in range(4)]
  assert min(inside) > 70  # 100 each, give or take 8.7
  assert set(questions(found.test)) < set(questions(everything.test))
  other = read(file, test_fraction=0.5, limits=Limits(400, 100), seed=1)
  assert questions(other.train) != questions(found.train)


def test_a_side_without_pairs_says_why_and_what_to_do(tmp_path):
  file = write(tmp_path / 'a.jsonl', ['same'] * 30)
  with pytest.raises(DataError, match='got no held-out pairs of 30; .* folder'):
    read(file, seed=0)
  write(tmp_path / 'f' / 'train.jsonl', MANY[:3])
  write(tmp_path / 'f' / 'test.jsonl', MANY[:3])
  with pytest.raises(DataError, match='got no training pairs of 3; .* trained'):
    read(tmp_path / 'f')
  with pytest.raises(ValueError, match='held_out'):
    read(file, held_out='train')


@pytest.mark.slow  # every allocation is traced
def test_memory_is_that_of_what_is_drawn(tmp_path):
  """Six times the file, and the same 100 and 10 pairs of it."""
  peaks = []
  for count in (500, 3000):
    text = [f'q{i} ' + 'so long ' * 100 for i in range(count)]
    file = write(tmp_path / f'{count}.jsonl', text)
    tracemalloc.start()
    read(file, limits=Limits(100, 10))
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
  assert peaks[1] < 1.1 * peaks[0] + 20_000
  assert peaks[1] < 0.3 * file.stat().st_size


def test_a_table_of_commas_says_what_its_rows_are(tmp_path):
  """Not that there are too few conversations to split."""
  file = tmp_path / 'pairs.jsonl'
  file.write_text('chosen,rejected\n' + 'a,b\n' * 5)
  wanted = r'wanted pairs, got none of 6 rows \(bad JSON: 6\); docs/own-pairs'
  with pytest.raises(DataError, match=wanted):
    read_own_pairs(file, 'skip', 0.1, 0)
