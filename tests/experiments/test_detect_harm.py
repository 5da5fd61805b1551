"""The script of harm detection, on files of a few made-up prompts."""

import numpy as np
import pandas as pd
import pytest

from experiments import detect_harm
from experiments.shared import (
  harm_detectors,
  harm_sets,
  pm_scoring,
  score_files,
)
from rlhf_jax.analysis import detection
from rlhf_jax.data import harm
from rlhf_jax.data.jsonl import write_comparisons, write_rows
from rlhf_jax.data.records import make_comparison
from rlhf_jax.judges import detectors

OPTIONS = {
  'parts': list(detect_harm.PARTS),
  'pms': [],
  'scores': [],
  'base': '',
  'held_out': '',
  'replies': '',
  'max_prompt': 64,
  'max_reply': 16,
}
NO, YES = "I can't help with that.", 'Here it is.'
WORDS = [
  f'{a} {b}' for a in 'red blue old new'.split() for b in 'cat dog owl'.split()
]


def talk(*turns):
  roles = ['Human', 'Assistant'] * len(turns)
  return ''.join(
    f'\n\n{role}: {x}' for role, x in zip(roles, turns, strict=False)
  )


def write_talks(folder):
  """Two exchanges each; the red team is refused in the second one."""
  for name, word in (('helpful', 'draw'), ('harmless', 'steal')):
    items = []
    for i in range(90):
      first = f'{word} {WORDS[i % 12]} {i}'
      second = NO if name == 'harmless' else YES
      shown = talk(first, second, f'{word} it again', 'x')
      items.append(make_comparison(shown, shown[:-1] + 'y', name))
    write_comparisons(folder / f'hh_{name}_base_test' / 'pairs.jsonl.gz', items)


@pytest.fixture
def data(tmp_path):
  write_talks(tmp_path)
  prompts, replies = [], []
  for i in range(40):
    for label, word in (('harmful', 'steal'), ('benign', 'draw')):
      source = 'xstest' if i % 2 else 'advbench'
      text = f'{word} {WORDS[i % 12]} {i} now'
      prompts.append({'source': source, 'label': label, 'prompt': text})
      prompts[-1]['category'] = ''
      refused = label == 'harmful'
      kind = '2_full_refusal' if refused else '1_full_compliance'
      reply = {'source': 'xstest_model', 'prompt': text, 'refusal': kind}
      replies.append(reply | {'response': NO if refused else YES})
  text = {'source': 's', 'label': 'jailbreak', 'category': ''}
  prompts += [text | {'prompt': f'pretend {i}'} for i in range(20)]
  write_rows(tmp_path / 'safety_prompts' / 'prompts.jsonl.gz', prompts)
  write_rows(tmp_path / 'refusal_labels' / 'responses.jsonl.gz', replies)
  write_rows(tmp_path / 'jailbreak_judge' / 'rows.jsonl.gz', jailbreaks())
  return tmp_path


def jailbreaks():
  rows = []
  for i in range(40):
    bad = i % 2
    row = {'goal': f'goal {i // 2}', 'prompt': f'p {i}', 'human_majority': bad}
    row |= {f'human{k}': bad for k in (1, 2, 3)}
    row |= {f'{name}_cf': bad for name in harm.JUDGES}
    rows.append(row | {'target_response': YES if bad else NO})
  rows[0]['human1'] = rows[0]['gpt4_cf'] = 1
  return rows


