"""HTML pages that need no file and no network beside them.

Text of models and people is escaped; a template is never made of it.
"""

import base64
import pathlib
import re
from urllib.parse import quote

import jinja2

from rlhf_jax.analysis import claims_io
from rlhf_jax.analysis.cells import cell, duration

FOLDER = pathlib.Path(__file__).parent
# What a browser lets a page do: no script runs, nothing is fetched.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MEDIA_TYPES = {'.svg': 'image/svg+xml', '.png': 'image/png'}
# Of an SVG: what is measured in points, and what is said of the file itself.
_COORDINATES = re.compile(r' (?:d|x|y)="[^"]*"')
_NUMBER = re.compile(r'-?\d+\.\d{3,}')
_METADATA = re.compile(r'<metadata>.*?</metadata>', re.DOTALL)
_PLAIN = ' =:;/(),!*@+$?-._~[]{}|^\n'  # neither HTML nor a URI minds them


def render(template, **values) -> str:
  """The text of a page.

  Args:
    template: file of this folder.
    **values: all that it names.
  """
  return _environment().get_template(template).render(policy=POLICY, **values)


def data_uri(path) -> str:
  """A figure file as a data URI, which needs no network.

  An SVG is kept as text, a quarter shorter than in base64, its coordinates
  rounded to hundredths of a point.
  """
  path = pathlib.Path(path)
  if path.suffix == '.svg':
    text = _COORDINATES.sub(_rounded, path.read_text(encoding='utf-8'))
    text = _METADATA.sub('', text)
    return f'data:{MEDIA_TYPES[path.suffix]},{quote(text, safe=_PLAIN)}'
  data = base64.b64encode(path.read_bytes()).decode('ascii')
  return f'data:{MEDIA_TYPES[path.suffix]};base64,{data}'


def _rounded(match):
  """An attribute of coordinates with two decimals."""
  return _NUMBER.sub(lambda number: f'{float(number[0]):.2f}', match[0])


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
