"""Evaluations beside the claims: the HHH comparisons (Askell et al., 2.2)."""

from rlhf_jax.analysis.claims.spec import Table, Theme

HHH = Table(
  name='hhh',
  meaning='the accuracy of one model under one rule on one category',
  columns={
    'judge': 'what chose the answer: `plain` or `prompted` language model, '
    '`PM ...`, or `longer`',
    'rule': 'what it went by: `sum`, `mean` or `mutual information` of '
    'log-probabilities, `score`, `words`',
    'category': '`harmless`, `helpful`, `honest`, `other` or `all`',
    'accuracy': 'share of the comparisons in which it chose the right answer',
    'low': 'lower end of its 95 % interval (Wilson, over comparisons)',
    'high': 'upper end of it',
    'n': 'comparisons',
  },
  text=('judge', 'rule', 'category'),
  heading='HHH comparisons, zero-shot',
)

THEME = Theme(
  title='Evaluations',
  tables=(HHH,),
  roles={'hhh': 'the run behind `hhh.csv`'},
)
