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
"""

import math
import time
from pathlib import Path

from absl import flags

from experiments.shared import (
  command,
  harm_rows,
  harm_sets,
  pm_scoring,
  pooling,
  score_files,
)
from experiments.shared.files import write_csv
from experiments.shared.harm_rows import Named
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
  """{name: [(dialogue, reply)] -> score_N} of preference models and files."""
  found = {}
  size = options['max_prompt'], options['max_reply']
  for name, path in score_files.named(options['pms'], 'pms').items():
    file = Path(options['workdir']) / f'scores_{name}.jsonl.gz'
    found[name] = score_files.kept(
      file,
      lambda texts, path=path: pm_scoring.scores(
        open_scorer(path), texts, *size
      ),
    )
  for name, path in score_files.named(options['scores'], 'scores').items():
    one = score_files.lookup(score_files.read(path), path)
    found[name] = lambda texts, one=one: [one(*text) for text in texts]
  return found


def model_features(options):
  """[(words, dialogue)] -> features of `--base` at its layer of outliers."""
  named = {'base': options['base'], 'size': '', 'pad_token': ''}
  base = open_base(named | {'dtype': 'float32'}, scored=True)
  edges = [edge for edge in EDGES if edge < options['max_prompt']]
  config = {
    'features': {'edges': [*edges, options['max_prompt']], 'tokens': 1024},
    'feature_folder': f'{options["workdir"]}/features',
  }
  layer = ood.exposed_layer(base.functions.config.n_layers)

  def features(texts):
    dialogues = [dialogue for _, dialogue in texts]
    arrays = encode_prompts(dialogues, base.tokenizer, options['max_prompt'])
    return pooling.pooled_prompts(config, base, arrays)[:, 0, layer - 1]

  return features


def detectors_of(options, scorers):
  """Detectors of what was asked for, floors first."""
  pairs = harm_sets.conversations(options['data'])
  known = harm_sets.known_texts(pairs)
  outliers = lambda features: harm_rows.outlier_detector(features, known)
  found = [
    Named('always', rules.always, True),
    Named('asked length', rules.asked_length, True),
    Named('ood_words', outliers(harm_rows.by_words)),
  ]
  if options['base']:
    found.append(Named('ood_model', outliers(model_features(options))))
  found += [
    Named(name, harm_rows.asks_to_refuse(score_many))
    for name, score_many in scorers.items()
  ]
  return pairs, found


def detection_rows(options, scorers):
  """Rows of detection.csv: prompts, answers, dialogues."""
  rows, parts = [], options['parts']
  refuses = Named('refuses', rules.refuses)
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
    floors = [Named('always', rules.always, True)]
    floors.append(Named('reply length', rules.reply_length, True))
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
    Named('always', rules.always, True),
    Named('reply length', rules.reply_length, True),
  ]
  own += [
    Named(name, harm_rows.dislikes_reply(score_many))
    for name, score_many in scorers.items()
  ]
  rows = harm_rows.set_rows('jailbroken replies', items, own)
  start = time.perf_counter()
  score_N = rules.complies(items)
  ms = 1000 * (time.perf_counter() - start) / len(items)
  rows.append(harm_rows.complying_row(items, score_N, ms))
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
    flags.DEFINE_string('base', '', 'Model whose features are read.'),
    flags.DEFINE_string('replies', '', "A policy's: prompt, reply a line."),
    flags.DEFINE_integer('max_prompt', 512, 'Tokens that a model reads of it.'),
    flags.DEFINE_integer('max_reply', 256, 'Tokens of a reply.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
  ]
  command.main_of_flags(run, values, ('data', 'workdir'))


if __name__ == '__main__':
  main()
