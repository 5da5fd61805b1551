"""The page of one run, when its stage was started by itself.

A study writes one of all of its runs instead (`experiments.reproduce`).
"""

from pathlib import Path

from rlhf_jax import digests
from rlhf_jax.analysis import figures, replies, report, runs

PAIR = {'prompt', 'chosen', 'rejected', 'scores'}


def write(workdir) -> Path:
  """Draws the figures of a finished run and writes its report; the page.

  Args:
    workdir: run directory; figures/ and report/ are made in it.

  Raises:
    FileNotFoundError, ValueError: if the run or a table is not as it should be.
  """
  workdir = Path(workdir)
  run, tables = runs.read_run(workdir), runs.run_tables(workdir)
  drawn = figures.draw_all(tables, workdir / 'figures')
  if (workdir / 'metrics.jsonl').exists():
    logged = runs.read_metrics(workdir)
    training = figures.draw_training(logged, workdir / 'figures')
    drawn = {'training': training} | drawn
  texts = {
    'samples': read_samples(workdir),
    'pairs': read_list(workdir, 'pairs.json', PAIR.issubset),
  }
  return report.write_run_report(workdir, run, tables, drawn, **texts)


def read_samples(workdir):
  """The samples.json of a run; [] if it has none."""
  return read_list(workdir, 'samples.json', replies.is_item)


def read_list(workdir, name, is_item):
  """A list of objects that a run has written; [] if it has none.

  Args:
    workdir: of the run.
    name: of the file.
    is_item: object -> whether it is as one was written.

  Raises:
    DamagedError: if it is not what was written.
  """
  path = Path(workdir) / name
  digests.check(workdir, name)
  items = digests.read_json(path, list) if path.exists() else []
  for number, item in enumerate(items):
    if not isinstance(item, dict) or not is_item(item):
      raise digests.DamagedError(
        f'{path} is damaged (number {number} lacks what one has): '
        f'{digests.remedy_of(workdir)}'
      )
  return items
