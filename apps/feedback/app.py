"""The application: routes behind the guard, the models' thread beside them."""

import contextlib
import json

from starlette.applications import Starlette

from apps.feedback import queued
from apps.feedback.database import connect, setting
from apps.feedback.generation import Generation
from apps.feedback.guard import Guard
from apps.feedback.plan import Plan
from apps.feedback.routes import ROUTES
from apps.feedback.site import Site


def make_app(path, plan: Plan, writers, origins) -> Guard:
  """The ASGI application of a database.

  Its thread starts and ends with it; replies that an earlier one left undone
  are the first that it writes.

  Args:
    path: of the database, which has to be there.
    plan: Plan.
    writers: see `Generation`.
    origins: addresses that it is reached at; links begin with the first.
  """
  sampler = json.dumps(writers.sampler, sort_keys=True)
  with contextlib.closing(connect(path)) as db:
    queued.serve(db, writers.snapshots, sampler)
    key = setting(db, 'key')
  generation = Generation(path, writers)
  site = Site(
    path=path,
    plan=plan,
    origin=origins[0],
    generation=generation,
    sampler=sampler,
    key=key,
  )

  @contextlib.asynccontextmanager
  async def lifespan(app):
    generation.start()
    yield
    generation.stop()

  inner = Starlette(routes=ROUTES, lifespan=lifespan)
  inner.state.site = site
  return Guard(inner, plan, origins)
