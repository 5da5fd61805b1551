"""Themes, their jobs, and a new one through planner, launchers and report."""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import types

import fake_slurm
import pytest
from experiments_command import ROOT, call, error_line

from experiments.studies import registry
from experiments.studies.job import Job
from rlhf_jax.analysis.claims import registry as claims
from tests.test_configs import _config, _load

HERE = pathlib.Path(__file__).parent
TENSION = {
  f'pm/single-42K-{subset}-all-s{seed}'
  for subset in ('helpful', 'harmless')
  for seed in range(200, 208)
}
ROBUST = {
  *(f'pm/robust-197K-mix-{half}-s200' for half in 'ab'),
  *(f'pm/value-13K-mix-{half}-s200' for half in 'ab'),
  *(f'rl/robust-13K-{half}-s200' for half in 'ab'),
}


def names(themes, preset='micro'):
  config = _config('reproduce', preset) | {'themes': themes}
  jobs = registry.all_jobs(config, '/r')
  for job in jobs:
    assert {need.name for need in job.needs} <= {job.name for job in jobs}
  return {job.name for job in jobs}


def test_a_theme_comes_with_what_it_needs_and_nothing_else():
  start = {'text', 'lm/197K', 'comparisons'}
  assert names(['tension']) == start | {'lm/42K'} | TENSION
  found = {name for name in names(['robustness']) if '-s20' not in name}
  assert found == start | {'lm/13K'}
  assert {x for x in names(['robustness']) if x.endswith('s200')} == ROBUST


def test_themes_share_their_jobs():
  """The linear runs are those of two themes; the test PM comes with them."""
  both, one = names(['ppo', 'sqrt_kl']), names(['sqrt_kl'])
  assert both - one == {f'rl/inert-13K-a-s{s}' for s in range(200, 208)}
  assert (
    'pm/rl-197K-mix-b-s200' in one and 'pm/scaling-3K-mix-a-s200' not in one
  )


def test_the_themes_are_the_modules_that_have_jobs():
  """In the order of the claims, which hold the one list; no name is left."""
  folder = pathlib.Path(registry.__file__).parent
  modules = {path.stem for path in folder.glob('*.py')} - {'__init__'}
  have = {
    name
    for name in modules - {'registry'}
    if {'jobs', 'evaluations'}
    & vars(importlib.import_module(f'experiments.studies.{name}')).keys()
  }
  assert set(registry.THEMES) == have and len(have) >= 9
  claimed = [name for name in claims.THEMES if name in have]
  assert list(registry.THEMES) == [*claimed, 'hhh']


def test_every_linear_policy_has_its_frontier():
  """Of each size under the one train PM; without a section there is none."""
  linear = {
    f'linear-{size}-a-s{seed}'
    for size in ('13K', '42K', '197K')
    for seed in range(200, 208)
  }
  found = names(['sqrt_kl'])
  assert {x[9:] for x in found if x.startswith('frontier/')} == linear
  assert {x[3:] for x in found if x.startswith('rl/')} == linear
  config = _config('reproduce', 'headline') | {'themes': ['sqrt_kl']}
  jobs = {job.name: job for job in registry.all_jobs(config, '/r')}
  job = jobs['frontier/linear-42K-a-s203']
  run = '/r/rl/linear-42K-a-s203'
  wanted = {'run_dir': run, 'prompts': 32, 'replies': 1536}
  assert job.config == wanted
  assert [need.name for need in job.needs] == ['rl/linear-42K-a-s203']
  del config['frontier']
  jobs = registry.all_jobs(config, '/r')
  assert not [job.name for job in jobs if 'frontier' in job.name]