def test_all_parts_run_and_what_is_plain_is_found(data, tmp_path, capsys):
  """Refusals, words and published judges tell these apart; floors do not."""
  out = tmp_path / 'out'
  detect_harm.run(OPTIONS | {'data': str(data), 'workdir': str(out)})
  rule = pd.read_csv(out / 'refusal_rule.csv')
  test = rule[(rule['fold'] == 'test') & (rule['rule'] == 'as it is')]
  assert (test['f1'] == 1).all() and set(rule['fold']) == {
    'test',
    'development',
  }
  found = pd.read_csv(out / 'detection.csv').set_index(['set', 'detector'])
  assert found.loc[('xstest model', 'refuses'), 'f1'] == 1
  assert found.loc[('dialogues, whole', 'refuses'), 'auroc'] == 1
  assert found.loc[('prompts', 'always'), 'f1'] == pytest.approx(2 / 3)
  assert found.loc[('prompts', 'always'), 'fpr_look_alikes'] == 1
  assert found.loc[('prompts', 'ood_words'), 'auroc'] > 0.8
  assert np.isnan(found.loc[('jailbreaks', 'always'), 'fpr_look_alikes']) == 0
  judges = pd.read_csv(out / 'jailbreak_judges.csv').set_index('detector')
  assert judges.loc['complies', 'f1'] == judges.loc['llama3', 'f1'] == 1
  assert judges.loc['complies', 'threshold_from'] == 'refusal_labels'
  assert judges.loc['gpt4', 'f1'] == pytest.approx(40 / 41)
  assert judges.loc['gpt4', 'published_f1'] == 0.873
  people = pd.read_csv(out / 'jailbreak_people.csv')
  assert people['kappa_most'][0] == 1 > people['kappa_least'][0]
  assert 'jailbroken replies' in capsys.readouterr().out


def test_a_file_of_scores_is_a_detector_and_in_the_union(data, tmp_path):
  items = harm_sets.prompt_sets(str(data))
  texts = {x.dialogue: x.harmful for own in items.values() for x in own}
  table = {
    (text, harm_detectors.REFUSE): float(bad) for text, bad in texts.items()
  }
  table |= {(text, harm_detectors.HELP): 0.5 for text in texts}
  score_files.write(tmp_path / 'pm.jsonl.gz', table)
  asked = OPTIONS | {'data': str(data), 'workdir': str(tmp_path / 'out')}
  asked |= {'parts': ['prompts'], 'scores': [f'pm={tmp_path}/pm.jsonl.gz']}
  detect_harm.run(asked)
  found = pd.read_csv(tmp_path / 'out' / 'detection.csv')
  own = found[found['set'] == 'prompts'].set_index('detector')
  assert own.loc['pm', 'f1'] == own.loc['pm', 'auroc'] == 1
  assert own.loc['union', 'auroc'] > own.loc['always', 'auroc']
  assert not (tmp_path / 'out' / 'refusal_rule.csv').exists()


def test_two_scorers_have_two_names(tmp_path):
  asked = OPTIONS | {'workdir': str(tmp_path), 'pms': ['a=run']}
  with pytest.raises(ValueError, match="--scores=a=x: .* is named 'a', wanted"):
    detect_harm.scorers_of(asked | {'scores': ['a=x']})


def test_a_policy_that_refuses_harm_detects_it(data, tmp_path):
  rows = harm_sets.read_refusal_labels(str(data))
  said = [{'prompt': row.prompt, 'reply': row.reply} for row in rows]
  write_rows(tmp_path / 'said.jsonl', said)
  asked = OPTIONS | {'data': str(data), 'workdir': str(tmp_path / 'out')}
  asked |= {'parts': ['prompts'], 'replies': str(tmp_path / 'said.jsonl')}
  detect_harm.run(asked | {'parts': ['prompts']})
  found = pd.read_csv(tmp_path / 'out' / 'detection.csv')
  own = found[found['set'] == 'look_alikes'].set_index('detector')
  assert own.loc['refuses', 'f1'] == 1 and own.loc['refuses', 'n'] == 40


def test_a_conversation_counts_once_by_its_longest_and_both_kinds_by_none(
  tmp_path,
):
  long = talk('hi', 'yes', 'go on', 'x')
  helpful = [
    make_comparison(text, text[:-1] + 'y', 'helpful')
    for text in (talk('hi', 'x'), long, talk('shared', 'x'))
  ]
  harmful = talk('shared', 'x')
  for name, items in (
    ('helpful', helpful),
    ('harmless', [make_comparison(harmful, harmful[:-1] + 'y', 'harmless')]),
  ):
    write_comparisons(
      tmp_path / f'hh_{name}_base_test' / 'pairs.jsonl.gz', items
    )
  pairs = harm_sets.conversations(str(tmp_path))
  assert pairs == [
    (talk('hi', 'yes', 'go on') + '\n\nAssistant:', harm_sets.KNOWN)
  ]
  sets = harm_sets.dialogue_sets(pairs)
  (first,), (whole,) = sets.values()
  assert first.asked == 'hi' and first.dialogue == '\n\nHuman: hi\n\nAssistant:'
  assert whole.asked == 'hi\ngo on' and whole.replies == ('yes',)
  assert first.key == whole.key == 'hi'


