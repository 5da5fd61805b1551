"""Tables of rates: where a step's time goes, microbatches, earlier commits."""

import re

from scripts.markdown_tables import interval_of, markdown, number

METRICS = {  # where the unit does not say what was done
  'pm_pairs_per_s_read_whole': 'pairs/s, read whole',
  'rloo_samples_per_s': 'samples/s, no critic',
}

SHOWN = 3  # products of a step
NAMED = re.compile(r'(?P<kind>ynn|eigen)_(?P<shape>[\dx]+)_share')


def where_table(rows):
  """Shares of a step's time: products by their kernels, and the rest.

  Args:
    rows: of `benchmarks.where`.
  """
  header = ['shape', 'function', 'products, fast kernels', 'other products']
  header += ['the rest', 'largest products: share, GFLOP/s of a device']
  body = []
  for shape, name in dict.fromkeys((r['shape'], r['benchmark']) for r in rows):
    found = {
      row['metric']: row['value']
      for row in rows
      if (row['shape'], row['benchmark']) == (shape, name)
    }
    share = lambda kind, found=found: f'{found.get(f"share_{kind}", 0.0):.0%}'
    shares = [share(kind) for kind in ('ynn', 'eigen', 'other')]
    body.append([shape, name.removeprefix('where_'), *shares, _largest(found)])
  return markdown(header, body)


def _largest(found):
  """'1024x256x2048 10%, 86; ...' of the products with the largest shares."""
  parts = []
  for metric in found:
    named = NAMED.fullmatch(metric)
    if named and len(parts) < SHOWN:
      rate = found[f'{named["kind"]}_{named["shape"]}_gflops']
      mark = '' if named['kind'] == 'ynn' else ' (other)'
      parts.append(f'{named["shape"]}{mark} {found[metric]:.0%}, {rate:.0f}')
  return '; '.join(parts)


def microbatches_table(rows):
  """Rows of a microbatch by processor, and what they gain.

  Args:
    rows: of `benchmarks.microbatches`.
  """
  header = ['shape', 'function', 'rows', 'rate over that of the default']
  found = {(row['shape'], row['metric']): row['value'] for row in rows}
  body = [
    [
      shape,
      metric.removesuffix('_rows'),
      f'{value:.0f}',
      f'{found[shape, metric.removesuffix("_rows") + "_gain"]:.2f}',
    ]
    for (shape, metric), value in found.items()
    if metric.endswith('_rows')
  ]
  return markdown(header, body)


def earlier_table(rows):
  """Rates of a tree beside those of an earlier commit, from one run.

  Args:
    rows: of `benchmarks.earlier`.
  """
  header = ['instructions', 'shape', 'metric', 'now', 'earlier', 'ratio']
  header += ['of the fastest rounds']
  body = [
    [
      row['isa'] or 'all',
      row['shape'],
      METRICS.get(row['metric'], row['unit']),
      number(row['now']),
      number(row['earlier']),
      f'**{row["ratio"]:.2f}**' + interval_of(row),
      f'{row["best_ratio"]:.2f}',
    ]
    for row in rows
  ]
  pairs = {(row['commit'], row['earlier_commit']) for row in rows}
  notes = [f'{now} beside {earlier}.' for now, earlier in sorted(pairs)]
  return '\n\n'.join([markdown(header, body), *notes])


def modes_table(rows):
  """Rates with products in bfloat16 beside float32, by turns.

  Args:
    rows: of `benchmarks.modes`.
  """
  header = ['shape', 'metric', 'bf16_f32', 'float32', 'ratio']
  body = [
    [
      row['shape'],
      METRICS.get(row['metric'], row['unit']),
      number(row['bf16_f32']),
      number(row['float32']),
      f'**{row["ratio"]:.2f}**' + interval_of(row),
    ]
    for row in rows
  ]
  commits = sorted({row['commit'] for row in rows})
  return markdown(header, body) + f'\n\nCommit {", ".join(commits)}.'


def features_table(rows):
  """Pooled features of a real model: tokens a second, in four ways.

  Args:
    rows: of `benchmarks.features`.
  """
  value = {row['metric']: row['value'] for row in rows}
  rates = [key for key in value if key.endswith('_tokens_per_s')]
  body = []
  for key in rates:
    way = key.removeprefix('features_').removesuffix('_tokens_per_s')
    products, _, widths = way.rpartition('_')
    gain = value[key.replace('_tokens_per_s', '_speedup')]
    body.append(
      [rows[0]['shape'], products, widths, number(value[key]), f'{gain:.2f}']
    )
  header = ['model', 'products', 'widths', 'tokens/s', 'of the first']
  note = f'\n\nCommit {rows[0]["commit"]}.' if rows else ''
  return markdown(header, body) + note
