"""Stage 5: PPO of one policy against a train PM, watched by a test PM.

    python -m experiments.train_ppo --config=configs/ppo.py --workdir=DIR

The iteration (collect, score, penalise, estimate, update) is one compiled
program; with `prompt_buckets`, one for each length of prompts.
"""

import json
import math

import jax
import numpy as np

from experiments import make_text, train_lm, train_pm
from experiments.shared import command, files, programs, sources
from rlhf_jax.data.buckets import BucketedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals import policy
from rlhf_jax.models import ladder
from rlhf_jax.train.optimiser import learning_rate_at
from rlhf_jax.train.ppo import Frozen
from rlhf_jax.train.run import Run, save_params
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PPOHyper, Prompts

SCORERS = {'train': 'score_0', 'test': 'score_1', 'gold': 'gold'}


class Study:
  """What all checkpoints of one run share: prompts, models, programs, pi_0."""

  def __init__(self, config):
    self.config = config
    self.mesh = programs.mesh_of(config['mesh'])
    self.tokenizer = make_text.load_tokenizer(config['text_dir'])
    vocab, dtype = self.tokenizer.vocab_size, config['dtype']
    self.key = (config['size'], config['pm_size'], vocab, dtype)
    self.policy_key = (config['size'], vocab, dtype)
    self.sampling = programs.sampling_config(
      self.tokenizer, config['max_reply']
    )
    ids = self.tokenizer
    self.ids = (ids.end_of_context_id, ids.eos_id, tuple(ids.stop_ids))
    self.ref = self.pi0 = train_lm.load(
      config['lm_dir'], *self.policy_key, self.mesh
    )
    self.rewards = self._rewards(vocab, dtype)
    self.world = None
    if config['source'] == 'simulated':
      self.world = sources.world_of(config['world'])
    self._load_prompts()

  def _rewards(self, vocab, dtype):
    config = self.config
    if config['hashed_rewards']:
      halves = [np.uint32(2 * config['seed'] + i) for i in range(2)]
      halves = halves if config['half'] == 'a' else halves[::-1]
      return programs.spread(tuple(halves), self.mesh)
    key = (config['pm_size'], vocab, dtype, self.mesh)
    load = lambda path: train_pm.load(path, *key)
    return load(config['train_pm_dir']), load(config['test_pm_dir'])

  def _load_prompts(self):
    path = f'{self.config["comparisons_dir"]}/prompts.json'
    self.set_prompts(files.read_json(path))

  def set_prompts(self, found):
    """Takes the prompts to train on and to hold out, {side: [(text, kind)]}."""
    config = self.config
    encode = lambda texts: encode_prompts(
      texts, self.tokenizer, config['max_prompt']
    )
    train = encode([text for text, _ in found['train']])
    rows = np.arange(len(train.length_N))
    self.train_prompts = Prompts(train.tokens_NP, train.length_N, rows)
    order = np.random.default_rng(0).permutation(len(found['test']))
    held = [found['test'][i] for i in order[: config['eval_prompts']]]
    short = config['eval_prompts'] - len(held)
    held += [held[i % len(held)] for i in range(short)]
    self.kinds = [kind for _, kind in held]
    self.held = encode([text for text, _ in held])

  def evaluator(self):
    """The compiled evaluation of a policy."""
    return programs.policy_eval(
      *self.key,
      self.sampling,
      self.ids,
      self.config['hashed_rewards'],
      self.config['scoring_parts'],
      self.mesh,
    )

  def evaluate(self, params, iteration, row_offset=0):
    """Per-prompt measurements of a policy on the held-out prompts."""
    config, fn = self.config, self.evaluator()
    rows = np.arange(len(self.kinds)) + row_offset
    prompts = Prompts(self.held.tokens_NP, self.held.length_N, rows)
    rng = jax.random.key(10_000 + config['seed'])
    rng = jax.random.fold_in(rng, iteration)
    out = policy.evaluate_prompts(
      fn, params, self.ref, self.rewards, prompts, rng, config['eval_batch']
    )
    replies = [
      self.tokenizer.decode_reply(ids[p:n].tolist())
      for ids, p, n in zip(
        out['tokens'], out['prompt_length'], out['total_length'], strict=True
      )
    ]
    out['gold'] = sources.gold_scores(
      self.world, self.held.text, self.kinds, replies
    )
    out['replies'] = replies
    return out

  def measure_pi0(self):
    """Scores of pi_0, `pi0_samples` replies to each held-out prompt: [N, C]."""
    N = len(self.kinds)
    parts = [
      self.evaluate(self.pi0, 0, row_offset=N * (c + 1))
      for c in range(self.config['pi0_samples'])
    ]
    stack = lambda name: np.stack([part[name] for part in parts], axis=1)
    return {name: stack(name) for name in SCORERS.values()}


