"""Every test runs on the CPU, and compiled programs are kept between runs."""

import gc
import importlib.util
import os
import pathlib
from importlib import metadata

import hypothesis
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Set before JAX is imported, and inherited by the programs that tests start.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.jax_cache'))
# Compiling is most of what the tests do: half as long without optimisations of
# code that runs once. `XLA_FLAGS= make test` has the compiler's own choice. A
# later compiler may not know these options, which would end the program.
if metadata.version('jaxlib').startswith('0.10.'):
  os.environ.setdefault(
    'XLA_FLAGS',
    '--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false '
    '--xla_cpu_parallel_codegen_split_count=1',  # two workers, two cores
  )
# Where in Python an operation was traced stands in no program: nobody reads it.
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')
# Threads of PyTorch wait by spinning: with two workers each costs the others.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.3')

# Claims look strings up one by one: in Arrow's memory a judge of them all takes
# a third longer. The programs that tests start have the default.
pd.set_option('mode.string_storage', 'python')

# The machine may be busy: a slow example is no failure.
hypothesis.settings.register_profile(
  'unhurried', parent=hypothesis.settings(), deadline=None
)
hypothesis.settings.load_profile('unhurried')

# Files that take longest begin first, so that no worker is alone with one in
# the end.
FIRST = (
  'test_smoke.py',
  'test_stages.py',
  'test_studies_themes.py',
  'test_studies_launch.py',
  'test_shared_models.py',
  'test_imported_stages.py',
  'test_train_sharding.py',
  'test_benchmarks.py',
  'test_page_commands.py',
)


def pytest_collection_modifyitems(items):
  """Puts the tests of those files before all others, each in its order."""
  rank = {name: i for i, name in enumerate(FIRST)}
  items.sort(key=lambda item: rank.get(item.path.name, len(FIRST)))


# They import PyTorch and transformers, or run notebooks: `make test` does not
# install what they need, `make test-all` does.
NEED_TORCH = [
  'models/pretrained',
  'models/test_models_lora_parity.py',
  'text/test_text_real_tokenizers.py',
  'text/test_text_templates_beside.py',
  'text/test_text_tokenizer_export.py',
]
NEED_TRL = ['benchmarks/test_agreement_trl.py']
NEED_NOTEBOOKS = ['test_notebooks.py']


def lacking(*names):
  """Those packages that are not installed."""
  return [name for name in names if importlib.util.find_spec(name) is None]


LEFT_OUT = [
  (names, files)
  for names, files in (
    (lacking('torch', 'transformers'), NEED_TORCH),
    (lacking('trl'), NEED_TRL),
    (lacking('nbclient', 'nbformat', 'ipykernel'), NEED_NOTEBOOKS),
  )
  if names
]
collect_ignore = [file for _, files in LEFT_OUT for file in files]


def pytest_collection_finish(session):
  """Seeks cycles less often, never among what was imported: 6 % of the CPU."""
  del session
  gc.collect()
  gc.freeze()
  gc.set_threshold(50_000, 20, 20)


def pytest_terminal_summary(terminalreporter):
  """Says which files were left out, and why."""
  for names, files in LEFT_OUT:
    terminalreporter.write_line(
      f'left out, since there is no {" and no ".join(names)} '
      f'(make test-all installs it): {", ".join(files)}'
    )
