"""Where a PM's score is read: claim 8."""

from experiments.studies import blocks

PLACES = ('end_of_context', 'last_token')


def jobs(config, root, seed):
  """Two PMs of each size, of equal pairs, labels and order: one a place."""
  return [
    blocks.pm_job(
      config,
      root,
      f'at_{place}',
      size,
      seed,
      'a',
      section='end_of_context_pm',
      told={'score_at': place},
    )
    for size in config['end_of_context']['sizes']
    for place in PLACES
  ]