def pi0_rows(pi0):
  """rl_pi0.csv: mean and variances of each scorer under pi_0."""
  rows = []
  for scorer, name in SCORERS.items():
    score_NC = pi0[name]
    rows.append(
      {
        'scorer': scorer,
        'mean': float(score_NC.mean()),
        'se': policy.standard_error(score_NC.mean(axis=1)),
        'within_variance': policy.within_variance(score_NC),
        'pooled_variance': float(score_NC.var(ddof=1)),
        'n_prompts': score_NC.shape[0],
        'n_samples': score_NC.shape[1],
      }
    )
  return rows


def curve_row(study, out, pi0, iteration):
  """One row of rl_curve.csv.

  The scores' standard errors are of the gain over pi_0's mean on the same
  prompt, which is what the claims are about.
  """
  config = study.config
  row = {k: config[k] for k in ('kl_coef', 'pm_size', 'pm_pairs')}
  row |= {'iteration': iteration, 'samples': iteration * config['batch_size']}
  for name in ('kl', 'kl_k1', 'kl_k3', 'entropy', 'length', 'truncated'):
    row[name] = float(out[name].mean())
  row['kl_se'] = policy.standard_error(out['kl'])
  for name, key in (
    ('train_pm', 'score_0'),
    ('test_pm', 'score_1'),
    ('gold', 'gold'),
  ):
    row[name] = float(out[key].mean())
    row[f'{name}_se'] = policy.standard_error(out[key] - pi0[key].mean(1))
  wins = sources.win_probability(
    study.world, study.kinds, out['gold'], pi0['gold']
  )
  margin_NC = out['score_0'][:, None] - pi0['score_0']
  row['pm_win_rate'] = float((1 / (1 + np.exp(-margin_NC))).mean())
  row['win_rate'] = float(wins.mean())
  row['win_rate_se'] = policy.standard_error(wins)
  words = [reply.split() for reply in out['replies']]
  row['distinct'] = float(
    np.mean([len(set(w)) / len(w) for w in words if w] or [0.0])
  )
  return row


def sample_replies(study, before, after, count=12):
  """Replies of pi_0 and of the final policy, for the report."""
  return [
    {
      'prompt': study.held.text[i],
      'pi0_reply': before['replies'][i],
      'final_reply': after['replies'][i],
      'scores': {
        'PM of pi_0': float(before['score_0'][i]),
        'PM': float(after['score_0'][i]),
        'gold of pi_0': float(before['gold'][i]),
        'gold': float(after['gold'][i]),
      },
    }
    for i in range(min(count, len(study.held.text)))
  ]


def write_tables(run_, study, pi0, before, after):
  """Writes the tables and samples of a finished run; returns its curve."""
  curve = run_.rows('checkpoint')
  files.write_csv(
    run_.path / 'rl_curve.csv',
    [{k: v for k, v in line.items() if k != 'step'} for line in curve],
  )
  files.write_csv(run_.path / 'rl_pi0.csv', pi0_rows(pi0))
  (run_.path / 'samples.json').write_text(
    json.dumps(sample_replies(study, before, after), indent=1)
  )
  return curve


