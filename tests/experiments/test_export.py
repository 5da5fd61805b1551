"""experiments.export: what a run has trained, for transformers and for us."""

import types

import imported_fixture as tiny
import jax
import numpy as np
import pytest

from experiments import evaluate_hhh, export, generate
from experiments.shared import models, trained
from rlhf_jax.models import lora
from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, RunError, save_params
from tests.pretrained_files import need_or_skip

TALKS = [
  types.SimpleNamespace(
    prompt=f'\n\nHuman: {said}\n\nAssistant:', good=' hello.', bad=' the dog!'
  )
  for said in ('Say hello.', 'Is the cat good?\n\nAssistant: Yes.\n\nHuman: Be')
]


def finished_run(workdir, config, params, about):
  """A run directory as a stage leaves it."""
  with Run(workdir, config, {'role': 'test'}, about=about) as run:
    save_params(run.path, params)
    run.finish()
  return workdir


def noise(tree, seed=0):
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), tree
  )


class Tuned:
  """A base, and random adapters as the stages save them."""

  def __init__(self, root):
    tiny.write_model(root / 'model')
    self.root, self.base = root, tiny.base(root)
    functions, self.trained, alphas = self.base.functions, {}, {}
    for name, config, holds in (
      ('pm', tiny.pm(root), 'preference model'),
      ('ppo', tiny.ppo(root), 'policy'),
    ):
      fresh = trained.fresh_adapters(
        self.base, config['adapters'], jax.random.key(0)
      )
      self.trained[name] = {'adapters': noise(fresh)}
      alphas[name] = config['adapters']['alpha']
      if name == 'pm':
        head = functions.init_head(jax.random.key(1))
        self.trained[name]['head'] = jax.tree.map(np.asarray, head)
      about = About('test', holds, 'adapters', config['base'])
      finished_run(root / name, config, self.trained[name], about)
    # What the steps compute with: adapters beside the kernels.
    self.attached = {
      name: lora.combiner(lora.attach, alphas[name])(self.base.params, trained)
      for name, trained in self.trained.items()
    }
    self.rows = evaluate_hhh.encode(self.base.tokenizer, TALKS, tiny.hhh(root))

  def export(self, name, folder, **options):
    run = str(self.root / name)
    output = str(folder)
    export.run({'run': run, 'output': output, 'dtype': 'float32', **options})
    return folder

  def theirs(self, model):
    """Outputs of a torch model for the rows, padded with its own pad."""
    import torch

    tokens_NT, _, length_N = self.rows
    real_NT = np.arange(tokens_NT.shape[1]) < length_N[:, None]
    tokens_NT = np.where(real_NT, tokens_NT, model.config.pad_token_id)
    with torch.no_grad():
      out = model.eval()(
        torch.tensor(tokens_NT).long(), attention_mask=torch.tensor(real_NT)
      )
    return out.logits.numpy()


@pytest.fixture(scope='module')
def tuned(tmp_path_factory):
  need_or_skip('safetensors', 'tokenizers')
  return Tuned(tmp_path_factory.mktemp('export'))


def test_a_tuned_preference_model_scores_the_same_in_transformers(
  tuned, tmp_path, capsys
):
  """And imported again it is the merged weights, with a row for the pad."""
  need_or_skip('torch', 'transformers')
  import transformers

  from tests.parity import assert_rounding_alone

  folder = tuned.export('pm', tmp_path / 'pm')
  assert 'preference model' in capsys.readouterr().out
  load = transformers.AutoModelForSequenceClassification.from_pretrained
  tokens_NT, _, length_N = tuned.rows
  score = jax.jit(tuned.base.functions.score_fn)
  expected = np.asarray(score(tuned.attached['pm'], tokens_NT, length_N))
  plain = tuned.base.params | {'head': tuned.trained['pm']['head']}
  assert np.abs(expected - score(plain, tokens_NT, length_N)).max() > 0.01
  assert_rounding_alone(
    expected, load(folder), lambda theirs: tuned.theirs(theirs)[:, 0]
  )
  merged = models.open_run(tuned.root / 'pm').params
  again = load_folder(folder).params
  again['trunk']['embed'] = again['trunk']['embed'][:-1]
  jax.tree.map(np.testing.assert_array_equal, again, merged)
  words = transformers.AutoTokenizer.from_pretrained(folder)
  assert words('hello')['input_ids'][-1] == (
    tuned.base.tokenizer.end_of_context_id
  )


def test_a_tuned_policy_has_the_same_logits_in_transformers(tuned, tmp_path):
  """And imported again it is the merged weights, to the bit."""
  need_or_skip('torch', 'transformers')
  import transformers

  from tests.parity import assert_rounding_alone

  folder = tuned.export('ppo', tmp_path / 'policy')
  load = transformers.AutoModelForCausalLM.from_pretrained
  tokens_NT, _, length_N = tuned.rows
  run = jax.jit(tuned.base.functions.logits_fn)
  expected = np.asarray(run(tuned.attached['ppo'], tokens_NT, length_N))
  real_NT = np.arange(tokens_NT.shape[1]) < length_N[:, None]
  assert_rounding_alone(
    expected[real_NT],
    load(folder),
    lambda theirs: tuned.theirs(theirs)[real_NT],
  )
  merged = models.open_run(tuned.root / 'ppo').params
  again = load_folder(folder)
  assert again.config == tuned.base.functions.config
  jax.tree.map(np.testing.assert_array_equal, again.params, merged)
  moved = merged['trunk']['layer_2']['mlp']['in']['kernel']
  base = tuned.base.params['trunk']['layer_2']['mlp']['in']['kernel']
  assert np.abs(moved - base).max() > 0.01


