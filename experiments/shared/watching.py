"""Health of a run of RL while it goes: signs are said, logged, or end it."""

from rlhf_jax.train.health import KIND, HealthError, Panel, say

KINDS = ('train', 'checkpoint', KIND)


def panel_of(config) -> Panel:
  """The Panel of a config's `health`; configs of before have none.

  Raises:
    RunError: if it names a rule that there is not.
  """
  asked = config.get('health', {})
  return Panel(asked.get('off', ()), asked.get('stop', ()))


class Health:
  """A panel over the rows of a run.

  Args:
    run: Run, restored.
    panel: Panel.
    step: updates done: rows of a session before are read.
  """

  def __init__(self, run, panel, step):
    self._run, self._panel = run, panel
    if step:
      rows = [(kind, row) for kind in KINDS for row in run.rows(kind)]
      panel.resume([(k, row) for k, row in rows if row['step'] <= step])

  def note(self, kind, step, row):
    """Takes a row in.

    Args:
      kind: 'train' or 'checkpoint'.
      step: updates done.
      row: as `Run.log` gave it.

    Raises:
      HealthError: if a sign is one that the run is to stop at.
    """
    for sign in self._panel.note(kind, row):
      self._run.log(step, sign._asdict(), kind=KIND)
      say(self._run.path.name, sign)
      if sign.name in self._panel.stop:
        raise HealthError(self._run.path, step, sign)
