"""Measures of what a model writes: sentiment by group, toxicity.

Each is (Tools, Options) -> (items, rows); see `bias_rows`.
"""

from pathlib import Path

import numpy as np

from experiments.shared.bias_rows import evenly, rng_of, row
from rlhf_jax.analysis import bias, toxicity
from rlhf_jax.data import bias_terms
from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.text.answer_rows import AskedFor, dialogue_of
from rlhf_jax.text.dialogue import parse_dialogue

SAFETY = 'safety_prompts/prompts.jsonl.gz'
RED_TEAM = 'hh_harmless_base_test/pairs.jsonl.gz'


def measure_sentiment(tools, options):
  """(items, rows) of the sentiment of sentences about groups."""
  begun = bias_terms.sentiment_prompts(options.plain)
  begun = evenly(begun, lambda x: (x.axis, x.group), options.limit)
  texts = tools.write([x.asked for x in begun])
  items = []
  for one, said in zip(begun, texts, strict=True):
    for k, (text, score) in enumerate(
      zip(said, tools.sentiment(said), strict=True)
    ):
      items.append(
        {
          'item': f'{one.beginning.format(group=one.group)}/{k}',
          'axis': one.axis,
          'group': one.group,
          'beginning': one.beginning,
          'score': score,
          'text': text,
        }
      )
  return items, sentiment_rows(items, tools.sentiment, options)


def sentiment_rows(items, scorer, options):
  """Rows of sentiment: each group, and the spread of an axis's groups."""
  protocol = (
    f'after Bai et al. 2022, 4.6.2, {options.template}; what the model wrote '
    f'by {scorer.name} ({scorer.does}); 95 % bootstrap over beginnings'
  )
  column = lambda name: np.array([item[name] for item in items])
  axis_N, group_N, score_N = column('axis'), column('group'), column('score')
  beginning_N, rows = column('beginning'), []
  for axis in dict.fromkeys(axis_N):
    groups, means = list(dict.fromkeys(group_N[axis_N == axis])), []
    for group in groups:
      inside = (axis_N == axis) & (group_N == group)
      found = bias.clustered(
        np.stack([np.ones(inside.sum()), score_N[inside]], 1),
        beginning_N[inside],
        bias.mean,
        rng_of(),
        options.draws,
      )
      rows.append(
        row('mean sentiment', found, protocol, '', f'{axis}: {group}')
      )
      means.append(
        [
          score_N[inside & (beginning_N == name)].mean()
          for name in dict.fromkeys(beginning_N[inside])
        ]
      )
    if len({len(x) for x in means}) == 1:
      found = bias.spread_of_groups(means, rng_of(), options.draws)
      name = 'spread of the groups (sd of means)'
      rows.append(row(name, found, protocol, '', str(axis)))
  return rows


def toxicity_prompts(data):
  """[(family, prompt)]: safety_prompts, and what red-teamers said first."""
  wanted = 'a prompt with its source and label'
  found = read_rows(
    Path(data) / SAFETY,
    wanted,
    lambda x: (f'{x["source"]}, {x["label"]}', x['prompt'].strip()),
  )
  said = read_rows(
    Path(data) / RED_TEAM,
    'a pair of transcripts',
    lambda x: parse_dialogue(x['chosen'])[0].text.strip(),
  )
  found += [('red team, first turn', text) for text in dict.fromkeys(said)]
  return [(family, text) for family, text in found if text]


def measure_toxicity(tools, options):
  """(items, rows) of the worst of several continuations."""
  found = toxicity_prompts(options.data)
  found = evenly(found, lambda x: x[0], options.limit)
  made = (lambda x: AskedFor(x, '', ())) if options.plain else _said
  texts = tools.write([made(text) for _, text in found])
  items = []
  for (family, prompt), said in zip(found, texts, strict=True):
    scores = {scorer.name: scorer(said) for scorer in tools.harm}
    for k, text in enumerate(said):
      items.append(
        {'family': family, 'prompt': prompt, 'reply': k, 'text': text}
        | {name: scores[name][k] for name in scores}
      )
  return items, toxicity_rows(items, tools.harm, options)


def _said(text):
  return AskedFor(dialogue_of(text), '', ())


def toxicity_rows(items, scorers, options):
  """Rows of each scorer: all prompts, and each family."""
  replies = max(item['reply'] for item in items) + 1
  family_N = np.array([item['family'] for item in items[::replies]])
  rows, at = [], options.threshold
  for scorer in scorers:
    score_NK = np.array([item[scorer.name] for item in items])
    score_NK = score_NK.reshape(-1, replies)
    protocol = (
      f'after Gehman et al. 2020, {options.template}, {replies} continuations, '
      f'threshold {at}; {scorer.name}: {scorer.does}; 95 % over prompts'
    )
    for group in ('all', *dict.fromkeys(family_N)):
      inside = (family_N == group) | (group == 'all')
      own = score_NK[inside]
      more = (rng_of(), options.draws)
      for name, found in (
        ('expected maximum', toxicity.expected_maximum(own, *more)),
        ('probability', toxicity.probability(own, at)),
        ('share of continuations', toxicity.share(own, *more, at)),
      ):
        rows.append(row(name, found, protocol, scorer.name, str(group)))
  return rows
