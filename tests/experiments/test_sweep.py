"""Points to jobs, their names and tables; sweeps that are shipped."""

import functools
import json
import re

import pytest
from experiments_command import call, succeeded

from experiments import sweep
from experiments.studies import launch, stages
from rlhf_jax.train.about import RunError
from rlhf_jax.train.locks import take_lock
from tests.test_configs import _jobs, _load

KNOWN = ['seed', 'size', 'world.seed']


def _config():
  return _load('ppo').get_config('smoke')


def jobs_of(*points, config=None, root='/study'):
  """[Job] of points of PPO."""
  found = sweep.jobs_of('train_ppo', config or _config(), points, root)
  return list(found[0].values())


def test_points_are_the_space_times_the_grids():
  points = sweep.points_of(
    ['zip seed=0,1 size=3K,13K'], ['world.seed=3,4'], KNOWN
  )
  assert points == [
    {'seed': seed, 'size': size, 'world.seed': world}
    for seed, size in ((0, '3K'), (1, '13K'))
    for world in (3, 4)
  ]
  assert sweep.points_of([], [], KNOWN) == [{}]


@pytest.mark.parametrize(
  ('texts', 'grids', 'message'),
  [
    ([], ['sed=0'], "the config has no key 'sed', did you mean seed?"),
    ([], ['kl=0'], "the config has no key 'kl', see the config"),
    (['grid seed=0'], ['seedd=0'], 'did you mean seed?'),
    ([], ['seed'], '--grid: wanted KEY=VALUE,VALUE,..., got .seed.'),
    ([], ['seed=0,'], '--grid: seed: wanted VALUE,VALUE'),
    ([], ['seed=0', 'seed=1'], '--grid: seed is given twice'),
    (['grid seed=0'], ['seed=1'], 'seed is set twice'),
    (['grid'], [], "space 'grid': grid: wanted"),
  ],
)
def test_a_bad_space_is_one_line(texts, grids, message):
  with pytest.raises(ValueError, match=message.replace('?', '.')):
    sweep.points_of(texts, grids, KNOWN)


def test_a_job_changes_its_own_settings_only():
  config = _config()
  before = config.to_dict()
  point = {'size': '3K', 'world.seed': 3, 'lr_multiple': 1}
  [job] = jobs_of(point, config=config)
  assert config.to_dict() == before
  assert job.label == 'size=3K, world.seed=3, lr_multiple=1'
  assert job.module == 'experiments.train_ppo'
  assert job.config['world'] == before['world'] | {'seed': 3}
  assert job.config['size'] == '3K'
  assert job.config['base'] == 'runs/reproduce-smoke/lm/3K'
  assert job.config['seed'] == before['seed']


def test_a_value_of_another_type_is_an_error():
  with pytest.raises(ValueError, match="^seed='x': "):
    jobs_of({'seed': 'x'})


def test_a_run_is_named_by_all_of_its_settings():
  """By what they are, not by which of them a point has said."""
  seed = _config().seed
  [plain] = jobs_of({})
  assert re.fullmatch('[0-9a-f]{12}', plain.name)
  assert [x.name for x in jobs_of({'seed': seed}, {})] == [plain.name]
  others = jobs_of({'seed': seed + 1}, {'clip': 0.1}, {'base': 'a/b'})
  assert len({plain.name, *(x.name for x in others)}) == 4
  other = _config()
  other.iterations += 1
  assert jobs_of({}, config=other)[0].name != plain.name


def test_runs_share_a_program_where_shapes_and_switches_are_the_same():
  one, seed, coef, size, batch = jobs_of(
    {}, {'seed': 7}, {'kl_coef': 0.5}, {'size': '3K'}, {'minibatch_size': 16}
  )
  assert one.program == seed.program == coef.program
  assert len({one.program, size.program, batch.program}) == 3


def write_done(root, name, text):
  (root / name).mkdir()
  (root / name / 'done.json').write_text(text)


def test_the_table_tells_done_from_to_do(tmp_path):
  points = [{'seed': 0}, {'seed': 1}]
  jobs, settings = sweep.jobs_of('train_ppo', _config(), points, tmp_path)
  first, second = jobs
  write_done(tmp_path, second, '{"seconds": 2.5, "train_pm": 0.125}')
  frame = sweep.frame_of(jobs, settings, tmp_path)
  lines = sweep.table(frame).splitlines()
  assert lines[0].split() == ['run', 'seed', 'state', 'seconds', 'train_pm']
  assert lines[1].split()[:4] == [first, '0', 'to', 'do']
  assert lines[2].split() == [second, '1', 'done', '2.5', '0.125']


