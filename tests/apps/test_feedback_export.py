"""Export of choices: what is a pair, what nobody gets, and the way back."""

import json

import pytest
import said_fixture

from apps.feedback import database, export, restore
from rlhf_jax.data import said
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import read_comparisons


@pytest.fixture
def made(tmp_path):
  return said_fixture.Maker(tmp_path / 'a.db')


def pairs_of(maker, **options):
  return [json.loads(line) for line in export.pair_lines(maker.db, **options)]


@pytest.mark.parametrize(
  ('box', 'shown_first', 'chosen'),
  [
    (1, 0, 'zero'),
    (3, 0, 'zero'),
    (8, 0, 'one'),
    (1, 1, 'one'),
    (6, 1, 'zero'),
  ],
)
def test_the_box_says_which_of_the_two_as_shown_is_chosen(
  made, box, shown_first, chosen
):
  made.choose(made.conversation(), box=box, shown_first=shown_first)
  (row,) = pairs_of(made)
  assert chosen in row['chosen'] and chosen not in row['rejected']
  assert row['kind'] == 'helpful'


@pytest.mark.parametrize(
  ('direction', 'chosen'), [('better', 'zero'), ('worse', 'one')]
)
def test_who_picks_the_more_harmful_reply_says_that_the_other_is_better(
  made, direction, chosen
):
  lease = made.conversation(task='red_team', direction=direction)
  made.choose(lease, box=2)
  (row,) = pairs_of(made)
  assert chosen in row['chosen'] and row['kind'] == 'harmless'


@pytest.mark.parametrize('direction', ['better', 'worse'])
def test_a_rewrite_is_better_than_what_it_rewrote(made, direction):
  lease = made.conversation(task='red_team', direction=direction)
  made.choose(lease, box=None, picked=1, rewrite=' Let us talk of cats.')
  (row,) = pairs_of(made)
  assert row['chosen'].endswith('\n\nAssistant: Let us talk of cats.')
  assert row['rejected'].endswith(' one of 1-1.')


def test_the_weakest_boxes_are_left_out_unless_they_are_asked_for(made):
  lease = made.conversation()
  for box in range(1, 9):
    made.choose(lease, number=box, box=box)
  assert len(pairs_of(made)) == 6
  assert len(pairs_of(made, weakest=True)) == 8
  rows = list(export.sidecar_rows(made.db))
  assert [row['pair'] for row in rows] == [1, 2, 3, None, None, 4, 5, 6]
  assert [row['left_out'] for row in rows[3:5]] == ['weakest box'] * 2
  assert [row['strength'] for row in rows] == [4, 3, 2, 1, 1, 2, 3, 4]


def test_a_reply_with_a_turn_of_its_own_is_no_pair(made):
  lease = made.conversation()
  for number, end in enumerate(['', '\n\nAssistant: 9'], start=1):
    said = f' 8.\n\nHuman: and owls?{end}'
    made.choose(lease, number=number, texts=(said, ' two.'))
  made.choose(lease, number=3)
  assert len(pairs_of(made)) == 1
  rows = list(export.sidecar_rows(made.db))
  assert [row['left_out'] for row in rows] == ['no dialogue'] * 2 + ['']


def test_attention_items_are_nowhere(made):
  known = {'kind': 'pair', 'prompt': '\n\nHuman: hi\n\nAssistant:'}
  known |= {'reply_0': ' yes', 'reply_1': ' no', 'answer': 0}
  made.choose(made.conversation(**known))
  made.choose(made.conversation())
  assert len(pairs_of(made)) == 1
  lines = list(export.sidecar_lines(made.db))
  assert len(lines) == 1 and 'item-1' not in lines[0]
  assert len(database.comparisons(made.db, attention=True)) == 2


