"""Training on rankings: what a batch holds, what is noted, where 0 lies."""

import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny
import tiny_stages

from experiments import make_rankings, train_pm
from experiments.shared import comparisons, ranking_plan, rankings
from experiments.shared.models import open_scorer
from experiments.shared.trained import Way
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.rankings import make_ranking, write_rankings
from rlhf_jax.losses import preference
from rlhf_jax.text.encode import encode_prompt, encode_reply
from rlhf_jax.train.run import Run
from rlhf_jax.types import SharedCandidates, WeightedPairs
from tests.test_configs import _config

WORDS = tiny.words()
CONFIG = tiny.PM | {
  'loss': 'kwise',
  'epochs': 2,
  'batch_size': 2,
  'data': {'source': 'rankings', 'path': '', 'split_seed': 0},
  'comparisons_dir': '',
  'reading': {'max_prompt': 30, 'max_reply': 12, 'test_fraction': 0.4},
}
WAY = Way('head', lambda frozen, trained: {**frozen, **trained}, None)
SAID = (' yes, many.', ' no!', ' draw it', ' cats and dogs')


def records(count=12):
  """Three or four replies to different prompts, one of which ties."""
  return [
    make_ranking(
      tiny.prompt(f'draw {i} {tiny.ANIMALS[i % 12]}s'),
      SAID[: 3 + i % 2],
      ([0, 1, 1, 2] if i % 3 else [2, 0, 1, 3])[: 3 + i % 2],
      's',
      ('helpful', 'harmless')[i % 2],
    )
    for i in range(count)
  ]


@pytest.fixture(scope='module')
def file(tmp_path_factory):
  path = tmp_path_factory.mktemp('rankings') / 'all.jsonl'
  write_rankings(path, records())
  return path


def settings(file, **changes):
  data = CONFIG['data'] | {'path': str(file)}
  return CONFIG | {'data': data} | changes


def length_score(params, rows):
  """The head's bias, and its kernel times how far down a reply ends."""
  last = jnp.asarray(rows.last_BC, jnp.float32)
  return params['head']['kernel'] * 0.1 * last + params['head']['bias']


def pair_score(params, rows):
  last = jnp.asarray(rows.last_B2, jnp.float32)
  score = params['head']['kernel'] * 0.1 * last + params['head']['bias']
  return score[:, 0], score[:, 1]


class Functions(NamedTuple):
  """What of a model is asked here."""

  candidate_score_fn: Any = length_score
  pair_score_fn: Any = pair_score


BASE = tiny.namespace(functions=Functions(), tokenizer=WORDS, size='tiny')
PARAMS = {'head': {'kernel': jnp.float32(1.0), 'bias': jnp.float32(0.5)}}


def planned(config):
  """(Ranked, plan) of a config."""
  ranked = rankings.read_pairs(config, BASE)
  drawn = comparisons.drawn_pairs(config, ranked)
  return ranked, ranking_plan.plan_of(config, BASE, WAY, None, ranked, drawn)


def test_a_file_is_split_by_prompt_and_counted(file):
  ranked = rankings.read_pairs(settings(file), BASE)
  sizes = [len(ranked.sides[x][0].kind_N) for x in ('train', 'test')]
  assert sum(sizes) == 12 and min(sizes) >= 2
  assert [ranked.counts[x]['kept'] for x in ('train', 'test')] == sizes
  for side, pairs in zip(('train', 'test'), ranked[:2], strict=True):
    assert len(pairs.kind_N) == len(ranked.sides[side][1].weight_M)
  assert ranked.demonstrations is None


