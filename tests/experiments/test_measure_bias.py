"""experiments.measure_bias: scores of a real model, and runs that go on."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny
from bias_fixture import Marks, scorer_of, write_data

from experiments import measure_bias
from experiments.shared import continuations
from experiments.shared.answer_scores import answer_scores, bucket
from experiments.shared.imported import Opened
from rlhf_jax.text.answer_rows import AskedFor, dialogue_of, ids_before
from rlhf_jax.text.encode import pad_batch
from rlhf_jax.train.run import RunError
from rlhf_jax.types import Rollout

OPTIONS = dict(
  model='m', what=['bbq', 'truthfulqa'], limit=0, template='dialogue',
  tokenizer='', system=None, pad_token=None, batch=4, replies=2, max_tokens=4,
  temperature=1.0, top_p=0.9, seed=0, words='', threshold=0.5,
  before='',
)  # fmt: skip


def opened():
  base = tiny.base()
  return Opened(base.functions, base.params, base.tokenizer, None)


def test_rows_go_to_the_narrowest_bucket_that_holds_them():
  lengths = (1, 64, 65, 97, 129, 193, 257)
  wanted = [64, 64, 96, 128, 192, 256, 300]
  assert [bucket(n, 300) for n in lengths] == wanted


def test_texts_that_are_too_long_are_counted(capsys):
  model = opened()._replace(context=24)
  short, long = (
    AskedFor(dialogue_of(said), '', (' yes', ' no'))
    for said in ('draw 3 cats', 'draw cats and ' * 12)
  )
  kept = answer_scores(model, [short], 'test', batch=2)
  assert 'lost' not in capsys.readouterr().out
  (first, _) = answer_scores(model, [short, long], 'test', batch=2)
  assert (
    'test: 1 of 2 texts have lost their beginning, the model reads 24 '
    in (capsys.readouterr().out)
  )
  np.testing.assert_allclose(first[0], kept[0][0], rtol=1e-5)


def test_an_answer_has_the_log_probability_that_the_model_s_logits_give():
  """The twin: a softmax a token, of the whole text, one answer at a time."""
  model = opened()
  asked = [
    AskedFor(dialogue_of('draw 3 cats'), '', (' yes, 3 of them.', ' no!')),
    AskedFor(dialogue_of('draw cats'), ' yes,', (' 4 of them.', ' no!', ' 5')),
  ]
  found = answer_scores(model, asked, 'test', batch=2)
  assert [len(logp_C) for logp_C, _ in found] == [2, 3]
  words, at = model.tokenizer, 0
  texts = [x.prompt + x.lead + answer for x in asked for answer in x.answers]
  rows = [words.encode(text) for text in texts]
  tokens_BT, length_B = pad_batch(rows, 64, 0)
  logits_BTV = jax.jit(model.functions.logits_fn)(
    model.params, tokens_BT, length_B
  )
  logp_BTV = np.asarray(jax.nn.log_softmax(logits_BTV, -1))
  for one, (logp_C, tokens_C) in zip(asked, found, strict=True):
    start, _ = ids_before(words, one, 99)
    for logp, tokens in zip(logp_C, tokens_C, strict=True):
      ids = rows[at]
      assert tokens == len(ids) - len(start) and ids[: len(start)] == start
      places = range(len(start), len(ids))
      twin = sum(logp_BTV[at, t - 1, ids[t]] for t in places)
      assert logp == pytest.approx(twin, abs=1e-4)
      at += 1


@pytest.fixture
def sampler(monkeypatch):
  """A sampler that writes the row's name; (of a context, shapes it saw)."""
  words = tiny.namespace(
    stop_ids=(1,),
    pad_id=0,
    human_id=2,
    encode=lambda text: [9] * len(text),
    decode_reply=lambda ids: f' {ids[0]} ',
  )
  shapes = []

  def collect(params, prompts, rng):
    shapes.append(prompts.tokens_BP.shape)
    name_B = np.repeat(prompts.row_B, 2) * 2 + np.tile([0, 1], len(prompts[1]))
    length_B = np.repeat(prompts.length_B, 2)
    tokens_BT = np.zeros((len(name_B), prompts.tokens_BP.shape[1] + 1), int)
    tokens_BT[np.arange(len(name_B)), length_B] = name_B
    return Rollout(tokens_BT, length_B, length_B + 1, None, None)

  monkeypatch.setattr(continuations, '_program', lambda *_: collect)

  def write(context, lengths, rows):
    model = Opened(tiny.namespace(), None, words, context)
    texts = continuations.continuations(
      model,
      [AskedFor('x' * n, '', ()) for n in lengths],
      'test',
      replies=2,
      draw={'max_reply': 4, 'temperature': 1.0, 'top_p': 1.0},
      seed=0,
      first=7,
      rows=rows,
    )
    numbers = range(7, 7 + len(lengths))
    assert texts == [[f'{2 * n}', f'{2 * n + 1}'] for n in numbers]
    return shapes

  return write


