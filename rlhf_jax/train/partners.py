"""Connections between the processes of a job, which break when one dies.

The runtime's own words come late: a process that waits in a collective for one
that is gone is aborted after a missed heartbeat, with a page of stack. A socket
closes at once, whatever the process waits in.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading

from jax._src import distributed as runtime

from rlhf_jax.train import hosts

LOST = 3  # exit code of a process whose partner has died
GOODBYE = b'.'
SECONDS = 60  # for which a process waits for the others to connect

_leaving, _ending = threading.Event(), threading.Lock()


def lose(why):
  """Ends this process with one sentence: an orderly end would wait."""
  _ending.acquire()  # several threads may hear of one death: one speaks
  print(
    f'error: process {hosts.index()} of {hosts.count()} ends, since another '
    'one of the job has died (look at its own last line; the same command goes '
    f'on from the last checkpoint): {why[:160]}',
    file=sys.__stderr__,
    flush=True,
  )
  os._exit(LOST)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _aborted(number):
  """Ends this process with a sentence after JAX has aborted it.

  Its client does so when process 0 dies, in whose process its service lives.
  """
  del number
  lose('JAX says so above')


def _watch(connection, on_loss):
  """Waits for a goodbye; a connection that ends without one is a death."""
  with contextlib.suppress(OSError):
    if connection.recv(1) == GOODBYE:
      return
  if not (_leaving.is_set() or hosts.failed.is_set()):
    on_loss('its connection ended without a goodbye')


def _host():
  """Host of process 0, which JAX tells nowhere else."""
  return runtime.global_state.coordinator_address.rpartition(':')[0]


def connect(on_loss=lose):
  """Connects every process with process 0, and watches the connections.

  A collective: all processes of the job call it. The death of any of them ends
  process 0, and that the others.

  Args:
    on_loss: called with a reason, from another thread, at a death.

  Returns:
    The sockets, for `part`.
  """
  ctypes.CDLL(None).signal(signal.SIGABRT, _aborted)
  server = None
  if not hosts.index():
    server = socket.create_server(('', 0), backlog=hosts.count())
    server.settimeout(SECONDS)
  port = hosts.once(lambda: server.getsockname()[1])
  if server:
    connections = [server.accept()[0] for _ in range(hosts.count() - 1)]
    server.close()
  else:
    connections = [socket.create_connection((_host(), port), timeout=SECONDS)]
  for connection in connections:
    connection.settimeout(None)
    threading.Thread(
      target=_watch, args=(connection, on_loss), daemon=True
    ).start()
  return connections


def part(connections):
  """Says goodbye, so that the end of this process is no death."""
  for connection in connections:
    with contextlib.suppress(OSError):
      connection.sendall(GOODBYE)


def leave(connections):
  """Ends connections without a goodbye: this process has failed by itself."""
  _leaving.set()
  for connection in connections:
    with contextlib.suppress(OSError):
      connection.shutdown(socket.SHUT_WR)
