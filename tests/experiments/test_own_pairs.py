"""docs/own-pairs.md is true: its command runs, its rows are read."""

import json
import pathlib
import re
import shlex

import imported_fixture as tiny
import pandas as pd
import pytest
from experiments_command import call, error_line, succeeded

from rlhf_jax.data.jsonl import read_comparisons
from rlhf_jax.models.pretrained.folder import load_folder
from tests.pretrained_files import need_or_skip

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'own-pairs.md').read_text()
SMALL = {
  'adapters.layers': 2,
  'adapters.rank': 2,
  'reading.max_prompt': 40,
  'reading.max_reply': 10,
  'features.edges': '(64,)',
  'epochs': 1,
  'learning_rate': 0.02,
}


def command(**places):
  """The words of the page's one command, its file and folder replaced."""
  text = PAGE.replace('\\\n', ' ')
  [line] = re.findall(
    r'^ {4}\.venv/bin/python -m experiments\.(.*)$', text, re.M
  )
  for name, place in places.items():
    assert f'={name.replace("__", ".")}' in line or f'={name}' in line
    line = line.replace(f'={name.replace("__", ".")}', f'={place}')
  return shlex.split(line)


def test_the_rows_of_the_page_are_one_and_the_same_pair(tmp_path):
  [block] = re.findall(r'```json\n(.*?)```', PAGE, flags=re.S)
  file = tmp_path / 'rows.jsonl'
  file.write_text(block)
  records, counts = read_comparisons(file)
  assert counts == {'read': 4, 'kept': 4}
  assert len({(x.chosen, x.rejected) for x in records}) == 1


def write_lines(file, count=200):
  """Pairs whose better reply says hello, in TRL's form; some have a system."""
  rows = []
  for i in range(count):
    row = {'prompt': [{'role': 'user', 'content': f'say {i}'}]}
    for key, word in (('chosen', 'hello'), ('rejected', 'dog')):
      row[key] = [{'role': 'assistant', 'content': f'{word} cat'}]
    rows.append(row | ({'system': 'be good'} if i % 4 == 0 else {}))
  file.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  return file


@pytest.mark.slow  # a process that trains
def test_one_command_goes_from_200_lines_to_a_report_and_a_folder(tmp_path):
  """As it stands on the page, over a tiny model in place of SmolLM2."""
  need_or_skip('safetensors', 'tokenizers')
  file = write_lines(tmp_path / 'mine.jsonl')
  run = tmp_path / 'runs' / 'mine'
  words = command(my_pairs__jsonl=file, **{'runs/mine': run})
  settings = SMALL | {'base': tiny.write_model(tmp_path / 'model')}
  settings |= {'pad_token': tiny.PAD, 'feature_folder': tmp_path / 'features'}
  more = [f'--config.{key}={value}' for key, value in settings.items()]
  done = succeeded(call(*words, *more))
  [said] = [x for x in done.stdout.splitlines() if x.startswith(f'{file}: ')]
  assert 'split by conversation' in said and '0.1 held out' in said
  floors = pd.read_csv(run / 'floors.csv')
  assert floors['subset'].tolist() == ['helpful']
  summary = json.loads((run / 'done.json').read_text())
  held = int(floors['pairs'][0])
  assert summary['distinct_pairs'] == 200 - held and 8 <= held <= 35
  page = (run / 'report' / 'index.html').read_text()
  assert 'Pairs that were read, and what was skipped' in page
  assert 'mine.jsonl' in page and 'harmless' not in page
  assert 'Accuracy on held-out pairs' in page
  loaded = load_folder(run / 'model')
  assert 'head' in loaded.params
  # Once more: nothing is done, and a folder that is gone is written again.
  config = json.loads((run / 'model' / 'config.json').read_text())
  for old in sorted((run / 'model').iterdir()):
    old.unlink()
  (run / 'model').rmdir()
  succeeded(call(*words, *more))
  assert json.loads((run / 'model' / 'config.json').read_text()) == config


@pytest.mark.slow  # a process
def test_a_path_that_is_missing_or_not_there_is_one_line(tmp_path):
  """And leaves no run behind, whose config a better path would not fit."""
  base = f'--config.base={tiny.write_model(tmp_path / "model")}'
  pad = f'--config.pad_token={tiny.PAD}'
  for path, wanted in (
    ('', 'data.path is required'),
    ('gone', 'gone is not there'),
  ):
    words = command(my_pairs__jsonl=path, **{'runs/mine': tmp_path / 'run'})
    assert wanted in error_line(call(*words, base, pad))
  assert not (tmp_path / 'run').exists()
