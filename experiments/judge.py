"""Judges of two replies: how they agree with people, and whom they let win.

    python -m experiments.judge --data=FOLDER --workdir=DIR

    python -m experiments.judge --models=A=MODEL,B=MODEL --questions=mt_bench \
        --data=FOLDER --workdir=DIR

    python -m experiments.judge --replies=A.jsonl --against=B.jsonl \
        --workdir=DIR

With `--data`, every judge is asked about pairs that people have judged, in both
orders and in one, and `agreement.csv` says how often it agrees with them, with
Cohen's kappa and Krippendorff's alpha. With `--models` two models write replies
to the questions of a set, or to the held-out prompts of a run, and
`win_rates.csv` says how often the first wins, plain and length-controlled;
with `--replies` and `--against` so do two files of JSON lines of prompt and
reply. With `--leader_board` the models of alpaca_eval_kwise are put in order.
Prompts that a model or a preference model was trained on are taken out, and a
line says how many; where its run cannot tell any more, `--trained_on=NAME=FILE`
does, or `=RUN`. What was said is in `votes.jsonl`. Replies, scores and answers
are kept: a killed run goes on in its --workdir.

Judges: `longer`, `first`, `random`, `random3` (sides and ties), `length` (the
longer one, ties chosen on other prompts); with `--pms=NAME=RUN` a preference
model; with `--scores=NAME=FILE` whatever wrote the file of prompt, reply and
score; with `--url` and `--model` a model behind an OpenAI-compatible endpoint;
and `gold`, where the questions are of the simulated world.
"""

from pathlib import Path

from absl import flags

from experiments.shared import (
  asked_judges,
  asked_questions,
  command,
  imported,
  judging,
  model_replies,
  pm_scoring,
  score_files,
  unseen,
)
from experiments.shared import win_rate_rows as wins
from experiments.shared.continuations import continuations
from experiments.shared.files import write_csv
from experiments.shared.models import open_scorer, open_writer
from rlhf_jax.data.jsonl import write_rows
from rlhf_jax.data.judged import read_kwise
from rlhf_jax.data.public.ranked import plain
from rlhf_jax.train import hosts

ORDERS = ('both', 'one')
ALPACA = 'alpaca_eval'  # prompts of the set of pairs 'kwise' too


def judges_of(options, pairs, as_text=pm_scoring.plain_text, own=()):
  """`asked_judges.judges_of`; scores of PMs are kept in the workdir."""
  size = options['max_prompt'], options['max_reply']

  def scorer_of(name, path):
    workdir = options['workdir']
    return pm_scoring.of_run(open_scorer, name, path, workdir, size)

  return asked_judges.judges_of(options, pairs, scorer_of, as_text, own)


def asked_orders(options):
  """[(name, whether both)] of `--orders`."""
  wanted = ORDERS if options['orders'] == 'all' else (options['orders'],)
  return [(name, name == 'both') for name in wanted]


def known_of(options):
  """Keys of the prompts that models and judges know, {model: keys}."""
  found = []
  for flag in ('models', 'pms', 'scores'):
    found += score_files.named(options[flag], flag).items()
  if options['url']:
    found.append((options['model'], options['url']))
  sides_of = asked_questions.sides_of
  return unseen.known_prompts(found, options['trained_on'], sides_of)


def sets_of(options):
  """{name: pairs} of the sets, at most `--limit` of each.

  Pairs of prompts that a judge was trained on are left out.
  """
  unknown = set(options['sets']) - set(judging.SETS)
  if unknown:
    raise ValueError(
      f'--sets: wanted some of {", ".join(judging.SETS)}, got '
      f'{", ".join(sorted(unknown))}'
    )
  limit, found, known = options['limit'] or None, {}, known_of(options)
  for name in options['sets']:
    pairs = judging.SETS[name].read(options['data'])
    label = ALPACA if name == 'kwise' else name
    pairs = unseen.without_known(label, pairs, lambda x: x.prompt, known)
    found[name] = pairs[:limit]
  return found


