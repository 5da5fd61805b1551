"""Several models on the same questions: rows, what is read, tables, kills."""

import json
import math
import types

import pandas as pd
import pytest
import shared_fixture as tiny

from experiments import evals, evaluate_hhh, publish
from experiments.harness import (
  asked,
  before_after,
  counting,
  hhh,
  layout,
  listed,
  losses,
  plan,
  session,
)
from rlhf_jax.data.hhh import Choice
from rlhf_jax.text.hhh import HHH_PROMPT
from rlhf_jax.train.run import RunError
from tests.analysis.test_claims_skills import policies
from tests.test_configs import ROOT, _config, keys_read

CHOICES = [
  Choice('honest', tiny.prompt('draw cats'), ' yes.', ' no!'),
  Choice('harmless', tiny.prompt('draw dogs and cats'), ' no!', ' yes, yes.'),
]


def items(*right):
  return [
    {'item': str(i), 'logps': [0.0, 0.0], 'acc': x, 'acc_norm': 1 - x}
    for i, x in enumerate(right)
  ]


def test_a_row_has_the_paired_difference_and_says_whether_it_is_precise():
  unit = plan.Unit('piqa', 'cloze', 0, 'plain')
  sides = items(1, 0, 0, 1), items(1, 1, 0, 1)
  rows = before_after.unit_rows('plain', 'ppo', unit, sides)
  acc, norm = rows
  assert (acc['before'], acc['after'], acc['difference']) == (0.5, 0.75, 0.25)
  error = 0.5 / 2  # sd of 0, 1, 0, 0 is a half
  assert acc['stderr'] == pytest.approx(error) and not acc['precise']
  assert acc['high'] == pytest.approx(0.25 + 1.96 * error)
  # PIQA's headline is acc_norm, which counts letters.
  assert [acc['headline'], norm['headline']] == [False, True]
  same = before_after.unit_rows('plain', 'ppo', unit, [sides[0]] * 2)
  assert all(row['precise'] and row['difference'] == 0 for row in same)
  assert '(error above 0.02)' in before_after.line_of(acc)
  assert 'above' not in before_after.line_of(same[0])


def test_the_mean_of_tasks_has_the_error_of_a_mean_of_independent_ones():
  row = {'before_model': 'plain', 'after_model': 'ppo', 'template': 'plain'}
  row |= {'headline': True, 'shots': 0, 'before': 0.5, 'n': 10}
  rows = [
    row | {'name': 'a', 'form': 'cloze', 'after': 0.6, 'difference': 0.1},
    row | {'name': 'b', 'form': 'lastword', 'after': 0.3, 'difference': -0.2},
    row | {'name': 'c', 'form': 'letters', 'after': 0.9, 'difference': 0.4},
    row | {'name': 'd', 'form': 'cloze', 'after': 0.9, 'difference': 0.4},
  ]
  for one, error in zip(rows, (0.03, 0.04, 0.01, 0.01), strict=True):
    one['stderr'] = error
    one['task'] = one['name']
  rows[3] |= {'headline': False}
  rows.append(rows[0] | {'task': 'truthfulqa_mc2', 'name': 'e'})
  rows.append(rows[0] | {'task': 'hhh', 'name': 'f'})
  (found,) = before_after.mean_rows(rows)
  assert found['name'] == 'mean of tasks.cloze.0shot.plain'
  assert found['difference'] == pytest.approx(-0.05)
  assert found['stderr'] == pytest.approx(math.hypot(0.03, 0.04) / 2)
  assert found['n'] == 20 and not found['precise']


