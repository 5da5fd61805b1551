import pytest

from experiments import sweep
from experiments.studies import launch
from tests.test_configs import _load


def _config():
  return _load('ppo').get_config('smoke')


def test_a_grid_is_a_key_and_its_values():
  parse = lambda text: sweep.parse_grid(text, ['seed', 'size', 'world.seed'])
  assert parse('seed=0,1') == ('seed', [0, 1])
  assert parse('world.seed=3') == ('world.seed', [3])
  assert parse('size=3K,2.7M') == ('size', ['3K', '2.7M'])


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('sed=0', 'did you mean seed?'),
    ('kl=0', 'see the config'),
    ('seed', 'wanted KEY=VALUE'),
    ('seed=', 'wanted KEY=VALUE'),
    ('seed=0,', 'wanted KEY=VALUE'),
  ],
)
def test_a_bad_grid_is_an_error(text, message):
  with pytest.raises(ValueError, match=message.replace('?', '.')):
    sweep.parse_grid(text, ['seed', 'size'])


def test_grids_are_multiplied_and_the_last_key_runs_fastest():
  grids = [('seed', [0, 1]), ('clip', [0.1, 0.2])]
  assert sweep.combinations(grids) == [
    {'seed': 0, 'clip': 0.1},
    {'seed': 0, 'clip': 0.2},
    {'seed': 1, 'clip': 0.1},
    {'seed': 1, 'clip': 0.2},
  ]
  assert sweep.combinations([]) == [{}]
  with pytest.raises(ValueError, match='twice'):
    sweep.combinations([*grids, ('seed', [2])])


def test_keys_of_nested_settings_are_dotted():
  assert sweep.flat_keys({'a': 1, 'b': {'c': {'d': 2}, 'e': 3}}) == [
    'a',
    'b.c.d',
    'b.e',
  ]


def test_a_job_changes_its_own_settings_only():
  config = _config()
  before = config.to_dict()
  settings = {'size': '3K', 'world.seed': 3, 'lr_multiple': 1}
  job = sweep.make_job('ppo', config, settings)
  assert config.to_dict() == before
  assert job.name == 'size=3K,world.seed=3,lr_multiple=1'
  assert job.module == 'experiments.train_ppo'
  assert job.config['world'] == before['world'] | {'seed': 3}
  assert job.config['size'] == '3K'
  assert job.config['base'] == 'runs/reproduce-smoke/lm/3K'
  assert job.config['seed'] == before['seed']


def test_a_value_of_another_type_is_an_error():
  with pytest.raises(ValueError, match='--grid seed=x'):
    sweep.make_job('ppo', _config(), {'seed': 'x'})


def test_a_run_has_one_directory_whatever_its_values():
  job = sweep.make_job('ppo', _config(), {'base': 'a/b'})
  assert '/' not in job.name
  assert sweep.make_job('ppo', _config(), {}).name == 'base'


def test_the_table_tells_done_from_to_do(tmp_path):
  combos = [{'seed': 0}, {'seed': 1}]
  jobs = [sweep.make_job('ppo', _config(), combo) for combo in combos]
  path = tmp_path / jobs[1].name
  path.mkdir()
  (path / 'done.json').write_text('{"seconds": 2.5, "train_pm": 0.125}')
  lines = sweep.table(jobs, combos, tmp_path).splitlines()
  assert lines[0].split() == ['seed', 'state', 'seconds', 'train_pm']
  assert lines[1].split()[:3] == ['0', 'to', 'do']
  assert lines[2].split() == ['1', 'done', '2.5', '0.125']


def test_a_run_that_cannot_start_stops_no_other(tmp_path, monkeypatch):
  """One has a rate that is no number, one fails, one is done."""
  rates = ('nan', 0.3, 0.5)
  combos = [{'lr_multiple': float(rate)} for rate in rates]
  jobs = [
    sweep.make_job('ppo', _config(), combo | {'hashed_rewards': True})
    for combo in combos
  ]
  monkeypatch.setattr(sweep.knobs, 'require_inputs', lambda *_: None)
  ran = []

  def run(good, root, options):
    ran.extend(job.name for job in good)
    (root / good[1].name).mkdir()
    (root / good[1].name / 'done.json').write_text('{"train_pm": 0.125}')
    name = good[0].name
    raise launch.FailedError('x', {name: f'{name}: no memory'})

  monkeypatch.setattr(sweep.launch, 'run', run)
  failed = sweep.run_all(jobs, tmp_path, launch.Options())
  assert ran == [job.name for job in jobs[1:]]
  assert failed == {
    jobs[0].name: 'lr_multiple=nan: wanted a finite number, from 0',
    jobs[1].name: 'no memory',
  }
  found = sweep.frame_of(jobs, combos, tmp_path, failed)
  assert list(found.state) == ['failed', 'failed', 'done']
  lines = sweep.table(jobs, combos, tmp_path, failed).splitlines()
  assert lines[2].split() == ['0.3', 'failed', 'no', 'memory']
  assert lines[3].split() == ['0.5', 'done', '0.125']


def test_runs_without_their_inputs_are_told_the_command(tmp_path):
  config = _config()
  config.base = str(tmp_path / 'lm')
  config.hashed_rewards, config.value_pm_dir = True, ''
  failed = sweep.run_all(
    [sweep.make_job('ppo', config, {})], tmp_path, launch.Options(), 'smoke'
  )
  assert failed == {
    'base': f'base={tmp_path}/lm is not there: python -m experiments.train_lm '
    f'--config=configs/lm.py:smoke --config.size=13K --workdir={tmp_path}/lm '
    'makes it, make '
    'reproduce PRESET=smoke makes all; or name a Hugging Face folder or a GGUF '
    'file'
  }
