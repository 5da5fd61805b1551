"""Where the time of a step goes on a CPU: each product's rate, and the rest.

    python -m benchmarks.where [--subject pm_step ppo_iteration decode]
        [--shape S] [--rounds 3] [--json FILE]

A step is traced by `jax.profiler`, and its operations are read from the
compiled program: a matrix product with its shape and the library that runs it
(`ynn` where the compiler took its fast kernels, else `eigen`), and all others.
Shares are of the sum of all operations on all devices; the rate of a product is
that of one device while it runs. Tracing slows small operations a little.
Microbatches are those of `common.for_device`.

Products that Eigen shares out among threads return before they are done: on
several devices their shares are too low, and their rates too high to be true.
"""

import argparse
import collections
import math
import pathlib
import re
import tempfile

import jax

from benchmarks import common, subjects
from benchmarks.shapes import SHAPES

SUBJECTS = {
  'decode': subjects.decode,
  'pm_step': subjects.pm_step,
  'ppo_iteration': subjects.ppo_iteration,
}
MOST = 12  # products that are listed, by their share
INSTRUCTION = re.compile(
  r'^ *(?:ROOT )?%(?P<name>[\w.\-]+) = (?P<type>\w+\[[\d,]*\])\S* '
  r'(?P<op>[\w\-]+)\((?P<rest>.*)$',
  re.M,
)
COMPUTATION = re.compile(r'^%([\w.\-]+) \([^\n]*\{\n(.*?)^\}', re.M | re.S)
# Operations that last as long as what they call.
AROUND = ('while', 'call', 'conditional')


def sizes_of(text):
  """[768, 2048] of 'f32[768,2048]'."""
  inside = text.partition('[')[2].rstrip(']')
  return [int(size) for size in inside.split(',') if size]


def product_of(name, instructions):
  """(batch, M, K, N) of a dot; batch axes are multiplied."""
  row = instructions[name]
  summed, batch = (
    [int(x) for x in found[1].split(',') if x]
    if (found := re.search(rf'lhs_{kind}_dims={{([\d,]*)}}', row['rest']))
    else []
    for kind in ('contracting', 'batch')
  )
  left = sizes_of(
    _type_of(re.search(r'%([\w.\-]+)', row['rest'])[1], instructions)
  )
  B = math.prod(left[i] for i in batch)
  K = math.prod(left[i] for i in summed)
  M = math.prod(left) // (B * K)
  N = math.prod(sizes_of(row['type'])) // (B * M)
  return B, M, K, N


def _type_of(name, instructions):
  return instructions[name]['type']


def operations_of(text):
  """{name: {'kind', 'product'}} of the operations of a compiled program.

  Args:
    text: of the program, as XLA prints it.

  Returns:
    kind 'ynn' or 'eigen' with product (batch, M, K, N), or kind 'other'.
  """
  instructions = {m['name']: m.groupdict() for m in INSTRUCTION.finditer(text)}
  inside = {m[1]: m[2] for m in COMPUTATION.finditer(text)}
  found = {}
  for name, row in instructions.items():
    if row['op'] in AROUND:
      continue
    dot, kind = None, 'other'
    if row['op'] == 'dot':
      dot, kind = name, 'eigen'
    elif row['op'] == 'fusion' and (
      called := re.search(r'calls=%([\w.\-]+)', row['rest'])
    ):
      dots = [
        m['name']
        for m in INSTRUCTION.finditer(inside.get(called[1], ''))
        if m['op'] == 'dot'
      ]
      if dots:
        dot = dots[0]
        kind = 'ynn' if '__ynn' in row['rest'] else 'eigen'
    product = product_of(dot, instructions) if dot else None
    found[name] = {'kind': kind, 'product': product}
  return found


def traced(call, rounds):
  """{name of an operation: (seconds, times)} of some calls, on all threads."""
  seconds, times = collections.Counter(), collections.Counter()
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for _ in range(rounds):
        jax.block_until_ready(call())
    [file] = pathlib.Path(folder).glob('**/*.xplane.pb')
    data = jax.profiler.ProfileData.from_file(str(file))
    for plane in data.planes:
      for line in plane.lines:
        for event in line.events:
          seconds[event.name] += event.duration_ns / 1e9
          times[event.name] += 1
  return {name: (seconds[name], times[name]) for name in seconds}


def lines_of(operations, spent):
  """[(metric, value, unit)]: shares by kind, then products by their share.

  Args:
    operations: of `operations_of`.
    spent: of `traced`.
  """
  kinds, products = collections.Counter(), {}
  for name, row in operations.items():
    seconds, times = spent.get(name, (0.0, 0))
    kinds[row['kind']] += seconds
    if row['product']:
      key = (*row['product'], row['kind'])
      before = products.get(key, (0.0, 0))
      products[key] = before[0] + seconds, before[1] + times
  total = sum(kinds.values())
  lines = [
    (f'share_{kind}', kinds[kind] / total, 'ratio') for kind in sorted(kinds)
  ]
  ordered = sorted(products.items(), key=lambda item: -item[1][0])
  for (B, M, K, N, kind), (seconds, times) in ordered[:MOST]:
    if not seconds:
      continue
    name = f'{kind}_{f"{B}x" if B > 1 else ""}{M}x{K}x{N}'
    rate = 2 * B * M * K * N * times / seconds / 1e9
    lines += [(f'{name}_gflops', rate, 'GFLOP/s')]
    lines += [(f'{name}_share', seconds / total, 'ratio')]
  return lines


def measure(subject, rounds):
  """`lines_of` a subject, on every core."""
  program, state, args = common.compile_subject(
    subject, common.mesh_of(subject)
  )
  call = common.threaded(program.call, state, *args)
  jax.block_until_ready(call())
  return lines_of(operations_of(program.call.as_text()), traced(call, rounds))


def main(argv=None):
  """Traces subjects at shapes; prints and keeps rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.where')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument(
    '--subject', nargs='+', choices=list(SUBJECTS), default=list(SUBJECTS)
  )
  parser.add_argument('--shape', nargs='+', choices=list(SHAPES), default=['S'])
  parser.add_argument('--rounds', type=int, default=3)
  args = parser.parse_args(argv)
  common.use_every_core()
  rows = []
  for shape in args.shape:
    for name in args.subject:
      print(f'{name}, shape {shape}, {common.device_name()}')
      tuned = common.for_device(name, SHAPES[shape])
      lines = measure(SUBJECTS[name](tuned), args.rounds)
      new = common.to_rows(f'where_{name}', shape, lines)
      for row in new:
        common.print_row(row)
      rows += new
      common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
