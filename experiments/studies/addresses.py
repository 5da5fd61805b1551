"""Names of runs by their settings: twelve hex digits, the same everywhere.

Two runs with the same stage and the same settings have one directory, so that
the same run in another sweep of a folder is the same run; any other setting is
another directory, so that no run is taken for another.
"""

import hashlib
import json

from rlhf_jax.train import about

LENGTH = 12


def address(stage, config, root) -> str:
  """Twelve hex digits of SHA-256 of a stage and its settings.

  Paths inside the study count relative to it, so that a study that was moved
  keeps its addresses. A tuple is a list, as in config.json.

  Args:
    stage: name of the script.
    config: all of its settings, plain values.
    root: of the study; absolute.
  """
  return digest([stage, about.store(config, root)])


def program(stage, config, traced) -> str:
  """The key of a run's compiled programs: its settings but for traced ones.

  Args:
    stage: name of the script.
    config: all of its settings, plain values.
    traced: names of settings, at any depth, that programs take as arguments.
  """
  return f'{stage}-{digest(_without(config, traced))}'


def digest(value) -> str:
  """The digits of a nest of plain values, whatever the order of its keys.

  Raises:
    ValueError: if it has a value that is not plain.
  """
  try:
    text = json.dumps(value, sort_keys=True)
  except TypeError as error:
    raise ValueError(f'wanted plain settings to name a run by: {error}') from (
      None
    )
  return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def _without(config, names):
  return {
    key: _without(value, names) if isinstance(value, dict) else value
    for key, value in config.items()
    if key not in names
  }
