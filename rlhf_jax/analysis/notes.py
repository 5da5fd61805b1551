"""Sentences on a preset, said before it starts and on its page.

Imports nothing: a script prints its note before it loads anything.
"""

NOTES = {
  'smoke': (
    'Smoke is plumbing only (everything once, tiny models, two seeds): no '
    'verdict is possible, whatever its table says.'
  ),
  'null': (
    'Coin-flip labels and hashed rewards: no claim of an effect may pass.'
  ),
  'hh': (
    'Real pairs with models of this size: accuracy on mixed pairs stays at '
    'chance (.51), and most verdicts are inconclusive.'
  ),
  'smollm2': (
    'Real pairs, linear heads on 135M weights, each pair scored by heads of '
    'other conversations: intervals are over conversations, not over seeds.'
  ),
  'smollm2_full': (
    'Real pairs, adapters on 135M weights, one seed: accuracy on mixed pairs '
    'is at chance (.50), and every verdict is inconclusive.'
  ),
  'smollm2_recipes': (
    'Real pairs, linear heads on 135M frozen weights: nothing below a head is '
    'trained, and intervals are over conversations, not over seeds.'
  ),
  'smollm2_rl': (
    'PPO of a real model against a linear head on helpful pairs, three seeds: '
    'claims on RL want eight, so every verdict is inconclusive.'
  ),
  'smollm2_policies': (
    'Policies of a real model, one seed or two of each: tables and figures, '
    'and no claim is decided.'
  ),
  'gpu': 'Larger rungs, not measured yet: expect hours on one GPU.',
}
