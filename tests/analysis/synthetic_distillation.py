"""Tables of context distillation whose claims are known."""

from rlhf_jax.analysis.operating import distillation


def make_tables(rng, seeds, truth):
  """Those of the stated effects; or of claims that are clearly false."""
  effect = lambda make, where='effect': make(rng, seeds, where)
  tables = effect(distillation.distillation_works)
  tables |= effect(distillation.distilled_like_prompted)
  tables |= effect(distillation.elo_by_size)
  tables |= effect(distillation.buckets_bound, 'effect' if truth else 'wrong')
  if not truth:
    after = tables['distillation']['tokens'] > 0
    tables['distillation'].loc[after, 'kl'] = 0.9
    distilled = tables['prompted']['reading'] == 'distilled'
    tables['prompted'].loc[distilled, 'accuracy'] -= 0.1
    tables['games']['win_rate'] = 1 - tables['games']['win_rate']
  return tables


def learn_nothing(tables, rng):
  """Students stay as they were, the prompt moves nothing, models are alike."""
  noise = lambda frame: 0.01 * rng.standard_normal(len(frame))
  tables['distillation']['kl'] = 1 + noise(tables['distillation'])
  tables['prompted']['accuracy'] = 0.5 + noise(tables['prompted'])
  games = tables['games']
  games['win_rate'] = 0.5 + noise(games)
  del tables['buckets']  # an identity, true of any models
