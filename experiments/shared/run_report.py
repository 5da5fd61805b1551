"""The page of one run, when its stage was started by itself.

A study writes one of all of its runs instead (`experiments.reproduce`).
"""

from pathlib import Path

from rlhf_jax import digests
from rlhf_jax.analysis import figures, report, runs


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
  samples = read_samples(workdir)
  return report.write_run_report(workdir, run, tables, drawn, samples)


def read_samples(workdir):
  """The samples.json of a run; [] if it has none.

  Raises:
    DamagedError: if it is not what was written.
  """
  path = Path(workdir) / 'samples.json'
  digests.check(workdir, path.name)
  samples = digests.read_json(path, list) if path.exists() else []
  wanted = {'prompt', 'pi0_reply', 'final_reply', 'scores'}
  for number, sample in enumerate(samples):
    if not isinstance(sample, dict) or not wanted <= sample.keys():
      raise digests.DamagedError(
        f'{path} is damaged (sample {number} has not {", ".join(wanted)}): '
        f'{digests.remedy_of(workdir)}'
      )
  return samples
