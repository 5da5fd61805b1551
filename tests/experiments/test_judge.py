"""The script of judges, on files of a few made-up pairs."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments import judge
from experiments.shared import judging, kept, pm_scoring, score_files
from experiments.shared import win_rate_rows as wins
from rlhf_jax.analysis import agreement_people
from rlhf_jax.data import judged
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.questions import Question
from rlhf_jax.judges import endpoint, votes

OPTIONS = {
  'data': '',
  'sets': ['pandalm'],
  'judges': ['longer', 'first'],
  'pms': [],
  'scores': [],
  'url': '',
  'model': '',
  'key_variable': '',
  'temperature': 0.0,
  'mode': 'pairwise',
  'orders': 'all',
  'limit': 0,
  'replies': '',
  'against': '',
  'models': [],
  'questions': '',
  'draw': 0.0,
  'most_tokens': 4,
  'trained_on': [],
  'leader_board': False,
  'max_prompt': 24,
  'max_reply': 8,
}


def row(i, first, second, *annotators):
  found = {'instruction': f'Do {i}', 'input': '', 'response1': first}
  found |= {'response2': second}
  return found | {f'annotator{k}': vote for k, vote in enumerate(annotators, 1)}


@pytest.fixture
def data(tmp_path):
  """Four pairs: longer is right twice, wrong once, and one is a tie."""
  rows = [
    row(0, 'long reply', 'short', 1, 1, 1),
    row(1, 'short', 'long reply', 2, 2, 1),
    row(2, 'long reply', 'short', 2, 2, 2),
    row(3, 'equal', 'EQUAL', 0, 0, 1),
  ]
  write_rows(tmp_path / 'pandalm_testset' / 'pairs.jsonl.gz', rows)
  return tmp_path


def ran(data, tmp_path, **changes):
  asked = OPTIONS | {'data': str(data), 'workdir': str(tmp_path / 'out')}
  judge.run(asked | changes)
  return pd.read_csv(tmp_path / 'out' / 'agreement.csv')


def test_classes_of_votes_are_the_same_everywhere():
  assert agreement_people.TIE == votes.TIE == judged.TIE == 2
  assert agreement_people.VOTES == votes.UNPARSED + 1
  assert (judged.FIRST, judged.SECOND) == (votes.FIRST, votes.SECOND)


def test_agreement_with_people_by_hand(data, tmp_path, capsys):
  found = ran(data, tmp_path)
  key = ['judge', 'orders', 'setup', 'against']
  found = found.set_index(key)['agreement'].sort_index()
  longer = found['longer', 'both']
  assert longer['S1', 'each person'] == pytest.approx((3 + 2 + 0 + 2) / 12)
  assert longer['S1', 'the majority'] == 0.75
  assert longer['S2', 'each person'] == pytest.approx((3 + 2) / 9)
  assert longer['S2', 'the majority'] == pytest.approx(2 / 3)
  # Both orders contradict each other: ties in S1, and nothing is left in S2.
  first = found['first', 'both']
  assert first['S1', 'each person'] == pytest.approx(2 / 12)
  assert np.isnan(first['S2', 'each person'])
  assert found['first', 'one', 'S2', 'each person'] == pytest.approx(5 / 10)
  people = found['people', 'one']
  assert people['S1', 'each other'] == pytest.approx((3 + 1 + 3 + 1) / 12)
  assert 'longer' in capsys.readouterr().out
  assert (tmp_path / 'out' / 'votes.jsonl.gz').exists()


def test_shares_of_what_was_inconsistent_and_tied_stand_beside(data, tmp_path):
  found = ran(data, tmp_path, orders='both').set_index('judge')
  assert (found.loc['first', 'inconsistent'] == 1).all()
  assert (found.loc['longer', 'tied'] == 0.25).all()
  assert (found['unparsed'] == 0).all()


def test_ties_of_a_score_are_chosen_on_prompts_of_the_other_fold():
  """Fold 0 calls differences up to 1 ties, fold 1 none."""
  make = judging.by_score(lambda prompt, reply: float(reply))
  names = [f'p{i}' for i in range(60)]
  fold_N = judging.folds(names)
  gap_N = np.linspace(0.1, 3, 60)
  pairs = []
  for name, fold, gap in zip(names, fold_N, gap_N, strict=True):
    vote = votes.TIE if fold == 0 and gap <= 1 else votes.FIRST
    pairs.append(judged.JudgedPair(name, str(gap), '0', (vote,)))
  of_0, of_1 = make(pairs, fold_N)
  assert of_0('p', '0.2', '0').verdict == votes.FIRST
  assert of_1('p', '0.2', '0').verdict == votes.TIE


def test_scores_of_a_file_judge_and_a_lacking_one_is_one_line(data, tmp_path):
  texts = [(f'Do {i}', text) for i in range(4) for text in ('short', 'equal')]
  table = dict.fromkeys(texts, 1.0)
  table |= {(f'Do {i}', 'long reply'): 0.0 for i in range(4)}
  table[('Do 3', 'EQUAL')] = 1.0
  file = tmp_path / 'short.jsonl.gz'
  score_files.write(file, table)
  asked = {'judges': ['longer'], 'scores': [f'short={file}'], 'orders': 'one'}
  found = ran(data, tmp_path, **asked).set_index(['judge', 'setup', 'against'])
  both = found['agreement'].unstack('judge').loc[('S2', 'the majority')]
  assert both['longer'] == pytest.approx(1 - both['short'])
  score_files.write(file, {('Do 0', 'short'): 1.0})
  with pytest.raises(ValueError, match='has no score for the reply'):
    ran(data, tmp_path, **asked)


def test_an_answer_that_cannot_be_parsed_is_shown(
  data, tmp_path, monkeypatch, capsys
):
  said = iter(['VERDICT: A', 'VERDICT: B', 'Hm.', 'VERDICT: A'] + ['Hm.'] * 4)
  monkeypatch.setattr(endpoint, 'make_ask', lambda _: lambda _: next(said))
  asked = {'url': 'http://x', 'model': 'm', 'judges': [], 'orders': 'both'}
  found = ran(data, tmp_path, **asked).set_index('judge')
  assert (found.loc['m', 'unparsed'] == 0.75).all()
  shown = capsys.readouterr().out
  assert 'm: 3 of 4 ballots could not be parsed' in shown
  assert "unparsed: 'Hm. | VERDICT: A'" in shown
  # All was kept: nobody is asked again, and the table is the same.
  again = ran(data, tmp_path, **asked).set_index('judge')
  pd.testing.assert_frame_equal(found, again)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'judges': ['odd']}, '--judges: wanted some of longer'),
    ({'sets': ['arena']}, '--sets: wanted some of pandalm'),
    ({'url': 'http://x'}, '--url: wanted the name of its model'),
    ({'replies': 'a'}, 'wanted both, or none'),
    ({'scores': ['file']}, '--scores=file: wanted NAME=PATH'),
    ({'pms': ['longer=a']}, "--pms=longer=a: another judge is named 'longer'"),
    ({'pms': ['a=x'], 'scores': ['a=y']}, '--scores=a=y: another judge'),
    ({'scores': ['people=y']}, '--scores=people=y: another judge'),
    ({'url': 'http://x', 'model': 'first'}, '--model=first: another judge'),
  ],
)
def test_what_cannot_be_asked_is_one_line(changes, message, data, tmp_path):
  with pytest.raises(ValueError, match=message):
    ran(data, tmp_path, **changes)
  with pytest.raises(ValueError, match='wanted --data=FOLDER, or --replies'):
    ran('', tmp_path)


def test_an_endpoint_is_asked_by_one_process(data, tmp_path, monkeypatch):
  """Its answers to several would be several, and what follows with them."""
  monkeypatch.setattr(judge.hosts, 'count', lambda: 2)
  options = OPTIONS | {'data': str(data), 'workdir': str(tmp_path / 'out')}
  with pytest.raises(ValueError, match='--url: an endpoint answers each proc'):
    judge.run(options | {'url': 'http://x', 'model': 'm'})


def test_win_rates_of_two_models(tmp_path):
  """The first writes more and so wins; on equal terms nothing is left of it."""
  files = []
  for name, text in (('a', 'a long reply'), ('b', 'short')):
    rows = [{'prompt': f'{i}', 'reply': text} for i in range(8)]
    rows[7]['reply'] = 'same'
    files.append(str(tmp_path / f'{name}.jsonl'))
    write_rows(files[-1], rows)
  asked = OPTIONS | {'replies': files[0], 'against': files[1]}
  judge.run(asked | {'workdir': str(tmp_path / 'out')})
  found = pd.read_csv(tmp_path / 'out' / 'win_rates.csv')
  found = found.set_index(['judge', 'orders', 'games'])
  assert found.loc['longer', 'both', 'all']['win_rate'] == 7.5 / 8
  assert found.loc['first', 'both', 'all']['win_rate'] == 0.5
  assert found.loc['first', 'both', 'consistent']['n'] == 0
  assert found.loc['first', 'one', 'all']['win_rate'] == 1
  write_rows(files[1], [{'prompt': '0', 'reply': 'x'}])
  with pytest.raises(ValueError, match='answers 8 prompts and .* 1, 1 of them'):
    judge.run(asked | {'workdir': str(tmp_path / 'out')})
  write_rows(files[1], [{'prompt': '0', 'reply': 'x'}] * 2)
  with pytest.raises(ValueError, match='1 prompts twice'):
    judge.run(asked | {'workdir': str(tmp_path / 'out')})


def test_a_dialogue_that_two_files_answer_is_read_as_it_is(
  tmp_path, monkeypatch
):
  """By a preference model: no marker stands twice, none of a reply is one."""
  said = '\n\nHuman: hi\n\nAssistant: yes?\n\nHuman: go on\n\nAssistant:'
  odd = ' hm\n\n\nHuman: so\n\nAssistant: x'
  files = []
  for name, text in (('a', ' ok'), ('b', odd)):
    rows = [{'prompt': said, 'reply': text}, {'prompt': 'hi', 'reply': text}]
    files.append(str(tmp_path / f'{name}.jsonl'))
    write_rows(files[-1], rows)
  asked = []
  kept_ = lambda texts: asked.extend(texts) or [len(x) for _, x in texts]
  scorer = pm_scoring.TextScorer(kept_, None)
  monkeypatch.setattr(pm_scoring, 'of_run', lambda *_: scorer)
  own = {'replies': files[0], 'against': files[1], 'pms': ['pm=run']}
  judge.run(OPTIONS | own | {'workdir': str(tmp_path / 'out')})
  one = ' hm\nHuman: so\nAssistant: x'
  plain = '\n\nHuman: hi\n\nAssistant:'
  assert asked == [(said, ' ok'), (said, one), (plain, ' ok'), (plain, one)]


def test_two_models_are_compared_by_gold_and_rules_turn_after_turn(
  tmp_path, monkeypatch
):
  """The longer replies are the first model's, the better ones the second's."""
  questions = [Question(('a', 'b')), *(Question((x,)) for x in 'cdefgh')]
  said = {
    'one': [
      [[f'much longer {i}']] * len(x.turns) for i, x in enumerate(questions)
    ],
    'two': [[[f'good {i}']] * len(x.turns) for i, x in enumerate(questions)],
  }

  class World(judge.asked_questions.Asked):
    def gold(self, prompt, reply):
      return float(reply.startswith('good'))

  asked = World(questions, 'a world')
  monkeypatch.setattr(judge.asked_questions, 'read', lambda *_: asked)
  monkeypatch.setattr(
    judge.model_replies,
    'written',
    lambda name, *_: judge.model_replies.Written(said[name], 'chat'),
  )
  own = {'models': ['one=smollm2', 'two=smollm2'], 'questions': 'mt_bench'}
  own |= {'judges': ['longer', 'length'], 'orders': 'both'}
  judge.run(OPTIONS | own | {'workdir': str(tmp_path)})
  table = pd.read_csv(tmp_path / 'win_rates.csv')
  found = table[table['games'] == 'all'].set_index(['turns', 'judge'])
  assert found['n'].unstack('turns').drop_duplicates().values.tolist() == [
    [7, 1]
  ]
  rate = found['win_rate'].unstack('turns')
  assert (rate.loc[['longer', 'length']] == 1).to_numpy().all()
  assert (rate.loc['gold'] == 0).all()
  assert set(table['template']) == {'chat'} and set(table['model']) == {'one'}
  with pytest.raises(ValueError, match='--scores=gold=x: another judge'):
    judge.run(OPTIONS | own | {'scores': ['gold=x'], 'workdir': str(tmp_path)})
  for changes in ({'models': ['one=smollm2']}, {'questions': ''}):
    with pytest.raises(
      ValueError, match='--models: wanted A=MODEL,B=MODEL and'
    ):
      judge.run(OPTIONS | own | changes | {'workdir': str(tmp_path)})


def test_the_leader_board_leaves_its_reference_out(tmp_path):
  responses = lambda i: [
    {'model': wins.REFERENCE, 'text': 'x' * 9, 'pref': 0.5},
    {'model': 'm', 'text': 'x' * i, 'pref': 0.25},
  ]
  rows = [{'instruction': f'{i}', 'responses': responses(i)} for i in range(6)]
  write_rows(tmp_path / 'alpaca_eval_kwise' / 'kwise.jsonl.gz', rows)
  asked = OPTIONS | {'data': str(tmp_path), 'leader_board': True}
  judge.run(asked | {'workdir': str(tmp_path / 'out')})
  found = pd.read_csv(tmp_path / 'out' / 'leader_board.csv')
  assert found['model'].tolist() == ['m'] and found['win_rate'][0] == 0.25
  assert found['longer_by'][0] == pytest.approx(2.5 - 9)


def test_scores_are_kept_and_only_what_lacks_is_scored(tmp_path, monkeypatch):
  monkeypatch.setattr(kept, 'TEXTS', 2)
  asked, file = [], tmp_path / 'scores.jsonl'

  def score(texts):
    if ('p', 'killed') in texts:
      raise KeyboardInterrupt
    asked.append(texts)
    return [len(reply) for _, reply in texts]

  scores = kept.kept_scores(file, {'run': 'a'}, score)
  assert scores([('p', 'a'), ('p', 'bb'), ('p', 'a')]).tolist() == [1, 2, 1]
  more = [('p', 'ccc'), ('p', 'a'), ('p', 'd'), ('p', 'killed')]
  with pytest.raises(KeyboardInterrupt):
    scores(more)
  assert asked == [[('p', 'a'), ('p', 'bb')], [('p', 'ccc'), ('p', 'd')]]
  again = kept.kept_scores(file, {'run': 'a'}, score)
  assert again(more[:3]).tolist() == [3, 1, 1] and len(asked) == 2
  with pytest.raises(ValueError, match="results of run 'a', wanted 'b'"):
    kept.kept_scores(file, {'run': 'b'}, score)
  odd = kept.kept_scores(file, {'run': 'a'}, lambda texts: [float('nan')])
  with pytest.raises(ValueError, match='a score is not finite'):
    odd([('p', 'new')])
  with pytest.raises(ValueError, match='every name once'):
    score_files.named(['a=1', 'a=2'], 'scores')
  (tmp_path / 'bad.jsonl').write_text(
    json.dumps({'prompt': 'p', 'reply': 'r', 'score': 'nan'}) + '\n'
  )
  with pytest.raises(ValueError, match='bad.jsonl:1'):
    score_files.read(tmp_path / 'bad.jsonl')


def test_a_board_without_its_reference_is_one_line(tmp_path):
  rows = [{'instruction': 'x', 'responses': [{'model': 'm', 'text': 't'}]}]
  rows[0]['responses'][0]['pref'] = 0.5
  write_rows(tmp_path / 'alpaca_eval_kwise' / 'kwise.jsonl.gz', rows)
  asked = OPTIONS | {'data': str(tmp_path), 'leader_board': True}
  with pytest.raises(ValueError, match='leader_board.csv: wanted a row or mor'):
    judge.run(asked | {'workdir': str(tmp_path / 'out')})
