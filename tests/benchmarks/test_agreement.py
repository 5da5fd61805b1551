"""Agreement with a peer: the statistics by hand, and ours against a fake peer.

A TRL that has PPO is not installed here. The fake peer is our own PPO, which
leaves behind what TRL's driver leaves.
"""

import ast
import json

import jax
import numpy as np
import pytest

from benchmarks.agreement import __main__ as agreement
from benchmarks.agreement import figure, ours, parity, start, verdict
from benchmarks.agreement import settings as told
from benchmarks.peers import environments
from rlhf_jax.losses import masked
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy, save_preference_model
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train import ppo
from rlhf_jax.types import PPOHyper
from scripts import make_performance_doc as doc

pytestmark = pytest.mark.slow  # runs both sides of a comparison

TINY = told.PRESETS['tiny']
DRIVER = environments.ROOT / 'benchmarks' / 'peers' / 'trl_agreement.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('agreement') / 'start'
  start.make(folder, TINY)
  return folder


@pytest.fixture(scope='module')
def begin(folder):
  return ours.load(folder)


@pytest.fixture(scope='module')
def pieces(begin):
  return ours.pieces_of(begin)


@pytest.fixture(scope='module')
def again(begin, pieces):
  return parity.make_again(begin, pieces)


def leave_first(begin, pieces, again, out):
  """What the peer leaves of its first iteration, made by our functions."""
  state = ours.first_state(begin)
  frozen = ppo.Frozen(begin.policy.params, begin.reward.params)
  prompts = ours.prompts_of(begin.train_NP[: TINY.batch])
  rollout = jax.jit(pieces.collect)(state.params, prompts, jax.random.key(7))
  P = TINY.prompt_length
  got, params = again(
    state, frozen, rollout, jax.random.key(0), ours.hyper_of(TINY)
  )
  n = TINY.batch * TINY.reply_length
  found = {**got, 'tokens': rollout.tokens_BT, 'logp': rollout.logp_BT[:, P:]}
  found['advantage'] = got['advantage'] * ((n - 1) / n) ** 0.5
  out.mkdir(parents=True, exist_ok=True)
  np.savez(out / 'first.npz', **found)
  save_policy(out / '1', begin.policy.config, params['policy'])
  save_preference_model(
    out / 'value-1', begin.reward.config, params['value'], pad_id=0
  )


@pytest.fixture(scope='module')
def left(begin, pieces, again, tmp_path_factory):
  out = tmp_path_factory.mktemp('left')
  leave_first(begin, pieces, again, out)
  return out


def points_of(reward, kl=lambda side, seed, i: float(i * i)):
  """Points of both sides, three seeds, iterations 1 and 2."""
  return [
    {
      'side': side,
      'seed': seed,
      'iteration': i,
      'reward': reward(side, seed, i),
      'kl': kl(side, seed, i),
    }
    for side in (verdict.OURS, verdict.THEIRS)
    for seed in (0, 1, 2)
    for i in (1, 2)
  ]


def test_the_driver_of_the_peer_is_valid_python_and_names_every_setting():
  source = DRIVER.read_text()
  tree = ast.parse(source)
  assert ast.get_docstring(tree)
  names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
  shared = (DRIVER.parent / 'torch_models.py').read_text()
  for what, _, theirs, _ in told.NAMES:
    if theirs.isidentifier():
      assert theirs in names or f'{theirs}=' in shared, what


def test_every_hyper_parameter_of_both_stands_in_the_table():
  rows = {row[1] for row in told.NAMES}
  of_ppo = set(PPOHyper._fields) - {
    'policy_learning_rate',
    'value_learning_rate',
  }
  assert of_ppo <= rows
  for _, name, _, fixed in told.NAMES:
    assert fixed or name in told.Settings._fields


def test_settings_are_read_as_they_were_written(tmp_path):
  told.write(tmp_path / 'settings.json', TINY)
  assert told.read(tmp_path / 'settings.json') == TINY


def test_scores_of_the_exported_reward_model_are_read_at_the_last_reply_token(
  begin, pieces
):
  model = build(begin.reward.config)
  tokens_BT = np.tile(np.arange(8, dtype=np.int32), (2, 1))
  length_B = np.array([8, 8], np.int32)
  rows = (begin.reward.params, tokens_BT)
  value_BT = jax.jit(model.value_fn)(*rows, length_B)
  score_B = jax.jit(pieces.score)(*rows, length_B, length_B)
  np.testing.assert_allclose(score_B, value_BT[:, -1], rtol=1e-5)
  assert float(begin.reward.params['head']['bias']) == 0.0


