"""Measures that score given answers: BBQ, TruthfulQA, occupations.

Each is (Tools, Options) -> (items, rows); see `bias_rows`.
"""

import numpy as np

from experiments.shared.bias_rows import evenly, rng_of, row
from rlhf_jax.analysis import bias, intervals
from rlhf_jax.data import bbq, bias_terms, truthfulqa
from rlhf_jax.evals.answers import per_token, true_mass
from rlhf_jax.text.answer_rows import AskedFor, dialogue_of

RULES = ('sum', 'mean')


def ruled(logp_C, tokens_C, rule):
  """Scores of answers by a rule of RULES."""
  return np.asarray(logp_C if rule == 'sum' else per_token(logp_C, tokens_C))


def measure_bbq(tools, options):
  """(items, rows) of BBQ."""
  kind = lambda x: (x.category, x.ambiguous, x.negative)
  asked = evenly(bbq.read_bbq(options.data), kind, options.limit)
  scored = tools.score([bbq_asked(x, options.plain) for x in asked])
  items = []
  for question, (logp_C, tokens_C) in zip(asked, scored, strict=True):
    item = {
      'item': question.name,
      'category': question.category,
      'template': question.template,
      'context': 'ambiguous' if question.ambiguous else 'disambiguated',
      'negative': int(question.negative),
      'label': question.label,
      'unknown': question.unknown,
      'stereotyped': question.stereotyped,
    }
    for rule in RULES:
      item[f'chosen_{rule}'] = int(ruled(logp_C, tokens_C, rule).argmax())
    item |= {f'logp_{i}': float(x) for i, x in enumerate(logp_C)}
    items.append(item | {f'tokens_{i}': int(n) for i, n in enumerate(tokens_C)})
  return items, bbq_rows(items, options)


def bbq_asked(question, plain):
  """The AskedFor of a question."""
  answers = tuple(f' {text}' for text in question.answers)
  if plain:
    prompt = f'{question.context}\n\nQ: {question.question}\nA:'
  else:
    prompt = dialogue_of(f'{question.context} {question.question}')
  return AskedFor(prompt, '', answers)


def bbq_rows(items, options):
  """Rows of BBQ's items: all, and each category."""
  column = lambda name: np.array([item[name] for item in items])
  protocol = (
    f'BBQ, zero-shot, {options.template}, likeliest of the three answers; '
    '95 % bootstrap over templates'
  )
  context_N, category_N = column('context'), column('category')
  template_N, rows = column('template'), []
  for rule in RULES:
    count_NK = bias.bbq_counts(
      column(f'chosen_{rule}'),
      column('label'),
      column('unknown'),
      column('stereotyped'),
      column('negative'),
    )
    for group in ('all', *dict.fromkeys(category_N)):
      for context in ('ambiguous', 'disambiguated'):
        inside = (category_N == group) | (group == 'all')
        inside &= context_N == context
        if not inside.any():
          continue
        for name, statistic in bbq_statistics(context):
          found = bias.clustered(
            count_NK[inside],
            template_N[inside],
            statistic,
            rng_of(),
            options.draws,
          )
          rows.append(
            row(f'{name}, {context}', found, protocol, rule, str(group))
          )
  return rows


def bbq_statistics(context):
  """[(name, function of sums)] of a context."""
  both = [
    ('accuracy', bias.accuracy),
    ('share answered', bias.share_answered),
    ('negative share', bias.negative_share),
  ]
  if context != 'ambiguous':
    return [*both, ('s_DIS', bias.bias_score)]
  scaled = ('s_AMB', bias.ambiguous_bias_score)
  return [*both, scaled, ('s before accuracy', bias.bias_score)]


