"""Samples of code that are judged, and their tables, without a sandbox."""

import pytest
import shared_fixture as tiny

from experiments import humaneval
from experiments.shared import code_samples
from experiments.shared.code_samples import Setting
from experiments.shared.kept import Journal
from rlhf_jax.data.code_tasks import CodeTask
from rlhf_jax.sandbox.judge import OUTCOMES, Verdict
from rlhf_jax.text import programs

TASKS = [CodeTask(x, f'def {x}():\n', x, ' return 1\n', 't') for x in 'abc']
GREEDY, WARM = Setting(0.0, 1.0), Setting(0.8, 0.95)


def row(setting, task, sample=0, **more):
  return {'setting': setting.name, 'task': task, 'sample': sample} | more


def test_a_setting_is_told_by_its_name():
  names = [Setting(t, p).name for t, p in ((0, 1.0), (0.8, 0.95), (1.0, 1))]
  assert names == ['t0-p1', 't0.8-p0.95', 't1-p1']
  assert GREEDY.greedy and not WARM.greedy


@pytest.fixture
def judged(monkeypatch):
  """A program is right if it says so; what was judged, with its limits."""
  seen = []

  def verdict(text, prompt, test, entry, limits):
    seen.append((text, entry, limits))
    if 'kernel' in text:
      raise OSError('the kernel refuses a box')
    return Verdict('passed' if 'right' in text else 'wrong', '', 0.5)

  monkeypatch.setattr(code_samples, 'judge', verdict)
  return seen


def test_what_has_a_verdict_is_not_judged_again(judged, tmp_path):
  """Rows stand in the order in which they were written, whoever is first."""
  journal = Journal(tmp_path / 'verdicts.jsonl')
  journal.add([row(WARM, 'b', 1, outcome='passed', words='', seconds=9.0)])
  written = [
    row(WARM, 'a', text=' right'),
    row(WARM, 'b', 1, text=' wrong'),
    row(WARM, 'b', text=' wrong\nprint(1)'),
    row(GREEDY, 'a', text=' right'),
  ]
  code_samples.judge_all(TASKS, written, programs.RAW, 'limits', 2, journal)
  kept = Journal(tmp_path / 'verdicts.jsonl').rows
  assert [code_samples.key_of(x) for x in kept] == [
    ('t0.8-p0.95', 'b', 1),
    ('t0.8-p0.95', 'a', 0),
    ('t0.8-p0.95', 'b', 0),
    ('t0-p1', 'a', 0),
  ]
  assert [x['outcome'] for x in kept] == [
    *('passed', 'passed', 'wrong', 'passed')
  ]
  # A program is the prompt and what was written, cut where a print begins.
  assert sorted(judged) == [
    ('def a():\n right', 'a', 'limits'),
    ('def a():\n right', 'a', 'limits'),
    ('def b():\n wrong', 'b', 'limits'),
  ]
  code_samples.judge_all(TASKS, written, programs.RAW, 'limits', 2, journal)
  assert len(judged) == 3


def test_a_kernel_that_refuses_ends_it_and_leaves_what_was_judged(
  judged, tmp_path
):
  journal = Journal(tmp_path / 'verdicts.jsonl')
  written = [row(WARM, 'a', i, text=' right') for i in range(2)]
  written.append(row(WARM, 'a', 2, text=' kernel'))
  with pytest.raises(OSError, match='refuses a box'):
    code_samples.judge_all(TASKS, written, programs.RAW, None, 1, journal)
  kept = Journal(tmp_path / 'verdicts.jsonl').rows
  assert [x['sample'] for x in kept] == [0, 1]


def verdicts(setting, **passed):
  """Four samples of a task, so many of which pass; the others are wrong."""
  return [
    row(setting, task, i, outcome='passed' if i < count else 'wrong')
    for task, count in passed.items()
    for i in range(4)
  ]


def test_tasks_say_how_many_samples_failed_in_which_way():
  found = [*verdicts(WARM, a=3), row(WARM, 'b', outcome='time')]
  rows = humaneval.task_rows(found, TASKS[:2], [WARM], {'model': 'm'})
  first, second = rows
  assert list(first)[:5] == ['model', 'temperature', 'top_p', 'task', 'samples']
  assert (first['samples'], first['passed'], first['wrong']) == (4, 3, 1)
  assert (second['samples'], second['passed'], second['time']) == (1, 0, 1)
  assert all(set(OUTCOMES) < set(x) for x in rows)
  for x in rows:
    assert sum(x[outcome] for outcome in OUTCOMES) == x['samples']


def tables(found, settings, ks=(1, 2), samples=4):
  rows = humaneval.task_rows(found, TASKS, settings, {})
  lines = humaneval.table_rows(rows, settings, ks, samples, {'model': 'm'})
  return {(x['temperature'], x['k']): x for x in lines}


def test_pass_at_k_is_the_mean_over_tasks_and_the_best_of_each_k_is_marked():
  """Of four samples 2, 0 and 4 pass. pass@2 of two of four: 1 - 1/6.

  The greedy sample of two tasks in three passes, for every k.
  """
  found = verdicts(WARM, a=2, b=0, c=4)
  found += [
    row(GREEDY, task, outcome='passed' if task != 'c' else 'wrong')
    for task in 'abc'
  ]
  table = tables(found, [GREEDY, WARM])
  rates = {key: x['pass_at_k'] for key, x in table.items()}
  assert rates == pytest.approx(
    {
      **{(0.0, 1): 2 / 3, (0.0, 2): 2 / 3},
      **{(0.8, 1): 1.5 / 3, (0.8, 2): (5 / 6 + 1) / 3},
    }
  )
  best = {key for key, x in table.items() if x['best']}
  assert best == {(0.0, 1), (0.0, 2)}
  samples = {x['temperature']: x['samples'] for x in table.values()}
  assert samples == {0.0: 1, 0.8: 4}
  line = next(humaneval.lines_of(table.values()))
  assert line.startswith('temperature 0, top-p 1: pass@1 0.667 [')
  assert line.endswith('], 3 tasks, 1 samples each *')


def test_settings_that_are_equally_good_are_all_the_best():
  found = verdicts(WARM, a=4, b=4, c=4)
  found += [row(GREEDY, task, outcome='passed') for task in 'abc']
  assert all(x['best'] for x in tables(found, [GREEDY, WARM]).values())


class Words:
  """A tokenizer that writes down how it was asked."""

  def encode(self, text):
    return ['text', text]


def test_a_prompt_is_read_as_it_is_or_as_a_request(monkeypatch):
  """Whatever begins a document of an imported model comes first."""
  opened = tiny.namespace(tokenizer=Words())
  ids = code_samples.prompt_ids(opened, 'def a():\n', programs.RAW)
  assert ids == ['text', 'def a():\n']
  opened.tokenizer.encode_document = lambda text: ['document', text]
  ids = code_samples.prompt_ids(opened, 'x', programs.RAW)
  assert ids == ['document', 'x']
  asked = []
  monkeypatch.setattr(
    code_samples,
    'encode_prompt',
    lambda words, text, most: asked.append((text, most)) or ([1, 2], 0),
  )
  assert code_samples.prompt_ids(opened, 'x', programs.CHAT) == [1, 2]
  ((text, most),) = asked
  assert text.startswith('\n\nHuman: Complete this Python function.')
  assert '```python\nx```' in text and text.endswith('\n\nAssistant:')
  assert most >= 10**6  # it is never cut
