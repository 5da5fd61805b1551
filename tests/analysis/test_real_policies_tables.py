"""Policies of a real model: tax and reward, and ways at equal KL, by hand."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import equal_kl, figures, text_tax
from rlhf_jax.analysis.claims import (
  real_baselines,
  real_distillation,
  real_ptx,
  real_sft,
)
from rlhf_jax.analysis.drawings import real_baselines as ways
from rlhf_jax.analysis.drawings import real_ptx as drawing
from rlhf_jax.analysis.findings import NotHereError, NotRunError
from tests.analysis import small

RUN = {'size': '135M', 'half': 'a', 'n_params': 106_000_000}


def curve():
  """Ends of runs of two seeds: PPO gains 2, PPO-ptx 1.8, a larger KL .5."""
  ends = {'linear': 2.0, 'real_ptx': 1.8, 'real_beta_0.02': 0.5}
  rows = []
  for seed in (200, 201):
    for role, gain in ends.items():
      for samples, share in ((0, 0.0), (768, 0.4), (1536, 1.0)):
        row = RUN | {'role': role, 'seed': seed, 'samples': samples}
        row |= {'iteration': samples // 32, 'kl': 9 * share**2, 'gold': np.nan}
        row |= {'kl_coef': 0.02 if 'beta' in role else 0.001}
        row |= {'train_pm': 0.3 + gain * share, 'test_pm': 0.1 * gain * share}
        rows.append(row)
  # A seed of PPO alone, as smollm2_rl has it.
  rows += [row | {'seed': 202} for row in rows[:3]]
  return small.table('rl_curve', rows)


def losses():
  """pi_0 at 3 nats, PPO at 3.5, PPO-ptx at 3.1, a larger KL at 3.4."""
  nats = {'pi_0': 3.0, 'ppo': 3.5, 'ptx': 3.1, 'beta_0.02': 3.4}
  run = RUN | {'role': 'text_loss'}
  rows = [
    run | {'seed': s, 'file': f, 'model': k, 'nats_per_token': x + (f != 'web')}
    for s in (200, 201)
    for f in ('all files', 'web')
    for k, x in nats.items()
  ]
  more = [
    run | {'seed': s, 'file': f, 'before': 'pi_0', 'after': k}
    | {'nats_per_token': x - 3.0, 'nats_stderr': 0.01}
    for s in (200, 201)
    for f in ('all files', 'web')
    for k, x in nats.items()
    if k != 'pi_0'
  ]  # fmt: skip
  return {
    'text_losses': small.table('text_losses', rows),
    'text_loss_differences': small.table('text_loss_differences', more),
  }


def test_cost_share_and_reward_are_over_seeds_that_have_all_policies():
  tables = losses() | {'rl_curve': curve()}
  row = real_ptx.real_tax(tables)
  assert row['seeds'] == 2 and row['verdict'] == 'reported'
  assert row['measured'] == pytest.approx(
    {
      'cost': 0.5,
      'share_ptx': 0.8,
      'reward_ptx': 0.9,
      'share_beta_0.02': 0.2,
      'reward_beta_0.02': 0.25,
    }
  )
  runs = text_tax.real_runs(curve())
  assert set(runs['seed']) == {200, 201}
  gain = runs.query('policy == "ppo"')['gain'].tolist()
  assert gain == pytest.approx([2.0, 2.0])
  # The simulated chapter finds no run of its own in it.
  assert 'ppo' not in set(text_tax.long_runs(curve())['policy'])


def test_text_of_models_that_are_no_policies_of_a_study_is_not_asked():
  own = losses()
  own['text_losses'] = own['text_losses'].assign(role='evaluated')
  with pytest.raises(NotHereError, match='no policies of a real model'):
    real_ptx.real_tax(own | {'rl_curve': curve()})


def test_the_figure_of_the_tax_has_a_mark_a_seed_and_bars_over_documents():
  tables = losses() | {'rl_curve': curve()}
  canvas = figures.Canvas(tables)
  drawing.real_text_tax(canvas, tables)
  text, gain, _ = canvas.figure.axes
  assert [x.get_text() for x in text.get_xticklabels()] == [
    *('PPO', 'PPO-ptx', r'$\lambda$ = 0.02')
  ]
  first, _ = text.containers
  line, _, (bars,) = first.lines
  heights = lambda line: np.asarray(line.get_ydata(), float)
  np.testing.assert_allclose(heights(line), [0.5, 0.1, 0.4])
  half = np.diff([x[:, 1] for x in bars.get_segments()], axis=1) / 2
  np.testing.assert_allclose(half, 0.0196)
  line = gain.containers[0].lines[0]
  np.testing.assert_allclose(heights(line), [2.0, 1.8, 0.5])
  with pytest.raises(NotRunError):
    drawing.real_text_tax(canvas, {'rl_curve': curve()})


def ways_curve():
  """PPO of 1,536 replies, others of 768, of which GRPO goes half as far."""
  slope = {'real_rloo': 1.0, 'real_grpo': 0.5, 'real_dpo': 2.0}
  rows = [
    RUN
    | {'role': role, 'seed': 200, 'samples': n, 'iteration': n // 32}
    | {'kl': (x * n / 768) ** 2, 'gold': np.nan}
    | {'train_pm': x * n / 768, 'test_pm': 0.5 * x * n / 768}
    for role, x in slope.items()
    for n in (0, 384, 768)
  ]
  more = small.table('rl_curve', rows)
  return pd.concat([curve(), more], ignore_index=True)


def test_ppo_stands_beside_others_as_far_as_it_wrote_as_many_replies():
  found = equal_kl.of_real_model(ways_curve())
  assert set(found['role']) == {'by_ppo', 'by_rloo', 'by_grpo', 'by_dpo'}
  ppo = found[found['role'] == 'by_ppo']
  assert ppo['samples'].tolist() == [0, 768] and set(ppo['seed']) == {200}
  row = real_baselines.real_algorithms_at_equal_kl({'rl_curve': ways_curve()})
  assert row['measured']['sqrt_kl'] == pytest.approx(0.5)
  # One of score a sqrt(KL) for all but PPO, of .8 at sqrt(KL) = 1.2.
  assert row['measured']['train_by_rloo'] == pytest.approx(0.5)
  assert row['measured']['train_by_ppo'] == pytest.approx(0.5 * 0.8 / 1.2)
  with pytest.raises(NotHereError, match='no such policies of a real model'):
    real_baselines.real_algorithms_at_equal_kl({'rl_curve': curve()})


def test_the_figure_of_ways_has_no_gold_and_the_frontier_of_its_seeds():
  edges = [
    RUN
    | {'role': 'linear', 'seed': seed, 'scorer': scorer, 'subset': 'all'}
    | {'b': b, 'kl': b**2, 'gain': b * (seed - 199)}
    for seed in (200, 202)
    for scorer in ('train', 'test')
    for b in (0.5, 1.0)
  ]
  tables = {
    'rl_curve': ways_curve(),
    'frontier': small.table('frontier', edges),
  }
  canvas = figures.Canvas(tables)
  ways.real_algorithms(canvas, tables)
  axes = canvas.figure.axes
  titles = [axis.get_title() for axis in axes]
  assert titles == ['train PM', 'test PM', 'less PPO, at equal KL']
  named = {line.get_label(): line for line in axes[0].lines}
  assert {'PPO', 'RLOO', 'GRPO', 'DPO'} <= set(named)
  edge = named[r'the most $\pi_0$ allows']
  np.testing.assert_allclose(edge.get_ydata(), [0, 0.5, 1.0])
  with pytest.raises(NotRunError):
    ways.real_algorithms(canvas, {'rl_curve': curve()})


def test_a_real_student_reports_what_is_left():
  run = RUN | {'role': 'distilled', 'half': 'all'}
  rows = [
    run | {'seed': s, 'tokens': t, 'texts': 'all', 'kl': kl}
    for s, ends in ((200, (0.4, 0.1)), (201, (0.6, 0.3)))
    for t, kl in zip((0, 9000), ends, strict=True)
  ]
  table = small.table('distillation', rows)
  row = real_distillation.real_distilled({'distillation': table})
  assert row['measured'] == pytest.approx({'all_before': 0.5, 'all_after': 0.2})
  assert row['seeds'] == 2
  with pytest.raises(NotHereError, match='no real model is distilled'):
    real_distillation.real_distilled({'distillation': table, 'prompted': table})
  two = pd.concat([table, table.assign(size='1B')])
  with pytest.raises(NotHereError, match='students of several sizes'):
    real_distillation.real_distilled({'distillation': two})


def test_epochs_are_reported_by_both_rules():
  run = RUN | {'role': 'sft', 'half': 'all', 'seed': 200, 'gold': np.nan}
  rows = [
    run | {'epoch': 1, 'validation_nats': 2.0, 'rm_score': 0.1},
    run
    | {'epoch': 2, 'validation_nats': 1.5, 'rm_score': 0.2, 'least_loss': 1},
    run
    | {'epoch': 3, 'validation_nats': 1.6, 'rm_score': 0.3, 'best_score': 1},
  ]
  table = small.table('sft', rows)
  found = real_sft.real_epochs({'sft': table})['measured']
  assert found == pytest.approx(
    {
      'epochs': 3,
      'least_loss_epoch': 2,
      'least_loss_validation_nats': 1.5,
      'least_loss_rm_score': 0.2,
      'best_score_epoch': 3,
      'best_score_validation_nats': 1.6,
      'best_score_rm_score': 0.3,
    }
  )
  for other in ({}, {'sft': table.assign(gold=0.5)}):
    with pytest.raises(NotHereError):
      real_sft.real_epochs(other)
  plain = {'sft': table.assign(best_score=0, rm_score=np.nan)}
  with pytest.raises(NotHereError, match='under a preference model'):
    real_sft.real_epochs(plain)
