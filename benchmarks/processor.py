"""The processor at hand: its model, and its vector and matrix extensions."""

import pathlib
import re

CPUINFO = pathlib.Path('/proc/cpuinfo')
# What decides the rate of a product, slowest first.
EXTENSIONS = ('avx', 'fma', 'avx2', 'avx512f', 'avx512_bf16', 'amx_bf16')
ARM = ('asimd', 'sve', 'bf16', 'sme')


def describe(text=None):
  """{'processor', 'extensions'}: strings of the first processor.

  Args:
    text: of /proc/cpuinfo; None: that of this machine, '' where there is none.
  """
  if text is None:
    text = CPUINFO.read_text() if CPUINFO.exists() else ''
  fields = {}
  for line in text.splitlines():
    key, _, value = line.partition(':')
    fields.setdefault(key.strip(), value.strip())
  name = fields.get('model name') or fields.get('CPU part') or 'unknown'
  family = [fields[key] for key in ('cpu family', 'model') if key in fields]
  flags = set((fields.get('flags') or fields.get('Features') or '').split())
  found = [flag for flag in EXTENSIONS + ARM if flag in flags]
  if family:
    name = f'{name} (family {", model ".join(family)})'
  return {'processor': name, 'extensions': ' '.join(found)}


def folder_name(cores, text=None):
  """A name of the processor fit for a folder: 'amd-epyc-25-1-avx2-2-cores'."""
  told = describe(text)
  words = told['processor'].replace('family', '').replace('model', '')
  widest = (told['extensions'].split() or ['scalar'])[-1]
  text = f'{words} {widest} {cores} cores'.lower()
  return re.sub('[^a-z0-9]+', '-', text).strip('-')
