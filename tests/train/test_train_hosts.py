"""Flags of several processes, what is done once, and who has died."""

import json
import os
import socket
import threading

import jax
import pytest

from rlhf_jax.train import distributed, hosts, partners
from rlhf_jax.train.about import RunError


class Store:
  """The store of a job, and its processes one after the other.

  What process 0 tells is there when another asks, as it would be later.
  """

  def __init__(self, count):
    self.num_processes, self.process_id, self.client = count, 0, self
    self.told, self.asked = {}, []

  def key_value_set(self, key, value):
    assert key not in self.told
    self.told[key] = value

  def blocking_key_value_get(self, key, timeout):
    assert timeout == hosts.PATIENCE
    self.asked.append(key)
    return self.told[key]


@pytest.fixture
def job(monkeypatch):
  """Runs a program as each of two processes; what they returned or raised."""

  def run(program, count=2):
    store, found = Store(count), []
    monkeypatch.setattr(hosts, '_state', lambda: store)
    monkeypatch.setattr(hosts, 'failed', threading.Event())
    for i in range(count):
      store.process_id = i
      monkeypatch.setattr(hosts, '_numbers', iter(range(99)))
      try:
        found.append(program(i))
      except Exception as error:  # noqa: BLE001 (it is what is looked at)
        found.append(error)
    return found

  return run


def test_alone_everything_is_a_plain_call():
  """Whatever it returns, JSON or not."""
  assert hosts.count() == 1 and hosts.index() == 0
  marker = object()
  assert hosts.once(lambda: marker) is marker
  assert hosts.in_turn(lambda: marker) is marker
  calls = []
  hosts.by_one(lambda *args, **more: calls.append((args, more)))(1, b=2)
  assert calls == [((1,), {'b': 2})]


def test_a_script_without_jax_is_alone(monkeypatch):
  monkeypatch.delitem(hosts.sys.modules, 'jax._src.distributed', raising=False)
  assert hosts.count() == 1 and hosts.once(lambda: 5) == 5


def test_what_is_done_once_is_known_to_all(job):
  calls = []

  def program(i):
    make = lambda: calls.append(i) or {'x': (i + 7, None)}
    return hosts.once(make), hosts.once(lambda: i)

  assert job(program) == [({'x': [7, None]}, 0)] * 2
  assert calls == [0]


def test_a_writer_is_called_by_process_0_alone(job, tmp_path):
  write = hosts.by_one(lambda name, text: (tmp_path / name).write_text(text))
  assert job(lambda i: write(f'{i}.txt', text='x')) == [None, None]
  assert [x.name for x in tmp_path.iterdir()] == ['0.txt']


def test_what_is_inside_of_what_is_done_once_is_a_plain_call(job):
  """Else the first would have told more than the others ask for."""
  inner = hosts.by_one(lambda: None)

  def program(i):
    outer = lambda: (inner(), hosts.once(lambda: i), 'outer')[2]
    return hosts.once(outer), hosts.once(lambda: 'next')

  assert job(program) == [('outer', 'next')] * 2


def test_an_error_of_process_0_is_a_line_of_all(job):
  def fails():
    raise FileNotFoundError(2, 'No such file', '/x')

  first, second = job(lambda i: hosts.once(fails))
  assert isinstance(first, FileNotFoundError)
  assert isinstance(second, RunError) and str(second) == str(first)
  after = job(lambda i: hosts.once(lambda: i))
  assert after == [0, 0]  # and the next is done once again


def test_processes_that_are_at_other_calls_are_told_so(job):
  """A file that only one of them saw, or another version of the code."""

  def write():
    """Stands for one writer."""

  def read():
    """Stands for another."""

  _, second = job(lambda i: hosts.once(read if i else write))
  assert isinstance(second, RunError)
  assert 'process 1 is at' in str(second) and '.read and process 0' in str(
    second
  )


def test_the_first_builds_what_the_others_find(job, tmp_path):
  def build():
    there = (tmp_path / 'data').exists()
    (tmp_path / 'data').touch()
    return there

  assert job(lambda i: hosts.in_turn(build)) == [False, True]


def test_a_process_that_failed_ends_at_once_where_others_wait(monkeypatch):
  codes = []
  monkeypatch.setattr(hosts.os, '_exit', codes.append)
  assert hosts.ended(2) == 2 and codes == []
  monkeypatch.setattr(hosts, 'count', lambda: 2)
  assert hosts.ended(0) == 0 and codes == []
  hosts.ended(2)
  assert codes == [2]


