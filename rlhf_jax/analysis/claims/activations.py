"""Claims 61 to 65: a generative model of activations (Wang et al. 2016).

Of the paper only the abstract and the first paragraph could be read. Its three
queries are what these claims ask for; models, numbers and bounds are ours.
"""

from functools import partial

import pandas as pd

from rlhf_jax.analysis import bounded
from rlhf_jax.analysis.claims.spec import WANG, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.activations import (
  activation_measures,
  blended_digits,
  occluded_digits,
  overlapping_digits,
)
from rlhf_jax.analysis.findings import Finding, NotRunError, contrast, select
from rlhf_jax.analysis.intervals import Contrast, exact

QUERIES, HASHES = 'activation_queries', 'activation_hashes'
MARGIN, AS_CLAMP, UNCLAMPED = 0.2, 0.9, 0.6
BASELINES = (
  *('deconv', 'guided', 'gradient_times_input'),
  *('top_down', 'class_mean', 'autoencoder'),
)
ABLATIONS = ('no_bottom_up', 'no_top_down')
OCCLUDERS = ('20', '35', '50')
WHOLE = 'v2'
over_seeds = partial(bounded.bootstrap_mean, bounds=(-1.0, 1.0))
differences = partial(bounded.bootstrap_mean, bounds=(-2.0, 2.0))
shares = partial(bounded.bootstrap_mean, bounds=(0.0, 1.0))


def by_seed(tables, query, measure, method=WHOLE, case='all') -> pd.Series:
  """One measure of one way, by seed.

  Raises:
    NotRunError: if no run has it.
  """
  where = {'query': query, 'case': case, 'method': method, 'measure': measure}
  return select(tables, QUERIES, **where).groupby('seed')['value'].mean()


def overlap(tables) -> Finding:
  """Claim 61: IoU with the own digit less that with the other one."""
  of = partial(by_seed, tables, 'overlap', 'iou_margin')
  whole, others = of(), {name: of(name) for name in BASELINES}
  return Finding(
    [
      contrast('margin', whole, '>', MARGIN, over_seeds),
      *(
        contrast(f'over_{name}', whole - other, '>', 0.0, differences)
        for name, other in others.items()
      ),
    ],
    {f'margin_{name}': float(x.mean()) for name, x in others.items()}
    | {
      f'margin_{name}': float(of(name).mean())
      for name in ('v0', 'v1', 'v2_together')
    }
    | {
      'own': float(by_seed(tables, 'overlap', 'iou_own').mean()),
      'other': float(by_seed(tables, 'overlap', 'iou_other').mean()),
    },
  )


def ambiguity(tables) -> Finding:
  """Claim 62: the share of blends that are re-classified as the clamp."""
  of = partial(by_seed, tables, 'blend', 'as_clamp')
  return Finding(
    [
      contrast('as_clamp', of(), '>', AS_CLAMP, shares),
      contrast('unclamped', of('autoencoder'), '<', UNCLAMPED, shares),
    ],
    {
      f'as_clamp_{name}': float(of(name).mean())
      for name in ('v0', 'v1', 'class_mean', 'top_down', 'input')
    },
  )


def occlusion(tables) -> Finding:
  """Claim 63: hidden pixels and accuracy, at each size of the occluder."""
  contrasts, measured = [], {}
  for case in OCCLUDERS:
    of = partial(by_seed, tables, 'occlusion', case=case)
    mse = of('mse')
    for name in ('class_mean', 'autoencoder'):
      difference = mse - of('mse', name)
      label = f'mse_less_{name}_at_{case}_percent'
      contrasts.append(contrast(label, difference, '<', 0.0))
    gain = of('accuracy') - of('accuracy', 'input')
    label = f'accuracy_gain_at_{case}_percent'
    contrasts.append(contrast(label, gain, '>', 0.0, over_seeds))
    measured |= {
      f'mse_{name}_at_{case}_percent': float(of('mse', name).mean())
      for name in ('v0', 'v1', WHOLE, 'mean_of_true_class')
    }
    measured |= {
      f'accuracy_{name}_at_{case}_percent': float(of('accuracy', name).mean())
      for name in (WHOLE, 'input', 'truth')
    }
  return Finding(contrasts, measured)


def both_directions(tables) -> Finding:
  """Claim 64: the three queries without one of the two directions."""
  of = partial(by_seed, tables)
  hidden = lambda method: (
    sum(of('occlusion', 'mse', method, case) for case in OCCLUDERS)
    / len(OCCLUDERS)
  )
  contrasts, measured = [], {}
  for name in ABLATIONS:
    margin = of('overlap', 'iou_margin') - of('overlap', 'iou_margin', name)
    blend = of('blend', 'mse', name) - of('blend', 'mse')
    found = hidden(name) - hidden(WHOLE)
    contrasts += [
      contrast(f'margin_lost_{name}', margin, '>', 0.0, differences),
      contrast(f'blend_mse_added_{name}', blend, '>', 0.0),
      contrast(f'hidden_mse_added_{name}', found, '>', 0.0),
    ]
    share = of('blend', 'as_clamp', name)
    measured[f'as_clamp_{name}'] = float(share.mean())
  return Finding(contrasts, measured)


