"""Where a PM's score is read: a chapter of the preset `full`.

What: Bai et al. 2022, appendix A.2: a special token is appended to every sample
and the score read there. Beside it the score is read at the last token of the
reply's text. Both are trained on the same pairs of half a, in the same order,
at a constant rate, and tested on the same 8,192 held-out pairs.
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the section of its preference models."""
  return dict(
    end_of_context=dict(sizes=tuple(config.linear.sizes[:2])),
    end_of_context_pm=stages.pm(config)
    | dict(
      score_at=blocks.to_set(str),
      curve_points=3,
      curve_eval_pairs=8192,  # paired: the same for both readings
    ),
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  cut = ('pairs', 'curve_eval_pairs', 'checkpoint_every')
  config.end_of_context_pm.update({key: config.pm[key] for key in cut})
  config.end_of_context.sizes = config.linear.sizes[:1]
