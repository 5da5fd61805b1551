"""Jobs that themes are made of: names, rates, directions, by hand."""

import pytest

from experiments.studies import blocks, hh_pythia, online, scans, scored, starts
from experiments.studies.job import Job
from tests.test_configs import _config, _load

ROOT = '/r'


@pytest.fixture
def config():
  """Of the whole study, three seeds of it, PPO on the first two."""
  found = _config('reproduce', 'headline')
  return found | {'seeds': [7, 8, 9], 'rl_seeds': 2}


def pm(config, half='a', size='197K', **more):
  return blocks.pm_job(config, ROOT, 'x', size, 7, half, **more)


def test_a_rung_with_a_point_has_its_own_multiple_of_the_rate(config):
  config['pm_lr_multiples'] = {'_2_7M': 0.5, '_197K': 0.25}
  config['pm']['lr_multiple'] = 8.0
  found = {
    x: pm(config, size=x).config['lr_multiple'] for x in ('2.7M', '197K')
  }
  assert found == {'2.7M': 4.0, '197K': 2.0}
  with pytest.raises(
    ValueError, match='no entry _13K for the size 13K: add it'
  ):
    pm(config, size='13K')
  config['pm_lr_multiples'] = {}  # all sizes alike
  assert pm(config, size='13K').config['lr_multiple'] == 8.0


def test_a_model_of_all_pairs_ends_at_a_rate_of_zero_and_a_half_does_not(
  config,
):
  config['pm_lr_multiples'], config['pm']['lr_multiple'] = {}, 8.0
  config['pm'] |= {'schedule': 'constant', 'schedule_shape': 'constant'}
  config['decayed'] = {'lr_ratio': 0.5, 'schedule': 'decay'}
  config['decayed'] |= {'schedule_shape': 'linear'}
  keys = ('schedule', 'schedule_shape', 'lr_multiple')
  whole, half = (
    [pm(config, part).config[key] for key in keys] for part in ('all', 'a')
  )
  assert whole == ['decay', 'linear', 4.0]
  assert half == ['constant', 'constant', 8.0]
  own = pm(config, 'all', lr_multiple=1.0, schedule='x').config
  assert (own['lr_multiple'], own['schedule']) == (1.0, 'x')  # told by a theme


def test_a_model_reads_the_study_s_own_runs_or_what_is_given(config):
  job = pm(config)
  assert job.name == 'pm/x-197K-mix-a-s7'
  assert [need.name for need in job.needs] == ['comparisons', 'lm/197K']
  assert job.config['base'] == '/r/lm/197K'
  assert job.config['comparisons_dir'] == '/r/comparisons'
  given = _config('reproduce', 'smollm2_full')
  job = blocks.pm_job(given, ROOT, 'x', '', given['seeds'][0], 'a')
  assert job.needs == () and job.config['base'] == given['base'] != ''
  assert '--' not in job.name and job.name.startswith('pm/x-mix-a-s')


def test_a_study_of_one_kind_trains_and_watches_by_that_kind():
  """PMs that are heads are no start of a value network of adapters."""
  config = _config('reproduce', 'smollm2_rl')
  seed = config['seeds'][0]
  (run,) = blocks.linear_runs(config, ROOT, seed)
  assert [need.name for need in run.needs] == [
    f'pm/scaling-helpful-a-s{seed}',
    f'pm/rl-helpful-b-s{seed}',
  ]
  assert {need.config['train_subset'] for need in run.needs} == {'helpful'}
  assert {need.config['trained'] for need in run.needs} == {'head'}
  assert (
    run.config['trained'] == 'adapters' and run.config['value_pm_dir'] == ''
  )
  assert run.config['prompt_kind'] == 'helpful'
  (run,) = blocks.linear_runs(_config('reproduce', 'smollm2_full'), ROOT, 121)
  assert run.config['value_pm_dir'] == f'{ROOT}/pm/scaling-mix-a-s121'


def test_names_of_shares_and_weights_are_names_of_folders(config):
  job = blocks.mixed_pm(config, ROOT, 'm', '13K', 8, '67/33*4', 96)
  assert job.name == 'pm/m-13K-67_33_x4-all-s8'
  assert job.config['train_subset'] == '67/33*4'
  assert (job.config['pairs'], job.config['half']) == (96, 'all')


