"""Signs of a sick run of RL: what is looked at, from where on, what to do.

Each rule is a pure function of rows of metrics.jsonl: means over the first rows
and over the last ones, and the first and the last checkpoint. docs/health.md is
made of this list.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

FIRST, LAST = 3, 5  # rows of training that are averaged


class History(NamedTuple):
  """A run so far; a dict that has nothing yet is empty.

  Attributes:
    start: means of the metrics over the first rows.
    now: means over the last ones.
    rows: how many there were in all.
    before: the first checkpoint's row.
    after: the last one's, if there is another.
  """

  start: dict
  now: dict
  rows: int
  before: dict
  after: dict


class Rule(NamedTuple):
  """One sign.

  Attributes:
    name: of its message.
    reads: metrics, 'checkpoint.NAME' where they are a checkpoint's.
    limit: the value from which on it is one.
    value: History -> number, or None if what it reads is not there.
    says: the message; the numbers are filled in.
    advice: what to do.
    cause: what is planted in the test, in words.
    planted: {'start', 'now', 'before', 'after'}: what the planted run has
      besides a healthy one's numbers.
  """

  name: str
  reads: tuple[str, ...]
  limit: float
  value: Callable
  says: str
  advice: str
  cause: str
  planted: dict


def _has(row, *names):
  return all(name in row for name in names)


def _apart(a, b):
  return abs(a - b) / (0.5 + max(abs(a), abs(b)))


def kl_estimators(history):
  """|k1 - k3| / (0.5 + the larger), in training; of either and the exact KL."""
  found = []
  if _has(history.now, 'kl_k1', 'kl_k3'):
    found.append(_apart(history.now['kl_k1'], history.now['kl_k3']))
  if _has(history.after, 'kl', 'kl_k1', 'kl_k3'):
    exact = history.after['kl']
    found += [_apart(exact, history.after[k]) for k in ('kl_k1', 'kl_k3')]
  return max(found) if found else None


def first_ratio(history):
  """|ratio - 1| or sqrt(2 k3), the larger: before anything was updated."""
  if not _has(history.now, 'first_ratio', 'first_kl'):
    return None
  ratio, k3 = history.now['first_ratio'], history.now['first_kl']
  return max(abs(ratio - 1.0), math.sqrt(2.0 * max(k3, 0.0)))


def clip_fraction(history):
  """Share of reply tokens whose ratio was clipped."""
  return history.now.get('clip_fraction')


def explained_variance(history):
  """Minus the explained variance, once the value network had time to learn."""
  now = history.now
  if history.rows < FIRST + LAST or not _has(now, 'value_loss'):
    return None
  found = now.get('explained_variance')
  return None if found is None else -found


def entropy_collapse(history):
  """Share of the entropy at the start that is lost."""
  first, now = history.start.get('entropy'), history.now.get('entropy')
  if first is None or now is None or not first > 0:
    return None
  return 1.0 - now / first


def end_rate(history):
  """Share of replies without an end token."""
  return history.now.get('truncated')


def length(history):
  """Length over that of the start, or the inverse, whichever is more."""
  first, now = history.start.get('length'), history.now.get('length')
  if not first or not now:
    return None
  return max(now / first, first / now)


def length_score(history):
  """|correlation| of a reply's length and its score, within a batch."""
  found = history.now.get('length_score')
  return None if found is None else abs(found)


def repetition(history):
  """Repeated token pairs, more than at the start."""
  first, now = history.start.get('repeated'), history.now.get('repeated')
  return None if first is None or now is None else now - first


def pm_gap(history):
  """Share of the train PM's gain that the test PM does not see.

  0 unless the gap is twice its standard error.
  """
  names = ('train_pm', 'test_pm', 'train_pm_se', 'test_pm_se')
  if not (_has(history.before, *names) and _has(history.after, *names)):
    return None
  gain = {n: history.after[n] - history.before[n] for n in names[:2]}
  gap = gain['train_pm'] - gain['test_pm']
  error = math.hypot(history.after['train_pm_se'], history.after['test_pm_se'])
  if not gain['train_pm'] > 0 or not gap > 2 * error:
    return 0.0
  return gap / gain['train_pm']


def nonfinite(history):
  """Number of metrics that are not finite, or of updates that were skipped."""
  rows = (history.now, history.after)
  return float(
    max(history.now.get('skipped', 0.0), *(len(bad_names(x)) for x in rows))
  )


def bad_names(row):
  """Names of a row's numbers that are not finite."""
  return sorted(name for name, x in row.items() if not math.isfinite(x))


