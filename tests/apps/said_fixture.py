"""Databases of the page whose choices are known beforehand."""

import json

from apps.feedback import database

SAMPLER = json.dumps({'temperature': 1.0})
SNAPSHOTS = ('old', 'new')


class Maker:
  """Fills a database, with uids and times that a number gives.

  Attributes:
    db: the connection.
  """

  def __init__(self, path):
    self.db = database.connect(path, create=True)
    self.count = 0
    for name in SNAPSHOTS:
      row = {'uid': f'hash-{name}', 'name': name, 'path': f'/runs/{name}'}
      self.add('snapshots', **row, active=1, created=1.5)
    for name in ('ada', 'bob'):
      row = {'uid': f'person-{name}', 'name': name, 'role': 'worker'}
      row |= {'invite_hash': f'secret-{name}', 'kind': 'simulated'}
      self.add('people', **row, created=2.5)

  def add(self, table, **row):
    """Adds a row; its id."""
    names, marks = ', '.join(row), ', '.join('?' * len(row))
    with database.writing(self.db):
      cursor = self.db.execute(
        f'INSERT INTO {table} ({names}) VALUES ({marks})', tuple(row.values())
      )
    return cursor.lastrowid

  def conversation(self, person=1, **item):
    """Gives out an item; the id of its assignment."""
    self.count += 1
    row = {'kind': 'chat', 'task': 'helpful', 'direction': 'better'} | item
    row |= {'uid': f'item-{self.count}', 'overlap': 1, 'created': 3.5}
    item_id = self.add('items', **row)
    lease = {'uid': f'lease-{self.count}', 'item_id': item_id, 'created': 4.5}
    return self.add('assignments', person_id=person, expires=99.5, **lease)

  def choose(self, lease, number=1, box=1, writers=(1, 2), **more):
    """A turn of a conversation and what was chosen; the id of the turn.

    Args:
      lease: id of the assignment.
      number: of the turn.
      box: 1 to 8; None with `rewrite`.
      writers: ids of snapshots of the replies at place 0 and 1.
      **more: human, texts (of place 0 and 1), shown_first, rewrite, picked.
    """
    key = f'{lease}-{number}'
    human = more.get('human', f'draw {key} cats')
    texts = more.get('texts', (f' zero of {key}.', f' one of {key}.'))
    first, rewrite = more.get('shown_first', 0), more.get('rewrite')
    prompt = f'\n\nHuman: {human}\n\nAssistant:'
    turn = {'human': human, 'prompt': more.get('prompt', prompt), 'seed': 7}
    turn |= {'assignment_id': lease, 'number': number, 'shown_first': first}
    turn |= {'nonce': f'say-{key}', 'shown': 'together', 'created': 5.25}
    turn_id = self.add('turns', **turn)
    for place, text in enumerate(texts):
      row = {'turn_id': turn_id, 'place': place, 'seed': place + 1}
      row |= {'text': text, 'sampler': SAMPLER, 'token_ids': '[1, 2]'}
      row |= {'ended': 1, 'finished': 6.5, 'snapshot_id': writers[place]}
      self.add('replies', score=0.1 * place, scored_by='pm', **row)
    # A stood at place `shown_first`; boxes 1 to 4 prefer it.
    picked = more.get('picked')
    if picked is None:
      picked = first if box <= 4 else 1 - first
    row = {'nonce': f'choice-{key}', 'turn_id': turn_id, 'picked': picked}
    row |= {'box': box, 'rewrite': rewrite, 'seconds': 2.75, 'created': 7.5}
    query = 'SELECT person_id FROM assignments WHERE id = ?'
    row['person_id'] = self.db.execute(query, (lease,)).fetchone()[0]
    self.add('choices', version='feedback-1', **row)
    return turn_id
