"""Planted defects, each found by its name and nothing else found with it."""

import functools
import itertools
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stranger

from rlhf_jax import check
from rlhf_jax.check import __main__ as command
from rlhf_jax.check import findings, runner
from rlhf_jax.check.subject import rows_of, shared_prefix
from scripts import make_check_doc

NAMES = [item.name for item in runner.CHECKS]


def only(*names):
  """Findings of some checks alone, which is quicker."""
  chosen = [item for item in runner.CHECKS if item.name in names]
  subject = lambda given: runner.subject_of(**given)
  return lambda given: {
    item.name: runner.finding(item, subject(given)) for item in chosen
  }


@functools.cache
def in_order():
  return check.run(**stranger.arguments())


def test_a_model_in_order_passes_every_check():
  """None is left out (checklist 4, 5, 7, 13, 16, 30, 35, 43, 44, 49)."""
  found = in_order()
  assert [finding.name for finding in found] == NAMES
  assert [f for f in found if f.ok is not True] == []


DROPS = itertools.count()


def dropping(function):
  """The function with a dropout of its output that nobody asked for."""

  def dropped(tokens_BT, length_B):
    out = function(tokens_BT, length_B)
    # Traced once in a loop, and drawn anew at every call outside of one.
    keep = jax.random.bernoulli(jax.random.key(next(DROPS)), 0.9, out.shape)
    return jnp.where(keep, out, 0.0)

  return dropped


def _changed(name, **values):
  """Batches with another batch of that name."""
  batches = stranger.data()
  return {'batches': batches | {name: batches[name]._replace(**values)}}


def _pad_mean(tokens_BT, length_B):
  mean_BD = stranger.EMBED[tokens_BT].mean(1)
  return stranger.logits_fn(tokens_BT, length_B) + (
    mean_BD[:, None] @ stranger.OUT
  )


def _last_column(tokens_BT, length_B):
  full_B = jnp.full_like(length_B, tokens_BT.shape[1])
  return stranger.score_fn(tokens_BT, full_B)


def _centred(function):
  """The function with the mean over the batch taken off."""

  def centred(tokens_BT, length_B):
    out = function(tokens_BT, length_B)
    return out - out.mean(0, keepdims=True)

  return centred


def _seeing(tokens_BT, length_B):
  """Logits that see the token behind them, if it is a real one."""
  T = tokens_BT.shape[1]
  next_BT = jnp.roll(tokens_BT, -1, 1)
  real_BT = jnp.arange(T)[None] + 1 < length_B[:, None]
  seen_BTD = stranger.EMBED[next_BT] * real_BT[..., None]
  return stranger.logits_fn(tokens_BT, length_B) + seen_BTD @ stranger.OUT


def _forgetting(tokens_BT, prompt_length_B, length_B, temperature):
  """Scores replies as if the temperature were always 1."""
  del temperature
  return stranger.logps_fn(tokens_BT, prompt_length_B, length_B, 1.0)


def _going_on(prompts, rng):
  """A sampler that does not stop, and says that it did."""
  rollout = stranger.sampler(stop_ids=(99,))(prompts, rng)
  at_B = rollout.prompt_length_B
  tokens_BT = rollout.tokens_BT.at[jnp.arange(len(at_B)), at_B].set(1)
  return rollout._replace(tokens_BT=tokens_BT)


def _one_key(prompts, rng):
  del rng
  return stranger.sampler()(prompts, jax.random.key(7))


def _one_row(prompts, rng):
  """Every row is row 0, as where all draw with its numbers."""
  rollout = stranger.sampler()(prompts, rng)
  return jax.tree.map(lambda x: jnp.repeat(x[:1], len(x), 0), rollout)


def _late(token_B, position_B, sum_BD):
  """A decoder that gives the logits of the token before."""
  _, after_BD = stranger.decode_fn(token_B, position_B, sum_BD)
  return jnp.tanh(sum_BD) @ stranger.OUT, after_BD


def _too_long():
  chosen = stranger.data()['train'].chosen_length_B.copy()
  chosen[3] = 99
  return _changed('train', chosen_length_B=chosen)


def _without_ends():
  train = stranger.data()['train']
  tokens = np.where(train.chosen_tokens_BT == stranger.END, 7, 0)
  tokens = np.where(tokens, tokens, train.chosen_tokens_BT)
  return _changed('train', chosen_tokens_BT=tokens)


def _one_side():
  train = stranger.data()['train']
  return _changed('train', rejected_length_B=train.rejected_length_B - 1)


def _alike():
  train = stranger.data()['train']
  tokens, length = train.rejected_tokens_BT.copy(), train.rejected_length_B
  length, width = length.copy(), train.chosen_tokens_BT.shape[1]
  tokens = np.pad(tokens, ((0, 0), (0, max(0, width - tokens.shape[1]))))
  tokens[2, :width] = train.chosen_tokens_BT[2]
  length[2] = train.chosen_length_B[2]
  return _changed('train', rejected_tokens_BT=tokens, rejected_length_B=length)