def untouched(tables) -> Finding:
  """Claim 65: seeds whose classifier has more than one digest."""
  rows = select(tables, HASHES)
  moments = rows.groupby('seed')['moment'].agg(set)
  if any(found != {'trained', 'used', 'stored'} for found in moments):
    raise NotRunError(f'{HASHES}.csv lacks a moment of some seed')
  changed = rows.groupby('seed')['digest'].nunique() > 1
  whole = exact(changed.sum(), len(changed))
  return Finding([Contrast('changed', whole, 0.0, '<=')])


CASES = {
  'query': '`overlap`, `blend`, `occlusion`, `detection`; `clean`: the '
  'classifier on single digits; `fit`: losses of what was fitted',
  'case': 'classes of a blend, per cent of an occluder; `all` together',
  'method': '`v0`, `v1`, `v2`: the three models; `no_...`: V2 without a part; '
  '`passes_N`: V2 with so many passes; `v2_together`: both hypotheses explain '
  'each other away; baselines; `input`, `truth`: nothing is done',
}
TABLES = (
  Table(
    name=QUERIES,
    meaning='a measure of one way to answer a query, over all its images',
    columns=CASES
    | {
      'measure': '`iou_own`, `iou_other`, `iou_margin`: of masks; `level`: '
      'their threshold; `mse`: of pixels against the digit alone, behind an '
      'occluder of the hidden ones; `as_clamp`: share re-classified as the '
      'clamp; `accuracy`: of the classifier on the result; `class_accuracy`: '
      'of the inferred class; `..._right`: detections; `loss`: nats a unit, '
      'of the autoencoder squared error',
      'value': 'of the measure',
      'n': 'images',
    },
    text=('query', 'case', 'method', 'measure'),
  ),
  Table(
    name=HASHES,
    meaning="SHA-256 of the classifier's parameters",
    columns={
      'moment': '`trained`: before anything else was fitted; `used`: after all '
      'fits and queries; `stored`: read back from the run',
      'digest': '64 hexadecimal digits',
    },
    text=('moment', 'digest'),
  ),
  Table(
    name='activation_pictures',
    meaning='a picture of one example',
    columns=CASES
    | {
      'example': 'its number',
      'side': 'pixels along an edge',
      'pixels': 'two hexadecimal digits a pixel, 00 paper and ff ink',
    },
    text=('query', 'case', 'method', 'pixels'),
    compressed=True,
  ),
)

THEME = Theme(
  title='A generative model of activations',
  claims=(
    ClaimSpec(
      61,
      'Overlap query',
      'Clamping each class of two overlapped digits gives the mask of that '
      'digit.',
      f'{WANG}, abstract',
      'V2, each class clamped alone: mean IoU own - other > 0.2, and above '
      'that of each of six baselines, paired (every method with the threshold '
      'that is best on overlaps of training digits)',
      overlap,
      tables=(QUERIES,),
      figure='overlapping_digits',
      min_seeds=8,
    ),
    ClaimSpec(
      62,
      'Ambiguity query',
      'Clamping a class turns an ambiguous image into that class.',
      f'{WANG}, abstract',
      'V2 on blends of 4/9, 3/8, 1/7: re-classified as the clamp in > 90 %; '
      'the autoencoder, which has no top-down signal, in < 60 %',
      ambiguity,
      tables=(QUERIES,),
      figure='blended_digits',
      min_seeds=8,
    ),
    ClaimSpec(
      63,
      'Occlusion query',
      'Hidden pixels and class are recovered behind an occluder of 20 to 50 %.',
      f'{WANG}, abstract',
      'V2 at 20, 35 and 50 %: mean squared error of hidden pixels below that '
      'of the mean image of the class the classifier sees and of the '
      'autoencoder; accuracy on recovered images above that on occluded ones',
      occlusion,
      tables=(QUERIES,),
      figure='occluded_digits',
      min_seeds=8,
    ),
    ClaimSpec(
      64,
      'Both directions are needed',
      'Without bottom-up or without top-down evidence the three queries get '
      'worse.',
      f'{WANG}, abstract',
      'V2 without each: IoU own - other lower; error of blends against the '
      'clamped digit, and of hidden pixels (mean of the occluders), higher',
      both_directions,
      tables=(QUERIES,),
      figure='activation_measures',
      min_seeds=8,
    ),
    ClaimSpec(
      65,
      'The classifier is untouched',
      'The backward pass leaves the weights of the classifier as they were.',
      f'{WANG}, abstract',
      'equal SHA-256 when trained, after all fits and queries, and as stored',
      untouched,
      tables=(HASHES,),
      evidence='identity',
    ),
  ),
  tables=TABLES,
  drawings=(
    overlapping_digits,
    blended_digits,
    occluded_digits,
    activation_measures,
  ),
  roles={'activations': 'a CNN, models of its activations, and their queries'},
  opening='Of Wang et al. 2016 (arXiv 1611.02767) only the abstract and the '
  'first paragraph could be read: a hierarchical generative model of the '
  'activations of a CNN, inference in it as a backward pass that fuses '
  'top-down with bottom-up information, and three queries; its factors, its '
  'learning and every number here are a reconstruction.',
)
