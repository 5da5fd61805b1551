"""What a plan prints: a report of one rung, and the tables of docs/scale.md."""

from pathlib import Path

from experiments.capacity import estimates
from experiments.capacity.job import SHORT, model_config
from experiments.shared.markdown import between_markers, markdown
from rlhf_jax.models import ladder

ROOT = Path(__file__).resolve().parents[2]
PAGE, ROWS = ROOT / 'docs' / 'scale.md', ROOT / 'docs' / 'scale.json'
TITLES = {'pm': 'PM', 'ppo': 'PPO'}


def _gigabytes(count):
  return f'{count / 1e9:.1f} GB'


def _range(part):
  """Bytes that are needed, and those along the line, in GB."""
  low, high = part['bytes_needed'] / 1e9, part['bytes_line'] / 1e9
  return f'{low:.1f}-{high:.1f} GB'


def _mesh(found):
  axes = found['mesh']
  return f'fsdp {axes["fsdp"]}, model {axes["model"]}'


def report(found, config):
  """A verdict as text."""
  lines = [
    f'{found["rung"]} ({found["n_params"]:,} parameters, embedding included) '
    f'on {found["topology"]}: {_mesh(found)}'
  ]
  if 'too_large' in found:
    return '\n'.join([*lines, f'  does not fit: {found["too_large"]}'])
  for key, title in (('pm', 'PM step'), ('ppo', 'PPO iteration')):
    part = found[key]
    agree = 'agrees with' if part['flops_agree'] else 'DIFFERS from'
    lines += [
      f'  {title}: {_range(part)} per chip of '
      f'{_gigabytes(found["hbm_bytes"])}: {part["fit"]}',
      f'    {part["flops"]:.3g} FLOPs, {part["flops_ratio"]:.3f} of the '
      f'analytic count: {agree} it',
      f'    {part["seconds"]:.3g} s at the roofline, MFU at most '
      f'{part["mfu_bound"]:.0%}',
    ]
    lines += [
      f'      {phase}: {time["seconds"]:.3g} s, bound by {time["binds"]}, '
      f'FLOPs ratio {time["flops_ratio"]:.3f}'
      for phase, time in part['phases'].items()
    ]
  hours, study = found['hours'], config['study']
  lines.append(
    f'  study: {study["pm_pairs"]:,} pairs {hours["pm"]:.2g} h + '
    f'{study["ppo_samples"]:,} PPO samples {hours["ppo"]:.2g} h at the '
    f'roofline; {hours["at_share"]:.2g} h at '
    f'{study["share_of_bound"]:.0%} of it'
  )
  for count, need in found['gpu'].items():
    needs = f'PM {_gigabytes(need["pm"])}, PPO {_gigabytes(need["ppo"])} each'
    lines.append(f'  {count} x 80 GB GPU (estimate): {needs}')
  return '\n'.join([*lines, *_checked(found)])


def _checked(found):
  """Lines that compare programs of a further depth with the extrapolation."""
  return [
    f'{TITLES[check["program"]]} of {found["rung"]} on {found["topology"]}, '
    f'compiled at {check["layers"]} layers: {check["memory"] / 1e9:.2f} GB per '
    f'chip, expected {check["needed"] / 1e9:.2f} to {check["line"] / 1e9:.2f}; '
    f'{check["flops"]:.3f} of the extrapolated FLOPs.'
    for check in found['checks']
  ]


def _names(rungs):
  """'all', 'none', or the names with commas, of the paper's ladder."""
  if not rungs:
    return 'none'
  return 'all' if set(rungs) == set(ladder.PAPER) else ', '.join(rungs)


def _cells(found):
  """Cells of one rung: memory, time, MFU and FLOPs of PM and PPO, hours."""
  if 'too_large' in found:
    return ['the compiler finds no room'] + ['-'] * 8
  cells = []
  for key in SHORT.values():
    part = found[key]
    fits = part['fit'] if part['fit'] == 'fits' else f'**{part["fit"]}**'
    cells += [
      f'{_range(part)}, {fits}',
      f'{part["seconds"]:.2g} s',
      f'{part["mfu_bound"]:.0%}',
      f'{part["flops_ratio"]:.3f}',
    ]
  return [*cells, f'{found["hours"]["at_share"]:.2g} h']


