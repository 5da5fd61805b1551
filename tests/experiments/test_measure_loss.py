"""Loss of models on held-out text, of models whose losses are known."""

import importlib.util
import json
import math
import types

import jax
import numpy as np
import pandas as pd
import pytest

from experiments import measure_loss
from experiments.harness import losses, reading
from experiments.shared import recipes
from experiments.shared.imported import Opened
from rlhf_jax.analysis import runs
from rlhf_jax.data import documents
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

V, LONGEST = 128, 24
OPTIONS = {'models': [], 'texts': [], 'limit': None, 'workdir': ''}


class Letters:
  """A tokenizer of ASCII, which cuts what else there is into '?'."""

  vocab_size, eos_id, pad_id, stop_ids = V, 1, 0, (1,)

  def encode(self, text):
    return [*text.encode('ascii', 'replace')]


class Pairs(Letters):
  """A tokenizer that drops every other letter: half as many tokens."""

  def encode(self, text):
    return super().encode(text)[::2]


def model(seed=None, words=None):
  """A model of 24 learned positions; without a seed it is uniform."""
  functions = build(
    TransformerConfig(
      vocab_size=V,
      n_layers=1,
      d_model=8,
      n_heads=2,
      positions='learned',
      max_length=LONGEST,
    )
  )
  shapes = jax.eval_shape(functions.init, jax.random.key(0))
  rng, scale = np.random.default_rng(seed), 0.0 if seed is None else 0.7
  draw = lambda x: rng.normal(0, scale, x.shape).astype(np.float32)
  return Opened(functions, jax.tree.map(draw, shapes), words or Letters(), None)


@pytest.fixture(scope='module')
def pages(tmp_path_factory):
  """A file of 60 rows, longer and longer; and those that are held out."""
  file = tmp_path_factory.mktemp('texts') / 'web' / 'c4.jsonl'
  file.parent.mkdir()
  rows = [f'page {n} ' + 'é' + 'abc ' * (n % 20) for n in range(60)]
  file.write_text(''.join(json.dumps({'text': x}) + '\n' for x in rows))
  held = [x for x in rows if documents.side_of(x) == 'held out']
  assert 3 < len(held) < 12 and max(map(len, held)) > 2 * LONGEST
  return file, held


@pytest.fixture
def models(monkeypatch, tmp_path):
  """Writes a file a model; {path: model}, and which were opened."""
  found, opened = {}, []
  for name, one in {
    'uniform': model(),
    'random': model(seed=1),
    'halved': model(words=Pairs()),
  }.items():
    (tmp_path / name).write_text(name)
    found[str(tmp_path / name)] = one
  monkeypatch.setattr(
    measure_loss, 'open_writer', lambda path: opened.append(path) or found[path]
  )
  return types.SimpleNamespace(folder=tmp_path, opened=opened)


def asked(models, pages, *names, **changes):
  own = {'models': [f'{x}={models.folder / x}' for x in names]}
  own |= {'texts': [str(pages[0])], 'workdir': str(models.folder / 'out')}
  return OPTIONS | own | changes


INDEX = {'losses': 'model', 'paired': 'after', 'reading': 'count'}


def table(models, name):
  """A table that was written, by its first names."""
  path = models.folder / 'out' / f'{name}.csv'
  return pd.read_csv(path).set_index(INDEX.get(name, 'model'))


def test_a_uniform_model_loses_the_logarithm_of_the_vocabulary(models, pages):
  """ln V a token whatever the text, and its error is 0; bytes are of UTF-8."""
  measure_loss.compare(asked(models, pages, 'uniform'))
  row = table(models, 'losses').iloc[0]
  _, held = pages
  tokens, size = sum(map(len, held)), sum(len(x.encode()) for x in held)
  assert size == tokens + len(held)  # é is of two bytes
  assert (row['documents'], row['tokens'], row['bytes']) == (
    len(held),
    tokens,
    size,
  )
  assert row['nats_per_token'] == pytest.approx(math.log(V), abs=1e-5)
  assert row['nats_stderr'] == pytest.approx(0, abs=1e-5)
  assert row['bits_per_byte'] == pytest.approx(7 * tokens / size, abs=1e-5)
  assert not (models.folder / 'out' / 'paired.csv').exists()
  counts = table(models, 'reading')['rows']
  assert counts.to_dict() == {
    'read': 60,
    'kept': 60 - len(held),
    'held out': len(held),
  }


