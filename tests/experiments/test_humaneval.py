"""experiments.humaneval: samples, verdicts and tables of pass@k."""

import csv
import functools
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import humaneval
from experiments.shared import code_samples
from experiments.shared.code_samples import Setting, batches_of
from experiments.shared.kept import Journal
from rlhf_jax.data.code_tasks import CodeTask
from rlhf_jax.rollout.generate import recompute_decoder
from rlhf_jax.sandbox import judge
from rlhf_jax.sandbox.box import refusal

TASKS = [
  CodeTask(
    f'Made/{i}',
    f'def f{i}(x):\n """x + {i}."""\n',
    f'f{i}',
    f' return x + {i}\n',
    f'def check(candidate):\n  assert candidate(1) == {1 + i}\n',
  )
  for i in range(3)
]
# A model whose next token depends on the last one: pieces of programs.
PIECES = (
  *('<pad>', '<end>'),
  *(task.prompt for task in TASKS),
  *(' return x', ' + 1\n', ' + 2\n', '\nprint'),
)
NEXT = {
  **{2: {5: 9}, 3: {5: 9}, 4: {5: 9}},
  **{5: {6: 2, 7: 2}, 6: {8: 9}, 7: {1: 9}, 8: {1: 9}},
}
OPTIONS = {
  'model': 'made',
  'tokenizer': '',
  'pad_token': None,
  'form': 'raw',
  'temperatures': (0.0, 1.0),
  'top_ps': (1.0,),
  'ks': (1, 2),
  'samples': 4,
  'first': 0,
  'max_reply': 4,
  'batch': 4,
  'cpu_seconds': 5,
  'seed': 3,
}


class Words:
  """A tokenizer of PIECES."""

  stop_ids, pad_id = (1,), 0

  def encode(self, text):
    return [PIECES.index(text)]

  def decode(self, ids):
    return ''.join(PIECES[i] for i in ids)


@functools.cache
def opened(context=None):
  table = np.full((len(PIECES), len(PIECES)), -30.0, np.float32)
  for last, after in NEXT.items():
    for piece, logit in after.items():
      table[last, piece] = logit
  logits_fn = lambda params, tokens_BT, length_B: params[tokens_BT]
  prefill, decode = recompute_decoder(logits_fn, code_samples.WIDTH + 4)
  functions = types.SimpleNamespace(prefill_fn=prefill, decode_fn=decode)
  return types.SimpleNamespace(
    functions=functions,
    params=jnp.asarray(table),
    tokenizer=Words(),
    context=context,
  )


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
  """The sampler of a setting is the same in every test."""
  monkeypatch.setattr(
    code_samples, 'sampler_of', lambda _, setting, most: compiled(setting, most)
  )


make_sampler = code_samples.sampler_of


@functools.cache
def compiled(setting, max_reply):
  return make_sampler(opened(), setting, max_reply)


