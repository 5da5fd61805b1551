"""Claims 10 and 25: PM scores and Elo (Bai et al., 2.4, B.5, Fig. 35)."""

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme

THEME = Theme(
  title='Samples and Elo',
  claims=(
    ClaimSpec(
      10,
      'PM scores predict Elo',
      'Elo fitted to gold-judged games grows by 174 a unit of PM score, or by '
      'less.',
      f'{BAI}, section 2.4, App. B.5',
      'slope over >= 4 snapshots in [0.6, 1.2] x 174, never significantly '
      'above 174',
    ),
    ClaimSpec(
      25,
      'Where the Elo gap comes from',
      'Naive PM Elo is above the PM mean on real dialogues, which is above '
      'gold Elo; Elo from PM choices is near the middle one.',
      f'{BAI}, Fig. 35',
      'both differences > 0; multi-turn interaction only',
    ),
  ),
)
