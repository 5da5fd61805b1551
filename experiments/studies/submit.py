"""The door to submitit: JSON files go to SLURM, and ids come back.

submitit pickles the function and the path that it is called with, for itself;
results are files of the run. Nothing else here knows of it, and nothing asks it
how a job is: without accounting it would wait for ever for one that died.
"""

import shlex
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Times that a job may come back before its time limit: as often as it has to.
REQUEUES = 1000


class Task:
  """What submitit starts, and starts again when time is up or others go first.

  Args:
    function: of a path; found by its name where it runs.
  """

  def __init__(self, function):
    self.function = function

  def __call__(self, path):
    """Runs it; nothing is returned."""
    self.function(path)

  def checkpoint(self, path):
    """What goes back into the queue: the same, which resumes."""
    from submitit.helpers import DelayedSubmission

    return DelayedSubmission(self, path)


def submit(function, files, folder, parameters) -> list[str]:
  """Ids of jobs in SLURM that call the function with a file each: an array.

  Args:
    function: of a path, at the top of a module.
    files: paths of JSON files.
    folder: for what submitit leaves, on storage that all nodes see.
    parameters: {name: value} of submitit's SlurmExecutor.

  Raises:
    RuntimeError: in one line, if it is not installed or SLURM refuses.
  """
  try:
    import submitit
  except ImportError:
    raise RuntimeError(
      "--on=slurm needs submitit: pip install -e '.[slurm]', or choose "
      '--on=pool or --on=list'
    ) from None
  setup = [f'cd {shlex.quote(str(REPOSITORY))}']
  try:
    executor = submitit.SlurmExecutor(folder, max_num_timeout=REQUEUES)
    executor.update_parameters(setup=setup, **parameters)
    jobs = executor.map_array(Task(function), [str(file) for file in files])
  except (
    subprocess.CalledProcessError,
    submitit.core.utils.FailedJobError,
    submitit.core.utils.FailedSubmissionError,
  ) as error:
    said = getattr(error, 'stderr', '') or str(error)
    raise RuntimeError(f'sbatch failed: {" ".join(said.split())}') from None
  return [job.job_id for job in jobs]
