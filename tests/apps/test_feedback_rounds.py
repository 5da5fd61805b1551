"""The table of what a round changed, from the files of a finished study."""

import types

import pandas as pd
import pytest

from apps.feedback import rounds


@pytest.fixture
def study(tmp_path, monkeypatch):
  folder = tmp_path / 'online' / 'policies-s0'
  folder.mkdir(parents=True)
  names = ['pi_0', 'base_only', 'final']
  config = {'writer_names': names, 'eval_prompts': 64}
  config['writer_dirs'] = [str(tmp_path / name) for name in names]
  asked = lambda path: types.SimpleNamespace(config=config)
  monkeypatch.setattr(rounds.about, 'read', asked)
  rows = [
    {'pm': pm, 'tranche': 'online', 'pair_id': i, 'p_label': None}
    | {'score_chosen': 1.0 if good else -1.0, 'score_rejected': 0.0}
    for pm, own in (('base_only', [1, 0]), ('final', [1, 1]))
    for i, good in enumerate(own)
  ]
  pd.DataFrame(rows).to_csv(folder / 'tranche_pairs.csv.gz', index=False)
  game = {'player': 'final', 'opponent': 'base_only', 'win_rate': 0.6}
  pd.DataFrame([game | {'games': 8}]).to_csv(folder / 'matches.csv')
  for name, last in (('base_only', 1.5), ('final', 2.0)):
    (tmp_path / name).mkdir()
    curve = {'iteration': [0, 4], 'gold': [1.0, last], 'gold_se': [0, 0.1]}
    pd.DataFrame(curve).to_csv(tmp_path / name / 'rl_curve.csv')
  return folder


def test_the_table_has_accuracy_reward_and_who_is_preferred(study, capsys):
  (study / 'done.json').write_text('{}')
  rounds.main([f'--study={study.parents[1]}'])
  said = capsys.readouterr().out
  found = {row['what']: row for row in rounds.rows_of(study.parents[1])}
  changes = {name: round(row['change'], 3) for name, row in found.items()}
  assert changes == {
    'PM accuracy on held-out pairs of people': 0.5,
    'gold reward over pi_0': 0.5,
    'preferred to the other': 0.2,
  }
  assert all(name in said for name in changes)


def test_a_study_that_waits_for_people_has_no_table(study):
  with pytest.raises(SystemExit, match='wanted a finished study of one seed'):
    rounds.main([f'--study={study.parents[1]}'])
