"""Spaces of settings: a space is a list of points, {setting: value}.

    grid(axes)       every combination, the last axis fastest
    zipped(axes)     the first values together, then the second ones, ...
    drawn(rules)     random draws, the same for the same seed
    from_file(path)  a line a point: JSON lines, or CSV with a header
    product(a, b)    every point of a with every point of b
    chain(a, b)      the points of a, then those of b

As text, which is what configs and command lines hold: KIND WORD WORD ... x KIND
WORD ..., where x is the product and several texts are a chain.

    grid seed=0,1,2 size=3K,13K
    zip size=3K,13K lr_multiple=1,0.3 x grid seed=0,1,2
    random 20 0 lr_multiple=log_uniform(0.01,1) clip=uniform(0.1,0.3)
    list points.csv
"""

import ast
import csv
import json
import math
import random
import re
from pathlib import Path

OPENING, CLOSING = '([{', ')]}'
RULES = ('uniform', 'log_uniform', 'choices')


def grid(axes):
  """Every combination of the axes' values; one empty point of no axes."""
  points = [{}]
  for key, values in axes.items():
    points = product(points, [{key: value} for value in values])
  return points


def zipped(axes):
  """The i-th values of all axes together.

  Raises:
    ValueError: if the axes have different numbers of values.
  """
  counts = {key: len(values) for key, values in axes.items()}
  if len(set(counts.values())) > 1:
    shown = ', '.join(f'{key} has {count}' for key, count in counts.items())
    raise ValueError(f'zip: wanted as many values of each setting, but {shown}')
  rows = zip(*axes.values(), strict=True)
  return [dict(zip(axes, row, strict=True)) for row in rows]


def product(*spaces):
  """Every point of the first with every point of the second, and so on.

  Raises:
    ValueError: if two of them set one key.
  """
  points = [{}]
  for space in spaces:
    both = {key for a in points[:1] for b in space for key in a.keys() & b}
    if both:
      raise ValueError(
        f'{min(both)} is set twice in a product: name it once, or chain'
      )
    points = [a | b for a in points for b in space]
  return points


def chain(*spaces):
  """The points of all spaces in their order, each once."""
  found = {}
  for point in (point for space in spaces for point in space):
    found.setdefault(json.dumps(point, sort_keys=True, default=repr), point)
  return list(found.values())


def drawn(rules, count, seed):
  """Random points.

  Every key has a stream of its own: its values stay the same when another key
  is added, and more draws begin with the fewer ones.

  Args:
    rules: {key: (name, values)}: ('uniform', (low, high)), ('log_uniform',
      (low, high)), both above 0, or ('choices', values).
    count: of draws.
    seed: whole number.

  Raises:
    ValueError: naming the rule that is wrong.
  """
  columns = {key: _stream(key, rule, seed) for key, rule in rules.items()}
  return [{key: draw() for key, draw in columns.items()} for _ in range(count)]


def _stream(key, rule, seed):
  """A function of nothing that draws the next value of a key."""
  (name, values), rng = rule, random.Random(f'{seed}/{key}')
  if name == 'choices' and values:
    return lambda: values[int(rng.random() * len(values))]
  number = lambda x: isinstance(x, int | float) and not isinstance(x, bool)
  bounds = len(values) == 2 and all(map(number, values))
  if name not in RULES or not bounds or values[0] >= values[1]:
    raise ValueError(
      f'random: {key} wants uniform(LOW,HIGH), log_uniform(LOW,HIGH) or '
      f'choices(A,B,...), LOW below HIGH; got {name}{tuple(values)}'
    )
  low, high = values
  if name == 'uniform':
    return lambda: low + (high - low) * rng.random()
  if low <= 0:
    raise ValueError(f'random: {key}: log_uniform wants LOW above 0, got {low}')
  return lambda: low * math.exp(math.log(high / low) * rng.random())


def from_file(path):
  """The points of a file: .csv with a header, else JSON, an object a line.

  An empty cell of a CSV sets nothing.

  Raises:
    ValueError: naming file and line.
  """
  path = Path(path)
  try:
    text = path.read_text(encoding='utf-8')
  except (OSError, UnicodeDecodeError) as error:
    raise ValueError(f'list: cannot read {path}: {error}') from None
  read = _of_csv if path.suffix == '.csv' else _of_json
  points = read(path, text)
  if not points:
    raise ValueError(f'list: {path} has no points')
  return points