def test_models_are_compared_on_the_same_documents(models, pages):
  measure_loss.compare(asked(models, pages, 'uniform', 'random', 'halved'))
  own, paired = table(models, 'documents'), table(models, 'paired')
  uniform, other = own.loc['uniform'], own.loc['random']
  assert uniform['number'].tolist() == other['number'].tolist()
  more = other['nats'].to_numpy() - uniform['nats'].to_numpy()
  row = paired.loc['random'].iloc[0]
  assert row['before'] == 'uniform' and row['file'] == 'all files'
  size = uniform['bytes'].to_numpy()
  mean = more.sum() / size.sum() / math.log(2)
  assert row['bits_per_byte'] == pytest.approx(mean, abs=1e-9)
  left = more / math.log(2) - mean * size
  n = len(more)
  error = (n / (n - 1) * (left**2).sum()) ** 0.5 / size.sum()
  assert row['bits_stderr'] == pytest.approx(error, abs=1e-9)
  whole = uniform['tokens'].sum()
  assert row['nats_per_token'] == pytest.approx(more.sum() / whole, abs=1e-9)
  # Tokens of another tokenizer are not to be compared; bytes are.
  halved = paired.loc['halved'].iloc[0]
  assert math.isnan(halved['nats_per_token'])
  tokens = own.loc['halved', 'tokens'].sum()
  wanted = 7 * (tokens - whole) / size.sum()
  assert halved['bits_per_byte'] == pytest.approx(wanted, abs=1e-5)


def test_what_is_measured_is_in_no_training_stream_of_the_files(pages):
  """The same documents, whoever asks."""
  file, held = pages
  config = {'ptx_text': str(file), 'max_prompt': 90, 'max_reply': 30}
  packed, _ = recipes.packed_texts(config, Letters())
  words = ''.join(chr(i) for i in packed.tokens_BT[packed.tokens_BT > 0])
  stream = set(words.split('\x01'))
  read = [x.text for x in documents.read_sides([str(file)]).held]
  assert sorted(read) == sorted(held)
  assert not stream & {x.replace('é', '?') for x in held}
  assert len(stream - {''}) == 60 - len(held)


def test_windows_are_those_of_the_harness(pages):
  """Long documents too: each token once, the last window with its left."""
  if importlib.util.find_spec('lm_eval') is None:
    pytest.skip('lm_eval is not installed: pip install -e .[eval]')
  from experiments.harness.adapter import HarnessLM

  opened = model(seed=2)
  held = documents.read_sides([str(pages[0])]).held
  score = reading.make_score(opened)
  nats = losses.make_nats(opened.tokenizer, LONGEST, score)
  found = nats(held, 0, 'nats')
  theirs = HarnessLM(
    opened.tokenizer,
    'x',
    LONGEST,
    score,
    None,
    None,
  ).loglikelihood_rolling(
    [types.SimpleNamespace(args=(item.text,)) for item in held]
  )
  nats = [-logp for logp in theirs]
  np.testing.assert_allclose([x for x, _ in found], nats, rtol=1e-6)
  assert [n for _, n in found] == [len(item.text) for item in held]


