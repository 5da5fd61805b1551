"""Rankings of a study: prompts, replies, ranks, and the jobs of their theme."""

import itertools
import json

import numpy as np
import pytest
import shared_fixture as tiny

from experiments import make_rankings
from experiments.shared import comparisons, policies, rankings, writers
from experiments.studies import kwise, registry
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.data.rankings import (
  make_ranking,
  read_rankings,
  write_rankings,
)
from rlhf_jax.train.about import RunError
from tests.test_configs import _config

WORDS = tiny.words()
CONFIG = {
  'prompts': 20,
  'test_prompts': 10,
  'test_fraction': 0.3,
  'data': {'split_seed': 0},
  'least': 2,
  'most': 4,
  'tie_step': 1.0,
  'max_prompt': 40,
  'max_reply': 40,
  'sample_batch': 16,
}


def test_prompts_come_once_and_stay_on_the_side_of_their_comparisons():
  world, rng = make_world(), np.random.default_rng(0)
  found = make_rankings.draw_prompts(CONFIG, world, rng)
  texts = {side: [x.text for x in own] for side, own in found.items()}
  assert [len(texts[side]) for side in ('train', 'test')] == [20, 10]
  assert len({*texts['train'], *texts['test']}) == 30
  items = [
    tiny.make_comparison(f'{text} yes', f'{text} no', 's')
    for own in texts.values()
    for text in own
  ]
  train, test = split_by_prompt(items, [0.7, 0.3], 0)
  prompt = lambda item: item.chosen.removesuffix(' yes')
  assert {prompt(x) for x in train} == {*texts['train']}
  assert {prompt(x) for x in test} == {*texts['test']}


def test_too_few_different_prompts_are_one_line(monkeypatch):
  world = make_world()
  few = make_rankings.sources.sample_prompts(world, np.random.default_rng(0), 5)
  monkeypatch.setattr(make_rankings.sources, 'sample_prompts', lambda *_: few)
  with pytest.raises(RunError, match='wanted 20 and 10 different prompts, the'):
    make_rankings.draw_prompts(CONFIG, world, np.random.default_rng(0))


def sample(params, rows, rng):
  """Reply number n of all is 'n of them'."""
  del params, rng
  tokens_BT, length_B = np.zeros((len(rows.row_B), 90), np.int32), []
  for out, ids, n, row in zip(tokens_BT, *rows, strict=True):
    said = WORDS.encode(f' {row} of them.')
    whole = [*ids[:n].tolist(), *said, WORDS.eos_id]
    out[: len(whole)] = whole
    length_B.append(len(whole))
  return tokens_BT, rows.length_B, np.array(length_B)


@pytest.fixture(scope='module')
def found():
  """{side: [Ranking]} of three prompts and of two."""
  world, rng = make_world(), np.random.default_rng(1)
  prompts = make_rankings.sources.sample_prompts(world, rng, 5)
  writer = writers.Writer(sample, None, WORDS, policies.decoded)
  args = CONFIG, writer, world
  return {
    'train': make_rankings.ranked(*args, prompts[:3], rng),
    'test': make_rankings.ranked(*args, prompts[3:], rng),
  }


def test_each_prompt_gets_its_own_replies_in_turn(found):
  said = [reply for item in found['train'] for reply in item.replies]
  assert [int(reply.split()[0]) for reply in said] == list(range(len(said)))
  for item in (*found['train'], *found['test']):
    assert 2 <= len(item.replies) <= 4 and min(item.ranks) == 0
    assert item.source == 'crowd'


def test_numbers_of_replies_are_drawn_evenly(monkeypatch):
  monkeypatch.setattr(
    make_rankings.writers, 'replies_of', lambda writer, texts, *_: texts
  )
  counted = lambda world, rng, prompt, own, step: len(own)
  monkeypatch.setattr(make_rankings.workers, 'rank', counted)
  prompts = [tiny.namespace(text='x')] * 3000
  args = CONFIG, None, None, prompts, np.random.default_rng(0)
  count_N = np.array(make_rankings.ranked(*args))
  shares = [(count_N == k).mean() for k in (2, 3, 4)]
  assert sum(shares) == pytest.approx(1)
  # Four standard errors of a third of 3,000.
  np.testing.assert_allclose(shares, 1 / 3, atol=0.035)


