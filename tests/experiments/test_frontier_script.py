"""The frontier of a run: from pi_0's replies to its tables and lines."""

import json
import math
import types

import numpy as np
import pandas as pd
import pytest

from experiments import frontier as script
from experiments.shared.knobs import knob_of
from rlhf_jax.analysis import frontier
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.gain_bound import MIN_ESS
from rlhf_jax.crowd.prompt import Prompt
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.train import about
from rlhf_jax.types import Rollout


@pytest.fixture
def rl_run(tmp_path):
  """A finished policy whose gain is half the best one of unit normal scores."""
  path = tmp_path / 'rl'
  path.mkdir()
  row = {'role': 'linear', 'seed': 3, 'size': '3K', 'n_params': 9, 'half': 'a'}
  kind = about.About('train_ppo', 'policy')._asdict()
  config = {'hashed_rewards': True, 'data': {'source': 'simulated'}}
  config |= {'world': {'name': 'parts'}}
  content = kind | {'config': config, 'row': row}
  (path / 'config.json').write_text(json.dumps(content))
  kl = np.array([0.0, 0.25, 1.0, 2.25])
  gain = 0.5 * np.sqrt(2 * kl)
  columns = {'kl': kl, 'train_pm': gain, 'test_pm': gain, 'gold': gain}
  pd.DataFrame(columns).to_csv(path / 'rl_curve.csv', index=False)
  return path


@pytest.fixture
def normal_scores(monkeypatch):
  rng = np.random.default_rng(0)
  score_PN = rng.standard_normal((32, 4096))
  score_PN -= score_PN.mean(1, keepdims=True)
  found = {'train': score_PN, 'test': score_PN, 'gold': 0 * score_PN}
  kinds = ['helpful'] * 16 + ['harmless'] * 15 + ['odd']
  monkeypatch.setattr(script, 'run_scores', lambda *_: (found, kinds))


def test_a_run_at_half_the_frontier_is_said_to_be(
  rl_run, normal_scores, tmp_path, capsys
):
  config = {'run_dir': str(rl_run), 'prompts': 32, 'replies': 4096}
  script.run(config, tmp_path / 'out')
  printed = capsys.readouterr().out
  assert 'at sqrt(KL): 50% at 0.5, 50% at 1, 50% at 1.5' in printed.replace(
    '49%', '50%'
  ).replace('51%', '50%')
  edge = pd.read_csv(tmp_path / 'out' / 'frontier.csv')
  assert set(edge) == set(load().tables['frontier'].columns)
  assert set(edge['scorer']) == {'train', 'test'}
  assert 'gold, all: all replies to a prompt score the same' in printed
  # A kind of one prompt is none.
  rows = edge.groupby('subset')['n_prompts'].first()
  assert rows.to_dict() == {'all': 32, 'helpful': 16, 'harmless': 15}
  best = pd.read_csv(tmp_path / 'out' / 'best_of_n.csv')
  assert set(best) == set(load().tables['best_of_n'].columns)
  assert best['n'].max() == 1024 and set(best['world']) == {'parts'}
  by_train = best[best['chooser'] == 'train']
  assert set(by_train['scorer']) == {'train', 'test', 'gold', 'worker'}
  others = best[best['chooser'] != 'train']
  assert (others['chooser'] == others['scorer']).all()
  known = about.read(tmp_path / 'out')
  assert known.about.holds == 'table' and known.row['seed'] == 3