def test_bows_are_of_eight_combinations_a_seed():
  """Four train PMs, each on helpful and on harmless prompts."""
  config = _config('reproduce', 'headline')
  config |= {'seeds': [200], 'themes': ['sqrt_kl', 'bows']}
  jobs = {job.name: job for job in registry.all_jobs(config, '/r')}
  found = {
    jobs[job.config['run_dir'].removeprefix('/r/')].config['train_pm_dir']
    for job in jobs.values()
    if job.module == 'experiments.frontier'
  }
  assert {path.removeprefix('/r/pm/') for path in found} == {
    'scaling-197K-mix-a-s200',
    'robust-197K-mix-a-s200',
    'single-42K-helpful-all-s200',
    'single-42K-harmless-all-s200',
  }
  short = jobs['rl/helpful_pm-13K-a-s200'].config
  assert (short['role'], short['iterations']) == ('helpful_pm', 18)
  assert short['test_pm_dir'] == '/r/pm/rl-197K-mix-b-s200'


def online_jobs(**changes):
  config = _config('reproduce', 'full') | {'themes': ['online']}
  config |= {'seeds': [200]}
  config['online'] |= changes
  return {job.name: job for job in registry.all_jobs(config, '/r')}


def test_every_round_of_online_training_retrains_on_all_data_so_far():
  """Three rounds of 768 pairs, base and best of 16 as the paper mixes them."""
  jobs = online_jobs()
  counts = {
    role: jobs[f'online/data_{role}-s200'].config['train_counts']
    for role in ('online0', 'online1', 'online3', 'online_thirds')
  }
  assert counts == {
    'online0': [6912],
    'online1': [6912, 2304, 768],
    'online3': [6912, 2304, 768, 768, 768],
    'online_thirds': [2304, 2304, 768, 768, 768],
  }
  assert sum(counts['online_thirds']) == sum(counts['online0'])
  for role, parts in counts.items():
    pm = jobs[f'pm/{role}-42K-helpful-all-s200'].config
    rl = jobs[f'rl/{role}-42K-all-s200'].config
    data = f'/r/online/data_{role}-s200'
    assert pm['comparisons_dir'] == rl['comparisons_dir'] == data
    assert pm['pairs'] == sum(parts) and pm['base'] == '/r/lm/42K'
    assert rl['base'] == '/r/lm/42K'  # from scratch, not continued
    assert rl['train_pm_dir'] == f'/r/pm/{role}-42K-helpful-all-s200'
    assert (rl['passes'], rl['gae_lambda']) == (4, 1.0)


def test_policies_and_the_base_tranche_are_of_one_size():
  """The study's own comparisons where their language model wrote them."""
  jobs = online_jobs()
  made = jobs['online/comparisons'].config
  assert (made['lm_size'], made['lm_dir']) == ('42K', '/r/lm/42K')
  base = '/r/online/comparisons'
  assert jobs['online/data_online0-s200'].config['tranche_dirs'] == [base]
  readers = ('online/rs-s200', 'online/round2-s200')
  assert {jobs[x].config['comparisons_dir'] for x in readers} == {base}
  # As many helpful pairs as are asked for, with a tenth to spare.
  config = _config('reproduce', 'full')
  block, held = config['online'], config['test_fraction']
  helpful = block['base_pairs'] * 16 / 21
  wanted = block['rounds'] * block['round_pairs'] * 3
  assert helpful * (1 - held) > 1.09 * wanted
  tests = block['rounds'] * block['round_test_pairs']
  assert helpful * held > 1.09 * tests
  jobs = online_jobs(size='197K')
  base = jobs['online/data_online0-s200'].config['tranche_dirs']
  assert base == ['/r/comparisons'] and 'online/comparisons' not in jobs


def test_a_round_deploys_snapshots_of_the_last_two_rounds():
  jobs = online_jobs()
  path = lambda i: f'/r/rl/online{i}-42K-all-s200'
  both = lambda i: [f'{path(i)}/snapshots/8', path(i)]
  writers = [jobs[f'online/round{i}-s200'].config for i in (1, 2, 3)]
  assert [x['writer_dirs'] for x in writers] == [
    both(0),
    both(0) + both(1),
    both(1) + both(2),
  ]
  assert [x['before_dir'] for x in writers] == [
    '',
    '/r/online/round1-s200',
    '/r/online/round2-s200',
  ]
  assert {x['best_of'] for x in writers} == {1}
  ranked = jobs['online/rs-s200'].config
  assert (ranked['best_of'], ranked['writer_dirs']) == (16, ['/r/lm/42K'])
  assert ranked['ranker_dir'] == '/r/pm/online0-42K-helpful-all-s200'