def rl(config, seed=7, value=None, **changes):
  train = Job('pm/t', 'm', {'size': '42K', 'pairs': 640})
  test = Job('pm/u', 'm', {'size': '197K', 'pairs': 960})
  pms = train, test, value
  return blocks.rl_job(config, ROOT, 'x', '13K', seed, 'a', pms, **changes)


def test_a_policy_says_of_which_pm_it_is(config):
  config['rl']['pm_pairs'] = 0
  found = rl(config)
  own = found.config
  assert (own['pm_size'], own['pm_pairs']) == ('42K', 640)
  assert (own['train_pm_dir'], own['test_pm_dir']) == ('/r/pm/t', '/r/pm/u')
  assert own['value_pm_dir'] == '' and found.name == 'rl/x-13K-a-s7'
  names = [need.name for need in found.needs]
  assert names == ['pm/t', 'pm/u', 'comparisons', 'lm/13K']
  both = rl(config, value=Job('pm/t', 'm', {}))  # the value net starts there
  assert len(both.needs) == 4 and both.config['value_pm_dir'] == '/r/pm/t'
  config['rl']['pm_pairs'] = 96
  assert rl(config).config['pm_pairs'] == 96


def test_replies_are_shown_of_the_first_seed_alone(config):
  config['rl']['shown'] = {'each': 3, 'replies': 2, 'snapshots': 1}
  assert rl(config, 7).config['shown']['each'] == 3
  assert rl(config, 8).config['shown'] == config['rl']['shown'] | {'each': 0}


def test_ppo_runs_on_the_first_seeds(config):
  assert [blocks.has_rl(config, seed) for seed in (7, 8, 9, 1)] == [
    *(True, True, False, False)
  ]
  assert blocks.linear_runs(config, ROOT, 9) == []
  assert scans.jobs(config, ROOT, 9) == []
  sizes = config['linear']['sizes']
  runs = blocks.linear_runs(config, ROOT, 8)
  assert [job.name for job in runs] == [f'rl/linear-{x}-a-s8' for x in sizes]


def test_each_half_of_the_pairs_trains_one_pm_and_tests_the_other(config):
  forth, back = blocks.robust_runs(config, ROOT, 7)
  keys = ('train_pm_dir', 'test_pm_dir')
  there, again = ([job.config[key] for key in keys] for job in (forth, back))
  assert there == again[::-1] and there[0] != there[1]
  assert [job.config['half'] for job in (forth, back)] == ['a', 'b']
  assert all(x.config['value_pm_dir'].endswith(f'-{x.config["half"]}-s7')
             for x in (forth, back))  # fmt: skip
  block = config['robustness']
  for job in (forth, back):
    assert job.config['iterations'] == block['iterations']
    assert job.config['pm_pairs'] == block['pm_pairs']


def test_a_frontier_is_of_its_run_and_nothing_without_the_section(config):
  run = rl(config)
  (job,) = scored.frontier_jobs(config, ROOT, [run])
  assert (job.name, job.config['run_dir']) == (
    'frontier/x-13K-a-s7',
    '/r/rl/x-13K-a-s7',
  )
  assert job.needs == (run,) and job.program == run.program
  del config['frontier']
  assert scored.frontier_jobs(config, ROOT, [run]) == []


def test_replies_are_named_after_their_policy_and_weigh_as_their_judges():
  config = _config('reproduce', 'full')
  policy = Job('rl/linear-13K-a-s7', 'm', {'size': '13K'}, program='rl-13K')
  pms = [Job(f'pm/{x}', 'm', {'size': x}) for x in ('3K', '197K', '9M')]
  job = scored.replies_job(config, ROOT, 'judged', policy, pms, 7, prompts=5)
  assert job.name == 'replies/judged-linear-13K-a-s7'
  assert job.config['pm_dirs'] == tuple(
    f'/r/pm/{x}' for x in ('3K', '197K', '9M')
  )
  assert job.config['policy_dir'] == '/r/rl/linear-13K-a-s7'
  assert job.config['prompts'] == 5 and job.needs == (policy, *pms)
  assert job.weight == 1 + 6 + 50  # of a rung that has no cost: 50


def test_snapshots_are_some_iterations_and_the_end():
  policy = Job('rl/x', 'm', {'snapshots': (4, 12)})
  assert online.snapshots('/r', policy) == [
    *('/r/rl/x/snapshots/4', '/r/rl/x/snapshots/12', '/r/rl/x')
  ]
  assert online.snapshots('/r', Job('rl/x', 'm', {'snapshots': ()})) == [
    '/r/rl/x'
  ]


