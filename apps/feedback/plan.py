"""Settings of a collection: what is asked of people, and how much is taken."""

import dataclasses

TASKS = ('helpful', 'red_team')
DIRECTIONS = ('better', 'worse')
SHOWN = ('stream', 'together')


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is asked of people.

  Attributes:
    tasks: of TASKS; a person gets them in turn.
    red_team_direction: of DIRECTIONS: which reply a red-team task asks for. Of
      the helpful task it is always the better one.
    conversations: tasks of a person.
    turns: most exchanges of a conversation.
    overlap: how many people compare the first two replies of a conversation,
      the one who talks included.
    attention_every: every so manieth task of a person is an attention item, as
      long as there is one.
    shown: of SHOWN: token by token, or both replies when both are there.
    lease_seconds: how long a task waits for a person who does nothing.
    session_seconds: how long a cookie is good for.
    queue: most replies that wait for the model.
    most_message: characters of a message.
    most_rewrite: characters of a rewritten reply.
    most_comment: characters of a comment.
    most_body: bytes of a form.
    requests_per_second: of one session or address, in the long run.
    burst: requests of one session or address at once.
    failed_joins_per_minute: tries of one address with a link that is none.
  """

  tasks: tuple[str, ...] = ('helpful',)
  red_team_direction: str = 'better'
  conversations: int = 5
  turns: int = 4
  overlap: int = 1
  attention_every: int = 5
  shown: str = 'stream'
  lease_seconds: float = 1800.0
  session_seconds: float = 30 * 86400.0
  queue: int = 64
  most_message: int = 4000
  most_rewrite: int = 8000
  most_comment: int = 2000
  most_body: int = 1 << 17
  requests_per_second: float = 10.0
  burst: int = 60
  failed_joins_per_minute: int = 10

  def __post_init__(self):
    """Checks every value.

    Raises:
      ValueError: naming the first that is wrong.
    """
    if not self.tasks or set(self.tasks) - set(TASKS):
      raise ValueError(
        f'wanted tasks of {", ".join(TASKS)}, got {",".join(self.tasks)!r}'
      )
    for name, allowed in (('red_team_direction', DIRECTIONS), ('shown', SHOWN)):
      if getattr(self, name) not in allowed:
        raise ValueError(
          f'wanted {name} {" or ".join(allowed)}, got {getattr(self, name)!r}'
        )
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if isinstance(value, int | float) and value <= 0:
        raise ValueError(f'wanted {field.name} above 0, got {value}')
    if self.queue < 2:
      raise ValueError(
        f'wanted queue of 2 or more, the replies of a turn, got {self.queue}'
      )
