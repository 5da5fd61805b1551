"""The page of apps/feedback as a person goes through it, without a browser."""

import contextlib
import re
import threading

import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('python_multipart', reason='pip install -e .[feedback]')
pytest.importorskip('httpx2', reason='pip install -e .[dev]')

from apps.feedback import people, progress, queued, serving, work
from apps.feedback.database import comparisons, connect
from apps.feedback.generation import Generation
from apps.feedback.plan import Plan
from tests.apps.stand_in import Page, StandIn, nonce_for, reply_of, send


@pytest.fixture
def page(tmp_path):
  return Page(tmp_path)


def state(client, task):
  return client.get(f'{task}/state.json').json()


def test_a_conversation_goes_from_its_link_to_its_rating(page):
  ada = page.person()
  home = ada.get('/')
  assert home.status_code == 200 and 'Done: <strong>0 of 5' in home.text
  task = page.begin(ada)
  assert ada.get('/').headers['location'] == task
  assert state(ada, task)['step'] == 'say'
  first = send(ada, task, f'{task}/say', text='what is 2 + 2?')
  assert first.headers['location'] == task
  assert 'data-state' in ada.get(task).text
  assert 'http-equiv="refresh"' in ada.get(task).text  # without JavaScript
  assert state(ada, task)['step'] == 'wait'
  page.write()
  shown = ada.get(task).text
  assert shown.count('name="box"') == 8 and 'checked' not in shown
  assert 'http-equiv="refresh"' not in shown
  assert send(ada, task, f'{task}/choose', box='7').status_code == 303
  page.talk(ada, 'and 3 + 3?', task)
  send(ada, task, f'{task}/choose', box='1')
  done = send(ada, task, f'{task}/finish', rating='4', comment='fine')
  assert done.headers['location'] == '/'
  assert 'Done: <strong>1 of 5' in ada.get('/').text
  assert state(ada, task)['step'] == 'done'
  one, two = comparisons(page.db)
  assert (one.box, two.box, one.number, two.number) == (7, 1, 1, 2)
  assert two.prompt.startswith(one.prompt + one.chosen + '\n\nHuman: and')
  row = page.db.execute('SELECT rating, comment FROM assignments').fetchone()
  assert tuple(row) == (4, 'fine')


def test_everything_of_a_choice_is_stored(page):
  ada = page.person(kind='simulated')
  task = page.talk(ada)
  shown = {x['label']: x['text'] for x in state(ada, task)['replies']}
  send(ada, task, f'{task}/choose', box='3')
  item = comparisons(page.db)[0]
  replies = page.db.execute('SELECT * FROM replies ORDER BY place').fetchall()
  assert replies[item.shown_first]['text'].strip() == shown['A']
  assert replies[1 - item.shown_first]['text'].strip() == shown['B']
  for row in replies:
    uid = page.db.execute(
      'SELECT uid FROM snapshots WHERE id = ?', (row['snapshot_id'],)
    ).fetchone()[0]
    assert row['text'] == reply_of(uid, row['seed'], item.prompt)
    assert (row['token_ids'], row['prompt_ids']) == ('[1, 2, 3]', '[4, 5]')
    assert row['ended'] == 1 and row['sampler'] == page.site.sampler
  assert (item.person_kind, item.task, item.direction) == (
    'simulated',
    'helpful',
    'better',
  )
  assert item.strength == 2 and item.version and item.seconds >= 0