@pytest.fixture
def files(tmp_path, monkeypatch):
  """A file of the tasks, and a model for the name `made`."""
  names = ('task_id', 'prompt', 'entry_point', 'canonical_solution', 'test')
  rows = [dict(zip(names, task, strict=True)) for task in TASKS]
  (tmp_path / 'tasks.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  monkeypatch.setattr(humaneval, 'open_writer', lambda *_, **__: opened())
  return tmp_path


@pytest.fixture
def judged(monkeypatch):
  """Verdicts without a sandbox: by running what this file made."""

  def verdict(program, prompt, test, entry, limits):
    space = {}
    try:
      exec(program, space)
      exec(test, space)
      space['check'](space[entry])
    except AssertionError:
      return judge.Verdict('wrong', 'AssertionError', 0.1)
    return judge.Verdict('passed', '', 0.1)

  monkeypatch.setattr(code_samples, 'judge', verdict)
  monkeypatch.setattr(humaneval, 'refusal', lambda: '')


def table(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def start(files, name='run', **changes):
  config = OPTIONS | {'tasks': str(files / 'tasks.jsonl')} | changes
  humaneval.run(config, files / name)
  return files / name


def test_tables_hold_what_the_programs_do(files, judged, capsys):
  """Greedy is ' return x + 1' or '+ 2', as the tie falls; + 0 never comes."""
  folder = start(files)
  rows = table(folder / 'tasks.csv')
  assert [row['task'] for row in rows] == 2 * [task.name for task in TASKS]
  greedy, sampled = rows[:3], rows[3:]
  assert [row['samples'] for row in rows] == ['1'] * 3 + ['4'] * 3
  assert [row['passed'] for row in greedy] == ['0', '1', '0']
  passed = [int(row['passed']) for row in sampled]
  assert passed[0] == 0 and sum(passed) >= 1
  for row in sampled:
    assert int(row['passed']) + int(row['wrong']) == 4
  found = {
    (row['temperature'], row['k']): row
    for row in table(folder / 'humaneval.csv')
  }
  assert float(found['0.0', '2']['pass_at_k']) == pytest.approx(1 / 3)
  assert found['0.0', '2']['samples'] == '1'
  expected = np.mean([c / 4 for c in passed])
  assert float(found['1.0', '1']['pass_at_k']) == pytest.approx(expected)
  for k in '12':
    best = max(float(found[t, k]['pass_at_k']) for t in ('0.0', '1.0'))
    for t in ('0.0', '1.0'):
      is_best = float(found[t, k]['pass_at_k']) == best
      assert found[t, k]['best'] == str(is_best)
  about = json.loads((folder / 'humaneval.json').read_text())
  assert 'print' in about['protocol'] and len(about['rows']) == 4
  assert capsys.readouterr().out.count('pass@2') == 2


def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(
  files, judged, monkeypatch
):
  whole = start(files)
  add, calls = Journal.add, []

  def killed(self, rows):
    calls.append(rows)
    if len(calls) in (3, 8):
      with self._path.open('ab') as file:
        file.write(b'{"torn": ')
      raise KeyboardInterrupt
    add(self, rows)

  monkeypatch.setattr(Journal, 'add', killed)
  for _ in range(2):
    with pytest.raises(KeyboardInterrupt):
      start(files, 'other')
  start(files, 'other')
  for name in ('tasks.csv', 'humaneval.csv', 'completions.jsonl'):
    assert (files / 'other' / name).read_text() == (whole / name).read_text()


def test_a_sample_depends_on_no_other(files):
  """Neither on its place in a batch nor on how many samples there are."""
  found = []
  for samples in (2, 3):
    journal = Journal(files / f'{samples}.jsonl')
    config = OPTIONS | {'samples': samples}
    code_samples.write(opened(), TASKS, Setting(1.0, 1.0), config, journal)
    key = code_samples.key_of
    found.append({key(r): r['text'] for r in journal.rows if r['sample'] < 2})
  assert found[0] == found[1]
  assert len(set(found[0].values())) == 2
  assert set(found[0].values()) <= {' return x + 1\n\nprint', ' return x + 2\n'}


def test_a_grid_has_greedy_once():
  found = humaneval.settings_of((0.0, 0.4), (1.0, 0.95))
  assert found == [Setting(0.0, 1.0), Setting(0.4, 0.95), Setting(0.4, 1.0)]
  paper = humaneval.PRESETS['paper']
  assert len(humaneval.settings_of(paper['temperatures'], paper['top_ps'])) == 9
  assert paper['ks'] == (1, 5, 10, 25, 50, 75, 100)


def test_rows_of_a_batch_are_padded_alike():
  ids = [[0] * 100, [0] * 200, [0] * 128]
  wanted = [(task, j) for task in range(3) for j in range(2)]
  found = list(batches_of(ids, wanted, 3))
  assert found == [
    (128, [(0, 0), (0, 1), (2, 0)]),
    (128, [(2, 1)]),
    (256, [(1, 0), (1, 1)]),
  ]


def test_flags_win_over_the_preset():
  flags = dict.fromkeys(humaneval.PRESETS['tiny']) | {
    'preset': 'tiny', 'workdir': 'x', 'workers': 2, 'model': 'm',
    'temperatures': [], 'top_ps': ['0.5'], 'ks': [], 'first': 0,
  }  # fmt: skip
  found = humaneval.config_of(flags)
  assert found == humaneval.PRESETS['tiny'] | {
    'top_ps': (0.5,), 'first': 0, 'model': 'm',
  }  # fmt: skip
  with pytest.raises(ValueError, match='--ks: wanted numbers'):
    humaneval.config_of(flags | {'ks': ['a']})


@pytest.mark.parametrize(
  ('changes', 'words'),
  [
    ({'samples': 1}, '--ks: wanted 1 to 1, the samples, got'),
    ({'temperatures': (-1.0,)}, '--temperatures: wanted 0 or more'),
    ({'top_ps': (0.0,)}, '--top_ps: wanted above 0'),
    ({'ks': ()}, '--ks: wanted'),
    ({'max_reply': 0}, '--max_reply: wanted 1 or more'),
    ({'batch': 0}, '--batch: wanted 1 or more'),
    ({'form': 'poem'}, '--form: wanted raw or chat'),
  ],
)
def test_settings_that_make_no_sense_are_named(files, changes, words):
  with pytest.raises(ValueError, match=words):
    start(files, **changes)
  assert not (files / 'run').exists()


def test_a_context_that_is_too_short_is_named(files, judged, monkeypatch):
  monkeypatch.setattr(humaneval, 'open_writer', lambda *_, **__: opened(4))
  with pytest.raises(ValueError, match='are 5, more than .* context of 4'):
    start(files)


def test_a_machine_without_a_sandbox_writes_nothing(files, monkeypatch):
  monkeypatch.setattr(humaneval, 'refusal', lambda: 'no namespaces here')
  with pytest.raises(OSError, match='no namespaces here'):
    start(files)
  assert not (files / 'run').exists()


def test_solutions_of_the_tasks_pass_in_the_sandbox(files, capsys):
  if why := refusal():
    pytest.skip(why)
  folder = start(files, model='canonical')
  assert 'pass@1 1.000 [0.292, 1.000], 3 tasks' in capsys.readouterr().out
  rows = [json.loads(x) for x in (folder / 'verdicts.jsonl').open()]
  assert [row['outcome'] for row in rows] == ['passed'] * 3


@pytest.mark.slow  # 164 programs
def test_the_published_solutions_pass(tmp_path):
  from tests.pretrained_files import data_folder

  folder = data_folder() / 'humaneval'
  if not folder.is_dir():
    pytest.skip(f'no HumanEval at {folder}; set RLHF_JAX_DATA')
  if why := refusal():
    pytest.skip(why)
  config = OPTIONS | {'tasks': str(folder), 'model': 'canonical'}
  humaneval.run(config, tmp_path / 'run')
  rows = table(tmp_path / 'run' / 'tasks.csv')
  assert [row['passed'] for row in rows] == ['1'] * 164
