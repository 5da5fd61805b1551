"""Loggers of others: what they are told, once, also by a run that resumes."""

import json
import struct
import sys
import time
import types

import pytest

from rlhf_jax.train import loggers
from rlhf_jax.train.about import RunError
from rlhf_jax.train.run import Run
from rlhf_jax.types import TrainState


class Service:
  """Stands in for wandb: what a run with an id has been told."""

  def __init__(self):
    self.runs, self.begun = {}, []

  def init(self, *, id, **options):
    self.begun.append((id, options))
    told = self.runs.setdefault(id, [])

    def log(numbers, step):
      told.append((step, numbers))

    return types.SimpleNamespace(log=log, finish=lambda: None)

  def Settings(self, **options):  # noqa: N802 (as wandb has it)
    return options


@pytest.fixture
def service(monkeypatch):
  found = Service()
  monkeypatch.setitem(sys.modules, 'wandb', found)
  monkeypatch.setattr(loggers.importlib.util, 'find_spec', lambda name: True)
  return found


def session(folder, steps, *, keep_at=None, config=None, names=('wandb',)):
  """A session that logs some steps and saves after one of them."""
  with Run(folder, config or {'seed': 0}, loggers=names) as run:
    state = run.restore(TrainState(jnp_step(0), {'x': jnp_step(0)}, ()))
    for step in steps(int(state.step)):
      run.log(step, {'loss': 1.0 / step, 'note': 'text'})
      run.log(step, {'subset': 'helpful', 'kl': step}, kind='subset')
      if step == keep_at:
        run.save(state._replace(step=jnp_step(step)))


def jnp_step(i):
  import jax.numpy as jnp

  return jnp.int32(i)


def test_names_say_the_kind_and_the_kind_of_prompts():
  row = {'subset': 'helpful', 'kl': 2, 'ok': True, 'none': None, 'se': 0.5}
  assert loggers.numbers_of('subset', row) == {
    'subset/helpful/kl': 2.0,
    'subset/helpful/se': 0.5,
  }


def test_a_run_that_resumes_goes_on_in_its_logger_s_run(tmp_path, service):
  """Killed past its checkpoint: what it logs again is there once."""
  session(tmp_path, lambda at: range(at + 1, 8), keep_at=4)
  session(tmp_path, lambda at: range(at + 1, 11))
  [(one, options), (two, _)] = service.begun
  assert one == two and options['resume'] == 'allow'
  assert options['config'] == {'seed': 0}
  told = [x for x in service.runs[one] if 'train/loss' in x[1]]
  assert [step for step, _ in told] == list(range(1, 11))
  assert told[1] == (2, {'train/loss': 0.5})
  kinds = [x for x in service.runs[one] if 'subset/helpful/kl' in x[1]]
  assert len(kinds) == 10
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert len(lines) == 20


def test_loggers_may_change_when_a_run_goes_on(tmp_path, service):
  """They watch: neither the config's digest nor a refusal knows of them."""
  config = {'seed': 0, 'loggers': ()}
  session(tmp_path, lambda at: [1], config=config, names=())
  first = (tmp_path / 'config.json').read_text()
  config = {'seed': 0, 'loggers': ('wandb',), 'health': {'off': ()}}
  session(tmp_path, lambda at: [1], config=config)
  assert (tmp_path / 'config.json').read_text() == first
  assert service.begun
  with pytest.raises(RunError, match='differs in seed'):
    session(tmp_path, lambda at: [1], config={'seed': 1})


@pytest.mark.parametrize('broken', ['init', 'log'])
def test_a_logger_that_breaks_is_let_go_and_the_run_goes_on(
  broken, tmp_path, service, capsys
):
  def fails(*args, **options):
    raise ConnectionError('no way to the service')

  if broken == 'init':
    service.init = fails
  else:
    own = types.SimpleNamespace(log=fails, finish=lambda: None)
    service.init = lambda **options: own
  session(tmp_path, lambda at: range(1, 4))
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  assert 'the logger wandb is let go (ConnectionError: no way' in error
  assert len((tmp_path / 'metrics.jsonl').read_text().splitlines()) == 6


