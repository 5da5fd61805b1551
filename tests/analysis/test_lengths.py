"""Gains at matched length and by length, worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import figures, lengths
from rlhf_jax.analysis.claims import samples
from rlhf_jax.analysis.drawings import samples as drawings
from rlhf_jax.analysis.findings import NotHereError
from tests.analysis import small


def replies(words, scores, player='pi_0', kinds=None, **more):
  """Rows of game_replies, a prompt each."""
  kinds = kinds or ['helpful'] * len(words)
  rows = [
    {'player': player, 'prompt': i, 'kind': kinds[i], 'words': words[i]}
    | {'train_pm': scores[i], 'gold': scores[i]}
    | {'refused': 0, 'repeats': 0.0}
    | more
    for i in range(len(words))
  ]
  return pd.DataFrame(rows)


def test_a_gain_that_is_length_alone_is_found_to_be():
  """pi_0 scores .1 a word; the policy writes its longer replies only."""
  words = list(range(1, 13)) * 10
  before = replies(words, [0.1 * w for w in words])
  longer = [w + 6 if w <= 6 else w for w in words]
  after = replies(longer, [0.1 * w for w in longer], '@4')
  found = lengths.length_gain(before, after, 'train_pm')
  assert found.gain == pytest.approx(0.3)
  # Two lengths to a bin: as many of each as pi_0 has, so nothing is lost.
  assert found.by_length == pytest.approx(0.3)
  assert found.share == pytest.approx(1)
  assert found.words == pytest.approx(3)
  assert found.matched == 0 and found.n_matched == 60


def test_a_gain_at_equal_length_has_no_share_of_it():
  words = [4, 8, 12, 16] * 5
  before = replies(words, np.zeros(20))
  after = replies(words, np.ones(20), '@4', refused=1, repeats=0.25)
  found = lengths.length_gain(before, after, 'train_pm')
  assert (found.gain, found.matched, found.by_length) == (1, 1, 0)
  assert (found.refused, found.repeats, found.share) == (1, 0.25, 0)


def test_a_tenth_of_the_longer_reply_is_matched():
  before = replies([9, 9, 10], [0, 0, 0])
  after = replies([10, 11, 9], [1, 5, 3], '@4')
  found = lengths.length_gain(before, after, 'train_pm')
  assert found.n_matched == 2 and found.matched == 2
  apart = lengths.length_gain(before[1:2], after[1:2], 'train_pm')
  assert math.isnan(apart.matched) and apart.n_matched == 0


def test_prompts_are_paired_by_their_number():
  before = replies([5, 5], [0.0, 10.0])
  after = replies([5, 5], [1.0, 12.0], '@4')[::-1]
  found = lengths.length_gain(before, after, 'train_pm')
  assert found.matched == pytest.approx(1.5)


def test_lengths_that_pi_0_never_writes_count_as_its_nearest():
  found = lengths.reweighed([0.0, 1.0], [2, 4], [40, 50], bins=2)
  assert found == pytest.approx(0.5)
  assert lengths.reweighed([0.0, 1.0], [2, 4], [1, 1], bins=2) == -0.5


def test_kinds_are_reweighed_apart():
  """Long helpful replies score 1, long harmless ones 0: mixed they would not.

  The policy writes long replies to both: helpful ones gain .5, harmless lose.
  """
  words = [2, 9] * 4
  kinds = ['helpful'] * 4 + ['harmless'] * 4
  before = replies(words, [0, 1, 0, 1, 1, 0, 1, 0], kinds=kinds)
  helpful = [9, 9, 9, 9, 2, 9, 2, 9]
  after = replies(helpful, np.zeros(8), '@4', kinds=kinds)
  found = lengths.length_gain(before, after, 'train_pm')
  assert found.by_length == pytest.approx(0.5 * 0.5)


def tables():
  rows = []
  for seed in small.SEEDS:
    run = {'role': 'games', 'half': 'a', 'seed': seed, 'size': 'S'}
    for player, gain in (('pi_0', 0), ('@2', 1), ('@8', 2 + 0.1 * seed)):
      more = {'refused': gain / 4, 'repeats': 0.0}
      own = replies([4, 8, 12], [gain, 1 + gain, 2 + gain], player, **more)
      rows += [run | row for row in own.to_dict('records')]
  return {'game_replies': small.table('game_replies', rows)}


def test_the_check_is_of_the_last_policy():
  found = samples.length_of_gain(tables())
  assert found['measured']['gain_train_pm'] == pytest.approx(2.1)
  assert found['measured']['matched_gold'] == pytest.approx(2.1)
  assert found['measured']['share_by_length'] == 0
  assert found['measured']['refused'] == pytest.approx(2.1 / 4)
  assert found['ci'] == pytest.approx(small.interval([2.0, 2.1, 2.2]))
  assert (found['seeds'], found['verdict']) == (3, 'reported')
  with pytest.raises(NotHereError):
    samples.length_of_gain({})


def test_the_figure_has_three_gains_and_the_form_of_replies():
  found = tables()
  canvas = figures.Canvas(found)
  drawings.length_and_format(canvas, found)
  gain, words, repeats, refused = canvas.figure.axes
  labels = gain.get_legend_handles_labels()[1]
  assert labels == ['all', 'as many words', 'by length']
  np.testing.assert_allclose(gain.lines[0].get_ydata(), [0, 1, 2.1])
  np.testing.assert_allclose(words.lines[0].get_ydata(), 0)
  np.testing.assert_allclose(refused.lines[0].get_ydata()[-1], 2.1 / 4)