def everything(made):
  """Choices of all kinds; the last compares replies of the first turn."""
  lease = made.conversation()
  first = made.choose(lease, number=1, box=1, human='cats & <b>"dögs"</b>')
  made.choose(lease, number=2, box=5)
  made.choose(lease, number=3, box=None, picked=0, rewrite=' Better.')
  made.choose(made.conversation(2, task='red_team', direction='worse'), box=8)
  prompt = '\n\nHuman: cats & <b>"dögs"</b>\n\nAssistant:'
  pair = {'kind': 'pair', 'source_turn_id': first, 'prompt': prompt}
  again = made.conversation(2, **pair)
  made.choose(again, human='', prompt=prompt, box=7)
  with database.writing(made.db):
    made.db.execute(
      "UPDATE assignments SET finished = 8.5, rating = 3, comment = 'fine' "
      'WHERE id = ?',
      (lease,),
    )


def test_what_is_exported_and_read_back_is_exported_alike(made, tmp_path):
  everything(made)
  counts = export.write(made.db, tmp_path / 'out')
  assert counts == {'pairs': 4, 'weakest box': 1}
  fresh = database.connect(tmp_path / 'b.db', create=True)
  file = tmp_path / 'out' / export.SIDECAR
  assert restore.read(fresh, file) == (5, 5)
  assert export.write(fresh, tmp_path / 'again') == counts
  for name in (export.PAIRS, export.SIDECAR):
    first, again = (tmp_path / x / name for x in ('out', 'again'))
    assert first.read_bytes() == again.read_bytes()
  (about,) = {
    row.about for row in database.comparisons(fresh) if row.box in (1, 7)
  }
  assert about == 'lease-1/1'


def test_reading_an_export_back_changes_nothing(made, tmp_path):
  everything(made)
  export.write(made.db, tmp_path / 'out')
  dump = list(made.db.iterdump())
  file = tmp_path / 'out' / export.SIDECAR
  assert restore.read(made.db, file) == (5, 0)
  assert list(made.db.iterdump()) == dump


def test_an_export_in_the_midst_of_a_conversation_is_gone_on_with(
  made, tmp_path
):
  lease = made.conversation()
  made.choose(lease, number=1)
  fresh = database.connect(tmp_path / 'b.db', create=True)
  export.write(made.db, tmp_path / 'out1')
  restore.read(fresh, tmp_path / 'out1' / export.SIDECAR)
  made.choose(lease, number=2)
  made.db.execute(
    'UPDATE assignments SET expires = 120.5, finished = 9.5, rating = 4,'
    " comment = 'good' WHERE id = ?",
    (lease,),
  )
  export.write(made.db, tmp_path / 'out2')
  assert restore.read(fresh, tmp_path / 'out2' / export.SIDECAR) == (2, 1)
  assert list(export.sidecar_lines(fresh)) == list(
    export.sidecar_lines(made.db)
  )
  # An older one takes nothing back.
  restore.read(fresh, tmp_path / 'out1' / export.SIDECAR)
  assert '"comment": "good"' in ''.join(export.sidecar_lines(fresh))


SECOND = ({'texts': (' new0', ' new1')}, {'human': 'owls'}, {'prompt': ' x'})
OTHER = ({'box': 8}, {'box': None, 'picked': 0, 'rewrite': ' Better.'})


@pytest.mark.parametrize(
  ('more', 'nonce'),
  [(more, None) for more in SECOND]  # the person has yet to choose
  + [(more, 'choice-1-2') for more in SECOND + OTHER]
  + [(more, 'of another session') for more in SECOND + OTHER],
)
def test_a_choice_goes_to_the_replies_that_it_is_about_or_nowhere(
  made, tmp_path, more, nonce
):
  """After the copy of an older file was put back, another second turn."""
  other = said_fixture.Maker(tmp_path / 'b.db')
  for maker in (made, other):
    maker.choose(maker.conversation())
  old = {'number': 2, 'texts': (' old0', ' old1')}
  made.choose(1, **old)
  other.choose(1, **old | more)
  if nonce:
    other.db.execute('UPDATE choices SET nonce = ? WHERE id = 2', (nonce,))
  else:
    other.db.execute('DELETE FROM choices WHERE id = 2')
  export.write(made.db, tmp_path / 'out')
  before, file = list(other.db.iterdump()), tmp_path / 'out' / export.SIDECAR
  with pytest.raises(
    DataError, match=r'jsonl:2: wanted \w+ of \w+ .* new --db'
  ):
    restore.read(other.db, file)
  assert list(other.db.iterdump()) == before


