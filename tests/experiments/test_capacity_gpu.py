"""Memory, hours and disk of a sweep, and the rooflines of a plan: by hand."""

import copy
import dataclasses

import pytest
from capacity_fixture import row_of

from experiments.capacity import estimates, gpu
from experiments.capacity.estimates import Chip, Measured
from experiments.capacity.verdict import fit, fitted, phases_of, same_work
from rlhf_jax.models import cost, footprint
from rlhf_jax.models.config import TransformerConfig

SIZE = 'pythia-70m'
SWEEP = {
  'dtype': 'bfloat16',
  'max_prompt': 96,
  'max_reply': 32,
  'rows_at_once': {'pm': 4, 'rl': 2},
  'pm': {'batch_size': 8, 'pairs': 1000, 'epochs': 2},
  'rl': {
    'batch_size': 12,
    'passes': 3,
    'iterations': 10,
    'dense_iterations': 4,
    'dense_every': 2,
    'sparse_every': 3,
    'eval_prompts': 24,
    'pi0_samples': 2,
  },
  'machine': {
    'memory': 1e9,
    'usable': 0.5,
    'flops': 1e14,
    'mfu': 0.5,
    'bandwidth': 1e12,
    'link': 1e11,
    'share': 0.25,
    'counts': (1, 2),
  },
  'sizes': (SIZE,),
  'seeds': (0, 1, 2),
}


RATE = 0.5 * 1e14  # FLOP/s of a GPU


def sweep(**changes):
  """SWEEP with other entries of its sections: rl={'passes': 1}."""
  found = copy.deepcopy(SWEEP)
  for section, own in changes.items():
    found[section] |= own
  return found


@pytest.fixture(scope='module')
def model():
  return gpu.model_of(SWEEP, SIZE)


def test_every_sequence_is_reckoned_at_its_longest():
  """A pair's rows have the end-of-context token on top."""
  assert gpu.work_of(SWEEP) == {
    **{'pm_pairs': 8, 'pm_length': 129, 'prompts': 12},
    **{'prompt_length': 96, 'reply_length': 32},
  }


@pytest.mark.parametrize(
  ('iterations', 'dense', 'wanted'),
  [
    (10, 4, 2 + 2 + 3),  # 2, 4; 7, 10; pi_0, the first and the last
    (4, 4, 2 + 0 + 3),
    (3, 4, 1 + 0 + 3),  # it ends before the dense part does
    (5, 4, 2 + 1 + 3),
  ],
)
def test_evaluations_of_a_run(iterations, dense, wanted):
  rl = SWEEP['rl'] | {'iterations': iterations, 'dense_iterations': dense}
  assert gpu.evaluations(rl) == wanted


def test_ppo_holds_a_test_pm_and_fills_its_cache_on_every_gpu(model):
  """Two GPUs: six replies each; half of a block, since nothing is learned."""
  found = gpu.gpu_bytes(SWEEP, SIZE, 2)
  work, held = gpu.work_of(SWEEP), footprint.frozen_bytes(model) / 2
  filling = footprint.block_bytes(model, 6, 96) / 2
  rows = lambda train: {'train_rows': train, 'decode_rows': 6}
  alone = lambda train: estimates.gpu_bytes(model, work, rows(train), 2)
  assert found['pm'] == pytest.approx(alone(4)['pm'] + held)
  wanted = alone(2)['ppo'] + held + filling
  assert found['ppo'] == pytest.approx(wanted)


def test_replies_that_gpus_cannot_share_are_rounded_up():
  """Twelve over five GPUs are three each, as fifteen are."""
  more = sweep(rl={'batch_size': 15})
  key = lambda config: gpu.gpu_bytes(config, SIZE, 5)['ppo']
  assert key(SWEEP) == key(more) < key(sweep(rl={'batch_size': 16}))


def test_a_token_waits_for_the_slower_of_arithmetic_and_memory(model):
  """On one GPU nothing is gathered: bytes over their share of the bandwidth."""
  n_params = cost.parameter_counts(model)['total']
  cache = footprint.cache_bytes(model, 12, 128)
  bound_by_bytes = 32 * (4 * n_params + cache) / (0.25 * 1e12)
  assert gpu.decode_seconds(SWEEP, SIZE, 1) == pytest.approx(bound_by_bytes)
  slow = sweep(machine={'flops': 1e9})
  flops = estimates.analytic_flops(model, gpu.work_of(SWEEP))['decode'][0]
  assert gpu.decode_seconds(slow, SIZE, 1) == pytest.approx(flops / 5e8)


