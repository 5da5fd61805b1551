"""TRL's RLOOTrainer and DPOTrainer from given folders: three plain updates.

    python -m benchmarks.peers.trl_losses --which dpo --start DIR --out DIR

The other side of benchmarks.agreement.losses. Each update descends the gradient
itself (SGD), so that the change of the weights is the gradient. Writes
OUT/0.npz, ... with what the trainer's own loss was given and gave, OUT/0, ...
with the policies after each update, and last OUT/done.json.
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
  """Keeps the policy after each update."""

  def __init__(self, out):
    self.out = out

  def on_step_end(self, args, state, control, model=None, **_):
    """Called by the trainer after an update."""
    model.save_pretrained(self.out / f'{state.global_step - 1}')


def noted(trainer, out):
  """The trainer, whose loss leaves its inputs and what it gives in `out`."""
  plain, calls = trainer._compute_loss, []

  def compute(model, inputs, *rest):
    loss = plain(model, inputs, *rest)
    found = {k: x for k, x in inputs.items() if torch.is_tensor(x)}
    value = loss[0] if isinstance(loss, tuple) else loss
    arrays = {k: x.detach().numpy() for k, x in found.items()}
    np.savez(out / f'{len(calls)}.npz', loss=value.detach().numpy(), **arrays)
    calls.append(value)
    return loss

  trainer._compute_loss = compute
  return trainer


def shared(settings, losses, out):
  """Arguments that both trainers have."""
  plain = torch_models.training_settings(
    argparse.Namespace(shape=settings), losses['rows']
  )
  return plain | dict(
    output_dir=str(out / 'trainer'),
    gradient_accumulation_steps=1,
    learning_rate=losses['rate'],
    lr_scheduler_type='constant',
    warmup_steps=0,
    optim='sgd',
    weight_decay=0.0,
    max_grad_norm=0.0,
    max_steps=losses['updates'],
    beta=losses['beta'],
  )


def words(rows):
  """Token ids as texts that the tokenizer gives back."""
  return [' '.join(f'w{i}' for i in row) for row in rows]


def rloo(start, out, settings, losses):
  """Trains by RLOO on the worth of tokens."""
  asked = json.loads((start / 'losses.json').read_text())
  worth_V = asked['worth']

  def worth(completion_ids, **_):
    return [sum(worth_V[i] for i in ids) for ids in completion_ids]

  return trl.RLOOTrainer(
    model=str(start / 'policy'),  # pi_0 is loaded from there too
    reward_funcs=worth,
    args=trl.RLOOConfig(
      **shared(settings, losses, out),
      num_generations=losses['group'],
      num_iterations=1,
      max_completion_length=settings.reply_length,
      model_init_kwargs={'dtype': 'float32'},
    ),
    train_dataset=datasets.Dataset.from_dict(
      {'prompt': words(asked['prompts'])}
    ),
    processing_class=torch_models.tokenizer_of(settings),
    callbacks=[Saver(out)],
  )


def dpo(start, out, settings, losses):
  """Trains by DPO on the pairs of `losses.json`; the trainer adds an end."""
  pairs = json.loads((start / 'losses.json').read_text())['pairs']
  return trl.DPOTrainer(
    model=str(start / 'policy'),
    args=trl.DPOConfig(
      **shared(settings, losses, out), model_init_kwargs={'dtype': 'float32'}
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


def main(argv=None):
  """Runs one trainer."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--which', choices=('rloo', 'dpo'), required=True)
  parser.add_argument('--start', type=pathlib.Path, required=True)
  parser.add_argument('--out', type=pathlib.Path, required=True)
  args = parser.parse_args(argv)
  args.out.mkdir(parents=True, exist_ok=True)
  torch.set_num_threads(1)
  transformers.set_seed(0)
  settings = told.read(args.start / 'settings.json')
  losses = json.loads((args.start / 'losses.json').read_text())['settings']
  make = {'rloo': rloo, 'dpo': dpo}[args.which]
  noted(make(args.start, args.out, settings, losses), args.out).train()
  done = {'versions': {p: importlib.metadata.version(p) for p in PACKAGES}}
  (args.out / 'done.json').write_text(json.dumps(done) + '\n')


if __name__ == '__main__':
  main()