@pytest.mark.parametrize(
  ('table', 'name', 'value'),
  [('turns', 'seed', 8), ('turns', 'created', 5.5), ('replies', 'seed', 9)]
  + [('replies', 'text', None), ('choices', 'created', 7.75)],
)
def test_a_row_that_never_changes_is_the_same_or_another_one(
  made, tmp_path, table, name, value
):
  everything(made)
  export.write(made.db, tmp_path / 'out')
  made.db.execute(f'UPDATE {table} SET {name} = ? WHERE id = 2', (value,))
  with pytest.raises(DataError, match=f'wanted {name} of {table} to be'):
    restore.read(made.db, tmp_path / 'out' / export.SIDECAR)


def test_nobodys_name_or_link_is_exported(made):
  everything(made)
  said = ''.join(export.sidecar_lines(made.db))
  for secret in ('secret', '"ada"', '"bob"', 'say-', '/runs/'):
    assert secret not in said
  assert 'person-ada' in said and '"comment": "fine"' in said


def test_a_sidecar_that_is_none_is_read_not_at_all(made, tmp_path):
  everything(made)
  export.write(made.db, tmp_path / 'out')
  file = tmp_path / 'out' / export.SIDECAR
  lines = file.read_text().splitlines(keepends=True)
  fresh = database.connect(tmp_path / 'b.db', create=True)
  evil = json.loads(lines[1])
  evil['choice'] = {'box) VALUES (1); --': 1}
  for bad in ('{"uid": 3}\n', '[1]\n', 'x\n', json.dumps(evil) + '\n'):
    file.write_text(lines[0] + bad)
    with pytest.raises(DataError, match=r'sidecar.jsonl:2: wanted'):
      restore.read(fresh, file)
  assert database.comparisons(fresh) == []


def test_the_trainer_reads_what_the_page_stores(made, tmp_path):
  """The reader of rlhf_jax knows the schema by name alone."""
  everything(made)
  found = said.read_new(tmp_path / 'a.db', {})
  wanted = database.comparisons(made.db)
  assert said.VERSION == database.VERSION
  for name in said.Said._fields:
    own = [getattr(choice, name) for choice in found.choices]
    assert own == [getattr(item, name) for item in wanted], name
  assert found.names == {'hash-old': 'old', 'hash-new': 'new'}
  position = said.position_of(found.choices[2])
  assert len(said.read_new(tmp_path / 'a.db', position).choices) == 2


def test_other_readers_take_the_pairs(made, tmp_path):
  everything(made)
  export.write(made.db, tmp_path / 'out')
  found, counts = read_comparisons(tmp_path / 'out' / 'pairs')
  assert counts['kept'] == 4
  assert [x.kind for x in found] == [
    'helpful',
    'helpful',
    'harmless',
    'helpful',
  ]
  assert 'dögs' in found[0].chosen


def test_the_command_says_what_it_wrote(made, tmp_path, capsys):
  everything(made)
  args = [f'--db={tmp_path}/a.db', f'--to={tmp_path}/out']
  export.main(args)
  assert '4 pairs, 1 left out (weakest box)' in capsys.readouterr().out
  export.main([f'--db={tmp_path}/b.db', f'--from={tmp_path}/out'])
  assert '5 choices read, 5 of them new' in capsys.readouterr().out
  with pytest.raises(SystemExit, match='there is no database'):
    export.main([f'--db={tmp_path}/c.db', f'--to={tmp_path}/out'])