@pytest.mark.parametrize(
  ('environ', 'expected'),
  [
    ({}, None),
    # srun with several tasks; srun with one; inside sbatch, outside srun
    ({'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': '1'}, 'slurm'),
    ({'SLURM_STEP_NUM_TASKS': '1', 'SLURM_PROCID': '0'}, None),
    ({'SLURM_NTASKS': '8', 'SLURM_PROCID': '0'}, None),
    # Kubernetes pod of two hosts; of one
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_WORKER_HOSTNAMES': 'a,b'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_PROCESS_ADDRESSES': 'a:1,b:1'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_WORKER_HOSTNAMES': 'a'}, None),
    # TPU VM with a metadata server; without one
    ({'TPU_ML_PLATFORM': 'JAX'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_SKIP_MDS_QUERY': '1'}, None),
    # no TPU chips
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, None),
  ],
)
def test_the_launcher_is_known_by_its_variables(environ, expected):
  assert distributed.launcher(environ) == expected


ADDRESS = '10.0.0.1:8476'


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ((None, 2, None), 'go with --distributed=HOST:PORT, got None'),
    ((None, None, 0), 'go with --distributed=HOST:PORT, got None'),
    (('auto', 2, 0), "go with --distributed=HOST:PORT, got 'auto'"),
    ((ADDRESS, 2, None), 'wants --num_processes and --process_id, got 2 and N'),
    ((ADDRESS, None, 1), 'wants --num_processes and --process_id, got None'),
    (('10.0.0.1', 2, 0), 'wanted auto, or HOST:PORT of process 0'),
    (('slurm', None, None), 'wanted auto, or HOST:PORT of process 0'),
    ((ADDRESS, 2, 2), '--process_id=2: wanted 0 to 1, of --num_processes=2'),
    ((ADDRESS, 2, -1), '--process_id=-1: wanted 0 to 1'),
    ((ADDRESS, 0, 0), '--num_processes=0: wanted 1 or more'),
  ],
)
def test_flags_that_do_not_go_together_are_one_line(given, message):
  with pytest.raises(ValueError) as error:
    distributed.start(*given)
  assert message in str(error.value) and '\n' not in str(error.value)


@pytest.fixture
def started(monkeypatch):
  """What `start` asks of JAX, under some variables."""

  def run(environ, *given):
    calls = []
    monkeypatch.setattr(
      jax.distributed,
      'initialize',
      lambda *args, **options: calls.append((args, options)),
    )
    monkeypatch.setattr(jax.config, 'update', lambda *_: None)
    monkeypatch.setattr(jax, 'devices', list)
    with monkeypatch.context() as patch:
      patch.setattr(os, 'environ', environ)
      distributed.start(*given)
    for _, options in calls:
      assert options.pop('heartbeat_timeout_seconds') == 20
      assert options.pop('shutdown_timeout_seconds') == 20
    return calls

  return run


METHOD = 'cluster_detection_method'
SLURM = {'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': '1'}


def test_without_flags_nothing_is_started(started):
  """Not even where SLURM has started several: each is a run of its own."""
  assert started({}) == [] and started(SLURM) == []
  assert started(SLURM, '') == []


def test_by_hand_what_is_given_holds(started):
  wanted = [((ADDRESS, 2, 1), {METHOD: 'deactivate'})]
  assert started({}, ADDRESS, 2, 1) == started(SLURM, ADDRESS, 2, 1) == wanted


def test_auto_asks_the_launcher(started):
  assert started(SLURM, 'auto') == [((), {METHOD: 'slurm'})]
  pod = {'TPU_ML_PLATFORM': 'JAX', 'TPU_WORKER_HOSTNAMES': 'a,b'}
  assert started(pod, 'auto') == [((), {})]


def test_auto_of_one_task_or_one_host_goes_on_by_itself(started):
  assert started({'SLURM_STEP_NUM_TASKS': '1'}, 'auto') == []
  assert started({'TPU_ML_PLATFORM': 'JAX', 'TPU_SKIP_MDS_QUERY': '1'}) == []


def test_auto_without_a_launcher_is_one_line(started):
  with pytest.raises(ValueError, match='found no SLURM step and no TPU'):
    started({'SLURM_NTASKS': '8'}, 'auto')


def test_what_others_print_is_left_out(capsys):
  with distributed.silent():
    print('twice')
    for _ in distributed.progress.Progress(0, 2, 'label'):
      pass
  print(json.dumps('once'))
  assert capsys.readouterr() == ('"once"\n', '')


@pytest.mark.parametrize(('said', 'deaths'), [(partners.GOODBYE, 0), (b'', 1)])
def test_a_connection_that_ends_without_a_goodbye_is_a_death(said, deaths):
  ours, theirs = socket.socketpair()
  lost = []
  if said:
    partners.part([theirs])
  theirs.close()
  partners._watch(ours, lost.append)
  assert len(lost) == deaths
  ours.close()


def test_the_end_of_a_process_by_its_own_error_is_no_death_to_itself():
  ours, theirs = socket.socketpair()
  lost = []
  try:
    partners.leave([theirs])
    assert ours.recv(1) == b''  # the other sees its end
    ours.close()
    partners._watch(theirs, lost.append)
    assert lost == []
  finally:
    partners._leaving.clear()
    theirs.close()


def test_after_an_error_that_all_were_told_no_end_is_a_death(job):
  """Process 0 speaks last: its own line may not be lost to another's end."""

  def program(i):
    def make():
      raise ValueError('a file')

    try:
      hosts.once(make)
    except (ValueError, RunError):
      pass
    ours, theirs = socket.socketpair()
    theirs.close()
    lost = []
    partners._watch(ours, lost.append)
    ours.close()
    return lost

  assert job(program) == [[], []]
