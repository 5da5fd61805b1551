"""Reasons why a request is not done; each has a page of its own."""


class RefusedError(Exception):
  """One of these.

  Attributes:
    status: of the answer.
    heading: of its page.
    words: what to do.
  """

  status, heading, words = 500, '', ''


class NotFoundError(RefusedError):
  """No such page, or not this person's."""

  status, heading = 404, 'Not found'
  words = 'There is no such page, or it is not yours.'


class ForgedError(RefusedError):
  """A form without the nonce of the page that it would have to be from."""

  status, heading = 403, 'This form is not valid here'
  words = 'It is of another page or another session. Load the page again.'


class OutOfDateError(RefusedError):
  """A form that does not fit the step that the conversation is at."""

  status, heading = 409, 'This page is out of date'
  words = 'The conversation has gone on since this page was loaded.'


class ExpiredError(RefusedError):
  """A task that has gone to somebody else, or was given back."""

  status, heading = 409, 'This task has gone to somebody else'
  words = (
    'It was not worked on for too long, or given back. What you had chosen '
    'is kept.'
  )


class NotStoredError(RefusedError):
  """A database that is locked for too long, or whose disk is full."""

  status, heading = 503, 'Nothing was stored'
  words = (
    'The program cannot reach its database, or the disk is full. Go back in '
    'your browser, where what you typed still stands, and send it again later.'
  )


class QueueFullError(RefusedError):
  """More replies wait for the model than may."""

  status, heading = 503, 'The assistant is busy'
  words = (
    'The assistant is busy: too many replies are waiting to be written. Your '
    'message was not sent; wait a little and send it again.'
  )
