"""Rows from outcomes by item, against numbers worked out by hand."""

import json
import math
import types

import harness_files
import pytest

from experiments import evals, evaluate
from experiments.harness import outcomes, plan, session


def item(name, acc, logps=(-1.0, -2.0), **more):
  return {'item': name, 'logps': list(logps), 'acc': acc} | more


def test_accuracy_has_the_standard_error_of_its_items():
  """Three of four right: sd = sqrt(.75 .25 4 / 3) = .5, over 2: .25."""
  (row,) = outcomes.rows_of([item(str(n), float(n > 0)) for n in range(4)])
  assert row['value'] == 0.75
  assert row['stderr'] == pytest.approx(0.25)
  assert (row['n'], row['chance']) == (4, 0.5)


def test_chance_is_the_mean_over_questions_of_unlike_many_choices():
  items = [item('a', 1.0), item('b', 0.0, [-1.0] * 4)]
  assert outcomes.rows_of(items)[0]['chance'] == pytest.approx(0.375)


def test_perplexity_is_of_the_mean_log_likelihood():
  items = [
    {'item': str(n), 'logps': [logp], 'perplexity': logp, 'acc': 0.0}
    for n, logp in enumerate((-1.0, -3.0))
  ]
  row, accuracy = outcomes.rows_of(items)
  assert row['value'] == pytest.approx(math.exp(2))
  assert row['stderr'] == pytest.approx(math.exp(2) * 1.0)
  assert accuracy['chance'] == ''


def test_conditions_have_rows_of_their_own():
  items = [
    item(str(n), float(n), condition=condition)
    for n, condition in enumerate(('ambig', 'disambig'))
  ]
  rows = {row['metric']: row['value'] for row in outcomes.rows_of(items)}
  assert rows == {'acc': 0.5, 'acc.ambig': 0.0, 'acc.disambig': 1.0}


def test_one_item_has_no_standard_error():
  assert math.isnan(outcomes.rows_of([item('a', 1.0)])[0]['stderr'])


def test_true_mass_is_the_share_of_the_true_answers():
  results = [(math.log(p) - 800, False) for p in (0.3, 0.1, 0.4)]
  found = outcomes.true_mass({'truth': [1, 0, 1]}, results)
  assert found == {'mc2': pytest.approx(7 / 8)}


@pytest.mark.parametrize(('best', 'acc'), [(0, 0.0), (2, 1.0), (3, 1.0)])
def test_any_of_the_right_wordings_counts(best, acc):
  results = [(-1.0 if k == best else -2.0, False) for k in range(4)]
  assert outcomes.any_right({'right': [0, 0, 1, 1]}, results) == {'acc': acc}


def test_items_keep_the_outcome_and_what_the_question_is_about():
  samples = [
    {
      'doc': {'item': '3', 'subject': 'dogs', 'condition': None},
      'metrics': ['acc'],
      'acc': 1,
      'filtered_resps': [(-1.0, True), (-2.5, False)],
    },
    {
      'doc': {'item': '4'},
      'metrics': ['exact_match'],
      'exact_match': 0.0,
      'filtered_resps': ['a cat'],
    },
  ]
  assert outcomes.items_of(samples) == [
    {'item': '3', 'subject': 'dogs', 'logps': [-1.0, -2.5], 'acc': 1.0},
    {'item': '4', 'reply': 'a cat', 'exact_match': 0.0},
  ]


def test_two_models_are_compared_on_the_items_of_both():
  """Differences 0, 1, -1 and 1: mean .25, sd sqrt(11/12), over 2."""
  before = [item(n, a) for n, a in zip('abcdx', (1.0, 0, 1, 0, 0), strict=True)]
  after = [item(n, a) for n, a in zip('ydcba', (0.0, 1, 0, 1, 1), strict=True)]
  (row,) = outcomes.paired(before, after)
  assert row['difference'] == 0.25
  assert row['stderr'] == pytest.approx(math.sqrt(11 / 12) / 2)
  assert (row['before'], row['after'], row['n']) == (0.5, 0.75, 4)


def test_models_without_a_common_item_are_not_compared():
  with pytest.raises(ValueError, match='no item is in both'):
    outcomes.paired([item('a', 1.0)], [item('b', 1.0)])


def test_units_are_tasks_by_shots_by_forms():
  units, left_out = plan.units_of(
    ['piqa', 'lambada', 'mmlu', 'truthfulqa_mc2', 'triviaqa'],
    ['letters'],
    [0, 10],
    'chat',
  )
  assert [unit.name for unit in units] == [
    'piqa.letters.0shot.chat',
    'piqa.letters.10shot.chat',
    'lambada.lastword.0shot.chat',
    'mmlu.letters.0shot.chat',
    'triviaqa.written.0shot.chat',
    'triviaqa.written.10shot.chat',
  ]
  assert left_out == [
    'lambada with 10 shots left out: 0 are the most it has',
    'mmlu with 10 shots left out: 5 are the most it has',
    'truthfulqa_mc2 left out: it is asked as cloze alone',
    'truthfulqa_mc2 with 10 shots left out: 0 are the most it has',
  ]
  assert [unit.examples for unit in units[:2]] == ['none', plan.SAME_SPLIT]


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'tasks': ['piqua']}, "--tasks: wanted some of .* got 'piqua'"),
    ({'forms': ['short']}, "--forms: wanted .* got 'short'"),
    ({'template': 'html'}, "--template: wanted .* got 'html'"),
    ({'shots': [-1]}, '--shots: wanted numbers from 0 on'),
  ],
)
def test_what_there_is_not_is_an_error(change, said):
  asked = {'tasks': ['piqa'], 'forms': ['cloze'], 'shots': [0]}
  with pytest.raises(ValueError, match=said):
    plan.units_of(**asked | {'template': 'plain'} | change)


