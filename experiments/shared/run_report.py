"""The page of one run, when its stage was started by itself.

A study writes one of all of its runs instead (`experiments.reproduce`).
"""

import json
from pathlib import Path

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
  if (workdir / 'metrics.jsonl').exists():
    logged = runs.read_metrics(workdir)
    training = figures.draw_training(logged, workdir / 'figures')
    drawn = {'training': training} | drawn
  read = lambda name: (
    json.loads((workdir / name).read_text(encoding='utf-8'))
    if (workdir / name).exists()
    else []
  )
  texts = {'samples': read('samples.json'), 'pairs': read('pairs.json')}
  return report.write_run_report(workdir, run, tables, drawn, **texts)
