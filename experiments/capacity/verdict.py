"""From what was measured of one and two layers to what is said of a rung."""

from experiments.capacity import estimates
from experiments.capacity.estimates import Measured
from experiments.capacity.job import (
  PHASES,
  SHORT,
  TRAINING,
  missing,
  model_config,
  no_room,
)
from rlhf_jax.models import ladder
from rlhf_jax.models.cost import parameter_counts


def axes_of(name, topology, job):
  """Sizes of the mesh axes of a rung on a topology; see `mesh_axes`."""
  _, dims = estimates.parse_topology(topology)
  return estimates.mesh_axes(dims, job, ladder.rung(name).n_heads)


def same_work(row, other):
  """Whether a row holds, or can go on to hold, what another is to.

  It has to be of the same job and mesh; one that is not finished also of the
  same compilers, since two of them make no line.
  """
  keys = ('job', 'mesh', *(['versions'] if missing(row['measured']) else []))
  return all(row[key] == other[key] for key in keys)


def phases_of(measured, job):
  """Work of a step, every loop's body counted as often as it runs.

  A cost analysis counts a body once: `collect` is a prefill and one decoding
  step. `learn` is what an iteration does with the rollouts: reward, reference,
  values, advantages, and one update on all of them.

  Returns:
    {phase: Measured} with the phases of `estimates.analytic_flops`.
  """
  decode = measured['collect'].beyond(measured['prefill'])
  return {
    'pm_step': measured['pm_step'],
    'prefill': measured['prefill'],
    'decode': decode.times(job['reply_length']),
    'learn': measured['iteration'].beyond(measured['collect']),
  }


def fit(needed, line, room):
  """'fits', 'does not fit' or 'open' of a program on a chip.

  It fits if the compiler's own line through one and two layers ends within the
  chip, does not if what it cannot do without is more; between the two it would
  have to gather later than it does where there is room.

  Args:
    needed: bytes of `estimates.needed_memory`.
    line: bytes along the line.
    room: bytes of a chip.
  """
  if needed > room:
    return 'does not fit'
  return 'fits' if line <= room else 'open'


def fitted(phases, analytic, memory, chip, chips, tolerance):
  """One program's row: memory, FLOPs, time and MFU over its phases.

    MFU <= useful FLOPs / (seconds * chips * peak)

  where the seconds are the roofline's and useful FLOPs leave out what
  rematerialisation repeats.

  Args:
    phases: {phase: Measured}, per chip.
    analytic: {phase: (useful, done)} FLOPs, over all chips.
    memory: bytes per chip of the whole program, (needed, along the line).
    chip: Chip.
    chips: their number.
    tolerance: how far XLA's count may be from the analytic one.
  """
  times = {key: estimates.seconds(phases[key], chip) for key in phases}
  total = sum(time for time, _ in times.values())
  flops = chips * sum(phase.flops for phase in phases.values())
  useful, done = (sum(analytic[key][i] for key in phases) for i in (0, 1))
  return {
    'bytes_needed': memory[0],
    'bytes_line': memory[1],
    'fit': fit(*memory, chip.hbm_bytes),
    'flops': flops,
    'flops_ratio': flops / done,
    'flops_agree': abs(flops / done - 1) <= tolerance,
    'seconds': total,
    'mfu_bound': useful / (total * chips * chip.flops),
    'phases': {
      key: {
        'seconds': time,
        'binds': binds,
        'flops_ratio': chips * phases[key].flops / analytic[key][1],
      }
      for key, (time, binds) in times.items()
    },
  }


def _numbers(found):
  """Measured of what the JSON says of a program."""
  return Measured(*(found[field] for field in Measured._fields))


def _checks(row, job):
  """What deeper programs say of the extrapolation from one and two layers.

  Returns:
    [{'program', 'layers', 'memory': bytes, 'needed', 'line': bytes expected,
    'flops': compiled / extrapolated}] of every program that trains and was
    compiled at a further depth.
  """
  found = []
  for depth, programs in row['measured'].items():
    if int(depth) <= 2:
      continue
    config = model_config(row['rung'], job, int(depth))
    line_at, memory = _extrapolated(row, config)
    found += [
      {
        'program': SHORT[key],
        'layers': int(depth),
        'memory': programs[key]['memory'],
        **dict(zip(('needed', 'line'), memory[key], strict=True)),
        'flops': programs[key]['flops'] / line_at[key].flops,
      }
      for key in TRAINING
      if 'flops' in programs.get(key, {})
    ]
  return found


