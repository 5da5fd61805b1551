"""A folder as transformers writes it, through the command line."""

import json

import jax
import numpy as np
import pytest

from rlhf_jax.check import __main__ as command
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import make_comparison
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_policy, save_preference_model

pytest.importorskip('tokenizers', reason='needs the extra hf')
from tests.text.small_tokenizer import write_folder  # noqa: E402

ROWS = 290
ANIMALS = 'cat dog owl fox cow hen pig bee ant elk emu yak'.split()


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """(language model, preference model, pairs) with random weights."""
  root = tmp_path_factory.mktemp('check')
  write_folder(root / 'lm')
  config = TransformerConfig(
    vocab_size=ROWS,
    n_layers=1,
    d_model=16,
    n_heads=2,
    activation='swiglu',
    embed_scale=1.0,
  )
  functions, rng = build(config), np.random.default_rng(0)
  random = lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32)
  shapes = jax.eval_shape(functions.init, jax.random.key(0))
  params = jax.tree.map(random, shapes)
  save_policy(root / 'lm', config, params)
  head = {'kernel': random(np.zeros(16)), 'bias': np.float32(0)}
  save_preference_model(root / 'pm', config, params | {'head': head}, pad_id=2)
  pairs = [
    make_comparison(
      f'\n\nHuman: Draw a {size} {animal}.\n\nAssistant: Yes, gladly.',
      f'\n\nHuman: Draw a {size} {animal}.\n\nAssistant: No!',
      'mine',
    )
    for size in ('big', 'red')
    for animal in ANIMALS
  ]
  write_comparisons(root / 'pairs.jsonl', pairs)
  return root


def checked(root, *flags):
  """(exit code, {name: row}) of the command line."""
  out = root / 'findings.json'
  code = command.main(
    [
      f'--model={root / "lm"}',
      f'--reward={root / "pm"}',
      f'--data={root / "pairs.jsonl"}',
      f'--json={out}',
      '--max_reply=24',
      '--max_prompt=56',
      *flags,
    ]
  )
  return code, {row['name']: row for row in json.loads(out.read_text())}


@pytest.mark.slow  # opens and compiles two models
def test_a_folder_of_transformers_is_checked_and_a_leak_is_found(folders):
  """Everything but the planted leak is in order."""
  leak = {'prompt': 'Draw a big cat.'}
  (folders / 'eval.jsonl').write_text(json.dumps(leak) + '\n')
  asked = [{'prompt': f'Paint a {animal}.'} for animal in ANIMALS]
  lines = ''.join(json.dumps(row) + '\n' for row in asked)
  (folders / 'prompts.jsonl').write_text(lines)
  code, found = checked(
    folders,
    f'--evaluation={folders / "eval.jsonl"}',
    f'--prompts={folders / "prompts.jsonl"}',
  )
  wrong = {n: row['message'] for n, row in found.items() if row['ok'] is False}
  assert set(wrong) == {'evaluation_leakage'} and code == 1, wrong
  assert 'Draw a big cat.' in wrong['evaluation_leakage']
  assert [n for n, row in found.items() if row['ok'] is None] == []
  assert found['cached_decode']['value'] < 1e-4
  assert found['template_mismatch']['value'] > 2
