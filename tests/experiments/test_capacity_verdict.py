"""From what a compiler said to what a plan says; made-up compilers."""

import pytest
from capacity_fixture import row_of, settings

from experiments.capacity import estimates, tables
from experiments.capacity.verdict import verdict
from rlhf_jax.models import ladder

CONFIG = settings()


@pytest.mark.parametrize('topology', ['v5p:4x4x4', 'v5p:8x8x8'])
@pytest.mark.parametrize('name', list(ladder.PAPER))
def test_analytic_flops_agree_with_themselves(name, topology):
  """One and two layers, loop bodies counted once, give the whole count."""
  found = verdict(row_of(name, topology), CONFIG)
  for part in (found['pm'], found['ppo']):
    assert part['flops_ratio'] == pytest.approx(1)
    assert part['flops_agree']
    for phase in part['phases'].values():
      assert phase['flops_ratio'] == pytest.approx(1)


@pytest.mark.parametrize(
  'scale, agree', [(0.94, False), (0.96, True), (1.04, True), (1.06, False)]
)
def test_five_percent_is_the_limit(scale, agree):
  found = verdict(row_of('810M', scale=scale), CONFIG)
  assert found['pm']['flops_agree'] is agree
  assert found['ppo']['flops_agree'] is agree
  said = 'agrees with' if agree else 'DIFFERS from'
  assert f'{scale:.3f} of the analytic count: {said} it' in tables.report(
    found, CONFIG
  )


def test_a_rung_fits_if_the_line_of_its_bytes_ends_on_the_chip():
  """A v5p has 95 GB, a v5e 16; what 52B needs is between the two."""
  for topology, block, said in (
    ('v5p:4x4x4', 1e9, 'fits'),
    ('v5p:4x4x4', 2e9, 'open'),
    ('v5e:8x8', 2e9, 'does not fit'),
  ):
    found = verdict(row_of('52B', topology, line=(0, block)), CONFIG)
    assert found['pm']['fit'] == found['ppo']['fit'] == said
    assert found['pm']['bytes_line'] == 64 * block


def test_what_a_step_needs_is_two_layers_and_what_each_block_keeps():
  """Naive twin: 52B on 64 chips, 8 rows of 1,024 tokens each."""
  found = verdict(row_of('52B', line=(0, 2e9)), CONFIG)['pm']
  parameters = 12 * 8192**2 + 2 * 8192
  block = 16 * parameters / 64 + 8 * 1024 * 8192 * 2
  assert found['bytes_needed'] == pytest.approx(4e9 + 62 * block, rel=1e-3)


def test_an_iteration_is_at_its_peak_while_it_samples_or_while_it_learns():
  """Naive twin of 52B on 64 chips, 8 replies each."""
  row = row_of('52B', line=(0, 0))
  N = 12 * 8192**2  # of a block; two of them and the embedding below
  rest = 28 * (2 * N + 65536 * 8192) / 64
  keys_and_values = 2 * 8 * (512 + 128) * 8192 * 2
  sampling = rest + 62 * (32 * N / 64 + keys_and_values)
  learning = 62 * (40 * N / 64 + 2 * 8 * (512 + 128) * 8192 * 2)
  for sample, learn, peak in (
    (90e9, 0, 90e9 + sampling),
    (0, 90e9, 90e9 + learning),
  ):
    row['measured']['2']['collect']['memory'] = sample
    row['measured']['2']['iteration']['memory'] = learn
    needed = verdict(row, CONFIG)['ppo']['bytes_needed']
    assert needed == pytest.approx(peak, rel=1e-3)


def test_the_line_is_never_below_what_is_needed():
  """One layer may take more than two: then the line goes down."""
  row = row_of('13B')
  row['measured']['1']['pm_step']['memory'] = 3e9
  found = verdict(row, CONFIG)['pm']
  assert found['bytes_line'] == found['bytes_needed'] > 2e9


