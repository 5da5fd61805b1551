"""TRL's RewardTrainer: python -m benchmarks.peers.trl_reward --shape S.

It reads both sides of a pair whole. `--metric` names the contest that the times
are for; what is timed is the same.
"""

import datasets
import trl

from benchmarks.peers import driver, torch_models


def main():
  """Times optimiser steps on `batch` pairs of T tokens a side.

  Both sides begin with the same P tokens, the prompt.
  """
  args = driver.parse_args(micro=16, metric='pm_pairs_per_s')
  torch_models.set_up()
  shape = args.shape
  told = (args.metric, trl.__version__, shape.batch, args)
  steps = args.rounds + args.warmups
  side = lambda: torch_models.random_tokens(shape, shape.batch, shape.length)
  chosen, rejected = side(), side()
  rejected[:, : shape.prompt_length] = chosen[:, : shape.prompt_length]
  rows = {'chosen_ids': chosen.tolist(), 'rejected_ids': rejected.tolist()}
  trainer = trl.RewardTrainer(
    model=torch_models.build(shape, 'score'),
    args=trl.RewardConfig(
      **torch_models.training_settings(args, min(args.micro, shape.batch)),
      max_steps=steps,
      max_length=shape.length,
    ),
    train_dataset=datasets.Dataset.from_dict(rows),
    processing_class=torch_models.tokenizer_of(shape),
    callbacks=[torch_models.StepClock(*told)],
  )
  trainer.train()


if __name__ == '__main__':
  main()
