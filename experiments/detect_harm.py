"""Detectors of harm, on prompts, dialogues and replies that are labelled.

    python -m experiments.detect_harm --data=FOLDER --workdir=DIR

Parts, all of them if `--parts` does not choose:

    refusals    the refusal rule against human labels: refusal_rule.csv
    prompts     safety_prompts; XSTest's safe look-alikes are hard negatives
    answers     XSTest's prompts by the replies of five models: who is refused
                has asked for harm
    dialogues   conversations of HH: red-team or helpful, by the first turn and
                by the whole
    jailbroken  replies to attacks that three people judged, beside four
                published judges: jailbreak_judges.csv

Detectors: floors (`always`, length), the refusal rule where replies are known,
`ood_words`, the distance of hashed words from helpful prompts; with `--base`
the distance by a model's features; with `--pms=NAME=RUN` a preference model of
harmlessness; with `--scores=NAME=FILE` whatever wrote the file of dialogue,
reply and score; with `--replies=FILE` the refusals of a policy; and the union
of those that are no floors. Thresholds come from the other half of the items.
Milliseconds are of one item by itself, nothing of it kept or compiled anew.
Scores and features are kept: a killed run goes on in its --workdir.
A preference model that was trained on conversations of HH is to be tested on
others: `--held_out=RUN` leaves those of a run's training side out.
"""

import math
from pathlib import Path

from absl import flags

from experiments.shared import (
  asked_questions,
  command,
  harm_detectors,
  harm_rows,
  harm_sets,
  pm_scoring,
  pooling,
  score_files,
)
from experiments.shared.files import write_csv
from experiments.shared.harm_detectors import rule
from experiments.shared.models import open_base, open_scorer
from rlhf_jax.analysis import ood
from rlhf_jax.data.harm import read_refusal_labels
from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.data.judged import ROW
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.judges import detectors as rules

PARTS = ('refusals', 'prompts', 'answers', 'dialogues', 'jailbroken')
EDGES = (16, 32, 64, 128, 256, 512)


def scorers_of(options):
  """{name: TextScorer} of preference models and of files of scores."""
  size = options['max_prompt'], options['max_reply']
  pms = score_files.named(options['pms'], 'pms')
  files = score_files.named(options['scores'], 'scores', pms)
  found = {
    name: pm_scoring.of_run(open_scorer, name, path, options['workdir'], size)
    for name, path in pms.items()
  }
  for name, path in files.items():
    one = score_files.lookup(score_files.read(path), path)
    many = lambda texts, one=one: [one(*text) for text in texts]
    found[name] = pm_scoring.TextScorer(many, None)
  return found


def model_features(options):
  """(kept, alone) of `--base`: [(words, dialogue)] -> features of a layer."""
  named = {'base': options['base'], 'size': '', 'pad_token': ''}
  base = open_base(named | {'dtype': 'float32'}, scored=True)
  edges = [edge for edge in EDGES if edge < options['max_prompt']]
  config = {
    'features': {'edges': [*edges, options['max_prompt']], 'tokens': 1024},
    'feature_folder': f'{options["workdir"]}/features',
  }
  layer = ood.exposed_layer(base.functions.config.n_layers)

  def features(texts, read):
    dialogues = [dialogue for _, dialogue in texts]
    arrays = encode_prompts(dialogues, base.tokenizer, options['max_prompt'])
    return read(config, base, arrays)[:, 0, layer - 1]

  return (
    lambda texts: features(texts, pooling.pooled_prompts),
    lambda texts: features(texts, pooling.pooled_alone),
  )


def detectors_of(options, scorers):
  """Detectors of what was asked for, floors first."""
  pairs = harm_sets.conversations(options['data'])
  if options['held_out']:
    asked = asked_questions.read(options['held_out'], options['data'])
    prompts = [question.turns[0] for question in asked.questions]
    pairs = harm_sets.of_prompts(pairs, prompts)
  known = harm_sets.known_texts(pairs)
  words = harm_detectors.by_words
  found = [
    rule('always', rules.always, True),
    rule('asked length', rules.asked_length, True),
    harm_detectors.outliers('ood_words', words, known, words),
  ]
  if options['base']:
    kept, alone = model_features(options)
    found.append(harm_detectors.outliers('ood_model', kept, known, alone))
  found += [
    harm_detectors.asks_to_refuse(name, scorer)
    for name, scorer in scorers.items()
  ]
  return pairs, found