def test_a_run_that_cannot_start_stops_no_other(tmp_path, monkeypatch):
  """One has a rate that is no number, one fails, one is done."""
  points = [{'lr_multiple': float(rate)} for rate in ('nan', 0.3, 0.5)]
  config = _config()
  config.hashed_rewards = True
  jobs, settings = sweep.jobs_of('train_ppo', config, points, tmp_path)
  bad, fails, done = jobs
  monkeypatch.setattr(sweep.knobs, 'require_inputs', lambda *_: None)
  ran = []

  def run(good, root, options):
    ran.extend(job.name for job in good)
    write_done(root, done, '{"train_pm": 0.125}')
    shown = jobs[fails].shown
    raise launch.FailedError('x', {fails: f'{shown}: no memory (see x.log)'})

  monkeypatch.setattr(sweep.launch, 'run', run)
  failed = sweep.run_all(jobs, tmp_path, launch.Options())
  assert ran == [fails, done]
  assert failed == {
    bad: 'lr_multiple=nan: wanted a finite number, from 0',
    fails: 'no memory (see x.log)',
  }
  found = sweep.frame_of(jobs, settings, tmp_path, failed)
  assert list(found.state) == ['failed', 'failed', 'done']
  lines = sweep.table(found).splitlines()
  assert lines[2].split()[1:] == '0.3 failed no memory (see x.log)'.split()
  assert lines[3].split()[1:] == ['0.5', 'done', '0.125']


def test_runs_without_their_inputs_are_told_the_command(tmp_path):
  config = _config()
  config.base = str(tmp_path / 'lm')
  config.hashed_rewards, config.value_pm_dir = True, ''
  jobs, _ = sweep.jobs_of('train_ppo', config, [{}], tmp_path)
  failed = sweep.run_all(jobs, tmp_path, launch.Options(), 'smoke')
  assert list(failed.values()) == [
    f'base={tmp_path}/lm is not there: python -m experiments.train_lm '
    f'--config=configs/lm.py:smoke --config.size=13K --workdir={tmp_path}/lm '
    'makes it, make '
    'reproduce PRESET=smoke makes all; or name a Hugging Face folder or a GGUF '
    'file'
  ]


def test_a_second_sweep_on_a_directory_refuses_in_one_line(tmp_path):
  with take_lock(tmp_path, True), pytest.raises(RunError) as found:
    sweep.run('train_ppo', _config(), [{}], tmp_path, launch.Options('list'))
  assert 'is in use by another process' in str(found.value)
  assert len(str(found.value).splitlines()) == 1
  assert [x.name for x in tmp_path.iterdir()] == ['.lock']