def show(judge, found):
  """Prints what could not be parsed."""
  for line in judging.shown_unparsed(judge, found):
    print(line)


def with_people(options):
  """(rows of agreement.csv, rows of votes.jsonl)."""
  sets = sets_of(options)
  pairs = [pair for own in sets.values() for pair in own]
  judges = judges_of(options, pairs, own=['people'])
  rows, said = [], []
  for name, pairs in sets.items():
    rows += judging.people_rows(name, pairs)
    for judge, make in judges.items():
      for orders, both in asked_orders(options):
        found = judging.ballots(make, pairs, both)
        rows += judging.agreement_rows(name, judge, orders, pairs, found)
        said += judging.said_rows(name, judge, orders, found)
        show(judge, found)
  return rows, said


def played(options, pairs, judges):
  """(rows of win_rates.csv, rows of votes.jsonl) of the pairs."""
  rows, said = [], []
  for judge, make in judges.items():
    for orders, both in asked_orders(options):
      found = judging.ballots(make, pairs, both)
      rows += wins.rate_rows(judge, orders, pairs, found)
      said += judging.said_rows('win rates', judge, orders, found)
      show(judge, found)
  return rows, said


def of_files(options):
  """`played` of two files of replies, to words or to dialogues."""
  names = options['replies'], options['against']
  pairs = wins.paired(*map(wins.read_replies, names), names)
  known = known_of(options)
  pairs = unseen.without_known('replies', pairs, lambda x: x.prompt, known)
  once = lambda prompt, reply: model_replies.as_text(prompt, plain(reply))
  return played(options, pairs, judges_of(options, pairs, once))


def asked_by(options):
  """The Asked of `--questions`, at most `--limit` of them.

  Those that a model or judge was trained on are left out. The simulated world
  keeps sides by itself, and repeats its prompts.
  """
  name, limit = options['questions'], options['limit']
  asked = asked_questions.read(name, options['data'])
  found = asked.questions
  if not asked.world:
    known = known_of(options)
    found = unseen.without_known(name, found, lambda x: x.turns[0], known)
  return asked._replace(questions=found[: limit or None])


def of_models(options):
  """`played` of two models on a set of questions, by number of turns."""
  named = score_files.named(options['models'], 'models')
  if len(named) != 2 or not options['questions']:
    raise ValueError(
      f'--models: wanted A=MODEL,B=MODEL and --questions, got {len(named)}'
    )
  imported.require(named)
  asked = asked_by(options)
  told = {'max_reply': options['most_tokens'], 'replies': 1, 'seed': 0}
  told |= {'temperature': options['draw']}
  folder = Path(options['workdir']) / 'replies'
  tools = model_replies.Tools(open_writer, continuations)
  sides = [
    model_replies.written(name, model, asked.questions, told, folder, tools)
    for name, model in named.items()
  ]
  games = model_replies.games(asked.questions, *(side.said for side in sides))
  pairs = [pair for own in games.values() for pair in own]
  own = ['gold'] if asked.world else []
  judges = judges_of(options, pairs, model_replies.as_text, own)
  if asked.world:
    judges['gold'] = judging.by_score(lambda *text: asked.gold(*text))
  (model, against), rows, said = named, [], []
  for turns, own in games.items():
    head = {'model': model, 'against': against}
    head |= {'questions': options['questions'], 'turns': turns}
    head |= {'template': sides[0].template}
    head |= {'template_against': sides[1].template}
    head |= {'temperature': told['temperature'], 'tokens': told['max_reply']}
    found = played(options, own, judges)
    rows += [head | row for row in found[0]]
    said += [{'turns': turns} | row for row in found[1]]
  return rows, said