def test_a_batch_of_rankings_has_all_their_replies_and_its_twin_their_pairs(
  file,
):
  """Equal steps; over all of them the same comparisons, at equal weights.

  A prompt's replies stand in one row of a batch, so that all of its pairs are
  in one element (checklist 22).
  """
  ranked, together = planned(settings(file))
  (arrays, pairs), _ = ranked.sides.values()
  prompts = len(arrays.kind_N)
  assert together.total == 2 * prompts // 2
  batch = next(together.batches)
  assert isinstance(batch, SharedCandidates) and len(batch.prefix_B) == 2
  own = together.rows[together.batches.last_rows]
  np.testing.assert_array_equal(batch.rank_BC, arrays.rank_NC[own])
  for n, rank_C in zip(own, batch.rank_BC, strict=True):
    there = rank_C[rank_C >= 0]
    ordered = (there[:, None] < there).sum()
    assert ordered == (pairs.place_M3[:, 0] == n).sum() > 1
  _, apart = planned(settings(file, loss='shuffled'))
  assert apart.total == together.total and apart.pairs == together.pairs
  assert apart.pairs == pytest.approx(2 * len(pairs.weight_M) / together.total)
  rows = next(apart.batches)
  assert isinstance(rows, WeightedPairs)
  assert len(rows.weight_B) == int(apart.pairs)
  taken = apart.rows[apart.batches.last_rows]
  np.testing.assert_array_equal(rows.weight_B, pairs.weight_M[taken])
  assert len(set(pairs.place_M3[taken, 0])) > 2  # of more prompts than two


@pytest.mark.parametrize('loss', ['kwise', 'best_of', 'shuffled'])
def test_a_step_descends_the_loss_that_is_asked_for(loss, file):
  """Of the first batch, by the scores above."""
  _, plan = planned(settings(file, loss=loss))
  batch, tx = next(plan.batches), ranking_plan.make_optimiser(b2=0.9)
  state = train_pm.init_state(jax.tree.map(jnp.array, PARAMS), tx)
  hyper = train_pm.PMHyper(0.1)
  after, metrics = plan.step(state, {}, batch, jax.random.key(0), hyper)
  if loss == 'shuffled':
    wanted = preference.pairwise_loss(
      *pair_score(PARAMS, batch), batch.weight_B
    )
  else:
    scores = length_score(PARAMS, batch)
    wanted = ranking_plan.LOSSES[loss](scores, batch.rank_BC)
  assert float(metrics['loss']) == pytest.approx(float(wanted), rel=1e-5)
  assert float(after.params['head']['kernel']) != 1.0


def test_losses_of_both_sides_are_noted_and_written(file, tmp_path):
  """Scores of held-out pairs are those of their replies, in their order."""
  config = settings(file)
  ranked, plan = planned(config)
  with Run(tmp_path / 'pm', config) as run:
    plan.note(run, 3, ({}, PARAMS))
    ranking_plan.write_curve(run)
  table = pd.read_csv(tmp_path / 'pm' / 'ranking_curve.csv')
  assert table['split'].tolist() == ['train', 'test']
  assert (table['pairs'] == round(3 * plan.pairs)).all()
  assert (table['loss'] == 'kwise').all() and (table['epochs'] == 2).all()
  arrays, pairs = ranked.sides['test']
  rows = ranking_plan.Candidates(arrays).rows
  score_NC = np.asarray(length_score(PARAMS, rows))
  wanted = preference.candidates_loss(score_NC, arrays.rank_NC)
  test = table.iloc[1]
  assert test['log_loss'] == pytest.approx(float(wanted), abs=1e-5)
  pick = preference.best_of_loss(score_NC, arrays.rank_NC)
  assert test['pick_loss'] == pytest.approx(float(pick), abs=1e-5)
  assert test['n_prompts'] == len(arrays.kind_N)
  chosen_M, rejected_M = plan.scores(({}, PARAMS), 4)
  n, good, bad = pairs.place_M3[:4].T
  np.testing.assert_allclose(chosen_M, score_NC[n, good], rtol=1e-6)
  np.testing.assert_allclose(rejected_M, score_NC[n, bad], rtol=1e-6)
  whole = plan.scores(({}, PARAMS), None)
  assert len(whole[0]) == len(ranked.test.kind_N)
  other = {'head': PARAMS['head'] | {'bias': jnp.float32(1.5)}}
  more, _ = plan.scores(({}, other), 4)  # of other parameters, others
  np.testing.assert_allclose(more, chosen_M + 1.0, rtol=1e-5)


def test_held_out_losses_are_of_the_kinds_that_are_trained_on(file, tmp_path):
  config = settings(file, train_subset='harmless')
  ranked, plan = planned(config)
  (train, _), (test, _) = ranked.sides.values()
  assert (train.kind_N[plan.rows] == 1).all()
  with Run(tmp_path / 'pm', config) as run:
    plan.note(run, 1, ({}, PARAMS))
    (_, line) = run.rows('ranking_curve')
  assert line['n_prompts'] == (test.kind_N == 1).sum()