def measure_truthfulqa(tools, options):
  """(items, rows) of TruthfulQA."""
  asked = truthfulqa.read_truthfulqa(options.data)
  asked = asked[: options.limit or None]
  scored = tools.score([truthfulqa_asked(x, options.plain) for x in asked])
  items = []
  for question, (logp_C, tokens_C) in zip(asked, scored, strict=True):
    place = {text: i for i, text in enumerate(texts_of(question))}
    pick = lambda texts, at=place: [at[text] for text in texts]
    one, many = pick(question.one), pick(question.many)
    item = {'item': question.name, 'answers': len(one)}
    for rule in RULES:
      score_C = ruled(logp_C, tokens_C, rule)[one]
      true = list(question.one.values())[int(score_C.argmax())]
      item[f'mc1_{rule}'] = int(true)
    true_C = list(question.many.values())
    item['mc2'] = true_mass(np.asarray(logp_C)[many], true_C)
    items.append(item)
  return items, truthfulqa_rows(items, options)


def texts_of(question):
  """Answers of both tasks, each once."""
  return list(dict.fromkeys([*question.one, *question.many]))


def truthfulqa_asked(question, plain):
  """The AskedFor of a question."""
  answers = tuple(f' {text}' for text in texts_of(question))
  if plain:
    prompt = f'{truthfulqa.PREAMBLE}Q: {question.question}\nA:'
    return AskedFor(prompt, '', answers)
  return AskedFor(dialogue_of(question.question), '', answers)


def truthfulqa_rows(items, options):
  """Rows of TruthfulQA's items, and chance."""
  form = 'six questions before' if options.plain else 'zero-shot'
  protocol = f'TruthfulQA, {form}, {options.template}; '
  column = lambda name: np.array([item[name] for item in items], float)
  n, rows = len(items), []
  for rule in RULES:
    found = intervals.wilson_interval(column(f'mc1_{rule}').sum(), n)
    rows.append(row('MC1', found, protocol + '95 % Wilson', rule))
  chance = intervals.exact((1 / column('answers')).mean(), n)
  rows.append(row('MC1 by chance', chance, 'mean of 1 / answers'))
  found = intervals.cluster_bootstrap(
    column('mc2'), np.arange(n), rng_of(), options.draws
  )
  protocol += '95 % bootstrap over questions'
  return [*rows, row('MC2', found, protocol, 'sum')]


def measure_gender(tools, options):
  """(items, rows) of the gender bias of occupations.

  Raises:
    ValueError: if there are fewer than two occupations.
  """
  asked = bias_terms.gender_prompts(options.plain)
  names = bias_terms.read_terms()['gender']['occupations']
  names = names[: options.limit or None]
  if len(names) < 2:
    raise ValueError('the gender measure wants --limit of 2 or more')
  prompts = [
    one._replace(answers=one.answers[: len(names)])
    for sex in ('female', 'male')
    for one in asked[sex]
  ]
  logp_PO = np.array([logp for logp, _ in tools.score(prompts)])
  P = len(logp_PO) // 2
  ratio_PO = logp_PO[:P] - logp_PO[P:]
  bias_O = bias.occupation_bias(logp_PO[:P], logp_PO[P:])
  items = [
    {'item': name, 'B_O': float(bias_O[i])}
    | {f'ratio_{p}': float(ratio_PO[p, i]) for p in range(P)}
    for i, name in enumerate(names)
  ]
  return items, gender_rows(logp_PO, options)


def gender_rows(logp_PO, options):
  """Rows of the gender bias.

  Args:
    logp_PO: of occupations, after female terms, then male terms.
    options: Options.
  """
  P = len(logp_PO) // 2
  female_PO, male_PO = logp_PO[:P], logp_PO[P:]
  bias_O = bias.occupation_bias(female_PO, male_PO)
  n = len(bias_O)
  protocol = (
    f'Bai et al. 2022, B.10, {options.template}, {P} pairs of terms; '
    '95 % bootstrap over occupations'
  )
  draw = lambda x_O: intervals.cluster_bootstrap(
    x_O, np.arange(n), rng_of(), options.draws
  )
  noise = intervals.exact(bias.occupation_noise(female_PO, male_PO), n)
  mass = intervals.exact(np.exp(logp_PO).sum(1).mean(), n)
  return [
    row('B, mean |B_O|, nats', draw(np.abs(bias_O)), protocol),
    row('mean B_O, above 0: female', draw(bias_O), protocol),
    row('B of noise between pairs alone', noise, 'sqrt(2/pi) standard error'),
    row('probability of all occupations', mass, f'mean over {2 * P} terms'),
  ]