def test_a_logger_that_is_not_there_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setattr(loggers.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(RunError, match=r"pip install -e '\.\[tensorboard\]'"):
    Run(tmp_path / 'a', {}, loggers=('tensorboard',))
  with pytest.raises(RunError, match="no logger 'another': wanted one of"):
    Run(tmp_path / 'b', {}, loggers=('another',))
  assert not (tmp_path / 'a' / 'config.json').exists()


def events(folder):
  """Events of TensorBoard's files, in their order, with what is taken back."""
  from tensorboardX.proto import event_pb2

  found = []
  for file in sorted((folder / 'tensorboard').iterdir()):
    data, at = file.read_bytes(), 0
    while at < len(data):
      (size,) = struct.unpack('<Q', data[at : at + 8])
      found.append(event_pb2.Event.FromString(data[at + 12 : at + 12 + size]))
      at += 16 + size
  return found


def scalars(found, name):
  """{step: value} as TensorBoard shows it: a new start takes later steps."""
  seen = {}
  for event in found:
    if event.HasField('session_log'):
      seen = {step: x for step, x in seen.items() if step < event.step}
    for value in event.summary.value:
      if value.tag == name:
        assert event.step not in seen, 'a step twice'
        seen[event.step] = value.simple_value
  return seen


def test_tensorboard_has_every_row_once(tmp_path):
  """Its events, read back; those past the checkpoint are taken back."""
  pytest.importorskip('tensorboardX', reason='needs the extra tensorboard')
  names = ('tensorboard',)
  session(tmp_path, lambda at: range(at + 1, 8), keep_at=4, names=names)
  session(tmp_path, lambda at: range(at + 1, 11), names=names)
  found = scalars(events(tmp_path), 'train/loss')
  assert found == pytest.approx({step: 1 / step for step in range(1, 11)})


@pytest.mark.slow  # wandb starts a service of its own
def test_weights_and_biases_takes_a_run_offline(tmp_path, monkeypatch):
  """Two sessions of one run, in its own files."""
  pytest.importorskip('wandb', reason='needs the extra wandb')
  for name in ('WANDB_API_KEY', 'WANDB_PROJECT', 'WANDB_DIR'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.setenv('WANDB_CACHE_DIR', str(tmp_path / 'cache'))
  monkeypatch.setenv('WANDB_CONFIG_DIR', str(tmp_path / 'config'))
  folder = tmp_path / 'run'
  session(folder, lambda at: range(at + 1, 8), keep_at=4)
  session(folder, lambda at: range(at + 1, 11))
  own = json.loads((folder / 'wandb.json').read_text())
  assert own['step'] == 10
  offline = sorted((folder / 'wandb').glob('offline-run-*'))
  assert len(offline) == 2
  assert all(path.name.endswith(own['id']) for path in offline)
  for path in offline:
    assert b'train/loss' in written(next(path.glob('*.wandb')), b'train/loss')


@pytest.mark.slow  # a database is made
def test_mlflow_has_every_step_once(tmp_path, monkeypatch):
  """Two sessions of one run, read back from the database in its folder."""
  pytest.importorskip('mlflow', reason='needs the extra mlflow')
  from mlflow.tracking import MlflowClient

  for name in ('MLFLOW_TRACKING_URI', 'MLFLOW_EXPERIMENT_NAME'):
    monkeypatch.delenv(name, raising=False)
  names, config = ('mlflow',), {'seed': 3, 'data': {'source': 'x y', 'n': {}}}
  killed = lambda: session(
    tmp_path,
    lambda at: range(at + 1, 8),
    keep_at=4,
    config=config,
    names=names,
  )
  with monkeypatch.context() as own:  # killed: nothing after the checkpoint
    own.setattr(loggers.Loggers, 'close', lambda self: None)
    killed()
  told = json.loads((tmp_path / 'mlflow.json').read_text())
  assert told['step'] == 4
  session(tmp_path, lambda at: range(at + 1, 11), config=config, names=names)
  client = MlflowClient(f'sqlite:///{tmp_path}/mlflow.db')
  run = client.get_run(told['id'])
  assert run.info.status == 'FINISHED'
  assert run.data.params == {'seed': '3', 'data.source': 'x y', 'data.n': '{}'}
  for name, value in (
    ('train/loss', lambda x: 1 / x),
    ('subset/helpful/kl', float),
  ):
    found = client.get_metric_history(told['id'], name)
    steps = [(x.step, x.value) for x in found]
    assert steps == [(i, pytest.approx(value(i))) for i in range(1, 11)]


def written(file, wanted, seconds=60):
  """Bytes of a file that wandb's own process writes, once it holds `wanted`."""
  ends = time.monotonic() + seconds
  while wanted not in file.read_bytes() and time.monotonic() < ends:
    time.sleep(0.1)
  return file.read_bytes()
