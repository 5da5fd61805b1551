"""Parts of a study, which other machines ran, as one; other things refused."""

import json

import pandas as pd
import pytest

from experiments import join
from rlhf_jax.analysis import claims_io, joining, runs
from rlhf_jax.analysis.claims import judging
from tests.analysis import small

CONTEXT = {
  'preset': 'smoke',
  'commit': 'c1',
  'device': 'cpu',
  'seconds': 60.0,
  'config_hash': 'h1',
  'evidence': 'simulated',
  'rl_requires': False,
}
SIZES = ('S', 'M', 'L')


def curves(seeds, late=2.0):
  """Scores of policies that PPO raises by `late`, and the shared model."""
  rows = [
    {'role': 'linear', 'size': size, 'seed': seed, 'half': 'a'}
    | {'iteration': i, 'samples': 100 * i, 'train_pm': late * i + seed / 10}
    for size in SIZES
    for seed in seeds
    for i in (0, 1)
  ]
  lm = [{'role': 'lm', 'seed': 0, 'nats_per_token': late}]
  return {
    'rl_curve': small.table('rl_curve', rows),
    'lm': small.table('lm', lm),
  }


def part(folder, seeds, tables=None, told=(), **context):
  """A published study of those seeds."""
  tables = tables or curves(seeds)
  runs.write_tables(tables, folder / 'tables')
  document = judging.claims_document(tables, CONTEXT | context)
  claims_io.write_claims(folder / 'claims.json', document)
  config = {'preset': 'smoke', 'seeds': list(seeds), 'rl_seeds': len(seeds)}
  config |= {'workers': 2, 'rl': {'lr': 0.1}} | dict(told)
  text = json.dumps({'stage': 'reproduce', 'config': config})
  (folder / 'config.json').write_text(text)
  return str(folder)


def joined(tmp_path, *parts):
  return join.main([*parts, f'--out={tmp_path / "whole"}'])


def test_parts_are_judged_as_the_study_of_all_their_seeds(tmp_path):
  a = part(tmp_path / 'a', range(200, 204))
  b = part(
    tmp_path / 'b', range(204, 208), commit='c2', seconds=30.0, device='cpu'
  )
  assert joined(tmp_path, a, b) == 0
  whole = claims_io.read_claims(tmp_path / 'whole' / 'claims.json')
  at_once = judging.claims_document(curves(range(200, 208)), CONTEXT)
  keys = ('verdict', 'measured', 'ci', 'seeds', 'note')
  for one, other in zip(whole['claims'], at_once['claims'], strict=True):
    for key in keys:
      assert one[key] == pytest.approx(other[key]), (one['id'], key)
  eleven = {claim['id']: claim for claim in whole['claims']}[11]
  assert (eleven['seeds'], eleven['verdict']) == (8, 'pass')
  assert whole['commit'] == 'c1+c2' and whole['device'] == 'cpu'
  assert whole['seconds'] == 90.0
  config = json.loads((tmp_path / 'whole' / 'config.json').read_text())
  assert config['config']['seeds'] == list(range(200, 208))
  assert config['config']['rl_seeds'] == 8
  assert '`c1+c2`' in (tmp_path / 'whole' / 'README.md').read_text()


def test_seeds_with_rl_come_first_as_a_study_runs_it_on_the_first():
  told = [{'seeds': [0, 1], 'rl_seeds': 1}, {'seeds': [2, 3], 'rl_seeds': 1}]
  assert join.joined_config(['a', 'b'], told) == {
    'seeds': [0, 2, 1, 3],
    'rl_seeds': 2,
  }


def test_a_second_join_keeps_nothing_of_the_first(tmp_path):
  b = part(tmp_path / 'b', (201,))
  more = curves((200,))
  more['rl_pi0'] = small.table('rl_pi0', [{'role': 'linear', 'seed': 200}])
  assert joined(tmp_path, part(tmp_path / 'a', (200,), more), b) == 0
  assert 'rl_pi0' in runs.read_tables(tmp_path / 'whole' / 'tables')
  assert joined(tmp_path, part(tmp_path / 'c', (200,)), b) == 0
  found = runs.read_tables(tmp_path / 'whole' / 'tables')
  assert set(found) == {'rl_curve', 'lm'}


