"""From what a compiler said to what a plan says; made-up compilers."""

import pytest
from plan_fixture import row_of, settings

from experiments import plan_estimates as estimates
from experiments import plan_table
from experiments.plan_verdict import verdict
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
  assert f'{scale:.3f} of the analytic count: {said} it' in plan_table.report(
    found, CONFIG
  )


def test_a_rung_fits_if_its_extrapolated_bytes_do():
  """L layers take L + 1 GB here; a v5p has 95 GB, a v5e 16 GB."""
  for topology, name, gigabytes, fits in (
    ('v5p:4x4x4', '52B', 65, True),
    ('v5e:8x8', '52B', 65, False),
    ('v5e:8x8', '42M', 7, True),
  ):
    found = verdict(row_of(name, topology), CONFIG)
    assert found['pm']['bytes_per_chip'] == gigabytes * 1e9
    assert found['pm']['fits'] is fits and found['ppo']['fits'] is fits


def test_mfu_leaves_out_what_rematerialisation_repeats():
  """Bound by arithmetic alone, it is useful over done FLOPs."""
  found = verdict(row_of('13B'), CONFIG)
  model = plan_table.model_config('13B', CONFIG['job'])
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


def test_a_rung_compiled_whole_is_held_against_its_extrapolation():
  row = row_of('13M', depths=(1, 2, 4))
  row['measured']['4']['iteration']['memory'] *= 1.1
  found = verdict(row, CONFIG)
  assert found['checks']['pm'] == pytest.approx({'memory': 1, 'flops': 1})
  assert found['checks']['ppo'] == pytest.approx({'memory': 1.1, 'flops': 1})
  assert 'PPO of 13M on v5p:4x4x4, compiled at its whole depth: 1.100' in (
    plan_table.report(found, CONFIG)
  )


def test_no_room_is_a_verdict_and_a_missing_program_an_error():
  row = row_of('52B', 'v5e:2x2')
  row['measured']['1']['pm_step'] = {'no_room': 'RESOURCE_EXHAUSTED: 9 > 8'}
  found = verdict(row, CONFIG)
  assert found['too_large'] == 'pm_step of 1 layers: RESOURCE_EXHAUSTED: 9 > 8'
  assert 'does not fit' in plan_table.report(found, CONFIG)
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
  text = plan_table.report(verdict(row_of('52B', 'v5p:8x8x8'), CONFIG), CONFIG)
  for part in (
    'fsdp 64, model 8',
    'PM step: 65.0 GB per chip of 95.0 GB: fits',
    'PPO iteration: 65.0 GB per chip of 95.0 GB: fits',
    '1.000 of the analytic count: agrees with it',
    's at the roofline, MFU at most',
    'study: 140,000 pairs',
    '1 x 80 GB GPU (estimate): PM',
    '8 x 80 GB GPU (estimate): PM',
  ):
    assert part in text