def detection_rows(options, scorers):
  """Rows of detection.csv: prompts, answers, dialogues."""
  rows, parts = [], options['parts']
  refuses = rule('refuses', rules.refuses)
  if {'prompts', 'dialogues'} & set(parts):
    pairs, detectors = detectors_of(options, scorers)
  if 'prompts' in parts:
    replies, more = None, []
    if options['replies']:
      make = lambda row: (str(row['prompt']), str(row['reply']))
      replies = dict(
        read_rows(options['replies'], ROW, make, ('prompt', 'reply'))
      )
      more = [refuses]
    for name, items in harm_sets.prompt_sets(options['data'], replies).items():
      if replies:
        items = [item for item in items if item.replies]
        if len({item.harmful for item in items}) < 2:
          print(f'{name}: left out, the policy has answered one kind alone')
          continue
      rows += harm_rows.set_rows(name, items, [*detectors, *more])
  if 'answers' in parts:
    floors = [rule('always', rules.always, True)]
    floors.append(rule('reply length', rules.reply_length, True))
    for name, items in harm_sets.answered_sets(options['data']).items():
      rows += harm_rows.set_rows(name, items, [*floors, refuses])
  if 'dialogues' in parts:
    for name, items in harm_sets.dialogue_sets(pairs).items():
      rows += harm_rows.set_rows(name, items, [*detectors, refuses])
  return rows


def jailbroken_rows(options, scorers):
  """(rows of jailbreak_judges.csv, row of people among themselves)."""
  items, judged = harm_sets.jailbreak_items(options['data'])
  own = [
    rule('always', rules.always, True),
    rule('reply length', rules.reply_length, True),
  ]
  own += [
    harm_detectors.dislikes_reply(name, scorer)
    for name, scorer in scorers.items()
  ]
  rows = harm_rows.set_rows('jailbroken replies', items, own)
  ms = harm_detectors.milliseconds(lambda item: rules.complies([item]), items)
  rows.append(harm_rows.complying_row(items, rules.complies(items), ms))
  nothing = {'published_f1': math.nan, 'published_kappa': math.nan}
  rows = [row | nothing for row in rows]
  rows += harm_rows.judge_rows(items, judged)
  return rows, harm_rows.people_row(judged)


def run(options):
  """Writes the tables of the parts.

  Raises:
    ValueError, OSError: saying what is missing or wrong.
  """
  unknown = set(options['parts']) - set(PARTS)
  if unknown or not options['parts']:
    raise ValueError(
      f'--parts: wanted some of {", ".join(PARTS)}, got '
      f'{", ".join(sorted(unknown)) or "none"}'
    )
  workdir = Path(options['workdir'])
  workdir.mkdir(parents=True, exist_ok=True)
  if 'refusals' in options['parts']:
    replies = read_refusal_labels(options['data'])
    rows = harm_rows.refusal_rows(replies)
    write_csv(workdir / 'refusal_rule.csv', rows)
    line = '{fold:>11} {source:>22} {rule:>8} in part {in_part:>8} F1 {f1:.3f} '
    line += '[{f1_low:.3f}, {f1_high:.3f}] kappa {kappa:.3f} n {n}'
    for row in rows:
      print(line.format(**row))
  scorers = scorers_of(options)
  rows = detection_rows(options, scorers)
  if rows:
    write_csv(workdir / 'detection.csv', rows)
  if 'jailbroken' in options['parts']:
    judged, among = jailbroken_rows(options, scorers)
    write_csv(workdir / 'jailbreak_judges.csv', judged)
    write_csv(workdir / 'jailbreak_people.csv', [among])
    rows = [*rows, *judged]
  for row in rows:
    print(harm_rows.line_of(row))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('data', None, 'Folder of the labelled files.'),
    flags.DEFINE_list('parts', list(PARTS), 'What is measured.'),
    flags.DEFINE_list('pms', [], 'NAME=RUN of train_pm, commas between.'),
    flags.DEFINE_list('scores', [], 'NAME=FILE of scores, commas between.'),
    flags.DEFINE_string('held_out', '', 'A run whose training HH is left out.'),
    flags.DEFINE_string('base', '', 'Model whose features are read.'),
    flags.DEFINE_string('replies', '', "A policy's: prompt, reply a line."),
    flags.DEFINE_integer('max_prompt', 512, 'Tokens that a model reads of it.'),
    flags.DEFINE_integer('max_reply', 256, 'Tokens of a reply.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
  ]
  command.main_of_flags(run, values, ('data', 'workdir'))


if __name__ == '__main__':
  main()