def test_demonstrations_score_0_on_average_and_no_gap_changes(file):
  shown, _ = rankings.encode_rankings(
    [make_ranking(tiny.prompt('draw 1 cats'), [x], [0], 's') for x in SAID],
    *(WORDS, 42, 12),
    ordered=False,
  )
  ranked = rankings.read_pairs(settings(file), BASE)
  args = settings(file), BASE, WAY, None
  same, said = ranking_plan.shifted(*args, ranked, {}, PARAMS)
  assert same is PARAMS and said == {}
  ranked = ranked._replace(demonstrations=shown)
  params, said = ranking_plan.shifted(*args, ranked, {}, PARAMS)
  rows = ranking_plan.Candidates(shown).rows
  before = np.asarray(length_score(PARAMS, rows))
  mean = before.mean()
  # Sums of four float32 scores of size 2: some 1e-7 each.
  assert float(np.mean(length_score(params, rows))) == pytest.approx(
    0.0, abs=1e-6
  )
  assert said['shift'] == {
    'demonstrations': 4,
    'mean_score_before': pytest.approx(float(mean), abs=1e-5),
  }
  assert params['head']['kernel'] is PARAMS['head']['kernel']


def write_demonstrations(path, count=6):
  rows = [
    {'instruction': f'draw {i} {tiny.ANIMALS[i]}s', 'output': SAID[i % 4]}
    for i in range(count)
  ]
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return str(path)


def test_demonstrations_of_a_file_shift_a_model_of_real_rankings(
  file, tmp_path
):
  """As many as are asked for, an order of the seed; all of them by a loop."""
  path = write_demonstrations(tmp_path / 'shown.jsonl')
  config = settings(file, demonstrations_path=path, demonstrations_count=99)
  ranked = rankings.read_pairs(config, BASE)
  assert ranked.counts['demonstrations'] == {'read': 6, 'kept': 6, 'scored': 6}
  scores = []
  for i in range(6):
    asked = tiny.prompt(f'draw {i} {tiny.ANIMALS[i]}s')
    prompt, _ = encode_prompt(WORDS, asked, 30)
    reply, _ = encode_reply(WORDS, SAID[i % 4], 12)
    end = len(prompt) + len(reply)  # where end-of-context stands
    scores.append(1.0 * 0.1 * end + 0.5)
  args = config, BASE, WAY, None, ranked, {}, PARAMS
  params, said = ranking_plan.shifted(*args)
  mean = float(np.mean(scores))
  assert said['shift']['mean_score_before'] == pytest.approx(mean, abs=1e-5)
  assert float(params['head']['bias']) == pytest.approx(0.5 - mean, abs=1e-5)
  few = config | {'demonstrations_count': 2}
  one, again, other = (
    rankings.read_pairs(few | {'seed': seed}, BASE).demonstrations.tokens_NCT
    for seed in (0, 0, 5)
  )
  assert len(one) == 2
  np.testing.assert_array_equal(one, again)
  assert (one != other).any()


@pytest.mark.parametrize(
  'changes', [{'loss': 'pairs'}, {'comparisons_dir': 'x'}]
)
def test_demonstrations_shift_rankings_of_a_file_alone(changes, file):
  config = settings(file, demonstrations_path='shown.jsonl', **changes)
  with pytest.raises(ValueError, match='shifts a model of rankings of data.p'):
    rankings.reads(config)


def test_rows_of_both_sides_share_a_program(file):
  ranked = rankings.read_pairs(settings(file), BASE)
  one, two = (ranking_plan.Candidates(x) for x, _ in ranked.sides.values())
  longer = two.rows._replace(
    tokens_BT=np.pad(two.rows.tokens_BT, [(0, 0), (0, 16)]),
    segment_BT=np.pad(two.rows.segment_BT, [(0, 0), (0, 16)]),
  )
  two.rows, before = longer, one.rows
  one.widen(two)
  T = two.rows.tokens_BT.shape[1]
  assert one.rows.tokens_BT.shape[1] == one.rows.segment_BT.shape[1] == T
  assert T > before.tokens_BT.shape[1]
  kept = one.rows.tokens_BT[:, : before.tokens_BT.shape[1]]
  np.testing.assert_array_equal(kept, before.tokens_BT)
  assert (one.rows.segment_BT[:, before.tokens_BT.shape[1] :] == 0).all()


