r"""One job of a study, by its number or its name in STUDY/jobs.json.

    python -m experiments.job --study=DIR --index=3
    python -m experiments.job --study=DIR --name=lm/13K

`reproduce`, `sweep` and `cluster` write the list, and print it with --on=list.
What a job needs has to be done; a finished job does nothing, an interrupted one
goes on. A job of several processes is the same command in each of them, with
--distributed (docs/hosts.md).
"""

from pathlib import Path

from absl import flags

from experiments.shared import command
from experiments.studies import single


def run(options):
  """Runs the job that the flags name."""
  root = Path(options['study']).resolve()
  job = single.run(root, options['index'], options['name'])
  print(f'{job.name} is done')


if __name__ == '__main__':
  command.main_of_flags(
    run,
    (
      flags.DEFINE_string('study', None, 'Directory of the study.'),
      flags.DEFINE_integer('index', None, 'Number of the job.'),
      flags.DEFINE_string('name', None, 'Name of the job.'),
    ),
    required=('study',),
    several=True,
  )