def test_the_chain_has_a_shape_and_the_pairs_follow_the_worth():
  world = start.World(TINY)
  walk_BT = world.walks(512, 8)
  assert walk_BT.max() < TINY.vocab_size
  follow = np.zeros((TINY.vocab_size, TINY.vocab_size))
  np.add.at(follow, (walk_BT[:, :-1].ravel(), walk_BT[:, 1:].ravel()), 1)
  some = follow.sum(1) > 30
  assert (follow.max(1) / follow.sum(1).clip(1))[some].mean() > 0.2  # of 1 / 32
  pair, better = world.pair_batch(), 0.0
  worth = lambda x: world.worth_V[x[:, TINY.prompt_length :]].sum(1)
  for _ in range(10):
    pair = world.pair_batch()
    gap = worth(pair.chosen_tokens_BT) - worth(pair.rejected_tokens_BT)
    better += (gap > 0).mean() / 10
  assert better > 0.65


def test_an_epoch_has_every_prompt_once():
  prompts_NP = np.arange(12).reshape(12, 1)
  source = ours.batches(prompts_NP, 4, seed=0)
  for _ in range(2):
    epoch = np.concatenate([next(source).tokens_BP[:, 0] for _ in range(3)])
    assert sorted(epoch) == list(range(12))


def test_our_own_first_iteration_is_the_same_as_ours(begin, again, left):
  rows = {row['what']: row for row in parity.check(begin, again, left)}
  assert len(rows) == 8
  for row in rows.values():
    assert row['tolerance'] is None or row['difference'] < row['tolerance']
  n = TINY.batch * TINY.reply_length
  expected = (n / (n - 1)) ** 0.5 - 1
  np.testing.assert_allclose(
    rows[parity.WHITENED]['difference'], expected, rtol=1e-3
  )


@pytest.mark.parametrize(
  ('name', 'what'),
  [('score', 'reward'), ('ref_logp', 'pi_0'), ('advantage', 'n - 1')],
)
def test_another_number_on_the_same_replies_is_an_error_that_names_it(
  begin, again, left, tmp_path, name, what
):
  found = dict(np.load(left / 'first.npz'))
  for path in ('1', 'value-1'):
    (tmp_path / path).symlink_to(left / path)
  np.savez(tmp_path / 'first.npz', **found | {name: 1.01 * found[name]})
  with pytest.raises(parity.ParityError, match=what):
    parity.check(begin, again, tmp_path)


def test_another_update_is_an_error(begin, again, left, tmp_path):
  (tmp_path / 'first.npz').symlink_to(left / 'first.npz')
  (tmp_path / 'value-1').symlink_to(left / 'value-1')
  params = load_folder(left / '1').params
  twice = jax.tree.map(lambda a, b: 2 * a - b, params, begin.policy.params)
  save_policy(tmp_path / '1', begin.policy.config, twice)
  with pytest.raises(parity.ParityError, match='change of the policy'):
    parity.check(begin, again, tmp_path)


def test_the_relative_change_by_hand():
  before, after = {'a': np.zeros(2)}, {'a': np.array([3.0, 4.0])}
  other = {'a': np.array([3.0, 3.0])}
  assert parity.moved(before, other, after) == pytest.approx(0.2)
  assert parity.largest([1.0, 2.0], [1.0, 4.0]) == 0.5
  assert np.isnan(parity.largest([np.nan, 2.0], [1.0, 4.0]))


def test_the_value_has_no_bias_to_train(begin, left):
  assert float(load_folder(left / 'value-1').params['head']['bias']) == 0.0
  assert masked.VARIANCE_EPS == 1e-8  # the peer's, in masked_whiten


def test_reward_at_a_divergence_is_on_the_line_between_checkpoints():
  curve = (np.array([1.0, 2.0]), np.array([3.0, 7.0]))
  assert verdict.reward_at(curve, 0.5, 1.0) == 2.0
  assert verdict.reward_at(curve, 1.75, 1.0) == 6.0


def test_a_checkpoint_that_went_back_is_left_out():
  curve = (np.array([1.0, 0.5, 2.0]), np.array([3.0, 99.0, 7.0]))
  assert verdict.reward_at(curve, 1.5, 1.0) == 5.0


def test_the_rows_by_hand():
  noise = {0: -0.1, 1: 0.0, 2: 0.1}
  points = points_of(lambda side, seed, i: 2.0 * i + noise[seed])
  found = verdict.compare(points, first_reward=0.0)
  assert [(r['what'], r['at']) for r in found['rows']] == [
    ('reward', 1),
    ('reward', 2),
    ('kl', 1),
    ('kl', 2),
    *[('reward at sqrt(KL)', x) for x in (0.5, 1.0, 1.5, 2.0)],
  ]
  assert found['level'] == pytest.approx(1 - 0.05 / 8)
  assert found['gain'] == pytest.approx(4.0)
  last = found['rows'][-1]
  # sd 0.1, so that the error is 0.1 sqrt(2/3), and t[0.996875, 4] = 5.2611
  np.testing.assert_allclose(
    (last['difference'], last['high']),
    (0.0, 5.2611 * 0.1 * (2 / 3) ** 0.5),
    atol=1e-4,
  )
  assert found['reach'] == pytest.approx(last['high'] / 4.0)


