"""Writes docs/claims.md: every claim, its source and what a pass needs.

python -m scripts.make_claims_doc
"""

import pathlib

from rlhf_jax.analysis.claims.judging import EDITION
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.claims.spec import OURS
from rlhf_jax.analysis.claims_io import legend_lines

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'claims.md'
HEADER = """\
# Claims

{total} claims: {papers} that the papers make and a program can check, and
{ours} of our own (66 and up). A threshold was set before the runs that confirm
it; every bound is compared with a 95 % interval over seeds. {measured} have an
evaluator, the rest are "not run".
Written by `python -m scripts.make_claims_doc` from the themes in
`rlhf_jax/analysis/claims/`: edit those, not this page.

In a table of claims, as in the README and in a report:

"""
RULES = """\
## How a claim is judged (edition {edition} of the rules)

Every claims.json names the edition that judged it. The first one judged the
seeds 110 to 124; its verdicts are kept in [ledger.md](ledger.md). What changed
in the second, and why:

- **Noise never helps.** "Equal" and "not worse" are equivalence tests: the
  interval lies inside a margin stated beforehand. Gone are a pass for an
  exponent's interval that merely contains 0.5 (14), for an interaction that is
  not significant (16), and for a gap of fewer than 2 s.e. (19).
- **Intervals keep to the range of their statistic** (`analysis/bounded.py`). A
  t-interval of a rank correlation reached 1.06, of R2 above 1, of a coefficient
  of variation below 0, of a share 1.37, and such ends decided verdicts. Ranks
  became shares of seeds with an exact interval (2, 6, 20), R2 goes through
  Fisher's z (1, 3), accuracies through log-odds (37), spreads and errors
  through logarithms (16, 18).
- **Seeds.** Eight for a claim on RL, six for a share of seeds, five for the
  rest; with fewer the verdict is inconclusive and the note says so. Were reward
  exactly linear, three seeds would have passed claim 13 in 1 to 3 % of studies.
- **One yardstick for a straight line** (13, 15, 33). Windows span some 2,000
  times in KL, where KL^.4 has a bow of 6 to 7 %: a bound of 3 % asked for an
  exponent in about [.45, .55] while claim 14 allows [.4, .6]. The bow is now
  counted in units of those of KL^.4 and KL^.6 at the same points. R2 is shown
  and not judged: noise-free KL^.3 has .98.
- **Agreement where it can be seen** (19, 20). Claim 19's window lay inside the
  warm-up of the learning rate and next to pi_0, where the gap is 0 by
  construction. It is now 10 to 20 % of the samples, with a margin of 5 % of the
  gain; claim 20 starts where it ends, and no longer where a search finds the
  first large gap.
- **A bound that holds for any scores** (17). sqrt(2 V KL) bounds Gaussian
  rewards only: best of 76 of exponential ones gains 3.91 at KL 3.34, where it
  is 2.59. Judged is the bound of Donsker and Varadhan
  (`analysis/gain_bound.py`), where enough replies of pi_0 carry it; sqrt(2 V)
  stands beside it.
- **The same gate everywhere.** Where the PMs behind a policy are not above
  chance, its claims are inconclusive, in every preset.
- **Which way a PM is off** (4, 5): the note says calibrated, under- or
  over-confident, with the refit t.
- **Real pairs have no seeds.** Where heads are cross-fitted over all pairs
  there are (`cross_pairs.csv`), claims 1, 4, 6, 7, 37 and 38 are judged on
  intervals over conversations ([real-pairs.md](real-pairs.md)); the bounds are
  the same. No other seed can choose a mixture for 38: it is that of equal
  shares.
- **Known power.** [operating.md](operating.md) says how often each claim passes
  where one of its contrasts lies on its bound (5 % of studies at most), and
  where it is true at a stated effect (80 % is wanted), with the noise of real
  runs.
- **What pi_0 allows** (66, 67). The frontier, the most that any policy gains at
  a KL, bends in some worlds before any RL (`analysis/frontier.py`). Whether PPO
  bends as it does, and has one share of it at all sizes, is claimed here and in
  no paper.
- **Labels of the null study are sampled**, as everywhere else: rates of pairs
  are dealt out to other pairs and turned round by a coin, so that expected
  accuracy can fail. It was one half identically before. With the gate on claims
  on RL or without it, nothing passes there.
- **Thresholds without an evaluator yet** (8, 33, 35, 43, 47, 51, 52, 58) were
  restated as differences with a margin.
"""


def names(values):
  """Names as code, joined by commas."""
  return ', '.join(f'`{value}`' for value in values)


def entry(spec, theme):
  """The section of one claim."""
  lines = [
    f'\n## {spec.id}. {spec.title}\n',
    f'{spec.statement}\n',
    f'- Source: {spec.source}',
    f'- Threshold: {spec.threshold}',
  ]
  if spec.evaluator is None:
    lines.append(f'- Theme: `{theme}`; no evaluator yet ({spec.evidence})')
  else:
    function = f'{theme}.{spec.evaluator.__name__}'
    read = f'reads {names(spec.tables)}'
    lines.append(f'- Evaluator: `{function}` ({spec.evidence}), {read}')
    lines.append(f'- Seeds: {spec.min_seeds} or more')
  if spec.crossed:
    lines.append(
      f'- On real data, over conversations: {spec.crossed.threshold}'
    )
  if spec.figure:
    lines.append(f'- Figure: `{spec.figure}`')
  return '\n'.join(lines)


def generate(registry=None):
  """The text of docs/claims.md; of another registry than that of the house."""
  registry = registry or load()
  header = HEADER.format(
    total=len(registry.claims),
    papers=sum(spec.source != OURS for spec in registry.claims),
    ours=sum(spec.source == OURS for spec in registry.claims),
    measured=sum(spec.evaluator is not None for spec in registry.claims),
  )
  rules = RULES.format(edition=EDITION).rstrip()
  entries = [entry(s, registry.theme_of[s.id]) for s in registry.claims]
  parts = [header.rstrip(), '', *legend_lines(), '', rules, *entries]
  return '\n'.join(parts) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