def test_a_policy_starts_where_its_theme_says():
  makers = {name: lambda size, n=name: f'{n} {size}' for name in ('lm', 'sft')}
  asked = {'theme': {'pi0': 'sft'}}
  assert starts.start_of(asked, 'theme', makers, '3K') == ('sft', 'sft 3K')
  with pytest.raises(ValueError, match="theme.pi0='x': wanted one of lm, sft"):
    starts.start_of({'theme': {'pi0': 'x'}}, 'theme', makers, '3K')


def test_a_job_needs_another_once():
  one, two = Job('a', 'm', {}), Job('b', 'm', {})
  job = starts.needing(Job('c', 'm', {}, (one,)), two, one)
  assert job.needs == (one, two)


@pytest.mark.parametrize(
  ('rows', 'at_once', 'gpus', 'parts'),
  [
    (10, 4, 1, None),  # two parts were five rows at a time, over the limit
    (12, 4, 1, 3),
    (12, 5, 1, 3),  # four at a time: five do not cut it
    (12, 5, 2, 2),
    (3, 4, 1, 1),
  ],
)
def test_a_gpu_never_differentiates_more_rows_than_it_is_told(
  rows, at_once, gpus, parts
):
  if parts is None:
    with pytest.raises(ValueError, match='10 rows cannot be cut into 3 parts'):
      hh_pythia.microbatches(rows, at_once, gpus)
    return
  found = hh_pythia.microbatches(rows, at_once, gpus)
  assert found == parts and rows / found / gpus <= at_once


@pytest.mark.parametrize('counts', [(0, 4, 1), (8, 0, 1), (8, 4, 0)])
def test_no_rows_and_no_gpus_are_one_line(counts):
  with pytest.raises(ValueError, match='wanted 1 or more of batch_size, rows_'):
    hh_pythia.microbatches(*counts)


@pytest.fixture
def sweep():
  found = _load('sweeps/hh_pythia').get_config('dry').to_dict()
  return found | {'models': 'models', 'seeds': (0, 1)}


def test_paths_of_a_sweep_do_not_depend_on_where_it_is_started(sweep):
  jobs = hh_pythia.all_jobs(sweep, 'runs')
  names = [job.name for job in jobs]
  assert names == ['data'] + [
    f'pm/pythia-dry-{half}-s{seed}' for seed in (0, 1) for half in 'ab'
  ] + [f'ppo/pythia-dry-s{seed}' for seed in (0, 1)]
  paths = [
    value
    for job in jobs
    for key, value in job.config.items()
    if (key.endswith('_dir') or key == 'base') and value
  ]
  assert paths and all(path.startswith('/') for path in paths)
  assert jobs[0].config['path'] == ''  # nothing was set, and nothing is made up


def test_a_policy_of_the_sweep_is_rewarded_by_one_half_and_watched_by_both(
  sweep,
):
  """Pairs of its PM are those of the sweep where nothing else is said."""
  sweep['rl']['pm_pairs'] = 0
  *_, job = hh_pythia.all_jobs(sweep, '/runs')
  own = job.config
  assert (
    own['train_pm_dir'] == own['value_pm_dir'] == '/runs/pm/pythia-dry-a-s1'
  )
  assert own['test_pm_dir'] == '/runs/pm/pythia-dry-b-s1'
  assert own['pm_pairs'] == sweep['pm']['pairs'] and own['half'] == 'a'
  assert [need.name for need in job.needs] == [
    *('data', 'pm/pythia-dry-a-s1', 'pm/pythia-dry-b-s1')
  ]
  sweep['rl']['pm_pairs'] = 5
  assert hh_pythia.all_jobs(sweep, '/runs')[-1].config['pm_pairs'] == 5


def test_an_estimate_goes_into_what_a_job_asks_for(sweep):
  def estimate(kind, size, gpus):
    return (3e9 if kind == 'pm' else 4e9), gpus / 2

  data, first, *_, last = hh_pythia.all_jobs(sweep, '/runs', estimate)
  assert data.resources.gpus == 1 and data.resources.hours == 0.5
  assert (first.resources.gpu_bytes, first.resources.hours) == (3e9, 0.5)
  assert last.resources.gpu_bytes == 4e9 and last.resources.cpus == 8