def _in_words(found):
  """Lines that say what fits, what binds, whether the counts agree.

  Args:
    found: verdicts of one topology, in the order of the ladder.
  """
  known = [one for one in found if 'too_large' not in one]
  lines = []
  for key, title in TITLES.items():
    for what, test, wanted in (
      ('fits', 'fit', 'fits'),
      ('open', 'fit', 'open'),
      ('FLOPs agree', 'flops_agree', True),
    ):
      rungs = [one['rung'] for one in known if one[key][test] == wanted]
      lines.append(f'{title} {what}: {_names(rungs)}.')
  for phase in ('prefill', 'decode', 'learn'):
    part = [(one['rung'], one['ppo']['phases'][phase]) for one in known]
    rungs = [rung for rung, time in part if time['binds'] == 'bytes']
    lines.append(f'PPO, {phase} is bound by bytes: {_names(rungs)}.')
  share = lambda part: part['phases']['decode']['seconds'] / part['seconds']
  shares = [f'{one["rung"]} {share(one["ppo"]):.0%}' for one in known]
  lines.append(f'Decoding takes, of the iteration: {", ".join(shares)}.')
  hours = sum(one['hours']['at_share'] for one in known)
  lines.append(f'Study hours of these rungs together: {hours:.3g}.')
  lines += [line for one in known for line in _checked(one)]
  spent = [f'{one["rung"]} {one["compile_seconds"]:.0f} s' for one in found]
  lines.append(f'Compiling took, of processor time: {", ".join(spent)}.')
  there = [one['rung'] for one in found]
  lacking = [name for name in ladder.PAPER if name not in there]
  return [*lines, f'Not compiled yet: {_names(lacking)}.'] if lacking else lines


def tpu_table(found, topology):
  """Markdown: one line a rung on one topology, and the same in words.

  Args:
    found: verdicts.
    topology: which of them.
  """
  order = list(ladder.PAPER)
  found = [one for one in found if one['topology'] == topology]
  found = sorted(found, key=lambda one: order.index(one['rung']))
  body = [[one['rung'], _mesh(one), *_cells(one)] for one in found]
  header = ['rung', 'mesh']
  for title in TITLES.values():
    header += [f'{title}: per chip', 'time', 'MFU at most', 'FLOPs ratio']
  table = markdown([*header, 'study'], body)
  words = '\n'.join(f'- {line}' for line in _in_words(found))
  return f'{table}\n\n{words}'


def gpu_table(config):
  """Markdown: estimated bytes on 1 and 8 GPUs, and what fits."""
  job, gpu = config['job'], config['gpu']
  limit = gpu['bytes'] * gpu['usable']
  columns = [(count, key) for count in (1, 8) for key in TITLES]
  fitting, body = {column: [] for column in columns}, []
  for name in ladder.PAPER:
    cells = [name]
    for count, key in columns:
      model = model_config(name, job)
      need = estimates.gpu_bytes(model, job, gpu, count)[key]
      cells.append(f'{_gigabytes(need)}, {"fits" * (need <= limit) or "no"}')
      if need <= limit:
        fitting[count, key].append(name)
    body.append(cells)
  title = lambda count, key: f'{count} GPU{"s" * (count > 1)}: {TITLES[key]}'
  table = markdown(['rung', *(title(*column) for column in columns)], body)
  words = '\n'.join(
    f'- {title(*column)} fits: {_names(fitting[column])}.' for column in columns
  )
  return f'{table}\n\n{words}'


def generate(page, found, config):
  """The page with every table drawn anew from the verdicts."""
  topologies = list(dict.fromkeys(one['topology'] for one in found))
  tables = [f'### {name}\n\n{tpu_table(found, name)}' for name in topologies]
  versions = {tuple(one['versions'].items()) for one in found}
  tables += [
    ', '.join(f'{key} {value}' for key, value in each) + '.'
    for each in sorted(versions)
  ]
  page = between_markers(page, 'tpu', '\n\n'.join(tables))
  return between_markers(page, 'gpu', gpu_table(config))


def write(found, config):
  """Writes docs/scale.md."""
  PAGE.write_text(generate(PAGE.read_text(), found, config))
  print(f'wrote {PAGE.relative_to(ROOT)}')
