"""experiments.generate: a reply as it comes, from every kind of model."""

import io
import os

import jax
import pytest
from experiments_command import call, error_line, finish, start, succeeded

from experiments import generate
from experiments.shared import imported, models
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, RunError, save_params
from tests.pretrained_files import (
  need_or_skip,
  smollm2_or_skip,
  stories_or_skip,
)

FRANCE = '--prompt=What is the capital of France?'
STORY = 'Once upon a time, there was a little girl named Lily. She loved to'
OPTIONS = dict(
  model='', prompt='Hi', tokenizer='', system=None, pad_token=None, raw=False,
  max_tokens=8, temperature=0.0, seed=0, weights='float32',
)  # fmt: skip


def options(**changes):
  return OPTIONS | changes


def printed(capsys, **changes):
  generate.run(options(**changes))
  return capsys.readouterr()


@pytest.mark.slow  # 135M parameters
def test_smollm2_says_what_the_capital_of_france_is():
  smollm2_or_skip()
  process = start('generate', '--model=smollm2', FRANCE, '--max_tokens=32')
  # The first word arrives before the process has ended.
  first = os.read(process.stdout.fileno(), 3).decode()
  assert process.poll() is None
  done = finish(process)
  assert succeeded(done).returncode == 0
  assert first + done.stdout == 'The capital of France is Paris.\n'
  assert '37 prompt tokens, 8 new' in done.stderr
  assert 'tokens/s' in done.stderr


@pytest.mark.slow  # a process of its own; the next test writes with it too
def test_the_stories_model_goes_on_with_its_story():
  weights, vocabulary = stories_or_skip()
  done = call(
    'generate',
    f'--model={weights}',
    f'--tokenizer={vocabulary}',
    '--prompt=Once upon',
    '--raw',
    '--max_tokens=30',
  )
  text = ' Once upon' + succeeded(done).stdout.removesuffix('\n')
  assert text.startswith(' ' + STORY)


def test_sampling_depends_on_the_seed_and_on_nothing_else(capsys):
  weights, vocabulary = stories_or_skip()
  tell = lambda seed: (
    printed(
      capsys,
      model=str(weights),
      tokenizer=str(vocabulary),
      prompt='',
      raw=True,
      temperature=1.5,
      seed=seed,
      max_tokens=20,
    ).out
  )
  assert tell(1) == tell(1) != tell(2)


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory):
  """An untrained policy of ours with its text stage."""
  root = tmp_path_factory.mktemp('runs')
  texts = ['\n\nHuman: Hi.\n\nAssistant: Hello there.'] * 30
  tokenizer = Tokenizer.train(texts, 290)
  tokenizer.save(root / 'text' / 'tokenizer.model')
  config = {'size': '3K', 'dtype': 'float32', 'text_dir': str(root / 'text')}
  about = About('train_lm', 'language model', base='rung:3K')
  with Run(root / 'lm', config, {'role': 'lm'}, about=about) as run:
    key = ('3K', tokenizer.vocab_size, 'float32')
    params = models.rung_model(*key).init(jax.random.key(0))
    save_params(run.path, params)
  return root / 'lm'


def test_a_run_of_ours_answers_in_its_own_format(run_folder, capsys):
  out = printed(capsys, model=str(run_folder))
  assert '8 new' in out.err
  opened = models.open_writer(str(run_folder))
  ids = generate.prompt_ids(opened, 'Hi', False, 8)
  assert ids == opened.tokenizer.encode('\n\nHuman: Hi\n\nAssistant:')


def test_a_hugging_face_folder_answers(tmp_path, capsys):
  need_or_skip('safetensors', 'tokenizers')
  from rlhf_jax.models.pretrained.export import save_policy
  from tests.text.small_tokenizer import write_folder

  write_folder(tmp_path)
  config = TransformerConfig(
    vocab_size=290,
    n_layers=1,
    d_model=16,
    n_heads=2,
    activation='swiglu',
    embed_scale=1.0,
  )
  params = build(config).init(jax.random.key(0))
  save_policy(tmp_path, config, params)
  for weights in ('float32', 'bfloat16'):
    out = printed(capsys, model=str(tmp_path), max_tokens=5, weights=weights)
    assert ' new' in out.err
  generate.run(options(model=str(tmp_path), system='Be bad.', max_tokens=2))


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(tmp_path):
  need_or_skip('safetensors', 'tokenizers')
  from rlhf_jax.models.pretrained.export import save_policy
  from tests.text.small_tokenizer import write_folder

  write_folder(tmp_path)
  config = TransformerConfig(
    vocab_size=289,
    n_layers=1,
    d_model=16,
    n_heads=2,
    activation='swiglu',
    embed_scale=1.0,
  )
  save_policy(tmp_path, config, build(config).init(jax.random.key(0)))
  with pytest.raises(ValueError, match='the 289 rows .* got one of 290'):
    generate.run(options(model=str(tmp_path)))