def hyper_at(config, iteration, peak):
  """The traced scalars of one iteration: warm-up, then constant rates."""
  rate = learning_rate_at(
    iteration,
    peak=peak,
    total=config['iterations'],
    warmup=config['warmup_iterations'],
  )
  return PPOHyper(
    policy_learning_rate=rate,
    value_learning_rate=rate * config['value_lr_ratio'],
    kl_coef=config['kl_coef'],
    clip=config['clip'],
    value_clip=config['value_clip'] or math.inf,
    discount=config['discount'],
    gae_lambda=config['gae_lambda'],
    truncation_penalty=config['truncation_penalty'],
  )


def evaluated_iterations(config):
  """Fixed checkpoints: dense while the policy is near pi_0, sparse later."""
  dense, total = config['dense_iterations'], config['iterations']
  points = set(range(0, min(dense, total) + 1, config['dense_every']))
  points |= set(range(dense, total + 1, config['sparse_every']))
  return sorted(points | {1, total})


def initial_state(config, study):
  """Policy = pi_0; value network from the policy-size PM, or a zero head."""
  functions = programs.model(*study.policy_key)
  if config['value_pm_dir']:
    key = (*study.policy_key, study.mesh)
    value = train_pm.load(config['value_pm_dir'], *key)
  else:
    head = functions.init_head(jax.random.key(0), 'zero')
    value = {'trunk': study.ref['trunk'], 'head': head}
  params = {'policy': study.ref, 'value': value}
  state = init_state(params, programs.optimiser(config['b2']))
  return programs.spread(state, study.mesh)  # its own: the state is donated


def prompts_of(config, prompts):
  """The stream of training prompts: one length, or a batch a length bucket."""
  order = (config['batch_size'], config['seed'])
  if not config['prompt_buckets']:
    return Batches(prompts, *order)
  edges = config['prompt_buckets']
  return BucketedBatches(prompts, prompts.length_B, edges, *order)


def run(config, workdir):
  """Trains; writes `rl_curve.csv`, `rl_pi0.csv`, `samples.json`, `params`."""
  size = ladder.rung(config['size'])
  row = {k: config[k] for k in ('role', 'size', 'seed', 'half')}
  with Run(workdir, config, row | {'n_params': size.non_embedding}) as run_:
    if run_.done:
      return
    study = Study(config)
    prompts = prompts_of(config, study.train_prompts)
    state = run_.restore(initial_state(config, study), prompts)
    collect, score, penalise, estimate, update = programs.ppo_pieces(
      *study.key,
      study.sampling,
      study.ids,
      config['hashed_rewards'],
      config['b2'],
      tuple(
        config[k]
        for k in ('passes', 'minibatch_size', 'microbatches', 'scoring_parts')
      ),
    )
    iteration_fn = programs.ppo_iteration(
      config['size'], collect, score, penalise, estimate, update, study.mesh
    )
    frozen = Frozen(study.ref, study.rewards[0])
    rng = jax.random.key(config['seed'])
    updates = (
      config['passes'] * config['batch_size'] // config['minibatch_size']
    )
    points, total = evaluated_iterations(config), config['iterations']
    peak = size.learning_rate * config['lr_multiple']
    pi0 = study.measure_pi0()
    before = study.evaluate(study.ref, 0)
    if int(state.step) == 0:
      run_.log(0, curve_row(study, before, pi0, 0), kind='checkpoint')
    for iteration in run_.progress(int(state.step) // updates, total):
      state, metrics = iteration_fn(
        state, frozen, next(prompts), rng, hyper_at(config, iteration, peak)
      )
      if iteration % config['log_every'] == 0:
        run_.log(int(state.step), metrics)
      if iteration + 1 in points:
        after = study.evaluate(state.params['policy'], iteration + 1)
        point = curve_row(study, after, pi0, iteration + 1)
        run_.log(int(state.step), point, kind='checkpoint')
      if (iteration + 1) % config['checkpoint_every'] == 0:
        run_.save(state, prompts)
    after = study.evaluate(state.params['policy'], total)
    curve = write_tables(run_, study, pi0, before, after)
    save_params(run_.path, programs.spread(state.params['policy'], None))
    run_.finish(iterations=total, train_pm=curve[-1]['train_pm'])


if __name__ == '__main__':
  command.main(run, 'configs/ppo.py', report=True)
