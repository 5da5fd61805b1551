"""Replies to given prompts, of policies before and after PPO."""

import json

import numpy as np
import pytest
import shared_fixture as shared
import tiny_stages as tiny

from experiments import samples, train_ppo
from experiments.shared import policies, run_report, shown
from rlhf_jax.data.faults import DataError

SAID = [f'draw {i} {animal}s' for i, animal in enumerate(shared.ANIMALS)]
CONFIG = {
  'pm_dir': 'PM',
  'test_pm_dir': '',
  'family': 'topic',
  'where': {},
  'max_prompt': 40,
  'max_reply': 8,
  'eval_batch': 4,
  'seed': 3,
  'shown': {'each': 2, 'replies': 3},
}


def test_a_snapshot_has_the_name_of_its_run():
  assert samples.label_of('runs/rl/linear-13K-a-s0') == 'linear-13K-a-s0'
  assert samples.label_of('rl/linear/snapshots/24') == 'linear'
  assert samples.label_of('smollm2') == 'smollm2'


def test_wanted_rows_are_columns_and_values():
  found = samples.wanted_rows(['label=benign', 'source=x=y'])
  assert found == {'label': 'benign', 'source': 'x=y'}
  with pytest.raises(ValueError, match='--where=benign: wanted COLUMN=VALUE'):
    samples.wanted_rows(['benign'])


@pytest.fixture
def prompts(tmp_path):
  """Three prompts of one topic, one of another."""
  rows = [
    {'prompt': said, 'topic': topic}
    for said, topic in zip(SAID[:4], 'aaba', strict=True)
  ]
  path = tmp_path / 'prompts.jsonl'
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return path


@pytest.fixture
def answered(monkeypatch):
  """Policies whose score of a row is what they have trained, and its number."""

  def evaluate(trained, ref, weights, rows, rng):
    B, P = np.shape(rows.tokens_BP)
    tokens_BT = np.pad(np.asarray(rows.tokens_BP), ((0, 0), (0, 2)))
    said = shared.words().encode(' yes')[0]
    tokens_BT[np.arange(B), rows.length_B] = said
    scores = {'score_0': trained + np.asarray(rows.row_B) % 100}
    lengths = {'prompt_length': rows.length_B}
    lengths['total_length'] = np.asarray(rows.length_B) + 1
    return scores | lengths | {'tokens': tokens_BT, 'kl': np.ones(B)}

  base = shared.namespace(
    tokenizer=shared.words(), functions=None, params=0.0, size='3K'
  )
  opened = {
    'lm': samples.Policy('lm', base, None, 0),
    'ppo': samples.Policy('ppo', base, 1000.0, 8),
    'early': samples.Policy('ppo', base, 500.0, 4),
  }
  scorers = policies.Scorers(('f',), ('w',), '3K')
  ones = lambda trained, ref, tokens_BT, *_: np.ones(np.shape(tokens_BT))
  for module, name, value in (
    (samples, 'open_policy', opened.get),
    (samples, 'scorers_of', lambda *_: scorers),
    (policies, 'evaluation_of', lambda *_: evaluate),
    (shown, 'token_kl', lambda *_: ones),
  ):
    monkeypatch.setattr(module, name, value)


def test_policies_answer_the_first_prompts_of_each_family(
  answered, prompts, tmp_path
):
  """The early snapshot first, and pi_0 of each policy once."""
  out = tmp_path / 'out'
  config = CONFIG | {'prompts': [str(prompts)]}
  config['policy_dirs'] = ['lm', 'ppo', 'early']
  samples.run(config, out)
  found = run_report.read_samples(out)
  assert [item['family'] for item in found] == ['a', 'a', 'b']
  asked = [shared.prompt(SAID[i]) for i in (0, 1, 2)]
  assert [item['prompt'] for item in found] == asked
  replies = found[0]['replies']
  named = [(reply['policy'], reply['iteration']) for reply in replies]
  assert named == [('lm', 0), ('ppo', 0), ('ppo', 4), ('ppo', 8)]
  assert [r['scores']['train PM'] // 500 for r in replies] == [0, 0, 1, 2]
  assert replies[2]['k1'] == [1.0] and 'k1' not in replies[0]
  assert 'gold' not in replies[0]['scores']  # nobody knows of these prompts
  page = run_report.write(out).read_text()
  assert page.count('class="card"') == 3 * 4
  samples.run(config, out)  # it is done


def test_no_prompt_and_no_reply_are_one_line(answered, prompts, tmp_path):
  config = CONFIG | {'prompts': [str(prompts)], 'policy_dirs': ['lm']}
  none = config | {'shown': {'each': 0, 'replies': 3}}
  with pytest.raises(ValueError, match='--each: wanted 1 or more'):
    samples.run(none, tmp_path / 'none')
  twice = config | {'policy_dirs': ['lm', 'lm']}
  with pytest.raises(ValueError, match='two policies are called lm, iterat'):
    samples.run(twice, tmp_path / 'twice')
  other = config | {'where': {'topic': 'c'}}
  with pytest.raises(DataError, match='no row of topic=c'):
    samples.run(other, tmp_path / 'other')


@pytest.mark.slow  # a tiny study, and programs of its own
def test_a_policy_of_the_world_answers_its_held_out_prompts(tmp_path):
  """Gold and KL are known; the page of the run and of the samples show them."""
  tiny.prepare(tmp_path)
  train_ppo.run(tiny.ppo(tmp_path), tmp_path / 'ppo')
  own = run_report.read_samples(tmp_path / 'ppo')
  assert all(len(item['replies']) == 2 for item in own)
  page = run_report.write(tmp_path / 'ppo').read_text()
  assert page.count('class="sample ') == len(own) > 3
  config = CONFIG | {'prompts': [], 'pm_dir': str(tmp_path / 'pm')}
  config |= {'test_pm_dir': config['pm_dir'], 'max_prompt': 32}
  config['policy_dirs'] = [str(tmp_path / name) for name in ('ppo', 'lm')]
  samples.run(config, tmp_path / 'out')
  found = run_report.read_samples(tmp_path / 'out')
  assert {item['family'] for item in found} >= {item['family'] for item in own}
  for item in found:
    lm, before, after = item['replies']
    assert (before['policy'], after['iteration']) == ('ppo', 2)
    names = {'train PM', 'test PM', 'gold'}
    assert set(after['scores']) == names | {'KL'}
    assert set(lm['scores']) == names
    assert after['scores']['train PM'] == after['scores']['test PM']
    assert before['scores']['KL'] == 0
    assert len(after['k1']) == len(after['pieces'])
