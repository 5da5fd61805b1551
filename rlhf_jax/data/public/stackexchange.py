"""Questions of Stack Exchange and their answers, ranked by votes.

Posts.xml of the public dump (archive.org, one file a site):

    <posts>
      <row Id="1" PostTypeId="1" AcceptedAnswerId="3" Score="5" Title="..."
           Body="&lt;p&gt;...&lt;/p&gt;" />
      <row Id="3" PostTypeId="2" ParentId="1" Score="2" Body="..." />

and JSON lines of questions with their answers in them (title, question, site,
answers: [{score, accepted, text}]), as in stackexchange_kwise. `Score` is up
votes less down votes, which is all that the dump says.

Reference: Askell et al. 2021 (arXiv:2112.00861), appendix C.1.
"""

import collections
import html.parser
import math
from collections.abc import Iterator

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.public.ranked import Thread
from rlhf_jax.data.public.xml_rows import elements

SOURCE = 'stackexchange'
QUESTION, ANSWER = '1', '2'
BLOCKS = ('p', 'br', 'li', 'pre', 'div', 'h1', 'h2', 'h3', 'blockquote')


def score_of(votes: int, accepted: bool) -> int:
  """Score of an answer.

    round(log2(1 + votes)), one more if accepted;  -1 if votes < 0

  An answer with negative votes has -1, accepted or not.
  """
  if votes < 0:
    return -1
  return round(math.log2(1 + votes)) + bool(accepted)


class _Text(html.parser.HTMLParser):
  """Collects the words of HTML, a line a block."""

  def __init__(self):
    super().__init__()
    self.parts = []

  def handle_starttag(self, tag, attrs):
    del attrs
    if tag in BLOCKS:
      self.parts.append('\n')

  def handle_data(self, data):
    self.parts.append(data)


def text_of(body: str) -> str:
  """Plain text of the HTML of a post."""
  parser = _Text()
  parser.feed(body)
  parser.close()
  lines = (line.strip() for line in ''.join(parser.parts).splitlines())
  return '\n'.join(line for line in lines if line)


def read_dump(file, site: str = SOURCE) -> Iterator[Thread]:
  """Yields the questions of a Posts.xml that have two answers or more.

  Answers may stand anywhere after or before their question: all posts of a
  site are held as text.

  Args:
    file: Posts.xml, plain, gzipped or bzip2.
    site: source of the records.

  Raises:
    DataError: if it is no such file; naming the row that lacks something.
  """
  questions, answers = {}, collections.defaultdict(list)
  for row in elements(file, 'row'):
    post = dict(row.attrib)
    kind = post.get('PostTypeId')
    try:
      if kind == QUESTION:
        asked = f'{post.get("Title", "")}\n{text_of(post["Body"])}'.strip()
        questions[post['Id']] = asked, post.get('AcceptedAnswerId')
      elif kind == ANSWER:
        own = post['Id'], text_of(post['Body']), int(post['Score'])
        answers[post['ParentId']].append(own)
    except (KeyError, ValueError) as error:
      raise DataError(
        f'{file}: row Id={post.get("Id")}: wanted Id, Body and, of an answer, '
        f'ParentId and a whole Score, got no good {error}: mend or delete it'
      ) from None
  for number, (asked, accepted) in questions.items():
    texts = [
      (text, score_of(votes, name == accepted))
      for name, text, votes in answers[number]
    ]
    if len(texts) > 1:
      yield Thread(asked, texts, site)


def read_questions(file) -> Iterator[Thread]:
  """Yields the questions of JSON lines with their answers in them.

  Raises:
    DataError: at a line that is no such question.
  """
  for number, row in rows_of(file):
    try:
      if isinstance(row, Malformed):
        raise ValueError(str(row))
      texts = [
        (answer['text'], score_of(answer['score'], answer['accepted']))
        for answer in row['answers']
      ]
      asked = f'{row["title"]}\n{row["question"]}'.strip()
    except (KeyError, TypeError, ValueError) as error:
      raise DataError(
        f'{file}:{number}: wanted title, question and answers with text, score '
        f'and accepted, got no good {error}: mend or delete the line'
      ) from None
    yield Thread(asked, texts, row.get('site', SOURCE))
