"""Prompts that a model was trained on are no part of what judges are asked."""

import json

import pandas as pd
import pytest
from test_asked_questions import run_of
from test_judge import OPTIONS

from experiments import import_public, judge
from experiments.shared import asked_questions, unseen
from rlhf_jax.data import prompt_files
from rlhf_jax.data.jsonl import write_comparisons, write_rows
from rlhf_jax.data.public import replies
from rlhf_jax.data.rankings import write_rankings
from rlhf_jax.data.records import make_comparison
from rlhf_jax.train.about import RunError

READING = {'test_fraction': 0.25, 'train_pairs': 0, 'test_pairs': 99}
READING |= {'held_out': 'test'}
COUNT = 40


def instruction(i):
  return f'Draw {i}  cats.\n\nHuman: now'


@pytest.fixture
def data(tmp_path):
  """Instructions of AlpacaEval, each with two replies of unlike worth."""
  said = [('a', 'a longer reply', 0.9), ('b', 'short', 0.2)]
  keys = 'model', 'text', 'pref'
  rows = [
    {
      'instruction': instruction(i),
      'dataset': 'koala',
      'responses': [dict(zip(keys, x, strict=True)) for x in said],
    }
    for i in range(COUNT)
  ]
  write_rows(tmp_path / 'alpaca_eval_kwise' / 'kwise.jsonl.gz', rows)
  return tmp_path


def imported(data, **changes):
  """What `import_public` makes of them."""
  out = data / 'train.jsonl.gz'
  path = str(data / 'alpaca_eval_kwise' / 'kwise.jsonl.gz')
  asked = {'kind': 'alpaca_eval', 'path': path, 'out': str(out), 'posts': ''}
  asked |= {'most': 0, 'seed': 0, 'replies': 9, 'binary': False}
  import_public.run(asked | {'rankings': False} | changes)
  return str(out)


def pm_of(folder, source, path, name='pm', **changes):
  """A run of train_pm on a file, of which a quarter is held out."""
  config = {'comparisons_dir': '', 'base': 'smollm2', 'reading': READING}
  config |= {'feature_folder': 'F', 'test_pm_dir': 'gone'}
  data = {'source': source, 'path': path, 'on_error': 'raise', 'split_seed': 0}
  config |= {'data': data, **changes}
  return run_of(folder / name, 'train_pm', 'preference model', config)


def ran(data, **changes):
  asked = OPTIONS | {'data': str(data), 'sets': ['kwise'], 'judges': ['longer']}
  asked |= {'workdir': str(data / 'out'), 'orders': 'one'}
  judge.run(asked | changes)
  return pd.read_csv(data / 'out' / 'agreement.csv')


def told(capsys):
  """Lines that say what was taken out."""
  return [x for x in capsys.readouterr().out.splitlines() if ' taken out' in x]


@pytest.fixture(autouse=True)
def scores(monkeypatch):
  """A preference model that likes all the same; what it was asked about."""
  asked = []
  kept = lambda texts: asked.extend(texts) or [0.0] * len(texts)
  scorer = judge.pm_scoring.TextScorer(kept, None)
  monkeypatch.setattr(judge.pm_scoring, 'of_run', lambda *_: scorer)
  return asked


@pytest.mark.parametrize('source', ['pairs', 'rankings'])
def test_what_a_preference_model_learned_is_left_out_of_its_agreement(
  source, data, scores, capsys
):
  """Its training side alone: what it held out is still asked."""
  path = imported(data, rankings=source == 'rankings')
  pm = pm_of(data, source, path)
  capsys.readouterr()
  found = ran(data, pms=[f'pm={pm}'])
  sides = asked_questions.sides_of(pm)
  learned, held = (
    {prompt_files.key_of(prompt_files.words_of(x)) for x, _ in own}
    for own in sides[:2]
  )
  assert learned and held and len(learned) + len(held) == COUNT
  asked = {prompt_files.key_of(prompt_files.words_of(x)) for x, _ in scores}
  assert asked <= held and len(asked) == found['n_prompts'].iloc[0]
  assert not asked & learned
  (line,) = told(capsys)
  pairs = judge.judging.SETS['kwise'].read(str(data))
  total = {prompt_files.key_of(pair.prompt) for pair in pairs}
  out = len(total & learned)
  assert line == (
    f'alpaca_eval: {out} of {len(total)} prompts taken out, {pm} was trained '
    'on them'
  )


def test_questions_that_a_policy_or_its_reward_learned_are_not_asked(
  data, capsys
):
  """By what it came from: a run knows its base and the PM that rewarded it."""
  prompt = lambda i: [f'\n\nHuman: {instruction(i).upper()}\n\nAssistant:', 'x']
  made = run_of(data / 'made', 'import_hh', 'comparisons', {'data': {}})
  sides = {'train': [prompt(0), prompt(1)], 'test': [prompt(2)]}
  (data / 'made' / 'prompts.json').write_text(json.dumps(sides))
  lm = run_of(data / 'lm', 'train_lm', 'language model', {'base': 'rung:3K'})
  more = {'comparisons_dir': made, 'base': lm}
  config = more | {'train_pm_dir': pm_of(data, 'hh', 'gone', **more)}
  rl = run_of(data / 'rl', 'train_ppo', 'policy', config)
  options = OPTIONS | {'data': str(data), 'questions': 'alpaca_eval'}
  options |= {'models': [f'rl={rl}', 'old=smollm2'], 'limit': 3}
  asked = judge.asked_by(options)
  shown = [x.turns[0] for x in asked.questions]
  assert shown == [instruction(i) for i in (2, 3, 4)]
  line = (
    f'alpaca_eval: 2 of {COUNT} prompts taken out, {rl} was trained on them'
  )
  out = capsys.readouterr().out
  assert line in out and 'old=smollm2 is no run: what it was trained' in out