def test_cut_weights_are_gathered_at_every_token(model):
  """In bfloat16: three quarters of them come over the link of four GPUs."""
  n_params = cost.parameter_counts(model)['total']
  free, dear = (
    gpu.decode_seconds(sweep(machine={'link': link}), SIZE, 4)
    for link in (1e30, 1e11)
  )
  gathered = 32 * 2 * n_params * 3 / 4 / (0.25 * 1e11)
  assert dear - free == pytest.approx(gathered)


def test_hours_of_a_policy_are_those_of_its_parts(model):
  """A further iteration samples once and learns in three passes.

  There are as many evaluations at nine iterations as at ten.
  """
  hours = lambda **rl: 3600 * gpu.hours_of(sweep(rl=rl), SIZE, 1)['ppo']
  assert gpu.evaluations(SWEEP['rl'] | {'iterations': 9}) == 7
  step = hours(iterations=10) - hours(iterations=9)
  flops = estimates.analytic_flops(model, gpu.work_of(SWEEP))
  sample = gpu.decode_seconds(SWEEP, SIZE, 1) + flops['prefill'][0] / RATE
  assert step == pytest.approx(sample + 3 * flops['learn'][0] / RATE)
  # A further sample of pi_0 for each of 24 prompts: two batches, and four
  # models that read them.
  more = hours(pi0_samples=3) - hours()
  read = 4 * 12 * cost.forward_flops(model, 128, logits=False) / RATE
  assert more == pytest.approx(2 * (sample + read))


def test_hours_of_a_preference_model_grow_with_pairs_and_epochs():
  hours = lambda **pm: gpu.hours_of(sweep(pm=pm), SIZE, 1)['pm']
  assert hours(epochs=4) == pytest.approx(2 * hours())
  assert hours(pairs=500) == pytest.approx(hours() / 2)
  two = gpu.hours_of(SWEEP, SIZE, 2)['pm']
  assert two == pytest.approx(hours() / 2)


def test_disk_and_gpu_hours_are_of_three_runs_a_seed(model):
  """Two preference models and a policy: 20 bytes each and 28 a parameter."""
  n_params = cost.parameter_counts(model)['total']
  assert gpu.disk_bytes(SWEEP, SIZE) == n_params * (2 * 20 + 28)
  spent = gpu.hours_of(SWEEP, SIZE, 2)
  total = 3 * 2 * (2 * spent['pm'] + spent['ppo'])
  said = gpu.totals(SWEEP, {SIZE: 2})
  assert said.startswith('10 jobs on the numbers of GPUs in bold: ')
  assert f' {total:.0f} GPU hours; ' in said
  assert said.endswith(f' {3 * n_params * 68 / 1e12:.1f} TB of disk.')


def test_the_table_marks_what_is_chosen_and_what_does_not_fit():
  config = sweep(machine={'memory': 2.4e9, 'usable': 1.0})
  need = {n: gpu.gpu_bytes(config, SIZE, n) for n in (1, 2)}
  lines = gpu.table(config, {SIZE: 2}).splitlines()[2:]
  cells = [[x.strip() for x in line.strip('|').split('|')] for line in lines]
  assert [row[0] for row in cells] == [SIZE, ''] and cells[0][1] > cells[1][1]
  assert [row[2] for row in cells] == ['1', '**2**']
  for n, row in zip((1, 2), cells, strict=True):
    for cell, key in zip(row[3:5], ('pm', 'ppo'), strict=True):
      assert cell.endswith(', no') == (need[n][key] > 2.4e9)
      assert cell.startswith(f'{need[n][key] / 1e9:.1f} GB')
  both = [cell.endswith(', no') for row in cells for cell in row[3:5]]
  assert any(both) and not all(both)


CHIP = Chip(hbm_bytes=100.0, bandwidth=10.0, flops=20.0)


@pytest.mark.parametrize(
  ('flops', 'traffic', 'seconds', 'binds'),
  [(40, 10, 2.0, 'FLOPs'), (40, 30, 3.0, 'bytes'), (40, 20, 2.0, 'FLOPs')],
)
def test_a_roofline_is_the_slower_of_two(flops, traffic, seconds, binds):
  found = estimates.seconds(Measured(flops, traffic, 0), CHIP)
  assert found == (seconds, binds)