def test_every_prompt_gets_its_own_continuations(sampler, capsys):
  """Nothing is lost or mixed up.

  Two prompts a batch: of 3, 5 and 4 letters, of 40 and 33, of 70.
  """
  shapes = sampler(None, (40, 3, 5, 70, 33, 4), 5)
  assert shapes == [(2, 32), (2, 32), (2, 64), (2, 128)]
  assert 'beginning' not in capsys.readouterr().out


def test_a_long_prompt_is_read_whole_where_the_context_holds_it(
  sampler, capsys
):
  """1,500 letters have four times the columns of a row of MOST."""
  assert sampler(4096, (1500, 1400, 3), 16) == [(8, 32), (2, 2048)]
  assert 'beginning' not in capsys.readouterr().out


@pytest.mark.parametrize(('context', 'most'), [(40, 36), (None, 508)])
def test_prompts_that_lose_their_beginning_are_counted(
  sampler, capsys, context, most
):
  """No row is wider than the model's context with the reply."""
  assert sampler(context, (3, most + 1, most), 4) == [(2, 32), (2, most)]
  said = capsys.readouterr().out
  assert 'test: 1 of 3 prompts have lost their beginning, the model ' in said
  assert f'model reads {most} tokens and writes 4' in said


@pytest.fixture
def asked_of(tmp_path, monkeypatch):
  """Runs the script with a model by rule; a list of what was opened."""
  times = []
  monkeypatch.setattr(
    measure_bias, 'open_writer', lambda name, **_: times.append(name)
  )
  score = scorer_of(lambda _, answer: -float(len(answer)))
  monkeypatch.setattr(
    measure_bias, 'answer_scores', lambda opened, asked, **_: score(asked)
  )
  data = str(write_data(tmp_path / 'data'))

  def run(**changes):
    options = OPTIONS | {'data': data, 'workdir': str(tmp_path / 'out')}
    measure_bias.run(options | changes)
    return tmp_path / 'out'

  return run, times


def test_a_measure_is_made_once_and_the_rows_of_all_stand_together(
  asked_of, capsys
):
  run, times = asked_of
  folder = run(what=['bbq'])
  assert times == ['m']
  table = pd.read_csv(folder / 'bias.csv')
  assert set(table['measure']) == {'bbq'}
  run()
  assert times == ['m', 'm']  # opened again for TruthfulQA alone
  run()
  assert times == ['m', 'm']
  table = pd.read_csv(folder / 'bias.csv')
  assert list(table.columns) == [
    'model', 'template', 'measure', 'statistic', 'rule', 'group', 'value',
    'low', 'high', 'n', 'protocol',
  ]  # fmt: skip
  assert set(table['measure']) == {'bbq', 'truthfulqa'}
  assert len(json.loads((folder / 'bias.json').read_text())) == len(table)
  assert len(pd.read_csv(folder / 'bbq' / 'items.csv')) == 5
  # The shortest answer is 'Unknown': right where nobody can know.
  line = ' 1.000 [ 1.000,  1.000] n=3      bbq, accuracy, ambiguous, sum, all'
  assert line in capsys.readouterr().out


def test_a_killed_measure_goes_on_with_the_questions_it_was_at(
  asked_of, monkeypatch, tmp_path
):
  run, _ = asked_of
  whole = pd.read_csv(run(what=['bbq']) / 'bbq' / 'items.csv')
  score, seen = measure_bias.answer_scores, []

  def killed(opened, asked, **_):
    if len(seen) == 1:
      raise KeyboardInterrupt
    seen.append(len(asked))
    return score(opened, asked)

  monkeypatch.setattr(measure_bias, 'PART', 2)
  monkeypatch.setattr(measure_bias, 'answer_scores', killed)
  folder = tmp_path / 'killed'
  with pytest.raises(KeyboardInterrupt):
    run(what=['bbq'], workdir=str(folder))
  monkeypatch.setattr(
    measure_bias,
    'answer_scores',
    lambda opened, asked, **_: seen.append(len(asked)) or score(opened, asked),
  )
  run(what=['bbq'], workdir=str(folder))
  assert seen == [2, 2, 1]
  assert pd.read_csv(folder / 'bbq' / 'items.csv').equals(whole)
  assert not (folder / 'bbq' / 'parts.jsonl').exists()


def test_another_model_is_compared_on_the_same_items(asked_of, tmp_path):
  run, _ = asked_of
  before = run()
  after = tmp_path / 'after'
  run(model='n', workdir=str(after), before=str(before))
  table = pd.read_csv(after / 'paired.csv')
  assert set(table['measure']) == {'bbq', 'truthfulqa'}
  assert (table['difference'] == 0).all() and (table['low'] == 0).all()
  with pytest.raises(ValueError, match='got none that has a measure in com'):
    run(before=str(tmp_path / 'none'))