def test_prompts_of_no_training_side_all_stay_and_a_line_says_so(data, capsys):
  pairs = [
    make_comparison(*(f'\n\nHuman: {i}\n\nAssistant: {x}' for x in 'ab'), 's')
    for i in range(COUNT)
  ]
  write_comparisons(data / 'own.jsonl', pairs)
  pm = pm_of(data, 'pairs', str(data / 'own.jsonl'))
  ran(data, pms=[f'pm={pm}'])
  (line,) = told(capsys)
  assert ': 0 of' in line and line.endswith(f'{pm} was trained on none of them')


def test_without_a_model_nothing_is_taken_out(data, capsys):
  assert ran(data)['n_prompts'].max() > 0 and not told(capsys)


def test_training_data_that_are_gone_or_changed_are_one_line(data, capsys):
  """And `--trained_on` names them: a file of another form, or a run."""
  path = imported(data)
  pm = pm_of(data, 'pairs', path)
  done = data / 'pm' / 'done.json'
  done.write_text(json.dumps({'read': {'train': {'read': 7}}}))
  wanted = 'pm: what .*pm was trained on cannot be read any more, so .* put it'
  with pytest.raises(RunError, match=wanted + '.*--trained_on=pm=FILE_OR_RUN'):
    ran(data, pms=[f'pm={pm}'])
  gone = pm_of(data, 'pairs', str(data / 'gone.jsonl'), 'two')
  with pytest.raises(RunError, match='gone.jsonl is not there'):
    ran(data, pms=[f'pm={gone}'])
  rows = [{'instruction': instruction(0)}, {'prompt': instruction(1)}]
  write_rows(data / 'some.jsonl', rows)
  capsys.readouterr()
  some = f'pm={data}/some.jsonl'
  ran(data, pms=[f'pm={gone}'], trained_on=[some])
  assert 'taken out' in told(capsys)[0]
  with pytest.raises(
    ValueError, match='--trained_on=odd=x: wanted the name of'
  ):
    ran(data, trained_on=['odd=x'])
  # Several files of text that is mixed in are files, each of them.
  texts = f'{data}/some.jsonl,{path}'
  ran(data, pms=[f'pm={pm_of(data, "pairs", path, "four", ptx_text=texts)}'])
  texts += ',no.jsonl'
  lost = pm_of(data, 'pairs', path, 'five', ptx_text=texts)
  with pytest.raises(RunError, match='ptx_text=no.jsonl of .* is not there'):
    ran(data, pms=[f'pm={lost}'])
  lost = pm_of(data, 'hh', 'x', 'three', train_pm_dir=str(data / 'no'))
  with pytest.raises(RunError, match='train_pm_dir=.*no of .* is not there'):
    ran(data, pms=[f'pm={lost}'])


def test_nothing_left_is_one_line(data):
  path = str(data / 'alpaca_eval_kwise')
  with pytest.raises(ValueError, match='got none of .*: leave this set out'):
    ran(data, pms=['pm=smollm2'], trained_on=[f'pm={path}'])


def test_prompts_of_files_are_read_in_every_form(data):
  """Pairs, rankings, questions: the words of the human, however spaced."""
  keys = {prompt_files.key_of(instruction(i)) for i in range(COUNT)}
  raw = data / 'alpaca_eval_kwise' / 'kwise.jsonl.gz'
  assert prompt_files.keys_of_file(raw) == keys
  write_rankings(data / 'r.jsonl', replies.read_prefs(raw))
  assert prompt_files.keys_of_file(data / 'r.jsonl') == keys
  for binary in (False, True):
    assert prompt_files.keys_of_file(imported(data, binary=binary)) == keys
  write_rows(data / 'bad.jsonl', [{'reply': 'x'}])
  with pytest.raises(ValueError, match='bad.jsonl:1: wanted a prompt, turns'):
    prompt_files.keys_of_file(data / 'bad.jsonl')


def test_a_model_that_a_run_exported_is_that_run(data):
  run = pm_of(data, 'pairs', 'x', export='model')
  for folder in ('model', 'other'):
    (data / 'pm' / folder).mkdir()
  assert unseen.run_of(f'{run}/model') == unseen.run_of(run) == run
  grown = pm_of(data, 'simulated', '', 'grown', base=f'{run}/model')
  with pytest.raises(
    RunError, match='what .*grown was trained on .*: x is not'
  ):
    ran(data, pms=[f'pm={grown}'])
  assert unseen.run_of(f'{run}/other') is unseen.run_of('smollm2+hhh') is None


def test_two_files_of_replies_lose_prompts_that_the_judge_learned(data, capsys):
  files = []
  for name in 'ab':
    rows = [{'prompt': f'{i}', 'reply': name * (i + 1)} for i in range(8)]
    files.append(str(data / f'{name}.jsonl'))
    write_rows(files[-1], rows)
  write_rows(data / 'known.jsonl', [{'prompt': '0'}, {'prompt': '7'}])
  asked = OPTIONS | {'replies': files[0], 'against': files[1]}
  asked |= {'pms': ['pm=smollm2'], 'trained_on': [f'pm={data}/known.jsonl']}
  judge.run(asked | {'workdir': str(data / 'out')})
  assert told(capsys)[0].startswith(
    'replies: 2 of 8 prompts taken out, smollm2'
  )
  assert pd.read_csv(data / 'out' / 'win_rates.csv')['n'].max() == 6