@pytest.mark.parametrize(
  ('needed', 'line', 'said'),
  [
    (100, 100, 'fits'),
    (100, 101, 'open'),
    (101, 101, 'does not fit'),
    (50, 99, 'fits'),
  ],
)
def test_a_program_that_fills_the_chip_fits(needed, line, said):
  assert fit(needed, line, 100) == said


def test_phases_are_what_a_program_does_beyond_a_part_of_it():
  """A program of 32 tokens has the work of one; memory is no work."""
  measured = {
    'pm_step': Measured(5, 6, 7),
    'prefill': Measured(10, 20, 1),
    'collect': Measured(13, 24, 2),
    'iteration': Measured(113, 224, 3),
  }
  found = phases_of(measured, {'reply_length': 32})
  work = {name: phase[:2] for name, phase in found.items()}
  assert work == {
    **{'pm_step': (5, 6), 'prefill': (10, 20)},
    **{'decode': (3 * 32, 4 * 32), 'learn': (100, 200)},
  }


def test_a_bound_on_mfu_counts_useful_work_over_the_time_of_all_phases():
  """Two chips: 2 s of arithmetic, 4 s of bytes; 60 useful FLOPs of 6 s."""
  phases = {'a': Measured(40, 0, 0), 'b': Measured(20, 40, 0)}
  analytic = {'a': (50, 80), 'b': (10, 20)}
  found = fitted(phases, analytic, (90, 110), CHIP, 2, 0.19)
  assert found['seconds'] == 6 and found['mfu_bound'] == 60 / (6 * 2 * 20)
  assert found['flops'] == 120 and found['flops_ratio'] == 1.2
  assert not found['flops_agree'] and found['fit'] == 'open'
  assert found['phases'] == {
    'a': {'seconds': 2, 'binds': 'FLOPs', 'flops_ratio': 1.0},
    'b': {'seconds': 4, 'binds': 'bytes', 'flops_ratio': 2.0},
  }
  assert fitted(phases, analytic, (9, 9), CHIP, 2, 0.21)['flops_agree']


def test_a_block_adds_its_state_and_what_is_saved_of_it():
  """Four chips, two of them shards of the model: rows are cut in two alone."""
  config = TransformerConfig(
    vocab_size=64, n_layers=5, d_model=16, n_heads=2, dtype='bfloat16'
  )
  job = {'pm_pairs': 3, 'pm_length': 10, 'prompts': 6}
  job |= {'prompt_length': 4, 'reply_length': 3}
  found = estimates.block_memory(config, job, {'fsdp': 2, 'model': 2})
  one, two = (
    cost.parameter_counts(dataclasses.replace(config, n_layers=n))['total']
    for n in (1, 2)
  )
  p, saved = (two - one) / 4, lambda rows, T: rows * T * 16 * 2
  cache = 2 * 3 * 7 * 16 * 2  # keys and values of three rows of seven slots
  assert found == {
    'pm_step': 16 * p + saved(2 * 3 / 2, 10),
    'collect': 32 * p + cache / 2,
    'iteration': 40 * p + 2 * saved(3, 7),
  }


def test_a_mesh_takes_any_divisor_where_no_ring_divides_the_heads():
  """Rings of 3 and 9 leave 6 rows uncut or 4 heads: the divisors of 9 too."""
  job = {'pm_pairs': 6, 'prompts': 99}
  with pytest.raises(ValueError, match='6 rows and 4 heads .* over 9 chips'):
    estimates.mesh_axes((3, 3), job, 4)
  axes = estimates.mesh_axes((4, 2), job | {'pm_pairs': 4}, 6)
  assert axes == {'data': 1, 'fsdp': 4, 'model': 2}
  # 12 chips as one ring, six rows: two shards are no ring of it.
  axes = estimates.mesh_axes((12,), job, 4)
  assert axes == {'data': 1, 'fsdp': 6, 'model': 2}


def test_a_row_that_is_not_finished_goes_on_under_its_own_compilers_alone():
  whole, other = row_of('13M'), row_of('13M') | {'versions': {'jax': '9'}}
  assert same_work(whole, other)
  assert not same_work(whole, whole | {'job': {}})
  assert not same_work(whole, whole | {'mesh': {}})
  part = copy.deepcopy(whole)
  del part['measured']['2']['collect']
  assert same_work(part, whole) and not same_work(part, other)
