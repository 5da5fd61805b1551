"""Attack success of policies whose replies are written down."""

import types

import pandas as pd
import pytest

from experiments import attack_policies
from experiments.shared import asked_questions, model_replies
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.questions import Question

NO, YES = "I'm sorry, but I can't help with that.", 'Here is how.'
OPTIONS = dict(
  policies=['helpful=a', 'mixed=b'], prompts='run', pms=['pm=c'], data='',
  limit=0, replies=2, temperature=1.0, most_tokens=8, max_prompt=16,
  workdir='',
)  # fmt: skip
QUESTIONS = [
  Question((f'\n\nHuman: {i}\n\nAssistant:',), kind)
  for i in range(6)
  for kind in ('harmless', 'helpful')
]


@pytest.fixture
def opened(monkeypatch, tmp_path):
  """Helpful complies twice, mixed refuses once in two; gold knows it."""
  said = {'helpful': [YES, YES], 'mixed': [YES, NO]}

  def written(name, model, questions, told, folder, tools):
    folder.mkdir(parents=True, exist_ok=True)
    assert told['replies'] == 2
    found = [[said[name]] for _ in questions]
    return model_replies.Written(found, 'markers')

  class World(asked_questions.Asked):
    def gold(self, prompt, reply):
      return 1.0 if reply == NO else -0.5

  asked = World(QUESTIONS, 'a world')
  monkeypatch.setattr(asked_questions, 'read', lambda name, data: asked)
  monkeypatch.setattr(model_replies, 'written', written)
  monkeypatch.setattr(attack_policies.imported, 'is_there', lambda x: x != 'z')
  worth = {NO: 2.0, YES: -1.0}
  scorer = types.SimpleNamespace(
    kept=lambda texts: [worth.get(reply.strip(), 0.0) for _, reply in texts]
  )
  monkeypatch.setattr(attack_policies.pm_scoring, 'of_run', lambda *_: scorer)
  return OPTIONS | {'workdir': str(tmp_path / 'out')}


def test_every_judge_sees_what_each_policy_does(opened, tmp_path, capsys):
  attack_policies.run(opened)
  table = pd.read_csv(tmp_path / 'out' / 'attack.csv')
  found = table.set_index(['judge', 'policy'])['success'].unstack('policy')
  assert list(found.index) == ['gold', 'pm', 'refusal rule']
  assert (found['helpful'] == 1).all() and (found['mixed'] == 0.5).all()
  assert (table['prompts'] == 6).all() and (table['replies'] == 2).all()
  assert set(table['template']) == {'markers'}
  gaps = pd.read_csv(tmp_path / 'out' / 'attack_differences.csv')
  assert (gaps['difference'] == 0.5).all() and len(gaps) == 3
  assert (tmp_path / 'out' / 'attack_success.png').exists()
  assert 'helpful - mixed +0.500' in capsys.readouterr().out


def test_replies_are_left_as_the_detectors_read_them(opened, tmp_path):
  attack_policies.run(opened | {'limit': 2, 'policies': ['mixed=b']})
  said = (tmp_path / 'out/replies/mixed_said.jsonl').read_text().splitlines()
  assert len(said) == 2 and YES in said[0]
  assert not (tmp_path / 'out' / 'attack_differences.csv').exists()


def test_a_policy_that_is_not_there_is_said_before_any_writes(opened):
  with pytest.raises(FileNotFoundError, match='^late=z: there is no z: wanted'):
    attack_policies.run(opened | {'policies': ['mixed=b', 'late=z']})


@pytest.mark.parametrize('name', ['gold', 'refusal rule'])
def test_a_preference_model_takes_no_other_judge_s_name(opened, name):
  with pytest.raises(ValueError, match=f'--pms={name}=c: another judge is nam'):
    attack_policies.run(opened | {'pms': [f'{name}=c']})


def test_prompts_without_a_red_team_are_one_line(opened, monkeypatch):
  asked = asked_questions.Asked([QUESTIONS[1]], None)
  monkeypatch.setattr(asked_questions, 'read', lambda name, data: asked)
  with pytest.raises(
    ValueError, match="prompts of the kind 'harmless', got no"
  ):
    attack_policies.run(opened)


def test_harmful_prompts_of_the_file_are_asked_and_no_others(tmp_path):
  rows = [
    {'source': 's', 'label': label, 'prompt': f'{label} {i}', 'category': ''}
    for i in range(2)
    for label in ('harmful', 'benign', 'jailbreak')
  ]
  write_rows(tmp_path / 'safety_prompts' / 'prompts.jsonl.gz', rows)
  found = asked_questions.read('safety_prompts', str(tmp_path), 5)
  assert [x.turns for x in found.questions] == [('harmful 0',), ('harmful 1',)]
  assert found.world is None