def test_more_rounds_are_a_setting_and_people_answer_for_one_seed():
  jobs = online_jobs(rounds=4, labels='people', queue='/q')
  assert 'online/round4-s200' in jobs and 'rl/online4-42K-all-s200' in jobs
  assert jobs['online/round4-s200'].config['queue'] == '/q'
  names = jobs['online/policies-s200'].config['writer_names']
  assert names[:4] == ['pi_0', 'round1', 'round2', 'round3']
  assert names[4:] == [
    f'{x}{end}' for x in ('base_only', 'final', 'thirds') for end in ('@8', '')
  ]
  config = _config('reproduce', 'full') | {'themes': ['online']}
  config['online'] |= {'labels': 'people'}
  with pytest.raises(ValueError, match='labels=people wants one seed, got 8'):
    registry.all_jobs(config, '/r')


def test_where_people_talk_with_the_policies_only_those_are_compared():
  """No tranche of best of k, and so no thirds; two rounds, one queue."""
  jobs = online_jobs(rounds=2, labels='queue', queue='/q.db')
  assert not any('rs-' in name or 'thirds' in name for name in jobs)
  one, two = (jobs[f'online/round{i}-s200'].config for i in (1, 2))
  assert (one['queue'], one['labels']) == ('/q.db', 'queue')
  assert (one['before_dir'], two['before_dir']) == ('', '/r/online/round1-s200')
  path = '/r/rl/online0-42K-all-s200'
  assert one['writer_dirs'] == [f'{path}/snapshots/8', path]
  mixed = jobs['online/data_online2-s200'].config
  assert mixed['train_counts'] == [3 * 2 * 768, 768, 768]
  last = jobs['online/policies-s200'].config
  assert last['tranche_names'] == ['base', 'online', 'online']
  assert last['pm_names'] == ['base_only', 'final']
  with pytest.raises(ValueError, match='labels=queue wants the database of th'):
    online_jobs(labels='queue')


def test_draws_deal_out_the_seeds_and_share_nothing():
  """Each has its own texts, language model and comparisons, in a folder."""
  config = _config('reproduce', 'shared_variance')
  jobs = {job.name: job for job in registry.all_jobs(config, '/r')}
  assert {name.split('/')[0] for name in jobs} == {f'draw{i}' for i in range(6)}
  seeds = {}
  for name, job in jobs.items():
    draw = name.split('/')[0]
    assert all(need.name.startswith(f'{draw}/') for need in job.needs)
    paths = [v for k, v in job.config.items() if k.endswith('_dir') and v]
    assert all(path.startswith(f'/r/{draw}/') for path in paths)
    seeds.setdefault(name.split('/', 1)[1].split('-')[0], []).append(
      job.config['seed']
    )
  schedule = ('dense_iterations', 'dense_every', 'sparse_every')
  whole = _config('reproduce', 'headline')['rl']  # whose fits are compared
  assert all(config['rl'][key] == whole[key] for key in schedule)
  assert seeds['comparisons'] == list(range(200, 206))
  assert seeds['text'] == list(range(6))
  assert sorted(seeds['rl/linear']) == list(range(400, 424))
  one = config | {'seeds': config['seeds'][:4], 'draws': 1}
  names = {job.name for job in registry.all_jobs(one, '/r/draw0')}
  assert {f'draw0/{x}' for x in names} == {
    x for x in jobs if x.startswith('draw0/')
  }
  with pytest.raises(ValueError, match='draws=5: wanted a study that makes'):
    registry.all_jobs(config | {'draws': 5}, '/r')


