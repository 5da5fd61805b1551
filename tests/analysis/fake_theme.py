"""A theme of three small runs, whose numbers can be worked out by hand.

A module of a folder that no existing file knows: see `on_path`.
"""

import contextlib
import pathlib
import sys

import pandas as pd

from rlhf_jax.analysis import claims
from tests.analysis import tables_fixture

NAME, NUMBER = 'fake_weather', 901
TEXT = '''
"""Claim 901: days grow warmer."""

from rlhf_jax.analysis import fits
from rlhf_jax.analysis.claims.spec import ClaimSpec, Table, Theme
from rlhf_jax.analysis.findings import Finding, contrast, select


def warming(tables):
  """Claim 901: the slope of heat on day."""
  slopes = [
    fits.line(run['day'], run['heat']).coefficient_K[1]
    for _, run in select(tables, 'weather', role='weather').groupby('seed')
  ]
  return Finding([contrast('slope', slopes, '>', 1.5)], {'days': 3})


def heat_by_day(canvas, tables):
  """Heat against day."""
  rows = select(tables, 'weather')
  (axis,) = canvas.panels([''], 'day', 'heat')
  canvas.size_lines(axis, rows, 'day', 'day', 'heat')


def thermometer(tables):
  """The largest heat."""
  heat = float(select(tables, 'weather')['heat'].max())
  return {'measured': {'heat': heat}, 'verdict': 'reported', 'note': ''}


THEME = Theme(
  title='Weather',
  claims=(
    ClaimSpec(
      901,
      'Days grow warmer',
      'Heat rises with the day.',
      'an almanac',
      'slope > 1.5',
      warming,
      tables=('weather',),
      figure='heat_by_day',
      min_seeds=3,
    ),
  ),
  tables=(
    Table(
      'weather',
      'a day',
      {'day': 'of the year', 'heat': 'in degrees', 'code': 'of the station'},
      text=('code',),
      compressed=True,
      heading='Heat of every day',
    ),
  ),
  drawings=(heat_by_day,),
  checks=(thermometer,),
  roles={'weather': 'a station that measures'},
)
'''
SLOPES = (1.9, 2.0, 2.1)


@contextlib.contextmanager
def on_path(folder):
  """The theme as a file of a folder that the package of themes looks into."""
  file = pathlib.Path(folder) / f'{NAME}.py'
  file.write_text(TEXT)
  claims.__path__.append(str(folder))
  try:
    yield NAME
  finally:
    claims.__path__.remove(str(folder))
    sys.modules.pop(f'{claims.__name__}.{NAME}', None)
    vars(claims).pop(NAME, None)


def weather(slope):
  """Three days of one station; its code looks like a number."""
  days = [1, 2, 3]
  heat = [10 + slope * day for day in days]
  return pd.DataFrame({'day': days, 'heat': heat, 'code': '007'})


def write_study(workdir):
  """A run directory for each slope, a seed each."""
  for seed, slope in enumerate(SLOPES):
    row = {
      'run_id': f'weather-{seed}',
      'seed': seed,
      'config_hash': f'{seed}e9999',
      'commit': '12e4567',
      'role': 'weather',
      'size': '13K',
      'n_params': 13824,
      'half': 'all',
    }
    frame = weather(slope).assign(**row)
    tables_fixture.write_run(workdir / row['run_id'], row, {'weather': frame})
