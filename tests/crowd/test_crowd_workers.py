import dataclasses

import numpy as np
import pytest

from rlhf_jax.crowd.gold import gold
from rlhf_jax.crowd.tasks import Prompt, human_turn, sample_prompt
from rlhf_jax.crowd.workers import (
  accuracy_ceiling,
  compare,
  label_probability,
  strength,
  worker_probability,
  worker_score,
)
from rlhf_jax.crowd.world import Worker, World, WorldConfig
from rlhf_jax.crowd.writers import write_reply

HELPFUL = Prompt(human_turn('what is 2 plus 3?'), 'helpful', 'add')
HARMFUL = Prompt(
  human_turn('how do i build a bomb near mira?'), 'harmful', 'weapon'
)
GOOD = {'helpful': ' it is 5.', 'harmful': ' i refuse to do that.'}
BAD = {'helpful': ' it is 9.', 'harmful': ' you only need the fuse.'}
SURE = WorldConfig(temperature=1e-3, bias_sd=0.0, attention_low=1.0)


def some_comparisons(world, rng, n):
  prompts = [sample_prompt(world, rng) for _ in range(n)]
  write = lambda prompt: write_reply(world, rng, prompt, rng.random())
  return [compare(world, rng, p, write(p), write(p)) for p in prompts]


def test_label_probability_is_the_mean_over_a_naive_crowd(world):
  for kind, sign in (('helpful', 1), ('harmful', -1)):
    naive = []
    for worker in world.workers:
      z = (0.7 - 0.2 + sign * worker.bias) / worker.noise
      judged = 1 / (1 + np.exp(-z))
      naive.append(worker.attention * judged + (1 - worker.attention) / 2)
    p = label_probability(world, kind, 0.7, 0.2)
    assert p == pytest.approx(np.mean(naive))


def test_label_probability_takes_arrays(world):
  a, b = np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.5, -1.0])
  p = label_probability(world, 'helpful', a, b)
  each = [
    label_probability(world, 'helpful', x, y) for x, y in zip(a, b, strict=True)
  ]
  np.testing.assert_allclose(p, each)
  assert np.all(np.diff(p) > 0)


def test_one_worker_by_hand(world):
  worker = Worker(bias=0.5, noise=2.0, attention=0.8)
  p = worker_probability(world, worker, 'helpful', 1.0, 0.5)
  assert p == pytest.approx(0.8 / (1 + np.exp(-0.5)) + 0.1)
  p = worker_probability(world, worker, 'harmless', 1.0, 0.5)
  assert p == pytest.approx(0.8 / 2 + 0.1)


@pytest.mark.parametrize('prompt', [HELPFUL, HARMFUL])
def test_sure_workers_choose_the_better_reply_in_either_order(rng, prompt):
  world = World(SURE)
  good, bad = GOOD[prompt.kind], BAD[prompt.kind]
  for replies in ((good, bad), (bad, good)):
    record = compare(world, rng, prompt, *replies)
    assert record.chosen == prompt.text + good
    assert record.rejected == prompt.text + bad
    assert record.p_label == pytest.approx(1.0)
  assert record.kind == ('helpful' if prompt is HELPFUL else 'harmless')


@pytest.mark.parametrize('prompt', [HELPFUL, HARMFUL])
def test_p_label_is_the_frequency_of_the_label(world, rng, prompt):
  good = GOOD[prompt.kind] + ' also keep maps.'
  other = good.replace('maps', 'dates') + ' yes pal!'
  records = [compare(world, rng, prompt, good, other) for _ in range(1500)]
  first = [r for r in records if r.chosen == prompt.text + good]
  p = first[0].p_label
  assert 0.05 < p < 0.95
  assert abs(len(first) / 1500 - p) < 4 * np.sqrt(p * (1 - p) / 1500)
  last = next(r for r in records if r.rejected == prompt.text + good)
  assert last.p_label == pytest.approx(1 - p)


def test_the_probability_is_calibrated_over_many_pairs(world, rng):
  records = some_comparisons(world, rng, 2000)
  p = np.array([r.p_label for r in records])
  hit = np.mean(p > 0.5)
  ceiling = accuracy_ceiling(records)
  assert abs(hit - ceiling) < 0.05
  assert 0.68 <= ceiling <= 0.85


def test_flipped_labels_lower_the_ceiling_to_one_minus_p(rng):
  """With p-flipped labels the best accuracy is 1 - p (checklist 29)."""
  for flip in (0.0, 0.2, 0.5):
    world = World(dataclasses.replace(SURE, label_flip=flip))
    records = [compare(world, rng, HELPFUL, ' it is 5.', ' it is 9.')] * 3
    records += [compare(world, rng, HARMFUL, ' you need the fuse.', ' ok.')]
    assert accuracy_ceiling(records) == pytest.approx(1 - flip)
  fair = [compare(world, rng, HELPFUL, ' it is 5.', ' ') for _ in range(200)]
  right = np.mean([r.chosen.endswith('5.') for r in fair])
  assert 0.35 < right < 0.65


def test_hotter_crowds_have_lower_ceilings():
  ceilings = []
  for temperature in (0.5, 1.0, 2.0):
    world = World(WorldConfig(temperature=temperature))
    records = some_comparisons(world, np.random.default_rng(0), 300)
    ceilings.append(accuracy_ceiling(records))
  assert ceilings[0] > ceilings[1] > ceilings[2]


def test_strength_grows_with_the_margin_and_ignores_its_sign(world):
  levels = [strength(world, 0.0, margin) for margin in (0.1, 0.5, 1.5, 3.0)]
  assert levels == [1, 2, 3, 4]
  assert strength(world, 3.0, 0.0) == 4


def test_worker_score_is_the_part_of_gold_that_was_asked_for(world):
  text = HARMFUL.text + GOOD['harmful']
  judged = gold(world, text)
  assert worker_score(world, text, 'helpful') == judged.helpful
  assert worker_score(world, text, 'harmful') == judged.harmless
  assert worker_score(world, text, 'harmless') == judged.harmless
