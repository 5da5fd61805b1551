"""Texts that are named, their documents, and the side of each."""

import gzip
import hashlib
import json

import pytest

from rlhf_jax.data import documents, plain_texts
from rlhf_jax.data.faults import DataError

# By sha256sum and a shell: of 'web page 0', 1, 2, ... these
# are held out, one in ten or so.
HELD = [8, 13]


def twin_is_held(text):
  """The rule as it is stated, in other words."""
  digest = hashlib.sha256(' '.join(text.split()).encode()).digest()
  return (int.from_bytes(digest[:8], 'big') >> 4) % 10 == 0


def write_book(file, text):
  file.parent.mkdir(parents=True, exist_ok=True)
  file.write_bytes(gzip.compress(text.encode()))
  return file


def write_rows(file, *rows):
  return write_book(file, ''.join(json.dumps(row) + '\n' for row in rows))


def book(paragraphs=400):
  """Paragraphs of 305 characters, each of its own words, in wrapped lines."""
  lines = [f'{n:05d}\n' + 'word ' * 59 + 'last' for n in range(paragraphs)]
  return '\n\n'.join(lines)


@pytest.fixture
def folder(tmp_path):
  """A data folder: a book, web pages, and posts."""
  write_book(tmp_path / 'text_books' / 'a.txt.gz', book())
  pages = [{'text': f'web page {n}'} for n in range(20)]
  write_rows(tmp_path / 'text_web' / 'c4.jsonl.gz', *pages, {'text': ' \n'})
  posts = [{'title': f'T{n}', 'selftext': 'x'} for n in range(3)]
  write_rows(tmp_path / 'reddit_top_posts' / 'p.jsonl.gz', *posts)
  return tmp_path


def test_a_data_folder_is_what_it_was_and_a_folder_of_it_all_its_files(folder):
  """Rows of text_* are read by name alone: the mixture of `hh` stays."""
  of_study = plain_texts.read_plain_texts(folder)
  assert len(of_study) == 4 and of_study[1:] == ['T0\nx', 'T1\nx', 'T2\nx']
  names = lambda *told: [
    file.name for file in plain_texts.files_of(list(map(str, told)))
  ]
  assert names(folder) == ['a.txt.gz', 'p.jsonl.gz']
  assert names(folder / 'text_web') == ['c4.jsonl.gz']
  pages = folder / 'text_web/c4.jsonl.gz'
  assert names(pages, folder / 'text_books', folder / 'text_web') == [
    'c4.jsonl.gz',
    'a.txt.gz',
  ]
  assert plain_texts.read_texts(pages)[:2] == ['web page 0', 'web page 1']


def test_commas_stand_between_paths_and_may_be_part_of_one(tmp_path):
  odd = tmp_path / 'a,b'
  assert plain_texts.named(str(odd)) == [f'{tmp_path}/a', 'b']
  odd.mkdir()
  assert plain_texts.named(str(odd)) == [str(odd)]


def test_each_document_is_on_one_side_and_none_is_lost(folder):
  """Nothing that is held out is in a training text."""
  names = [str(folder / 'text_books'), str(folder / 'text_web/c4.jsonl.gz')]
  found = documents.read_sides(names)
  pages = [x for x in found.held if x.file == 'text_web/c4.jsonl.gz']
  assert sorted(x.number - 1 for x in pages) == HELD
  [text] = plain_texts.read_texts(folder / 'text_books/a.txt.gz')
  assert text.startswith('00000 word ') and '\n\n00001 word' in text
  kept, held = found.train, [x.text for x in found.held]
  assert all(twin_is_held(x) for x in held)
  assert not any(x in text for x in held for text in kept)
  passages = documents.documents_of(folder / 'text_books/a.txt.gz', text)
  # Six paragraphs of 305 and two new lines are 1,842: the seventh is whole.
  assert ''.join(passages) == text and len(passages[0]) == 7 * 307
  assert len(passages) == 58 and len(passages[-1]) == 305
  total = sum(map(len, passages)) + sum(len(f'web page {n}') for n in range(20))
  assert sum(map(len, kept)) + sum(map(len, held)) == total
  assert found.counts['text_web/c4.jsonl.gz'] == {
    'read': 21,
    'kept': 18,
    'held out': 2,
    'empty': 1,
  }
  of_book = found.counts['text_books/a.txt.gz']
  assert of_book == {
    'read': 58,
    'kept': 58 - (len(held) - 2),
    'held out': len(held) - 2,
  }
  said = documents.said(found.counts)
  assert said == (
    f'2 files, 79 documents: {76 - of_book["held out"]} to train on, '
    f'{2 + of_book["held out"]} held out, 1 empty'
  )


def test_the_side_of_a_document_is_that_of_its_words_in_any_file(folder):
  """Wrapped otherwise, or read with other files, or twice: the same side."""
  again = write_rows(
    folder / 'mine' / 'x.jsonl', *[{'text': f'web\npage  {n}'} for n in (0, 8)]
  )
  again.write_bytes(gzip.decompress(again.read_bytes()))
  alone = documents.read_sides([str(again)])
  assert alone.train == ['web\npage  0'] and alone.held[0].number == 2
  pages = str(folder / 'text_web')
  both = documents.read_sides([pages, str(again)])
  digests = [documents.digest_of(x.text) for x in both.held]
  assert len(digests) == len(HELD) and digests == sorted(digests)
  other = documents.read_sides([str(again), pages])
  assert [documents.digest_of(x.text) for x in other.held] == digests


def test_a_book_without_paragraphs_is_cut_at_a_word():
  text = 'abcdefghi ' * 2000
  passages = documents.PASSAGE.findall(text)
  assert [len(x) for x in passages] == [8000 + 10, 8010, 3980]
  assert ''.join(passages) == text


def test_what_cannot_be_read_is_one_line_that_says_what_to_do(folder):
  with pytest.raises(DataError, match="got '.*nowhere', which is not there"):
    documents.read_sides([str(folder / 'nowhere')])
  with pytest.raises(DataError, match="got '', which is not there"):
    documents.read_sides(plain_texts.named(f'{folder},'))
  (folder / 'notes').mkdir()
  (folder / 'notes/a.txt').write_text('x')
  with pytest.raises(DataError, match='got a folder of none; name another'):
    documents.read_sides([str(folder / 'notes')])
  with pytest.raises(DataError, match='got another file; .* with gzip'):
    documents.read_sides([str(folder / 'notes/a.txt')])
  file = write_rows(folder / 'notes' / 'b.jsonl.gz', {'txt': 'x'})
  with pytest.raises(DataError, match=r'b\.jsonl\.gz:1: wanted a title and'):
    documents.read_sides([str(file)])