@pytest.mark.parametrize(
  ('shift', 'spread', 'expected'),
  [(0.0, 0.02, 'agree'), (1.0, 0.02, 'differ'), (0.0, 1.0, 'inconclusive')],
)
def test_the_verdict(shift, spread, expected):
  noise = {0: -spread, 1: 0.0, 2: spread}
  away = {verdict.OURS: shift, verdict.THEIRS: 0.0}
  points = points_of(lambda side, seed, i: 2.0 * i + away[side] + noise[seed])
  assert verdict.compare(points, 0.0)['verdict'] == expected


def test_the_committed_verdict_is_that_of_the_committed_points():
  result = doc.load('cpu-2-cores', 'agreement')
  found = verdict.compare(result['points'], result['first']['reward'])
  assert found['verdict'] == result['verdict']
  assert found['reach'] == pytest.approx(result['reach'])
  assert told.Settings(**result['settings'])._asdict() == {
    **told.PRESETS['full']._asdict(),
    'checkpoints': list(told.PRESETS['full'].checkpoints),
  }


def test_another_kl_at_the_same_iteration_is_a_difference_too():
  away = {verdict.OURS: 0.5, verdict.THEIRS: 0.0}
  points = points_of(
    lambda side, seed, i: 2.0 * i + 0.01 * seed,
    lambda side, seed, i: i * i + away[side] + 0.01 * seed,
  )
  assert verdict.compare(points, 0.0)['verdict'] == 'differ'


def test_two_equal_implementations_agree_in_19_of_20_comparisons():
  rng, agreed = np.random.default_rng(0), 0
  for _ in range(200):
    points = points_of(lambda *_: 5 * _[2] + 0.1 * rng.standard_normal())
    agreed += verdict.compare(points, 0.0)['verdict'] != 'differ'
  assert agreed >= 185


def fake_peer(begin, pieces, again, iteration):
  def peer(python, folder, out, seed):
    leave_first(begin, pieces, again, out)
    keep = out.with_name(f'{out.name}-kept')
    ours.train(begin, iteration, keep, seed + 50)
    (keep / '2').rename(out / '2')
    return {'versions': {'trl': '1.10.0'}, 'seconds': 1.0}

  return peer


def test_the_whole_comparison_with_a_fake_peer(
  folder, begin, pieces, again, tmp_path, monkeypatch, capsys
):
  peer = fake_peer(begin, pieces, again, ours.make_iteration(pieces))
  (tmp_path / 'work').mkdir()
  (tmp_path / 'work' / 'start').symlink_to(folder)
  result = agreement.compare(tmp_path / 'work', [0, 1], None, TINY, peer)
  assert len(result['points']) == 2 * 2 * 2
  assert abs(result['first']['kl']) < 1e-6
  assert all(np.isfinite(p['reward']) and p['kl'] > 0 for p in result['points'])
  agreement.print_result(result)
  assert result['verdict'] in capsys.readouterr().out
  path = figure.draw(result, tmp_path)
  assert 'svg' in path.read_text()[:200]

  results = tmp_path / 'results' / 'cpu-2-cores'
  results.mkdir(parents=True)
  (results / 'agreement.json').write_text(json.dumps(result))
  monkeypatch.setattr(doc, 'RESULTS', tmp_path / 'results')
  page = doc.generate(doc.PAGE)
  assert f'Verdict: **{result["verdict"]}**' in page
  assert f'| lambda_KL | `kl_coef` | `kl_coef` | {TINY.kl_coef:g} |' in page
  assert f'| {parity.WHITENED} |' in page


def test_other_settings_in_the_same_folder_are_refused(folder, tmp_path):
  (tmp_path / 'start').symlink_to(folder)
  with pytest.raises(ValueError, match='other settings'):
    agreement.compare(tmp_path, [0], None, TINY._replace(passes=1))


def test_a_peer_that_cannot_run_is_one_line_and_exit_code_2(
  folder, tmp_path, capsys
):
  (tmp_path / 'start').symlink_to(folder)
  flags = ['--preset', 'tiny', '--workdir', str(tmp_path), '--seeds', '0']
  assert agreement.main([*flags, '--python', 'no-such-python']) == 2
  error = capsys.readouterr().err
  assert error.startswith('agreement: ') and error.count('\n') == 1
