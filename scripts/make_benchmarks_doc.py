"""Draws the table of docs/benchmarks.md from the files of results/.

    python -m scripts.make_benchmarks_doc

Nothing is measured here. A row whose file is missing, or lacks the row, reads
"not measured" and names the command that measures it.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from experiments.shared.markdown import between_markers
from scripts.benchmark_rows import (
  agreement,
  detection,
  heads,
  hhh,
  hhh_after_rl,
  joined,
  leader_board,
  length_rules,
  longer_answers,
  longer_wins,
  nothing,
  published,
  reward,
  wins,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'benchmarks.md'
RESULTS = ROOT / 'results'
NOTHING = 'not measured'
HEADER = (
  'benchmark',
  'protocol',
  'ours',
  'floors, ceilings',
  'published',
  'why they differ',
)
JUDGE = 'python -m experiments.judge --data=DATA --pms=helpful=RUN'
DETECT = (
  'python -m experiments.detect_harm --data=DATA --base=smollm2 '
  '--pms=harmless=RUN'
)
WINS = (
  'python -m experiments.judge --data=DATA --models=A=MODEL,B=MODEL '
  '--pms=helpful=RUN --questions='
)


class Benchmark(NamedTuple):
  """A row of the page.

  Attributes:
    name: of the benchmark; published numbers of that name stand beside it.
    protocol: what is measured, in a few words.
    ours: results folder -> lines of our numbers; [] where there are none.
    floors: results folder -> lines of rules that know nothing, and of people.
    differ: why published numbers differ from ours.
    command: what measures it; '' where nothing at hand can.
    models: file of evals/ with what models of ours did; '' where another has.
    besides: other names of published numbers.
  """

  name: str
  protocol: str
  ours: Callable
  floors: Callable
  differ: str
  command: str
  models: str = ''
  besides: tuple[str, ...] = ()


BENCHMARKS = (
  Benchmark(
    'MT-bench, first turn, S1',
    'agreement with people, all votes; PandaLM, as MT-bench votes with ties '
    'are not at hand',
    agreement('S1', 'pandalm', False),
    agreement('S1', 'pandalm', True),
    'another set of replies, whose people agree far more often',
    JUDGE,
  ),
  Benchmark(
    'MT-bench, first turn, S2',
    'the same of votes for a side; MT-Bench pairs inside LLMBar',
    agreement('S2', 'mtbench', False),
    agreement('S2', 'mtbench', True),
    "LLMBar's choice of pairs, one label a pair",
    JUDGE,
  ),
  Benchmark(
    'Arena votes, S1',
    'as MT-bench',
    nothing,
    nothing,
    'no arena votes are at hand',
    '',
  ),
  Benchmark(
    'Arena votes, S2',
    'as MT-bench',
    nothing,
    nothing,
    'no arena votes are at hand',
    '',
  ),
  Benchmark(
    'Vicuna, pairwise score',
    'win rate of two models of ours on 80 questions, both orders, by a '
    'preference model',
    wins('vicuna_bench'),
    longer_wins('vicuna_bench'),
    'another judge and other models: GPT-4 grades two replies in one prompt, '
    'and no such grade of a model of ours is known',
    f'{WINS}vicuna_bench',
  ),
  Benchmark(
    'AlpacaEval, pairwise score',
    'the same on 545 of its 805 instructions; as a check two published models '
    "by that file's own judge",
    joined(wins('alpaca_eval'), leader_board),
    longer_wins('alpaca_eval'),
    '545 of 805 instructions; for our models another judge',
    f'{WINS}alpaca_eval',
    'wins_alpaca_eval.csv',
  ),
  Benchmark(
    'Reward on HH',
    'mean score of replies to held-out prompts, log-odds; accuracy of linear '
    'heads on the frozen model, each pair by heads of other conversations',
    joined(reward, heads),
    length_rules,
    'of scores nothing compares: the scale of a preference model is its own; '
    'accuracy: 135M parameters frozen and some 1,200 pairs of the test files, '
    'as the training split is not at hand; theirs are larger, trained whole, '
    'on other or on far more pairs',
    'make reproduce PRESET=smollm2_rl DATA=DATA',
  ),
  Benchmark(
    'HHH, multiple choice',
    'the right one of two answers, by log-probability a token or by a PM',
    joined(hhh, hhh_after_rl),
    longer_answers,
    '126 of 221 comparisons, 135M parameters; adapters on under 1,000 pairs; '
    'a chat template moves theirs from .905 to .824, in another run to .520',
    'python -m experiments.evaluate_hhh --config=configs/hhh.py',
  ),
  Benchmark(
    'Jailbreak detection, single turn',
    'replies to attacks that three people judged; jailbreaks or benign '
    "prompts; XSTest's harmful prompts and their safe look-alikes; thresholds "
    'of the other half, milliseconds of one item by itself',
    joined(
      detection('jailbroken replies', False, 'jailbreak_judges'),
      detection('jailbreaks', False),
      detection('look_alikes', False),
    ),
    joined(
      detection('jailbroken replies', True, 'jailbreak_judges'),
      detection('jailbreaks', True),
      detection('look_alikes', True),
    ),
    '200 of the 300 replies are here; ours look at words and ask no model, on '
    'two shared cores; theirs are large models, on other machines',
    f'{DETECT} --parts=jailbroken,prompts',
    'harm_detection_pm.csv',
    ('JailbreakBench judges, F1',),
  ),
  Benchmark(
    'Jailbreak detection, multi-turn',
    'HH dialogues of two exchanges or more, red team or helpful, whole',
    detection('dialogues, whole', False),
    detection('dialogues, whole', True),
    'helpful or red team, in both; ours look at words, theirs at features of '
    'a language model, of which the second and the third have seen ten '
    'harmful examples. No published F1 and no latency of whole dialogues is at '
    'hand',
    f'{DETECT} --parts=dialogues',
    'harm_detection_pm.csv',
  ),
)


def cell(lines, empty=NOTHING) -> str:
  """Lines of one cell."""
  return '<br>'.join(line.replace('|', '\\|') for line in lines) or empty


def table(results=RESULTS) -> str:
  """The table, and below it the commands of what is not measured."""
  lines = [
    '| | ' + ' | '.join(HEADER) + ' |',
    '|---' * (len(HEADER) + 1) + '|',
  ]
  missing, by_words = [], []
  for i, row in enumerate(BENCHMARKS, 1):
    ours = row.ours(results)
    if not ours:
      missing.append((i, row))
    elif row.models and not (results / 'evals' / row.models).exists():
      by_words.append((i, row))
    theirs = published(row.name, *row.besides)(results)
    cells = i, row.name, row.protocol, cell(ours)
    cells += cell(row.floors(results), '-'), cell(theirs, '-'), row.differ
    lines.append('| ' + ' | '.join(map(str, cells)) + ' |')
  lines += commands('Not measured:', missing)
  lines += commands('Measured without a model of ours so far:', by_words)
  return '\n'.join(lines)


def commands(title, rows) -> list[str]:
  """Lines that say what measures those rows; none without rows."""
  if not rows:
    return []
  return ['', title, ''] + [
    f'- {i}, {row.name}: ' + (f'`{row.command}`' if row.command else row.differ)
    for i, row in rows
  ]


def generate(text=None, results=RESULTS) -> str:
  """The page with its table drawn anew."""
  text = PAGE.read_text() if text is None else text
  return between_markers(text, 'benchmarks', table(results))


if __name__ == '__main__':
  PAGE.write_text(generate())
