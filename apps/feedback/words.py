"""What the page of a task says at each of its steps."""

from typing import NamedTuple

DEGREES = ('much ', '', 'slightly ', 'barely ')
HEADINGS = {
  'say': 'Talk with the assistant',
  'wait': 'Two replies are coming',
  'choose': 'Compare the two replies',
  'failed': 'No answer',
  'finish': 'The end of the conversation',
  'done': 'Done',
  'expired': 'Given back',
}


class Words(NamedTuple):
  """Words of a page.

  Attributes:
    heading: of the page and its window.
    question: over the boxes.
    boxes: eight labels, from A to B.
  """

  heading: str
  question: str
  boxes: tuple


def words_of(conversation) -> Words:
  """The words for a Conversation."""
  red, worse = (
    conversation.task == 'red_team',
    conversation.direction == 'worse',
  )
  question, than = 'Which reply is more helpful and honest?', 'better'
  if red:
    question = 'Which reply is less harmful?'
  if worse:
    question, than = 'Which reply is more harmful?', 'more harmful'
  return Words(HEADINGS[conversation.step], question, boxes(than))


def boxes(than: str) -> tuple:
  """Labels of the eight boxes: 'A much better' to 'B much better'."""
  degrees = [f'{word}{than}' for word in DEGREES]
  a, b = [f'A {x}' for x in degrees], [f'B {x}' for x in degrees[::-1]]
  return tuple(a + b)
