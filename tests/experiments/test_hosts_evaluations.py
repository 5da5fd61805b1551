"""Stages that sample and score, as two processes of one job."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import bias_fixture as bias
import hosts_fixture as hosts
import imported_fixture as imported
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import make_tranche, train_ppo
from experiments.attack_policies import RED_TEAM
from experiments.shared import comparisons
from experiments.studies import several
from tests.test_configs import _config

pytestmark = pytest.mark.slow  # two processes, and each compiles

# Stages that are called with options, and who makes folders for them.
OPTIONS = {'attack_policies': 'made', 'judge': 'made'}
OPTIONS |= {'measure_bias': 'its own'}
# Its scorer is in the extra eval, which `make test-all` installs.
WRITTEN = ['toxicity'] if find_spec('vaderSentiment') else []
NAMES = ('pi_0', 'early', 'last')
CUT = {'eval_batch': 8, 'sample_batch': 16}


def settings(name, **changes):
  config = _config(name, 'full_smoke') | changes
  return config | {k: v for k, v in tiny.CUT.items() if k in config}


def jobs_of(root, out):
  """{name: (module, config)} of all stages, on what `study` has made."""
  pm, lm, data = f'{root}/pm', f'{root}/lm', f'{root}/comparisons'
  writers = [lm, f'{root}/rl/snapshots/1', f'{root}/rl']
  shared = {'size': '3K', 'comparisons_dir': data}
  both = {'writer_names': NAMES, 'writer_dirs': writers}
  scored = {'policy_dir': f'{root}/rl', 'pm_dirs': [pm, pm]}
  arithmetic = {'dtype': 'float32', 'matmul': 'float32'}
  tax = {'text_dir': f'{root}/text', 'heldout_texts': 12, 'prompts': 8}
  tax |= {'comparisons_dir': data, 'replies': 2, 'half': 'a'}
  best = tranche(root, best_of=4)
  return {
    'comparisons': ('make_comparisons', tiny.comparisons(root)),
    'rankings': (
      'make_rankings',
      settings('rankings', text_dir=f'{root}/text', lm_dir=lm, lm_size='3K')
      | {'prompts': 8, 'test_prompts': 4, 'demonstrations': 4}
      | {'sample_batch': 16},
    ),
    'tranche': ('make_tranche', best),
    'judged': ('make_tranche', best | {'labels': 'judge', 'judge_dir': pm}),
    'policies': (
      'compare_policies',
      settings('online', **shared, **both, **CUT)
      | {'tranche_names': ['base', 'rs'], 'test_pairs': 20, 'prompts': 12}
      | {'tranche_dirs': [f'{root}/one', f'{out}/tranche']}
      | {'pm_names': ['final'], 'pm_dirs': [pm]},
    ),
    'games': (
      'play_games',
      settings('games', **shared, **both, sample_batch=8)
      | {'train_pm_dir': pm, 'test_pm_dir': pm, 'dialogue_prompt': 64}
      | {'prompts': 12, 'talks': 3, 'turns': 2}
      | {'writer_prompts': 6, 'writer_replies': 3},
    ),
    'skills': (
      'evaluate_skills',
      settings('skills', size='3K', **both)
      | {'tranche_names': ['hh'], 'tranche_dirs': [data]}
      | {'pm_names': ['mixed'], 'pm_dirs': [pm], 'eval_batch': 8}
      | {'test_pairs': 16, 'choices': 8, 'samples': 8},
    ),
    'scored': (
      'score_replies',
      scored | {'prompts': 8, 'replies': 32, 'role': 'scored', 'seed': 0},
    ),
    'tax': (
      'measure_tax',
      tax | both | CUT | arithmetic | {'role': 'tax', 'seed': 0},
    ),
    'frontier': (
      'frontier',
      {'policy': lm, 'pm': pm, 'kind': 'all', 'run_dir': ''}
      | {'prompts': 8, 'replies': 32},
    ),
    'targets': (
      'make_targets',
      settings('targets', lm_dir=lm, lm_size='3K', text_dir=f'{root}/text')
      | {'texts': 16, 'heldout_texts': 8, 'eval_batch': 8},
    ),
    'attack': (
      'attack_policies',
      {'policies': [f'helpful={lm}', f'mixed={root}/rl'], 'prompts': data}
      | {'pms': [f'pm={pm}'], 'data': '', 'limit': 6, 'replies': 2}
      | {'temperature': 1.0, 'most_tokens': 8, 'max_prompt': 32},
    ),
    'prompted': (
      'evaluate_prompted',
      settings('prompted', pages_dir=f'{root}/text', sizes=['3K'], **CUT)
      | {'lm_dirs': [lm], 'distilled_dirs': [lm]}
      | {'samples': 8, 'choices': 4},
    ),
    'judge': (
      'judge',
      {'models': [f'A={lm}', f'B={root}/rl'], 'questions': data, 'data': ''}
      | {'judges': ['longer'], 'pms': [f'pm={pm}'], 'scores': [], 'url': ''}
      | {'model': '', 'orders': 'all', 'limit': 6, 'replies': ''}
      | {'against': '', 'draw': 1.0, 'most_tokens': 8, 'max_prompt': 32}
      | {'max_reply': 8, 'leader_board': False},
    ),
    'hhh': ('evaluate_hhh', imported.hhh(root, pm_dirs=[], pm_names=[])),
    'bias': (
      'measure_bias',
      {'model': f'{root}/model', 'pad_token': imported.PAD, 'limit': 0}
      | {'what': ['bbq', 'truthfulqa', *WRITTEN], 'template': 'dialogue'}
      | {'tokenizer': '', 'system': None, 'data': f'{root}/sets', 'batch': 4}
      | {'replies': 2, 'max_tokens': 4, 'temperature': 1.0, 'top_p': 0.9}
      | {'seed': 0, 'words': f'{root}/words.txt', 'threshold': 0.5}
      | {'before': ''},
    ),
    'samples': (
      'samples',
      {'policy_dirs': [f'{root}/rl', lm], 'pm_dir': pm, 'test_pm_dir': ''}
      | {'prompts': [], 'family': '', 'where': {}, 'max_prompt': 32}
      | {'max_reply': 8, 'eval_batch': 4, 'seed': 3}
      | {'shown': {'each': 1, 'replies': 2}},
    ),
  }


def tranche(root, **changes):
  return settings(
    'tranche',
    **{'comparisons_dir': f'{root}/comparisons', 'size': '3K'},
    **{'writer_dirs': [f'{root}/lm'], 'ranker_dir': f'{root}/pm'},
    **{'pairs': 40, 'test_pairs': 20, 'sample_batch': 16},
    **changes,
  )


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  root = tmp_path_factory.mktemp('hosts')
  tiny.prepare(root)
  train_ppo.run(tiny.ppo(root, snapshots=[1]), root / 'rl')
  make_tranche.run(tranche(root, best_of=1), root / 'one')
  imported.write_model(root / 'model')
  (root / 'data').mkdir()
  imported.write_data(root / 'data')
  bias.write_data(root / 'sets')
  (root / 'words.txt').write_text('hello\n')
  return root


def run(root, out, count, only=None):
  """Runs jobs as so many processes; fails with what one of them said."""
  listed = [
    {'module': module, 'config': config, 'workdir': f'{out}/{name}'}
    | {'options': OPTIONS.get(module)}
    for name, (module, config) in jobs_of(root, out).items()
    if name in (only or name)
  ]
  out.mkdir(exist_ok=True)
  (out / 'jobs.json').write_text(json.dumps(listed))
  path = os.pathsep.join([str(hosts.ROOT), str(hosts.HERE)])
  job = [f'--distributed=127.0.0.1:{hosts.free_port()}']
  job += [f'--num_processes={count}']
  processes = [
    subprocess.Popen(
      [sys.executable, hosts.HERE / 'several_jobs.py']
      + [f'--jobs={out}/jobs.json']
      + [*job, f'--process_id={i}'] * (count > 1),
      cwd=hosts.ROOT,
      env=os.environ | {'PYTHONPATH': path},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(count)
  ]
  found = hosts.ended(processes)
  said = '\n'.join(err[-20000:] for _, _, err in found)
  assert [code for code, *_ in found] == [0] * count, said


@pytest.fixture(scope='module')
def ran(study):
  """The folders of all jobs, of one process and of two."""
  for count in (1, 2):
    run(study, study / f'by-{count}', count)
  return study / 'by-1', study / 'by-2'


def files_of(folder):
  names = (x.relative_to(folder) for x in folder.rglob('*') if x.is_file())
  return sorted(str(x) for x in names if '/tfds/' not in f'/{x}')


LISTED = jobs_of('', '')


@pytest.mark.parametrize('name', list(LISTED))
def test_two_processes_write_the_files_of_one(ran, name):
  one, two = (folder / name for folder in ran)
  assert files_of(one) == files_of(two)


@pytest.mark.parametrize('name', list(LISTED))
def test_tables_of_two_processes_are_those_of_one(ran, name):
  one, two = (folder / name for folder in ran)
  for path in sorted(one.rglob('*.csv*')):
    tables = [pd.read_csv(x / path.relative_to(one)) for x in (one, two)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=1e-4)
  for path in sorted(one.rglob('*.npz')):
    if 'tfds' in path.parts:
      continue
    with np.load(path) as ours, np.load(two / path.relative_to(one)) as theirs:
      assert ours.files == theirs.files
      for key in ours.files:
        both = ours[key], theirs[key]
        if both[0].dtype.kind in 'iuf':
          both = (x.astype(float) for x in both)
          np.testing.assert_allclose(*both, atol=1e-4, err_msg=key)
        else:
          assert both[0].tolist() == both[1].tolist(), key


def test_every_stage_that_says_so_is_here_or_elsewhere():
  """Those that train: test_hosts_stages, test_distil_stages.

  Of `evaluate`, which needs the harness, programs and doors are those of the
  others (`jit_named`, `open_writer`).
  """
  here = {module for module, _ in LISTED.values()} | {'evaluate'}
  trained = {'train_lm', 'train_pm', 'train_ppo', 'train_dpo', 'distil'}
  assert here | trained == several.SEVERAL


def test_pairs_of_two_processes_are_as_many_and_of_the_red_team_too(ran):
  for folder in ran:
    pairs = comparisons.load_pairs(folder / 'comparisons', 'train')
    assert len(pairs.kind_N) > 100
    rows = pd.read_csv(folder / 'attack' / 'attack.csv')
    assert RED_TEAM == 'harmless' and len(rows)


def test_each_of_two_processes_reads_half_of_the_rows(ran):
  """An odd batch goes to both."""
  for index in range(2):
    rows = json.loads((ran[1] / f'jobs.{index}.json').read_text())
    assert all(own == count // 2 for count, own in rows if count % 2 == 0)
    assert sum(count % 2 == 0 for count, _ in rows) > len(rows) / 2 > 20


def test_what_one_process_has_begun_two_go_on_with(study, ran):
  """The first of three policies is measured; its line is taken as it is."""
  out = study / 'resumed'
  shutil.copytree(ran[0] / 'tax', out / 'tax')
  for name in ('done.json', 'tax.csv', 'win_rates.csv'):
    (out / 'tax' / name).unlink()
  kept = out / 'tax' / 'measured.jsonl'
  first, *_ = kept.read_text().splitlines(keepends=True)
  other = json.loads(first)
  other['row']['words'] = 77.0
  kept.write_text(json.dumps(other) + '\n')
  run(study, out, 2, ('tax',))
  tables = [pd.read_csv(x / 'tax' / 'tax.csv') for x in (ran[0], out)]
  assert tables[1]['words'][0] == 77
  pd.testing.assert_frame_equal(*(x[1:] for x in tables), rtol=1e-4, atol=1e-4)
  assert len(kept.read_text().splitlines()) == 3
