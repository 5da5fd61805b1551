"""Stages as two real processes of one job, by their command lines."""

import json
import signal
import time

import hosts_fixture as hosts
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import train_lm, train_pm, train_ppo
from experiments.shared import models
from rlhf_jax.rollout.sampling import row_uniforms
from rlhf_jax.train import partners
from tests.test_configs import _config

pytestmark = pytest.mark.slow  # two processes a stage, each compiles

MODULES = {'lm': train_lm, 'pm': train_pm, 'ppo': train_ppo}
# Flags of the stages, the step at whose rate a process dies, and the rows of
# a batch. Every stage has saved a checkpoint by then.
CHANGES = {
  'lm': {'steps': 4},
  'pm': {'final_eval_pairs': 16, 'checkpoint_every': 2, 'log_every': 1},
  'ppo': {},
  'dpo': {},
}
LAST = {'lm': 3, 'pm': 3, 'ppo': 1}
BOUND = 1e-5


def config_of(kind, study):
  return getattr(tiny, kind)(study, **CHANGES[kind])


def words_of(kind, study, workdir):
  """The command line of a stage, as that of its config."""
  preset = 'full_smoke' if kind == 'dpo' else 'smoke'
  flags = hosts.flags_of(config_of(kind, study), _config(kind, preset))
  file = f'--config=configs/{kind}.py:{preset}'
  return [file, *flags, f'--workdir={workdir}']


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  root = tmp_path_factory.mktemp('hosts')
  tiny.prepare(root)
  return root


@pytest.fixture(scope='module', params=[*MODULES, 'dpo'])
def ran(request, study):
  """(stage, what one process noted, what two noted) of whole runs."""
  kind, notes = request.param, study / 'notes'
  found = []
  for count in (1, 2):
    words = words_of(kind, study, study / f'{kind}-by-{count}')
    place = notes / f'{kind}-{count}'
    found.append(hosts.run(place, f'train_{kind}', words, count))
  return kind, *found