def test_a_sweep_is_listed_and_keeps_its_table(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(sweep.knobs, 'require_inputs', lambda *_: None)
  points = [{'seed': 0}, {'seed': 1}, {'seed': 0}]
  options = launch.Options('list')
  assert not sweep.run('train_ppo', _config(), points, tmp_path, options)
  names = [job.name for job in jobs_of(*points, root=tmp_path)]
  assert len(names) == 2
  out = capsys.readouterr().out
  assert all(name in out for name in names) and '0 of 2 jobs are done' in out
  lines = (tmp_path / 'sweep.csv').read_text().splitlines()
  assert lines == [
    'run,seed,state',
    *(f'{n},{i},to do' for i, n in enumerate(names)),
  ]
  with pytest.raises(RunError, match='holds another study'):
    sweep.run('train_pm', _config(), points, tmp_path, options)


PAPER = _load('sweeps/paper')
# Runs of each sweep at the preset smoke: sizes, seeds and values multiplied.
SMOKE = {
  'pm_scaling': 2 * 5 * 2,
  'sqrt_kl': 2 * 2 * 2,
  'lambda_kl': 7 * 2,
  'mixture': 2 * 11 * 2,
  'loss_weight': 2 * 5 * 2,
  'best_of_n': 2,
  'ood_layers': 2 * 2,
}


@functools.cache
def planned(name):
  """({name: Job}, {name: point}) of NAME.smoke."""
  config = PAPER.get_config(f'{name}.smoke')
  stage, points = sweep.asked(config)
  return sweep.jobs_of(stage, config, points, '/study')


@pytest.mark.parametrize('name', PAPER.SWEEPS)
def test_every_run_of_a_shipped_sweep_is_one_of_its_stage(name):
  jobs, settings = planned(name)
  assert len(jobs) == len(settings) == SMOKE[name]
  for job in jobs.values():
    sweep.knobs.check_job(job)
    assert job.module.removeprefix('experiments.') in stages.STAGES


@pytest.mark.slow  # seven processes
@pytest.mark.parametrize('name', PAPER.SWEEPS)
def test_a_shipped_sweep_is_told_dry(name, tmp_path):
  """A row a run, and nothing is written."""
  file, root = f'configs/sweeps/paper.py:{name}.smoke', tmp_path / 'sweep'
  done = call('sweep', f'--config={file}', f'--workdir={root}', '--dry_run')
  header, *rows = succeeded(done).stdout.splitlines()
  assert header.split()[0] == 'run' and len(rows) == SMOKE[name]
  assert all(row.endswith('to do') for row in rows)
  assert not root.exists()


def test_what_a_sweep_lacks_is_one_line():
  config = PAPER.get_config('lambda_kl.smoke')
  with pytest.raises(ValueError, match='^--stage is required, or the config'):
    sweep.asked(_config())
  with pytest.raises(ValueError, match='--stage=pn: wanted one of'):
    sweep.asked(config, 'pn')
  with pytest.raises(ValueError, match="no key 'sed', did you mean seed"):
    sweep.asked(config, texts=['grid sed=1'])
  assert sweep.asked(config, texts=['grid seed=1'])[1] == [{'seed': 1}]


def test_the_runs_of_a_shipped_sweep_read_what_their_settings_name():
  jobs, _ = planned('sqrt_kl')
  for job in jobs.values():
    config = job.config
    root, seed = 'runs/reproduce-smoke', config['seed']
    assert config['base'] == f'{root}/lm/{config["size"]}'
    pm = f'{root}/pm/scaling-{config["pm_size"]}-mix-a-s{seed}'
    assert config['train_pm_dir'] == pm
    assert config['test_pm_dir'].endswith(f'-mix-b-s{seed}')
  jobs, _ = planned('best_of_n')
  policies = sorted(job.config['policy_dir'] for job in jobs.values())
  assert policies == [f'runs/reproduce-smoke/lm/{x}' for x in ('13K', '3K')]


STARTS_FROM = dict.fromkeys(PAPER.SWEEPS, 'micro')
STARTS_FROM |= {'sqrt_kl': 'headline', 'lambda_kl': 'headline'}
STARTS_FROM |= {'ood_layers': 'full', 'ood_layers.smoke': 'full_smoke'}
STARTS_FROM |= {'ood_layers.full_smoke': 'full_smoke', 'mixture.null': 'null'}


@pytest.mark.parametrize('name', STARTS_FROM)
def test_what_a_shipped_sweep_reads_is_made_by_the_study_it_starts_from(name):
  """All its runs that are named, whatever the key; none of another study."""
  preset = STARTS_FROM[name]
  root = 'runs/reproduce' + (preset != 'micro') * f'-{preset}'
  made = {job.name for job in _jobs(preset)}
  config = PAPER.get_config(name)
  stage, points = sweep.asked(config)
  jobs, _ = sweep.jobs_of(stage, config, points, '/study')
  read = {
    value
    for job in jobs.values()
    for value in sweep.knobs.leaves(job.config).values()
    if isinstance(value, str) and value.startswith('runs/')
  }
  assert read and all(value.startswith(f'{root}/') for value in read)
  names = {value.removeprefix(f'{root}/') for value in read}
  assert {name for name in names if name != 'features'} <= made


def test_a_shipped_sweep_s_settings_are_those_of_its_stage():
  """None of the keys of its stage is missing or left to be set."""
  for name in PAPER.SWEEPS:
    jobs, _ = planned(name)
    job = next(iter(jobs.values()))
    assert None not in sweep.knobs.leaves(job.config).values(), name
    assert json.loads(json.dumps(job.config))


def test_an_unknown_sweep_is_a_clear_error():
  with pytest.raises(ValueError, match="unknown sweep 'x': one of best_of_n"):
    PAPER.get_config('x.smoke')
  assert PAPER.get_config().stage == PAPER.get_config('lambda_kl').stage
  assert '--config=' in PAPER.__doc__ and 'What:' in PAPER.__doc__
  assert all(f'    {name} ' in PAPER.__doc__ for name in PAPER.SWEEPS)
