"""One round of online training from the page's database, command by command.

    python -m tests.apps.whole_round --workdir=DIR [--preset=online_human_smoke]

The study trains what is to be deployed, stops, and says what to serve; the page
serves it; simulated workers talk with it through HTTP; the study goes on to its
end. Printed are what the round changed, and who won against whom. Some six
minutes of two cores, most of them compiling and training.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVE = re.compile(r'python -m (apps\.feedback (?:--\S+ )+)serves')
STARTED = re.compile(r'serving at (\S+)')


def run(words, fails=False):
  """Runs a module; what it printed, and if it is to fail what it said."""
  start, command = time.time(), [sys.executable, '-m', *words]
  print(f'$ python -m {" ".join(words)[:240]}', flush=True)
  done = subprocess.run(
    command, cwd=ROOT, env=environment(), capture_output=True, text=True
  )
  print(f'  {time.time() - start:.0f} s, exit code {done.returncode}')
  if (done.returncode != 0) != fails:
    print(done.stdout[-3000:], done.stderr[-3000:])
    raise SystemExit(f'wanted it to {"fail" if fails else "succeed"}')
  return done.stdout + done.stderr if fails else done.stdout


def environment():
  """That of this process, on the CPU."""
  return os.environ | {'JAX_PLATFORMS': 'cpu'}


def serve(words):
  """(process, url) of a page that is served."""
  command = [sys.executable, '-u', '-m', *words]
  process = subprocess.Popen(
    command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
  )
  for line in process.stdout:
    found = STARTED.search(line)
    if found:
      return process, found[1]
  raise SystemExit('the page was not served')


def main():
  """Runs the round."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--workdir', required=True)
  parser.add_argument('--preset', default='online_human_smoke')
  parser.add_argument('--workers', type=int, default=20)
  parser.add_argument('--each', type=int, default=50)
  flags, settings = parser.parse_known_args()  # settings of the study
  root = Path(flags.workdir).resolve()
  root.mkdir(parents=True, exist_ok=True)
  db, links = root / 'feedback.db', root / 'links.txt'
  study = [
    'experiments.reproduce',
    f'--config=configs/reproduce.py:{flags.preset}',
    f'--workdir={root / "study"}',
    f'--config.online.queue={db}',
    *settings,
  ]
  said = run(study, fails=True)
  words = SERVE.search(' '.join(said.split()))
  if not words:
    raise SystemExit(f'nobody says what to serve: {said[-2000:]}')
  print(f'it says: python -m {words[1]}')
  more = ['--port=0', '--conversations=10000', '--shown=together']
  process, url = serve([*words[1].split(), *more])
  try:
    invited = run(
      ['apps.feedback.invite', f'--db={db}', f'--count={flags.workers}']
      + ['--kind=simulated']
    )
    links.write_text(invited)
    simulate = ['apps.feedback.simulate', f'--url={url}', f'--links={links}']
    simulate += [f'--each={flags.each}', f'--study={root / "study"}']
    print(run(simulate))
  finally:
    process.kill()
    process.wait()
  run(study)
  print(run(['apps.feedback.rounds', f'--study={root / "study"}']))
  print(run(['apps.feedback.standings', f'--db={db}']))
  print(run(['apps.feedback.export', f'--db={db}', f'--to={root / "said"}']))


if __name__ == '__main__':
  main()
