"""The samples of a report: replies to one prompt, side by side.

samples.json of a run has an item a prompt:

    {prompt, kind, family, replies: [reply]}
    reply: {policy, iteration, text, scores: {name: number}}
      of, counted, range: replies drawn, those not empty, bounds of their score
      pieces, k1: what each token adds to the text, and its log-ratio in nats

The last two lines are left out where nobody measured them. Files of before had
{prompt, pi0_reply, final_reply, scores}, which `upgraded` reads. Whatever a
model wrote is data here and text on the page.
"""

from collections.abc import Iterable, Mapping

KEYS = ({'prompt', 'replies'}, {'prompt', 'pi0_reply', 'final_reply', 'scores'})
# Nats of a token from which on its line is thicker: see the legend of the page.
LEVELS = (0.1, 0.5, 1.5, 3.0)
BUDGET = 600_000  # bytes of all replies of a page, about
OF_PI0 = ' of pi_0'


def is_item(item) -> bool:
  """Whether an object has the keys of a sample, of now or of before."""
  if 'replies' not in item:
    return item.keys() >= KEYS[1]
  wanted = {'policy', 'iteration', 'text', 'scores'}
  whole = lambda reply: isinstance(reply, dict) and reply.keys() >= wanted
  return item.keys() >= KEYS[0] and all(map(whole, item['replies']))


def upgraded(item: Mapping) -> dict:
  """An item as it is written now, of one of any time.

  Before, two replies stood for a run: that of pi_0 and that of its last policy.
  """
  if 'replies' in item:
    return {'kind': '', 'family': '', **item}
  first, last = {}, {}
  for name, value in item['scores'].items():
    own = first if name.endswith(OF_PI0) else last
    name = name.removesuffix(OF_PI0)
    own['train PM' if name == 'PM' else name] = value
  policy = item.get('run', '')
  replies = [
    {'policy': policy, 'iteration': i, 'text': item[key], 'scores': scores}
    for i, key, scores in ((0, 'pi0_reply', first), (None, 'final_reply', last))
  ]
  return {
    'prompt': item['prompt'],
    'kind': '',
    'family': '',
    'replies': replies,
  }


def merged(items: Iterable[Mapping]) -> list[dict]:
  """One item a prompt with all of its replies, by family, then as they come."""
  found = {}
  for item in map(upgraded, items):
    own = found.setdefault(item['prompt'], {**item, 'replies': []})
    own['replies'].extend(item['replies'])
  return sorted(found.values(), key=lambda item: item['family'])


def browser(items: Iterable[Mapping], budget=BUDGET) -> dict:
  """Content of the browser on the page.

  Args:
    items: of one run or of several, in any of the two forms.
    budget: bytes of replies; the last policies are left out beyond it.

  Returns:
    prompts: dicts of text, family (its number) and rows, one a policy, each
      with its name and its cells (`cell`). families: their names. left_out:
      policies that there was no room for. median: whether the replies are
      medians of several. heat: whether tokens are marked.
  """
  items = merged(items)
  names = dict.fromkeys(item['family'] for item in items)
  families = {family: number for number, family in enumerate(names)}
  policies = dict.fromkeys(r['policy'] for x in items for r in x['replies'])
  kept, left_out = _within(items, list(policies), budget)
  prompts = [
    {
      'text': asked(item['prompt']),
      'family': families[item['family']],
      'rows': _rows(item['replies'], kept),
    }
    for item in items
  ]
  shown = [r for x in items for r in x['replies'] if r['policy'] in kept]
  return {
    'prompts': [prompt for prompt in prompts if prompt['rows']],
    'families': [family or 'prompts' for family in families],
    'left_out': left_out,
    'median': any(reply.get('of', 1) > 1 for reply in shown),
    'heat': any(reply.get('k1') for reply in shown),
  }


def asked(prompt: str) -> str:
  """A prompt to be read: a line a turn, without the one that is to come."""
  text = prompt.strip().removesuffix('Assistant:').rstrip()
  return text.replace('\n\nHuman:', '\nHuman:').replace(
    '\n\nAssistant:', '\nAssistant:'
  )


def _rows(replies, policies):
  """[{policy, cells}] of the policies that answered."""
  cells = {policy: [] for policy in policies}
  for reply in replies:
    if reply['policy'] in cells:
      cells[reply['policy']].append(cell(reply))
  return [{'policy': k, 'cells': own} for k, own in cells.items() if own]


def _within(items, policies, budget):
  """(policies that fit, the others), at least one of them fitting."""
  sizes = dict.fromkeys(policies, 0)
  for item in items:
    for reply in item['replies']:
      # A mark of a token is about as long as this; a cell, without its text.
      marks = 40 * len(reply.get('pieces') or ())
      sizes[reply['policy']] += 700 + len(reply['text']) + marks
  total, kept = 0, []
  for policy in policies:
    total += sizes[policy]
    if kept and total > budget:
      break
    kept.append(policy)
  return kept, policies[len(kept) :]


def cell(reply: Mapping) -> dict:
  """A reply as it is shown.

  Returns:
    label: of its snapshot. tokens: [(text, level, sign, nats)], level 0 to 4,
    or None where nothing is known of them. text, scores: as they are. of,
    counted, range: or None. most: the token of the largest |k1|, as
    (text, nats), or None.
  """
  iteration = reply['iteration']
  label = 'last policy' if iteration is None else f'iteration {iteration}'
  tokens = most = None
  if reply.get('k1'):
    pairs = whole_characters(reply['pieces'], reply['k1'])
    tokens = [(text, level(x), sign(x), x) for text, x in pairs]
    most = max(pairs, key=lambda pair: abs(pair[1]))
    most = (most[0].strip() or most[0], most[1])
  return {
    'label': 'π₀' if iteration == 0 else label,
    'text': reply['text'],
    'scores': reply['scores'],
    'tokens': tokens,
    'most': most,
    **{key: reply.get(key) for key in ('of', 'counted', 'range')},
  }


END = '∎'  # a token without a text: the end of the reply


def whole_characters(pieces, k1) -> list[tuple[str, float]]:
  """[(text, nats)]; a token inside a character goes to the one that ends it.

  What is left without a text at the end is the end of the reply.
  """
  found, left = [], None
  for text, nats in zip(pieces, k1, strict=True):
    left = nats if left is None else left + nats
    if text:
      found.append((text, left))
      left = None
  return found if left is None else [*found, (END, left)]


def level(nats: float) -> int:
  """Number of LEVELS that the size of a log-ratio reaches."""
  return sum(abs(nats) >= bound for bound in LEVELS)


def sign(nats: float) -> str:
  """'up' where the policy finds the token more probable than pi_0 does."""
  return 'up' if nats >= 0 else 'down'
