"""Copies what is committed of a finished study.

    python -m experiments.publish --workdir=runs/reproduce --out=results/micro \
        [--readme docs/results.md]

These are its tables, figures, claims and settings without the paths of its
machine, and the replies that its page shows, if its prompts are simulated:
those that people wrote are data, which stays where it is. `python -m
experiments.page DIR` makes that page of them again.
With --readme the claims table of that file is rewritten from claims.json. Of a
workdir of `experiments.evals`, which has no claims, tables, figures and
settings are copied, and --out's README.md gets a table of differences.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from experiments.shared import published, study_report
from rlhf_jax import digests
from rlhf_jax.analysis import claims_io


def publish(workdir, out):
  """Copies the study's tables, figures, claims and samples; notes its origin.

  Raises:
    FileNotFoundError: if the study has no report yet.
    ValueError: if `out` is the study, whose tables would be cleared away.
  """
  workdir, out = Path(workdir), Path(out)
  if out.resolve() == workdir.resolve():
    raise ValueError(f'{out} is the study itself: wanted another --out')
  if published.is_of_evals(workdir):
    copy_folders(workdir, out)
    keep_settings(workdir, out)
    published.write_differences(workdir, out)
    return
  found = workdir / 'report' / 'claims.json'
  claims_io.read_claims(found)  # before anything is cleared away
  copy_folders(workdir, out)
  shutil.copy(found, out / 'claims.json')
  settings = keep_settings(workdir, out)
  simulated = published.is_simulated(settings)
  items = study_report.samples_of(workdir) if simulated else []
  published.keep_samples(items, out)
  published.write_note(out)


def copy_folders(workdir, out):
  """Copies tables and figures; what is there of before goes.

  Raises:
    FileNotFoundError: if the study has none yet.
  """
  names = ('tables', 'figures')
  for name in names:
    if not (workdir / name).is_dir():
      raise FileNotFoundError(
        f'{workdir / name} is missing: wanted a study that has finished'
      )
  out.mkdir(parents=True, exist_ok=True)
  for name in names:
    shutil.rmtree(out / name, ignore_errors=True)
    shutil.copytree(workdir / name, out / name)


def keep_settings(workdir, out):
  """Writes config.json without the paths of its machine; what the study had."""
  settings = digests.read_json(workdir / 'config.json', dict)
  kept = json.dumps(published.without_places(settings), indent=1)
  (out / 'config.json').write_text(kept, encoding='utf-8')
  return settings


def main(arguments=None):
  """Publishes a study; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--workdir', required=True)
  parser.add_argument('--out', required=True)
  parser.add_argument('--readme', help='file whose claims table is rewritten')
  args = parser.parse_args(arguments)
  try:
    publish(args.workdir, args.out)
    if args.readme:
      document = claims_io.read_claims(Path(args.out) / 'claims.json')
      table = claims_io.to_markdown_table(document)
      claims_io.rewrite_readme(args.readme, table)
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