def test_a_double_submit_is_one_row_and_answered_alike(page):
  ada = page.person()
  task = page.begin(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/say'), 'text': 'hello'}
  answers = [ada.post(f'{task}/say', data=form) for _ in range(3)]
  assert {x.status_code for x in answers} == {303}
  page.write()
  form = {'nonce': nonce_for(ada, task, f'{task}/choose'), 'box': '2'}
  answers = [ada.post(f'{task}/choose', data=form) for _ in range(3)]
  form |= {'box': '8'}  # the browser's way back, and another box
  answers.append(ada.post(f'{task}/choose', data=form))
  assert {x.headers['location'] for x in answers} == {task}
  form = {'nonce': nonce_for(ada, task, f'{task}/finish'), 'rating': '1'}
  [ada.post(f'{task}/finish', data=form) for _ in range(2)]
  assert [page.count(x) for x in ('turns', 'replies', 'choices')] == [1, 2, 1]
  assert comparisons(page.db)[0].box == 2
  form = {'nonce': nonce_for(ada, '/', '/next')}
  to = [ada.post('/next', data=form).headers['location'] for _ in range(2)]
  assert to[0] == to[1] != '/' and page.count('assignments') == 2


def test_one_form_sent_by_two_threads_at_once_is_one_row(page):
  ada = page.person()
  task = page.talk(ada)
  form = {'nonce': nonce_for(ada, task, f'{task}/choose'), 'box': '2'}
  cookies, answers = dict(ada.cookies), []
  barrier = threading.Barrier(4)

  def sends():
    client = page.visitor()
    client.cookies.update(cookies)
    barrier.wait()
    answers.append(client.post(f'{task}/choose', data=form).status_code)

  threads = [threading.Thread(target=sends) for _ in range(4)]
  [thread.start() for thread in threads]
  [thread.join() for thread in threads]
  assert answers == [303] * 4 and page.count('choices') == 1


def test_a_red_team_task_says_which_reply_is_asked_for(tmp_path):
  plan = Plan(tasks=('red_team',), red_team_direction='worse')
  page = Page(tmp_path, plan)
  ada = page.person()
  task = page.talk(ada)
  text = ada.get(task).text
  assert (
    'Which reply is more harmful?' in text and 'A much more harmful' in text
  )
  send(ada, task, f'{task}/choose', box='1')
  assert comparisons(page.db)[0].direction == 'worse'
  shown = state(ada, task)['messages'][-1]['text']
  assert comparisons(page.db)[0].rejected.strip() == shown


def test_a_rewrite_goes_through_its_own_form(page):
  ada = page.person()
  task = page.talk(ada)
  fields = {'action': 'rewrite', 'rewrite': 'I know', 'rewrite_of': 'a'}
  assert send(ada, task, f'{task}/choose', **fields).status_code == 303
  item = comparisons(page.db)[0]
  assert item.chosen == ' I know' and item.rewritten
  assert state(ada, task)['messages'][-1] == {
    'role': 'assistant',
    'text': 'I know',
  }


def test_a_wrong_field_keeps_what_was_typed(page):
  ada = page.person()
  task = page.begin(ada)
  long = 'x' * (page.plan.most_message + 1)
  answer = send(ada, task, f'{task}/say', text=long)
  assert answer.status_code == 400 and long in answer.text
  assert '4,001 characters, 4,000 are allowed' in answer.text
  page.talk(ada, 'hello', task)
  assert send(ada, task, f'{task}/choose', box='9').status_code == 400
  assert send(ada, task, f'{task}/choose').status_code == 400
  send(ada, task, f'{task}/choose', box='1')
  for rating in ('', '0', '5', 'good'):
    answer = send(ada, task, f'{task}/finish', rating=rating)
    assert answer.status_code == 400
  assert page.count('choices') == 1


def test_what_was_typed_stays_in_its_own_field(page):
  ada = page.person()
  task = page.talk(ada)
  said = {'action': 'rewrite', 'rewrite': 'my reply', 'rewrite_of': 'c'}
  text = send(ada, task, f'{task}/choose', **said).text
  assert (
    'my reply</textarea>' in text and '<details class="rewrite" open' in text
  )
  send(ada, task, f'{task}/choose', box='1')
  text = send(ada, task, f'{task}/finish', rating='', comment='my view').text
  [comment] = re.findall(r'<textarea id="comment".*?</textarea>', text)
  assert text.count('my view') == 1 and '>my view<' in comment


def test_a_full_queue_says_so_and_keeps_the_message(tmp_path):
  page = Page(tmp_path, Plan(queue=2))
  ada, bob = page.person(), page.person('bob')
  first, second = page.begin(ada), page.begin(bob)
  send(ada, first, f'{first}/say', text='one')
  answer = send(bob, second, f'{second}/say', text='my words')
  assert answer.status_code == 503 and 'my words</textarea>' in answer.text
  page.write()
  assert send(bob, second, f'{second}/say', text='my words').status_code == 303


def test_two_people_at_once_are_written_in_one_batch(tmp_path):
  writers = StandIn()
  writers.snapshots = writers.snapshots[:1]
  page = Page(tmp_path, writers=writers)
  for name in ('ada', 'bob'):
    client = page.person(name)
    task = page.begin(client)
    send(client, task, f'{task}/say', text=f'from {name}')
  page.write()
  assert writers.batches == [[1, 2, 3, 4]]


def test_a_restart_goes_on_with_the_same_seeds(tmp_path):
  page = Page(tmp_path)
  ada = page.person()
  task = page.begin(ada)
  send(ada, task, f'{task}/say', text='before')
  waiting = queued.waiting(page.db)
  again = Page(tmp_path)  # the first one never wrote a word
  client = again.visitor()
  client.cookies.update(dict(ada.cookies))
  assert state(client, task)['step'] == 'wait'
  again.write()
  rows = again.db.execute('SELECT id, seed, text FROM replies ORDER BY id')
  assert [tuple(row) for row in rows] == [
    (x.id, x.seed, reply_of(x.snapshot, x.seed, x.prompt)) for x in waiting
  ]
  # A page of before the restart is still good.
  assert send(client, task, f'{task}/choose', box='1').status_code == 303


def test_the_thread_writes_what_is_there_when_it_starts_and_what_comes(
  tmp_path,
):
  page = Page(tmp_path)
  ada = page.person()
  task = page.begin(ada)
  send(ada, task, f'{task}/say', text='before it starts')
  thread = Generation(page.path, page.writers)
  thread.start()
  try:
    finished(page)
    send(ada, task, f'{task}/choose', box='1')
    send(ada, task, f'{task}/say', text='while it runs')
    thread.wake()
    finished(page)
  finally:
    thread.stop()
  assert not thread.is_alive()
  assert state(ada, task)['step'] == 'choose'


def finished(page, seconds=60.0):
  """Returns when no reply waits."""
  event = threading.Event()
  for _ in range(int(seconds / 0.02)):
    if not queued.waiting(page.db):
      return
    event.wait(0.02)
  raise AssertionError(f'replies still wait after {seconds} s')


def test_a_model_that_fails_is_a_page_and_not_the_end(page):
  ada = page.person()
  task = page.begin(ada)
  send(ada, task, f'{task}/say', text='this is unreadable')
  page.write()
  text = ada.get(task).text
  assert 'could not answer' in text and 'no template' not in text
  send(ada, task, f'{task}/skip')
  page.writers.broken = True
  task = page.talk(ada)
  assert state(ada, task)['step'] == 'failed'
  page.writers.broken = False
  send(ada, task, f'{task}/skip')
  assert state(ada, page.talk(ada))['step'] == 'choose'


def test_replies_stream_or_come_together(tmp_path):
  for shown in ('stream', 'together'):
    (tmp_path / shown).mkdir()
    page = Page(tmp_path / shown, Plan(shown=shown))
    ada = page.person()
    task = page.begin(ada)
    send(ada, task, f'{task}/say', text='hello')
    seen = []
    write = page.writers.write

    def looked(requests, show, ada=ada, task=task, seen=seen, write=write):
      written = write(requests, show)
      seen.append(state(ada, task)['replies'])
      return written

    page.writers.write = looked
    page.write()
    begun = {x['label']: x['text'] for x in seen[-1]}
    whole = {x['label']: x['text'] for x in state(ada, task)['replies']}
    some = [bool(text) for text in begun.values()]
    assert any(some) if shown == 'stream' else not any(some)
    assert all(whole[label].startswith(begun[label]) for label in 'AB')


def test_an_opening_is_suggested_and_may_be_changed(page):
  work.add_openings(page.db, ['Say <hello>'], page.plan)
  ada = page.person()
  task = page.begin(ada)
  assert '>Say &lt;hello&gt;</textarea>' in ada.get(task).text
  assert state(ada, task)['opening'] == 'Say <hello>'


def test_the_admin_invites_watches_stops_and_takes_the_data(tmp_path):
  page = Page(tmp_path, Plan(overlap=2, conversations=3))
  admin = page.person('root', 'admin')
  assert admin.get('/').headers['location'] == '/admin'
  made = send(admin, '/admin', '/admin/invite', name='ada', kind='person')
  token = re.search(r'/join/([0-9a-f]{32})', made.text)[1]
  ada = page.visitor()
  ada.post('/join', data={'token': token})
  bob = page.person('bob')
  task = page.talk(ada)
  send(ada, task, f'{task}/choose', box='1')
  pair = page.begin(bob)
  send(bob, pair, f'{pair}/choose', box='8')
  text = admin.get('/admin').text
  assert '1 pairs were compared by more than one' in text
  assert 'ada' in text and 'bob' in text
  good = [item.good for item in comparisons(page.db)]
  agree = int(good[0] == good[1])
  assert text.count(f'{agree} of 1') >= 2  # both agree with each other, or not
  lines = admin.get('/admin/export.jsonl').text.splitlines()
  sidecar = admin.get('/admin/sidecar.jsonl').text.splitlines()
  assert len(lines) == len(sidecar) == 2
  send(admin, '/admin', '/admin/stop')
  assert 'Stopped' in admin.get('/admin').text
  assert 'has been stopped' in bob.get('/').text
  page.talk(ada, 'what is begun goes on', task)
  send(admin, '/admin', '/admin/resume')
  assert 'name="nonce"' in bob.get('/').text
  ada_row = page.db.execute("SELECT uid FROM people WHERE name = 'ada'")
  uid = ada_row.fetchone()[0]
  send(admin, '/admin', '/admin/revoke', person=uid)
  assert ada.get('/').status_code == 401


COPIED = re.compile(r'<(\w+)[^>]* data-label="\w">(.*?)</\1>', re.S)


def test_what_the_page_says_of_a_reply_is_no_part_of_the_reply(page):
  """What stands at a label is copied into a rewrite, as the person's own."""
  ada, bob = page.person(), page.person('bob')
  task = page.talk(ada)
  text = page.db.execute('SELECT text FROM replies WHERE id = 2').fetchone()[0]
  page.db.execute("UPDATE replies SET text = '' WHERE id = 1")
  said = ada.get(task).text
  assert said.count('(an empty reply)') == 1
  assert sorted(x for _, x in COPIED.findall(said)) == ['', text.strip()]
  page.writers.broken = True
  said = bob.get(page.talk(bob)).text
  assert said.count('could not be written') == 2
  assert [x for _, x in COPIED.findall(said)] == ['', '']


def test_the_invitation_form_sent_twice_invites_once(page):
  admin = page.person('root', 'admin')
  nonce = nonce_for(admin, '/admin', '/admin/invite')
  form = {'nonce': nonce, 'name': 'ada', 'kind': 'person'}
  first, second = (admin.post('/admin/invite', data=form) for _ in range(2))
  assert '/join/' in first.text and '/join/' not in second.text
  assert page.count('people') == 2


def test_leaving_ends_the_session(page):
  ada = page.person()
  cookie = dict(ada.cookies)
  assert send(ada, '/', '/leave').status_code == 303
  client = page.visitor()
  client.cookies.update(cookie)
  assert client.get('/').status_code == 401


def test_agreement_and_counts_are_those_of_hand_counted_votes(tmp_path):
  """Four pairs, compared by two people; three alike, one not."""
  page = Page(tmp_path, Plan(overlap=2, conversations=4))
  ada, bob = page.person(), page.person('bob')
  for i, (one, other) in enumerate((('a', 'a'), ('b', 'b'), 'aa', 'ba')):
    task = page.talk(ada, f'pair {i}')
    choose(page, ada, task, one)
    send(ada, task, f'{task}/finish', rating='2')
    task = page.begin(bob)
    choose(page, bob, task, other)
  found = progress.agreement(page.db)
  # Pairs of votes: 00, 11, 00, 10; of 8 votes 5 are 0 and 3 are 1. Chance of
  # kappa is (25 + 9) / 64; alpha is 1 - 7 * 2 / (64 - 25 - 9).
  assert found['items'] == 4
  assert found['agreement'].mean == pytest.approx(3 / 4)
  assert found['kappa'].mean == pytest.approx((48 - 34) / (64 - 34))
  assert found['alpha'].mean == pytest.approx(1 - 14 / 30)
  rows = {row['name']: row for row in progress.people(page.db)}
  assert rows['ada']['agrees'] == rows['bob']['agrees'] == 3
  assert rows['ada']['choices'] == rows['bob']['choices'] == 4
  assert rows['ada']['tasks'] == 4


def choose(page, client, task, place):
  """Chooses the reply that stands at a place as it was drawn, a 0 and b 1."""
  shown = page.db.execute(
    'SELECT t.shown_first FROM turns AS t JOIN assignments AS a'
    ' ON a.id = t.assignment_id WHERE a.uid = ?',
    (task.rsplit('/', 1)[1],),
  ).fetchone()[0]
  first = 'ab'.index(place) == shown
  assert (
    send(client, task, f'{task}/choose', box='1' if first else '8').status_code
    == 303
  )


def test_commands_end_in_one_line(tmp_path, capsys):
  from apps.feedback import invite

  path = tmp_path / 'x.db'
  options = {'db': path, 'names': 'ada, bob', 'count': 0}
  options |= {'role': 'worker', 'kind': 'person'}
  with pytest.raises(ValueError, match='there is no database'):
    invite.run(options)
  connect(path, create=True).close()
  invite.run(options)
  lines = capsys.readouterr().out.splitlines()
  assert [line.split(' ', 1)[1] for line in lines] == ['ada', 'bob']
  token = lines[0].split()[0].removeprefix('/join/')
  with contextlib.closing(connect(path)) as db:
    assert people.join(db, token, 10)
  invite.run(options | {'names': None, 'count': 3, 'kind': 'simulated'})
  assert capsys.readouterr().out.splitlines()[2].endswith(' simulated 3')
  with pytest.raises(ValueError, match='--names or --count'):
    invite.run(options | {'count': 3})
  with pytest.raises(ValueError, match='--names or --count'):
    invite.run(options | {'names': None, 'count': -1})
  outside = {'public': '', 'host': '0.0.0.0', 'port': 0}
  with pytest.raises(ValueError, match='can be reached from outside'):
    serving.listen(outside)
  sock, origins = serving.listen(outside | {'public': 'https://x.org/'})
  port = sock.getsockname()[1]
  sock.close()
  assert origins == [
    'https://x.org',
    f'http://127.0.0.1:{port}',
    f'http://localhost:{port}',
  ]
  told = serving.told_outside(origins[0], '0.0.0.0', 1, 'x')
  assert 'Everybody who can reach 0.0.0.0:1' in told


def test_openings_and_attention_items_are_read_once(tmp_path):
  prompt = '\n\nHuman: 2 + 2?\n\nAssistant:'
  pairs = tmp_path / 'pairs.jsonl'
  row = f'{{"chosen": "{prompt} 4.", "rejected": "{prompt} 5."}}'
  pairs.write_text(row.replace('\n', '\\n') + '\n')
  openings = tmp_path / 'openings.txt'
  openings.write_text('one\n\ntwo\n')
  options = {'db': tmp_path / 'x.db', 'openings': str(openings)}
  options |= {'attention': str(pairs)}
  first = serving.prepare(options, Plan())
  again = serving.prepare(options, Plan())
  assert first[0].startswith('2 new') and first[1].startswith('1 new')
  assert [line for line in first if '/join/' in line] == first[2:]
  assert len(first) == 4 and len(again) == 2 and again[0].startswith('0 new')
  pairs.write_text('{"chosen": 1}\n')
  with pytest.raises(ValueError, match=r'pairs.jsonl:1: wanted a line of JSON'):
    serving.prepare(options, Plan())
