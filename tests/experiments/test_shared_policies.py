"""A policy's sampler and scorers: which is whose, and what they are made of."""

import dataclasses

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments import train_ppo
from experiments.shared import models, policies, trained
from rlhf_jax.losses import chunked

ALL = trained.way_of({'trained': 'all'})
UPDATE = {
  'passes': 3,
  'minibatch_size': 8,
  'microbatches': 2,
  'scoring_parts': 4,
}


def network(size, score_fn, vocab_size=None, way=ALL, frozen=()):
  """A preference model that scores as it is told."""
  functions = tiny.base().functions._replace(score_fn=score_fn)
  if vocab_size:
    functions = functions._replace(
      config=models.rung_model('3K', vocab_size).config
    )
  return models.Network(
    functions, frozen, {'of': size}, way, tiny.words(), size
  )


def constant(number):
  return lambda params, tokens, length: np.full(len(length), number)


def rows():
  """Two dialogues of 4 tokens; the human begins to speak in the second."""
  ids = tiny.words()
  tokens_BT = np.array([[5, 6, 7, ids.eos_id, 0], [5, 6, 7, ids.human_id, 0]])
  return tokens_BT, np.array([2, 2]), np.array([4, 4])


def test_the_sampler_is_the_paper_s_and_stops_where_the_tokenizer_says():
  ids = tiny.words()
  found = policies.sampling_of(ids, 12)
  assert found.temperature == 1 and found.top_p == 1 and found.top_k == 0
  assert found.max_reply == 12 and not found.greedy
  assert found.stop_ids == (ids.eos_id, ids.human_id)
  assert found.pad_id == ids.pad_id
  assert policies.sampling_of(ids, 12, 0.7).temperature == 0.7
  assert found == policies.sampling_of(ids, 12)  # so programs are shared


def test_a_reply_is_what_stands_between_prompt_and_stop():
  ids = tiny.words()
  prompt, said = ids.encode(tiny.prompt('draw cats')), ids.encode(' yes, of')
  tokens_BT = np.zeros((2, 60), np.int32)
  for row, stop in zip(tokens_BT, (ids.eos_id, ids.human_id), strict=True):
    whole = [*prompt, *said, stop]
    row[: len(whole)] = whole
  start_B, length_B = np.full(2, len(prompt)), np.full(2, len(whole))
  length_B[1] -= 2  # cut before the stop and the last token
  replies = policies.decoded(ids, tokens_BT, start_B, length_B)
  assert replies == [' yes, of', ids.decode(said[:-1])]


@pytest.mark.parametrize(('half', 'seeds'), [('a', [14, 15]), ('b', [15, 14])])
def test_noise_of_the_other_half_is_the_same_two_swapped(half, seeds):
  scorers = policies.scorers_of(
    {'seed': 7, 'half': half}, tiny.base(), (), None
  )
  assert [int(seed) for seed in scorers.weights] == seeds
  assert scorers.functions[0] is scorers.functions[1]
  assert scorers.size == ''
  train, test = (
    np.asarray(jax.jit(function)(seed, *rows()))
    for function, seed in zip(scorers.functions, scorers.weights, strict=True)
  )
  assert (train != test).all()


def test_the_train_pm_is_the_first_scorer():
  networks = network('13K', constant(1.0)), network('42K', constant(2.0))
  scorers = policies.scorers_of({}, tiny.base(), networks, None)
  assert scorers.size == '13K'
  assert scorers.weights == (((), {'of': '13K'}), ((), {'of': '42K'}))
  scores = [
    function(weights, *rows()).tolist()
    for function, weights in zip(
      scorers.functions, scorers.weights, strict=True
    )
  ]
  assert scores == [[1, 1], [2, 2]]


def test_a_scorer_reads_the_dialogue_up_to_end_of_context():
  """The second row's human turn is closed with the end of a reply."""
  ids, seen = tiny.words(), []

  def score_fn(params, tokens_BT, length_B):
    seen.append((params, np.asarray(tokens_BT), np.asarray(length_B)))
    return length_B

  head = trained.way_of({'trained': 'head'})
  pm = network('13K', score_fn, way=head, frozen={'trunk': 'base'})
  scorers = policies.scorers_of({}, tiny.base(), (pm, pm), None)
  scorers.functions[0](scorers.weights[0], *rows())
  ((params, tokens_BT, length_B),) = seen
  assert params == {'trunk': 'base', 'of': '13K'}
  end = [5, 6, 7, ids.eos_id, ids.end_of_context_id, 0]
  assert tokens_BT.tolist() == [end, end] and length_B.tolist() == [5, 5]
  # Equal preference models are one program.
  assert scorers.functions[0] is scorers.functions[1]