def test_mfu_leaves_out_what_rematerialisation_repeats():
  """Bound by arithmetic alone, it is useful over done FLOPs."""
  found = verdict(row_of('13B'), CONFIG)
  model = tables.model_config('13B', CONFIG['job'])
  useful, done = estimates.analytic_flops(model, CONFIG['job'])['pm_step']
  chip = estimates.CHIPS['v5p']
  assert found['pm']['mfu_bound'] == pytest.approx(useful / done)
  assert found['pm']['seconds'] == pytest.approx(done / 64 / chip.flops)
  assert found['pm']['phases']['pm_step']['binds'] == 'FLOPs'


def test_decoding_is_counted_once_a_token_of_the_reply():
  row = row_of('197M')
  for programs in row['measured'].values():
    for key in ('collect', 'iteration'):
      programs[key]['traffic'] += 2.765e9  # a millisecond of v5p's bandwidth
  found = verdict(row, CONFIG)
  decode = found['ppo']['phases']['decode']
  assert decode['binds'] == 'bytes'
  assert decode['seconds'] == pytest.approx(0.128, rel=0.01)
  assert found['ppo']['phases']['learn']['binds'] == 'FLOPs'


def test_a_deeper_program_is_held_against_the_extrapolation():
  row = row_of('13M', depths=(1, 2, 4))
  row['measured']['4']['iteration']['memory'] = 4.5e9
  found = verdict(row, CONFIG)
  pm, ppo = found['checks']
  assert (pm['program'], pm['layers'], pm['memory']) == ('pm', 4, 5e9)
  assert pm['line'] == 5e9 and pm['flops'] == pytest.approx(1)
  assert pm['needed'] == pytest.approx(found['pm']['bytes_needed'])
  assert ppo['memory'] == 4.5e9
  assert 'PPO of 13M on v5p:4x4x4, compiled at 4 layers: 4.50 GB per chip' in (
    tables.report(found, CONFIG)
  )


def test_the_line_goes_through_the_deepest_program_there_is():
  """From one to two layers 2 GB a block, of which half is a workspace."""
  row = row_of('52B', depths=(1, 2, 4), line=(0, 2e9))
  assert verdict(row, CONFIG)['pm']['fit'] == 'open'
  row['measured']['4']['pm_step']['memory'] = 6e9
  found = verdict(row, CONFIG)
  assert found['pm']['bytes_line'] == 4e9 + 62 * 1e9
  assert found['pm']['fit'] == 'fits' and found['ppo']['fit'] == 'open'
  assert found['checks'][0]['line'] == 8e9  # what one and two layers foretold


def test_no_room_is_a_verdict_and_a_missing_program_an_error():
  row = row_of('52B', 'v5e:2x2')
  row['measured']['1']['pm_step'] = {'no_room': 'RESOURCE_EXHAUSTED: 9 > 8'}
  found = verdict(row, CONFIG)
  assert found['too_large'] == 'pm_step of 1 layers: RESOURCE_EXHAUSTED: 9 > 8'
  assert 'does not fit' in tables.report(found, CONFIG)
  row = row_of('52B')
  del row['measured']['2']['collect']
  with pytest.raises(ValueError, match='52B on v5p:4x4x4 lacks collect of 2'):
    verdict(row, CONFIG)


def test_a_row_of_another_job_is_not_believed():
  config = settings()
  config['job']['pm_length'] = 512
  with pytest.raises(ValueError, match='compiled for another job or mesh'):
    verdict(row_of('13M'), config)


def test_a_report_has_bytes_fit_flops_time_mfu_hours_and_gpus():
  text = tables.report(verdict(row_of('52B', 'v5p:8x8x8'), CONFIG), CONFIG)
  for part in (
    'fsdp 64, model 8',
    '-65.0 GB per chip of 95.0 GB: fits',
    '1.000 of the analytic count: agrees with it',
    's at the roofline, MFU at most',
    'study: 140,000 pairs',
    '1 x 80 GB GPU (estimate): PM',
    '8 x 80 GB GPU (estimate): PM',
  ):
    assert part in text
