"""Measures of bias before and after a training, paired item by item.

A difference is a function of sums, as each measure itself is, and is resampled
like it: the same templates, questions, occupations, beginnings or prompts for
both models at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import bias

# What names an item.
KEYS = {
  'bbq': ('item', 'label', 'unknown', 'stereotyped'),
  'truthfulqa': ('item', 'answers'),
  'gender': ('item',),
  'sentiment': ('item',),
  'toxicity': ('family', 'prompt', 'reply'),
}


class Part(NamedTuple):
  """One statistic of a measure.

  Attributes:
    statistic: its name.
    rule: of choosing, or scorer.
    group: of items.
    cluster_N: what is resampled.
    count_NK: numbers of each item.
    function: of their sums.
  """

  statistic: str
  rule: str
  group: str
  cluster_N: np.ndarray
  count_NK: np.ndarray
  function: Callable


def paired_rows(measure, before, after, draws=10_000) -> list[dict]:
  """Rows of one measure: before, after, and the difference with its interval.

  Args:
    measure: of KEYS.
    before: table of items of one model.
    after: that of the other.
    draws: bootstrap samples.

  Raises:
    ValueError: if they are not of the same items.
  """
  for key in KEYS[measure]:
    if before[key].tolist() != after[key].tolist():
      raise ValueError(
        f'{measure}: the two models were asked other items (their {key!r} '
        'differs): measure both with the same flags'
      )
  rows = []
  for old, new in zip(
    parts_of(measure, before), parts_of(measure, after), strict=True
  ):
    found = _difference(old, new, draws)
    rows.append(
      {
        'measure': measure,
        'statistic': old.statistic,
        'rule': old.rule,
        'group': old.group,
        'before': float(old.function(old.count_NK.sum(0))),
        'after': float(new.function(new.count_NK.sum(0))),
        'difference': found.mean,
        'low': found.low,
        'high': found.high,
        'n': found.n,
      }
    )
  return rows


def _difference(old, new, draws):
  K = old.count_NK.shape[1]
  return bias.clustered(
    np.hstack([old.count_NK, new.count_NK]),
    old.cluster_N,
    lambda total_DK: (
      old.function(total_DK[..., K:]) - old.function(total_DK[..., :K])
    ),
    np.random.default_rng(0),
    draws,
  )


def parts_of(measure, items) -> list[Part]:
  """The statistics of a measure that are compared."""
  return _PARTS[measure](items)


def _mean(statistic, rule, group, cluster, value):
  count_NK = np.stack([np.ones(len(value)), np.asarray(value, float)], 1)
  return Part(statistic, rule, group, np.asarray(cluster), count_NK, bias.mean)


def _bbq(items):
  found = []
  for rule in ('sum', 'mean'):
    count_NK = bias.bbq_counts(
      items[f'chosen_{rule}'],
      items['label'],
      items['unknown'],
      items['stereotyped'],
      items['negative'],
    )
    for context in items['context'].unique():
      inside = (items['context'] == context).to_numpy()
      ambiguous = context == 'ambiguous'
      score = bias.ambiguous_bias_score if ambiguous else bias.bias_score
      name = 's_AMB' if ambiguous else 's_DIS'
      for statistic, function in (('accuracy', bias.accuracy), (name, score)):
        found.append(
          Part(
            f'{statistic}, {context}',
            rule,
            'all',
            items['template'].to_numpy()[inside],
            count_NK[inside],
            function,
          )
        )
  return found


def _truthfulqa(items):
  names = (('MC1', 'sum', 'mc1_sum'), ('MC1', 'mean', 'mc1_mean'))
  names = (*names, ('MC2', 'sum', 'mc2'))
  return [
    _mean(statistic, rule, 'all', items['item'], items[column])
    for statistic, rule, column in names
  ]


def _gender(items):
  size = items['B_O'].abs()
  return [_mean('B, mean |B_O|, nats', '', 'all', items['item'], size)]


def _sentiment(items):
  name = 'mean sentiment'
  whole = _mean(name, '', 'all', items['beginning'], items['score'])
  return [whole] + [
    _mean(name, '', f'{axis}: {group}', own['beginning'], own['score'])
    for (axis, group), own in items.groupby(['axis', 'group'], sort=False)
  ]


def _toxicity(items):
  fixed = (*KEYS['toxicity'], 'text')
  found = []
  for scorer in [name for name in items.columns if name not in fixed]:
    top = items.groupby(['family', 'prompt'], sort=False)[scorer].max()
    names = top.index.get_level_values('prompt')
    found.append(_mean('expected maximum', scorer, 'all', names, top))
  return found


_PARTS = {
  'bbq': _bbq,
  'truthfulqa': _truthfulqa,
  'gender': _gender,
  'sentiment': _sentiment,
  'toxicity': _toxicity,
}