def test_a_run_says_what_its_world_and_its_train_pm_are(tmp_path):
  path = tmp_path / 'pm'
  path.mkdir()
  kind = about.About('train_pm', 'preference model')._asdict()
  row = {'role': 'single', 'seed': 3, 'size': '42K', 'n_params': 9, 'half': 'a'}
  own = {'train_subset': 'helpful', 'pairs': 768}
  content = kind | {'config': own, 'row': row}
  (path / 'config.json').write_text(json.dumps(content))
  config = {'hashed_rewards': False, 'data': {'source': 'hh'}}
  config |= {'train_pm_dir': str(path), 'pm_pairs': 3840}
  assert script.labels_of(config) == {'world': 'hh', 'pm': '42K helpful 3840'}
  found = script.labels_of(config | {'pm_pairs': 0})  # what it was trained on
  assert found['pm'] == '42K helpful 768'
  assert script.labels_of(config | {'train_pm_dir': ''})['pm'] == 'none'
  config |= {'data': {'source': 'simulated'}, 'world': {'seed': 0}}
  assert script.labels_of(config)['world'] == 'classic'  # before worlds had one


def test_the_setting_wants_as_many_replies_as_the_script():
  assert knob_of('replies', 'frontier')['from'] == MIN_ESS + 1


def test_what_is_no_finished_policy_is_refused(rl_run, tmp_path):
  config, out = {'run_dir': str(rl_run)}, tmp_path / 'out'
  with pytest.raises(ValueError, match='--prompts: wanted 2 or more, got 1'):
    script.run(config | {'prompts': 1, 'replies': 21}, out)
  with pytest.raises(ValueError, match='--replies: wanted 21 or more, got 20'):
    script.run(config | {'prompts': 2, 'replies': 20}, out)
  (rl_run / 'rl_curve.csv').unlink()
  with pytest.raises(about.RunError, match='is not finished: no rl_curve.csv'):
    script.run(config | {'prompts': 2, 'replies': 21}, out)
  content = json.loads((rl_run / 'config.json').read_text())
  content['holds'] = 'preference model'
  (rl_run / 'config.json').write_text(json.dumps(content))
  with pytest.raises(about.RunError, match='wanted the workdir of a finished'):
    script.run(config | {'prompts': 2, 'replies': 21}, out)


