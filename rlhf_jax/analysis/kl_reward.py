"""Reward against sqrt(KL): the early window and what is fitted in it.

Source: Bai et al. 2022, section 4.3. KL is the exact per-prefix sum, in nats
per reply.
"""

import dataclasses
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits

WINDOW_SQRT_KL = 3.5
WINDOW_ERRORS = 3.0
WINDOW_SPAN = 10.0
WINDOW_POINTS = 8
FORECAST_SQRT_KL = (1.25, 2.5)
SCORES = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}


@dataclasses.dataclass(frozen=True)
class WindowFit:
  """What one run says in its early window; NaN where the window is too short.

  Attributes:
    s0: the measured score of pi_0.
    slope: of the score on sqrt(KL) through (0, s0).
    r2: of that line.
    bow: signed, as `fits.quadratic_bow`.
    bow_units: the same as `fits.bow_in_units`, which is judged.
    p: the exponent of (score - s0) = a KL^p.
    aic: {'sqrt', 'kl', 'log'}; the first two go through (0, s0), the last has
      an intercept, since log KL has no value at pi_0.
    n_points: in the window.
    span: largest over smallest KL of the window.
  """

  s0: float
  slope: float
  r2: float
  bow: float
  bow_units: float
  p: float
  aic: dict[str, float]
  n_points: int
  span: float

  @property
  def usable(self) -> bool:
    """Whether the window was long enough for anything to be fitted."""
    return not math.isnan(self.slope)

  @property
  def best(self) -> str:
    """The regressor with the lowest AIC."""
    return min(self.aic, key=self.aic.get) if self.aic else 'none'


def early_window(run: pd.DataFrame) -> pd.DataFrame:
  """The checkpoints of the early phase of one run.

  From the first one with KL > 3 standard errors to the last one before
  sqrt(KL) first exceeds 3.5. Checkpoints between with KL <= 3 s.e. are left
  out too.
  """
  run = run.sort_values('samples')
  clear_N = (run['kl'] > WINDOW_ERRORS * run['kl_se']) & (run['kl'] > 0)
  late_N = (run['kl'] > WINDOW_SQRT_KL**2).cummax()
  return run[clear_N & ~late_N]


def fit_window(run: pd.DataFrame, scorer: str, s0: float) -> WindowFit:
  """Fits the score of `scorer` ('train_pm', 'test_pm') in the early window.

  The window must hold at least 8 points and span a factor of 10 in KL.
  """
  window = early_window(run)
  n = len(window)
  span = float(window['kl'].max() / window['kl'].min()) if n else 0.0
  nan = math.nan
  if n < WINDOW_POINTS or span < WINDOW_SPAN:
    return WindowFit(s0, nan, nan, nan, nan, nan, {}, n, span)
  kl_N = window['kl'].to_numpy()
  score_N = window[scorer].to_numpy()
  root_N = np.sqrt(kl_N)
  root = fits.line_from(s0, root_N, score_N)
  aic = {
    'sqrt': root.aic,
    'kl': fits.line_from(s0, kl_N, score_N).aic,
    'log': fits.line(np.log(kl_N), score_N).aic,
  }
  return WindowFit(
    s0=s0,
    slope=float(root.coefficient_K[0]),
    r2=root.r2,
    bow=fits.quadratic_bow(root_N, score_N - s0),
    bow_units=fits.bow_in_units(root_N, score_N - s0),
    p=fits.power_exponent(kl_N, score_N - s0),
    aic=aic,
    n_points=n,
    span=span,
  )


def pi0_score(pi0: pd.DataFrame, run_id: str, scorer: str) -> float:
  """The mean score of pi_0 in `rl_pi0.csv`; NaN when it was not measured."""
  return _pi0_value(pi0, run_id, scorer, 'mean')


def within_variance(pi0: pd.DataFrame, run_id: str, scorer: str) -> float:
  """V = E_x[Var_{y ~ pi_0(.|x)} r(x, y)], in squared score units."""
  return _pi0_value(pi0, run_id, scorer, 'within_variance')


def _pi0_value(pi0, run_id, scorer, column):
  rows = pi0[(pi0['run_id'] == run_id) & (pi0['scorer'] == scorer)]
  return float(rows[column].mean()) if len(rows) else math.nan


def gains(run: pd.DataFrame, pi0: pd.DataFrame) -> pd.DataFrame:
  """What the checkpoints of one run say, with 95 % intervals over prompts.

    gain      score - pi_0's score, mean over prompts, +- 1.96 s.e. of that
    sqrt_kl   sqrt(KL) +- 1.96 s.e.(KL) / (2 sqrt(KL)), the delta method

  At pi_0 itself KL is 0 exactly. Nothing is said of what another seed gives.

  Args:
    run: its rows of rl_curve.csv, whose standard errors of scores are those of
      the differences to pi_0 on the same prompt.
    pi0: its rows of rl_pi0.csv.

  Returns:
    iteration, samples, entropy; kl, sqrt_kl, train_gain, test_gain, gold_gain,
    each with _low and _high, where they were measured.
  """
  run = run.sort_values('iteration', ignore_index=True)
  s0 = pi0.groupby('scorer')['mean'].mean()
  root_N = np.sqrt(run['kl'].clip(lower=0))
  root_se_N = run['kl_se'] / (2 * root_N.where(root_N > 0, math.inf))
  found = {'kl': (run['kl'], run['kl_se']), 'sqrt_kl': (root_N, root_se_N)}
  for scorer, column in SCORES.items():
    gain_N = run[column].astype(float) - s0.get(scorer, math.nan)
    found[f'{scorer}_gain'] = gain_N, run[f'{column}_se'].astype(float)
  table = run[['iteration', 'samples', 'entropy']].copy()
  for name, (mean_N, se_N) in found.items():
    if mean_N.notna().any():
      table[name] = mean_N
      table[f'{name}_low'] = mean_N - 1.96 * se_N
      table[f'{name}_high'] = mean_N + 1.96 * se_N
  return table


def theory_slope(variance: float) -> float:
  """The steepest early slope, sqrt(2 V).

  Along pi_b ~ pi_0 exp(b r): gain = b V and KL = b^2 V / 2 to leading order,
  hence gain = sqrt(2 V KL).
  """
  return math.sqrt(2 * variance)


def slope_spread(slope_N) -> float:
  """The coefficient of variation of slopes: sd (n - 1) over |mean|."""
  slope_N = np.asarray(slope_N, float)
  return float(np.std(slope_N, ddof=1) / abs(np.mean(slope_N)))


def forecast_error(slope: float, s0: float, run: pd.DataFrame) -> float:
  """Relative error of s0 + slope sqrt(KL) as a forecast of another run.

    mean |forecast - score| / mean (score - s0)

  over the checkpoints with sqrt(KL) in [1.25, 2.5], where the gain is large
  against its noise and the small PMs are not saturated. NaN without any.
  """
  root_N = np.sqrt(run['kl'].clip(lower=0))
  matched = run[root_N.between(*FORECAST_SQRT_KL)]
  if matched.empty:
    return math.nan
  gain_N = matched['train_pm'] - s0
  forecast_N = slope * np.sqrt(matched['kl'])
  if gain_N.mean() <= 0:
    return math.nan
  return float((forecast_N - gain_N).abs().mean() / gain_N.mean())