def test_so_many_questions_keep_the_error_that_the_config_promises():
  """The least n that holds for d = 1/3; a row of n answers bears it out."""
  n, d = _config('evals', 'smollm2')['items'], 1 / 3
  assert before_after.largest_change(n) >= d
  assert before_after.largest_change(n - 1) < d
  changed = math.floor(n * before_after.largest_change(n))
  before = [1] * (changed // 2) + [0] * (n - changed // 2)
  after = [0] * (changed // 2) + [1] * (changed - changed // 2)
  after += [0] * (n - changed)
  unit = plan.Unit('arc_easy', 'cloze', 0, 'plain')
  rows = before_after.unit_rows('a', 'b', unit, (items(*before), items(*after)))
  assert rows[0]['precise'] and rows[0]['stderr'] > 0.0199


def test_the_three_tasks_are_asked_in_each_form():
  """Zero-shot by letters too, and with five examples."""
  config = _config('evals', 'smollm2')
  assert config['letters'] == config['few_shot']
  units, left_out = asked.units_of(config)
  assert left_out == [] and len(config['letters']) == 3
  assert {x.task for x in units} == set(plan.all_tasks())
  for task in config['letters']:
    own = {(x.form, x.shots) for x in units if x.task == task}
    assert own == {('cloze', 0), ('letters', 0), ('cloze', 5)}


def test_every_setting_is_read():
  files = [ROOT / 'experiments/evals.py']
  files += sorted((ROOT / 'experiments/harness').glob('*.py'))
  read = set().union(*(keys_read(file.read_text()) for file in files))
  named = {*listed.COMPUTES, *asked.SIZES}  # read by a list of names
  for preset in ('smollm2', 'few'):
    config = _config('evals', preset)
    assert set(config) | set(config['data']) <= read | named, preset


def test_models_that_are_not_there_are_left_out_with_what_makes_them(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(listed.imported, 'revision', lambda path: 'r')
  (tmp_path / 'study/sft/s200').mkdir(parents=True)
  (tmp_path / 'study/rl/linear-a-s201').mkdir(parents=True)
  config = _config('evals', 'smollm2') | {'study': 'study'}
  found, left_out = listed.models_of(config, None)
  assert [x.name for x in found] == ['plain', 'prompted', 'sft', 'ppo_s201']
  assert found[-1].path == 'study/rl/linear-a-s201'
  assert found[-2].path == 'study/sft/s200'
  assert [x.system for x in found[:2]] == [None, HHH_PROMPT]
  words = '\n'.join(left_out)
  assert 'distilled left out, study/distil/s200 is not there: make' in words
  assert words.count('PRESET=smollm2_rl DATA=DATA') == 2
  assert words.count('PRESET=smollm2_policies WORKDIR=runs/') == 2
  own = config | {'models': ['a=smollm2', 'b=study/sft/s200', 'c=no']}
  found, left_out = listed.models_of(own, None)
  assert [x.name for x in found] == ['a', 'b']
  assert left_out == [
    'c left out, no is not there: train it, or leave it out of config.models'
  ]
  with pytest.raises(ValueError, match='two models or more .* got 1: b left'):
    listed.models_of(config | {'models': ['a=smollm2', 'b=no']}, None)


def test_each_unit_is_measured_once_and_no_form_is_invented():
  config = {'tasks': ['piqa', 'lambada'], 'letters': ['lambada']}
  config |= {'few_shot': ['piqa'], 'template': 'plain'}
  units, left_out = asked.units_of(config)
  assert [unit.name for unit in units] == [
    'piqa.cloze.0shot.plain',
    'lambada.lastword.0shot.plain',
    'piqa.cloze.5shot.plain',
  ]
  assert left_out == []
  units, _ = asked.units_of(config | {'letters': [], 'few_shot': []})
  assert len(units) == 2


def test_a_counter_counts_the_columns_of_rows_and_replies():
  counter = counting.Counter(longest=64)
  requests = [([1, 2, 3], [4, 5]), ([1, 2, 3], [6])] + [([7] * 20, [8])]
  assert counter.score(requests) == [(0.0, True)] * 3
  rows = layout.rows_of(requests, 64, 64)
  assert counter.tokens == sum(layout.columns_of(len(x.tokens)) for x in rows)
  assert counter.tokens == 16 + 24
  assert counter.write([[1] * 17, [1]], 8, {}) == [[], []]
  assert counter.tokens == 40 + (24 + 8) + (16 + 8)


def measuring(sets):
  """Stands where `harness.measure` does; asks 10 tokens of each question."""

  def answered(unit, model, tasks, numbers, system):
    del unit, tasks, system
    count = sum(map(len, numbers.values()))
    for _ in range(count):
      model([([1] * 9, [2])])
    return [None] * count

  return types.SimpleNamespace(
    tasks_of=lambda unit, folder: dict.fromkeys(sets),
    numbers_of=lambda tasks, limit: {
      name: list(range(limit // len(tasks))) for name in tasks
    },
    answered=answered,
  )


@pytest.mark.parametrize(('sets', 'limit'), [('a', 500), ('abcdefghijkl', 240)])
def test_tokens_of_all_questions_follow_from_a_part(sets, limit):
  """Of one set a part of the questions, of many some sets as a whole."""
  counter = counting.Counter(longest=64)
  unit = plan.Unit('piqa', 'cloze', 0, 'plain')
  options = {'data': 'd', 'limit': limit}
  tokens, n = counting.tokens_of_unit(
    unit, counter, counter.score, options, None, measuring(sets)
  )
  assert (tokens, n) == (16 * limit, limit)
  asked_of = {'a': 63, 'abcdefghijkl': 6 * 20}[sets]
  assert counter.tokens == 16 * asked_of


def test_hhh_is_read_as_its_own_stage_reads_it():
  """The same tokens, so the same log-probabilities; a tie is half right."""
  words, sizes = tiny.words(), {'max_prompt': 24, 'max_answer': 6}
  tokens_NT, first_N, length_N = evaluate_hhh.encode(words, CHOICES, sizes)
  reader = hhh.reader_of(words, None, sizes)
  requests = hhh.requests_of(*reader, CHOICES, 6)
  assert len(requests) == 4
  for row, (prompt, answer) in enumerate(requests):
    assert len(prompt) == first_N[row]
    whole = tokens_NT[row, : length_N[row] - 1].tolist()
    assert prompt + answer == whole
  sizes = [len(answer) for _, answer in requests]
  assert sizes[3] > sizes[2]
  logps = [-1.0, -1.0, -2.0, -2.0 * sizes[3] / sizes[2] - 0.5]
  found = hhh.items_of(CHOICES, requests, [(x, False) for x in logps])
  assert [x['acc'] for x in found] == [0.5, 1.0]
  assert found[1]['logps'] == logps[2:]
  wanted = 0.5 if sizes[0] == sizes[1] else float(sizes[0] > sizes[1])
  assert [x['acc_mean'] for x in found] == [wanted, 1.0]
  assert len({x['item'] for x in found}) == 2
  about = {'data': 'd', 'revision': 'r', 'seconds': 1.0}
  row = hhh.rows_of(found, about)[0]
  assert (row['metric'], row['value'], row['chance']) == ('acc', 0.75, 0.5)
  # What has no chat template cannot be given the prompt.
  assert hhh.reader_of(words, HHH_PROMPT, {'system_tokens': 9}) is None


V = 310


@pytest.fixture
def harness(monkeypatch, tmp_path):
  """Models without weights: their answers follow from name and tokens."""
  said = types.SimpleNamespace(units=[], scored=[], kill=None)
  config = types.SimpleNamespace(max_length=64, positions='rotary')
  functions = types.SimpleNamespace(config=config)

  def open_base(named):
    words = tiny.words()
    params = named['base']
    return types.SimpleNamespace(
      functions=functions, params=params, tokenizer=words
    )

  def make_score(opened):
    def score(requests, label):
      del label
      if said.kill == (opened.params, len(said.scored)):
        raise KeyboardInterrupt
      said.scored.append(opened.params)
      better = 0.0 if opened.params == 'smollm2' else 0.25
      return [(better - sum(more) / V, False) for _, more in requests]

    return score

  def rows_of(units, options, tools, shown):
    found = []
    for unit in units:
      kept = session.rows_of_unit(options['workdir'], unit)
      if kept is None:
        said.units.append((options['model'], unit.name))
        right = [1, 0, 0, 1] if options['model'] == 'smollm2' else [1, 1, 0, 1]
        row = {'name': unit.name, **unit._asdict(), 'metric': 'acc'}
        row |= {'value': 0.5, 'stderr': 0.25, 'n': 4, 'chance': 0.5, 'of': 4}
        row |= dict.fromkeys(('examples', 'data', 'tasks', 'harness'), 'x')
        row |= {'model': options['model'], 'revision': 'r', 'seconds': 1}
        kept = [row, row | {'metric': 'acc_norm'}]
        session.write_unit(options['workdir'], unit, kept, items(*right))
      shown(kept)
      found += kept
    return found

  class Reckoner:
    def __init__(self, units, options, tools, others):
      self.names = [unit.name for unit in units]
      self.others = others

    def counts_of(self, model):
      read = {name: make(model)[1] for name, make in self.others.items()}
      return dict.fromkeys(self.names, (7000.0, 4)) | {
        name: (1400.0, count) for name, count in read.items()
      }

  monkeypatch.setattr(evals, 'open_base', open_base)
  monkeypatch.setattr(evals.reading, 'make_score', make_score)
  monkeypatch.setattr(evals.session, 'rows_of', rows_of)
  monkeypatch.setattr(evals.session, 'require', lambda *_: None)
  monkeypatch.setattr(evals.counting, 'Reckoner', Reckoner)
  monkeypatch.setattr(evals, 'tools_of', lambda model: None)
  monkeypatch.setattr(evals, 'read_hhh', lambda folder: CHOICES)
  monkeypatch.setattr(asked.data, 'revision', lambda folder, task: 'd')
  monkeypatch.setattr(
    listed.imported, 'revision', lambda path: f'r{hash(path)}'
  )
  rows = [f'draw {n} cats and dogs ' * (1 + n % 3) for n in range(60)]
  text = ''.join(json.dumps({'text': x}) + '\n' for x in rows)
  (tmp_path / 'web').mkdir()
  (tmp_path / 'web' / 'c4.jsonl').write_text(text)
  return said


def config_of(tmp_path, *models, **changes):
  config = _config('evals', 'smollm2')
  config |= {'tasks': ['piqa', 'lambada'], 'letters': ['arc_easy']}
  config |= {'few_shot': ['piqa'], 'documents': 4, 'texts': ['web/c4.jsonl']}
  config |= {'data': {'path': str(tmp_path)}, 'study': str(tmp_path)}
  for name in models[1:]:
    (tmp_path / name).mkdir(exist_ok=True)
  words = [f'{name}=study:{name}' for name in models[1:]]
  return config | {'models': [f'{models[0]}=smollm2', *words]} | changes


def test_a_killed_study_goes_on_and_a_model_can_come_later(
  harness, tmp_path, capsys
):
  out = tmp_path / 'out'
  config = config_of(tmp_path, 'plain', 'ppo')
  ppo = str(tmp_path / 'ppo')
  harness.kill = (ppo, 3)  # plain: HHH and loss; ppo: HHH, then this
  with pytest.raises(KeyboardInterrupt):
    evals.run(config, out)
  assert len(harness.units) == 2 * 4
  assert harness.scored == ['smollm2', 'smollm2', ppo]
  assert (out / 'ppo/hhh/done.json').exists()
  assert not (out / 'ppo/loss/done.json').exists()
  assert not (out / 'tables').exists()
  harness.kill = None
  capsys.readouterr()
  policies()['capability'].to_csv(tmp_path / 'capability.csv', index=False)
  more = {'capability': str(tmp_path / 'capability.csv')}
  evals.run(config | more, out)
  shown = capsys.readouterr().out
  assert 'plain: about 0 tokens to read' in shown
  assert 'ppo: about 1,400 tokens to read, 2 s at 700' in shown
  assert 'ppo hhh: done before' in shown and 'mean of tasks' in shown
  assert len(harness.units) == 8 and harness.scored[3:] == [ppo]
  table = pd.read_csv(out / 'tables/before_after.csv')
  assert set(table['after_model']) == {'ppo'}
  mean = table[table['task'] == 'mean of tasks'].iloc[0]
  # acc_norm of PIQA falls by a quarter, acc of LAMBADA rises by one.
  assert mean['difference'] == pytest.approx(0.0)
  assert table[table['task'] == 'hhh']['metric'].tolist() == ['acc', 'acc_mean']
  loss = pd.read_csv(out / 'tables/text_loss_differences.csv')
  # Each document is one request, whose log-probability is better by a quarter.
  count, tokens = loss['documents'].iloc[0], loss['nats_per_token'].iloc[0]
  losses_ = pd.read_csv(out / 'tables/text_losses.csv')
  assert count == 4
  assert tokens == pytest.approx(-0.25 * 4 / losses_['tokens'].iloc[0])
  for name in ('before_after', 'world_tax'):
    assert (out / f'figures/{name}.svg').exists()
  assert set(pd.read_csv(out / 'tables/world_tax.csv')['size']) == {*'SML'}
  config = config_of(tmp_path, 'plain', 'ppo', 'a_later_one')
  evals.run(config, out)
  later = str(tmp_path / 'a_later_one')
  assert [model for model, _ in harness.units[8:]] == [later] * 4
  assert harness.scored[4:] == [later] * 2
  table = pd.read_csv(out / 'tables/before_after.csv')
  # In the order that they were named in.
  assert list(dict.fromkeys(table['after_model'])) == ['ppo', 'a_later_one']
  assert str(tmp_path) not in (out / 'tables/evaluations.csv').read_text()


def test_tables_are_published_with_a_page_of_differences(harness, tmp_path):
  out, to = tmp_path / 'out', tmp_path / 'to'
  evals.run(config_of(tmp_path, 'plain', 'ppo'), out)
  command = [f'--workdir={out}', f'--out={to}']
  assert publish.main(command) == 0
  page = (to / 'README.md').read_text()
  assert '| ppo | piqa.cloze.0shot.plain | 4 | 0.500 | 0.250 | -0.250' in page
  assert str(tmp_path) not in page
  # Between its markers, and nowhere else.
  (to / 'README.md').write_text(f'Of others.\n\n{page}\nMore.\n')
  (to / 'other.csv').write_text('kept')
  assert publish.main(command) == 0
  again = (to / 'README.md').read_text()
  assert again == f'Of others.\n\n{page}\nMore.\n'
  assert (to / 'other.csv').read_text() == 'kept'
  same = lambda name: (to / name).read_bytes() == (out / name).read_bytes()
  assert same('tables/before_after.csv') and same('figures/before_after.svg')
  (out / 'tables/before_after.csv').rename(tmp_path / 'away.csv')
  for file in (out / 'tables').iterdir():
    file.unlink()
  (out / 'tables').rmdir()
  assert publish.main(command) == 2 and same('figures/before_after.svg')


def test_what_cannot_be_run_is_one_line(harness, tmp_path):
  config = config_of(tmp_path, 'plain', 'ppo')
  with pytest.raises(ValueError, match='plain would take 44 s, wanted .* 0.5'):
    evals.run(config | {'minutes': 0.5}, tmp_path / 'slow')
  assert harness.units == []
  out = tmp_path / 'out'
  evals.run(config, out)
  with pytest.raises(RunError, match='holds another study: choose another'):
    evals.run(config | {'items': 5}, out)
  # Another first model: what was held against the old one stays so.
  turned = config | {'models': config['models'][::-1]}
  with pytest.raises(RunError, match='differs in before, before_revision'):
    evals.run(turned, out)
  with pytest.raises(FileNotFoundError, match=r'none.csv is missing: .*skills'):
    evals.run(config | {'capability': 'none.csv'}, out)
  with pytest.raises(ValueError, match="wanted some of arc.*, got 'trivia'"):
    evals.run(config | {'tasks': ['trivia']}, out)


def test_a_prompt_is_no_part_of_plain_text(harness, tmp_path):
  """A prompted model has two blocks, and no row of the loss."""
  config = config_of(tmp_path, 'plain', 'ppo')
  config['models'][1] += '+hhh'
  evals.run(config, tmp_path / 'out')
  assert not (tmp_path / 'out/ppo/loss').exists()
  assert (tmp_path / 'out/ppo/hhh/done.json').exists()
  table = pd.read_csv(tmp_path / 'out/tables/before_after.csv')
  assert 'hhh' not in set(table['task'])  # no template, so no prompt for HHH
  losses_ = pd.read_csv(tmp_path / 'out/tables/text_losses.csv')
  assert set(losses_['model']) == {'plain'}
  assert losses.ALL in set(losses_['file'])
