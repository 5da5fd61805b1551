"""Replies to be read: which prompts, which of several replies, what is kept."""

import json

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import shown, trained
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.digests import DamagedError


def test_of_each_family_the_first_different_texts_are_asked():
  """Families by name; the order of the draw within; kinds are kept."""
  drawn = [('b1', 'x'), ('a1', 'y'), ('b1', 'x'), ('b2', 'x'), ('b3', 'x')]
  asked = shown.asked_of(drawn, ['b', 'a', 'b', 'b', 'b'], 2)
  assert asked == [('a1', 'y', 'a'), ('b1', 'x', 'b'), ('b2', 'x', 'b')]
  assert asked[0].prompt == 'a1' and asked[0].family == 'a'


def test_a_family_is_that_of_the_world_or_the_kind():
  world = make_world('classic')
  prompts = [(tiny.prompt('what is 2 plus 3?'), 'helpful')]
  prompts.append((tiny.prompt('sort cup bag'), 'helpful'))
  assert shown.families_of(world, prompts)[0] == 'add'
  assert shown.families_of(None, prompts) == ['helpful', 'helpful']


@pytest.mark.parametrize(
  ('points', 'count', 'wanted'),
  [
    ([0, 1, 2, 4, 8, 16, 34], 4, [0, 2, 8, 34]),
    ([0, 1, 2, 4, 8, 16, 34], 2, [0, 34]),
    ([0, 1], 4, [0, 1]),
    ([0, 3, 5], 1, [0]),
  ],
)
def test_snapshots_are_even_in_the_list_of_checkpoints(points, count, wanted):
  """Places 0, 2, 4 and 6 of seven."""
  assert shown.snapshots_of(points, count) == wanted


def test_the_reply_of_median_score_is_shown_and_never_an_empty_one():
  """Of 5, 1, 3 the third; without the empty one, of 5, 1 the lower."""
  assert shown.median_place([5.0, 1.0, 3.0], ['a', 'b', 'c']) == (2, 3)
  assert shown.median_place([5.0, 1.0, 3.0], ['a', 'b', ' ']) == (1, 2)
  assert shown.median_place([5.0, 1.0, 3.0], ['', '', '\n']) == (2, 3)
  assert shown.median_place([2.0, 2.0, 2.0], ['a', 'b', 'c']) == (1, 3)


def test_the_median_of_17_has_eight_on_either_side():
  score_C = np.random.default_rng(0).normal(size=17)
  place, of = shown.median_place(score_C, ['x'] * 17)
  assert of == 17 and (score_C < score_C[place]).sum() == 8


def test_pieces_are_what_each_token_adds():
  """An é of two bytes comes with its second; the end token adds nothing."""
  words = tiny.words()
  text = ' yes, caf\u00e9 3.'
  ids = words.encode(text) + [words.eos_id]
  pieces = shown.pieces_of(words.decode_reply, ids)
  assert len(pieces) == len(ids) and ''.join(pieces) == text
  assert pieces[-1] == '' and '\ufffd' not in ''.join(pieces)
  broken = ids[: pieces.index('\u00e9')]  # cut inside the character
  pieces = shown.pieces_of(words.decode_reply, broken)
  assert ''.join(pieces) == words.decode_reply(broken)


def test_rows_go_through_a_program_of_one_shape():
  asked = []

  def program(x_BT, y_B):
    asked.append(len(x_BT))
    return x_BT * y_B[:, None]

  x_NT, y_N = np.arange(10.0).reshape(5, 2), np.arange(5.0)
  found = shown.in_parts(program, (x_NT, y_N), 3)
  np.testing.assert_array_equal(found, x_NT * y_N[:, None])
  assert asked == [3, 3]


class HeldOut:
  """Every row says which it is; scores fall with the row."""

  def __init__(self, texts, tokens_NT):
    self.texts, self._tokens_NT, self.calls = texts, tokens_NT, []

  def measure(self, trained, iteration, row_offset):
    self.calls.append((trained, iteration, row_offset))
    N = len(self.texts)
    return {
      'score_0': -np.arange(N) - 0.5,
      'gold': np.full(N, np.nan),
      'kl': np.arange(N) * 1.0,
      'replies': [f' yes, {i} of them.' for i in range(N)],
      'tokens': self._tokens_NT,
      'prompt_length': np.full(N, 2),
      'total_length': np.full(N, 6),
    }


