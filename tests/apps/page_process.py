"""A page whose writers are of a simulated world, as a process to be killed.

    python -m tests.apps.page_process DATABASE PORT

The snapshot 'new' writes better replies than 'old'. A reply is a function of
its prompt and its seed, as those of the models are.
"""

import sys

import numpy as np
import uvicorn

from apps.feedback import app
from apps.feedback.plan import Plan
from apps.feedback.queued import Written
from rlhf_jax.crowd import users
from rlhf_jax.crowd.worlds import make_world, rules_of
from tests.apps.stress import WORLD

QUALITY = {'hash-old': 0.4, 'hash-new': 0.9}
PLAN = Plan(
  tasks=('helpful', 'red_team'),
  conversations=10_000,
  shown='together',
  queue=1000,
  requests_per_second=1e6,
  burst=10**6,
)


class WorldWriters:
  """Writers of the world, of the quality of their snapshot."""

  rows = 8
  snapshots = (('hash-old', 'old', '/old'), ('hash-new', 'new', '/new'))
  sampler = {'temperature': 1.0}  # noqa: RUF012 (read alone)

  def __init__(self):
    self._world = make_world(**WORLD)

  def group(self, request):
    return request.snapshot

  def write(self, requests, show):
    return [self._written(request) for request in requests]

  def _written(self, request):
    rng = np.random.default_rng(request.seed)
    prompt = users.prompt_of(self._world, request.prompt)
    quality = QUALITY[request.snapshot]
    reply = rules_of(self._world).write_reply(self._world, rng, prompt, quality)
    return Written(reply, [1], [2], True)


def main(path, port):
  """Serves until it is killed."""
  origin = f'http://127.0.0.1:{port}'
  served = app.make_app(path, PLAN, WorldWriters(), [origin])
  config = uvicorn.Config(
    served, host='127.0.0.1', port=port, log_level='warning', access_log=False
  )
  uvicorn.Server(config).run()


if __name__ == '__main__':
  main(sys.argv[1], int(sys.argv[2]))
