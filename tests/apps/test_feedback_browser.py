"""The page in a browser: by keyboard alone, raced for, attacked, and killed.

Needs Chromium (apt-get install chromium). Without it the tests are left out
with that reason; with RLHF_JAX_BROWSER=1 they fail.
"""

import contextlib
import pathlib
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('starlette', reason='pip install -e .[feedback]')
pytest.importorskip('uvicorn', reason='pip install -e .[feedback]')

from apps.feedback import people, queued, work
from apps.feedback.database import comparisons, connect
from apps.feedback.plan import Plan
from tests import browser
from tests.apps.stand_in import reply_of

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.slow  # starts a browser and servers
PHONE = 400
CONVERSATIONS = 3


class Server:
  """The page in a process of its own, with writers that need no model."""

  def __init__(self, folder, *plan):
    self.path, self.gate = folder / 'feedback.db', folder / 'gate'
    self._plan, self._port, self._process = plan, 0, None
    self.db = connect(self.path, create=True)

  def start(self):
    """Starts it; the second time at the same port."""
    command = [sys.executable, '-m', 'tests.apps.stand_in', self.path]
    command += [self._port, self.gate, *self._plan]
    self._process = subprocess.Popen(
      list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    self.origin = self._process.stdout.readline().strip()
    assert self.origin.startswith('http://127.0.0.1:')
    self._port = self.origin.rpartition(':')[2]

  def kill(self):
    """Ends it in the midst of whatever it does."""
    if self._process:
      self._process.send_signal(signal.SIGKILL)
      self._process.wait()
      self._process.stdout.close()

  def invited(self, visitor, name):
    """Has somebody join, by their link and the keyboard."""
    token = people.invite(self.db, name)
    visitor.open(f'{self.origin}/join/{token}')
    visitor.key('Enter')
    visitor.wait('document.querySelector("form[action=\'/next\']")')


@pytest.fixture(scope='module')
def chromium(tmp_path_factory):
  with contextlib.closing(
    browser.Browser(tmp_path_factory.mktemp('profile'))
  ) as found:
    yield found
    assert found.errors == []


@pytest.fixture
def server(tmp_path):
  made = Server(
    tmp_path, f'conversations={CONVERSATIONS}', 'turns=2', 'burst=100000'
  )
  made.gate.touch()
  yield made
  made.kill()
  made.db.close()


def step(name):
  """Expression: the page is at a step of a task."""
  found = {
    'say': '.say textarea',
    'wait': '[data-state]',
    'choose': 'input[name=box]',
    'finish': '.finish',
  }[name]
  return f'document.querySelector("{found}")'


def test_three_conversations_by_keyboard_alone_on_a_phone(chromium, server):
  server.start()
  phone = chromium.visitor(PHONE, 800)
  server.invited(phone, 'ada')
  for number in range(CONVERSATIONS):
    phone.wait('document.querySelector("form[action=\'/next\']")')
    phone.key('Enter')  # the button has the focus
    for turn in range(2):
      phone.wait(step('say'))
      assert phone.value('document.activeElement.name') == 'text'
      phone.type(f'question {number}.{turn}')
      phone.key('Enter')
      phone.wait(step('choose'))
      fits(phone)
      assert phone.value('document.querySelectorAll(":checked").length') == 0
      phone.key(str(1 + (3 * number + turn) % 8))
      assert phone.value('document.activeElement.name') == 'box'
      phone.key('Enter')
    phone.wait(step('finish'))
    phone.tab_to('e.name === "rating"')
    phone.key(' ', 'ArrowRight', 'ArrowRight')
    phone.tab_to('e.id === "comment"')
    phone.type('quite good')
    phone.tab_to('e.closest(".finish") && e.tagName === "BUTTON"')
    phone.key('Enter')
  phone.wait('document.body.innerText.includes("Nothing left to do")')
  found = comparisons(server.db)
  boxes = [1 + (3 * n + t) % 8 for n in range(CONVERSATIONS) for t in range(2)]
  assert [item.box for item in found] == boxes
  rows = server.db.execute('SELECT rating, comment FROM assignments').fetchall()
  assert [tuple(row) for row in rows] == [(3, 'quite good')] * CONVERSATIONS


def fits(visitor):
  """Nothing is wider than the window, and no letter is tiny."""
  size = 'document.documentElement.'
  wide = visitor.value(f'{size}scrollWidth - {size}clientWidth')
  assert wide <= 0
  small = visitor.value(
    'Math.min(...[...document.querySelectorAll("p, label, button, li")].map('
    'e => parseFloat(getComputedStyle(e).fontSize)))'
  )
  assert small >= 12
  low = visitor.value(  # infinite without boxes, which is null in JSON
    'Math.min(...[...document.querySelectorAll(".boxes label")].map('
    'e => e.getBoundingClientRect().height))'
  )
  assert low is None or low >= 40  # a thumb


def test_two_browsers_race_for_one_item_and_get_different_ones(
  chromium, server
):
  work.add_openings(server.db, ['the one', 'the other'], Plan())
  server.start()
  both = [chromium.visitor() for _ in range(2)]
  for name, visitor in zip(('ada', 'bob'), both, strict=True):
    server.invited(visitor, name)
  at = 1000 * time.time() + 500  # both forms are sent then
  for visitor in both:
    visitor.value(
      'setTimeout(() => document.querySelector("form[action=\'/next\']")'
      f'.submit(), {at} - Date.now())'
    )
  for visitor in both:
    visitor.wait(step('say'))
  texts = {visitor.value('document.activeElement.value') for visitor in both}
  assert texts == {'the one', 'the other'}
  assert len({visitor.value('location.pathname') for visitor in both}) == 2
  rows = server.db.execute('SELECT item_id, person_id FROM assignments')
  assert len({tuple(row) for row in rows}) == 2


def test_a_script_that_is_typed_stays_text(chromium, server):
  nasty = '<script>document.title = "ran"</script><img src=x onerror="title=1">'
  server.start()
  visitor = chromium.visitor()
  server.invited(visitor, 'ada')
  visitor.key('Enter')
  visitor.wait(step('say'))
  visitor.type(nasty)
  visitor.key('Enter')
  visitor.wait(step('choose'))
  assert nasty in visitor.text()
  assert visitor.text().count('<script>') == 3  # the message, and two replies
  assert visitor.value('document.title') != 'ran'
  assert visitor.value('document.scripts.length') == 1
  assert visitor.value('document.images.length') == 0
  # What got into the page all the same would not run: the policy forbids it.
  visitor.value(
    'document.body.insertAdjacentHTML("beforeend", '
    '"<img src=/nothing onerror=\\"document.title = `ran`\\">"); '
    'document.body.appendChild(Object.assign(document.createElement("script"), '
    '{text: "document.title = `ran`"})); 0'
  )
  assert visitor.value('document.title') != 'ran'


def test_a_rewrite_begins_with_the_words_of_a_reply_or_with_none(
  chromium, server
):
  server.start()
  visitor = chromium.visitor()
  server.invited(visitor, 'ada')
  visitor.key('Enter')
  visitor.wait(step('say'))
  visitor.type('hello')
  visitor.key('Enter')
  visitor.wait(step('choose'))
  server.db.execute("UPDATE replies SET text = '' WHERE place = 0")
  visitor.open(visitor.value('location.href'))
  visitor.wait(step('choose'))
  assert '(an empty reply)' in visitor.text()
  found = set()
  for label in 'AB':
    visitor.value(f'document.querySelector("[data-copy={label}]").click(); 0')
    found.add(visitor.value('document.getElementById("rewrite").value'))
  text = server.db.execute('SELECT text FROM replies WHERE place = 1')
  assert found == {'', text.fetchone()[0].strip()}


def test_a_killed_server_comes_back_and_the_same_replies_come(chromium, server):
  server.gate.unlink()
  server.start()
  visitor = chromium.visitor(PHONE, 800)
  server.invited(visitor, 'ada')
  visitor.key('Enter')
  visitor.wait(step('say'))
  visitor.type('do you remember me?')
  visitor.key('Enter')
  visitor.wait(step('wait'))
  visitor.wait('document.querySelector(".replies").innerText.includes("hash-")')
  waiting = queued.waiting(server.db)
  assert len(waiting) == 2
  server.kill()
  visitor.wait(
    'document.getElementById("status").innerText.includes("trying again")'
  )
  server.gate.touch()
  server.start()
  visitor.wait(step('choose'))  # the page found its way by itself
  wanted = [reply_of(x.snapshot, x.seed, x.prompt).strip() for x in waiting]
  shown = visitor.value(
    '[...document.querySelectorAll(".replies .text")].map(e => e.innerText)'
  )
  assert sorted(shown) == sorted(wanted)
  server.kill()  # between the page and its form
  server.start()
  visitor.key('5', 'Enter')
  visitor.wait(step('say'))
  item = comparisons(server.db)[0]
  assert item.box == 5 and item.chosen.strip() in wanted
  assert item.chosen.strip() in visitor.text()


def test_a_page_that_waits_says_that_its_link_was_revoked(chromium, server):
  server.gate.unlink()
  server.start()
  visitor = chromium.visitor(PHONE, 800)
  server.invited(visitor, 'ada')
  visitor.key('Enter')
  visitor.wait(step('say'))
  visitor.type('hello')
  visitor.key('Enter')
  visitor.wait(step('wait'))
  uid = server.db.execute('SELECT uid FROM people').fetchone()[0]
  people.revoke(server.db, uid)
  visitor.wait('document.body.innerText.includes("An invitation is needed")')


def test_the_admin_page_fits_a_phone(chromium, server):
  server.start()
  visitor = chromium.visitor(PHONE, 800)
  people.invite(server.db, 'a worker of a rather long name')
  token = people.invite(server.db, 'root', 'admin')
  visitor.open(f'{server.origin}/join/{token}')
  visitor.key('Enter')
  visitor.wait('document.querySelector(".numbers")')
  assert 'rather long name' in visitor.text()
  fits(visitor)


def test_it_works_without_javascript(chromium, server):
  server.start()
  visitor = chromium.visitor(PHONE, 800)
  visitor.send('Emulation.setScriptExecutionDisabled', value=True)
  token = people.invite(server.db, 'ada')
  visitor.open(f'{server.origin}/join/{token}')
  visitor.key('Enter')
  visitor.wait('document.querySelector("form[action=\'/next\']")')
  visitor.key('Enter')
  visitor.wait(step('say'))
  visitor.type('hello')
  visitor.tab_to('e.tagName === "BUTTON"')
  visitor.key('Enter')
  visitor.wait(step('choose'))
  visitor.tab_to('e.name === "box"')
  visitor.key(' ', 'ArrowDown', 'Enter')
  visitor.wait(step('finish'))
  assert comparisons(server.db)[0].box == 2
