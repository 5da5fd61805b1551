"""Draws tables of docs/performance.md, numerics.md and baselines.md.

    python -m scripts.make_performance_doc

They are those of benchmarks/results/. Nothing is measured here; `make bench`,
`make bench-peers`, `make agreement` and `make gpu` write the files. What no
file holds reads "not measured".
"""

import csv
import json
import pathlib

from experiments.shared.markdown import between_markers
from scripts import curve_tables
from scripts.agreement_tables import (
  agreement_table,
  losses_table,
  parity_table,
  told_table,
)
from scripts.markdown_tables import NOTHING, interval_of, markdown, number
from scripts.where_tables import (
  METRICS,
  earlier_table,
  features_table,
  microbatches_table,
  modes_table,
  where_table,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
PAGE = ROOT / 'docs' / 'performance.md'
NUMERICS = ROOT / 'docs' / 'numerics.md'
BASELINES = ROOT / 'docs' / 'baselines.md'
ROUNDED_STUDY = (
  ROOT / 'results' / 'parts' / 'micro-bf16-200-204' / 'changes.csv'
)
OURS = ('pm_step', 'decode', 'ppo_iteration')
RATES = ('pm_pairs_per_s', 'decode_tokens_per_s', 'ppo_samples_per_s')
GPU_ROWS = {  # chunk of benchmarks.gpu: (shape, metric, what it must reach)
  'pm_step': ('810M', 'share_of_products_rate', '.45 of the matmul rate'),
  'decode': ('810M', 'share_of_bandwidth_floor', '.50 of the bandwidth floor'),
}
BEST = 'share_of_best_products_rate'


def load(device, name):
  """Rows of one file of a device; [] where it was not measured."""
  path = RESULTS / device / f'{name}.json'
  return json.loads(path.read_text()) if path.exists() else []


def cpu_folders():
  """Folders of processors, that of no recorded processor first."""
  if not RESULTS.exists():
    return []
  names = [p.name for p in RESULTS.iterdir() if p.name.endswith('-cores')]
  return sorted(names, key=lambda name: (not name.startswith('cpu-'), name))


def each_processor(name, table):
  """The table of one file for every processor that has it, one after another.

  Above each stands the processor, where its rows name one.
  """
  blocks = []
  for folder in cpu_folders():
    rows = load(folder, name)
    if rows:
      blocks.append('\n\n'.join([*_processor(rows), table(rows)]))
  return '\n\n'.join(blocks) or table([])


def _processor(rows):
  told = rows[0] if isinstance(rows, list) else rows
  if 'processor' not in told:
    return []
  return [f'*{told["processor"]}: {told["extensions"]}*']


def shares_tables():
  """Rates of our functions alone, for every processor."""
  blocks = []
  for folder in cpu_folders():
    files = {name: load(folder, name) for name in OURS}
    known = [rows for rows in files.values() if rows]
    if known:
      blocks.append('\n\n'.join([*_processor(known[0]), shares_table(files)]))
  return '\n\n'.join(blocks) or NOTHING


def peers_table(rows):
  """Ours and theirs, of one alternating run."""
  header = ['shape', 'metric', 'peer', 'ours', 'theirs', 'ratio']
  body = [
    [
      row['shape'],
      METRICS.get(row['metric'], row['unit']),
      f'{row["peer"]} {row["version"]}',
      number(row['ours']),
      number(row['theirs']),
      f'**{row["ratio"]:.2f}**' + interval_of(row),
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
    'of the best library',
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
          f'{value(BEST):.0%}' if BEST in found else NOTHING,
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


def data_table(rows):
  """Rates of the data path, by the median round."""
  return sweep_table([r for r in rows if not r['metric'].endswith('_best')])


def memory_table(rows):
  """MB of temporaries by program, length and chunk, and how they grow."""
  found, told_of = {}, {}
  for row in rows:
    *model, length, chunk = row['shape'].split()
    program = row['metric'].removesuffix('_temp_bytes')
    length, chunk = (text.split('=')[1] for text in (length, chunk))
    found[program, int(length), chunk] = row['value']
    told_of |= {' '.join(model): row['commit']}
  chunks = list(dict.fromkeys(chunk for _, _, chunk in found))
  body = []
  for program in dict.fromkeys(name for name, _, _ in found):
    lengths = sorted({T for name, T, _ in found if name == program})
    sizes = {T: [found[program, T, c] / 1e6 for c in chunks] for T in lengths}
    first, last = lengths[0], lengths[-1]
    sizes[f'{last} less {first}'] = [
      more - less for less, more in zip(sizes[first], sizes[last], strict=True)
    ]
    body += [
      [program, str(T), *(f'{size:,.0f}' for size in sizes[T])] for T in sizes
    ]
  notes = [f'{model}, commit {commit}.' for model, commit in told_of.items()]
  return '\n\n'.join([markdown(['program', 'T', *chunks], body), *notes])


def tried_table(rows):
  """What was tried, with the rate over that of the code as it is."""
  body = [
    [
      row['try'],
      f'{row["cpu_ratio"]:.2f}',
      f'{row["wall_ratio"]:.2f}',
      'yes' if row['kept'] else 'no',
      row['note'],
    ]
    for row in rows
  ]
  return markdown(['try', 'CPU time', 'wall', 'kept', 'numbers'], body)


def matmul_table(rows):
  """Errors of products with rounded inputs, a column for each shape."""
  shapes = list(dict.fromkeys(row['shape'] for row in rows))
  found = {(row['metric'], row['shape']): row for row in rows}
  body = [
    [
      name.replace('_', ' '),
      found[name, shapes[0]]['unit'],
      *(f'{found[name, shape]["value"]:.1e}' for shape in shapes),
    ]
    for name in dict.fromkeys(name for name, _ in found)
  ]
  return markdown(['error', 'unit', *shapes], body)


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


def performance_tables():
  """{name: table} of docs/performance.md."""
  agreed = [load(folder, 'agreement') for folder in cpu_folders()]
  agreement = next(filter(None, reversed(agreed)), [])
  same = [load(folder, 'agreement_losses') for folder in cpu_folders()]
  return {
    'agreement_told': told_table(agreement),
    'agreement_parity': parity_table(agreement),
    'agreement': agreement_table(agreement),
    'agreement_losses': losses_table(next(filter(None, reversed(same)), [])),
    'peers': each_processor('peers', peers_table),
    'shares': shares_tables(),
    'data': each_processor('data_rate', data_table),
    'real': each_processor('real_decode', real_table),
    'features': each_processor('features', features_table),
    'tried': each_processor('tried', tried_table),
    'sweep': each_processor('sweep', sweep_table),
    'members': each_processor('vmapped_sweep', sweep_table),
    'exponents': each_processor('scaling', exponents_table),
    'where': each_processor('where', where_table),
    'microbatches': each_processor('microbatches', microbatches_table),
    'earlier': each_processor('earlier', earlier_table),
    'modes': each_processor('modes', modes_table),
    'h200': gpu_table(),
  }


def real_table(rows):
  """A real model's decoding, by how its weights are stored."""
  header = ['model', 'rows', 'stored', 'tokens/s', 'of plain', 'of a copy']
  found = {row['metric']: row['value'] for row in rows}
  body = []
  for metric, value in found.items():
    key = metric.removesuffix('_tokens_per_s')
    if key == metric:
      continue
    stored, _, count = key.removeprefix('decode_').rpartition('_')
    shares = [found[f'{key}_{what}'] for what in ('speedup', 'share_of_copy')]
    body.append([rows[0]['shape'], count, stored, number(value)])
    body[-1] += [f'{shares[0]:.2f}', f'{shares[1]:.0%}']
  note = f'\n\nCommit {rows[0]["commit"]}.' if rows else ''
  return markdown(header, body) + note


def study_table(path=ROUNDED_STUDY):
  """What changes in a study whose products are of bfloat16, seed by seed.

  Args:
    path: changes.csv of `experiments.compare`.
  """
  header = ['claim', 'number', 'float32', 'bf16_f32', 'change']
  with path.open(newline='') as file:
    body = [
      [
        row['claim'],
        row['name'].replace('_', ' '),
        *(number(float(row[key])) for key in ('first', 'second')),
        '{:+.4f} [{:+.4f}, {:+.4f}]'.format(
          *(float(row[key]) for key in ('difference', 'low', 'high'))
        ),
      ]
      for row in csv.DictReader(file)
    ]
  return markdown(header, body)


def numerics_tables():
  """{name: table} of docs/numerics.md."""
  return {
    'memory': each_processor('memory', memory_table),
    'matmul': each_processor('matmul_errors', matmul_table),
    'matmul_study': study_table(),
  }


PAGES = {
  PAGE: performance_tables,
  NUMERICS: numerics_tables,
  BASELINES: lambda: curve_tables.tables(RESULTS),
}


def generate(path):
  """The text of a page with every table drawn anew."""
  page = path.read_text()
  for name, table in PAGES[path]().items():
    page = between_markers(page, name, table)
  return page


if __name__ == '__main__':
  for path in PAGES:
    path.write_text(generate(path))
    print(f'wrote {path.relative_to(ROOT)}')
