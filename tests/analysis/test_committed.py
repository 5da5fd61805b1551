"""Every committed claims.json follows from the tables beside it."""

import contextlib
import copy
import json
import math
import pathlib
import re
import runpy

import pytest

from experiments import claims as script
from rlhf_jax.analysis import claims_io, intervals, runs
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import NotRunError

ROOT = pathlib.Path(__file__).parents[2]
STUDIES = sorted(file.parent for file in ROOT.glob('results/*/claims.json'))
IDS = [study.name for study in STUDIES]
# Resamples of conversations: takes as long as all others together.
CROSSED = {'smollm2'}

# Sums of doubles in another order, and what such sums leave of an exact 0.
RELATIVE, ABSOLUTE = 1e-9, 1e-12
# MINPACK, which fits the exponent of claim 14, stops when the sum of squares no
# longer falls by 1.5e-8 of itself, so short of the minimum: by up to 4.3e-5 of
# the exponent in the study hh, and a processor may go a step further. A score
# that gains nothing has no exponent: where its interval is wider than WIDE (92
# in the null study) the sum is flat, and only the verdict is compared.
FITTED = re.compile(r'claims/14/(ci/[01]|.*\bp(_\w+)?(/(mean|ci/[01]))?)$')
FITTED_RELATIVE, WIDE = 1e-4, 10


def judge_again(document, tables, tmp_path):
  """The document that the tables give now, through JSON and back."""
  found = script.judged_again(document, tables)
  claims_io.write_claims(tmp_path / 'claims.json', found)
  return json.loads((tmp_path / 'claims.json').read_text())


def by_name(document):
  """Lists of claims, checks and contrasts as dicts by number or name."""
  if isinstance(document, dict):
    return {key: by_name(value) for key, value in document.items()}
  if isinstance(document, list) and document and isinstance(document[0], dict):
    return {
      str(row.get('id', row.get('name'))): by_name(row) for row in document
    }
  return document


def has_exponent(document):
  """Whether the interval of claim 14's exponent says anything."""
  contrasts = document['claims']['14']['contrasts'] or {}
  interval = contrasts.get('p', {}).get('ci')
  return interval is None or interval[1] - interval[0] < WIDE


def differences(old, new, path=''):
  """Paths at which two documents differ by more than rounding, with both."""
  if isinstance(old, dict) and isinstance(new, dict):
    found = []
    for key in sorted(old.keys() | new.keys()):
      place = f'{path}/{key}' if path else key
      if key not in old or key not in new:
        found.append((place, old.get(key, 'absent'), new.get(key, 'absent')))
      else:
        found += differences(old[key], new[key], place)
    return found
  if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
    pairs = zip(old, new, strict=True)
    parts = [differences(a, b, f'{path}/{i}') for i, (a, b) in enumerate(pairs)]
    return sum(parts, [])
  if isinstance(old, float) and isinstance(new, float):
    relative = FITTED_RELATIVE if FITTED.search(path) else RELATIVE
    if math.isclose(old, new, rel_tol=relative, abs_tol=ABSOLUTE):
      return []
  return [] if old == new else [(path, old, new)]


def test_there_are_committed_studies():
  assert {'headline', 'micro', 'null', 'hh', 'smollm2_full'} <= set(IDS)


@pytest.mark.parametrize(
  'study',
  [
    pytest.param(
      study, marks=pytest.mark.slow if study.name in CROSSED else (), id=name
    )
    for study, name in zip(STUDIES, IDS, strict=True)
  ],
)
def test_the_tables_of_a_committed_study_give_its_claims(study, tmp_path):
  document = json.loads((study / 'claims.json').read_text())
  tables = runs.read_tables(study / 'tables')
  again = by_name(judge_again(document, tables, tmp_path))
  document = by_name(document)
  found = differences(document, again)
  if not has_exponent(document):
    found = [place for place in found if not FITTED.search(place[0])]
  assert found == []


@pytest.mark.parametrize('study', STUDIES, ids=IDS)
def test_a_committed_study_is_judged_by_the_rules_of_now(study):
  """Edition, evidence and gate are those that its preset has."""
  document = json.loads((study / 'claims.json').read_text())
  config = runpy.run_path(str(ROOT / 'configs' / 'reproduce.py'))
  config = config['get_config'](document['preset'])
  evidence = 'real' if config.data.source == 'hh' else 'simulated'
  wanted = [judging.EDITION, evidence, config.claims.rl_requires_test_pm]
  keys = ('edition', 'evidence', 'rl_requires')
  assert [document[key] for key in keys] == wanted