def test_a_unit_that_was_kept_comes_back(tmp_path):
  unit = plan.Unit('piqa', 'cloze', 0, 'plain')
  assert session.rows_of_unit(tmp_path, unit) is None
  with pytest.raises(FileNotFoundError, match='measure piqa.cloze.0shot.plain'):
    session.items_of_unit(tmp_path, unit)
  items = [item('a', 1.0), item('b', 0.0)]
  rows = outcomes.rows_of(items)
  session.write_unit(tmp_path, unit, rows, items)
  assert session.rows_of_unit(tmp_path, unit) == rows
  assert session.items_of_unit(tmp_path, unit) == items


UNIT = plan.Unit('mmlu', 'cloze', 0, 'plain')


@pytest.fixture
def measure(tmp_path, monkeypatch):
  """Measures UNIT into tmp_path/out, two questions, by a harness by rule."""
  sample = {'metrics': ['acc'], 'acc': 1, 'filtered_resps': [(-1.0, True)]}
  samples = [sample | {'doc': {'item': str(n)}} for n in (1, 2)]
  harness = types.SimpleNamespace(
    version=lambda: 'lm_eval 0', samples_of=lambda *_: samples
  )
  tools = session.Tools(None, None, None, harness)
  monkeypatch.setattr(session, 'revision', lambda model: 'r')
  monkeypatch.setattr(session, 'open_model', lambda *_: object())
  options = {'model': 'm', 'tokenizer': '', 'pad_token': None, 'limit': None}
  options |= {'data': str(harness_files.write_sets(tmp_path / 'sets'))}
  options |= {'workdir': str(tmp_path / 'out')}
  return lambda **own: session.rows_of([UNIT], options | own, tools)


def other_sets(folder):
  """The same sets, the first question of MMLU left out."""
  harness_files.write_sets(folder)
  rows = harness_files.SETS['mmlu/test'][1:]
  harness_files.write_set(folder, 'mmlu/test', rows)
  return str(folder)


def test_a_workdir_is_of_one_tokenizer_pad_token_and_data(measure, tmp_path):
  file = tmp_path / 'tok.bin'
  file.write_bytes(b'one')
  rows = measure(tokenizer=str(file))
  assert measure(tokenizer=str(file)) == rows
  file.write_bytes(b'two')
  with pytest.raises(ValueError, match="tokenizer 'tok.bin .*wanted 'tok.bin"):
    measure(tokenizer=str(file))
  with pytest.raises(ValueError, match="tokenizer 'tok.bin .*wanted ''"):
    measure()
  file.write_bytes(b'one')
  with pytest.raises(ValueError, match='pad_token None, wanted .<pad>'):
    measure(tokenizer=str(file), pad_token='<pad>')
  other = other_sets(tmp_path / 'other')
  with pytest.raises(ValueError, match='mmlu.cloze.0shot.plain measured on da'):
    measure(tokenizer=str(file), data=other)


def test_a_workdir_of_before_is_read_and_one_of_nothing_holds_nobody(
  measure, tmp_path, monkeypatch
):
  with pytest.raises(ZeroDivisionError):  # a model that does not open
    with monkeypatch.context() as context:
      context.setattr(session, 'open_model', lambda *_: 1 / 0)
      measure()
  rows = measure(pad_token='<pad>')
  path = tmp_path / 'out' / 'model.json'
  key = json.loads(path.read_text())
  assert key['pad_token'] == '<pad>'
  old = {k: x for k, x in key.items() if k not in session.LATER}
  path.write_text(json.dumps(old))
  assert measure(pad_token='<pad>') == rows
  with pytest.raises(ValueError, match="results of model 'm', wanted 'n'"):
    measure(model='n')


@pytest.mark.parametrize(
  ('changes', 'said'),
  [({'data': 'd'}, 'data'), ({'tasks': 't'}, 'tasks'), ({}, '')],
)
def test_two_models_are_compared_on_one_data_and_in_one_way(
  measure, tmp_path, changes, said
):
  """Items of MMLU are numbers of lines: of other data they pair by chance."""
  rows = measure()
  items = session.items_of_unit(tmp_path / 'out', UNIT)
  rows = [row | changes for row in rows]
  session.write_unit(tmp_path / 'after', UNIT, rows, items)
  options = {'before': str(tmp_path / 'out'), 'workdir': tmp_path / 'after'}
  after = types.SimpleNamespace(name='after')
  ways = (
    lambda: evaluate.compared([UNIT], options),
    lambda: evals.compared(after, tmp_path / 'out', UNIT, tmp_path / 'after'),
  )
  for compared in ways:
    if not said:
      assert compared()[0]['difference'] == 0
      continue
    with pytest.raises(ValueError, match=f'plain is of {said} .* measure one'):
      compared()


def test_a_unit_that_was_not_finished_is_compared_with_nothing(
  measure, tmp_path
):
  measure()
  (tmp_path / 'out' / session.UNITS / f'{UNIT.name}.json').unlink()
  with pytest.raises(FileNotFoundError, match='missing or not whole: measure'):
    session.sides_of(tmp_path / 'out', tmp_path / 'out', UNIT)
