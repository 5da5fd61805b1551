"""What a study is planned in, and a pool of workers runs."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of one stage.

  Attributes:
    name: its directory below the workdir.
    module: the stage's module.
    config: plain dict; paths are absolute.
    needs: names of the jobs whose outputs it reads.
    program: jobs with one key share compiled programs, so one worker gets them.
    weight: rough cost, longest first.
  """

  name: str
  module: str
  config: dict
  needs: tuple[str, ...] = ()
  program: str = ''
  weight: float = 1.0
