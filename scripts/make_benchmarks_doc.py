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
  both,
  detection,
  hhh,
  leader_board,
  longer_answers,
  longer_wins,
  nothing,
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
  'floors',
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
    name: of the benchmark.
    protocol: what is measured, in a few words.
    ours: results folder -> lines of our numbers; [] where there are none.
    floors: results folder -> lines of rules that know nothing.
    published: numbers of others.
    differ: why they differ from ours.
    command: what measures it; '' where nothing at hand can.
  """

  name: str
  protocol: str
  ours: Callable
  floors: Callable
  published: str
  differ: str
  command: str


_MT = 'GPT-4 with people .66 (1,343 votes), people among themselves .63 (721)'
_MT2 = 'GPT-4 with people .85 (859 votes), people among themselves .81 (479)'
BENCHMARKS = (
  Benchmark(
    'MT-bench, first turn, S1',
    'agreement with people, all votes; PandaLM, as MT-bench votes with ties '
    'are not at hand',
    agreement('S1', 'pandalm', False),
    agreement('S1', 'pandalm', True),
    _MT,
    'another set of replies, whose people agree far more often',
    JUDGE,
  ),
  Benchmark(
    'MT-bench, first turn, S2',
    'the same of votes for a side; MT-Bench pairs inside LLMBar',
    agreement('S2', 'mtbench', False),
    agreement('S2', 'mtbench', True),
    _MT2,
    "LLMBar's choice of pairs, one label a pair",
    JUDGE,
  ),
  Benchmark(
    'Arena votes, S1',
    'as MT-bench',
    nothing,
    nothing,
    'GPT-4 with people .64',
    'no arena votes are at hand',
    '',
  ),
  Benchmark(
    'Arena votes, S2',
    'as MT-bench',
    nothing,
    nothing,
    'GPT-4 with people .87',
    'no arena votes are at hand',
    '',
  ),
  Benchmark(
    'Vicuna, pairwise score',
    'win rate of two models of ours on 80 questions, both orders, by a '
    'preference model',
    wins('vicuna_bench'),
    longer_wins('vicuna_bench'),
    'grades by GPT-4 of two replies in one prompt; of no model of ours',
    'another judge and other models',
    f'{WINS}vicuna_bench',
  ),
  Benchmark(
    'AlpacaEval, pairwise score',
    'the same on 545 of its 805 instructions; as a check two published models '
    "by that file's own judge",
    wins('alpaca_eval'),
    both(longer_wins('alpaca_eval'), leader_board),
    'claude .170, claude-2.1_concise .092 (805 instructions)',
    '545 of 805 instructions; for our models another judge',
    f'{WINS}alpaca_eval',
  ),
  Benchmark(
    'Reward on HH',
    'mean score of replies to held-out prompts, log-odds',
    reward,
    nothing,
    'none that compares: the scale of a preference model is its own',
    '-',
    'make reproduce PRESET=smollm2_full DATA=DATA',
  ),
  Benchmark(
    'HHH, multiple choice',
    'the right one of two answers, by log-probability a token or by a PM',
    hhh,
    longer_answers,
    'Bai et al. 52B PM .86, people .75 (221 comparisons)',
    '126 of 221 comparisons, 135M parameters; adapters on under 1,000 pairs',
    'python -m experiments.evaluate_hhh --config=configs/hhh.py',
  ),
  Benchmark(
    'Jailbreak detection, single turn',
    "replies to attacks that three people judged; XSTest's harmful prompts and "
    'their safe look-alikes; thresholds of the other half, milliseconds of one '
    'item by itself',
    both(
      detection('jailbroken replies', False, 'jailbreak_judges'),
      detection('look_alikes', False),
    ),
    both(
      detection('jailbroken replies', True, 'jailbreak_judges'),
      detection('look_alikes', True),
    ),
    'jailbroken replies, F1 on all 300: Llama-3-70B .881, GPT-4 .873, Llama '
    'Guard 2 .841, HarmBench-13B .747; Llama Guard 3: 850 to 1,140 ms a pass '
    'on another machine',
    '200 of the 300 replies are here; a model of 135M parameters',
    f'{DETECT} --parts=jailbroken,prompts',
  ),
  Benchmark(
    'Jailbreak detection, multi-turn',
    'HH dialogues of two exchanges or more, red team or helpful, whole',
    detection('dialogues, whole', False),
    detection('dialogues, whole', True),
    'none that compares',
    'labels are the file that a dialogue is from',
    f'{DETECT} --parts=dialogues',
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
  missing = []
  for i, row in enumerate(BENCHMARKS, 1):
    ours = row.ours(results)
    if not ours:
      missing.append((i, row))
    floor = cell(row.floors(results), '-')
    cells = i, row.name, row.protocol, cell(ours), floor
    cells += row.published, row.differ
    lines.append('| ' + ' | '.join(map(str, cells)) + ' |')
  if missing:
    lines += ['', 'Not measured:', '']
    lines += [
      f'- {i}, {row.name}: '
      + (f'`{row.command}`' if row.command else row.differ)
      for i, row in missing
    ]
  return '\n'.join(lines)


def generate(text=None, results=RESULTS) -> str:
  """The page with its table drawn anew."""
  text = PAGE.read_text() if text is None else text
  return between_markers(text, 'benchmarks', table(results))


if __name__ == '__main__':
  PAGE.write_text(generate())
