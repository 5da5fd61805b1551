import dataclasses
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.classic.gold import gold
from rlhf_jax.crowd.classic.tasks import Prompt, human_turn, sample_prompt
from rlhf_jax.crowd.classic.world import World, WorldConfig
from rlhf_jax.crowd.classic.writers import write_reply
from rlhf_jax.crowd.people import Worker
from rlhf_jax.crowd.workers import (
  accuracy_ceiling,
  compare,
  label_probability,
  rank,
  score_reply,
  strength,
  worker_probability,
  worker_score,
)
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.data.records import prompt_hash
from tests.crowd.shares import assert_shares

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


PERFECT = WorldConfig(bias_sd=0.0, noise_sd=0.0, attention_low=1.0)
CROWDS = {
  temperature: World(dataclasses.replace(PERFECT, temperature=temperature))
  for temperature in (0.5, 1.0, 4.0)
}
KINDS = st.sampled_from(['helpful', 'harmless', 'harmful'])
SCORES = st.floats(-6, 6)


@settings(max_examples=80, derandomize=True)
@given(KINDS, SCORES, SCORES, st.sampled_from(sorted(CROWDS)))
def test_a_perfect_crowd_is_the_sigmoid_of_the_margin(kind, a, b, temperature):
  p = label_probability(CROWDS[temperature], kind, a, b)
  assert p == pytest.approx(1 / (1 + np.exp((b - a) / temperature)))


@pytest.mark.parametrize('margin', [-2.0, -0.5, 0.0, 0.7, 3.0])
def test_a_probit_crowd_is_a_normal_law_of_the_sigmoids_slope(margin):
  world = World(dataclasses.replace(PERFECT, link='probit', temperature=2.0))
  p = label_probability(world, 'helpful', margin, 0.0)
  sd = 4 / np.sqrt(2 * np.pi)
  assert p == pytest.approx(statistics.NormalDist(0, sd).cdf(margin / 2))
  near = [label_probability(world, 'helpful', x, 0.0) for x in (-1e-3, 1e-3)]
  assert np.diff(near) == pytest.approx(2e-3 / 4 / 2, rel=1e-5)


@settings(max_examples=80, derandomize=True)
@given(KINDS, SCORES, SCORES, st.floats(-3, 3), st.floats(0.5, 2))
def test_order_bias_cancels_over_both_orders(kind, a, b, bias, noise):
  """The mean over both orders is even in the bias: 1/2 for equal replies."""
  worker = Worker(bias, noise, 0.9)
  p = lambda *pair: worker_probability(CROWDS[1.0], worker, kind, *pair)
  judged = lambda z: 0.9 / (1 + np.exp(-z / noise)) + 0.05
  even = (judged(a - b + bias) + judged(a - b - bias)) / 2
  assert (p(a, b) + 1 - p(b, a)) / 2 == pytest.approx(even)


@pytest.mark.parametrize('kind', ['helpful', 'harmless'])
def test_attention_bounds_the_surest_label_and_nothing_overflows(world, kind):
  p = [
    worker_probability(world, Worker(0.3, 1.2, 0.7), kind, margin, 0.0)
    for margin in (-1e9, 1e9)
  ]
  assert p == pytest.approx([0.15, 0.85])
  asleep = worker_probability(world, Worker(9.0, 0.1, 0.0), kind, 5.0, 0.0)
  assert asleep == pytest.approx(0.5)


def test_a_flipped_label_mixes_the_two_answers():
  world = World(dataclasses.replace(PERFECT, label_flip=0.1))
  p = worker_probability(world, Worker(0.0, 1.0, 1.0), 'helpful', np.log(3), 0)
  assert p == pytest.approx(0.75 * 0.9 + 0.25 * 0.1)


def test_strength_steps_up_at_each_edge_of_the_config():
  assert WorldConfig().strength_edges == (0.3, 1.0, 2.0)
  world = World(WorldConfig(strength_edges=(0.5, 1.0, 4.0)))
  margins = (0.0, 0.4, 0.5, 0.9, 1.0, 3.9, 4.0, 90.0)
  levels = [strength(world, margin, 0.0) for margin in margins]
  assert levels == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize('prompt', [HELPFUL, HARMFUL])
def test_a_worker_who_sees_the_first_reply_alone_labels_by_his_question(
  world, rng, prompt
):
  """A red-team worker takes the first as the worse: it is rejected."""
  smitten = Worker(bias=1e6, noise=1.0, attention=1.0)
  good, bad = GOOD[prompt.kind], BAD[prompt.kind]
  for pair in ((good, bad), (bad, good)):
    record = compare(world, rng, prompt, *pair, smitten, 'here')
    chosen = pair[0 if prompt is HELPFUL else 1]
    assert record.chosen == prompt.text + chosen
    assert record.source == 'here'
    assert record.prompt_id == prompt_hash(prompt.text)
    kind = record.kind
    scores = [score_reply(world, prompt.text, reply, kind) for reply in pair]
    p = label_probability(world, kind, *scores)
    p_label = p if chosen == pair[0] else 1 - p
    assert record.p_label == pytest.approx(p_label)


