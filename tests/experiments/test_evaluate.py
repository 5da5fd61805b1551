"""experiments.evaluate beside the harness's own models, on made-up files."""

import importlib.util
import json
import math
import sys

import harness_files
import numpy as np
import pandas as pd
import pytest

from experiments import evaluate
from experiments.harness import plan, session
from tests.pretrained_files import data_folder, smollm2_or_skip

OPTIONS = dict(
  model='', tasks=['piqa'], forms=['cloze'], shots=['0'], template='plain',
  data='', workdir='', limit=None, before='', tokenizer='', pad_token=None,
)  # fmt: skip
BESIDE = ('lm_eval', 'torch', 'transformers', 'accelerate')


def need_harness(*packages):
  """Skips, saying what is not installed."""
  for package in packages:
    if importlib.util.find_spec(package) is None:
      pytest.skip(f'{package} is not installed: pip install -e .[eval,parity]')


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
  return harness_files.write_sets(tmp_path_factory.mktemp('sets'))


def test_without_the_harness_one_line_says_what_to_install(
  sets, tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'lm_eval', None)
  options = OPTIONS | {'data': str(sets), 'workdir': str(tmp_path)}
  with pytest.raises(ValueError, match=r'lm_eval is missing: .*\[eval\]'):
    evaluate.run(options)


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path):
  options = OPTIONS | {'data': str(tmp_path), 'workdir': str(tmp_path)}
  with pytest.raises(ValueError, match='piqa/validation.jsonl.gz is missing'):
    evaluate.run(options)


def test_nothing_is_measured_with_a_limit_of_none(sets, tmp_path):
  options = OPTIONS | {'data': str(sets), 'workdir': str(tmp_path), 'limit': 0}
  with pytest.raises(ValueError, match='--limit of 1 or more, got 0'):
    evaluate.run(options)


def write_llama(folder, begin):
  """A random Llama of two layers as `transformers` writes it."""
  import torch
  import transformers

  from tests.text.small_tokenizer import CHATML, write_folder

  special = {'eos_token': '<|im_end|>', 'pad_token': '<|im_end|>'}
  special |= {'bos_token': '<s>'} if begin else {}
  write_folder(
    folder, template=None if begin else CHATML, begin=begin, **special
  )
  torch.manual_seed(0)
  config = transformers.LlamaConfig(
    vocab_size=290,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=96,
    initializer_range=0.3,
    bos_token_id=0 if begin else None,
    eos_token_id=2,
  )
  transformers.LlamaForCausalLM(config).save_pretrained(folder)
  return str(folder)


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'begin'])
def both(request, tmp_path_factory):
  """(folder, ours, the harness's own model) of one random Llama."""
  need_harness(*BESIDE)
  folder = tmp_path_factory.mktemp('llama') / f'begin-{request.param}'
  folder = write_llama(folder, request.param)
  from lm_eval.models.huggingface import HFLM

  theirs = HFLM(pretrained=folder, device='cpu', batch_size=4, dtype='float32')
  ours = session.open_model(OPTIONS | {'model': folder}, evaluate.tools())
  assert ours.max_length == theirs.max_length == 96
  return folder, ours, theirs


def answers_of(unit, model, sets):
  """Answers to each question."""
  from experiments.harness import measure

  samples = measure.samples_of(unit, model, str(sets), None)
  return [sample['filtered_resps'] for sample in samples]


@pytest.mark.slow  # PyTorch, transformers and the harness
@pytest.mark.parametrize('shots', [0, 1])
def test_every_task_has_the_log_probabilities_of_the_harness_s_model(
  both, sets, shots
):
  """Float32 sums of up to 60 tokens: 1e-3 nats is far above their rounding.

  With an example most contexts are longer than the model's 96 tokens.
  """
  _, ours, theirs = both
  units, _ = plan.units_of(plan.all_tasks(), plan.FORMS, [shots], 'plain')
  assert len(units) > 15
  for unit in units:
    ours_N, theirs_N = (answers_of(unit, m, sets) for m in (ours, theirs))
    if unit.form == 'written':
      assert ours_N == theirs_N
      continue
    for mine, other in zip(sum(ours_N, []), sum(theirs_N, []), strict=True):
      assert mine[0] == pytest.approx(other[0], abs=1e-3), unit.name
      assert mine[1] == other[1], unit.name


@pytest.mark.slow  # PyTorch, transformers and the harness
def test_whole_texts_have_the_log_probabilities_of_the_harness_s_model(
  both, monkeypatch
):
  """Shorter than the model, and of several windows.

  Left alone, the harness's model puts its begin token before a text that has
  one, and scores the second: it is told to add none.
  """
  from lm_eval.api.instance import Instance

  texts = ['the cat', 'hello the dog and the cat say ' * 30]
  requests = [
    Instance('loglikelihood_rolling', {}, (text,), i)
    for i, text in enumerate(texts)
  ]
  _, ours, theirs = both
  monkeypatch.setattr(theirs, 'add_bos_token', False)
  found = ours.loglikelihood_rolling(requests)
  wanted = theirs.loglikelihood_rolling(requests)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.slow  # the harness
