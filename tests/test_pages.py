"""Pages of docs/: links, contents, mentions, and what their commands name."""

import functools
import pathlib
import re
import runpy
import subprocess

import pytest

from scripts import make_site
from tests import doc_commands

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / 'docs').glob('*.md'))
COMMANDS = doc_commands.all_commands()
# The tests that run a command, by how it begins; `make` and launchers that list
# are tried dry, below.
RUN_BY = {
  'python -m benchmarks.agreement.curves': 'test_ours_and_trl_s_go',
  'python -m benchmarks.earlier': 'test_rows_are_kept_and_make_a_table',
  'python -m benchmarks.features': 'test_each_way_has_a_rate_and_all_read',
  'python -m benchmarks.microbatches': 'test_sizes_are_measured_and_the_best',
  'python -m benchmarks.where': 'test_a_step_is_traced_and_all_of_its_time',
  'python -m benchmarks.modes': 'test_both_modes_have_every_shape_and',
  'python -m experiments.cluster': 'test_the_list_has_a_line_a_job_with_what',
  'python -m experiments.compare': 'test_two_committed_studies_stand_side',
  'python -m experiments.export': 'test_an_imported_model_goes_from_pairs',
  'python -m experiments.join': 'test_parts_are_judged_as_the_study_of_all',
  'python -m experiments.page': 'test_the_page_of_the_largest_committed_study',
  'python -m experiments.publish': 'test_a_published_study_is_what_it_holds',
  'python -m experiments.generate': 'test_a_real_model_writes',
  'python -m experiments.job': 'test_a_job_runs_by_number_or_by_name_once',
  'python -m experiments.plan --table': 'test_rows_are_reported_without_a',
  'python -m experiments.render_activations': 'test_the_command_of_the_page',
  'python -m experiments.reproduce': 'test_a_study_of_a_page_is_planned',
  'python -m experiments.sweep': 'test_the_sweep_trains_a_grid_and_prints',
  'python -m experiments.train_dpo': 'test_each_algorithm_of_the_page_trains',
  'python -m experiments.train_lm': 'test_the_language_model_stage_is_the_same',
  'python -m experiments.train_pm': 'test_a_model_of_one_s_own_writes_is',
  'python -m rlhf_jax.check': 'test_a_folder_of_transformers_is_checked_and',
  'python -m experiments.train_ppo': 'test_an_imported_model_goes_from_pairs',
  'python -m scripts.make_benchmarks_doc': 'test_the_page_of_benchmarks_is',
  'python -m scripts.run_notebooks': 'test_the_outputs_it_holds_are_those',
}


def headings(text):
  """Anchors of a page, as GitHub makes them."""
  text = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
  names = re.findall(r'^#+ (.*)$', text, flags=re.M)
  return {
    re.sub(r'[^\w\- ]', '', name.lower()).replace(' ', '-') for name in names
  }


@pytest.mark.parametrize('path', doc_commands.PAGES, ids=lambda x: x.name)
def test_every_relative_link_of_a_page_resolves(path):
  for target in re.findall(r'\]\(([^)\s]+)\)', path.read_text()):
    if re.match(r'[a-z]+:', target):
      continue
    file, _, anchor = target.partition('#')
    there = (path.parent / file).resolve() if file else path
    assert there.exists(), target
    if anchor:
      assert anchor in headings(there.read_text()), target


@pytest.mark.parametrize('path', doc_commands.PAGES, ids=lambda x: x.name)
def test_every_page_and_notebook_that_a_page_mentions_exists(path):
  text = path.read_text()
  for name in re.findall(r'(?:docs|notebooks)/[a-z][\w-]*\.(?:md|ipynb)', text):
    assert (ROOT / name).exists(), name


def test_every_page_and_notebook_is_in_the_contents_once():
  entries = make_site.contents((ROOT / 'docs' / 'index.md').read_text())
  pages = [path.stem for path in DOCS if path.stem != 'index']
  notebooks = [
    f'notebooks/{path.stem}' for path in (ROOT / 'notebooks').glob('*.ipynb')
  ]
  assert sorted(entries) == sorted([*pages, *notebooks, 'api/index'])


def test_every_question_has_a_page_that_is_there():
  text = (ROOT / 'docs' / 'index.md').read_text()
  rows = re.findall(r'^\| (.+\?) \| (.+) \|$', text, flags=re.M)
  assert len(rows) >= 15
  for question, answer in rows:
    assert re.search(r'\]\([\w-]+\.md|API reference', answer), question


def test_commands_are_found_with_what_they_need():
  text = (
    'Words:\n\n    make a\n    # no\n    pip install \\\n        b   # c\n\n'
    '*Needs a GPU:*\n\n    X=1 .venv/bin/python -m d\n\nNo more.\n\n'
    '    x = 1\n    make b\n'
  )
  found = doc_commands.commands_of(text, 'p')
  assert [(x.text, x.needs) for x in found] == [
    ('make a', ''),
    ('pip install b', ''),
    ('X=1 .venv/bin/python -m d', 'a GPU'),
    ('make b', ''),
  ]
  assert found[2].words == ['X=1', 'python', '-m', 'd']


def test_every_command_is_run_by_a_test_or_marked_with_its_machine():
  sources = '\n'.join(
    path.read_text() for path in (ROOT / 'tests').rglob('test_*.py')
  )
  for name in RUN_BY.values():
    assert f'def {name}' in sources, name
  for command in COMMANDS:
    words = re.sub(r'^([A-Z_]+=\S* )+', '', ' '.join(command.words))
    ran = any(words.startswith(start) for start in RUN_BY)
    dry = words.startswith(('make ', 'pip install', 'jupyter lab'))
    dry |= words.startswith('python -m pip install')
    assert ran or dry or command.needs, command


MAKE = sorted({' '.join(c.words) for c in COMMANDS if c.words[0] == 'make'})


@pytest.mark.parametrize('text', MAKE)
def test_a_make_command_of_a_page_is_one_that_make_would_run(text):
  words = [word.replace('=folder', '=/x') for word in text.split()]
  done = subprocess.run(
    [words[0], '-n', *words[1:]], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0 and done.stdout, done.stderr


STAGES = [c for c in COMMANDS if 'python -m ' in c.text and 'pip' not in c.text]


@pytest.mark.parametrize('command', STAGES, ids=lambda c: c.text[:60])
def test_a_command_names_a_module_and_settings_that_there_are(command):
  [module] = re.findall(r'python -m ([\w.]+)', command.text)
  path = ROOT / module.replace('.', '/')
  assert path.with_suffix('.py').exists() or path.is_dir(), module
  flags = dict(re.findall(r'--([\w.]+)=(\S+)', command.text))
  name, _, preset = flags.get('config', '').partition(':')
  if not name:
    return
  config = runpy.run_path(str(ROOT / name))['get_config'](
    *filter(None, [preset])
  )
  for key in flags:
    if key.startswith('config.'):
      functools.reduce(getattr, key.split('.')[1:], config)


def test_what_a_command_of_the_sweep_page_reads_one_before_has_written():
  written = {'runs/features'}
  text = (ROOT / 'docs' / 'launch.md').read_text()
  commands = doc_commands.commands_of(text, 'launch.md')
  for command in commands:
    flags = dict(re.findall(r'--([\w.]+)=(\S+)', command.text))
    read = {v for k, v in flags.items() if k.endswith('_dir') or k == 'run'}
    assert read <= written, command.text
    written |= {flags.get('workdir'), flags.get('output')}
  assert sum('smollm2' in command.text for command in commands) == 3
