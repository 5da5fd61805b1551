"""Claims 49 to 51 and 55: context distillation and prompted models."""

import math

import numpy as np

from rlhf_jax.analysis import bounded, elo, fits, mixtures
from rlhf_jax.analysis.claims.spec import (
  ASKELL,
  BAI,
  ClaimSpec,
  Table,
  Theme,
)
from rlhf_jax.analysis.drawings.distillation import (
  distilled_kl,
  policies_from_distilled,
  prompted_models,
)
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  largest,
  means_by_size,
  select,
  sizes,
)
from rlhf_jax.analysis.intervals import Contrast, Interval, exact
from rlhf_jax.analysis.starts import policies_by_start

LEFT = 0.2  # share of the divergence that self-distillation may leave
MARGIN = 0.03  # of accuracies that are the same
MIN_SIZES = 3


def _ends(tables):
  """(first, last) rows of each student, over all texts."""
  rows = select(tables, 'distillation', texts='all')
  ends = rows.groupby('run_id')['tokens'].agg(['min', 'max'])
  if (ends['min'] == ends['max']).any():
    raise NotRunError('a student was measured once: wanted before and after')
  at = lambda end: rows[rows['tokens'] == rows['run_id'].map(ends[end])]
  return at('min'), at('max')


def distillation_works(tables) -> Finding:
  """Claim 49: what is left at the largest size; the end on ln P, by seed.

  A seed that has fewer than three sizes has no slope.
  """
  first, last = _ends(tables)
  if len(sizes(last)) < MIN_SIZES:
    raise NotRunError(f'{len(sizes(last))} sizes; wanted {MIN_SIZES}')
  kl = lambda frame: largest(frame).set_index('seed')['kl'].sort_index()
  slopes = [
    mixtures.slope_on_size(own, 'kl') for _, own in last.groupby('seed')
  ]
  left = kl(last) / kl(first)
  before = first.assign(kl_before=first['kl'])
  after = last.assign(kl_after=last['kl'])
  return Finding(
    [
      contrast('left_of_own_kl', left, '<', LEFT, bounded.log_mean),
      contrast('slope_of_final_kl', slopes, '<', 0.0),
    ],
    means_by_size(before, 'kl_before') | means_by_size(after, 'kl_after'),
  )


def buckets_bound(tables) -> Finding:
  """Claim 50: the largest excess over all tokens of all seeds."""
  rows = select(tables, 'buckets')
  whole, few = (
    rows[rows['ids'] > rows['top']],
    rows[rows['ids'] <= rows['top']],
  )
  if whole.empty or few.empty:
    raise NotRunError('wanted vocabularies above the kept ids, and not above')
  apart = few[['largest_excess', 'smallest_excess']].abs().to_numpy().max()
  n = whole['seed'].nunique()
  excess = exact(rows['largest_excess'].max(), n)
  return Finding(
    [
      Contrast('largest_excess', excess, 0.0, '<='),
      Contrast('apart_where_all_are_kept', exact(apart, n), 0.0, '<='),
    ],
    {
      'tokens': float(whole['tokens'].sum()),
      'full_kl': float(whole['full'].mean()),
      'ratio': float(whole['bucketed'].sum() / whole['full'].sum()),
    },
  )


def _by_reading(tables, column):
  """Seeds by readings, of the largest model."""
  rows = select(tables, 'prompted')
  rows = rows[rows['model_params'] == rows['model_params'].max()]
  found = rows.pivot_table(
    index='seed', columns='reading', values=column, dropna=False
  )
  lacking = {'plain', 'prompted', 'distilled'} - set(found)
  if lacking:
    raise NotRunError(f'prompted.csv lacks {", ".join(sorted(lacking))}')
  return found


def distilled_like_prompted(tables) -> Finding:
  """Claim 51: right choices of the distilled model less the prompted one's.

  Where the prompt itself moves them by no more than the margin, a model that
  learned nothing would pass: then nothing is concluded.
  """
  right, gold = (_by_reading(tables, x) for x in ('accuracy', 'gold'))
  nats = _by_reading(tables, 'nats_per_token')
  found = contrast(
    'distilled_minus_prompted',
    right['distilled'] - right['prompted'],
    'inside',
    (-MARGIN, MARGIN),
  )
  moved, note = float((right['prompted'] - right['plain']).mean()), ''
  if abs(moved) <= MARGIN:
    nothing = Interval(found.interval.mean, math.nan, math.nan, len(right))
    found = Contrast(found.name, nothing, found.bound, found.side)
    note = (
      f'the prompt moves right choices by {moved:.3f}, no more than the margin'
    )
  return Finding(
    [found],
    {f'accuracy_{name}': float(right[name].mean()) for name in right}
    | {f'gold_{name}': float(gold[name].mean()) for name in gold}
    | {'tax_nats': float((nats['distilled'] - nats['plain']).mean())},
    note,
  )


def ratings(tables, reading):
  """{seed: (ln P of each model, its Elo)} from the games of a reading.

  NaN of a seed without a finite Elo, as where a model played no games.
  """
  found = {}
  games = select(tables, 'games', reading=reading)
  order = sorted(games['model_params'].unique())
  place = {params: i for i, params in enumerate(order)}
  for seed, own in games.groupby('seed'):
    wins_NN = np.zeros((len(order), len(order)))
    pairs = own['model_params'].map(place), own['other_params'].map(place)
    wins_NN[pairs] = own['win_rate'] * own['n_prompts']
    try:
      rating_N = elo.fit_elo(wins_NN).rating_N
    except ValueError:
      rating_N = np.full(len(order), math.nan)
    found[seed] = np.log(order), rating_N
  return found


