"""Makes links that invite people.

    python -m apps.feedback.invite --db=FILE --names=ada,bob
    python -m apps.feedback.invite --db=FILE --count=20 --kind=simulated

One line a person: the path to add to the address of the page, and the name. The
database has hashes alone, so a link that is lost is made anew; the page may be
running meanwhile.
"""

import contextlib

from absl import flags

from apps.feedback import people
from apps.feedback.database import connect, told
from experiments.shared import command


def run(options) -> None:
  """Prints a line for each person; `options` has the flags' names."""
  if bool(options['names']) == bool(options['count']) or options['count'] < 0:
    raise ValueError('wanted --names or --count, and one of them alone')
  names = (options['names'] or '').split(',')
  if options['count']:
    names = [f'{options["kind"]} {i + 1}' for i in range(options['count'])]
  with told(options['db']), contextlib.closing(connect(options['db'])) as db:
    for name in names:
      token = people.invite(db, name, options['role'], options['kind'])
      print(f'/join/{token} {name.strip()}')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('db', None, 'File of the database.'),
    flags.DEFINE_string('names', None, 'Names, with commas between them.'),
    flags.DEFINE_integer('count', 0, 'So many people, named by number.'),
    flags.DEFINE_enum('role', 'worker', people.ROLES, 'What they may do.'),
    flags.DEFINE_enum('kind', 'person', people.KINDS, 'As exports say it.'),
  ]
  command.main_of_flags(run, values, ('db',))


if __name__ == '__main__':
  main()