def _split_by_pair():
  batches = stranger.data()
  part = lambda rows: type(batches['train'])(
    *(array[rows] for array in batches['train'])
  )
  train, test = part(slice(0, 9)), part(slice(6, 12))
  return {'batches': batches | {'train': train, 'test': test}}


def _without_marker():
  asked = stranger.data()['prompts']
  return _changed('prompts', length_B=asked.length_B - 1)


def _begun_twice():
  asked = stranger.data()['prompts']
  tokens = np.concatenate([asked.tokens_BP[:, :1] * 0 + 9, asked.tokens_BP], 1)
  return _changed('prompts', tokens_BP=tokens, length_B=asked.length_B + 1)


def _leaked():
  batches = stranger.data()
  rows = rows_of(batches['evaluation'])
  at = int(np.argmax(rows.length_N))
  leaked = rows.tokens_NT[at, : rows.length_N[at]].tolist()
  prompts = [[3, *leaked, stranger.ASK], [3, 8, 9, stranger.ASK]]
  train = stranger.pairs(prompts, [[5, 7], [5, 8]], [[6, 7], [6, 8]])
  return {'batches': batches | {'train': train}}


def _whole(tokens_BT, length_B):
  return jnp.round(stranger.score_fn(tokens_BT, length_B)).astype(jnp.int32)


def _whole_floats(tokens_BT, length_B):
  return jnp.round(3 * stranger.score_fn(tokens_BT, length_B))


def _rounded(tokens_BT, length_B):
  score_B = stranger.score_fn(tokens_BT, length_B)
  return score_B.astype(jnp.bfloat16).astype(jnp.float32)


class Grown(stranger.Words):
  eos_id, stop_ids = 40, (40,)


def _beyond():
  train = stranger.data()['train']
  tokens = train.chosen_tokens_BT.copy()
  tokens[0, 0] = 40
  return _changed('train', chosen_tokens_BT=tokens)


CONFIG = stranger.arguments()['config']
# What is planted, and which other checks it cannot but fail besides.
PLANTED = [
  (
    'padding_invariance_logits',
    {'logits_fn': jax.jit(_pad_mean)},
    {'causal'},
  ),
  ('padding_invariance_score', {'score_fn': jax.jit(_last_column)}, set()),
  (
    'batch_invariance_logits',
    {'logits_fn': jax.jit(_centred(stranger.logits_fn))},
    {'padding_invariance_logits', 'causal'},
  ),
  (
    'batch_invariance_score',
    {'score_fn': jax.jit(_centred(stranger.score_fn))},
    set(),
  ),
  (
    'no_dropout_logits',
    {'logits_fn': dropping(stranger.logits_fn)},
    {
      'padding_invariance_logits',
      'batch_invariance_logits',
      'causal',
    },
  ),
  (
    'no_dropout_score',
    {'score_fn': dropping(stranger.score_fn)},
    {'padding_invariance_score', 'batch_invariance_score'},
  ),
  ('causal', {'logits_fn': jax.jit(_seeing)}, set()),
  ('reward_dtype', {'score_fn': jax.jit(_whole)}, set()),
  ('reward_dtype', {'score_fn': jax.jit(_whole_floats)}, set()),
  ('reward_dtype', {'score_fn': jax.jit(_rounded)}, set()),
  ('ratio_one', {'logps_fn': _forgetting}, set()),
  ('kl_zero', {'ref_logps_fn': _forgetting}, set()),
  ('reply_masks', {'sample_fn': _going_on}, {'ratio_one'}),
  ('fresh_keys', {'sample_fn': _one_key}, set()),
  ('fresh_keys', {'sample_fn': _one_row}, set()),
  ('cached_decode', {'decode_fn': _late}, set()),
  ('masks', _too_long(), {'end_of_context', 'end_token'}),
  ('token_range', _beyond(), set()),
  ('end_token', _without_ends(), set()),
  ('end_of_context', _one_side(), set()),
  ('chosen_equals_rejected', _alike(), set()),
  ('prompt_overlap', _split_by_pair(), set()),
  ('template_mismatch', _without_marker(), set()),
  ('template_mismatch', _begun_twice(), set()),
  ('evaluation_leakage', _leaked(), set()),
  ('settings', {'config': CONFIG | {'top_p': 0.9}}, set()),
  (
    'settings',
    {'config': CONFIG | {'batch_size': 12, 'minibatch_size': 8}},
    set(),
  ),
]


FORWARD = NAMES[: NAMES.index('ratio_one')]
SAMPLED = ['ratio_one', 'kl_zero', 'reply_masks', 'fresh_keys']


