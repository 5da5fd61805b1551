"""The measurement of a world: writers, language models and families."""

import functools
import gzip
import json

import numpy as np
import pandas as pd
import pytest

from experiments import worlds as script
from rlhf_jax.analysis import frontier
from rlhf_jax.crowd.worlds import make_world, rules_of
from rlhf_jax.train import about

ROW = {'role': 'x', 'seed': 0, 'size': '3K', 'n_params': 9, 'half': 'a'}


def finished_run(path, stage, holds, config):
  path.mkdir(parents=True)
  content = about.About(stage, holds)._asdict() | {'config': config, 'row': ROW}
  (path / 'config.json').write_text(json.dumps(content))
  (path / 'done.json').write_text('{}')


@pytest.fixture
def study(tmp_path):
  """Texts of a world, and the frontier of a model of unit normal scores."""
  finished_run(
    tmp_path / 'text', 'make_text', 'texts', {'world': {'name': 'parts'}}
  )
  path = tmp_path / 'frontier' / 'a'
  config = {'policy': 'lm/3K', 'pm': '', 'kind': 'helpful'}
  finished_run(path, 'frontier', 'table', config)
  gold = np.random.default_rng(0).standard_normal((32, 4096))
  np.savez(path / 'scores.npz', gold=gold, nats=np.full((32, 4096), 47.0))
  return tmp_path


def test_writers_and_models_have_a_row_for_each_kind(
  study, tmp_path, capsys, monkeypatch
):
  few = functools.partial(frontier.normal_moments, draws=2)  # 40 take seconds
  monkeypatch.setattr(script, 'normal_moments', few)
  options = {'root': str(study), 'workdir': str(tmp_path / 'out')}
  script.run(options | {'prompts': 3, 'replies': 64})
  table = pd.read_csv(tmp_path / 'out' / 'worlds.csv')
  found = list(zip(table['writer'], table['kind'], strict=True))
  assert found[:2] == [('authors', 'helpful'), ('authors', 'harmless')]
  assert found[2:] == [
    ('experts', 'helpful'),
    ('experts', 'harmless'),
    ('3K', 'helpful'),
  ]
  assert set(table['world']) == {'parts'}
  model = table.iloc[-1]
  assert model['nats'] == 47 and model['spread'] == pytest.approx(1, abs=0.02)
  assert abs(model['bow']) < 0.03 and abs(model['tilted_skew']) < 0.4
  # Of 4,096 normal scores 160 carry it to sqrt(log(4096 / 160) / 2).
  assert model['inner_sqrt_kl'] == pytest.approx(1.27, abs=0.15)
  assert abs(model['inner_skew']) < 0.15 and model['normal_skew_low'] < 0
  assert table['inner_skew'].isna().tolist() == [True] * 4 + [False]
  gold = dict(zip(found, table['gold'], strict=True))
  assert gold['experts', 'helpful'] > gold['authors', 'helpful'] + 5
  assert 'experts' in capsys.readouterr().out
  assert not (tmp_path / 'out' / 'families.csv').exists()


def test_accuracy_is_of_the_family_that_was_asked(study, monkeypatch):
  """Two families: of one the model knows each label, of the other none."""
  world, rng = make_world('parts'), np.random.default_rng(0)
  sample = rules_of(world).sample_prompt
  asked = [sample(world, rng, family=f) for f in ('sort', 'crime') * 2]
  path = study / 'pm' / 'a'
  config = {'comparisons_dir': 'x', 'text_dir': ''}
  finished_run(path, 'train_pm', 'preference model', config)
  rows = pd.DataFrame(
    {
      'pairs': 7,
      'pair_id': range(4),
      'subset': ['helpful', 'harmless'] * 2,
      'score_chosen': [1.0, 0.0, 1.0, 0.0],
      'score_rejected': [0.0, 1.0, 0.0, 1.0],
      'p_label': [0.9, 0.8, 0.7, 0.6],
    }
  )
  with gzip.open(path / 'pm_pairs.csv.gz', 'wt') as file:
    rows.to_csv(file, index=False)

  class Words:
    def decode(self, ids):
      return asked[ids[0]].text

  class Pairs:
    chosen_tokens_NT = np.arange(4)[:, None]
    prompt_length_N = np.ones(4, int)

  monkeypatch.setattr(script.comparisons, 'load_pairs', lambda *_: Pairs)
  monkeypatch.setattr(script, 'text_tokenizer', lambda *_: Words())
  harmless, helpful = script.family_rows(study, world)
  assert (helpful['family'], harmless['family']) == ('sort', 'crime')
  assert helpful['accuracy'] == helpful['ceiling'] == pytest.approx(0.8)
  assert harmless['accuracy'] == pytest.approx(0.3)
  assert harmless['ceiling'] == pytest.approx(0.7) and harmless['n'] == 2
