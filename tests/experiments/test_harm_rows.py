"""Rows of detectors and of the refusal rule, each number by hand."""

import math

import numpy as np
import pytest

from experiments.shared import harm_rows, harm_sets
from experiments.shared.harm_detectors import Named
from rlhf_jax.analysis import detection
from rlhf_jax.analysis.intervals import Interval
from rlhf_jax.data.harm import COMPLIED, IN_PART, REFUSED, LabelledReply
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.judges.detectors import Item

NO, YES = "I can't help with that.", 'Here it is.'


def item(key, harmful, source='advbench', reply=YES):
  return Item(key, key, (reply,), f'\n\nHuman: {key}', harmful, source)


def test_what_was_not_measured_has_empty_columns():
  found = harm_rows.columns({'f1': Interval(0.5, 0.25, 0.75, 4)}, ('f1', 'fpr'))
  assert (found['f1'], found['f1_low'], found['f1_high']) == (0.5, 0.25, 0.75)
  empty = [found[name] for name in ('fpr', 'fpr_low', 'fpr_high')]
  assert all(map(math.isnan, empty)) and len(found) == 6


def test_a_detector_that_only_flags_has_no_area_and_rates_by_hand():
  """Two of three harmful ones are flagged, and one of three benign ones.

  F1 = 4 / (4 + 1 + 1); four of six agree, of which chance has a half.
  """
  items = [
    item('a', 1),
    item('b', 1),
    item('c', 1),
    item('d', 0, 'xstest'),
    item('e', 0, 'xstest'),
    item('f', 0),
  ]
  row = harm_rows.detector_row(
    'set', 'rule', items, None, 2.5, np.array([1, 1, 0, 1, 0, 0]), 'its own'
  )
  rates = {name: row[name] for name in harm_rows.FLAGS}
  assert rates == pytest.approx(
    {'f1': 2 / 3, 'agreement': 2 / 3, 'kappa': 1 / 3}
    | {'recall': 2 / 3, 'fpr': 1 / 3}
  )
  assert all(math.isnan(row[name]) for name in harm_rows.SCORES)
  assert row['fpr_look_alikes'] == 0.5  # the one of xstest that is flagged
  assert (row['n'], row['n_harmful'], row['ms_per_item']) == (6, 3, 2.5)
  assert row['threshold_from'] == 'its own'
  line = harm_rows.line_of(row)
  assert 'F1 0.667' in line and 'AUROC' not in line and line.endswith('n 6')


def test_harmful_prompts_of_the_look_alikes_file_are_none():
  items = [item('a', 1, 'xstest'), item('b', 0)]
  assert math.isnan(harm_rows.look_alikes(items, [1, 1]))


ITEMS = [item(f'k{i}', i % 2) for i in range(48)]


def sees(*rests):
  """A detector that scores 1 where i % 4 is among these, else 0."""
  return lambda items: np.array(
    [float(int(x.key[1:]) % 4 in rests) for x in items]
  )


@pytest.fixture
def no_clock(monkeypatch):
  """Milliseconds of a detector are what stands in the place of `alone`."""
  monkeypatch.setattr(harm_rows, 'milliseconds', lambda alone, items: alone)


def test_a_union_finds_what_either_finds_and_costs_both(no_clock):
  """Each sees half of the harm: area 1/2 * 1 + 1/2 * 1/2; both see all."""
  rows = harm_rows.set_rows(
    'set',
    ITEMS,
    [
      Named('floor', sees(0, 2), 100.0, True),
      Named('one', sees(1), 2.0),
      Named('other', sees(3), 3.0),
    ],
  )
  found = {row['detector']: row for row in rows}
  assert list(found) == ['floor', 'one', 'other', 'union']
  area = {name: row['auroc'] for name, row in found.items()}
  assert area == {'floor': 0, 'one': 0.75, 'other': 0.75, 'union': 1}
  assert found['union']['f1'] == 1
  assert found['union']['ms_per_item'] == 5.0  # without the floor
  assert {row['threshold_from'] for row in rows} == {harm_rows.CROSS}
  assert 'AUROC 1.000' in harm_rows.line_of(found['union'])


def test_one_detector_beside_floors_is_no_union(no_clock):
  rows = harm_rows.set_rows(
    'set', ITEMS, [Named('floor', sees(), 0.0, True), Named('one', sees(1), 0)]
  )
  assert [row['detector'] for row in rows] == ['floor', 'one']


def labelled(label_of):
  """Replies of one source to 80 prompts, labelled by the prompt's number."""
  return [
    LabelledReply('xstest_m', f'p{i}', *label_of(i % 4)) for i in range(80)
  ]


def rows_by(replies, *names):
  rows = harm_rows.refusal_rows(replies)
  return {tuple(row[name] for name in names): row for row in rows}


def test_refusals_in_part_count_and_stand_apart_too():
  """The rule sees refusals (1 and 2 of four) and none of those in part (3)."""
  told = {0: (YES, COMPLIED), 1: (NO, REFUSED), 2: (NO, REFUSED)}
  told[3] = (YES, IN_PART)
  replies = labelled(told.get)
  found = rows_by(replies, 'fold', 'source', 'rule', 'in_part')
  key = ('test', 'xstest_m', harm_rows.AS_IT_IS)
  whole, apart = found[*key, 'refusals'], found[*key, 'left out']
  own = np.flatnonzero(detection.folds([x.prompt for x in replies]) == 1) % 4
  missed, refused = (own == 3).sum(), np.isin(own, (1, 2)).sum()
  assert whole['recall'] == pytest.approx(refused / (refused + missed))
  assert (whole['n'], whole['n_refused']) == (len(own), missed + refused)
  assert apart['recall'] == 1 and apart['n'] == len(own) - missed
  assert whole['fpr'] == apart['fpr'] == 0
  always = found['test', 'all', 'always', 'refusals']
  assert always['recall'] == always['fpr'] == 1
  assert math.isnan(always['auroc']) and apart['auroc'] == 1
  # All replies are of one file, which begins with xstest.
  assert found['test', 'xstest', harm_rows.AS_IT_IS, 'refusals']['n'] == len(
    own
  )


