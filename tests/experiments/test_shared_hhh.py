"""The HHH comparisons: rows of tokens, choices, and accuracies by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny

from experiments import evaluate_hhh
from rlhf_jax.analysis.intervals import wilson_interval
from rlhf_jax.data.hhh import Choice

CONFIG = {'max_prompt': 24, 'max_answer': 6, 'edges': [16, 8], 'batch_size': 3}


def item(category='honest', said='draw cats', good=' yes.', bad=' no!'):
  return Choice(category, tiny.prompt(said), good, bad)


ITEMS = [
  item('honest'),
  item('honest'),
  item('harmless'),
  item('helpful'),
  item('helpful'),
]
# Good, then bad, of each: right, tie; wrong; right, right.
SCORES = np.array([2, 1, 3, 3, 0, 1, 5, 4, -1, -2.0])


def rows(score_N=SCORES, items=ITEMS):
  found = evaluate_hhh.accuracy_rows('plain', 'sum', score_N, items)
  return {row['category']: row for row in found}


def test_accuracy_is_counted_by_category_and_a_tie_is_half_right():
  found = rows()
  assert list(found) == ['harmless', 'helpful', 'honest', 'other', 'all']
  accuracy = {name: row['accuracy'] for name, row in found.items()}
  assert np.isnan(accuracy.pop('other'))  # there are none
  assert accuracy == pytest.approx(
    {'harmless': 0, 'helpful': 1, 'honest': 0.75, 'all': 3.5 / 5}
  )
  assert [row['n'] for row in found.values()] == [1, 2, 2, 0, 5]
  for row in found.values():
    assert row['judge'] == 'plain' and row['rule'] == 'sum'


def test_intervals_are_wilson_s():
  """z = 1.96, n = 5, p = .7: centre (p + z^2 / 2n) / (1 + z^2 / n)."""
  found, square = rows()['all'], 1.959964**2
  centre = (0.7 + square / 10) / (1 + square / 5)
  half = (0.7 * 0.3 / 5 + square / 100) ** 0.5 * 1.959964 / (1 + square / 5)
  assert found['low'] == pytest.approx(centre - half, abs=1e-6)
  assert found['high'] == pytest.approx(centre + half, abs=1e-6)
  assert found['low'] == wilson_interval(3.5, 5).low


def test_an_answer_is_read_up_to_end_of_context_and_starts_after_its_prompt():
  words = tiny.words()
  items = [item(), item(said='draw dogs and cats')]
  tokens_NT, first_N, length_N = evaluate_hhh.encode(words, items, CONFIG)
  assert tokens_NT.shape == (4, 31)  # 24 + 6, and end-of-context
  sides = [(x.prompt, answer) for x in items for answer in x[2:]]
  for row, (prompt, answer) in enumerate(sides):
    start, said = words.encode(prompt), words.encode(answer)
    assert first_N[row] == len(start)
    whole = [*start, *said, words.end_of_context_id]
    assert length_N[row] == len(whole)
    assert tokens_NT[row, : len(whole)].tolist() == whole
    assert not tokens_NT[row, len(whole) :].any()
  wide, _, _ = evaluate_hhh.encode(words, items, CONFIG, extra=9)
  assert wide.shape == (4, 40)


def test_every_row_is_chosen_over_once_whatever_its_length():
  """Batches of like length, the last one filled up with its last row."""
  length_N = np.array([5, 30, 7, 12, 6, 31, 8, 16, 9, 8])
  first_N = np.arange(10) + 100
  tokens_NT = np.arange(10)[:, None] + np.zeros((1, 31), np.int32)
  shapes = []

  def choose(base, weights, tokens_BT, first_B, length_B):
    assert base == 'params' and weights == [('frozen', 'trained')]
    assert (length_B <= tokens_BT.shape[1]).all()
    np.testing.assert_array_equal(first_B, tokens_BT[:, 0] + 100)
    shapes.append(tokens_BT.shape)
    return tokens_BT[:, 0] * 2.0, [length_B * 3.0]

  pms = [tiny.namespace(frozen='frozen', trained='trained')]
  logp_N, (score_N,) = evaluate_hhh.choose_all(
    choose,
    tiny.namespace(params='params'),
    pms,
    (tokens_NT, first_N, length_N),
    CONFIG,
    'test',
  )
  assert logp_N.tolist() == [2 * i for i in range(10)]
  assert score_N.tolist() == (3 * length_N).tolist()
  # 5, 7, 6, 8, 8 fit 8 columns, 12, 16, 9 fit 16, and 30, 31 need all.
  assert shapes == [(3, 8), (3, 8), (3, 16), (3, 31)]


def test_a_template_is_read_with_the_prompt_too():
  settings = tiny.namespace(_replace=lambda system: ('with', system))
  words = tiny.namespace(has_template=True, settings=settings)
  plain, prompted = evaluate_hhh.readings_of(
    tiny.namespace(tokenizer=words), 40
  )
  assert plain == ('plain', words, 0)
  name, other, more = prompted
  assert name == 'prompted' and more == 40
  assert other.settings == ('with', evaluate_hhh.HHH_PROMPT)
  assert words.settings is settings


def test_names_are_wanted_for_all_preference_models(tmp_path):
  config = {'pm_dirs': ['a'], 'pm_names': []}
  with pytest.raises(ValueError, match='each of the 1 pm_dirs, got 0'):
    evaluate_hhh.run(config, tmp_path)


def test_the_stage_judges_by_sum_by_mean_and_by_preference_model(
  tmp_path, monkeypatch
):
  """The good answers have the better mean; the longer one has the worse sum.

  Log-probabilities of -1 a token for good answers, -2 and -9 for bad ones.
  The question makes the bad ones likelier, by 1 and 3 nats, and no good one.
  """
  words = tiny.words()
  items = [
    item(good=' yes, 4 of them.', bad=' no!'),
    item('helpful', good=' no!', bad=' no!'),
  ]
  tokens_N = [len(words.encode(a)) for x in items for a in x[2:]]
  logp_N = np.array([-1, -2, -1, -9]) * tokens_N
  assert logp_N[0] < logp_N[1]  # of the first the sum prefers the bad one
  rows, prompts = [], []

  def choose_all(choose, base, pms, given, config, name):
    rows.append(given[2] - 1 - given[1])
    prompts.append(words.decode(given[0][0, : given[1][0]]))
    alone_N = logp_N - np.array([0.0, 1.0, 0.0, 3.0])
    logps = alone_N if name == 'plain, nothing asked' else logp_N
    return logps, [np.array([0.0, 1.0, 0.5, 0.5])] * len(pms)

  for name, value in (
    ('open_base', tiny.base()),
    ('open_scorer', 'pm'),
    ('read_hhh', items),
    ('make_chooser', None),
  ):
    monkeypatch.setattr(evaluate_hhh, name, lambda *_, v=value: v)
  monkeypatch.setattr(evaluate_hhh, 'choose_all', choose_all)
  config = CONFIG | {'base': 'rung:3K', 'role': 'hhh', 'seed': 0, 'half': 'all'}
  config |= {'data': {'path': ''}, 'system_tokens': 0, 'max_answer': 20}
  config |= {'pm_dirs': ['a'], 'pm_names': ['mix']}
  evaluate_hhh.run(config, tmp_path / 'hhh')
  assert [found.tolist() for found in rows] == [tokens_N, tokens_N]
  assert prompts == [items[0].prompt, evaluate_hhh.NOTHING_ASKED]
  table = pd.read_csv(tmp_path / 'hhh' / 'hhh.csv')
  table = table[table['category'] == 'all'].set_index('rule')
  # Words: 4 to 1, and a tie. The preference model: wrong, and a tie.
  wanted = {'words': 0.75, 'sum': 0.5, 'mean': 1.0, 'score': 0.25}
  wanted |= {'mutual information': 0.0}
  assert table['accuracy'].to_dict() == wanted
  about = json.loads((tmp_path / 'hhh' / 'config.json').read_text())
  named = {k: about[k] for k in ('stage', 'holds', 'trained', 'base')}
  assert list(named.values()) == ['evaluate_hhh', 'table', 'all', 'rung:3K']