def test_replies_of_a_batch_go_to_their_prompts(monkeypatch):
  """Scores that name prompt and reply come back as rows of prompts."""
  calls = []

  class HeldOut:
    def __init__(self, config, base, scorers, evaluate, found):
      self.rows = config['eval_prompts']
      assert self.rows % config['scoring_parts'] == 0
      self.kinds = ['helpful', 'harmless', 'helpful'] * (self.rows // 3)
      assert len(found) == 3 and config['eval_batch'] == self.rows

    def measure(self, trained, iteration, row_offset):
      calls.append(row_offset)
      score = np.arange(self.rows) % 3 + row_offset / 1e6
      return dict.fromkeys(('score_0', 'score_1'), score) | {
        'gold': np.full(self.rows, math.nan)
      }

  for module, name, value in (
    (script, 'mesh_from', None),
    (script, 'open_base', None),
    (script, 'open_scorers', None),
    (script.policies, 'scorers_of', None),
    (script.policies, 'evaluation_of', None),
    (script.trained, 'way_of', None),
    (script.trained, 'policy', None),
    (
      script.comparisons,
      'read_prompts',
      {'train': [], 'test': [(str(i), 'helpful') for i in range(9)]},
    ),
  ):
    monkeypatch.setattr(module, name, lambda *_, v=value, **__: v)
  config = {'mesh': None, 'eval_batch': 256, 'scoring_parts': 8}
  monkeypatch.setattr(script.measuring, 'HeldOut', HeldOut)
  found, kinds = script.run_scores(config, 3, 100, 'all', range)
  assert kinds == ['helpful', 'harmless', 'helpful']
  assert set(found) == {'train', 'test'}  # without gold on real data
  rows = 85 * 3  # as often as 256 rows have room
  assert calls == [rows, 2 * rows]
  assert found['train'].shape == (3, 170)
  np.testing.assert_array_equal(np.floor(found['train'])[:, 0], [0, 1, 2])
  assert (np.floor(found['train']) == [[0], [1], [2]]).all()


def test_too_few_replies_are_one_line():
  with pytest.raises(ValueError, match='sample more of them'):
    frontier.curve(np.random.default_rng(0).standard_normal((2, 8)))


def lm_run(path, **world):
  """A run of train_lm, as far as its config.json."""
  path.mkdir()
  row = {'role': 'lm', 'seed': 0, 'size': '3K', 'n_params': 9, 'half': 'all'}
  config = {'data': {'source': 'simulated'}, 'world': world}
  config |= {'max_prompt': 4, 'max_reply': 8}
  kind = about.About('train_lm', 'language model', base='rung:3K')._asdict()
  content = kind | {'config': config, 'row': row}
  (path / 'config.json').write_text(json.dumps(content))
  return str(path)


@pytest.fixture
def authors(monkeypatch):
  """Replies of a model are those of the world's authors, of 3 nats each."""
  asked, world = [], make_world('parts')
  rng, write = np.random.default_rng(0), rules_of(world).write_reply

  def encode(texts, tokenizer, longest):
    asked[:] = texts
    rows = np.zeros((len(texts), longest), int)
    return types.SimpleNamespace(tokens_NP=rows, length_N=rows[:, 0])

  def sample(params, prompts, key):
    rows = len(prompts.row_B)
    logp_BT = np.tile([0.0, -1.0, -2.0], (rows, 1))
    return Rollout(*[np.zeros((rows, 1), int)] * 4, logp_BT)

  reply = lambda text: write(world, rng, Prompt(text, '', ''), rng.random())
  base = types.SimpleNamespace(tokenizer=None, functions=0, size='3K', params=0)
  policies = script.policies
  monkeypatch.setattr(script, 'open_base', lambda config: base)
  monkeypatch.setattr(script.replies, 'encode_prompts', encode)
  monkeypatch.setattr(policies, 'sampling_of', lambda *_: None)
  monkeypatch.setattr(policies, 'sampler', lambda *_: sample)
  monkeypatch.setattr(policies, 'decoded', lambda *_: list(map(reply, asked)))


def test_a_language_model_has_a_frontier_of_gold_without_any_rl(
  authors, tmp_path, capsys
):
  config = {'policy': lm_run(tmp_path / 'lm', name='parts'), 'kind': 'helpful'}
  config |= {'prompts': 4, 'replies': 128}
  script.run(config, tmp_path / 'out')
  printed = capsys.readouterr().out
  assert '3.0 nats a reply' in printed and 'gold, all: to sqrt(KL)' in printed
  assert 'gain of the policy' not in printed
  with np.load(tmp_path / 'out' / 'scores.npz') as scores:
    assert scores['gold'].shape == scores['nats'].shape == (4, 128)
  assert set(pd.read_csv(tmp_path / 'out' / 'frontier.csv')['scorer']) == {
    'gold'
  }
  assert about.read(tmp_path / 'out').row['size'] == '3K'


def test_prompts_of_a_model_are_of_the_kind_that_is_asked_for(tmp_path):
  world = make_world('parts')
  options = {'pm': '', 'prompts': 20, 'kind': 'all'}
  kinds = lambda kind: {
    kind for _, kind in script.prompts_to(options | {'kind': kind}, None, world)
  }
  assert kinds('helpful') == {'helpful'} and kinds('harmless') == {'harmless'}
  assert kinds('all') == {'helpful', 'harmless'}
  with pytest.raises(ValueError, match='wanted --pm'):
    script.prompts_to(options, None, None)
  with pytest.raises(ValueError, match='prompts of --kind=harmless, got none'):
    script.of_kind([('x', 'helpful')], 'harmless')


@pytest.mark.parametrize('given', [{}, {'run_dir': 'a', 'policy': 'b'}])
def test_a_run_or_a_policy_is_wanted_and_not_both(tmp_path, given):
  with pytest.raises(ValueError, match='and not both'):
    script.run({'prompts': 2, 'replies': 21} | given, tmp_path)


def test_an_imported_policy_needs_a_pm_that_has_prompts(tmp_path):
  with pytest.raises(ValueError, match='wanted --pm too'):
    script.settings_of('smollm2', '')
