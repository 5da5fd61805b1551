"""The study smollm2_policies_smoke on a random tiny model and a few texts."""

import gzip
import json

import imported_fixture as tiny
import numpy as np
import ranked_fixture

from experiments.studies import registry
from rlhf_jax.data import documents
from tests.test_configs import _load

LENGTHS = {'max_prompt': 40, 'max_reply': 10}


def write_data(folder):
  """Pairs, demonstrations, questions, a book and web pages."""
  tiny.write_data(folder, 30)
  ranked_fixture.write_sets(folder, 30)
  rng = np.random.default_rng(0)
  talk = lambda n: ranked_fixture.talk(rng, n)
  rows = [
    {'prompt': f'{i} {talk(2)}', 'response': f'hello {talk(2)}'}
    for i in range(40)
  ]
  ranked_fixture.write(
    folder / 'sft_dolly_hhrlhf_small' / 'train.jsonl.gz', rows
  )
  pages = [{'text': f'page {i} {talk(12)}'} for i in range(60)]
  sides = {documents.side_of(row['text']) for row in pages}
  assert sides == {'kept', 'held out'}
  ranked_fixture.write(folder / 'text_misc' / 'c4_demo.jsonl.gz', pages)
  (folder / 'text_gutenberg').mkdir()
  book = '\n\n'.join(f'{i} {talk(400)}.' for i in range(30))
  file = folder / 'text_gutenberg' / 'book.txt.gz'
  file.write_bytes(gzip.compress(book.encode()))
  return folder


def config(root, **changes):
  """The smoke study, of a model of three layers; a plain dict."""
  found = _load('reproduce').get_config('smollm2_policies_smoke')
  found.base, found.pad_token = f'{root}/model', tiny.PAD
  found.data.path = f'{root}/data'
  found.matmul = 'float32'
  found.max_prompt, found.max_reply = 40, 6
  found.reading.update(LENGTHS)
  found.adapters.update(layers=2, rank=2)
  found.pm.head.layers = ()
  found.pm.features.update(edges=(64,), tokens=512)
  for name in ('demos', 'sft', 'targets'):
    found[name].update(LENGTHS)
  found.targets.max_prompt = 60
  found.distil.update(steps=12, learning_rate=0.03)
  for key, value in changes.items():
    found[key] = value
  return json.loads(json.dumps(found.to_dict()))


def jobs(root, **changes):
  """{name: Job} of that study."""
  found = registry.all_jobs(config(root, **changes), str(root))
  return {job.name: job for job in found}