def test_pairs_and_prompts_are_those_of_a_stage_of_comparisons(
  found, tmp_path, monkeypatch
):
  monkeypatch.setattr(make_rankings, 'text_tokenizer', lambda _: WORDS)
  counts = make_rankings.write_pairs(CONFIG, tmp_path, found)
  for side in ('train', 'test'):
    pairs = comparisons.load_pairs(tmp_path, side)
    assert len(pairs.kind_N) == counts[side]['pairs'] > 0
    assert np.isnan(pairs.p_label_N).all()
    ranks = [
      pair
      for item in found[side]
      if len({*item.ranks}) > 1  # else it has no order, and is left out
      for pair in itertools.combinations(item.ranks, 2)
    ]
    ordered = sum(a != b for a, b in ranks)
    assert counts[side]['pairs'] == ordered
    assert counts[side]['tied'] == pytest.approx(1 - ordered / len(ranks))
  prompts = json.loads((tmp_path / 'prompts.json').read_text())
  assert [x for x, _ in prompts['train']] == [x.prompt for x in found['train']]


def test_the_share_of_ties_is_counted_over_pairs_of_replies():
  said = [' yes', ' no', ' draw it']
  items = [
    make_ranking(tiny.prompt('draw cats'), said, ranks, 's')
    for ranks in ((0, 1, 1), (0, 1, 2))
  ]
  arrays, _ = rankings.encode_rankings(items, WORDS, 60, 20)
  assert rankings.tied_share(arrays) == pytest.approx(1 / 6)


def test_demonstrations_are_an_expert_s_replies():
  world, rng = make_world(), np.random.default_rng(0)
  prompts = make_rankings.sources.sample_prompts(world, rng, 40)
  found = make_rankings.demonstrations_of(world, prompts, rng)
  assert [x.prompt for x in found] == [x.text for x in prompts]
  assert {x.kind for x in found} == {'helpful', 'harmless'}
  assert all(len(x.replies) == 1 and x.ranks == (0,) for x in found)
  gold = make_rankings.workers.score_reply
  expert = np.mean([gold(world, x.prompt, x.replies[0], x.kind) for x in found])
  other = np.mean([gold(world, x.prompt, ' no.', x.kind) for x in found])
  assert expert > other + 0.5


def test_fewer_replies_at_most_than_at_least_are_refused(tmp_path):
  with pytest.raises(ValueError, match='wanted most of 4 replies or more'):
    make_rankings.run(CONFIG | {'least': 4, 'most': 3}, tmp_path / 'x')
  assert not (tmp_path / 'x').exists()


def test_records_are_told_apart_by_their_side(found, tmp_path):
  write_rankings(tmp_path / 'train.jsonl.gz', found['train'])
  assert read_rankings(tmp_path / 'train.jsonl.gz') == found['train']


def jobs(preset='full', seeds=(200,)):
  config = _config('reproduce', preset)
  config |= {'seeds': list(seeds), 'themes': ['kwise']}
  return {job.name: job for job in registry.all_jobs(config, '/r')}


def test_models_of_a_seed_share_rankings_rate_and_batches():
  """All but what is learned and how often; the best of K once."""
  found = jobs(seeds=(200, 201))
  assert sum(name.startswith('rankings/') for name in found) == 2
  own = [
    found[f'pm/ranked_{x}-42K-mix-all-s200']
    for x in ('kwise_1', 'kwise_2', 'shuffled_1', 'shuffled_2', 'best_of_1')
  ]
  same = {'role', 'loss', 'epochs'}
  plain = [{k: v for k, v in x.config.items() if k not in same} for x in own]
  assert all(x == plain[0] for x in plain)
  assert plain[0]['comparisons_dir'] == '/r/rankings/s200'
  assert [(x.config['loss'], x.config['epochs']) for x in own] == [
    *(('kwise', 1), ('kwise', 2), ('shuffled', 1), ('shuffled', 2)),
    ('best_of', 1),
  ]
  assert 'comparisons' not in found  # they are not read
  made = found['rankings/s201'].config
  assert (made['seed'], made['lm_dir']) == (201, '/r/lm/197K')
  assert kwise.LOSSES == ('kwise', 'shuffled')
