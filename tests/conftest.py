"""Every test runs on the CPU, and compiled programs are kept between runs."""

import os
import pathlib

import hypothesis

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Set before JAX is imported, and inherited by the programs that tests start.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.jax_cache'))
# Threads of PyTorch wait by spinning: with two workers each costs the others.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.3')

# The machine may be busy: a slow example is no failure.
hypothesis.settings.register_profile(
  'unhurried', parent=hypothesis.settings(), deadline=None
)
hypothesis.settings.load_profile('unhurried')