def test_a_tuned_policy_writes(tuned, capsys):
  """With the base's chat template, and a system prompt where one is given."""
  options = dict(
    model=str(tuned.root / 'ppo'), prompt='Hi', tokenizer='', system=None,
    pad_token=None, raw=False, max_tokens=4, temperature=0.0, seed=0,
    weights='float32',
  )  # fmt: skip
  counts = []
  for system in ('Be bad.', None):
    generate.run(options | {'system': system})
    counts.append(int(capsys.readouterr().err.split()[0]))
  assert counts[0] != counts[1]  # tokens of the prompt
  options['model'] = str(tuned.root / 'pm')
  with pytest.raises(RunError, match='preference model: it scores'):
    generate.run(options)


def test_a_policy_of_adapters_is_a_base_with_them_merged(tuned):
  config = tiny.pm(tuned.root, base=str(tuned.root / 'ppo'))
  params = models.open_base(config).params
  wanted = models.open_run(tuned.root / 'ppo').params
  jax.tree.map(np.testing.assert_array_equal, params, wanted)
  with pytest.raises(RunError, match='pm holds preference model: wanted a run'):
    models.open_base(config | {'base': str(tuned.root / 'pm')})


def test_attached_adapters_are_refused_by_name(tuned, tmp_path):
  config = tuned.base.functions.config
  with pytest.raises(ValueError, match='lora_a is of an adapter.*merge') as e:
    save_policy(tmp_path / 'new', config, tuned.attached['ppo'])
  assert '\n' not in str(e.value)
  strange = {'trunk': tuned.base.params['trunk'] | {'extra': np.zeros(3)}}
  with pytest.raises(ValueError, match='trunk/extra is no array of llama'):
    save_policy(tmp_path / 'new', config, strange)
  assert not (tmp_path / 'new').exists()


def test_a_fully_trained_model_is_exported_with_its_tokenizer(
  tuned, tmp_path, capsys
):
  """Of an imported rung; a bias of the score is left out, and said."""
  base = str(tuned.root / 'model')
  config = {'base': base, 'size': '', 'dtype': 'float32'}
  config['pad_token'] = tiny.PAD
  params = models.open_run(tuned.root / 'pm').params
  params['head'] = params['head'] | {'bias': np.float32(0.75)}
  about = About('train_pm', 'preference model', base=base)
  finished_run(tuned.root / 'full', config, params, about)
  folder = tuned.export('full', tmp_path / 'full')
  assert 'less the bias 0.75' in capsys.readouterr().out
  assert (folder / 'tokenizer.json').exists()
  again = load_folder(folder).params
  np.testing.assert_array_equal(again['head']['bias'], 0.75)
  np.testing.assert_array_equal(
    again['trunk']['embed'][:-1], params['trunk']['embed']
  )


def test_a_model_trained_here_keeps_its_sentencepiece_file(
  tuned, tmp_path, capsys
):
  texts = ['\n\nHuman: Hi.\n\nAssistant: Hello there.'] * 30
  words = Tokenizer.train(texts, 290)
  words.save(tmp_path / 'text' / 'tokenizer.model')
  config = {
    'size': '3K',
    'dtype': 'float32',
    'text_dir': str(tmp_path / 'text'),
  }
  init = models.rung_model('3K', words.vocab_size).init
  params = noise(jax.eval_shape(init, jax.random.key(0)))
  about = About('train_lm', 'language model', base='rung:3K')
  finished_run(tmp_path / 'lm', config, params, about)
  folder = tuned.export(tmp_path / 'lm', tmp_path / 'out')
  assert 'sentencepiece' in capsys.readouterr().out
  assert Tokenizer.load(folder / 'tokenizer.model').eos_id == words.eos_id
  assert load_folder(folder).settings['eos_token_id'] == words.eos_id


def test_what_is_no_finished_run_is_refused(tuned, tmp_path):
  with pytest.raises(RunError, match='is no run directory: it has no config'):
    models.open_run(tmp_path)
  with pytest.raises(RunError, match='config.json is not of a run: it has no'):
    models.open_run(tuned.root / 'model')
  config = tiny.ppo(tuned.root)
  about = About('train_ppo', 'policy', 'adapters', config['base'])
  with Run(tmp_path / 'begun', config, {}, about=about):
    pass
  with pytest.raises(RunError, match='holds no finished parameters'):
    models.open_run(tmp_path / 'begun')
  with pytest.raises(RunError, match='no run of experiments.train_pm'):
    models.open_scorer(tmp_path / 'begun')