@pytest.mark.parametrize('bos', [7, None])
def test_a_begin_token_stands_before_a_whole_text_and_is_not_scored(bos):
  need_harness('lm_eval')
  from lm_eval.api.instance import Instance

  from experiments.harness import adapter

  class Words:
    bos_id, eos_id = bos, 8

    def encode(self, text):
      return [ord(letter) for letter in text]

    def encode_document(self, text):
      return [7] * (bos is not None) + self.encode(text)

  asked = []
  score = lambda rows: asked.extend(rows) or [(-1.0, True) for _ in rows]
  model = adapter.HarnessLM(Words(), 'm', 3, score, None, None)
  requests = [Instance('loglikelihood_rolling', {}, ('abcd',), 0)]
  assert model.loglikelihood_rolling(requests) == [-2.0]
  a, b, c, d = map(ord, 'abcd')
  assert asked == [([bos or 8], [a, b, c]), ([a, b, c], [d])]


@pytest.mark.slow  # PyTorch, transformers and the harness
def test_a_chat_template_is_used_as_the_harness_s_model_uses_it(both, sets):
  """But for the newline that ends ChatML's prompt.

  The harness counts it to the continuation, as it does with all white space; we
  count it to the prompt. It is the same for each choice of a question.
  """
  _, ours, theirs = both
  if not ours.words.has_template:
    pytest.skip('this tokenizer has no chat template: the other has')
  for task, shots in (('piqa', 0), ('arc_easy', 1), ('mmlu', 0)):
    for form in plan.FORMS:
      unit = plan.Unit(task, form, shots, 'chat')
      ours_N, theirs_N = (answers_of(unit, m, sets) for m in (ours, theirs))
      for mine, other in zip(ours_N, theirs_N, strict=True):
        newline_C = [b[0] - a[0] for a, b in zip(mine, other, strict=True)]
        np.testing.assert_allclose(newline_C, newline_C[0], atol=1e-3)
        assert newline_C[0] < 0


@pytest.mark.slow  # PyTorch, transformers and the harness
def test_tables_are_written_once_and_compared_item_by_item(
  both, sets, tmp_path, capsys, monkeypatch
):
  folder, _, _ = both
  options = OPTIONS | {'model': folder, 'data': str(sets)}
  options |= {'tasks': ['piqa', 'mmlu', 'lambada', 'bbq'], 'shots': ['0', '1']}
  first, second = tmp_path / 'first', tmp_path / 'second'
  evaluate.run(options | {'workdir': str(first)})
  table = pd.read_csv(first / 'results.csv')
  assert len(table) == len(json.loads((first / 'results.json').read_text()))
  piqa = table[table['name'] == 'piqa.cloze.1shot.plain']
  assert piqa['metric'].tolist() == ['acc', 'acc_norm']
  assert piqa['n'].tolist() == piqa['of'].tolist() == [4, 4]
  assert piqa['harness'].str.startswith('lm_eval ').all()
  assert table['revision'].str.len().eq(12).all()
  mmlu = table[table['name'] == 'mmlu.cloze.0shot.plain']
  assert mmlu['n'].tolist() == [6, 6]
  lambada = table[table['metric'] == 'perplexity']['value']
  assert len(lambada) == 1 and math.isfinite(lambada.iloc[0])
  assert {'acc.ambig', 'acc.disambig'} < set(table['metric'])
  # A second call opens no model.
  monkeypatch.setattr(session, 'open_model', None)
  evaluate.run(options | {'workdir': str(first)})
  with pytest.raises(ValueError, match='holds results of limit None'):
    evaluate.run(options | {'workdir': str(first), 'limit': 2})
  monkeypatch.undo()
  capsys.readouterr()
  more = {'workdir': str(second), 'before': str(first), 'limit': 3}
  evaluate.run(options | more)
  pairs = pd.read_csv(second / 'paired.csv')
  assert pairs['difference'].eq(0).all() and pairs['stderr'].eq(0).all()
  assert pairs[pairs['name'].str.startswith('piqa')]['n'].eq(3).all()
  assert pairs[pairs['name'].str.startswith('mmlu')]['n'].eq(4).all()
  assert 'piqa.cloze.0shot.plain' in capsys.readouterr().out


@pytest.mark.slow  # 135M parameters
def test_smollm2_answers_physical_questions_better_than_chance(tmp_path):
  """32 questions of PIQA, .65 to .68 on all: above .5 but for 1 in 20."""
  smollm2_or_skip()
  need_harness('lm_eval')
  if not data_folder().is_dir():
    pytest.skip(f'no data at {data_folder()}; set RLHF_JAX_DATA')
  options = {'model': 'smollm2', 'data': str(data_folder()), 'limit': 32}
  evaluate.run(OPTIONS | options | {'workdir': str(tmp_path)})
  table = pd.read_csv(tmp_path / 'results.csv').set_index('metric')
  assert table.loc['acc_norm', 'value'] > 0.5
  assert table.loc['acc_norm', 'n'] == 32