def test_a_killed_run_goes_on_and_a_later_model_is_measured_alone(
  models, pages, monkeypatch
):
  monkeypatch.setattr(losses, 'PART', 2)
  make, parts = losses.make_nats, []

  def dies(*asked):
    nats = make(*asked)

    def part(*given):
      parts.append(len(given[0]))
      if len(parts) == 3:
        raise KeyboardInterrupt
      return nats(*given)

    return part

  monkeypatch.setattr(losses, 'make_nats', dies)
  with pytest.raises(KeyboardInterrupt):
    measure_loss.compare(asked(models, pages, 'uniform', limit=5))
  measure_loss.compare(asked(models, pages, 'uniform', limit=5))
  assert parts == [2, 2, 1, 1] and len(models.opened) == 2
  measure_loss.compare(asked(models, pages, 'uniform', 'random', limit=5))
  assert parts == [2, 2, 1, 1, 2, 2, 1] and len(models.opened) == 3
  found = table(models, 'losses')
  assert found.loc['random', 'documents'].tolist() == [5, 5]
  with pytest.raises(
    ValueError, match='results of documents .* another --work'
  ):
    measure_loss.compare(asked(models, pages, 'uniform', limit=3))


def test_what_cannot_be_measured_is_one_line(models, pages, tmp_path):
  with pytest.raises(ValueError, match='--limit of 1 or more, got 0'):
    measure_loss.compare(asked(models, pages, 'uniform', limit=0))
  with pytest.raises(FileNotFoundError, match='none=.* there is no'):
    measure_loss.compare(asked(models, pages, 'none'))
  prompted = asked(models, pages, 'uniform')
  prompted['models'] = [f'{prompted["models"][0]}+hhh']
  with pytest.raises(ValueError, match=r'leave \+hhh out'):
    measure_loss.compare(prompted)
  few = tmp_path / 'few.jsonl'
  few.write_text(json.dumps({'text': 'page'}) + '\n')
  with pytest.raises(ValueError, match='none of the documents is held out'):
    measure_loss.compare(asked(models, pages, 'uniform', texts=[str(few)]))


@pytest.fixture
def based(monkeypatch):
  """Models by path, opened as bases to train from."""
  opened = []
  words = {'uniform': model(), 'random': model(seed=1)}

  def open_base(config, weights=True):
    name = config['base'].rpartition('/')[2]
    if weights:
      opened.append((name, config['dtype'], config['matmul']))
    one = words[name]
    return types.SimpleNamespace(
      functions=one.functions,
      params=one.params,
      tokenizer=one.tokenizer,
      size='3K',
      n_params=3456,
    )

  monkeypatch.setattr(measure_loss, 'open_base', open_base)
  return opened


def stage(folder, pages, *names, **changes):
  return {
    'role': 'text_loss',
    'seed': 7,
    'half': 'a',
    'writer_names': list(names),
    'writer_dirs': [str(folder / name) for name in names],
    'texts': [str(pages[0])],
    'documents': 5,
    'pad_token': '',
    'dtype': 'float32',
    'matmul': 'float32',
    **changes,
  }


def test_a_study_measures_all_in_one_arithmetic_and_once(
  models, based, pages, tmp_path
):
  """Its tables are those of the themes, with the columns of a run."""
  config = stage(models.folder, pages, 'uniform', 'random')
  measure_loss.run(config, tmp_path / 'run')
  computed = ('float32', 'float32')
  assert based == [('uniform', *computed), ('random', *computed)]
  tables = runs.run_tables(tmp_path / 'run')
  losses_, more = (
    tables[name].query('file == "all files"').set_index(key)
    for name, key in (
      ('text_losses', 'model'),
      ('text_loss_differences', 'after'),
    )
  )
  assert losses_['documents'].tolist() == [5, 5]
  assert set(losses_['seed']) == {7} and set(losses_['role']) == {'text_loss'}
  nats = losses_['nats_per_token']
  assert nats['uniform'] == pytest.approx(math.log(V), abs=1e-5)
  wanted = nats['random'] - nats['uniform']
  assert more.loc['random', 'nats_per_token'] == pytest.approx(wanted)
  measure_loss.run(config, tmp_path / 'run')
  assert len(based) == 2
  with pytest.raises(ValueError, match="two models or more, got .'uniform'."):
    measure_loss.run(stage(models.folder, pages, 'uniform'), tmp_path / 'one')
  lacking = stage(models.folder, pages, 'uniform', 'none')
  with pytest.raises(FileNotFoundError, match='none=.* there is no'):
    measure_loss.run(lacking, tmp_path / 'lacking')
  assert not (tmp_path / 'lacking').exists()
