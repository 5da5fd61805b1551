"""TRL's RewardTrainer: python -m benchmarks.peers.trl_reward --shape S."""

import datasets
import trl

from benchmarks.peers import driver, torch_models


def main():
  """Times optimiser steps on `batch` pairs of T tokens a side."""
  args = driver.parse_args(micro=16)
  torch_models.set_up()
  shape, clock = args.shape, torch_models.StepClock()
  steps = args.rounds + args.warmups
  side = lambda: torch_models.random_tokens(
    shape, shape.batch, shape.length
  ).tolist()
  rows = {'chosen_ids': side(), 'rejected_ids': side()}
  trainer = trl.RewardTrainer(
    model=torch_models.build(shape, 'score'),
    args=trl.RewardConfig(
      **torch_models.training_settings(args, min(args.micro, shape.batch)),
      max_steps=steps,
      max_length=shape.length,
    ),
    train_dataset=datasets.Dataset.from_dict(rows),
    processing_class=torch_models.tokenizer_of(shape),
    callbacks=[clock],
  )
  trainer.train()
  seconds = driver.between(clock.ends, args.warmups)
  driver.report('pm_pairs_per_s', trl.__version__, shape.batch, seconds)


if __name__ == '__main__':
  main()
