"""Memory and hours of the jobs of a cluster sweep, before anything runs.

Bytes are those of `estimates.gpu_bytes` for any TransformerConfig, and
what the stages hold beyond it: the running average of a preference model;
beside PPO the test PM, and activations while the cache is filled. Hours rest on
two assumptions of the config: the share of a GPU's peak that whole sequences
reach (`mfu`), and the share of its bandwidth that decoding reaches (`share`).
"""

import math
from pathlib import Path

from experiments.capacity import estimates
from experiments.shared.markdown import between_markers, markdown
from rlhf_jax.models import cost, footprint, ladder

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'clusters.md'


def model_of(config, size):
  """TransformerConfig of a size of the sweep."""
  rows = ladder.PYTHIA_ROWS + 1  # and end-of-context
  return ladder.config_for(size, rows, dtype=config['dtype'])


def work_of(config):
  """The `job` of `estimates`: every sequence at its longest."""
  P, R = config['max_prompt'], config['max_reply']
  return {
    'pm_pairs': config['pm']['batch_size'],
    'pm_length': P + R + 1,
    'prompts': config['rl']['batch_size'],
    'prompt_length': P,
    'reply_length': R,
  }


def gpu_bytes(config, size, count):
  """Bytes each of `count` GPUs needs: {'pm': ..., 'ppo': ...}."""
  model, work = model_of(config, size), work_of(config)
  decode_rows = math.ceil(config['rl']['batch_size'] / count)
  copy = footprint.frozen_bytes(model) / count  # the average, or the test PM
  # Forwards alone, half of what a block takes with its gradients.
  filling = footprint.block_bytes(model, decode_rows, work['prompt_length']) / 2
  more = {'pm': copy, 'ppo': copy + filling}
  found = {}
  for stage in more:
    at_once = config['rows_at_once']['pm' if stage == 'pm' else 'rl']
    gpu = {'train_rows': at_once, 'decode_rows': decode_rows}
    need = estimates.gpu_bytes(model, work, gpu, count)[stage]
    found[stage] = need + more[stage]
  return found


def decode_seconds(config, size, count):
  """Seconds of sampling one batch of replies.

    R max(FLOPs / (mfu peak), bytes / (share bandwidth))
    + R gathered / (share link)

  Bytes of a token: the weights in float32 and the whole cache. Weights that are
  cut over GPUs are gathered at every token, in bfloat16.
  """
  model, work = model_of(config, size), work_of(config)
  machine = config['machine']
  rows, R = work['prompts'] / count, work['reply_length']
  n_params = cost.parameter_counts(model)['total']
  slots = work['prompt_length'] + R
  traffic = 4 * n_params + footprint.cache_bytes(model, rows, slots)
  flops = estimates.analytic_flops(model, work)['decode'][0] / R / count
  step = max(
    flops / (machine['mfu'] * machine['flops']),
    traffic / (machine['share'] * machine['bandwidth']),
  )
  gathered = 2 * n_params * (count - 1) / count
  return R * (step + gathered / (machine['share'] * machine['link']))


def hours_of(config, size, count):
  """Hours on `count` GPUs: {'pm': of one preference model, 'ppo': of one run}.

  FLOPs / (count mfu peak)  of whole sequences, without what is repeated by
  rematerialisation, and `decode_seconds`; for PPO the evaluations with them
  """
  model, work = model_of(config, size), work_of(config)
  machine = config['machine']
  flops = estimates.analytic_flops(model, work)
  rate = count * machine['mfu'] * machine['flops']
  pm, rl = config['pm'], config['rl']
  steps = pm['pairs'] * pm['epochs'] / pm['batch_size']
  T, B = work['prompt_length'] + work['reply_length'], work['prompts']
  sample = decode_seconds(config, size, count) + flops['prefill'][0] / rate
  learn = rl['passes'] * flops['learn'][0] / rate
  # Policy, pi_0 and two PMs read each reply.
  read = 4 * B * cost.forward_flops(model, T, logits=False) / rate
  judged = rl['eval_prompts'] * (evaluations(rl) + rl['pi0_samples'])
  seconds = rl['iterations'] * (sample + learn) + judged / B * (sample + read)
  return {
    'pm': steps * flops['pm_step'][0] / rate / 3600,
    'ppo': seconds / 3600,
  }


def evaluations(rl):
  """How often a run evaluates its policy, the last of all included."""
  dense = min(rl['dense_iterations'], rl['iterations'])
  sparse = max(rl['iterations'] - dense, 0)
  return dense // rl['dense_every'] + math.ceil(sparse / rl['sparse_every']) + 3


def disk_bytes(config, size):
  """What one seed of a size keeps: checkpoints and parameters of three runs."""
  n_params = cost.parameter_counts(model_of(config, size))['total']
  of_pm, of_ppo = 4 * 4 + 4, 2 * 3 * 4 + 4  # with moments; and what is kept
  return n_params * (2 * of_pm + of_ppo)


def table(config, chosen):
  """Markdown: bytes a GPU and hours of each size, for 1 to 8 GPUs.

  Args:
    config: of the sweep, a plain dict.
    chosen: {size: GPUs of its jobs}.
  """
  machine, body = config['machine'], []
  limit = machine['memory'] * machine['usable']
  for size in config['sizes']:
    model = model_of(config, size)
    total = cost.parameter_counts(model)['total'] - 2 * model.d_model
    for count in machine['counts']:
      need = gpu_bytes(config, size, count)
      spent = hours_of(config, size, count)
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
    spent = hours_of(config, size, chosen[size])
    hours += seeds * chosen[size] * (2 * spent['pm'] + spent['ppo'])
    disk += seeds * disk_bytes(config, size)
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
