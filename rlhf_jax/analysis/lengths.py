"""How much of a gain in score goes with the length of replies, and their form.

Replies of pi_0 and of a policy to the same prompts: what is gained where both
are about as long, and what pi_0 itself would score with replies as long as
those of the policy. Stiennon et al. 2020 and Singhal et al. 2023 find much of
what RLHF gains to be length.
"""

import dataclasses
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.length_rules import MATCHED

BINS = 6  # of words, of equal numbers of pi_0's replies


@dataclasses.dataclass(frozen=True)
class LengthGain:
  """What a policy gains over pi_0, and its length.

  Attributes:
    gain: mean score less that of pi_0 on the same prompts.
    matched: the same where the two replies differ by a tenth in words at most.
    n_matched: prompts behind that.
    by_length: mean score that pi_0 would gain with as many words as the policy
      has, its replies of every length weighed anew.
    words: mean words less those of pi_0.
    refused: share of replies that decline less that of pi_0, in points of 1.
    repeats: share of repeated word pairs less that of pi_0.
  """

  gain: float
  matched: float
  n_matched: int
  by_length: float
  words: float
  refused: float
  repeats: float

  @property
  def share(self) -> float:
    """Share of the gain that length explains."""
    return self.by_length / self.gain if self.gain else math.nan


def reweighed(score_N, words_N, words_M, bins=BINS) -> float:
  """Mean score of pi_0 had its replies the lengths of a policy's, less its own.

    sum_k q[k] mean(score in bin k) - mean(score)

  with q[k] the policy's share of replies in bin k of words. Lengths that pi_0
  never writes count as its nearest bin, so that what lies beyond is left to
  whatever is not length.

  Args:
    score_N: of replies of pi_0.
    words_N: their words.
    words_M: of the policy's replies.
    bins: at most so many, of about equal numbers of pi_0's replies.
  """
  score_N = np.asarray(score_N, float)
  inner = np.quantile(words_N, np.linspace(0, 1, bins + 1)[1:-1])
  edges = np.unique(inner)
  own_N = np.searchsorted(edges, words_N, side='right')
  theirs_M = np.searchsorted(edges, words_M, side='right')
  known = np.unique(own_N)
  nearest_M = known[np.abs(known[:, None] - theirs_M).argmin(0)]
  mean = {k: score_N[own_N == k].mean() for k in known}
  return float(np.mean([mean[k] for k in nearest_M]) - score_N.mean())


def length_gain(before: pd.DataFrame, after: pd.DataFrame, score) -> LengthGain:
  """The LengthGain of one policy; `by_length` within each kind of prompt.

  Args:
    before: rows of game_replies of pi_0, of one run.
    after: those of the policy, on the same prompts.
    score: column: train_pm, test_pm or gold.
  """
  after = after.set_index('prompt').loc[before['prompt']].reset_index()
  gain_N = after[score].to_numpy() - before[score].to_numpy()
  words_N2 = np.stack([before['words'], after['words']], 1).astype(float)
  near_N = np.abs(np.diff(words_N2)[:, 0]) <= MATCHED * words_N2.max(1)
  kind_N = before['kind'].to_numpy()
  parts = [
    (kind_N == kind).mean()
    * reweighed(
      before[score].to_numpy()[kind_N == kind], *words_N2[kind_N == kind].T
    )
    for kind in np.unique(kind_N)
  ]
  step = lambda name: float(after[name].mean() - before[name].mean())
  return LengthGain(
    gain=float(gain_N.mean()),
    matched=float(gain_N[near_N].mean()) if near_N.any() else math.nan,
    n_matched=int(near_N.sum()),
    by_length=float(sum(parts)),
    words=step('words'),
    refused=step('refused'),
    repeats=step('repeats'),
  )


def by_snapshot(replies: pd.DataFrame, score) -> pd.DataFrame:
  """A LengthGain for each run and snapshot: run columns, iteration, fields.

  Args:
    replies: rows of game_replies.
    score: column.
  """
  rows = []
  for (seed, size), own in replies.groupby(['seed', 'size']):
    before = own[own['player'] == 'pi_0']
    for player, after in own.groupby('player', sort=False):
      found = length_gain(before, after, score)
      row = {'seed': seed, 'size': size, 'n_params': own['n_params'].iloc[0]}
      row['iteration'] = int(player.partition('@')[2] or 0)
      rows.append(row | dataclasses.asdict(found) | {'share': found.share})
  return pd.DataFrame(rows)
