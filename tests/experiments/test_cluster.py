"""The jobs of the Pythia sweep, what they need, and docs/clusters.md."""

import json

import pytest

from experiments import cluster
from experiments.capacity import gpu as estimates
from experiments.studies import hh_pythia, launch, slurm
from rlhf_jax.models import cost, footprint
from tests.test_configs import _load, _reads, check_knobs, read_by

PRESETS = ('confirm', 'develop', 'dry')
FOLDERS = {'models': '/models', 'path': '/hh'}


def settings(preset='confirm'):
  config = _load('sweeps/hh_pythia').get_config(preset).to_dict()
  config = json.loads(json.dumps(config))
  config['models'] = FOLDERS['models']
  config['data']['path'] = FOLDERS['path']
  return config


CONFIG = settings()


def test_the_config_is_a_lab_note_with_three_presets():
  module = _load('sweeps/hh_pythia')
  assert tuple(module.PRESETS) == PRESETS
  assert '--config=' in module.__doc__ and 'What:' in module.__doc__
  assert module.get_config() == module.get_config('confirm')
  for preset in PRESETS:
    assert settings(preset)['preset'] == preset
  with pytest.raises(ValueError, match="unknown preset 'huge': one of confirm"):
    module.get_config('huge')


def test_development_and_confirmation_share_no_seed():
  confirm, develop = (settings(name)['seeds'] for name in PRESETS[:2])
  assert (confirm, develop) == ([120, 121, 122], [0, 1, 2])


@pytest.mark.parametrize('preset', PRESETS)
def test_a_stage_reads_all_that_a_job_tells_it(preset):
  config = settings(preset)
  sections = {'experiments.train_pm': 'pm', 'experiments.train_ppo': 'rl'}
  jobs = hh_pythia.all_jobs(config, '/runs')
  for job in jobs:
    if job.module in sections:
      assert set(job.config) == set(config[sections[job.module]])
      assert None not in job.config.values()
  for job in {job.module: job for job in jobs}.values():
    unread = set(job.config) - read_by(job.module)
    assert not unread, f'{job.module} never reads {sorted(unread)}'


def test_every_knob_of_the_sweep_changes_its_jobs():
  """But for those of the machine, which the estimates and limits read."""
  config = _load('sweeps/hh_pythia').get_config('dry')
  plan = lambda config: hh_pythia.all_jobs(config, '/runs')
  check_knobs(config, plan, ['machine.', 'preset'])
  ours = ('cluster', 'capacity.gpu')
  read = _reads(*(f'experiments.{name}' for name in ours))
  assert {*CONFIG['machine'], 'preset'} <= read


@pytest.mark.parametrize('preset', PRESETS)
def test_every_size_has_its_gpus(preset):
  config = settings(preset)
  sizes = {hh_pythia.key_of(size) for size in config['sizes']}
  assert set(config['gpus']) == sizes


@pytest.mark.parametrize('preset', PRESETS)
def test_a_job_reads_what_jobs_before_it_write(preset):
  config = settings(preset)
  jobs = hh_pythia.all_jobs(config, '/runs')
  seeds, sizes = len(config['seeds']), len(config['sizes'])
  assert len(jobs) == 1 + 3 * seeds * sizes
  before = set()
  for job in jobs:
    needs = {need.name for need in job.needs}
    assert needs <= before
    places = {f'/runs/{name}' for name in needs}
    places |= {f'/models/{size}' for size in config['sizes']}
    read = {v for k, v in job.config.items() if k.endswith('_dir')}
    assert read <= places, job.name
    before.add(job.name)


def test_the_two_preference_models_of_a_policy_are_of_different_halves():
  jobs = hh_pythia.all_jobs(CONFIG, '/runs')
  by_path = {f'/runs/{job.name}': job.config for job in jobs}
  policies = [job.config for job in jobs if job.name.startswith('ppo/')]
  for config in policies:
    train, test = (by_path[config[f'{x}_pm_dir']] for x in ('train', 'test'))
    assert (train['half'], test['half']) == ('a', 'b')
    for key in ('seed', 'size', 'mesh'):
      assert config[key] == train[key] == test[key]


@pytest.mark.parametrize(
  ('rows', 'at_once', 'gpus', 'parts'),
  [(64, 4, 1, 16), (64, 4, 4, 4), (256, 8, 4, 8), (4, 8, 1, 1)],
)
def test_a_gpu_differentiates_as_many_rows_as_it_is_told(
  rows, at_once, gpus, parts
):
  assert hh_pythia.microbatches(rows, at_once, gpus) == parts


def test_rows_that_gpus_cannot_share_are_an_error():
  with pytest.raises(ValueError, match='10 rows cannot be cut into'):
    hh_pythia.microbatches(10, 4, 4)


@pytest.mark.parametrize('size', CONFIG['sizes'])
def test_the_gpus_of_a_size_hold_its_jobs(size):
  machine, gpus = CONFIG['machine'], hh_pythia.gpus_of(CONFIG, size)
  need = estimates.gpu_bytes(CONFIG, size, gpus)
  assert max(need.values()) <= machine['memory'] * machine['usable']
  assert gpus in machine['counts']


def test_a_preference_model_takes_24_bytes_a_parameter_over_the_gpus():
  """And activations, which every GPU has of its own rows."""
  size = 'pythia-1.4b'
  model = estimates.model_of(CONFIG, size)
  n_params = cost.parameter_counts(model)['total']
  one, four = (estimates.gpu_bytes(CONFIG, size, n)['pm'] for n in (1, 4))
  assert one - four == pytest.approx(24 * n_params * 3 / 4)
  saved = footprint.saved_bytes(model, CONFIG['rows_at_once']['pm'], 513)
  assert one > 24 * n_params + saved