ASKED = [shown.Asked('p', 'helpful', 'add'), shown.Asked('q', 'harmless', 'z')]


@pytest.fixture
def reading(tmp_path):
  """Three replies each to two prompts, in an order of its own."""
  words = tiny.words()
  row = words.encode(' yes, 4 of them.')[:4]
  tokens_NT = np.array([[7, 7, *row, 0]] * 7)
  held_out = HeldOut(['q', 'p', 'p', 'q', 'q', 'p', 'p'], tokens_NT)

  def token_kl(trained, tokens_BT, start_B, end_B):
    column_BT = np.broadcast_to(np.arange(7.0), tokens_BT.shape)
    return column_BT * trained

  read = shown.Shown('x', ASKED, 3, held_out, words.decode_reply, token_kl)
  return read, held_out, tmp_path


def items(folder):
  return json.loads((folder / 'samples.json').read_text())


def test_a_snapshot_s_median_replies_are_kept_with_their_tokens(reading):
  """To p rows 1, 2, 5 (the seventh is one more), of scores -1.5, -2.5, -5.5."""
  read, held_out, folder = reading
  read.note(folder, 0.25, 8)
  assert held_out.calls == [(0.25, 8, shown.APART)]
  first, second = items(folder)
  assert (first['prompt'], first['kind'], first['family']) == ASKED[0]
  (reply,) = first['replies']
  assert reply['text'] == ' yes, 2 of them.'
  assert reply['scores'] == {'train PM': -2.5, 'KL': 2.0}  # no gold, no test PM
  assert reply['of'] == reply['counted'] == 3
  assert reply['range'] == [-5.5, -1.5]
  assert reply['k1'] == [0.5, 0.75, 1.0, 1.25]  # columns 2 to 5, a quarter
  assert len(reply['pieces']) == 4
  (other,) = second['replies']
  assert other['text'] == ' yes, 3 of them.'  # rows 0, 3, 4


def test_pi_0_has_no_tokens_to_mark(reading):
  read, _, folder = reading
  read.note(folder, 1.0, 0)
  assert 'k1' not in items(folder)[0]['replies'][0]


def test_a_run_that_was_killed_keeps_no_reply_twice(reading):
  """It goes on from iteration 2, and meets 4 again."""
  read, _, folder = reading
  for iteration in (0, 2, 4, 8, 4):
    read.note(folder, 1.0, iteration)
  kept = [reply['iteration'] for reply in items(folder)[0]['replies']]
  assert kept == [0, 2, 4]


def test_another_policy_s_replies_stay(reading):
  read, held_out, folder = reading
  read.note(folder, 1.0, 8)
  other = shown.Shown('y', ASKED[1:], 3, held_out, str)
  other.note(folder, 1.0, 0)
  found = {item['prompt']: item['replies'] for item in items(folder)}
  assert [reply['policy'] for reply in found['p']] == ['x']
  assert [reply['policy'] for reply in found['q']] == ['x', 'y']


def test_a_damaged_file_of_samples_is_one_line(reading):
  read, _, folder = reading
  (folder / 'samples.json').write_text('[{')
  with pytest.raises(DamagedError, match=r'samples\.json:1: not JSON'):
    read.note(folder, 1.0, 0)


def test_a_run_without_prompts_of_a_family_asks_none():
  config = {'shown': {'each': 0, 'replies': 17}}
  assert shown.of_run(config, None, None, None, None, None) is None


def test_a_run_asks_its_held_out_prompts_again():
  """Rows are whole batches: two prompts, five times each, in fours."""
  config = {'shown': {'each': 1, 'replies': 5}, 'eval_batch': 4}
  config |= {'scoring_parts': 2, 'max_reply': 3, 'temperature': 1.0}
  config |= {'role': 'linear', 'seed': 7, 'pm_size': ''}
  texts = ('p', 'q', 'p')
  kinds = ['helpful', 'harmless', 'helpful']
  held = tiny.namespace(texts=texts, kinds=kinds, world=None, pm_size='13K')
  asked = []
  shown.of_run(
    config,
    tiny.base(),
    trained.way_of({'trained': 'all'}),
    None,
    held,
    lambda config, found: asked.append((config['eval_prompts'], found)),
  )
  both = [('q', 'harmless'), ('p', 'helpful')]  # families by name
  assert asked == [(12, both * 5)]
