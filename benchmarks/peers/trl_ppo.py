"""TRL's experimental PPOTrainer: python -m benchmarks.peers.trl_ppo.

Four models (policy, pi_0, value network, reward model), one epoch, one update
on the whole batch, temperature 1, no stop token: every reply has R tokens.
Rollouts go in parts of 64, which is TRL's default: sampling, and the scores and
log-probabilities of what was sampled. The update accumulates over parts of
`--micro`.
"""

import datasets
import trl
from trl.experimental import ppo

from benchmarks.peers import driver, torch_models

ROLLOUT = 64  # rows


def main():
  """Times iterations: sample, score, penalise, estimate, update."""
  args = driver.parse_args(micro=16)
  torch_models.set_up()
  shape = args.shape
  told = ('ppo_samples_per_s', trl.__version__, shape.batch, args)
  micro = min(args.micro, shape.batch)
  iterations = args.rounds + args.warmups
  # One batch more than iterations: on the last of an epoch the trainer updates
  # once for each accumulated part in place of once.
  prompts = torch_models.random_tokens(
    shape, (iterations + 1) * shape.batch, shape.prompt_length
  ).tolist()
  dataset = datasets.Dataset.from_dict({'input_ids': prompts})
  policy = torch_models.build(shape, 'lm')
  trainer = ppo.PPOTrainer(
    args=ppo.PPOConfig(
      **torch_models.training_settings(args, micro),
      total_episodes=iterations * shape.batch,
      local_rollout_forward_batch_size=min(ROLLOUT, shape.batch),
      num_ppo_epochs=1,
      num_mini_batches=1,
      num_sample_generations=0,
      response_length=shape.reply_length,
      temperature=1.0,
      kl_coef=0.001,
    ),
    processing_class=torch_models.tokenizer_of(shape),
    model=policy,
    ref_model=None,  # the trainer copies the policy
    reward_model=torch_models.build(shape, 'score'),
    value_model=torch_models.build(shape, 'score'),
    train_dataset=dataset,
    eval_dataset=dataset,
    callbacks=[torch_models.StepClock(*told)],
  )
  trainer.train()
  assert policy.generation_config.eos_token_id is None  # all replies are full


if __name__ == '__main__':
  main()