def rows_of(path):
  lines = (path / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def assert_close(ours, wanted):
  """Rows of the same names, equal to 1e-5 (what is rounded to 5 digits: 2)."""
  assert len(ours) == len(wanted) > 0
  for a, b in zip(ours, wanted, strict=True):
    assert a.keys() == b.keys()
    for name, value in b.items():
      if isinstance(value, int | float):
        np.testing.assert_allclose(
          a[name], value, rtol=BOUND, atol=BOUND, err_msg=name
        )
      else:
        assert a[name] == value, name


def assert_same_tables(path, wanted):
  """Metrics and every table of two finished runs."""
  assert (path / 'done.json').exists() and (wanted / 'done.json').exists()
  assert_close(rows_of(path), rows_of(wanted))
  names = sorted(x.name for x in wanted.glob('*.csv*'))
  assert names == sorted(x.name for x in path.glob('*.csv*')) and names
  for name in names:
    tables = (pd.read_csv(x / name) for x in (path, wanted))
    pd.testing.assert_frame_equal(*tables, rtol=BOUND, atol=2 * BOUND)


def assert_same_params(path, wanted):
  params = [models.open_run(x).params for x in (path, wanted)]
  near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
  jax.tree.map(near, *params)


def differences(one, two):
  """[(measurement, row, position)] of the first token of a row that differs."""
  for m, (a, b) in enumerate(zip(one['tokens'], two['tokens'], strict=True)):
    rows, places = np.nonzero(a != b)
    for row in np.unique(rows):
      yield m, int(row), int(places[rows == row].min())


def drawn_at(base, noted, place, seed):
  """(running sum of the probabilities, the number drawn) of one token.

  Args:
    base: Base of the policy.
    noted: of one process.
    place: (measurement, row, position).
    seed: of the run.
  """
  m, row, t = place
  iteration, offset = noted['when'][m]
  start = noted['prompt_length'][m][row]
  leaves, tree = jax.tree.flatten(base.params)
  ends = np.cumsum([x.size for x in leaves])
  parts = np.split(noted['policy'][m], ends[:-1])
  shaped = [p.reshape(x.shape) for p, x in zip(parts, leaves, strict=True)]
  params = jax.tree.unflatten(tree, map(jnp.asarray, shaped))
  tokens_BT = jnp.asarray(noted['tokens'][m][row : row + 1], jnp.int32)
  logits_BTV = base.functions.logits_fn(params, tokens_BT, jnp.array([t]))
  p_V = np.asarray(jax.nn.softmax(logits_BTV[0, t - 1]), np.float64)
  key = jax.random.fold_in(jax.random.key(10_000 + seed), int(iteration))
  name = jnp.array([row + offset])
  uniform_BR = row_uniforms(key, name, tiny.CUT['max_reply'])
  return np.cumsum(p_V) / p_V.sum(), float(uniform_BR[0, t - start])


def margin_of(base, noted, other, place, seed):
  """Distance of a drawn number from the border between two tokens.

  Args:
    base: Base of the policy.
    noted: of one process.
    other: of the one that drew another token.
    place: of `differences`.
    seed: of the run.
  """
  m, row, t = place
  cdf_V, drawn = drawn_at(base, noted, place, seed)
  both = noted['tokens'][m][row, t], other['tokens'][m][row, t]
  low, high = sorted(map(int, both))
  return float(np.abs(cdf_V[low:high] - drawn).min())


@pytest.mark.parametrize('ran', ['ppo'], indirect=True)
def test_the_margin_of_a_token_is_that_of_its_draw(ran, study):
  """Each token is the one whose part of the line holds its number."""
  kind, (one,), _ = ran
  base = models.open_base(config_of(kind, study))
  seed, last = config_of(kind, study)['seed'], len(one['tokens']) - 1
  for row in range(3):
    t = int(one['prompt_length'][last][row])
    cdf_V, drawn = drawn_at(base, one, (last, row, t), seed)
    token = int(one['tokens'][last][row, t])
    assert np.searchsorted(cdf_V, drawn, side='right') == token
    other = {'tokens': {last: one['tokens'][last].copy()}}
    other['tokens'][last][row, t] = token + 1
    margin = margin_of(base, one, other, (last, row, t), seed)
    assert margin == pytest.approx(cdf_V[token] - drawn)


def test_two_processes_write_the_tables_of_one(ran, study):
  """To 1e-5; PPO up to the first token that parts them (checklist 68)."""
  kind, (one,), both = ran
  path, wanted = study / f'{kind}-by-2', study / f'{kind}-by-1'
  writes = kind in ('ppo', 'dpo')
  found = list(differences(one, both[0])) if writes else []
  if not found:
    assert_same_tables(path, wanted)
    assert_same_params(path, wanted)
    print(f'{kind}: every token of every reply is the same')
    return
  base = models.open_base(config_of(kind, study))
  seed = config_of(kind, study)['seed']
  margin = margin_of(base, one, both[0], found[0], seed)
  print(
    f'{kind}: the first token that differs is at {found[0]}, margin {margin}'
  )
  assert margin < BOUND
  iteration = one['when'][found[0][0]][0]
  before = [
    [row for row in rows_of(x) if row.get('iteration', 0) < iteration]
    for x in (path, wanted)
  ]
  assert_close(*before)


def test_each_process_loads_its_share_of_every_batch(ran):
  """The rows of one process's batches, half in each, in their order."""
  _, (one,), (first, second) = ran
  assert len(one['loaded']) == len(first['loaded']) > 0
  for whole, a, b in zip(
    one['loaded'], first['loaded'], second['loaded'], strict=True
  ):
    assert len(a) == len(b) == len(whole) // 2
    assert a + b == whole


def test_only_process_0_writes(ran, study):
  """But for the pieces of checkpoints, which are orbax's."""
  kind, _, (first, second) = ran
  assert {'config.json', 'done.json.part'} & {*first['wrote']}
  inside = lambda x: x.split('/')[0] in ('checkpoints', 'params')
  assert [x for x in second['wrote'] if not inside(x)] == []
  names = [x.name for x in (study / f'{kind}-by-2').iterdir()]
  wanted = [x.name for x in (study / f'{kind}-by-1').iterdir()]
  assert sorted(names) == sorted(wanted)


@pytest.mark.parametrize('dies', [0, 1])
def test_the_death_of_one_ends_the_other_in_a_line(dies, study, tmp_path):
  """Process 0 is also the one that JAX's own service lives in."""
  words = words_of('lm', study, tmp_path / 'lm')
  last = {dies: LAST['lm']}
  processes = hosts.start(tmp_path / 'n', 'train_lm', words, 2, last)
  processes[dies].wait(timeout=hosts.SECONDS)
  started = time.time()
  code = processes[1 - dies].wait(timeout=60)
  seconds = time.time() - started
  said = hosts.ended(processes)[1 - dies][2]
  print(f'process {1 - dies} ended after {seconds:.1f} s: {said}')
  assert processes[dies].returncode == -signal.SIGKILL
  assert code == partners.LOST
  [line] = hosts.error_lines(said)
  assert f'process {1 - dies} of 2 ends, since another one of the job' in line
  assert 'Traceback' not in said


@pytest.mark.parametrize('kind', list(MODULES))
def test_a_run_of_two_that_died_resumes_as_one(kind, study, tmp_path):
  words = words_of(kind, study, tmp_path / kind)
  last = {1: LAST[kind]}
  hosts.ended(hosts.start(tmp_path / 'n', f'train_{kind}', words, 2, last))
  assert not (tmp_path / kind / 'done.json').exists()
  assert [*(tmp_path / kind / 'checkpoints').iterdir()]
  MODULES[kind].run(config_of(kind, study), tmp_path / kind)
  wanted = tmp_path / f'{kind}-whole'
  MODULES[kind].run(config_of(kind, study), wanted)
  assert_same_tables(tmp_path / kind, wanted)


@pytest.mark.parametrize('kind', list(MODULES))
def test_a_run_begun_as_one_resumes_as_two(kind, study, tmp_path, killed_at):
  config = config_of(kind, study)
  killed_at(MODULES[kind], config, tmp_path / kind, last=LAST[kind])
  words = words_of(kind, study, tmp_path / kind)
  hosts.run(tmp_path / 'n', f'train_{kind}', words, 2)
  wanted = tmp_path / f'{kind}-whole'
  MODULES[kind].run(config, wanted)
  assert_same_tables(tmp_path / kind, wanted)


def test_a_model_that_is_cut_over_two_processes_is_that_of_one(study, tmp_path):
  """Neither holds it whole: its parameters are gathered for the disk."""
  mesh = ['--config.mesh.fsdp=2']
  words = [*words_of('lm', study, tmp_path / 'lm'), *mesh]
  hosts.run(tmp_path / 'n', 'train_lm', words, 2)
  wanted = tmp_path / 'whole'
  train_lm.run(config_of('lm', study), wanted)
  assert_same_tables(tmp_path / 'lm', wanted)
  assert_same_params(tmp_path / 'lm', wanted)


def test_what_one_process_cannot_do_is_said_by_both(study, tmp_path):
  """Process 0 holds the lock of another run: both say so, neither waits."""
  words = words_of('lm', study, tmp_path / 'lm')
  (tmp_path / 'lm').write_text('')
  found = hosts.ended(hosts.start(tmp_path / 'n', 'train_lm', words, 2))
  for code, _, err in found:
    assert code in (2, partners.LOST)
    assert len(hosts.error_lines(err)) == 1
  assert 'wanted a folder, got a file' in found[0][2]


def test_flags_that_do_not_go_together_are_one_line(study, tmp_path):
  words = words_of('lm', study, tmp_path / 'lm')
  [(code, _, err)] = hosts.ended(
    hosts.start(tmp_path / 'n', 'train_lm', [*words, '--num_processes=2'])
  )
  assert code == 2 and not (tmp_path / 'lm').exists()
  assert 'go with --distributed=HOST:PORT' in hosts.error_lines(err)[0]