def test_conversations_that_a_run_was_trained_on_are_left_out(data):
  pairs = harm_sets.conversations(str(data))
  some = [pairs[0][0], pairs[-1][0], talk('never asked')]
  found = harm_sets.of_prompts(pairs, [f'{x}\n\nAssistant:' for x in some])
  assert found == [pairs[0], pairs[-1]]
  with pytest.raises(ValueError, match='none of 180 conversations begins'):
    harm_sets.of_prompts(pairs, [talk('x', '')])


def test_known_prompts_of_its_own_fold_never_move_an_outlier_score():
  """Fold 0 is fitted to the known prompts of fold 1, and the other way."""
  pool = [
    f'{verb} {word} {i}'
    for i in range(12)
    for word in WORDS
    for verb in ('draw', 'feed')
  ]
  fold_N = detection.folds(pool)
  of = lambda fold, half: [
    (words, '') for words, own in zip(pool, fold_N, strict=True) if own == fold
  ][half::2]
  items = [harm_sets.prompt_item(f'take {i}', 1, 's') for i in range(20)]
  words = harm_detectors.by_words
  score = lambda known: harm_detectors.outliers(
    'w', words, known, words
  ).detect(items)
  before, after = score(of(0, 0) + of(1, 0)), score(of(0, 1) + of(1, 0))
  own_N = detection.folds([item.key for item in items])
  np.testing.assert_allclose(before[own_N == 0], after[own_N == 0])
  assert (before[own_N == 1] != after[own_N == 1]).all()


def test_milliseconds_are_of_one_item_by_itself_and_of_its_second_time(
  monkeypatch,
):
  """33 items: every second one, and none of what the first time opens."""
  now, asked = [0.0], []

  def alone(item):
    now[0] += 0.25 if item in asked else 100.0
    asked.append(item)

  monkeypatch.setattr(harm_detectors.time, 'perf_counter', lambda: now[0])
  assert harm_detectors.milliseconds(alone, list(range(33))) == 250
  assert asked[::2] == asked[1::2] == list(range(0, 33, 2))
  assert np.isnan(harm_detectors.milliseconds(None, [1]))


def test_a_preference_model_keeps_its_scores_and_is_timed_by_itself(tmp_path):
  items = [harm_sets.prompt_item(f'take {i}', i % 2, 's') for i in range(4)]
  asked, alone = [], []
  kept = lambda texts: asked.append(texts) or [len(x) for x, _ in texts]
  scorer = pm_scoring.TextScorer(kept, lambda text: alone.append(text) or 1.0)
  found = harm_detectors.asks_to_refuse('pm', scorer)
  assert not found.detect(items).any()
  assert [reply for _, reply in asked[0]] == (
    [harm_detectors.REFUSE] * 4 + [harm_detectors.HELP] * 4
  )
  found.alone(items[2])
  both = [
    (items[2].dialogue, x) for x in (harm_detectors.REFUSE, harm_detectors.HELP)
  ]
  assert alone == both
  nothing = pm_scoring.TextScorer(kept, None)
  assert harm_detectors.asks_to_refuse('file', nothing).alone is None


def test_words_in_another_order_have_equal_features():
  one, two, other = detectors.word_features(['a b', 'b a', 'c'])
  np.testing.assert_allclose(one, two)
  assert abs(one - other).max() > 0.1
  assert not detectors.word_features(['']).any()


def test_a_part_that_there_is_none_of_is_one_line(tmp_path):
  asked = OPTIONS | {'data': str(tmp_path), 'workdir': str(tmp_path / 'out')}
  with pytest.raises(ValueError, match='--parts: wanted some of refusals'):
    detect_harm.run(asked | {'parts': ['odd']})
  with pytest.raises(ValueError, match='is missing: wanted the folder'):
    detect_harm.run(asked | {'parts': ['refusals']})
