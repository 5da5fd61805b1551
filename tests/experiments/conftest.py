"""Ways to end a stage that tests of several files need."""

import pytest


class Killed(KeyboardInterrupt):
  """Leaves a training loop like Ctrl-C."""


@pytest.fixture
def killed_at(monkeypatch):
  """Runs a stage that is killed when it asks for the rate of a step."""

  def run(module, config, workdir, last):
    rate_at = module.learning_rate_at

    def rate_or_kill(step, **options):
      if step == last:
        raise Killed
      return rate_at(step, **options)

    with monkeypatch.context() as patch:
      patch.setattr(module, 'learning_rate_at', rate_or_kill)
      with pytest.raises(Killed):
        module.run(config, workdir)
    assert not (workdir / 'done.json').exists()

  return run
