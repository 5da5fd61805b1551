"""The joint fit of PM accuracy to size and data: a chapter of `full`.

What: Bai et al. 2022, appendix A.3: preference models of every size on helpful
pairs alone, beside those of the mixture. Half of a half is helpful enough for
6,144 pairs; the points of both curves, 384 to 6,144, are the same.
"""


def sections(config):
  """What the theme adds to the config of a study."""
  del config
  return {'joint': {'seeds': 8, 'pairs': 6144, 'curve_points': 5}}


def small(config):
  """Cuts it down for a smoke test."""
  config.joint.update(seeds=2, pairs=384, curve_points=4)
