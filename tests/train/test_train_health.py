"""Each sign of ill health is said by name, once, with its number."""

import json
import math

import numpy as np
import pytest

from rlhf_jax.train import health
from rlhf_jax.train.about import RunError
from rlhf_jax.train.health_rules import FIRST, LAST, NAMES, RULES
from rlhf_jax.train.run import Run
from scripts import make_health_doc as doc


def test_a_healthy_run_shows_no_sign():
  assert health.judge(doc.planted_history()) == []


@pytest.mark.parametrize('rule', RULES, ids=NAMES)
def test_a_planted_cause_is_said_by_its_name_and_by_no_other(rule):
  [sign] = health.judge(doc.planted_history(rule))
  assert sign.name == rule.name and sign.value > rule.limit
  assert rule.advice in sign.message and 'nan' not in sign.message.split(':')[0]
  assert '{' not in sign.message
  assert health.judge(doc.planted_history(rule), off=(rule.name,)) == []


@pytest.mark.parametrize(
  ('name', 'rows', 'value'),
  [
    # By hand: |-1 - 3| / (0.5 + 3).
    ('kl_estimators', {'kl_k1': -1.0, 'kl_k3': 3.0}, 4 / 3.5),
    # A k3 of 0.02 is a ratio of exp(+-0.2): the mean ratio hides it.
    ('first_ratio', {'first_ratio': 1.0, 'first_kl': 0.02}, 0.2),
    ('entropy_collapse', {'entropy': 0.08}, 1 - 0.08 / 1.6),
    ('length', {'length': 9.0}, 19 / 9),
    ('length_score', {'length_score': -0.8}, 0.8),
  ],
)
def test_values_are_those_of_the_formulas(name, rows, value):
  rule = RULES[NAMES.index(name)]
  history = doc.planted_history()
  found = rule.value(history._replace(now=history.now | rows))
  np.testing.assert_allclose(found, value, rtol=1e-12)


def test_a_gap_within_its_noise_is_none():
  """The share of a gain counts where the gap is twice its standard error."""
  rule, history = RULES[NAMES.index('pm_gap')], doc.planted_history()
  after = history.after | {'train_pm': 0.4, 'test_pm': 0.2}
  # Gains .2 and .1, a gap of .1 with standard error sqrt(2) .05 = .07.
  assert rule.value(history._replace(after=after)) == 0
  sure = after | {'train_pm_se': 0.01, 'test_pm_se': 0.01}
  found = rule.value(history._replace(after=sure))
  np.testing.assert_allclose(found, 0.5)


def test_rules_whose_metrics_are_not_there_say_nothing():
  empty = health.history_of([{'step': 4, 'loss': 1.0}])
  assert health.judge(empty) == []
  for rule in RULES:
    assert rule.value(empty) in (None, 0.0)


def test_means_are_over_the_first_and_the_last_rows():
  rows = [{'length': float(i), 'name': 'x', 'ok': True} for i in range(20)]
  found = health.history_of(rows, [{'kl': 1.0}, {'kl': 2.0}, {'kl': 4.0}])
  assert found.start == {'length': np.mean(range(FIRST))}
  assert found.now == {'length': np.mean(range(20 - LAST, 20))}
  assert (found.rows, found.before, found.after) == (20, {'kl': 1}, {'kl': 4})


def test_the_panel_says_a_sign_once_and_the_same_as_the_whole_history():
  panel, rows = health.Panel(), []
  said = []
  for i in range(12):
    row = doc.ROW | ({'clip_fraction': 0.9} if i > 6 else {})
    rows.append(row)
    new = panel.note('train', row)
    said += [(i, sign.name) for sign in new]
    whole = {sign.name for sign in health.judge(health.history_of(rows))}
    assert whole >= {sign.name for sign in new}
  # Two of the last five rows at .9 and three at .05: .39, above .3.
  assert said == [(8, 'clip_fraction')]
  again = health.Panel()
  again.resume([('train', row) for row in rows[:9]])
  again.resume([('health', {'name': 'clip_fraction'})])
  assert [again.note('train', row) for row in rows[9:]] == [[], [], []]


def test_an_unknown_rule_is_one_line():
  with pytest.raises(RunError, match="no rule of health 'entropi': wanted one"):
    health.Panel(stop=('entropi',))


def test_a_run_stops_at_a_sign_and_says_so_in_failed_json(tmp_path):
  """Through the loop's own watcher, with what it leaves behind."""
  from experiments.shared.watching import Health, panel_of

  config = {'health': {'off': ('length',), 'stop': ('end_rate',)}}
  with pytest.raises(health.HealthError, match='end_rate at update 5'):
    with Run(tmp_path, config) as run:
      watch = Health(run, panel_of(config), 0)
      for step in range(1, 9):
        row = doc.ROW | {'truncated': 0.2 * step, 'length': 10.0**step}
        watch.note('train', step, run.log(step, row))
  failed = json.loads((tmp_path / 'failed.json').read_text())
  assert (failed['reason'], failed['name']) == ('health', 'end_rate')
  # By the third row the mean is .4; by the fourth .5; the limit is above .5.
  assert failed['step'] == 5 and math.isclose(failed['value'], 0.6)
  rows = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
  signs = [row for row in rows if row['kind'] == 'health']
  assert [(row['step'], row['name']) for row in signs] == [(5, 'end_rate')]
  assert not (tmp_path / 'done.json').exists()


def test_the_page_is_what_the_rules_say():
  assert doc.OUT.read_text() == doc.generate(), 'run `make checklist`'
  assert {f'\n## {name}\n' in doc.generate() for name in NAMES} == {True}
