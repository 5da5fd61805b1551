"""The judges of `experiments.judge`: rules, preference models, endpoints.

Each is a `make` of `judging.ballots`; preference models are handed in.
"""

import os
from pathlib import Path

from experiments.shared import judging, score_files
from experiments.shared.kept import Journal
from rlhf_jax.judges import endpoint, scores, votes

RULES = {
  'longer': judging.rule(votes.longer),
  'first': judging.rule(votes.first_wins),
  'random': judging.rule(votes.make_random(2)),
  'random3': judging.rule(votes.make_random(3)),
  'length': judging.by_score(lambda prompt, reply: len(reply)),
}


def pm_judge(scorer, path, texts, as_text):
  """The judge of a preference model, its scores of all texts in a file.

  Args:
    scorer: `pm_scoring.TextScorer`.
    path: run of train_pm.
    texts: (prompt, reply) of all that it will be asked about.
    as_text: (prompt, reply) -> the same in the format of HH.
  """
  found = scorer.kept([as_text(*text) for text in texts])
  table = dict(zip(texts, found, strict=True))
  return judging.by_score(score_files.lookup(table, path))


def endpoint_judge(options):
  """The judge behind the URL that was named."""
  key = os.environ.get(options['key_variable'], '')
  asked = endpoint.Endpoint(
    options['url'], options['model'], key, options['temperature']
  )
  label = f'{asked.url} {asked.model} {asked.temperature}'
  journal = Journal(Path(options['workdir']) / 'said.jsonl')
  ask = endpoint.make_kept(endpoint.make_ask(asked), journal, label)
  if options['mode'] == 'pairwise':
    return judging.rule(endpoint.make_pairwise(ask))
  grade = endpoint.make_grade(ask)
  return judging.rule(scores.make_score_judge(grade, scores.GRADES_APART))


def judges_of(options, pairs, scorer_of, as_text, own=()):
  """{name: make} of all judges that were asked for.

  Args:
    options: of the flags.
    pairs: all that they will be asked about.
    scorer_of: (name, run of train_pm) -> `pm_scoring.TextScorer`.
    as_text: of `pm_judge`.
    own: names that the table has besides.

  Raises:
    ValueError: if there is no such rule, or two judges have one name.
  """
  unknown = set(options['judges']) - set(RULES)
  if unknown:
    raise ValueError(
      f'--judges: wanted some of {", ".join(RULES)}, got '
      f'{", ".join(sorted(unknown))}'
    )
  found = {name: RULES[name] for name in options['judges']}
  taken = {*found, *own}
  pms = score_files.named(options['pms'], 'pms', taken)
  files = score_files.named(options['scores'], 'scores', taken | pms.keys())
  if options['url']:
    name, others = options['model'], taken | pms.keys() | files.keys()
    score_files.require_new(name, f'--model={name}', others)
  texts = dict.fromkeys(
    (pair.prompt, reply) for pair in pairs for reply in pair[1:3]
  )
  for name, path in pms.items():
    found[name] = pm_judge(scorer_of(name, path), path, list(texts), as_text)
  for name, path in files.items():
    table = score_files.read(path)
    found[name] = judging.by_score(score_files.lookup(table, path))
  if options['url']:
    found[options['model']] = endpoint_judge(options)
  return found
