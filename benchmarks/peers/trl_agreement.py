"""TRL's PPOTrainer from given folders: the other side of benchmarks.agreement.

    python -m benchmarks.peers.trl_agreement --start DIR --out DIR --seed 0

Writes OUT/ITERATION, a policy, for each checkpoint, OUT/value-1, the value
network after the first iteration, OUT/first.npz, what the trainer's own
functions gave in that iteration, and last OUT/done.json.
"""

import argparse
import importlib.metadata
import json
import pathlib
import time

import datasets
import numpy as np
import torch
import transformers
from trl.experimental import ppo
from trl.experimental.ppo import ppo_trainer

from benchmarks.agreement import settings as told
from benchmarks.peers import torch_models

PACKAGES = ('trl', 'transformers', 'torch', 'accelerate')


class FirstCalls:
  """Keeps what functions of the trainer's module gave when first called.

  Args:
    module: where the functions are looked up by name.
    **counts: how many calls of each to keep.
  """

  def __init__(self, module, **counts):
    self.kept = {name: [] for name in counts}
    for name, count in counts.items():
      setattr(module, name, self._wrap(getattr(module, name), name, count))

  def _wrap(self, function, name, count):
    def wrapped(*args, **options):
      out = function(*args, **options)
      if len(self.kept[name]) < count:
        copy = lambda x: x.detach().clone() if torch.is_tensor(x) else x
        parts = out if isinstance(out, tuple) else (out,)
        self.kept[name].append((args, [copy(x) for x in parts]))
      return out

    return wrapped

  def arrays(self, prompt_length):
    """What the first iteration saw: tokens, and floats of each reply token."""
    P = prompt_length
    # Of the policy, then of pi_0; of the value network, then of the reward.
    logps = [out[0] for _, out in self.kept['selective_log_softmax']]
    (_, value), (_, score) = self.kept['get_reward']
    found = {
      'tokens': self.kept['batch_generation'][0][1][0],
      'logp': logps[0],
      'ref_logp': logps[1],
      'value': value[0][:, P - 1 : -1, 0],
      'score': score[1],
      'advantage': self.kept['masked_whiten'][0][1][0],
    }
    return {name: np.asarray(x) for name, x in found.items()}


class Saver(transformers.TrainerCallback):
  """Saves policies at checkpoints, and everything of the first iteration."""

  def __init__(self, out, settings, calls):
    self.out, self.settings, self.calls = out, settings, calls

  def on_step_end(self, args, state, control, model=None, **_):
    """Called by the trainer after an iteration; `model` holds both networks."""
    step = state.global_step
    if step == 1:
      model.value_model.save_pretrained(self.out / 'value-1')
      arrays = self.calls.arrays(self.settings.prompt_length)
      np.savez(self.out / 'first.npz', **arrays)
    if step == 1 or step in self.settings.checkpoints:
      model.policy.save_pretrained(self.out / f'{step}')


def ppo_config(settings, seed, out):
  """PPOConfig of the settings; `settings.NAMES` is this list in words."""
  shared = torch_models.training_settings(
    argparse.Namespace(shape=settings), settings.batch
  )
  return ppo.PPOConfig(
    **shared
    | dict(
      output_dir=str(out / 'trainer'),
      seed=seed,
      learning_rate=settings.learning_rate,
      lr_scheduler_type='constant',
      warmup_steps=0,
      optim='adamw_torch',
      weight_decay=0.0,
      adam_beta1=settings.b1,
      adam_beta2=settings.b2,
      adam_epsilon=settings.eps,
    ),
    total_episodes=settings.iterations * settings.batch,
    local_rollout_forward_batch_size=settings.batch,
    num_ppo_epochs=settings.passes,
    num_mini_batches=1,
    num_sample_generations=0,
    response_length=settings.reply_length,
    stop_token=None,
    temperature=1.0,
    missing_eos_penalty=None,
    whiten_rewards=False,
    kl_coef=settings.kl_coef,
    kl_estimator='k1',
    cliprange=settings.clip,
    vf_coef=settings.value_coef,
    cliprange_value=settings.value_clip,
    gamma=settings.discount,
    lam=settings.gae_lambda,
  )


def run(start, out, seed):
  """Trains one policy and saves what `benchmarks.agreement` reads."""
  settings = told.read(start / 'settings.json')
  prompts = json.loads((start / 'prompts.json').read_text())['train']
  transformers.set_seed(seed)  # minibatches are drawn from numpy's generator
  calls = FirstCalls(
    ppo_trainer,
    batch_generation=1,
    selective_log_softmax=2,
    get_reward=2,
    masked_whiten=1,
  )
  score = transformers.LlamaForSequenceClassification.from_pretrained
  policy = transformers.LlamaForCausalLM.from_pretrained(start / 'policy')
  dataset = datasets.Dataset.from_dict({'input_ids': prompts})
  trainer = ppo.PPOTrainer(
    args=ppo_config(settings, seed, out),
    # Neither the pad nor the end is a token that the policy can write.
    processing_class=torch_models.word_tokenizer(
      settings.vocab_size + 2, settings.vocab_size, settings.vocab_size + 1
    ),
    model=policy,
    ref_model=None,  # the trainer copies the policy
    reward_model=score(start / 'reward'),
    value_model=score(start / 'reward'),
    train_dataset=dataset,
    eval_dataset=dataset,
    callbacks=[Saver(out, settings, calls)],
  )
  trainer.train()


def main(argv=None):
  """Runs one seed."""
  parser = argparse.ArgumentParser()
  parser.add_argument('--start', type=pathlib.Path, required=True)
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--seed', type=int, required=True)
  args = parser.parse_args(argv)
  args.out.mkdir(parents=True, exist_ok=True)
  torch.set_num_threads(1)  # small products: a second thread only waits
  begin = time.perf_counter()
  run(args.start, args.out, args.seed)
  done = {'versions': {p: importlib.metadata.version(p) for p in PACKAGES}}
  done['seconds'] = time.perf_counter() - begin
  (args.out / 'done.json').write_text(json.dumps(done) + '\n')


if __name__ == '__main__':
  main()