def test_a_pm_of_another_vocabulary_is_refused():
  pm = network('13K', constant(0.0), vocab_size=300)
  with pytest.raises(ValueError, match='13K reads 300 tokens .* writes 310'):
    policies.scorers_of({}, tiny.base(), (pm, pm), None)
  fit = network('42K', constant(0.0))
  with pytest.raises(ValueError, match='the PM of size 13K'):
    policies.scorers_of({}, tiny.base(), (fit, pm), None)


def ppo_config(**changes):
  return {
    'trained': 'all',
    'train_pm_dir': 'TRAIN',
    'test_pm_dir': 'TEST',
    'dtype': 'float32',
    'hashed_rewards': False,
    'on_nonfinite': 'stop',
    'temperature': 0.7,
    'max_reply': 12,
    'b2': 0.9,
    'seed': 7,
    'half': 'a',
    **UPDATE,
  } | changes


def open_as_told(monkeypatch):
  """Folders become networks that score 1 (TRAIN) and 2 (TEST)."""
  opened, numbers = [], {'TRAIN': 1.0, 'TEST': 2.0}

  def open_scorer(folder, mesh, computes):
    opened.append((folder, mesh, computes))
    return network(folder, constant(numbers[folder]))

  monkeypatch.setattr(models, 'open_scorer', open_scorer)
  return opened


def test_a_run_is_rewarded_by_its_train_pm_and_watched_by_the_other(
  monkeypatch,
):
  """A swap anywhere between folder and program is seen here."""
  opened, asked = open_as_told(monkeypatch), {}
  monkeypatch.setattr(
    policies, 'make_pieces', lambda **options: asked.update(options) or 'abcde'
  )
  monkeypatch.setattr(
    policies.policy,
    'make_policy_evaluation',
    lambda *args, **options: asked.update(evaluated=args) or (lambda: None),
  )
  config, base = ppo_config(), tiny.base()
  scorers = policies.scorers_of(
    config, base, models.open_scorers(config, None), None
  )
  computes = {'dtype': 'float32', 'matmul': 'float32'}
  assert opened == [('TRAIN', None, computes), ('TEST', None, computes)]
  policies.ppo_pieces.cache_clear()
  policies.policy_eval.cache_clear()
  train_ppo.programs_of(config, base, ALL, scorers, None)
  rewarded = asked['reward'](scorers.weights[0], *rows())
  assert rewarded.tolist() == [1, 1]
  _, _, watched, sampling = asked['evaluated']
  scores = [f(w, *rows())[0] for f, w in zip(watched, scorers.weights)]  # noqa: B905
  assert scores == [1, 2]
  assert sampling.temperature == asked['sampling'].temperature == 0.7
  assert sampling.max_reply == 12
  policies.ppo_pieces.cache_clear()
  policies.policy_eval.cache_clear()


def test_a_run_against_noise_opens_no_preference_model(monkeypatch):
  opened = open_as_told(monkeypatch)
  config = ppo_config(hashed_rewards=True, half='b')
  scorers = policies.scorers_of(
    config, tiny.base(), models.open_scorers(config, None), None
  )
  assert opened == []
  assert [int(seed) for seed in scorers.weights] == [15, 14]


def test_every_setting_of_the_update_reaches_the_pieces(monkeypatch):
  asked = {}
  monkeypatch.setattr(
    policies, 'make_pieces', lambda **options: asked.update(options)
  )
  monkeypatch.setattr(
    policies, 'make_optimiser', lambda **options: ('Adam', options)
  )
  base, sampling = tiny.base(), policies.sampling_of(tiny.words(), 12, 0.7)
  way = tiny.namespace(attach='attach', merge='merge')  # of ALL they are one
  policies.ppo_pieces.__wrapped__(
    base.functions, way, 'reward', sampling, 0.9, tuple(UPDATE.values())
  )
  assert {name: asked[name] for name in UPDATE} == UPDATE
  assert asked['reward'] == 'reward' and asked['sampling'] is sampling
  assert asked['tx'] == ('Adam', {'b2': 0.9})
  assert asked['value_fn'] is base.functions.value_fn
  assert isinstance(asked['policy'], chunked.SplitModel)
  assert (asked['attach'], asked['merge']) == ('attach', 'merge')
  assert asked['rescore'] is False
  config = dataclasses.replace(base.functions.config, matmul='bf16_f32')
  low = base.functions._replace(config=config)
  policies.ppo_pieces.__wrapped__(
    low, ALL, 'reward', sampling, 0.9, tuple(UPDATE.values())
  )
  assert asked['rescore'] is True
  # Equal settings are one set of pieces, so one program.
  policies.ppo_pieces.cache_clear()
  pieces = [
    policies.ppo_pieces(base.functions, ALL, 'reward', sampling, 0.9, (1,) * 4)
    for _ in range(2)
  ]
  assert pieces == [None, None]
  assert policies.ppo_pieces.cache_info().misses == 1
  policies.ppo_pieces.cache_clear()