@pytest.mark.parametrize(
  ('changes', 'error', 'message'),
  [
    (
      {'read': 'features'},
      ValueError,
      "wanted read='tokens' with loss='kwise'",
    ),
    ({'pairs': 9}, ValueError, 'wanted pairs=0 with loss'),
    (
      {'score_at': 'last_token'},
      ValueError,
      "wanted score_at='end_of_context'",
    ),
    ({'comparisons_dir': '/none'}, DataError, 'got /none/train.jsonl.gz'),
    ({'data': {'source': 'hh', 'path': 'x'}}, DataError, 'a file of rankings'),
  ],
)
def test_what_rankings_cannot_be_is_one_line(changes, error, message, file):
  with pytest.raises(error, match=message) as found:
    rankings.reads(settings(file) | changes)
  assert '\n' not in str(found.value)
  assert not rankings.reads(settings(file) | changes | {'loss': 'pairs'})


@pytest.mark.parametrize('shape', ['linear', 'cosine'])
@pytest.mark.parametrize('loss', ['kwise', 'shuffled'])
def test_a_decayed_rate_is_0_when_the_epoch_is_over(shape, loss, file):
  """And above it at the last step, less than a batch before (checklist 27)."""
  config = settings(file, epochs=1, loss=loss, schedule_shape=shape)
  ranked, plan = planned(config)
  rate = lambda step: train_pm.rate_at(config, tiny.base(), step, plan.total)
  rates = [rate(step) for step in range(plan.total + 1)]
  assert rates[-1] == 0.0 < rates[-2] < rates[0]
  prompts = len(ranked.sides['train'][0].kind_N)
  assert 0 <= prompts - plan.total * config['batch_size'] < 2


def test_too_few_rankings_for_a_batch_are_one_line(file):
  with pytest.raises(ValueError, match='wanted a batch of 64 prompts, got'):
    planned(settings(file, batch_size=64))


@pytest.mark.slow  # stages, each with programs of its own
def test_models_of_rankings_resume_and_score_demonstrations_0(
  tmp_path, monkeypatch
):
  root = tmp_path
  tiny_stages.make_text.run(tiny_stages.text(root), root / 'text')
  tiny_stages.train_lm.run(tiny_stages.lm(root), root / 'lm')
  made = _config('rankings', 'full_smoke') | tiny_stages.CUT
  made |= {'text_dir': f'{root}/text', 'lm_dir': f'{root}/lm', 'lm_size': '3K'}
  made |= {'prompts': 24, 'test_prompts': 8, 'sample_batch': 32}
  make_rankings.run(made, root / 'rankings')
  config = _config('pm', 'kwise') | {'base': f'{root}/lm', 'size': '3K'}
  config |= {'comparisons_dir': f'{root}/rankings', 'batch_size': 4}
  config |= {'microbatches': 2, 'checkpoint_every': 2, 'log_every': 1}
  for loss in ('kwise', 'shuffled', 'best_of'):
    own = config | {'loss': loss}
    train_pm.run(own, root / loss)
    rate = train_pm.rate_at

    def killed(config, base, step, total, rate=rate):
      if step == 4:
        raise KeyboardInterrupt
      return rate(config, base, step, total)

    monkeypatch.setattr(train_pm, 'rate_at', killed)
    with pytest.raises(KeyboardInterrupt):
      train_pm.run(own, root / f'{loss}-again')
    monkeypatch.setattr(train_pm, 'rate_at', rate)
    train_pm.run(own, root / f'{loss}-again')
    for name in ('ranking_curve.csv', 'pm_curve.csv', 'metrics.jsonl'):
      ours, theirs = (root / x / name for x in (loss, f'{loss}-again'))
      assert ours.read_bytes() == theirs.read_bytes()
    done = json.loads((root / loss / 'done.json').read_text())
    assert done['shift']['demonstrations'] == 16 and done['flops'] > 0
  found = open_scorer(root / 'kwise')
  base = tiny.namespace(tokenizer=found.tokenizer)
  ranked = rankings.read_pairs(config, base)
  rows = ranking_plan.Candidates(ranked.demonstrations).rows
  score = found.functions.candidate_score_fn
  params = found.way.attach(found.frozen, found.trained)
  # Sixteen float32 scores of size 1, rounded some hundred times each.
  assert abs(float(score(params, rows).mean())) < 1e-4
