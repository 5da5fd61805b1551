"""TRL's RLOOTrainer, GRPOTrainer and DPOTrainer from given folders.

    python -m benchmarks.peers.trl_losses --which dpo --start DIR --out DIR

The other side of benchmarks.agreement.losses and .curves, by the file of the
start that --asked names. For the first, losses.json, each update descends the
gradient itself (SGD), so that the change of the weights is the gradient; for
the second, curves.json, by Adam. Writes OUT/0.npz, ... with what the trainer's
own loss was given and gave and what it logged, OUT/0, ... with the policies
after each update, OUT/updates.json with norms of gradients (before they are
clipped) and learning rates, and last OUT/done.json.
"""

import argparse
import importlib.metadata
import json
import pathlib

import datasets
import numpy as np
import torch
import transformers
import trl

from benchmarks.agreement import settings as told
from benchmarks.peers import torch_models

PACKAGES = ('trl', 'transformers', 'torch', 'accelerate')
PAD, EOS = torch_models.PAD, torch_models.EOS


class Saver(transformers.TrainerCallback):
  """Keeps the policy after each update, and the rate that it was made at."""

  def __init__(self, out):
    self.out, self.rates = out, []

  def on_pre_optimizer_step(self, args, state, control, optimizer=None, **_):
    """Called by the trainer before an update."""
    self.rates.append(optimizer.param_groups[0]['lr'])

  def on_step_end(self, args, state, control, model=None, **_):
    """Called by the trainer after an update."""
    model.save_pretrained(self.out / f'{state.global_step - 1}')


def noted(trainer, out):
  """The trainer, whose loss leaves its inputs and what it gives in `out`.

  Beside them what it logged of this update, as metric_NAME.
  """
  plain, calls = trainer._compute_loss, []

  def compute(model, inputs, *rest):
    loss = plain(model, inputs, *rest)
    found = {k: x for k, x in inputs.items() if torch.is_tensor(x)}
    value = loss[0] if isinstance(loss, tuple) else loss
    arrays = {k: x.detach().numpy() for k, x in found.items()}
    logged = {
      f'metric_{name.replace("/", "_")}': np.float64(values[-1])
      for name, values in trainer._metrics['train'].items()
    }
    arrays |= {'loss': value.detach().numpy(), **logged}
    np.savez(out / f'{len(calls)}.npz', **arrays)
    calls.append(value)
    return loss

  trainer._compute_loss = compute
  return trainer


def norms_of(trainer):
  """List to which the trainer will add the norm of each gradient."""
  clip, norms = trainer.accelerator.clip_grad_norm_, []

  def clipped(*args, **options):
    norm = clip(*args, **options)
    norms.append(float(norm))
    return norm

  trainer.accelerator.clip_grad_norm_ = clipped
  return norms


def descent(losses):
  """Arguments of the optimiser: the gradient alone, or Adam."""
  if 'b1' not in losses:
    return dict(
      optim='sgd',
      lr_scheduler_type='constant',
      weight_decay=0.0,
      max_grad_norm=0.0,
    )
  return dict(
    optim='adamw_torch',
    lr_scheduler_type='linear',
    weight_decay=0.0,
    adam_beta1=losses['b1'],
    adam_beta2=losses['b2'],
    adam_epsilon=losses['eps'],
    max_grad_norm=losses['max_grad_norm'],
  )


def shared(settings, losses, out):
  """Arguments that all trainers have."""
  plain = torch_models.training_settings(
    argparse.Namespace(shape=settings), losses['rows']
  )
  return plain | dict(
    output_dir=str(out / 'trainer'),
    gradient_accumulation_steps=1,
    learning_rate=losses['rate'],
    warmup_steps=0,
    max_steps=losses['updates'],
    beta=losses['beta'],
    **descent(losses),
  )


def words(rows):
  """Token ids as texts that the tokenizer gives back."""
  return [' '.join(f'w{i}' for i in row) for row in rows]


def of_replies(trainer, config, start, out, settings, asked, **options):
  """A trainer that samples replies, on the worth of their tokens."""
  worth_V, losses = asked['worth'], asked['settings']

  def worth(completion_ids, **_):
    return [sum(worth_V[i] for i in ids) for ids in completion_ids]

  return trainer(
    model=str(start / 'policy'),  # pi_0 is loaded from there too
    reward_funcs=worth,
    args=config(
      **shared(settings, losses, out),
      num_generations=losses['group'],
      epsilon=losses.get('clip', 0.2),
      max_completion_length=settings.reply_length,
      model_init_kwargs={'dtype': 'float32'},
      **options,
    ),
    train_dataset=datasets.Dataset.from_dict(
      {'prompt': words(asked['prompts'])}
    ),
    processing_class=torch_models.tokenizer_of(settings),
    callbacks=[Saver(out)],
  )


def rloo(*told):
  """Trains by RLOO, an update a batch."""
  return of_replies(trl.RLOOTrainer, trl.RLOOConfig, *told, num_iterations=1)


def grpo(*told):
  """Trains by GRPO as in its paper, some updates a batch."""
  losses = told[-1]['settings']
  return of_replies(
    trl.GRPOTrainer,
    trl.GRPOConfig,
    *told,
    num_iterations=losses['passes'],
    loss_type='grpo',
    scale_rewards='group',
    use_bias_correction_kl=False,
  )


def dpo(start, out, settings, asked):
  """Trains by DPO on the pairs; the trainer adds an end."""
  pairs = asked['pairs']
  return trl.DPOTrainer(
    model=str(start / 'policy'),
    args=trl.DPOConfig(
      **shared(settings, asked['settings'], out),
      model_init_kwargs={'dtype': 'float32'},
    ),
    train_dataset=datasets.Dataset.from_dict(
      {
        'prompt': words(pairs['prompt']),
        **{
          side: [f' {text}' for text in words(pairs[side])]
          for side in ('chosen', 'rejected')
        },
      }
    ),
    processing_class=torch_models.tokenizer_of(settings),
    callbacks=[Saver(out)],
  )


WAYS = {'rloo': rloo, 'grpo': grpo, 'dpo': dpo}


def main(argv=None):
  """Runs one trainer."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--which', choices=list(WAYS), required=True)
  parser.add_argument('--start', type=pathlib.Path, required=True)
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--asked', default='losses.json')
  args = parser.parse_args(argv)
  args.out.mkdir(parents=True, exist_ok=True)
  torch.set_num_threads(1)
  transformers.set_seed(0)
  settings = told.read(args.start / 'settings.json')
  asked = json.loads((args.start / args.asked).read_text())
  trainer = WAYS[args.which](args.start, args.out, settings, asked)
  norms = norms_of(noted(trainer, args.out))
  trainer.train()
  rates = next(
    x.rates for x in trainer.callback_handler.callbacks if isinstance(x, Saver)
  )
  updates = {'grad_norm': norms, 'rate': rates}
  (args.out / 'updates.json').write_text(json.dumps(updates) + '\n')
  done = {'versions': {p: importlib.metadata.version(p) for p in PACKAGES}}
  (args.out / 'done.json').write_text(json.dumps(done) + '\n')


if __name__ == '__main__':
  main()
