"""The table of docs/clusters.md: memory and hours of each size of a sweep."""

from pathlib import Path

from experiments.capacity import gpu_estimates as estimates
from experiments.capacity.tables import between_markers, markdown
from rlhf_jax.models import cost

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'clusters.md'


def table(config, chosen):
  """Markdown: bytes a GPU and hours of each size, for 1 to 8 GPUs.

  Args:
    config: of the sweep, a plain dict.
    chosen: {size: GPUs of its jobs}.
  """
  machine, body = config['machine'], []
  limit = machine['memory'] * machine['usable']
  for size in config['sizes']:
    model = estimates.model_of(config, size)
    total = cost.parameter_counts(model)['total'] - 2 * model.d_model
    for count in machine['counts']:
      need = estimates.gpu_bytes(config, size, count)
      spent = estimates.hours(config, size, count)
      body.append(
        [
          size if count == machine['counts'][0] else '',
          f'{total:,}' if count == machine['counts'][0] else '',
          f'**{count}**' if count == chosen[size] else f'{count}',
          *(
            f'{need[key] / 1e9:.1f} GB' + ('' if need[key] <= limit else ', no')
            for key in need
          ),
          *(f'{spent[key]:.2f} h' for key in spent),
        ]
      )
  header = ['size', 'parameters', 'GPUs', 'PM: each GPU', 'PPO: each GPU']
  return markdown([*header, 'PM: hours', 'PPO: hours'], body)


def totals(config, chosen):
  """Sentences: GPU hours and disk of the whole sweep; see `table`."""
  seeds, hours, disk = len(config['seeds']), 0.0, 0.0
  for size in config['sizes']:
    spent = estimates.hours(config, size, chosen[size])
    hours += seeds * chosen[size] * (2 * spent['pm'] + spent['ppo'])
    disk += seeds * estimates.disk_bytes(config, size)
  jobs = 1 + 3 * seeds * len(config['sizes'])
  return (
    f'{jobs} jobs on the numbers of GPUs in bold: {hours:.0f} GPU hours; '
    f'{disk / 1e12:.1f} TB of disk.'
  )


def write(config, chosen):
  """Writes the tables of docs/clusters.md."""
  PAGE.write_text(generate(PAGE.read_text(), config, chosen))
  print(f'wrote {PAGE.relative_to(ROOT)}')


def generate(page, config, chosen):
  """The page with the table drawn anew."""
  text = f'{table(config, chosen)}\n\n{totals(config, chosen)}'
  return between_markers(page, 'pythia', text)
