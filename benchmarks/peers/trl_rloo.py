"""TRL's RLOOTrainer: python -m benchmarks.peers.trl_rloo.

It has no critic: three models, and two replies to each of `batch` / 2 prompts.
One update on the whole batch, temperature 1, replies of R tokens.
"""

import copy

import datasets
import trl

from benchmarks.peers import driver, torch_models

REPLIES = 2  # the fewest that leave one out


def main():
  """Times iterations: sample, score, penalise, update."""
  args = driver.parse_args(micro=16)
  torch_models.set_up()
  shape = args.shape
  told = ('rloo_samples_per_s', trl.__version__, shape.batch, args)
  tokenizer = torch_models.tokenizer_of(shape)
  prompts = torch_models.random_tokens(
    shape, shape.batch // REPLIES, shape.prompt_length
  )
  policy = torch_models.build(shape, 'lm')
  texts = tokenizer.batch_decode(prompts)
  trainer = trl.RLOOTrainer(
    model=policy,
    reward_funcs=torch_models.build(shape, 'score'),
    reward_processing_classes=tokenizer,
    args=trl.RLOOConfig(
      **torch_models.training_settings(args, min(args.micro, shape.batch)),
      max_steps=args.rounds + args.warmups,
      num_generations=REPLIES,
      num_iterations=1,
      max_completion_length=shape.reply_length,
      temperature=1.0,
      top_k=0,
      top_p=1.0,
      beta=0.0,
      generation_kwargs={'min_new_tokens': shape.reply_length},
    ),
    train_dataset=datasets.Dataset.from_dict({'prompt': texts}),
    processing_class=tokenizer,
    callbacks=[torch_models.StepClock(*told)],
  )
  # With a beta at construction the trainer would load pi_0 by its name.
  trainer.beta = 0.001
  trainer.ref_model = trainer.accelerator.prepare_model(
    copy.deepcopy(policy), evaluation_mode=True
  )
  trainer.train()


if __name__ == '__main__':
  main()
