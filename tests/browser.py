"""A browser for tests: Chromium, driven by its own protocol over two pipes.

Messages are JSON, each ended by a zero byte, on file descriptors 3 and 4 of the
browser (`--remote-debugging-pipe`): no port, no driver, no further package.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
PATIENCE = 120.0  # seconds; a loaded machine is slow
# Two pipes become the descriptors 3 and 4 of a program.
START = """import fcntl, os, sys
for pipe, wanted in zip([fcntl.fcntl(int(x), fcntl.F_DUPFD, 10)
                         for x in sys.argv[1:3]], (3, 4)):
  os.dup2(pipe, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""
# {key: (code, virtual key, text)}
KEYS = {
  'Enter': ('Enter', 13, '\r'),
  'Tab': ('Tab', 9, ''),
  ' ': ('Space', 32, ' '),
  'ArrowRight': ('ArrowRight', 39, ''),
  'ArrowDown': ('ArrowDown', 40, ''),
}
KEYS |= {str(i): (f'Digit{i}', 48 + i, str(i)) for i in range(10)}


def path() -> str:
  """Path of a browser; without one the test is left out, or fails."""
  found = next(filter(None, map(shutil.which, NAMES)), None)
  if found:
    return found
  reason = f'none of {", ".join(NAMES)}: apt-get install chromium'
  if os.environ.get('RLHF_JAX_BROWSER') == '1':
    pytest.fail(reason)
  pytest.skip(reason)


class Browser:
  """One process, which may hold several visitors with cookies of their own."""

  def __init__(self, profile):
    read, self._write = os.pipe()
    self._read, write = os.pipe()
    flags = '--headless --no-sandbox --disable-gpu --remote-debugging-pipe'
    flags += ' --disable-dev-shm-usage --no-first-run --disable-extensions'
    flags += ' --disable-background-networking'  # asks nobody for updates
    self._process = subprocess.Popen(
      [sys.executable, '-c', START, str(read), str(write), path()]
      + [*flags.split(), f'--user-data-dir={profile}', 'about:blank'],
      pass_fds=(read, write),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    os.close(read)
    os.close(write)
    self._number, self._rest, self.errors = 0, b'', []

  def close(self):
    """Ends the process."""
    for end in (self._write, self._read):
      os.close(end)
    self._process.kill()
    self._process.wait()

  def send(self, method, session=None, **params):
    """The result of a command.

    Raises:
      RuntimeError: if the browser refuses it, or is gone.
    """
    self._number += 1
    message = {'id': self._number, 'method': method, 'params': params}
    if session:
      message['sessionId'] = session
    os.write(self._write, json.dumps(message).encode() + b'\0')
    while True:
      found = self._next()
      if found.get('method') == 'Runtime.exceptionThrown':
        self.errors.append(found['params']['exceptionDetails']['text'])
      if found.get('id') == self._number:
        if 'error' in found:
          raise RuntimeError(f'{method}: {found["error"]["message"]}')
        return found['result']

  def _next(self):
    """The next message."""
    while b'\0' not in self._rest:
      part = os.read(self._read, 1 << 16)
      if not part:
        raise RuntimeError('the browser has ended')
      self._rest += part
    line, _, self._rest = self._rest.partition(b'\0')
    return json.loads(line)

  def visitor(self, width=1200, height=900):
    """A tab with cookies of its own."""
    context = self.send('Target.createBrowserContext')['browserContextId']
    target = self.send(
      'Target.createTarget', url='about:blank', browserContextId=context
    )['targetId']
    session = self.send('Target.attachToTarget', targetId=target, flatten=True)[
      'sessionId'
    ]
    return Visitor(self, session, width, height)


class Visitor:
  """A tab."""

  def __init__(self, browser, session, width, height):
    self._browser, self._session = browser, session
    self.send('Page.enable')
    self.send('Runtime.enable')
    self.send(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=width < 600,
    )

  def send(self, method, **params):
    """The result of a command to this tab."""
    return self._browser.send(method, self._session, **params)

  def open(self, url):
    """Goes to an address, and waits until the page is whole."""
    self.send('Page.navigate', url=url)
    self.wait(f'location.href.startsWith({json.dumps(url)})')

  def value(self, expression):
    """The value of an expression in the page."""
    found = self.send(
      'Runtime.evaluate', expression=expression, returnByValue=True
    )
    if 'exceptionDetails' in found:
      raise RuntimeError(f'{expression}: {found["exceptionDetails"]}')
    return found['result'].get('value')

  def wait(self, expression):
    """Returns once an expression is true in a page that is whole."""
    end = time.monotonic() + PATIENCE
    ready = f'document.readyState === "complete" && !!({expression})'
    while time.monotonic() < end:
      with contextlib.suppress(RuntimeError):  # between two pages
        if self.value(ready):
          return
      time.sleep(0.03)  # until it is asked again
    raise AssertionError(f'never true: {expression}; {self.text()[:2000]}')

  def text(self):
    """What is to be read on the page."""
    return self.value('document.body.innerText')

  def key(self, *names):
    """Presses keys, one after the other."""
    for name in names:
      code, number, text = KEYS[name]
      both = {'key': name, 'code': code, 'windowsVirtualKeyCode': number}
      down = both | ({'text': text} if text else {})
      self.send('Input.dispatchKeyEvent', type='keyDown', **down)
      self.send('Input.dispatchKeyEvent', type='keyUp', **both)

  def type(self, text):
    """Types text into what has the focus."""
    self.send('Input.insertText', text=text)

  def tab_to(self, expression, most=40):
    """Presses Tab until the element with the focus fulfils an expression.

    Args:
      expression: of `e`, the element.
      most: keys.
    """
    for _ in range(most):
      if self.value(f'(e => !!({expression}))(document.activeElement)'):
        return
      self.key('Tab')
    raise AssertionError(f'no Tab leads to {expression}')