def _of_csv(path, text):
  rows = list(csv.reader(text.splitlines()))
  header, found = rows[0] if rows else [], []
  for number, row in enumerate(rows[1:], 2):
    if row and len(row) != len(header):
      raise ValueError(
        f'list: {path}:{number}: wanted {len(header)} cells, got {len(row)}'
      )
    point = zip(header, row, strict=True) if row else ()
    found += [{k: value_of(x) for k, x in point if x.strip()}] * bool(row)
  return found


def _of_json(path, text):
  found = []
  for number, line in enumerate(text.splitlines(), 1):
    if not line.strip():
      continue
    try:
      point = json.loads(line)
    except json.JSONDecodeError as error:
      raise ValueError(
        f'list: {path}:{number}: not JSON ({error.msg})'
      ) from None
    if not isinstance(point, dict):
      raise ValueError(
        f'list: {path}:{number}: wanted an object, got {line.strip()[:40]}'
      )
    found.append(point)
  return found


def value_of(text):
  """A Python literal where the text is one (0.1, True, (1, 2)), else itself."""
  try:
    return ast.literal_eval(text.strip())
  except (ValueError, SyntaxError):
    return text


def values_of(text):
  """The values of 'a,b,...'; commas within brackets or quotes are their own.

  Raises:
    ValueError: if one is empty, or a bracket or quote is left open.
  """
  parts = _parts(text, ',')
  if not all(part.strip() for part in parts):
    raise ValueError(f'wanted VALUE,VALUE,... and got {text!r}')
  return [value_of(part) for part in parts]


def _parts(text, separators):
  """What stands between separators that are in no bracket and no quote."""
  parts, depth, quote = [''], 0, ''
  for mark in text:
    if quote:
      quote = '' if mark == quote else quote
    elif mark in '\'"':
      quote = mark
    else:
      depth += (mark in OPENING) - (mark in CLOSING)
    if mark in separators and not depth and not quote:
      parts.append('')
    else:
      parts[-1] += mark
  if depth or quote:
    raise ValueError(f'a bracket or a quote is left open in {text!r}')
  return parts


def axes_of(words, kind):
  """{key: values} of KEY=VALUE,VALUE words.

  Raises:
    ValueError: naming the word.
  """
  axes = {}
  for word in words:
    key, equals, text = word.partition('=')
    if not (key and equals):
      raise ValueError(f'{kind}: wanted KEY=VALUE,VALUE,..., got {word!r}')
    if key in axes:
      raise ValueError(f'{kind}: {key} is given twice')
    try:
      axes[key] = values_of(text)
    except ValueError as error:
      raise ValueError(f'{kind}: {key}: {error}') from None
  if not axes:
    raise ValueError(f'{kind}: wanted KEY=VALUE,VALUE,..., got nothing')
  return axes


def _random(words):
  counts, words = words[:2], words[2:]
  if len(counts) < 2 or not all(re.fullmatch(r'\d+', x) for x in counts):
    raise ValueError('random: wanted DRAWS SEED KEY=RULE ..., e.g. 20 0 a=...')
  rules = {}
  for key, texts in axes_of(words, 'random').items():
    found = re.fullmatch(r'(\w+)\((.*)\)', str(texts[0]))
    if len(texts) > 1 or not found:
      raise ValueError(
        f'random: {key} wants uniform(LOW,HIGH), log_uniform(LOW,HIGH) or '
        'choices(A,B,...)'
      )
    rules[key] = found[1], values_of(found[2])
  return drawn(rules, *map(int, counts))


def _list(words):
  if len(words) != 1:
    raise ValueError(f'list: wanted one file, got {" ".join(words) or "none"}')
  return from_file(words[0])


KINDS = {
  'grid': lambda words: grid(axes_of(words, 'grid')),
  'zip': lambda words: zipped(axes_of(words, 'zip')),
  'random': _random,
  'list': _list,
}


def read(texts):
  """The points of texts, a chain; one empty point of no texts.

  Raises:
    ValueError: in one line, naming the text.
  """
  found = []
  for text in texts:
    try:
      found.append(_of_text(text))
    except ValueError as error:
      raise ValueError(f'space {text!r}: {error}') from None
  return chain(*found) if found else [{}]


def _of_text(text):
  blocks = [[]]
  for word in filter(None, _parts(text, ' \t\n')):
    if word == 'x':
      blocks.append([])
    else:
      blocks[-1].append(word)
  spaces = []
  for block in blocks:
    kind = block[0] if block else 'nothing'
    if kind not in KINDS:
      raise ValueError(f'wanted one of {", ".join(KINDS)}, got {kind}')
    spaces.append(KINDS[kind](block[1:]))
  return product(*spaces)
