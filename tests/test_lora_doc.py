"""The program of docs/lora.md runs, and learns."""

import pathlib
import re

import numpy as np
import pytest

from rlhf_jax.train.objectives import score_pairs

pytestmark = pytest.mark.slow  # runs the page's program

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_the_program_trains_a_preference_model_over_cached_features(capsys):
  """And what it merges scores the pairs as the adapters do."""
  page = (ROOT / 'docs' / 'lora.md').read_text()
  [block] = re.findall(r'```python\n(.*?)```', page, flags=re.S)
  names = {}
  exec(compile(block, 'docs/lora.md', 'exec'), names)
  loss, accuracy = map(float, capsys.readouterr().out.split())
  assert loss < 0.2
  assert accuracy == 1.0
  sides = [names[x] for x in ('good', 'length', 'bad', 'length')]
  pairs = names['PairBatch'](*sides)
  chosen_B, rejected_B = score_pairs(
    names['model'].score_fn, names['params'], pairs
  )
  assert np.mean(chosen_B > rejected_B) == 1.0