def test_a_flag_names_themes_with_commas_between():
  assert registry.names_of(['scaling,robustness', 'ppo']) == [
    'scaling',
    'robustness',
    'ppo',
  ]
  with pytest.raises(
    ValueError, match='no themes are chosen: some of scaling,'
  ):
    registry.names_of([''])


@pytest.mark.parametrize('preset', ['headline', 'smoke', 'null', 'gpu', 'full'])
def test_a_preset_of_a_study_runs_all_themes(preset):
  """But for the chapters, which `full` alone adds; some widen a theme."""
  elsewhere = {'hhh', 'real_pairs', 'real_mixtures'}
  elsewhere |= {'real_pretraining', 'real_imitation'}
  elsewhere |= set(_load('blocks').chapters('policies'))
  if preset != 'full':
    elsewhere |= set(_load('blocks').chapters()) - {'tension'}
  themes = _config('reproduce', preset)['themes']
  assert set(themes) == set(registry.THEMES) - elsewhere


def test_chapters_come_with_the_runs_that_they_read():
  """Of one seed; with nothing else chosen."""
  config = _config('reproduce', 'full') | {'seeds': [200]}
  jobs_of = lambda theme: {
    job.name: job for job in registry.all_jobs(config | {'themes': [theme]}, '')
  }
  best = jobs_of('best_of_n')
  job = best['replies/best_of_n-13K-s200']
  assert len(job.config['pm_dirs']) == 4 * 2  # sizes, numbers of pairs
  assert job.config['policy_dir'] == '/lm/13K'
  assert 'rl/under_3K-13K-b-s200' in best
  tension = jobs_of('tension')
  mixed = tension['pm/mixed-13K-30_70-all-s200'].config
  assert (mixed['train_subset'], mixed['role']) == ('30/70', 'mixed')
  assert 'pm/weighted-3K-67_33_x10-all-s200' in tension
  assert 'rl/mixed_pm-13K-a-s200' in tension
  scans = jobs_of('scans')
  judged = scans['replies/judged_own-own-42K-a-s200'].config
  assert [x.split('-')[1] for x in judged['pm_dirs']] == [
    *('3K', '13K', '42K', '197K')
  ]
  assert scans['rl/passes_4-13K-a-s200'].config['passes'] == 4


def test_lambda_is_one_but_where_runs_stand_beside_those_of_headline():
  """There the runs that are compared differ in what is asked alone."""
  found = {}
  for job in full_jobs(*_config('reproduce', 'full')['themes']).values():
    if job.module == 'experiments.train_ppo':
      role = job.config['role']
      found.setdefault(job.config['gae_lambda'], set()).add(role)
  assert set(found) == {0.95, 1.0}
  assert found[1.0] == {
    *('by_ppo', 'by_rloo', 'by_grpo'),
    *(f'online{i}' for i in range(4)),
    *('online_thirds', 'tax', 'tax_mixed'),
  }


def test_the_scan_of_weights_has_fewer_seeds_than_that_of_shares():
  """Claims 38 and 40 want eight and five, and both three sizes."""
  config = _config('reproduce', 'full') | {'themes': ['tension']}
  seeds, sizes = {}, {}
  for job in registry.all_jobs(config, '/r'):
    role = job.config.get('role')
    if role in ('mixed', 'weighted'):
      seeds.setdefault(role, set()).add(job.config['seed'])
      sizes.setdefault(role, set()).add(job.config['size'])
  assert {role: len(own) for role, own in seeds.items()} == {
    'mixed': claims.load().claim(38).min_seeds,
    'weighted': claims.load().claim(40).min_seeds,
  }
  assert set(map(len, sizes.values())) == {3}