def test_hours_of_a_preference_model_are_flops_at_the_assumed_share():
  """Six FLOPs a weight and token, by hand, within a twentieth.

  Attention adds to it; the last block, read at one column, takes from it.
  """
  machine = CONFIG['machine']
  weights = 12 * 32 * 2560**2
  flops = 6 * weights * 2 * 513 * CONFIG['pm']['pairs']
  seconds = flops / (4 * machine['mfu'] * machine['flops'])
  hours = estimates.hours_of(CONFIG, 'pythia-2.8b', 4)['pm']
  assert hours / (seconds / 3600) == pytest.approx(1, abs=0.05)


def test_more_gpus_take_less_time_but_more_gpu_hours_to_decode():
  seconds = [
    estimates.decode_seconds(CONFIG, 'pythia-2.8b', n) for n in (1, 2, 4, 8)
  ]
  assert seconds == sorted(seconds, reverse=True)
  assert 8 * seconds[3] > seconds[0]


def test_evaluations_are_counted_as_the_stage_makes_them():
  from experiments.shared import rl_tables

  rl = CONFIG['rl']
  points = rl_tables.evaluated_iterations(rl)
  made = len([x for x in points if x]) + 2  # of pi_0, and at the end
  assert abs(estimates.evaluations(rl) - made) <= 1


def test_the_page_is_what_the_config_says():
  page = estimates.PAGE.read_text()
  chosen = {size: hh_pythia.gpus_of(CONFIG, size) for size in CONFIG['sizes']}
  assert estimates.generate(page, CONFIG, chosen) == page, (
    'run python -m experiments.cluster --table'
  )


@pytest.fixture
def asked():
  return {'index': None, 'submit': False, 'table': False}


def test_the_list_has_a_line_a_job_with_what_it_needs(tmp_path, capsys, asked):
  (tmp_path / 'data').mkdir()
  (tmp_path / 'data' / 'done.json').write_text('{}')
  cluster.run(CONFIG, tmp_path, asked, launch.Options('list'))
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 55 + 1
  assert lines[0].split()[:5] == ['0', 'done', 'data', '1', 'GPU']
  last = lines[54].split()
  assert last[:6] == ['54', 'to', 'do', 'ppo/pythia-2.8b-s122', '4', 'GPUs']
  assert last[6:13] == '65.2 GB each 1.68 h needs 0,35-36'.split()
  assert lines[54].endswith(
    f'python -m experiments.job --study={tmp_path} --index=54'
  )
  assert lines[55] == '1 of 55 jobs are done'


@pytest.fixture
def places(tmp_path):
  """CONFIG with a folder for each model."""
  config = CONFIG | {'models': f'{tmp_path}/models'}
  for size in CONFIG['sizes']:
    (tmp_path / 'models' / size).mkdir(parents=True)
    (tmp_path / 'models' / size / 'config.json').write_text('{}')
  return config


def test_all_jobs_are_handed_over_each_after_what_it_needs(
  places, tmp_path, monkeypatch, asked
):
  """The PMs of a size are an array; a policy waits for the two of its seed."""
  sent = []

  def submit(function, files, folder, parameters):
    sent.append((files, parameters))
    count, number = len(files), len(sent)
    own = [f'{number}_{i}' for i in range(count)]
    return own if count > 1 else [str(number)]

  monkeypatch.setattr(slurm.submit, 'submit', submit)
  monkeypatch.setattr(slurm, 'queue', dict)
  asked['submit'], limits = True, (2.0, 1.0, 24.0)
  options = launch.Options(limits=limits)
  cluster.run(places, tmp_path / 'runs', asked, options)
  assert [len(files) for files, _ in sent] == [1, *[6] * 6, *[1] * 18]
  afters = [x['additional_parameters'].get('dependency') for _, x in sent]
  assert afters[0] is None and afters[1] == 'afterok:1'
  assert sent[1][1]['time'] == 60
  last = sent[-1][1]
  assert afters[-1] == 'afterok:1:7_4:7_5'
  assert (last['gpus_per_node'], last['mem']) == (4, '131072M')
  assert last['time'] == 202


def test_limits_of_time_are_the_config_s(asked):
  found = cluster.options_of(CONFIG, lambda **changes: changes)
  assert found == {'limits': (2.0, 1, 24)}


@pytest.mark.parametrize(
  ('folders', 'index', 'message'),
  [
    (FOLDERS, 55, '--index=55: wanted 0 to 54'),
    (FOLDERS, 0, '/models/pythia-70m is no Hugging Face folder'),
    (FOLDERS | {'models': ''}, 0, '--config.models is required'),
    (FOLDERS | {'path': ''}, 0, '--config.data.path is required'),
  ],
)
def test_an_index_that_cannot_run_says_why(
  tmp_path, asked, folders, index, message
):
  config = settings()
  config['models'], config['data']['path'] = folders.values()
  asked['index'] = index
  with pytest.raises(ValueError, match=message):
    cluster.run(config, tmp_path, asked, launch.Options('list'))


def test_a_job_before_its_turn_says_what_to_run(places, tmp_path, asked):
  asked['index'] = 1
  message = 'pm/pythia-70m-a-s120 needs data, .* run --index=0 first'
  with pytest.raises(ValueError, match=message):
    cluster.run(places, tmp_path / 'runs', asked, launch.Options('list'))


def test_a_size_without_gpus_is_an_error():
  with pytest.raises(ValueError, match='gpus has no entry pythia_9b'):
    hh_pythia.gpus_of(CONFIG, 'pythia-9b')
