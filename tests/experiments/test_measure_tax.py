"""Held-out text and its losses, on texts and losses that are written down."""

import json
import math

import numpy as np
import pytest

from experiments import measure_tax
from tests.test_configs import _config

WORDS = ['ab', 'cd', 'ab', 'ef']  # what the world writes, one after the other


class Letters:
  """A tokenizer of characters, whose end is 1."""

  vocab_size, eos_id, pad_id = 128, 1, 0

  def encode(self, text):
    return [ord(x) for x in text]


@pytest.fixture
def config(tmp_path):
  """Two dialogues of 3 and 5 tokens, and the plain text 'cd'."""
  tokens_NT = np.zeros((3, 5), np.uint16)
  tokens_NT[:2] = 9
  tokens_NT[2, :3] = [*map(ord, 'cd'), 1]
  np.savez(tmp_path / 'rows.npz', tokens_NT=tokens_NT, length_N=[3, 5, 3])
  held = {'tokens_NT': tokens_NT[:2], 'length_N': np.array([3, 5])}
  np.savez(tmp_path / 'heldout.npz', **held)
  (tmp_path / 'done.json').write_text(json.dumps({'dialogues': 2}))
  return {'text_dir': str(tmp_path), 'heldout_texts': 4, 'eval_batch': 2}


def text(source='simulated'):
  return {'data': {'source': source}, 'world': {'name': 'parts'}, 'seed': 0}


@pytest.fixture
def writes(monkeypatch):
  said = iter(WORDS)
  rules = type('Rules', (), {'plain_text': lambda self, *_: next(said)})()
  monkeypatch.setattr(measure_tax, 'rules_of', lambda world: rules)
  monkeypatch.setattr(measure_tax.sources, 'world_of', lambda settings: None)
  monkeypatch.setattr(measure_tax, 'text_tokenizer', lambda config: Letters())


def test_plain_texts_are_new_ones_and_each_is_read_once(config, writes):
  """'cd' was trained on, and 'ab' comes twice."""
  found = measure_tax.held_out_texts(config, text())
  tokens_NT, length_N = found['plain']
  assert length_N.tolist() == [3, 3]
  assert tokens_NT[:, :3].tolist() == [[97, 98, 1], [101, 102, 1]]
  assert found['dialogues'][1].tolist() == [3, 5]
  few = measure_tax.held_out_texts(config | {'heldout_texts': 1}, text('hh'))
  assert list(few) == ['dialogues'] and few['dialogues'][1].tolist() == [3]


def test_kinds_weigh_as_their_tokens_do_in_training(config):
  """2 + 4 tokens of dialogues are learnt, and 2 of plain text."""
  share = measure_tax.shares(config)
  assert share == pytest.approx({'dialogues': 0.75, 'plain': 0.25})


def test_the_loss_of_the_mixture_is_that_of_its_kinds(config, monkeypatch):
  monkeypatch.setattr(measure_tax.policies, 'text_loss', lambda *_: 'program')
  monkeypatch.setattr(
    measure_tax, 'nats_per_token', lambda program, params, nats, _, batch: nats
  )
  base = type('Base', (), {'functions': 'f', 'size': 'S', 'params': 'p'})()
  share = {'dialogues': 0.75, 'plain': 0.25}
  both = {'dialogues': (1.0, None), 'plain': (3.0, None)}
  found = measure_tax.losses(config, base, both, share)
  assert found == {'nats': 1.5, 'nats_dialogues': 1.0, 'nats_plain': 3.0}
  alone = measure_tax.losses(config, base, {'dialogues': (1.0, None)}, share)
  assert alone['nats'] == 1.0 and math.isnan(alone['nats_plain'])


@pytest.mark.parametrize('names', [['pi_0'], ['pi_0', 'ppo', 'ppo']])
def test_policies_of_one_name_are_refused(names, tmp_path):
  asked = _config('reproduce', 'full_smoke')['tax'] | {'writer_names': names}
  with pytest.raises(ValueError, match='two policies or more of different'):
    measure_tax.run(asked, tmp_path)


def test_a_killed_run_goes_on_with_the_policy_that_it_was_at(
  tmp_path, monkeypatch
):
  """What was measured is not measured again, and the tables are whole."""
  asked = []

  def answered(config, writer, prompts, world, number):
    if len(asked) == dies[0]:
      raise KeyboardInterrupt
    asked.append(number)
    return np.array([[0.5, number / 3]]), 7.0

  class Base:
    functions, params, size, n_params = 'f', 'p', 'S', 9

  known = {'data': {'source': 'hh'}, 'max_prompt': 4, 'max_reply': 4}
  for name, fake in {
    'open_base': lambda *_, **__: Base(),
    'held_out_texts': lambda *_: {'dialogues': (None, [1])},
    'shares': lambda _: {'dialogues': 1.0},
    'losses': lambda *_: {'nats': 1.0},
  }.items():
    monkeypatch.setattr(measure_tax, name, fake)
  monkeypatch.setattr(
    measure_tax.about, 'read', lambda _: type('File', (), {'config': known})
  )
  monkeypatch.setattr(measure_tax.policies, 'writer_of', lambda *_: None)
  monkeypatch.setattr(measure_tax.matches, 'answered', answered)
  monkeypatch.setattr(measure_tax.matches, 'held_out', lambda _: [('p', 'k')])
  config = _config('reproduce', 'full_smoke')['tax'] | {'text_dir': 'T'}
  config |= {'writer_names': ['a', 'b', 'c'], 'writer_dirs': ['x', 'y', 'z']}
  config |= {'role': 'tax', 'seed': 0, 'half': 'all', 'comparisons_dir': 'C'}
  dies = [2]
  with pytest.raises(KeyboardInterrupt):
    measure_tax.run(config, tmp_path)
  dies[0] = 99
  measure_tax.run(config, tmp_path)
  assert asked == [0, 1, 2]
  rows = (tmp_path / 'tax.csv').read_text().splitlines()
  assert [row.split(',')[0] for row in rows[1:]] == ['a', 'b', 'c']
  assert rows[3].endswith(f'{(0.5 + 2 / 3) / 2}')
