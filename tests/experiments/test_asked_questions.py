"""Questions that evaluations ask: of files, and held out by runs."""

import json

import pytest
import shared_fixture as tiny

from experiments.shared import asked_questions, people, sources
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.questions import Question
from rlhf_jax.train import about

ROW = {'role': 'x', 'seed': 0, 'size': '3K', 'n_params': 9, 'half': 'a'}
DRAW, STEAL = tiny.prompt('draw 3 cats'), tiny.prompt('steal a cat')


def run_of(folder, stage, holds, config):
  """The config.json of a run of a stage."""
  folder.mkdir(exist_ok=True)
  content = about.About(stage, holds)._asdict() | {'config': config, 'row': ROW}
  (folder / 'config.json').write_text(json.dumps(content))
  return str(folder)


@pytest.fixture
def made(tmp_path):
  """A run of make_comparisons that holds out two prompts, one of them twice."""
  config = {'data': {'source': 'simulated'}, 'world': tiny.world_settings()}
  path = tmp_path / 'comparisons'
  run = run_of(path, 'make_comparisons', 'comparisons', config)
  held = [[DRAW, 'helpful'], [STEAL, 'harmless'], [DRAW, 'helpful']]
  sides = {'train': [[tiny.prompt('not this'), 'helpful']], 'test': held}
  (path / 'prompts.json').write_text(json.dumps(sides))
  return run


WANTED = [Question((DRAW,), 'helpful'), Question((STEAL,), 'harmless')]


def test_a_run_of_pairs_and_a_model_of_them_hold_out_the_same(made, tmp_path):
  config = {'comparisons_dir': made, 'data': {'source': 'hh'}}
  pm = run_of(tmp_path / 'pm', 'train_pm', 'preference model', config)
  one, other = (asked_questions.read(name, '') for name in (made, pm))
  assert one.questions == other.questions == WANTED
  assert one.world is other.world and one.world is not None
  assert asked_questions.read(made, '', 1).questions == WANTED[:1]


def test_gold_knows_of_which_kind_a_question_is(made):
  asked, said = asked_questions.read(made, ''), ' I cannot.'
  for text, kind in ((DRAW, 'helpful'), (STEAL, 'harmless')):
    wanted = sources.gold_scores(asked.world, [text], [kind], [said])
    assert asked.gold(text, said) == wanted[0]


def test_a_model_of_released_pairs_holds_out_what_it_read(
  tmp_path, monkeypatch
):
  """Read once more, as its config says; nobody knows their gold."""
  reading = {'test_fraction': 0.25, 'train_pairs': 8, 'test_pairs': 2}
  config = {'comparisons_dir': '', 'feature_folder': 'F', 'data': {}}
  config |= {'reading': reading | {'held_out': 'test'}}
  config['data'] = {'source': 'hh', 'path': 'P'}
  pm = run_of(tmp_path / 'pm', 'train_pm', 'preference model', config)
  asked = []

  def read_people(*args):
    asked.append(args)
    items = [tiny.comparison('draw 3 cats', ' a', ' b')] * 2
    return people.Read([], items, {})

  monkeypatch.setattr(asked_questions.people, 'read_people', read_people)
  found = asked_questions.read(pm, '')
  assert found.questions == WANTED[:1] and found.world is None
  assert asked == [(config['data'], 'F/tfds', 0.25, (8, 2), 'test')]


def test_questions_of_a_file_come_once_and_in_its_order(tmp_path):
  rows = [{'turns': [x], 'category': 'c'} for x in ('b', 'a', 'b', 'é')]
  write_rows(tmp_path / 'vicuna_bench' / 'question.jsonl.gz', rows)
  found = asked_questions.read('vicuna_bench', str(tmp_path))
  assert [x.turns for x in found.questions] == [('b',), ('a',), ('é',)]
  few = asked_questions.read('vicuna_bench', str(tmp_path), 2)
  assert few.questions == found.questions[:2] and few.world is None
  with pytest.raises(ValueError, match='arena|mt_bench'):
    asked_questions.read('nothing', str(tmp_path))
