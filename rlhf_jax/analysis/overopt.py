"""Over-optimisation: gold turns while the train PM keeps rising.

Source: Bai et al. 2022, Figs. 15 and 35; Stiennon et al. 2020, Fig. 5.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import elo, fits

MIDDLE = (0.4, 0.6)
QUARTER = 0.25
FLAT = 0.25


def turn(run: pd.DataFrame, s0: float) -> dict[str, float]:
  """Whether gold rises and then flattens in one run, and the two Elos.

  With slope_e and slope_l the slopes of gold on samples in the first and in
  the last quarter of the samples:

    gold_middle_gain: mean gold over 40-60 % of the samples - gold of pi_0;
    gold_flattening: (slope_l - 0.25 slope_e) * samples: below 0 when the late
      slope is less than a quarter of the early one;
    train_late_rise: slope of the train PM in the last quarter times its
      length: above 0 when it still rises;
    elo_excess: naive Elo (173.72 per unit of train-PM gain) - gold Elo (from
      the last win rate against pi_0);
    pm_elo_excess: PM Elo (from the last win rate against pi_0 that the train
      PM predicts) - gold Elo. Naive Elo is a mean of log-odds and gold Elo the
      log-odds of a mean, so by Jensen `elo_excess` may exceed 0 for a perfect
      PM as well; `pm_elo_excess` is then 0.

  Args:
    run: the rows of one run of `rl_curve.csv`.
    s0: the train PM's score of pi_0.
  """
  run = run.sort_values('samples')
  end = run['samples'].max()
  done_N = run['samples'] / end
  first, last = run[done_N <= QUARTER], run[done_N >= 1 - QUARTER]
  early, late = _slope(first, 'gold'), _slope(last, 'gold')
  final = run.iloc[-1]
  middle = run[done_N.between(*MIDDLE)]
  naive = float(elo.naive_elo(final['train_pm'] - s0))
  gold = float(elo.elo_from_win_rate(final['win_rate']))
  pm = float(elo.elo_from_win_rate(final['pm_win_rate']))
  return {
    'gold_middle_gain': float(middle['gold'].mean() - run['gold'].iloc[0]),
    'gold_flattening': (late - FLAT * early) * end,
    'train_late_rise': _slope(last, 'train_pm') * end * QUARTER,
    'elo_excess': naive - gold,
    'naive_elo': naive,
    'gold_elo': gold,
    'pm_elo': pm,
    'pm_elo_excess': pm - gold,
    'gold_peak_gain': float(run['gold'].max() - run['gold'].iloc[0]),
    'gold_final_gain': float(final['gold'] - run['gold'].iloc[0]),
    'sqrt_kl_at_peak': float(
      np.sqrt(max(run.loc[run['gold'].idxmax(), 'kl'], 0.0))
    ),
  }


def _slope(rows, column):
  if len(rows) < 3:
    return math.nan
  return float(fits.line(rows['samples'], rows[column]).coefficient_K[1])
