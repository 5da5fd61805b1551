"""Heads pretrained on public rankings: tables, a figure and a check.

No claim of the paper is judged by them. Claim 53 compares 500 finetuning pairs
with 10,000, which real pairs are not; 54 wants tagged texts; and in both the
whole model is pretrained.
"""

from rlhf_jax.analysis import intervals, pretrained
from rlhf_jax.analysis.claims.calibration import HIGH, LOW
from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.real_pretraining import real_pretraining
from rlhf_jax.analysis.findings import NotHereError

MODEL, BEFORE = 'helpful', 'stackexchange'


def pretrained_heads_help(tables) -> dict:
  """Gain of pretraining on answers, of the helpful heads, named beforehand."""
  if 'pretrained_pairs' not in tables:
    raise NotHereError('no pretrained heads')
  pairs = tables['pretrained_pairs']
  if not {BEFORE, pretrained.NONE} <= set(pairs['before']):
    raise NotHereError(f'no heads after {BEFORE}')
  if MODEL not in set(pairs['model']):
    raise NotHereError(f'no heads of {MODEL} pairs')
  contrasts = pretrained.contrast_of_gains(pairs, MODEL, BEFORE)
  decides = intervals.deciding([*contrasts.values()])
  return {
    'measured': {
      f'{name}{end}': getattr(one.interval, key)
      for name, one in contrasts.items()
      for end, key in (('', 'mean'), ('_low', 'low'), ('_high', 'high'))
    },
    'ci': [decides.interval.low, decides.interval.high],
    'seeds': 1,
    'threshold': f'{MODEL} heads after {BEFORE} less those without: gain on '
    'the fewest pairs > 0, and above that on the most, over conversations',
    'verdict': intervals.verdict([*contrasts.values()]),
    'note': f'{decides.name} decides',
  }


CELL = {
  'model': 'pairs that it was finetuned and tested on: `helpful`, `harmless` '
  'or `mix`, both',
  'before': 'what it was pretrained on: `none`; `stackexchange`: answers to '
  'one question; `posts`: posts of one subreddit, weak labels; `all`: these '
  'together',
  'pairs': 'finetuning pairs; 0: the pretrained head as it is',
}
PRETRAINED_PAIRS = Table(
  name='pretrained_pairs',
  meaning='a real pair, judged by heads that were finetuned on other '
  'conversations',
  columns=CELL
  | {
    'pair_id': 'of the pair',
    'prompt_id': 'of its conversation',
    'subset': 'kind of the pair: `helpful` or `harmless`',
    'right': 'share of the draws in which the preferred reply scores higher',
  },
  text=('model', 'before', 'pair_id', 'prompt_id', 'subset'),
  compressed=True,
)
PRETRAINED_FITS = Table(
  name='pretrained_fits',
  meaning='a head that was finetuned',
  columns=CELL
  | {
    'draw': 'of the folds',
    'fold': 'that it scored',
    'blocks': 'what it reads: way to pool and layer',
    'l2': 'strength of the penalty that pulls it to the pretrained head, or '
    'without one to 0; on features with standard deviation 1',
    'inner_loss': 'held-out loss inside its training pairs, by which blocks '
    'and penalty were chosen; of a coin .693 (nats a pair)',
    'accuracy': 'on the pairs that it scored',
  },
  text=('model', 'before', 'blocks'),
)
PRETRAINING_HEADS = Table(
  name='pretraining_heads',
  meaning='a pretrained head, on the pairs that it was pretrained on',
  columns={
    'before': CELL['before'],
    'rankings': 'ranked sets of public texts',
    'pairs': 'in them, ties left out',
    'blocks': 'of the head with the least held-out loss',
    'l2': 'its penalty',
    'inner_loss': 'held-out loss, nats a pair; of a coin .693',
    'accuracy': 'of heads with these blocks and this penalty on pairs of other '
    'prompts, mean over folds',
  },
  text=('before', 'blocks'),
  heading='Heads pretrained on public rankings',
)
PRETRAINING_GAINS = Table(
  name='pretraining_gains',
  meaning='heads of a number of finetuning pairs, with or without pretraining',
  columns=CELL
  | {
    'n_eval': 'pairs of the test',
    'accuracy': 'of one head, mean over draws of its finetuning pairs',
    'accuracy_low': LOW,
    'accuracy_high': HIGH,
    'gain': 'accuracy less that without pretraining, pair by pair',
    'gain_low': LOW,
    'gain_high': HIGH,
  },
  text=('model', 'before'),
  heading='Real pairs, with and without pretraining of the head',
)

THEME = Theme(
  title='Pretraining of a head on public rankings',
  tables=(
    PRETRAINED_PAIRS,
    PRETRAINED_FITS,
    PRETRAINING_HEADS,
    PRETRAINING_GAINS,
  ),
  drawings=(real_pretraining,),
  checks=(pretrained_heads_help,),
  roles={
    'pretrained': 'linear heads of some real pairs, pulled to heads of public '
    'rankings or to 0, each pair scored by those of other conversations',
  },
  opening='Only the head is pretrained; the language model below it is frozen '
  'throughout. In the paper all weights are pretrained on such pairs.',
)