def _read(name, changes):
  """Names of the checks to run: of what was changed, the quick ones all."""
  if 'score_fn' in changes:
    return [n for n in FORWARD if 'score' in n or n == 'reward_dtype']
  if 'logits_fn' in changes:
    return [n for n in FORWARD if 'logits' in n or n == 'causal']
  if 'batches' in changes:
    return NAMES[NAMES.index('masks') :]
  return [*SAMPLED[:2], name] if name in SAMPLED else [name]


@pytest.mark.parametrize(
  ('name', 'changes', 'others'),
  PLANTED,
  ids=[f'{i}_{x[0]}' for i, x in enumerate(PLANTED)],
)
def test_a_planted_defect_is_caught_by_its_name(name, changes, others):
  found = only(*_read(name, changes))(stranger.arguments(**changes))
  failed = {f.name: f.message for f in found.values() if f.ok is False}
  assert name in failed and set(failed) <= {name} | others, failed


def test_every_check_has_a_planted_defect():
  assert {name for name, _, _ in PLANTED} == set(NAMES)


def test_what_is_not_there_is_not_run_and_is_said():
  given = stranger.arguments(
    logits_fn=None, score_fn=None, batches=stranger.data()['train']
  )
  found = {f.name: f for f in check.run(**given)}
  assert found['causal'].ok is None
  assert found['causal'].message == 'there is no logits_fn'
  assert found['prompt_overlap'].message == 'there is no test'
  assert found['chosen_equals_rejected'].ok is True
  assert findings.failed(found.values()) == []


def test_a_function_that_raises_fails_its_checks():
  def broken(tokens_BT, length_B):
    raise TypeError('wanted three arguments\nand more')

  found = only('causal', 'reward_dtype')(
    stranger.arguments(score_fn=broken, prefill_fn=None)
  )
  assert found['causal'].ok is True
  assert found['reward_dtype'].message == 'TypeError: wanted three arguments'


def test_a_batch_of_no_known_form_is_one_line():
  for batches in ({'trian': 1, 'train': 2}, {'train': {'tokens': 1}}, 7):
    with pytest.raises(ValueError, match='^wanted [^\n]*$'):
      check.run(**stranger.arguments(batches=batches))


def test_a_prompt_is_what_both_sides_begin_with():
  rows = [rows_of({'tokens': x, 'length': n}) for x, n in (
    (np.array([[3, 4, 5, 9], [3, 4, 0, 0]]), np.array([4, 2])),
    (np.array([[3, 4, 6, 0], [3, 4, 0, 0]]), np.array([3, 2])),
  )]  # fmt: skip
  # The second pair is equal: nobody knows.
  np.testing.assert_array_equal(shared_prefix(*rows), [2, 0])


def test_the_command_line_prints_json_and_its_exit_code_is_the_verdict(
  monkeypatch, capsys
):
  monkeypatch.setattr(runner, 'CHECKS', runner.CHECKS[-4:])
  flags = ['--functions=stranger:arguments', '--json']
  assert command.main(flags) == 0
  rows = json.loads(capsys.readouterr().out)
  assert {row['name']: row['ok'] for row in rows} == dict.fromkeys(
    NAMES[-4:], True
  )
  changes = _leaked()
  monkeypatch.setattr(
    stranger, 'leaky', lambda: stranger.arguments(**changes), raising=False
  )
  assert command.main(['--functions=stranger:leaky']) == 1
  out = capsys.readouterr().out
  assert 'FAILED' in out and 'evaluation_leakage' in out
  assert '3 ok, 1 FAILED, 0 not run' in out


@pytest.mark.parametrize(
  ('flags', 'said'),
  [
    ([], 'wanted --model with --data, or --functions'),
    (['--model=nowhere'], 'wanted --data'),
    (['--model=nowhere', '--data=x'], 'no model nowhere'),
    (['--functions=stranger'], 'wanted MODULE:FUNCTION'),
    (['--functions=stranger:nothing'], 'nothing'),
    (['--functions=stranger:data'], 'unexpected keyword'),
  ],
)
def test_a_wrong_flag_is_one_line(flags, said, capsys):
  assert command.main(flags) == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1 and said in error


def test_the_page_is_what_the_checks_say():
  page = pathlib.Path(make_check_doc.OUT).read_text()
  assert page == make_check_doc.generate(), 'run `make checklist`'


@pytest.mark.slow  # every check once more, a program an operation
def test_the_program_of_the_page_finds_what_it_says(capsys):
  page = pathlib.Path(make_check_doc.OUT).read_text()
  [program] = re.findall(r'```python\n(.*?)```', page, flags=re.S)
  exec(compile(program, 'docs/check.md', 'exec'), {})
  out = capsys.readouterr().out.splitlines()
  assert [line.partition(' - ')[0] for line in out] == [
    'padding_invariance_score'
  ]
