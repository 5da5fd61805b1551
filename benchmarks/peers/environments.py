"""One virtual environment for each set of peers, under .peers/.

    python -m benchmarks.peers.environments

What is there already is not built again. A peer that cannot be installed gives
a reason, and its comparisons are left out.
"""

import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / '.peers'
TORCH = 'torch==2.13.0+cpu'  # the plain wheel brings gigabytes of CUDA
CPU_INDEX = 'https://download.pytorch.org/whl/cpu'
ENVIRONMENTS = {
  'trl': (TORCH, 'trl'),  # the newest
  # The last with PPO; it imports two packages that it does not require.
  'trl-1.11': (TORCH, 'trl==1.11.0', 'pandas', 'requests'),
  'tunix': ('google-tunix==0.1.7',),
}


def python_of(name):
  """The interpreter of an environment, built or not."""
  return FOLDER / name / 'bin' / 'python'


def build(name):
  """Builds an environment unless it is there: None, or the reason it fails."""
  requirements = list(ENVIRONMENTS[name])
  stamp = FOLDER / name / 'installed.json'
  if stamp.exists() and json.loads(stamp.read_text()) == requirements:
    return None
  shutil.rmtree(FOLDER / name, ignore_errors=True)
  print(f'building .peers/{name}: {" ".join(requirements)}', flush=True)
  venv = [sys.executable, '-m', 'venv', str(FOLDER / name)]
  reason = _run(venv) or _install(name, requirements)
  if reason is None:
    stamp.write_text(json.dumps(requirements))
  return reason


def _install(name, requirements):
  """Installs from the default index, then with torch's index of CPU wheels."""
  pip = [str(python_of(name)), '-m', 'pip', 'install', '--quiet', *requirements]
  reason = _run(pip)
  if reason and TORCH in requirements:
    return _run([*pip, '--extra-index-url', CPU_INDEX])
  return reason


def _run(command):
  """None on success, else the last line that the command wrote."""
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode == 0:
    return None
  lines = (done.stdout + done.stderr).strip().splitlines()
  errors = [line for line in lines if line.startswith('ERROR')]
  return (errors or lines or [f'exit code {done.returncode}'])[-1]


def main():
  """Builds all of them and says what came of it."""
  for name in ENVIRONMENTS:
    reason = build(name)
    print(f'{name}: {"ready" if reason is None else reason}')


if __name__ == '__main__':
  main()