def run(options):
  """Writes the tables that were asked for.

  Raises:
    ValueError, OSError: saying what is missing or wrong.
  """
  if bool(options['replies']) != bool(options['against']):
    raise ValueError('--replies and --against: wanted both, or none of them')
  if not any(options[name] for name in ('replies', 'data', 'models')):
    raise ValueError('wanted --data=FOLDER, or --replies and --against')
  if options['url'] and hosts.count() > 1:
    raise ValueError(
      '--url: an endpoint answers each process by itself, wanted one process: '
      'leave --distributed out'
    )
  if options['url'] and not options['model']:
    raise ValueError('--url: wanted the name of its model too, --model')
  workdir = Path(options['workdir'])
  workdir.mkdir(parents=True, exist_ok=True)
  if options['leader_board']:
    rows = wins.leader_board(read_kwise(options['data']))
    write_csv(workdir / 'leader_board.csv', rows)
    for row in rows:
      print('{model:>32} {win_rate:.3f} {length_controlled:.3f}'.format(**row))
    return
  if options['replies'] or options['models']:
    rows, said = (of_files if options['replies'] else of_models)(options)
    write_csv(workdir / 'win_rates.csv', rows)
    line = '{judge:>10} {orders:>4} {games:>10} {win_rate:.3f} LC '
    line += '{length_controlled:.3f} n {n}'
    line += ', turns {turns}' * bool(options['models'])
  else:
    rows, said = with_people(options)
    write_csv(workdir / 'agreement.csv', rows)
    line = '{set:>8} {judge:>10} {orders:>4} {setup} {against:>12} '
    line += '{agreement:.3f} kappa {kappa:.3f} alpha {alpha:.3f} n {n_pairs}'
  write_rows(workdir / 'votes.jsonl.gz', said)
  for row in rows:
    print(line.format(**row))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('data', '', 'Folder of the judged pairs.'),
    flags.DEFINE_list('sets', list(judging.SETS), 'Sets of judged pairs.'),
    flags.DEFINE_list('judges', list(asked_judges.RULES), 'Rules that judge.'),
    flags.DEFINE_list('pms', [], 'NAME=RUN of train_pm, commas between.'),
    flags.DEFINE_list('scores', [], 'NAME=FILE of scores, commas between.'),
    flags.DEFINE_string('url', '', 'OpenAI-compatible endpoint; off if empty.'),
    flags.DEFINE_string('model', '', 'Name of its model.'),
    flags.DEFINE_string('key_variable', '', 'Environment variable of its key.'),
    flags.DEFINE_float('temperature', 0.0, 'Of its sampling.'),
    flags.DEFINE_enum('mode', 'pairwise', ['pairwise', 'single'], 'Of it.'),
    flags.DEFINE_enum('orders', 'all', ['all', *ORDERS], 'Orders of a pair.'),
    flags.DEFINE_integer('limit', 0, 'Pairs or questions; 0: all.'),
    flags.DEFINE_string('replies', '', 'JSON lines of prompt and reply.'),
    flags.DEFINE_string('against', '', 'Those of the other model.'),
    flags.DEFINE_list('models', [], 'A=MODEL,B=MODEL, which write replies.'),
    flags.DEFINE_string('questions', '', 'A set of them, or a run; see above.'),
    flags.DEFINE_float('draw', 0.0, 'Temperature of the models; 0: greedy.'),
    flags.DEFINE_integer('most_tokens', 256, 'Of a reply of the models.'),
    flags.DEFINE_list('trained_on', [], 'NAME=FILE_OR_RUN of what it learned.'),
    flags.DEFINE_bool('leader_board', False, 'Models of alpaca_eval_kwise.'),
    flags.DEFINE_integer('max_prompt', 512, 'Tokens that a PM reads of it.'),
    flags.DEFINE_integer('max_reply', 256, 'Tokens of a reply.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
  ]
  command.main_of_flags(
    run, values, ('workdir',), several=True, apart='workdir'
  )


if __name__ == '__main__':
  main()
