"""Imitation against heads on real ranked sets: tables, a figure, a check.

Claim 52 is of the theme `imitation`: it wants two sizes and a slope over them,
and binary tasks beside the ranked ones, which no real set here is.
"""

from rlhf_jax.analysis import intervals, ranked_pairs
from rlhf_jax.analysis.claims.calibration import HIGH, LOW
from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.real_imitation import real_methods
from rlhf_jax.analysis.findings import NotHereError


def ranking_over_likelihood(tables) -> dict:
  """The ranked head less the mean log-likelihood, on every real set."""
  if 'ranked_pairs' not in tables:
    raise NotHereError('no heads of real ranked sets')
  found = ranked_pairs.over_imitation(tables['ranked_pairs'], 'ranked')
  decides = intervals.deciding(found)
  return {
    'measured': {
      f'{one.name}{end}': getattr(one.interval, key)
      for one in found
      for end, key in (('', 'mean'), ('_low', 'low'), ('_high', 'high'))
    },
    'ci': [decides.interval.low, decides.interval.high],
    'seeds': 1,
    'threshold': 'ranked head - mean log-likelihood > 0 on every set, paired, '
    'over conversations',
    'verdict': intervals.verdict(found),
    'note': f'{decides.name} decides',
  }


SET = {
  'set': '`stackexchange`: votes of readers; `alpaca_eval`: ranked by a model; '
  '`oasst`: by people; `posts`: votes, weak labels',
}
RIGHT = 'whether it scores the better reply higher, mean over draws'
RANKED_PAIRS = Table(
  name='ranked_pairs',
  meaning='two replies to one prompt that are ranked differently, scored by '
  'what has not seen their conversation',
  columns=SET
  | {
    'ranking': 'number of the prompt in its set',
    'prompt_id': 'of its conversation',
    'better': 'number of the better reply',
    'worse': 'of the other one',
    'ranked': f'a linear head fitted to pairs: {RIGHT}',
    'binary': 'one fitted to the best replies against the rest: likewise',
    'imitation': 'mean log-likelihood per token, by the language model as it '
    'is: likewise',
    'imitation_whole': 'its sum over the reply: likewise',
    'longer': 'the reply with more words: likewise',
  },
  text=('set', 'prompt_id'),
  compressed=True,
)
RANKED_FITS = Table(
  name='ranked_fits',
  meaning='a head that was fitted to a real ranked set',
  columns=SET
  | {
    'method': '`ranked` or `binary`',
    'draw': 'of the folds',
    'fold': 'that it scored',
    'n_train': 'pairs or, binary, replies that it was fitted to',
    'blocks': 'what it reads: way to pool and layer',
    'l2': 'penalty, from one grid for both',
    'inner_loss': 'held-out loss of its own labels, by which blocks and '
    'penalty were chosen, nats a pair or a reply',
    'accuracy': 'on the pairs that it scored',
  },
  text=('set', 'method', 'blocks'),
)
RANKED_METHODS = Table(
  name='ranked_methods',
  meaning='a way to score replies, on a real ranked set',
  columns=SET
  | {
    'method': '`ranked`, `binary`: heads; `imitation`: mean log-likelihood per '
    'token; `imitation_whole`: its sum; `longer`: more words',
    'prompts': 'of the set',
    'conversations': 'that these are of',
    'n_eval': 'pairs of replies that are ranked differently',
    'accuracy': 'share of them whose better reply scores higher',
    'accuracy_low': LOW,
    'accuracy_high': HIGH,
    'over_imitation': 'less that of `imitation`, pair by pair',
    'over_imitation_low': LOW,
    'over_imitation_high': HIGH,
    'over_longer': 'less that of `longer`, pair by pair',
    'over_longer_low': LOW,
    'over_longer_high': HIGH,
  },
  text=('set', 'method'),
  heading='Imitation and heads on real ranked sets',
)

THEME = Theme(
  title='Imitation against ranking on real sets',
  tables=(RANKED_PAIRS, RANKED_FITS, RANKED_METHODS),
  drawings=(real_methods,),
  checks=(ranking_over_likelihood,),
  roles={
    'real_sets': 'linear heads of real ranked sets beside the log-likelihood '
    'of the language model below them',
  },
  opening='The imitator is the chat model as it was published: it has not been '
  'trained on the good replies of these sets, as that of Askell et al. was.',
)