def test_a_pm_that_is_there_is_not_trained_again_under_another_name():
  """Of one size, half and number of pairs; roles and curves alone differ."""
  keys = ('size', 'seed', 'half', 'train_subset', 'pairs', 'schedule')
  keys += ('schedule_shape', 'lr_multiple', 'base', 'comparisons_dir')
  for theme in ('best_of_n', 'scans', 'instruct', 'robustness'):
    made = [
      tuple(job.config[key] for key in keys)
      for job in full_jobs(theme).values()
      if job.module == 'experiments.train_pm'
    ]
    assert len(made) == len(set(made)) > 0, theme


def test_the_default_trains_no_policy_and_has_eight_seeds():
  """Claims on RL want more time than it has; what it claims has its seeds."""
  config = _config('reproduce', 'micro')
  jobs = registry.all_jobs(config, '/r')
  assert not [job.name for job in jobs if 'ppo' in job.module]
  assert len(config['seeds']) == 8


@pytest.mark.slow  # processes
def test_an_unknown_theme_is_one_line_and_leaves_nothing(tmp_path):
  done = call(
    'reproduce',
    '--config=configs/reproduce.py:smoke',
    '--config.themes=scaling,tensoin',
    f'--workdir={tmp_path}/x',
  )
  line = error_line(done)
  assert line.startswith("error: no theme 'tensoin': one of scaling, ")
  assert not list(tmp_path.iterdir())


def test_two_themes_must_agree_on_a_job(monkeypatch):
  def theme(rate):
    job = Job('pm/x', 'm', {'rate': rate})
    return types.SimpleNamespace(jobs=lambda config, root, seed: [job])

  monkeypatch.setattr(registry, 'theme_of', theme)
  config = {'themes': ['1', '1'], 'seeds': [0]}
  assert len(registry.all_jobs(config, '/r')) == 1
  with pytest.raises(ValueError, match='called pm/x: they differ in rate'):
    registry.all_jobs(config | {'themes': ['1', '2']}, '/r')


THEME = """
from experiments.studies.job import Job


def jobs(config, root, seed):
  first = Job(f'fake/a-s{seed}', 'fake_stage', {'seed': seed, 'reads': ''})
  second = {'seed': seed, 'reads': f'{root}/fake/a-s{seed}'}
  return [Job(f'fake/b-s{seed}', 'fake_stage', second, (first,))]
"""
STAGE = """
from experiments.shared.files import write_csv
from rlhf_jax.train.run import Run

ROW = {'role': 'lm', 'size': '3K', 'n_params': 1, 'half': 'all'}


def run(config, workdir):
  with Run(workdir, config, ROW | {'seed': config['seed']}) as run_:
    if not run_.done:
      line = {'tokens': 1, 'nats_per_token': 1.0, 'gold': 0.5}
      write_csv(run_.path / 'lm.csv', [line])
      run_.finish(read=config['reads'])
"""
START = """
import sys
from experiments import studies
from configs import blocks
from experiments.studies import registry
studies.__path__.append({folder!r})
registry.THEMES += ('fake',)
from experiments import reproduce
reproduce.main()
"""


@pytest.fixture
def reproduce(tmp_path):
  """Starts `reproduce` with one theme more, whose files are in a folder."""
  new = tmp_path / 'new'
  new.mkdir()
  (new / 'fake.py').write_text(THEME)
  (new / 'fake_stage.py').write_text(STAGE)
  tools = fake_slurm.install(tmp_path / 'slurm')
  path = os.pathsep.join([str(ROOT), str(new)])

  def start(*flags):
    return subprocess.run(
      [
        sys.executable,
        '-c',
        START.format(folder=str(new)),
        '--config=configs/reproduce.py:smoke',
        '--config.themes=fake',
        f'--workdir={tmp_path}/study',
        '--poll=0.1',
        *flags,
      ],
      cwd=ROOT,
      env=os.environ | tools | {'PYTHONPATH': path},
      capture_output=True,
      text=True,
      check=False,
    )

  return start