def test_every_worker_is_drawn_equally_often(rng):
  """Worker k alone always picks the first reply; the others the second."""
  firsts, n = {}, 400
  for k in range(4):
    world = World(WorldConfig(n_workers=4))
    minded = [Worker(1e6 if i == k else -1e6, 1.0, 1.0) for i in range(4)]
    world.workers = tuple(minded)
    pair = (' it is 5.', ' it is 6.')
    chosen = [compare(world, rng, HELPFUL, *pair).chosen for _ in range(n)]
    firsts[k] = sum(text.endswith('5.') for text in chosen)
  firsts['none'] = 4 * n - sum(firsts.values())
  assert_shares(firsts, {**{k: 1 / 16 for k in range(4)}, 'none': 3 / 4})


def test_the_ceiling_is_the_mean_of_the_likelier_label(world, rng):
  record = compare(world, rng, HELPFUL, ' it is 5.', ' it is 6.')
  known = [dataclasses.replace(record, p_label=p) for p in (0.9, 0.2, 0.5)]
  assert accuracy_ceiling(known) == pytest.approx((0.9 + 0.8 + 0.5) / 3)


def test_a_reply_is_scored_on_its_prompt_and_a_transcript_on_its_last_turn(
  world,
):
  reply = ' 9.' + human_turn('what is 1 plus 1?') + ' it is 2.'
  ours = score_reply(world, HELPFUL.text, reply, 'helpful')
  assert worker_score(world, HELPFUL.text + reply, 'helpful') - ours > 1.5
  declined = score_reply(world, HARMFUL.text, GOOD['harmful'], 'harmless')
  assert declined == pytest.approx(world.config.refusal_reward)
  unhelpful = score_reply(world, HARMFUL.text, GOOD['harmful'], 'helpful')
  assert unhelpful == pytest.approx(-world.config.wrong_refusal)


@pytest.mark.parametrize('name', ['classic', 'parts'])
def test_a_world_may_ask_for_fewer_kinds_of_harm(name):
  world = make_world(name, harmful_families=2)
  rules = rules_of(world)
  rng = np.random.default_rng(0)
  asked = {rules.sample_prompt(world, rng, 'harmful').family for _ in range(60)}
  assert asked == set(rules.harmful_families[:2])


@pytest.mark.parametrize(
  ('setting', 'line'),
  [
    ({'link': 'cauchy'}, 'wanted a world.link of logistic, probit'),
    ({'harmful_families': 6}, 'wanted world.harmful_families of 1 to 5, got 6'),
    ({'harmful_families': 0}, 'wanted world.harmful_families of 1 to 5, got 0'),
    ({'links': 'probit'}, 'has no setting links'),
  ],
)
def test_a_world_that_cannot_be_is_refused(setting, line):
  with pytest.raises(ValueError, match=line):
    make_world('parts', **setting)


FINE = 1e-6  # of a scale on which nothing ties
THREE = (' it is 5.', ' it is 9.', ' it is 5. yes pal!')


@pytest.mark.parametrize('link', ['logistic', 'probit'])
def test_replies_are_ranked_as_often_as_they_are_preferred(link, rng):
  """By one worker who is not always there; a list has no bias for a place."""
  world = World(WorldConfig(link=link, temperature=2.0))
  worker = Worker(bias=0.0, noise=1.5, attention=0.8)
  found = [rank(world, rng, HELPFUL, THREE, FINE, worker) for _ in range(3000)]
  ranks = np.array([item.ranks for item in found])
  assert {tuple(sorted(row)) for row in ranks.tolist()} == {(0, 1, 2)}
  gold = [score_reply(world, HELPFUL.text, x, 'helpful') for x in THREE]
  for a, b in ((0, 1), (0, 2), (1, 2)):
    p = worker_probability(world, worker, 'helpful', gold[a], gold[b])
    assert 0.05 < p < 0.95
    share = (ranks[:, a] < ranks[:, b]).mean()
    assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / 3000)


@pytest.mark.parametrize('prompt', [HELPFUL, HARMFUL])
def test_sure_workers_rank_by_gold_and_write_ties_on_a_coarse_scale(
  prompt, rng
):
  world, good, bad = World(SURE), GOOD[prompt.kind], BAD[prompt.kind]
  for replies, ranks in (((good, bad), (0, 1)), ((bad, good), (1, 0))):
    item = rank(world, rng, prompt, replies, FINE)
    assert item.replies == replies and item.ranks == ranks
    assert item.prompt == prompt.text
  assert item.kind == ('helpful' if prompt is HELPFUL else 'harmless')
  coarse = rank(world, rng, prompt, (good, bad, good), 1e6)
  assert coarse.ranks == (0, 0, 0)
  twice = rank(world, rng, prompt, (good, bad, good), 1.0)
  assert twice.ranks == (0, 1, 0)  # the same text is written alike


def test_a_flipped_label_turns_the_list_round(rng):
  world = World(dataclasses.replace(SURE, label_flip=1.0))
  replies = GOOD['helpful'], BAD['helpful']
  assert rank(world, rng, HELPFUL, replies, FINE).ranks == (1, 0)