def _deepest(measured, key):
  """(depth, bytes) of the deepest program of its name beyond two layers."""
  deeper = [
    (int(depth), programs[key]['memory'])
    for depth, programs in measured.items()
    if int(depth) > 2 and 'memory' in programs.get(key, {})
  ]
  return max(deeper, default=None)


def _with_deepest(row, config, memory):
  """Memory with its line through two layers and the deepest, if there is one.

  That slope has no workspace in it, so it takes the place of the line through
  one and two layers.
  """
  found = {}
  for key, (needed, line) in memory.items():
    deepest = _deepest(row['measured'], key)
    if deepest:
      depth, at_depth = deepest
      two = row['measured']['2'][key]['memory']
      slope = (at_depth - two) / (depth - 2)
      line = max(needed, two + (config.n_layers - 2) * slope)
    found[key] = (needed, line)
  return found


def _extrapolated(row, config):
  """Work and memory at the depth of a config, from one and two layers.

  Returns:
    ({program: Measured}, {program: (bytes needed, bytes along the line)}); the
    line is never below what is needed.
  """
  one, two = (
    {key: _numbers(found) for key, found in row['measured'][depth].items()}
    for depth in ('1', '2')
  )
  line_at = {
    key: estimates.extrapolate(one[key], two[key], config.n_layers)
    for key in one
  }
  needed = estimates.needed_memory(two, config, row['job'], row['mesh'])
  memory = {
    key: (least, max(least, line_at[key].memory))
    for key, least in needed.items()
  }
  return line_at, memory


def _facts(row, whole, axes, chip, config):
  """What a verdict says beside its judgement."""
  return {
    'rung': row['rung'],
    'topology': row['topology'],
    'mesh': axes,
    'versions': row['versions'],
    'n_params': parameter_counts(whole)['total'],
    'hbm_bytes': chip.hbm_bytes,
    'gpu': {
      str(count): estimates.gpu_bytes(
        whole, config['job'], config['gpu'], count
      )
      for count in (1, 8)
    },
    'compile_seconds': sum(
      program.get('compile_seconds', 0)
      for programs in row['measured'].values()
      for program in programs.values()
    ),
  }


def verdict(row, config):
  """Everything the report says of one rung on one topology.

  Args:
    row: {'rung', 'topology', 'job', 'mesh', 'versions', 'measured': {depth:
      {program: numbers}}}, the numbers those of `Measured`, or {'no_room':
      what the compiler said}.
    config: of `configs/plan.py`.

  Returns:
    A dict; with 'too_large' in place of times if the compiler found no room.

  Raises:
    ValueError: if a program has not been compiled yet, or for another job.
  """
  job, measured = config['job'], row['measured']
  whole = model_config(row['rung'], job)
  axes = axes_of(row['rung'], row['topology'], job)
  if row['job'] != job or row['mesh'] != axes:
    raise ValueError(
      f'{row["rung"]} on {row["topology"]} was compiled for another job or '
      'mesh: run the same plan again'
    )
  chip = estimates.CHIPS[estimates.parse_topology(row['topology'])[0]]
  chips = axes['fsdp'] * axes['model']
  found = _facts(row, whole, axes, chip, config)
  if no_room(measured):
    return found | {'too_large': no_room(measured)}
  if lacking := missing(measured):
    raise ValueError(
      f'{row["rung"]} on {row["topology"]} lacks {lacking}: run the same plan '
      'again, which compiles only that'
    )
  line_at, memory = _extrapolated(row, whole)
  memory = _with_deepest(row, whole, memory)
  phases = phases_of(line_at, job)
  analytic = estimates.analytic_flops(whole, job)
  for key, short in SHORT.items():
    found[short] = fitted(
      {phase: phases[phase] for phase in PHASES[key]},
      analytic,
      memory[key],
      chip,
      chips,
      config['tolerance'],
    )
  steps = (found[short]['seconds'] for short in SHORT.values())
  return found | {
    'checks': _checks(row, job),
    'hours': estimates.study_hours(job, config['study'], *steps),
  }
