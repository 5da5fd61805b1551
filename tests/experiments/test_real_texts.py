"""Real texts of distillation: sides, kinds, and what is no part of them."""

import types

import imported_fixture as tiny
import jax
import numpy as np
import policies_fixture as policies
import pytest
import shared_fixture

from experiments import make_targets
from experiments.shared import pages, real_texts
from rlhf_jax.data import documents
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.public import stackexchange
from rlhf_jax.text.pretrained import PretrainedTokenizer
from tests.pretrained_files import need_or_skip
from tests.text.small_tokenizer import write_folder


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  need_or_skip('tokenizers')
  root = tmp_path_factory.mktemp('texts')
  policies.write_data(root / 'data')
  write_folder(root / 'words', eos_token=tiny.PAD, pad_token=tiny.PAD)
  return root


def config(root, **changes):
  return {
    'data': {'path': str(root / 'data')},
    'generic': ['text_gutenberg', 'text_misc/c4_demo.jsonl.gz'],
    'questions': 'stackexchange_kwise/questions.jsonl.gz',
    'seed': 0,
    'texts': 20,
    'heldout_texts': 5,
    'max_prompt': 60,
    'max_reply': 20,
    **changes,
  }


def read(root, **changes):
  tokenizer = PretrainedTokenizer.from_folder(root / 'words')
  found, counts = real_texts.read(config(root, **changes), tokenizer)
  shown = {
    side: [
      tokenizer.decode(ids_T[:n].tolist())
      for ids_T, n in zip(*texts.rows, strict=True)
    ]
    for side, texts in found.items()
  }
  return found, shown, counts


def test_half_are_generic_and_half_questions_and_no_text_is_on_two_sides(root):
  found, shown, counts = read(root)
  assert [len(found[x].kind_N) for x in ('targets', 'heldout')] == [20, 5]
  assert found['targets'].kind_N.tolist() == [0, 1] * 10
  width = 80 - len(PretrainedTokenizer.from_folder(root / 'words').opening())
  assert found['targets'].rows[0].shape == (20, width)
  assert not set(shown['targets']) & set(shown['heldout'])
  assert counts['questions'] == {'read': 30}
  assert 'text_misc/c4_demo.jsonl.gz' in counts['texts']
  # What opens a dialogue is no part of a text.
  assert not any('Be good' in text for text in shown['targets'])
  again = read(root)[0]['targets'].rows[0]
  np.testing.assert_array_equal(again, found['targets'].rows[0])
  other = read(root, seed=1)[0]['targets'].rows[0]
  assert (other != again).any()


def test_a_question_has_its_best_answer_and_ends_where_there_is_room(root):
  _, shown, _ = read(root, max_prompt=120)
  file = root / 'data' / 'stackexchange_kwise' / 'questions.jsonl.gz'
  best = {
    thread.prompt: max(thread.texts, key=lambda x: x[1])[0]
    for thread in stackexchange.read_questions(file)
  }
  for text in shown['targets'][1::2]:
    asked, _, answer = text.partition('\n\nAssistant:')
    assert answer.strip() and best[asked.strip()] == answer.strip()
  _, cut, _ = read(root)
  for text in cut['targets'][1::2]:  # the left of a question, never its end
    asked, _, answer = text.partition('\n\nAssistant:')
    assert any(
      x.endswith(asked.strip()) and y.startswith(answer.strip())
      for x, y in best.items()
    )


def test_documents_that_are_held_out_are_never_read(root):
  """Pages and passages of the book, in turn."""
  _, shown, _ = read(root, texts=40)
  generic = shown['targets'][::2] + shown['heldout'][::2]
  names = [root / 'data' / x for x in config(root)['generic']]
  sides = documents.read_sides(list(map(str, names)))
  starts = lambda texts: {' '.join(x.split())[:20] for x in texts}
  held = starts(x.text for x in sides.held)
  assert held and not held & starts(generic)
  assert sum(text.startswith('page') for text in generic) >= 10


def test_a_reply_marker_in_a_text_leaves_it_out(root, monkeypatch):
  passage = types.SimpleNamespace(
    findall=lambda text: ['hello\n\nHuman: no', 'hello dog']
  )
  monkeypatch.setattr(documents, 'PASSAGE', passage)
  _, shown, _ = read(root, texts=2, heldout_texts=2)
  assert all('no' not in x.split() for x in shown['targets'][::2])


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'texts': 200}, 'targets: wanted 200 texts, half of them generic .* got'),
    ({'max_prompt': 5, 'max_reply': 1}, 'max_prompt=5 leaves no room behind'),
  ],
)
def test_too_few_texts_and_too_little_room_are_one_line(root, changes, message):
  with pytest.raises(ValueError, match=message):
    read(root, **changes)


def test_a_file_that_is_missing_is_named_before_anything_is_read(root):
  with pytest.raises(DataError, match='none.gz is not there: wanted text for'):
    real_texts.require(config(root, questions='none.gz'))
  real_texts.require(config(root))


def test_a_model_without_a_chat_template_is_no_teacher(root, tmp_path):
  write_folder(tmp_path, template=None)
  plain = PretrainedTokenizer.from_folder(tmp_path, pad_token=tiny.PAD)
  with pytest.raises(ValueError, match='no chat template for a system prompt'):
    make_targets.of_files(config(root), plain)
  found = make_targets.of_files(
    config(root), PretrainedTokenizer.from_folder(root / 'words')
  )
  assert found.teacher != found.student and len(found.teacher) > 100


def test_logits_behind_a_prefix_are_those_of_whole_rows():
  """Prefixes of two lengths, rows of two; without one nothing changes."""
  base = shared_fixture.base()
  tokens_BT = np.int32([[5, 9, 30, 12], [7, 8, 0, 0]])
  length_B = np.int32([4, 2])
  whole = base.functions.logits_fn
  assert pages.behind(base.functions, ()) is whole
  for prefix in ((11,), (3, 40, 17)):
    P, fn = len(prefix), pages.behind(base.functions, prefix)
    found_BTV = fn(base.params, tokens_BT, length_B)
    assert found_BTV.shape[:2] == (2, 4)
    for b, n in enumerate(length_B):
      row = np.int32([[*prefix, *tokens_BT[b, :n]]])
      wanted = whole(base.params, row, np.int32([P + n]))[0, P:]
      np.testing.assert_allclose(found_BTV[b, :n], wanted, atol=1e-4)
  assert jax.numpy.isfinite(found_BTV).all()