@pytest.mark.parametrize(
  ('changes', 'key'),
  [
    ({'template': 'plain'}, 'template'),
    ({'temperature': 0.5}, 'temperature'),
    ({'max_tokens': 9}, 'max_tokens'),
    ({'seed': 1}, 'seed'),
    ({'system': 'Be good.'}, ''),  # a comparison that people want
  ],
)
def test_two_models_are_compared_in_one_way(
  asked_of, monkeypatch, tmp_path, changes, key
):
  run, _ = asked_of
  monkeypatch.setattr(measure_bias, 'SentimentLexicon', Marks)
  monkeypatch.setattr(
    measure_bias,
    'continuations',
    lambda opened, asked, **_: [['so 0.5', 'bad -1'] for _ in asked],
  )
  before, after = run(what=['sentiment']), tmp_path / 'after'
  own = {'what': ['sentiment'], 'workdir': str(after), 'before': str(before)}
  if not key:
    run(**own, **changes)
    assert (pd.read_csv(after / 'paired.csv')['difference'] == 0).all()
    return
  with pytest.raises(ValueError, match=f'sentiment was .* the same --{key}$'):
    run(**own, **changes)
  assert not (after / 'paired.csv').exists()


def test_a_folder_of_another_limit_is_refused(asked_of):
  run, _ = asked_of
  run(what=['bbq'])
  with pytest.raises(RunError, match='another config .differs in limit'):
    run(what=['bbq'], limit=2)


def test_what_is_written_is_measured_with_the_word_lists(
  asked_of, monkeypatch, tmp_path
):
  run, _ = asked_of
  lists = tmp_path / 'words.txt'
  lists.write_text('bad\n')
  monkeypatch.setattr(measure_bias, 'SentimentLexicon', Marks)
  monkeypatch.setattr(
    measure_bias,
    'continuations',
    lambda opened, asked, **_: [['bad -1', 'so 0.5'] for _ in asked],
  )
  folder = run(what=['toxicity', 'sentiment'], words=str(lists), limit=13)
  table = pd.read_csv(folder / 'bias.csv')
  own = table[(table['measure'] == 'toxicity') & (table['group'] == 'all')]
  found = own.set_index(['rule', 'statistic'])['value'].to_dict()
  for rule in ('profanity list', 'negative by marks'):
    assert found[rule, 'probability'] == 1
    assert found[rule, 'share of continuations'] == 0.5
  means = table[table['statistic'] == 'mean sentiment']
  assert len(means) == 13 and set(means['value']) == {-0.25}
  assert means['low'].isna().all()  # of one beginning each


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'what': ['bbq', 'tone']}, '--what=bbq,tone: wanted some of bbq'),
    ({'what': []}, '--what=: wanted some'),
    ({'replies': 0}, '--replies=0: wanted 1 or more'),
    ({'limit': -1}, '--limit=-1: wanted 0'),
    ({'temperature': 0.0}, '--temperature above 0 .* got 0.0 and 0.9'),
    ({'data': '/nowhere'}, 'bbq_subset.jsonl.gz is missing: wanted'),
  ],
)
def test_flags_that_will_not_do_are_refused(
  changes, message, asked_of, tmp_path
):
  run, _ = asked_of
  with pytest.raises(ValueError, match=message):
    run(**changes)
  assert not (tmp_path / 'out').exists()  # the next try may have other flags


@pytest.mark.slow  # compiles a sampler
def test_all_measures_of_a_tiny_model_end_to_end(tmp_path, monkeypatch):
  """Its replies depend on the seed alone, and not on who else is asked."""
  data = str(write_data(tmp_path / 'data'))
  lists = tmp_path / 'words.txt'
  lists.write_text('draw\ncats\n')
  monkeypatch.setattr(measure_bias, 'open_writer', lambda *_, **__: opened())
  monkeypatch.setattr(measure_bias, 'SentimentLexicon', Length)

  def run(name, **changes):
    options = OPTIONS | {'data': data, 'workdir': str(tmp_path / name)}
    options |= {'what': list(measure_bias.MEASURES), 'words': str(lists)}
    measure_bias.run(options | changes)
    return pd.read_csv(tmp_path / name / 'toxicity' / 'items.csv')

  first = run('first', limit=4)
  table = pd.read_csv(tmp_path / 'first' / 'bias.csv')
  assert set(table['measure']) == set(measure_bias.MEASURES)
  assert np.isfinite(table['value']).all()
  mass = table[table['statistic'] == 'probability of all occupations']
  assert 0 < mass['value'].item() < 1
  few = run('few', what=['toxicity'], limit=2)
  shared = first.merge(few, on=['prompt', 'reply'])
  assert len(shared) == 4
  other = run('other', what=['toxicity'], limit=4, seed=1)
  assert (other['text'] != first['text']).any()


class Length:
  """A scorer of sentiment: longer is better, up to 1."""

  name, does = 'length', 'counts letters'

  def __call__(self, texts):
    return [min(len(text), 40) / 20 - 1 for text in texts]
