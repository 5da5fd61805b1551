"""Heads of shares of real pairs: a table and a figure.

They are judged by claim 38, of the theme `tension`. What 39 and 40 want, three
sizes and weights of pairs, and 41 and 42, policies, they do not have.
"""

from rlhf_jax.analysis.claims.calibration import HIGH, LOW
from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.real_mixtures import real_shares

CROSS_SHARES = Table(
  name='cross_shares',
  meaning='heads of a share of helpful pairs, on a kind of pair',
  columns={
    'share': 'helpful to harmless training pairs, as `25/75`',
    'helpful': 'share of helpful ones',
    'pairs': 'training pairs of each head, both kinds together',
    'subset': 'kind of pair: `helpful` or `harmless`; `both`: the mean of the '
    'two, each of which weighs the same',
    'n_eval': 'pairs of the test',
    'accuracy': 'of one head, mean over draws of its training pairs',
    'accuracy_low': LOW,
    'accuracy_high': HIGH,
    'lost': 'accuracy of the heads of the kind alone less this one, pair by '
    'pair; NaN where there are none',
    'lost_low': LOW,
    'lost_high': HIGH,
  },
  text=('share', 'subset'),
  heading='Shares of helpful and harmless real pairs, at one number of pairs',
)

THEME = Theme(
  title='Mixtures of real pairs',
  tables=(CROSS_SHARES,),
  drawings=(real_shares,),
  roles={
    'shares': 'linear heads of shares of helpful and harmless pairs, each pair '
    'scored by those of other conversations',
  },
)
