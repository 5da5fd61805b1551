"""HTML pages that need no file and no network beside them.

Text of models and people is escaped; a template is never made of it.
"""

import base64
import pathlib

import jinja2

from rlhf_jax.analysis import claims_io
from rlhf_jax.analysis.cells import cell, duration

FOLDER = pathlib.Path(__file__).parent
# What a browser lets a page do: no script runs, nothing is fetched.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MEDIA_TYPES = {'.svg': 'image/svg+xml', '.png': 'image/png'}


def render(template, **values) -> str:
  """The text of a page.

  Args:
    template: file of this folder.
    **values: all that it names.
  """
  return _environment().get_template(template).render(policy=POLICY, **values)


def data_uri(path) -> str:
  """A figure file as a data URI, which needs no network."""
  path = pathlib.Path(path)
  data = base64.b64encode(path.read_bytes()).decode('ascii')
  return f'data:{MEDIA_TYPES[path.suffix]};base64,{data}'


def _environment():
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {
    'bound': claims_io.bound_text,
    'cell': cell,
    'deciding': claims_io.deciding,
    'duration': duration,
    'seeds': claims_io.seeds_text,
  }
  return environment