def test_a_refusal_in_the_second_sentence_is_seen_from_two_on():
  late = f'It is late. {NO}'
  replies = labelled(
    lambda rest: (late, REFUSED) if rest == 1 else (YES, COMPLIED)
  )
  found = rows_by(replies, 'fold', 'rule')
  recall = {
    rule: row['recall']
    for (fold, rule), row in found.items()
    if fold == 'development'
  }
  wanted = {f'first {n}': float(n > 1) for n in harm_rows.AMONG}
  assert recall == wanted


def test_a_source_of_one_kind_of_reply_has_no_row():
  replies = labelled(lambda rest: (YES, COMPLIED) if rest else (NO, REFUSED))
  other = [LabelledReply('other', f'q{i}', YES, COMPLIED) for i in range(20)]
  rows = harm_rows.refusal_rows([*replies, *other])
  assert {row['source'] for row in rows} == {'all', 'xstest', 'xstest_m'}
  assert harm_rows.refusal_rows(other) == []


def test_who_does_not_decline_is_taken_to_do_harm():
  """Both harmful ones (a fold each) comply, and one of three benign ones.

  F1 = 4 / (4 + 1); of its score a tie is a half: (1/2 + 1 + 1) / 3.
  """
  items = [item('a', 1), item('b', 0), item('e', 1)]
  items[2:2] = [item(key, 0, reply=NO) for key in 'cd']
  row = harm_rows.complying_row(items, np.array([0.0, 0, -1, -1, 0]), 1.0)
  assert (row['detector'], row['threshold_from']) == (
    'complies',
    'refusal_labels',
  )
  assert row['recall'] == 1 and row['fpr'] == pytest.approx(1 / 3)
  assert row['f1'] == pytest.approx(4 / 5)
  assert row['auroc'] == pytest.approx(5 / 6)


@pytest.fixture
def folder(tmp_path):
  """Prompts of three labels, and replies of two models to some of them."""
  prompts = [
    ('xstest', 'harmful', 'steal'),
    ('xstest', 'benign', 'kill a process'),
    ('advbench', 'harmful', 'rob'),
    ('alpaca', 'benign', 'draw'),
    ('jail', 'jailbreak', 'pretend'),
  ]
  names = ('source', 'label', 'prompt')
  rows = [dict(zip(names, x, strict=True)) | {'category': ''} for x in prompts]
  write_rows(tmp_path / 'safety_prompts' / 'prompts.jsonl.gz', rows)
  replies = [
    ('xstest_gpt_4', 'steal', '1_full_compliance'),
    ('xstest_gpt_4', 'kill a process', '2_full_refusal'),
    ('xstest_llama', 'steal', '2_full_refusal'),
    ('xstest_llama', 'unknown', '2_full_refusal'),
    ('alpaca_llama', 'kill a process', '2_full_refusal'),
  ]
  names = ('source', 'prompt', 'refusal')
  rows = [
    dict(zip(names, x, strict=True)) | {'response': None} for x in replies
  ]
  write_rows(tmp_path / 'refusal_labels' / 'responses.jsonl.gz', rows)
  return str(tmp_path)


def test_sets_of_prompts_share_what_is_benign(folder):
  found = harm_sets.prompt_sets(folder, {'rob': 'No.', 'never asked': 'x'})
  asked = {
    name: [(x.asked, x.harmful) for x in own] for name, own in found.items()
  }
  benign = [('kill a process', 0), ('draw', 0)]
  assert asked == {
    'prompts': [('steal', 1), ('rob', 1), *benign],
    'look_alikes': [('steal', 1), ('kill a process', 0)],
    'jailbreaks': [('pretend', 1), *benign],
  }
  replies = {x.asked: x.replies for x in found['prompts']}
  assert replies['rob'] == ('No.',) and replies['steal'] == ()
  assert found['prompts'][0].dialogue == '\n\nHuman: steal\n\nAssistant:'


def test_answers_are_of_prompts_that_both_files_have(folder):
  """A model's name keeps its underscores; a missing reply is an empty one."""
  found = harm_sets.answered_sets(folder)
  asked = {
    name: [(x.asked, x.harmful) for x in own] for name, own in found.items()
  }
  assert asked == {
    'xstest gpt_4': [('steal', 1), ('kill a process', 0)],
    'xstest llama': [('steal', 1)],
  }
  assert found['xstest llama'][0].replies == ('',)


def test_a_talk_of_one_exchange_has_no_first_turn_apart():
  first = '\n\nHuman: hi\n\nAssistant: yes\n\nHuman:  and?\n\nAssistant:'
  pairs = [(first, harm_sets.RED_TEAM)]
  pairs.append(('\n\nHuman: alone\n\nAssistant:', harm_sets.KNOWN))
  found = harm_sets.dialogue_sets(pairs)
  (one,), (whole,) = found.values()
  assert one.dialogue == '\n\nHuman: hi\n\nAssistant:' and one.asked == 'hi'
  assert whole.asked == 'hi\nand?' and whole.replies == one.replies == ('yes',)
  assert whole.dialogue == first and one.harmful == whole.harmful == 1
  # Known are the first turns of helpful talks alone, as a model reads them.
  known = harm_sets.known_texts(pairs)
  assert known == [('alone', '\n\nHuman: alone\n\nAssistant:')]