def elo_by_size(tables) -> Finding:
  """Claim 55: Elo of prompted models on ln P, by seed."""
  found = ratings(tables, 'prompted')
  n_sizes = min(len(x_N) for x_N, _ in found.values())
  if n_sizes < MIN_SIZES:
    raise NotRunError(f'{n_sizes} sizes; wanted {MIN_SIZES}')
  lines = [fits.line(x_N, elo_N) for x_N, elo_N in found.values()]
  slopes = [line.coefficient_K[1] for line in lines]
  mean_N = np.mean([elo_N for _, elo_N in found.values()], axis=0)
  return Finding(
    [
      contrast('slope', slopes, '>', 0.0),
      contrast('r2', [line.r2 for line in lines], '>', 0.95, bounded.fisher),
    ],
    {'sizes': float(n_sizes), 'elo_of_all_sizes': float(np.ptp(mean_N))},
  )


DISTILLATION = Table(
  name='distillation',
  meaning='a student on held-out texts, before and after distillation',
  columns={
    'tokens': 'training tokens read so far',
    'texts': '`generic`, `question` (with a good answer) or `all`',
    'kl': 'divergence of the prompted teacher from the student without the '
    'prompt, over 50 ids and one bucket, nats per token',
  },
  text=('texts',),
)
BUCKETS = Table(
  name='buckets',
  meaning='divergence of the prompted teacher from the same model without the '
  'prompt, whole and in buckets, over held-out tokens',
  columns={
    'ids': 'of the vocabulary, or the first few of it',
    'top': 'ids that have a category of their own',
    'tokens': 'of which it is the mean',
    'full': 'over all ids, nats per token',
    'bucketed': 'over the likeliest ids and one bucket, nats per token',
    'largest_excess': 'most of bucketed less full, over tokens',
    'smallest_excess': 'least of it',
  },
)
MODEL = {
  'model': 'size of the model',
  'model_params': 'its parameters without embeddings',
  'reading': '`plain`, `prompted` (behind the HHH prompt) or `distilled`',
}
PROMPTED = Table(
  name='prompted',
  meaning='a model as it is, prompted or distilled; the run columns are those '
  'of the evaluation',
  columns=MODEL
  | {
    'gold': 'mean gold score of its replies',
    'gold_helpful': 'the same on helpful prompts',
    'gold_harmless': 'the same on harmful prompts',
    'accuracy': 'share of choices in which the better reply is likelier',
    'nats_per_token': 'loss on held-out pages, read without the prompt',
    'n_prompts': 'replies',
    'n_choices': 'choices between a good and a bad reply',
  },
  text=('model', 'reading'),
)
GAMES = Table(
  name='games',
  meaning='replies of two models of one reading to the same prompts',
  columns=MODEL
  | {
    'other': 'size of the other model',
    'other_params': 'its parameters without embeddings',
    'win_rate': 'probability that a worker prefers the first model',
    'n_prompts': 'prompts that both answered',
  },
  text=('model', 'other', 'reading'),
)

THEME = Theme(
  title='Context distillation',
  claims=(
    ClaimSpec(
      49,
      'Context distillation works',
      'KL to the prompted teacher falls, and stays higher for smaller '
      'students.',
      f'{BAI}, Fig. 30',
      'fall > 80 % for self-distillation; slope of final KL on ln P < 0',
      distillation_works,
      tables=('distillation',),
      figure='distilled_kl',
    ),
    ClaimSpec(
      50,
      'Bucketed KL is a lower bound',
      'The 51-bucket KL never exceeds the full-vocabulary KL, and equals it '
      'for at most 50 ids.',
      f'{BAI}, App. A.1 (data-processing inequality)',
      'difference <= 0 always',
      buckets_bound,
      tables=('buckets',),
      evidence='identity',
    ),
    ClaimSpec(
      51,
      'Distilled equals prompted',
      'At the largest size the distilled model without the prompt does as well '
      'as the prompted one.',
      f'{ASKELL}, section 2',
      'difference inside +-3 points',
      distilled_like_prompted,
      tables=('prompted',),
      figure='prompted_models',
    ),
    ClaimSpec(
      55,
      'Elo is linear in log size',
      'The Elo of prompted models is nearly linear in ln P.',
      f'{ASKELL}, section 2.2',
      'slope > 0; R2 > 0.95',
      elo_by_size,
      tables=('games',),
      figure='prompted_models',
    ),
  ),
  tables=(DISTILLATION, BUCKETS, PROMPTED, GAMES),
  drawings=(distilled_kl, prompted_models, policies_from_distilled),
  checks=(policies_by_start,),
  roles={
    'teacher': 'the largest language model that read pages, or a real model, '
    'with the HHH prompt',
    'distilled': 'a student of the prompted teacher, without the prompt',
    'prompted': 'models of all sizes as they are, prompted and distilled',
    'from_distilled': 'PPO of one policy that starts from its distilled model',
    'from_lm': 'the same from the language model that it was distilled from',
  },
)