@pytest.mark.slow  # a study from its list to its report, three or more starts
@pytest.mark.parametrize('on', ['pool', 'slurm'])
def test_a_new_theme_runs_to_its_report(reproduce, tmp_path, on):
  """Listed, run on a launcher, analysed; the second time there is no work."""
  if on == 'slurm':
    pytest.importorskip('submitit', reason='needs the extra slurm')
  root = tmp_path / 'study'
  if on == 'pool':
    listed = reproduce('--on=list')
    assert listed.returncode == 0, listed.stderr[-2000:]
    assert listed.stdout.endswith('0 of 4 jobs are done\n')
    assert not (root / 'report').exists()
  done = reproduce(f'--on={on}')
  assert done.returncode == 0, done.stderr[-2000:]
  assert '[4/4] fake/b-s' in done.stderr
  assert f'{len(claims.load().claims)} not run' in done.stdout
  assert (root / 'report' / 'index.html').exists()
  jobs = json.loads((root / 'ledger.json').read_text())['jobs']
  assert set(jobs) == {f'fake/{x}-s{seed}' for x in 'ab' for seed in (0, 1)}
  read = json.loads((root / 'fake' / 'b-s1' / 'done.json').read_text())['read']
  assert read == f'{root}/fake/a-s1'
  before = (root / 'ledger.json').read_text()
  again = reproduce('--on=list')
  assert '4 of 4 jobs are done' in again.stdout
  assert f'report: {root}/report/index.html' in again.stdout
  assert (root / 'ledger.json').read_text() == before


def full_jobs(*themes):
  """{name: job} of themes of the preset full, of its first seed."""
  config = _config('reproduce', 'full')
  config |= {'seeds': [200], 'themes': list(themes)}
  return {job.name: job for job in registry.all_jobs(config, '/r')}


def test_games_are_between_pi_0_and_snapshots_of_the_linear_runs():
  jobs = full_jobs('samples', 'sqrt_kl')
  for size in ('13K', '42K'):
    games = jobs[f'games/{size}-s200'].config
    path = f'/r/rl/samples-{size}-a-s200'
    marks = ('4', '10', '16', '24')
    assert games['writer_names'] == ['pi_0', *(f'@{i}' for i in marks), '@34']
    assert games['writer_dirs'] == [
      f'/r/lm/{size}',
      *(f'{path}/snapshots/{i}' for i in marks),
      path,
    ]
    again, linear = (
      jobs[f'rl/{role}-{size}-a-s200'].config for role in ('samples', 'linear')
    )
    measured = {'eval_prompts', 'pi0_samples', 'dense_iterations', 'role'}
    measured |= {'dense_every', 'sparse_every', 'snapshots'}
    assert {k for k in again if again[k] != linear.get(k)} <= measured
    for pm in ('train_pm_dir', 'test_pm_dir'):
      assert games[pm] == linear[pm]


def test_two_pms_of_a_seed_differ_in_where_they_read_alone():
  jobs = full_jobs('end_of_context')
  for size in ('13K', '42K'):
    places = ('end_of_context', 'last_token')
    two = [jobs[f'pm/at_{x}-{size}-mix-a-s200'].config for x in places]
    assert [x['score_at'] for x in two] == list(places)
    differ = {key for key in two[0] if two[0][key] != two[1][key]}
    assert differ == {'score_at', 'role'}


def test_the_joint_fit_has_a_curve_of_every_size_and_kind_at_equal_pairs():
  """Points of both curves are halvings of 6,144 pairs."""
  jobs = full_jobs('joint')
  for size in ('3K', '13K', '42K', '197K'):
    helpful = jobs[f'pm/joint-{size}-helpful-a-s200'].config
    mix = jobs[f'pm/scaling-{size}-mix-a-s200'].config
    points = [
      {c['pairs'] / 2**i for i in range(c['curve_points'])}
      for c in (helpful, mix)
    ]
    assert points[0] == {384, 768, 1536, 3072, 6144} < points[1]
    same = ('lr_multiple', 'schedule', 'half', 'seed', 'batch_size')
    assert all(helpful[key] == mix[key] for key in same)
