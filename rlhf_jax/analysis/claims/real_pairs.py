"""Cross-fitted heads on real pairs: tables, a figure and a check.

They are judged by the claims of other themes (1, 4, 6, 7, 37), whose numbers
those of the papers are (`analysis/crossed.py`).
"""

from rlhf_jax.analysis import intervals, length_rules
from rlhf_jax.analysis.claims.calibration import HIGH, LOW
from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.real_pairs import (
  accuracy_by_turn,
  real_accuracy_vs_pairs,
)
from rlhf_jax.analysis.findings import NotHereError

OWN = {'helpful': 'helpful', 'harmless': 'harmless', 'conditional': 'mix'}


def over_length_rules(tables) -> dict:
  """Each head less the better length rule of its kind, pair by pair.

  Of both kinds together, the rule knows the kind.
  """
  if 'cross_pairs' not in tables:
    raise NotHereError('no cross-fitted heads')
  found = length_rules.rows(tables['cross_pairs'])
  own = {r['model']: r for r in found if OWN.get(r['model']) == r['subset']}
  if not own:
    raise NotHereError('no heads of all pairs of a kind')
  contrasts = [
    intervals.Contrast(
      f'{model}_over_rule',
      intervals.Interval(
        row['over_rule'],
        row['over_rule_low'],
        row['over_rule_high'],
        row['n_eval'],
      ),
      0.0,
      '>',
    )
    for model, row in own.items()
  ]
  decides = intervals.deciding(contrasts)
  names = ('accuracy', 'rule', 'over_rule', 'over_rule_low', 'over_rule_high')
  return {
    'measured': {
      f'{model}_{name}': row[name]
      for model, row in own.items()
      for name in names
    },
    'ci': [decides.interval.low, decides.interval.high],
    'seeds': 1,
    'threshold': 'head - better length rule > 0 for each kind and for both, '
    'paired, over conversations',
    'verdict': intervals.verdict(contrasts),
    'note': f'{decides.name} decides',
  }


CROSS_PAIRS = Table(
  name='cross_pairs',
  meaning='a real pair, scored by heads that were fitted on other '
  'conversations',
  columns={
    'model': 'what the heads were fitted on: `helpful`, `harmless`, `mix`; '
    '`conditional`: both, with a condition on the prompt; `25/75`: so many '
    'helpful to harmless pairs',
    'pairs': 'training pairs of each of them',
    'pair_id': 'of the pair',
    'prompt_id': 'of its conversation',
    'subset': 'kind of the pair: `helpful` or `harmless`',
    'turn': 'exchange of the dialogue that is compared; 1 is the first',
    'score_chosen': 'score of the preferred reply (log-odds), mean over draws '
    'of the folds',
    'score_rejected': 'of the other one',
    'right': 'share of the draws in which the preferred reply scores higher',
    'words_chosen': 'words of the preferred reply',
    'words_rejected': 'words of the other one',
  },
  text=('model', 'subset', 'pair_id', 'prompt_id'),
  compressed=True,
)

CROSS_FITS = Table(
  name='cross_fits',
  meaning='a head that was fitted',
  columns={
    'model': 'as in cross_pairs',
    'pairs': 'that it was fitted on',
    'draw': 'of the folds',
    'fold': 'that it scored',
    'blocks': 'what it reads: way to pool and layer',
    'l2': 'penalty on weights of features with standard deviation 1',
    'inner_loss': 'held-out loss inside its training pairs, by which blocks '
    'and penalty were chosen; of a coin .693 (nats a pair)',
    'gate_accuracy': 'of P(red-team | prompt), likewise; NaN without',
    'accuracy': 'on the pairs that it scored, of both kinds if it was fitted '
    'on all there are',
  },
  text=('model', 'blocks'),
)

CROSS_FLOORS = Table(
  name='cross_floors',
  meaning='heads of all training pairs on a kind of pair, beside length rules',
  columns={
    'model': 'as in cross_pairs',
    'pairs': 'training pairs of each head',
    'subset': 'kind of pair: `helpful`, `harmless`, or `mix` for both',
    'n_eval': 'pairs of the test',
    'n_matched': 'those whose replies differ by a tenth of their words at most',
    'accuracy': 'of the head, scores averaged over draws',
    'accuracy_low': LOW,
    'accuracy_high': HIGH,
    'rule': 'accuracy of the better of "the longer reply wins" and "the '
    'shorter reply wins", for each kind',
    'rule_low': LOW,
    'rule_high': HIGH,
    'over_rule': 'the head less the rule, pair by pair',
    'over_rule_low': LOW,
    'over_rule_high': HIGH,
    'matched': 'accuracy of the head on the pairs of `n_matched`',
    'matched_low': LOW,
    'matched_high': HIGH,
    'balanced': 'mean of its accuracies where the longer and where the shorter '
    'reply is preferred: of any rule on length alone .5',
    'balanced_low': LOW,
    'balanced_high': HIGH,
  },
  text=('model', 'subset'),
  heading='Accuracy on real pairs, and what length alone gives',
)

THEME = Theme(
  title='Linear preference models of real pairs',
  tables=(CROSS_PAIRS, CROSS_FITS, CROSS_FLOORS),
  drawings=(real_accuracy_vs_pairs, accuracy_by_turn),
  checks=(over_length_rules,),
  roles={
    'cross': 'linear heads over a frozen base, each pair scored by those of '
    'other conversations',
  },
)