class Recorder(io.StringIO):
  """Keeps what had been written at each flush."""

  def __init__(self):
    super().__init__()
    self.flushed = []

  def flush(self):
    self.flushed.append(self.getvalue())


class Bytes:
  """A tokenizer of bytes."""

  def decode(self, ids):
    return bytes(ids).decode(errors='replace')

  decode_reply = decode


def test_characters_are_shown_whole_and_at_once():
  file = Recorder()
  printer = generate.Printer(Bytes(), raw=False, file=file)
  for byte in ' aé☃'.encode():
    printer.add(byte)
  printer.close()
  shown = list(dict.fromkeys(file.flushed))
  assert shown == ['', 'a', 'aé', 'aé☃', 'aé☃\n']


def test_bytes_that_are_no_character_are_shown_in_the_end():
  file = Recorder()
  printer = generate.Printer(Bytes(), raw=True, file=file)
  for byte in b' a\xe2':
    printer.add(byte)
  printer.close()
  assert file.getvalue() == ' a\ufffd\n'


@pytest.mark.slow  # processes
def test_bad_flags_end_in_one_line(tmp_path):
  for arguments, message in (
    ((FRANCE,), '--model and --prompt are required'),
    ((f'--model={tmp_path}/none', FRANCE), 'wanted smollm2, a Hugging Face'),
    (('--model=smollm2', FRANCE, '--max_tokens=many'), 'max_tokens'),
  ):
    done = call('generate', *arguments)
    assert done.returncode == 2
    assert message in error_line(done)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (dict(max_tokens=0), '--max_tokens of 1 or more'),
    (dict(temperature=-1.0), '--temperature of 0 or more'),
    (dict(raw=True, system='x'), '--raw uses no chat template'),
    (dict(tokenizer='t'), r'--tokenizer with a llama2.c .bin and only there'),
    (dict(model='x.bin'), r"got 'x.bin' without one"),
  ],
)
def test_options_that_make_no_sense_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    generate.run(options(**(dict(model='smollm2') | changes)))


def test_what_the_model_cannot_do_is_refused(run_folder, tmp_path):
  weights, vocabulary = stories_or_skip()
  stories = dict(model=str(weights), tokenizer=str(vocabulary))
  with pytest.raises(ValueError, match="the model's context of 512: lower"):
    generate.run(options(**stories, max_tokens=600))
  with pytest.raises(ValueError, match='no chat template for a system prompt'):
    generate.run(options(**stories, system='Be brief.'))
  with pytest.raises(ValueError, match='leave --system out'):
    generate.run(options(model=str(run_folder), system='Be brief.'))
  with pytest.raises(ValueError, match='--prompt is empty'):
    generate.run(options(model=str(run_folder), prompt='', raw=True))
  with pytest.raises(FileNotFoundError, match='config.json is missing'):
    generate.run(options(model=str(tmp_path)))
  with pytest.raises(ValueError, match='marker inside a turn'):
    generate.run(options(**stories, prompt='x\n\nAssistant: y'))


def test_a_run_without_a_language_model_is_refused(tmp_path):
  about = About('make_text', 'texts')
  with Run(tmp_path / 'text', {'dialogues': 3}, {'role': 'text'}, about=about):
    pass
  with pytest.raises(RunError, match='text holds texts and no model'):
    models.open_writer(str(tmp_path / 'text'))


def test_an_uninstalled_smollm2_says_how_to_install_it(monkeypatch):
  monkeypatch.setattr(imported.importlib.util, 'find_spec', lambda _: None)
  with pytest.raises(ValueError, match='run `make smollm2`'):
    imported.smollm2_path()


def test_the_tokenizer_of_a_text_stage_may_be_an_imported_one(tmp_path):
  pytest.importorskip('tokenizers')
  from rlhf_jax.text.pretrained import PretrainedTokenizer
  from tests.text.small_tokenizer import write_folder

  folder = write_folder(tmp_path / 'hf')
  words = PretrainedTokenizer.from_folder(folder)
  words.save(tmp_path / 'text' / 'tokenizer.model')
  loaded = models.text_tokenizer({'text_dir': str(tmp_path / 'text')})
  assert isinstance(loaded, PretrainedTokenizer)
  assert loaded.vocab_size == words.vocab_size
