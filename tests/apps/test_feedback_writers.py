"""Models behind the page: one reply, whoever else writes at the time."""

import types

import jax
import numpy as np
import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')

from apps.feedback import writers as rooms
from apps.feedback.queued import Request
from experiments.shared.imported import Opened
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.stream import bucket
from rlhf_jax.text.encode import encode_prompt, pad_batch
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.types import Prompts

SAMPLER = {'temperature': 1.0, 'top_k': 0, 'top_p': 1.0}
SAMPLER |= {'max_reply': 12, 'max_prompt': 52}
ASKED = [
  f'\n\nHuman: {text}\n\nAssistant:'
  for text in ('hi', 'tell me more', 'a cat?')
]


LONG = f'\n\nHuman: {"a cat? " * 200}\n\nAssistant:'


@pytest.fixture(scope='module')
def opened():
  words = Tokenizer.train([prompt * 4 for prompt in ASKED], 280)
  config = TransformerConfig(
    vocab_size=words.vocab_size, n_layers=1, d_model=16, n_heads=2
  )
  functions = build(config)
  init = jax.jit(functions.init)
  return {
    name: Opened(functions, init(jax.random.key(i)), words, context)
    for i, (name, context) in enumerate((('runs/one', None), ('two', 64)))
  }


@pytest.fixture
def written(opened, monkeypatch):
  monkeypatch.setattr(rooms, 'open_writer', lambda path: opened[path])
  return rooms.Writers(['runs/one', 'two'], rows=4, sampler=SAMPLER)


def requests_of(writers, seeds, which=0):
  uid = writers.snapshots[which][0]
  return [
    Request(i, uid, ASKED[i % len(ASKED)], seed, SAMPLER)
    for i, seed in enumerate(seeds)
  ]


def ids(replies):
  return [reply.token_ids for reply in replies]


def test_a_reply_is_the_same_alone_in_company_and_in_every_place(written):
  """What makes a restart give the same replies."""
  seeds = [5, 2**31 - 2**16 - 1, 77, 123456]
  asked, quiet = requests_of(written, seeds), lambda i, text: None
  together = written.write(asked, quiet)
  assert len({tuple(x) for x in ids(together)}) == 4
  for i, request in enumerate(asked):
    assert ids(written.write([request], quiet)) == [together[i].token_ids]
  turned = written.write(asked[::-1], quiet)
  assert ids(turned) == ids(together)[::-1]
  other = written.write(requests_of(written, seeds, 1), quiet)
  assert ids(other) != ids(together)


def test_replies_are_those_of_the_sampler_of_the_rest_of_the_project(
  written, opened
):
  model, seeds = opened['runs/one'], [3, 9, 2**30]
  found = written.write(requests_of(written, seeds), lambda i, text: None)
  words = model.tokenizer
  rows = [encode_prompt(words, prompt, 52)[0] for prompt in ASKED]
  sampling = SamplingConfig(12, tuple(words.stop_ids), words.pad_id)
  collect = jax.jit(
    make_collect(
      sampling,
      prefill_fn=model.functions.prefill_fn,
      decode_fn=model.functions.decode_fn,
    )
  )
  batch = Prompts(*pad_batch(rows, 64, words.pad_id), np.array(seeds, np.int32))
  rollout = jax.device_get(collect(model.params, batch, jax.random.key(0)))
  for i, reply in enumerate(found):
    start, end = rollout.prompt_length_B[i], rollout.length_B[i]
    assert reply.token_ids == rollout.tokens_BT[i, start:end].tolist()
    assert reply.prompt_ids == rows[i]
    assert reply.ended == rollout.ended_B[i]
    text = words.decode_reply(reply.token_ids)
    assert text.startswith(reply.text) and '\n\nHuman:' not in reply.text


def test_what_is_shown_grows_to_what_is_written(written):
  seen = {0: [], 1: []}
  found = written.write(
    requests_of(written, [1, 2]), lambda i, text: seen[i].append(text)
  )
  for i, reply in enumerate(found):
    assert 1 <= len(seen[i]) == len(reply.token_ids) <= 12
    assert seen[i][-1] == reply.text.rstrip('\ufffd')
    assert all('\ufffd' not in text[-1:] for text in seen[i])


def test_only_prompts_of_one_width_and_one_snapshot_share_a_batch(written):
  written.sampler['max_prompt'] = 200
  short, another = requests_of(written, [1, 2])
  far = Request(3, short.snapshot, LONG, 4, SAMPLER)
  other = requests_of(written, [1], 1)[0]
  groups = [written.group(x) for x in (short, another, far, other)]
  assert groups[0] == groups[1] and len(set(groups)) == 3
  assert groups[2][1] == bucket(200) == 256
  with pytest.raises(ValueError, match='not a prompt'):
    written.group(Request(4, short.snapshot, 'no dialogue', 4, SAMPLER))


def test_models_that_do_not_fit_are_said_in_one_line(opened, monkeypatch):
  monkeypatch.setattr(rooms, 'open_writer', lambda path: opened[path])
  make = lambda paths, **more: rooms.Writers(
    paths, rows=4, sampler=SAMPLER | more
  )
  with pytest.raises(ValueError, match='made for 64 tokens, wanted 65'):
    make(['two'], max_prompt=53)
  with pytest.raises(ValueError, match='weights of another'):
    make(['two', 'two'])


def test_a_snapshot_is_its_weights(opened):
  one, two = (rooms.weights_uid(opened[x].params) for x in opened)
  assert one != two and len(one) == 64
  again = jax.tree.map(lambda x: np.array(x), opened['two'].params)
  assert rooms.weights_uid(again) == two
  leaves, tree = jax.tree.flatten(again)
  leaves[0] = leaves[0] + 1e-3
  assert rooms.weights_uid(jax.tree.unflatten(tree, leaves)) != two
  assert rooms.snapshot_name('/a/b/rl/13K-s0/') == 'rl/13K-s0'
  assert rooms.snapshot_name('smollm2') == 'smollm2'


def test_scores_of_the_preference_model_go_with_the_replies(
  written, monkeypatch
):
  given = []

  def scores(pm, texts, max_prompt, max_reply, progress):
    given.append((pm, texts, max_prompt, max_reply, list(progress(0, 2, ''))))
    return np.array([0.5, -1.5])

  monkeypatch.setattr(rooms, 'pm_scoring', types.SimpleNamespace(scores=scores))
  written._pm, written._pm_uid = 'pm', 'hash-pm'
  asked = requests_of(written, [1, 2])
  found = written.write(asked, lambda i, text: None)
  assert [(x.score, x.scored_by) for x in found] == [
    (0.5, 'hash-pm'),
    (-1.5, 'hash-pm'),
  ]
  texts = [(x.prompt, y.text) for x, y in zip(asked, found, strict=True)]
  assert given == [('pm', texts, 52, 12, [0, 1])]
