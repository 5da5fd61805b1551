"""Label sources: workers, a preference model, people who take their time."""

import json

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import comparisons, label_sources, sources
from rlhf_jax.crowd import workers
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.train.about import RunError

ASKED = [
  label_sources.Asked(tiny.prompt(f'draw {i}'), 'helpful', ' yes!', f' no {i}.')
  for i in range(6)
]


def test_the_crowd_compares_as_it_does_the_base_tranche():
  world = sources.world_of(tiny.world_settings())
  crowd, rng = (
    label_sources.Crowd(world, 'helpful-online'),
    np.random.default_rng(3),
  )
  found = crowd.label(ASKED, rng, 4)
  assert found.position == {} and len(found.comparisons) == 4
  rng = np.random.default_rng(3)
  for item, asked in zip(found.comparisons, ASKED, strict=False):
    first, second = asked.first, asked.second
    wanted = workers.compare(world, rng, asked, first, second)
    assert (item.chosen, item.p_label) == (wanted.chosen, wanted.p_label)
    assert item.source == 'helpful-online' and item.kind == 'helpful'


def test_a_judge_chooses_by_its_scores_with_the_odds_that_it_says():
  """Scores 2 and 0: sigmoid(2) = .881; draws below choose the first."""
  scores = {' yes!': 2.0}
  score = lambda texts, said: np.array([scores.get(x, 0.0) for x in said])
  judge = label_sources.Judge(score, 'helpful-online')
  draws = iter([0.1, 0.88, 0.89, 0.99])
  rng = tiny.namespace(random=lambda: next(draws))
  found = judge.label(ASKED, rng, 4).comparisons
  p = 1 / (1 + np.exp(-2.0))
  assert [x.chosen.endswith('yes!') for x in found] == [
    True,
    True,
    False,
    False,
  ]
  assert [x.p_label for x in found] == pytest.approx([p, p, 1 - p, 1 - p])
  assert all(x.rejected != x.chosen for x in found)
  assert len({x.prompt_id for x in found}) == 4


def answer(asked, first_wins):
  sides = [asked.text + asked.first, asked.text + asked.second]
  chosen, rejected = sides if first_wins else sides[::-1]
  return json.dumps({'chosen': chosen, 'rejected': rejected}) + '\n'


def people(tmp_path, position=None, run='run1'):
  folder = tmp_path / run
  folder.mkdir(exist_ok=True)
  config = {'labels': 'people', 'source': 'helpful-online'}
  config |= {'queue': str(tmp_path / 'queue'), 'data': {'on_error': 'raise'}}
  return label_sources.source_of(config, folder, position or {}, None), folder


def test_people_are_offered_the_pairs_and_waited_for(tmp_path):
  queue = tmp_path / 'queue'
  queue.mkdir()
  source, folder = people(tmp_path)
  with pytest.raises(RunError, match='has 0 new comparisons, wanted 2: have'):
    source.label(ASKED[:2], None, 2)
  offered = [json.loads(x) for x in (folder / 'asked.jsonl').open()]
  assert [row['chosen'] for row in offered] == [
    x.text + x.first for x in ASKED[:2]
  ]
  assert not any('p_label' in row for row in offered)
  file = queue / 'answers.jsonl'
  file.write_text(answer(ASKED[0], True) + answer(ASKED[1], False)[:-9])
  with pytest.raises(RunError, match='has 1 new comparisons, wanted 2'):
    source.label(ASKED[:2], None, 2)
  more = [answer(ASKED[i], i != 1) for i in range(3)]
  file.write_text(''.join(more))
  found = source.label(ASKED[:2], None, 2)
  assert [x.chosen[-5:] for x in found.comparisons] == [' yes!', 'no 1.']
  # The next round goes on behind the second answer.
  source, _ = people(tmp_path, found.position, 'run2')
  later = source.label(ASKED[2:3], None, 1)
  assert later.comparisons[0].chosen == ASKED[2].text + ' yes!'
  assert np.isnan(later.comparisons[0].p_label)


def test_what_people_chose_is_never_drawn_anew(tmp_path):
  """An answer is an offered row, its texts exchanged or not; odds say nothing.

  Of even odds every second choice would be turned round.
  """
  queue = tmp_path / 'queue'
  queue.mkdir()
  source, _ = people(tmp_path)
  rows = [json.loads(answer(x, i % 2)) for i, x in enumerate(ASKED)]
  lines = [json.dumps(row | {'p_label': 0.5}) + '\n' for row in rows]
  (queue / 'answers.jsonl').write_text(''.join(lines))
  found = source.label(ASKED, None, len(ASKED)).comparisons
  assert [x.chosen for x in found] == [row['chosen'] for row in rows]
  pairs, counts = encode_pairs(found, tiny.words(), 40, 16)
  assert counts['kept'] == len(ASKED)
  drawn = comparisons.redraw_labels(pairs, np.random.default_rng(0))
  for before, after in zip(pairs, drawn, strict=True):
    np.testing.assert_array_equal(before, after)


def test_no_world_and_no_such_source_are_said(tmp_path):
  real = {'labels': 'crowd', 'source': 'x', 'data': {'source': 'hh'}}
  with pytest.raises(ValueError, match="wants data.source='simulated', got 'h"):
    label_sources.source_of(real, tmp_path, {}, None)
  with pytest.raises(ValueError, match='crowd, judge, people, got .oracle'):
    label_sources.source_of(real | {'labels': 'oracle'}, tmp_path, {}, None)
