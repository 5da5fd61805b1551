"""Tokens that a model has to read for an evaluation, counted beforehand.

A Counter stands where the model does and answers at once: the harness makes its
prompts, the tokenizer cuts them, and what would be computed is summed up.
"""

from experiments.harness import layout
from experiments.shared.imported import with_system

PART = 64  # questions of a unit that are counted, at most
SUBJECTS = 8  # of a set that has some, each with all of its questions


class Counter:
  """Counts the columns of rows, as `reading` would lay them out.

  Attributes:
    tokens: so far, those that fill a row up to its bucket included.
  """

  def __init__(self, longest):
    """Counts for a model that holds `longest` tokens."""
    self.tokens, self._longest = 0, longest

  def score(self, requests, label=''):
    """As the function of `reading.make_score`; says that all is certain."""
    del label
    room = min(layout.ROOM, self._longest)
    for row in layout.rows_of(requests, self._longest, room):
      self.tokens += layout.columns_of(len(row.tokens))
    return [(0.0, True)] * len(requests)

  def write(self, prompts, max_reply, options, label=''):
    """As the function of `reading.make_write`; says nothing."""
    del options, label
    for ids in prompts:
      self.tokens += layout.columns_of(len(ids)) + max_reply
    return [[] for _ in prompts]


def tokens_of_unit(unit, counter, model, options, system, measure):
  """Tokens of a unit, reckoned from a part of its questions.

  Args:
    unit: `plan.Unit`.
    counter: Counter.
    model: `adapter.HarnessLM` that asks the counter.
    options: data, limit.
    system: as of `measure.samples_of`.
    measure: the module of that name.

  Returns:
    (tokens, questions) of all that the limit takes.
  """
  tasks = measure.tasks_of(unit, options['data'])
  numbers = measure.numbers_of(tasks, options['limit'])
  names = list(tasks)
  if len(names) > 1:  # questions of one subject share their examples
    part = {
      name: numbers[name] for name in names[:: -(-len(names) // SUBJECTS)]
    }
  else:
    part = {name: spread(numbers[name], PART) for name in names}
  some = {name: tasks[name] for name in part}
  before = counter.tokens
  asked = measure.answered(unit, model, some, part, system)
  total = sum(map(len, numbers.values()))
  return (counter.tokens - before) * total / len(asked), total


class Reckoner:
  """Tokens of all parts of a comparison, once for each kind of model."""

  def __init__(self, units, options, tools, others):
    """Counts nothing yet.

    Args:
      units: `plan.Unit`s.
      options: data, limit.
      tools: model -> `session.Tools`.
      others: {name: model -> (requests, how many texts)} of further parts.
    """
    self._units, self._options, self._tools = units, options, tools
    self._others, self._counts = others, {}

  def counts_of(self, model):
    """{name of a part: (tokens, questions or texts)}.

    Args:
      model: `listed.Model`.
    """
    opened = model.opened
    key = id(opened.tokenizer), model.system, opened.context
    if key not in self._counts:
      # The tokenizer is kept, or another one might get its number.
      found = dict(self._counted(model, self._tools(model)))
      self._counts[key] = opened.tokenizer, found
    return self._counts[key][1]

  def _counted(self, model, tools):
    """Yields (name, (tokens, questions or texts))."""
    opened = model.opened
    counter = Counter(tools.reading.longest_of(opened))
    stands_in = tools.adapter(
      opened.tokenizer,
      model.path,
      tools.reading.longest_of(opened),
      counter.score,
      counter.write,
      with_system,
    )
    more = self._options, model.system, tools.measure
    for unit in self._units:
      yield unit.name, tokens_of_unit(unit, counter, stands_in, *more)
    for name, requests_of in self._others.items():
      before = counter.tokens
      requests, count = requests_of(model)
      if requests:
        counter.score(requests)
      yield name, (counter.tokens - before, count)


def spread(numbers, count):
  """At most `count` of the numbers, evenly spread."""
  return numbers[:: max(1, -(-len(numbers) // count))]
