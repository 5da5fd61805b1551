"""The models of a comparison by name, and what makes those that lack."""

import functools

from experiments.shared import imported, score_files
from rlhf_jax.train import about

POLICIES = (
  'make reproduce PRESET=smollm2_policies WORKDIR=runs/reproduce-smollm2_rl '
  'DATA=DATA'
)
# What makes the models of configs/evals.py, where they lie.
MADE = {
  'plain': 'make smollm2',
  'prompted': 'make smollm2',
  'ppo': 'make reproduce PRESET=smollm2_rl DATA=DATA',
  **dict.fromkeys(('distilled', 'sft', 'ppo_ptx'), POLICIES),
}
COMPUTES = ('pad_token', 'dtype', 'matmul')


class Model:
  """One of the models, opened when something is asked of it.

  All are opened as bases to train from: models over one base have one program,
  the same row for end-of-context and the same arithmetic, so that nothing but
  weights and prompt differs.

  Attributes:
    name: in tables and folders.
    path: what it is opened by, +hhh included.
    system: its system prompt, or None.
    revision: digest of its files.
  """

  def __init__(self, name, path, config, open_base):
    """Reads nothing yet but the files' digest.

    Args:
      name: of the model.
      path: what opens it.
      config: pad_token, dtype, matmul.
      open_base: of `models`.
    """
    self.name, self.path, self._open = name, path, open_base
    self.computes = {key: config[key] for key in COMPUTES}
    _, self.system = imported.parts(path)
    self.revision = imported.revision(path)

  @functools.cached_property
  def opened(self):
    """The `imported.Opened` of it."""
    path, _ = imported.parts(self.path)
    base = self._open(self.computes | {'base': path, 'size': ''})
    longest = base.functions.config.max_length
    return imported.Opened(base.functions, base.params, base.tokenizer, longest)

  def close(self):
    """Lets the parameters go."""
    self.__dict__.pop('opened', None)


def models_of(config, open_base):
  """([Model], sentences that say which are left out).

  Args:
    config: models, study, and what a Model wants.
    open_base: of `models`.

  Raises:
    ValueError: if a word is no NAME=MODEL, or fewer than two are there.
  """
  asked = score_files.named(config['models'], 'config.models')
  found, left_out = [], []
  for name, path in about.resolve(asked, config['study']).items():
    if imported.is_there(path):
      found.append(Model(name, path, config, open_base))
      continue
    made = MADE.get(name) or MADE.get(name.partition('_s')[0])
    how = made or 'train it, or leave it out of config.models'
    left_out.append(f'{name} left out, {path} is not there: {how}')
  if len(found) < 2:
    raise ValueError(
      f'wanted two models or more that are there, got {len(found)}: '
      + '; '.join(left_out)
    )
  return found, left_out
