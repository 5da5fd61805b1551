"""Connections between the processes of a job, which break when one dies.

The runtime's own words come late: a process that waits in a collective for one
that is gone is aborted after a missed heartbeat, with a page of stack. A socket
closes at once, whatever the process waits in.
"""

import contextlib
import os
import socket
import sys
import threading

import jax
import numpy as np
from jax._src import distributed as runtime
from jax.experimental import multihost_utils

LOST = 3  # exit code of a process whose partner has died
GOODBYE = b'.'


def lose(why):
  """Ends this process with one sentence: an orderly end would wait."""
  print(
    f'error: process {jax.process_index()} of {jax.process_count()} ends, '
    'since another one of the job has died (look at its own last line; the '
    f'same command goes on from the last checkpoint): {why[:160]}',
    file=sys.stderr,
    flush=True,
  )
  os._exit(LOST)


def _watch(connection, on_loss):
  """Waits for a goodbye; a connection that ends without one is a death."""
  with contextlib.suppress(OSError):
    if connection.recv(1) == GOODBYE:
      return
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
  count, first = jax.process_count(), jax.process_index() == 0
  server = socket.create_server(('', 0), backlog=count) if first else None
  port = server.getsockname()[1] if first else 0
  port = int(multihost_utils.broadcast_one_to_all(np.int32(port)))
  if first:
    connections = [server.accept()[0] for _ in range(count - 1)]
    server.close()
  else:
    connections = [socket.create_connection((_host(), port), timeout=60)]
    connections[0].settimeout(None)
  for connection in connections:
    threading.Thread(
      target=_watch, args=(connection, on_loss), daemon=True
    ).start()
  return connections


def part(connections):
  """Says goodbye, so that the end of this process is no death."""
  for connection in connections:
    with contextlib.suppress(OSError):
      connection.sendall(GOODBYE)
