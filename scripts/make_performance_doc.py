"""Draws the tables of docs/performance.md from benchmarks/results/.

    python -m scripts.make_performance_doc

Nothing is measured here; `make bench`, `make bench-peers` and `make gpu` write
the files. What no file holds reads "not measured".
"""

import json
import pathlib

from experiments.plan_table import between_markers

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
PAGE = ROOT / 'docs' / 'performance.md'
OURS = ('pm_step', 'decode', 'ppo_iteration')
RATES = ('pm_pairs_per_s', 'decode_tokens_per_s', 'ppo_samples_per_s')
GPU_ROWS = {  # chunk of benchmarks.gpu: (shape, metric, what it must reach)
  'pm_step': ('810M', 'share_of_products_rate', '.45 of the matmul rate'),
  'decode': ('810M', 'share_of_bandwidth_floor', '.50 of the bandwidth floor'),
}
NOTHING = 'not measured'


def markdown(header, rows):
  """A Markdown table, or the words that nothing was measured."""
  if not rows:
    return NOTHING
  lines = [header, ['---'] * len(header), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def load(device, name):
  """Rows of one file of a device; [] where it was not measured."""
  path = RESULTS / device / f'{name}.json'
  return json.loads(path.read_text()) if path.exists() else []


def number(value):
  """Three digits and no exponent."""
  return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def peers_table(rows):
  """Ours and theirs, of one alternating run."""
  header = ['shape', 'metric', 'peer', 'ours', 'theirs', 'ratio']
  body = [
    [
      row['shape'],
      row['unit'],
      f'{row["peer"]} {row["version"]}',
      number(row['ours']),
      number(row['theirs']),
      f'**{row["ratio"]:.2f}**',
    ]
    for row in rows
  ]
  commits = sorted({row['commit'] for row in rows})
  note = f'\n\nCommit {", ".join(commits)}.' if rows else ''
  return markdown(header, body) + note


def shares_table(files):
  """Rates of our functions alone, and their share of the machine's."""
  header = [
    'shape',
    'function',
    'rate',
    'GFLOP/s',
    'of its products',
    'of 2048³',
  ]
  body = []
  for name, rate in zip(OURS, RATES, strict=True):
    shapes = dict.fromkeys(row['shape'] for row in files[name])
    for shape in shapes:
      found = {r['metric']: r for r in files[name] if r['shape'] == shape}
      value = lambda key, found=found: found[key]['value']
      body.append(
        [
          shape,
          name,
          f'{number(value(rate))} {found[rate]["unit"]}',
          number(value('gflops_per_s')),
          f'{value("share_of_products_rate"):.0%}',
          f'{value("share_of_cube_rate"):.0%}',
        ]
      )
  return markdown(header, body)


def exponents_table(rows):
  """Fitted exponents with their intervals, and those of the FLOPs."""
  value = {row['metric']: row['value'] for row in rows}
  suffix = '_exponent_expected'
  names = [key[: -len(suffix)] for key in value if key.endswith(suffix)]
  body = [
    [
      name.replace('_', ' '),
      f'{value[f"{name}_exponent"]:.2f}',
      f'[{value[f"{name}_exponent_low"]:.2f}, '
      f'{value[f"{name}_exponent_high"]:.2f}]',
      f'{value[f"{name}{suffix}"]:.2f}',
    ]
    for name in names
  ]
  return markdown(['cost against', 'exponent', '95 %', 'of the theory'], body)


def sweep_table(rows):
  """A sweep of eight runs, and members of one program."""
  body = [
    [row['shape'], row['metric'], f'{number(row["value"])} {row["unit"]}']
    for row in rows
  ]
  return markdown(['shape', 'figure', 'value'], body)


def gpu_table(device='nvidia-h200'):
  """What is asked of a GPU, and what was found."""
  body = []
  for chunk, (shape, metric, asked) in GPU_ROWS.items():
    found = [
      row['value']
      for row in load(device, chunk)
      if (row['shape'], row['metric']) == (shape, metric)
    ]
    body.append([f'{chunk}, {shape}', asked, *map(number, found or [])])
    body[-1] += [NOTHING] * (3 - len(body[-1]))
  return markdown(['on an H200', 'must reach', 'reached'], body)


def generate(page, device='cpu-2-cores'):
  """The page with every table drawn anew."""
  tables = {
    'peers': peers_table(load(device, 'peers')),
    'shares': shares_table({name: load(device, name) for name in OURS}),
    'sweep': sweep_table(load(device, 'sweep')),
    'members': sweep_table(load(device, 'vmapped_sweep')),
    'exponents': exponents_table(load(device, 'scaling')),
    'h200': gpu_table(),
  }
  for name, table in tables.items():
    page = between_markers(page, name, table)
  return page


if __name__ == '__main__':
  PAGE.write_text(generate(PAGE.read_text()))
  print(f'wrote {PAGE.relative_to(ROOT)}')