RULES = (
  Rule(
    'kl_estimators',
    ('kl_k1', 'kl_k3', 'checkpoint.kl', 'checkpoint.kl_k1', 'checkpoint.kl_k3'),
    0.6,
    kl_estimators,
    'estimators of KL from pi_0 disagree: {kl}; they are {value:.2g} apart '
    '(more than {limit:g} of the larger and half a nat)',
    'replies may not be scored as they were sampled (temperature, mask, '
    'truncated sampling), or the KL is so large that k3 is noise',
    'replies are scored at another temperature than they were sampled at: k1 '
    'falls below 0, k3 cannot',
    {'now': {'kl_k1': -1.5, 'kl_k3': 2.0}},
  ),
  Rule(
    'first_ratio',
    ('first_ratio', 'first_kl'),
    0.05,
    first_ratio,
    'the first minibatch has ratio {now[first_ratio]:.4g} and approximate KL '
    '{now[first_kl]:.3g} before any update: off by {value:.2g} (more than '
    '{limit:g})',
    'score replies in the update as the sampler did: one temperature, one '
    'mask, no dropout, one precision',
    'the update scores at temperature 1, the sampler draws at 0.7',
    {'now': {'first_ratio': 1.21, 'first_kl': 0.08}},
  ),
  Rule(
    'clip_fraction',
    ('clip_fraction',),
    0.3,
    clip_fraction,
    '{value:.0%} of the reply tokens are clipped (more than {limit:.0%})',
    'updates are too large: lower the learning rate or the number of passes',
    'a learning rate a hundred times too high',
    {'now': {'clip_fraction': 0.45}},
  ),
  Rule(
    'explained_variance',
    ('explained_variance', 'value_loss'),
    0.2,
    explained_variance,
    'the value network explains {now[explained_variance]:.2f} of the variance '
    'of returns: worse than a constant (below -{limit:g})',
    'raise value_lr_ratio, start it from a preference model (value_pm_dir), or '
    'look at the scale of the scores',
    'values are read one position late',
    {'now': {'explained_variance': -0.9}},
  ),
  Rule(
    'entropy_collapse',
    ('entropy',),
    0.9,
    entropy_collapse,
    'entropy fell from {start[entropy]:.3g} to {now[entropy]:.3g} nats a '
    'token: {value:.0%} is lost (more than {limit:.0%})',
    'the policy writes one reply to everything: raise kl_coef, lower the '
    'learning rate, or stop earlier',
    'a reward that one reply maximises, without a KL penalty',
    {'now': {'entropy': 0.02}},
  ),
  Rule(
    'end_rate',
    ('truncated',),
    0.5,
    end_rate,
    '{value:.0%} of the replies have no end token (more than {limit:.0%}); '
    'they were {start[truncated]:.0%} at the start',
    'raise max_reply, set a truncation_penalty, or see whether the end token '
    'was learned at all',
    'the reward pays for tokens, and the end token is the price',
    {'now': {'truncated': 0.97}},
  ),
  Rule(
    'length',
    ('length',),
    2.0,
    length,
    'replies went from {start[length]:.1f} to {now[length]:.1f} tokens, a '
    'factor of {value:.2g} (more than {limit:g})',
    'read some: does the preference model pay for length, or for saying '
    'nothing?',
    'the reward counts tokens',
    {'now': {'length': 70.0}},
  ),
  Rule(
    'length_score',
    ('length_score',),
    0.7,
    length_score,
    'length and score of a reply correlate with {now[length_score]:.2f} (more '
    'than {limit:g} either way)',
    'the preference model reads length: compare it with the rule that the '
    'longer reply wins (floors.csv)',
    'the reward counts tokens',
    {'now': {'length_score': 0.93}},
  ),
  Rule(
    'repetition',
    ('repeated',),
    0.2,
    repetition,
    '{now[repeated]:.0%} of the token pairs of a reply stand earlier in it, '
    'and {start[repeated]:.0%} did at the start',
    'read some replies: raise kl_coef, or stop earlier',
    'replies go round in a circle of three tokens',
    {'now': {'repeated': 0.85}},
  ),
  Rule(
    'pm_gap',
    ('checkpoint.train_pm', 'checkpoint.test_pm'),
    0.5,
    pm_gap,
    'the train PM gained {gain_train:.3g} and the test PM {gain_test:.3g}: '
    '{value:.0%} of the gain is not seen by it (more than {limit:.0%})',
    'the policy fits its preference model: stop earlier, raise kl_coef, or '
    'train the preference model on more pairs',
    'the reward is a hash of the reply, which no test PM shares',
    {'after': {'train_pm': 3.0, 'test_pm': 0.1}},
  ),
  Rule(
    'nonfinite',
    ('every metric', 'skipped'),
    0.0,
    nonfinite,
    'not finite: {bad}; {skipped:.0f} updates were skipped so far',
    'lower the learning rate, and look at the rows that the message of '
    'on_nonfinite names',
    'a reward of one reply in a batch is infinite',
    {'now': {'score': math.inf, 'policy_loss': math.nan}},
  ),
)
NAMES = tuple(rule.name for rule in RULES)