@pytest.mark.parametrize('study', STUDIES, ids=IDS)
def test_the_readme_of_a_committed_study_shows_its_claims(study):
  """And docs/results.md those of headline."""
  document = claims_io.read_claims(study / 'claims.json')
  table = claims_io.to_markdown_table(document)
  readmes = [study / 'README.md']
  if study.name == 'headline':
    readmes.append(ROOT / 'docs' / 'results.md')
  for readme in readmes:
    text = readme.read_text()
    assert claims_io.replace_block(text, table) == text


@pytest.mark.parametrize('gate', [False, True])
def test_nothing_passes_where_labels_are_coins_with_or_without_the_gate(gate):
  """With it, as its claims.json says, which the tables give (see above)."""
  study = ROOT / 'results' / 'null'
  if gate:
    document = json.loads((study / 'claims.json').read_text())
    assert document['rl_requires']
    rows = document['claims']
  else:
    rows = judging.judge(runs.read_tables(study / 'tables'), {})
  judged = [row for row in rows if row['verdict'] != 'not run']
  assert {1, 4, 6, 11, 13, 19, 27, 37} <= {row['id'] for row in judged}
  assert not [row['id'] for row in judged if row['verdict'] == 'pass']


def test_nothing_would_pass_on_the_null_study_by_its_intervals_alone():
  """Three seeds of RL are too few anyway: without that rule and the gate."""
  tables = runs.read_tables(ROOT / 'results' / 'null' / 'tables')
  found = {}
  for spec in load().claims:
    if spec.evaluator:
      with contextlib.suppress(NotRunError):
        contrasts = spec.evaluator(tables).contrasts
        found[spec.id] = intervals.verdict(contrasts)
  assert len(found) > 15 and 'pass' not in found.values()


def test_a_changed_table_is_seen(tmp_path):
  """All labels of smollm2_full turned round: the claims on its pairs differ."""
  study = ROOT / 'results' / 'smollm2_full'
  document = json.loads((study / 'claims.json').read_text())
  tables = runs.read_tables(study / 'tables')
  tables['pm_pairs'] = tables['pm_pairs'].rename(
    columns={
      'score_chosen': 'score_rejected',
      'score_rejected': 'score_chosen',
    }
  )
  again = by_name(judge_again(document, tables, tmp_path))
  found = differences(by_name(document), again)
  places = {re.match(r'\w+/\w+', path)[0] for path, _, _ in found}
  assert places == {'claims/4', 'claims/6', 'claims/7', 'checks/length'}


@pytest.mark.parametrize(
  ('change', 'path'),
  [
    (lambda d: d['claims'][0].update(verdict='fail'), 'claims/1/verdict'),
    (lambda d: d['claims'][0].update(seeds=4), 'claims/1/seeds'),
    (lambda d: d['claims'][0].update(ci=None), 'claims/1/ci'),
    (lambda d: d['claims'][0]['measured'].update(r2=0.5 + 1e-8), '/r2'),
    (lambda d: d['claims'][0]['measured'].pop('r2'), '/r2'),
    (lambda d: d['claims'][13]['measured'].update(p=0.4002), '14/measured/p'),
    (lambda d: d['claims'].pop(), 'claims/14'),
    (lambda d: d['claims'][0]['contrasts'][0].update(side='<'), '/side'),
  ],
)
def test_a_difference_is_seen_and_named(change, path):
  rows = [{'id': n, 'verdict': 'pass', 'seeds': 5} for n in range(1, 15)]
  for row in rows:
    contrast = {'name': 'slope', 'mean': 0.1, 'side': '>', 'bound': 0.0}
    row |= {'ci': [0.1, 0.2], 'measured': {'r2': 0.5}, 'contrasts': [contrast]}
  rows[13]['measured'] = {'p': 0.4}
  old = {'claims': rows}
  new = copy.deepcopy(old)
  change(new)
  found = differences(by_name(old), by_name(new))
  assert [place.endswith(path) for place, _, _ in found] == [True]


def test_rounding_is_no_difference():
  old = {'claims/14/measured/p_13K': 0.4, 'x': [0.5, 1e-17], 'y': None}
  new = {'claims/14/measured/p_13K': 0.4 + 1e-5, 'x': [0.5 + 1e-12, 0.0]}
  assert differences(old, new | {'y': None}) == []
  assert differences(old, new | {'y': 0.0}) == [('y', None, 0.0)]