def test_a_part_is_not_written_over(tmp_path, capsys):
  a, b = (part(tmp_path / n, (200 + i,)) for i, n in enumerate('ab'))
  kept = (tmp_path / 'a' / 'claims.json').read_bytes()
  assert join.main([a, b, f'--out={a}']) == 1
  assert 'a is one of the parts: wanted another' in capsys.readouterr().err
  assert (tmp_path / 'a' / 'claims.json').read_bytes() == kept


def test_half_of_the_seeds_decides_nothing(tmp_path):
  a = part(tmp_path / 'a', range(200, 204))
  document = claims_io.read_claims(f'{a}/claims.json')
  eleven = {claim['id']: claim for claim in document['claims']}[11]
  assert (eleven['seeds'], eleven['verdict']) == (4, 'inconclusive')


def test_a_run_that_both_have_is_that_of_the_first():
  first, second = curves((1,), late=2.0), curves((2,), late=3.0)
  found = joining.join_tables({'a': first, 'b': second})
  assert list(found['lm']['nats_per_token']) == [2.0]
  assert set(found['rl_curve']['seed']) == {1, 2}
  assert len(found['rl_curve']) == 2 * len(first['rl_curve'])


def test_a_table_that_a_later_part_alone_has_of_a_shared_run_is_kept():
  first, second = curves((1,)), curves((2,))
  more = second | {'programs': second['lm'].assign(program='jit(f)')}
  found = joining.join_tables({'a': first, 'b': more})
  assert list(found['programs']['program']) == ['jit(f)']
  assert len(found['lm']) == 1


def test_rows_of_no_run_are_all_kept():
  rows = pd.DataFrame(
    {'run_id': [None], 'config_hash': [None], 'program': ['jit(f)']}
  )
  found = joining.join_tables(
    {'a': {'programs': rows}, 'b': {'programs': rows}}
  )
  assert list(found['programs']['program']) == ['jit(f)'] * 2


def test_a_shared_run_of_other_settings_is_refused():
  first, second = curves((1,)), curves((2,))
  second['lm'] = second['lm'].assign(config_hash='other')
  with pytest.raises(ValueError, match=r'b: the run lm-.* other settings than'):
    joining.join_tables({'a': first, 'b': second})


def test_a_table_of_other_columns_is_refused():
  first, second = curves((1,)), curves((2,))
  second['rl_curve'] = second['rl_curve'].drop(columns='entropy')
  with pytest.raises(ValueError, match=r"curve has other columns: \['entr"):
    joining.join_tables({'a': first, 'b': second})


def test_columns_in_another_order_are_the_same_columns():
  first, second = curves((1,)), curves((2,))
  plain = joining.join_tables({'a': first, 'b': second})['rl_curve']
  second['rl_curve'] = second['rl_curve'][second['rl_curve'].columns[::-1]]
  turned = joining.join_tables({'a': first, 'b': second})['rl_curve']
  pd.testing.assert_frame_equal(turned, plain)


def test_parts_of_other_settings_are_refused_by_name(tmp_path, capsys):
  a = part(tmp_path / 'a', (200,))
  b = part(tmp_path / 'b', (201,), told={'rl': {'lr': 0.2}})
  assert joined(tmp_path, a, b) == 1
  assert f'join: {a} and {b} differ in rl: ' in capsys.readouterr().err
  assert not (tmp_path / 'whole').exists()


def test_a_seed_that_two_parts_have_is_refused(tmp_path, capsys):
  a = part(tmp_path / 'a', (200, 201))
  b = part(tmp_path / 'b', (201, 202), told={'workers': 1})
  assert joined(tmp_path, a, b) == 1
  assert 'has seeds that an earlier part has: [201]' in capsys.readouterr().err


def test_parts_judged_in_other_ways_are_refused(tmp_path, capsys):
  a = part(tmp_path / 'a', (200,))
  b = part(tmp_path / 'b', (201,), rl_requires=True)
  assert joined(tmp_path, a, b) == 1
  assert 'the parts have other rl_requires' in capsys.readouterr().err


def test_a_folder_that_was_not_published_is_refused(tmp_path, capsys):
  a = part(tmp_path / 'a', (200,))
  (tmp_path / 'a' / 'config.json').unlink()
  assert joined(tmp_path, a, a) == 1
  assert 'a has no config.json: wanted what' in capsys.readouterr().err
