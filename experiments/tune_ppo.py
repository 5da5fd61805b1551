"""PPO of an imported model: policy and value network over one frozen base.

    python -m experiments.tune_ppo --config=configs/ppo.py:smollm2 --workdir=DIR

The base is pi_0 and what the preference models read; trained are adapters of
its last blocks, one set for the policy and one, with a head, for the value
network, which starts as the train PM. Frozen blocks that several networks
would read alike are read once: to the compiler they are the same products.
"""

import functools

import jax
import pandas as pd

from experiments import train_ppo
from experiments.shared import command, imported, programs
from rlhf_jax.analysis import kl_reward
from rlhf_jax.evals import policy as evals
from rlhf_jax.losses.chunked import SplitModel
from rlhf_jax.models import lora
from rlhf_jax.rollout.generate import make_collect
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import adapters as adapted
from rlhf_jax.train.ppo import Frozen
from rlhf_jax.train.run import Run, save_params
from rlhf_jax.train.steps import init_state


class Study(train_ppo.Study):
  """Prompts, models, programs and pi_0 of one run over a frozen base."""

  def __init__(self, config):
    self.config, self.world = config, None
    self.base = imported.open_base(config['model'], config['pad_token'])
    self.tokenizer, self.ref = self.base.tokenizer, self.base.params
    (train, alpha), (test, other) = (
      imported.load_pm(config[key], self.base)
      for key in ('train_pm_dir', 'test_pm_dir')
    )
    if alpha != other or alpha != config['adapters']['alpha']:
      raise ValueError(
        f'wanted one alpha for the policy and both PMs, got '
        f'{config["adapters"]["alpha"]}, {alpha} and {other}'
      )
    self.rewards = ((self.ref, train), (self.ref, test))
    self.sampling = programs.sampling_config(
      self.tokenizer, config['max_reply']
    )
    pairs = imported.read_pairs(
      self.base, config['data'], config['reading'], config['feature_folder']
    )
    self.set_prompts(pairs.prompts)
    rng = imported.seed_key(config['seed'], 'policy', config['half'])
    fresh = imported.fresh_adapters(self.base, config['adapters'], rng)
    self.pi0 = {'adapters': fresh}  # changes nothing yet
    self.value = train
    self.pieces = make_pieces(
      self.base, config['adapters']['alpha'], self.sampling
    )

  def evaluator(self):
    """The compiled evaluation of a policy's adapters."""
    return make_evaluator(self.pieces, self.config['scoring_parts'])


class Pieces(dict):
  """What both programs are made of; hashed by identity."""

  __hash__ = object.__hash__


@functools.cache
def make_pieces(base, alpha, sampling):
  """generate, policy, value_fn, reward, attach and merge of a Base."""
  functions, ids = base.functions, base.tokenizer
  attach, merge = (lora.combiner(f, alpha) for f in (lora.attach, lora.merge))
  score = make_pm_reward(
    lambda weights, *rows: functions.score_fn(attach(*weights), *rows),
    end_of_context_id=ids.end_of_context_id,
    eos_id=ids.eos_id,
    stop_ids=tuple(i for i in ids.stop_ids if i != ids.eos_id),
  )
  large = functions.config.vocab_size >= programs.LARGE_VOCABULARY
  return Pieces(
    generate=make_collect(
      sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
    ),
    policy=SplitModel(
      functions.hidden_fn,
      functions.head_fn,
      programs.CHUNK if large else None,
    ),
    value_fn=functions.value_fn,
    reward=score,
    attach=attach,
    merge=merge,
    max_reply=sampling.max_reply,
  )


@functools.cache
def make_evaluator(pieces, parts):
  """evaluate(trained, base, rewards, prompts, rng), jitted."""
  evaluate = evals.make_evaluate(
    pieces['generate'],
    pieces['policy'],
    (pieces['reward'], pieces['reward']),
    parts=parts,
    max_reply=pieces['max_reply'],
  )

  def policy_eval(trained, base, rewards, prompts, rng):
    params = pieces['merge'](base, trained)
    return evaluate(params, base, rewards, prompts, rng)

  return programs.jit_named(policy_eval, 'tuned_policy_eval')


@functools.cache
def make_iteration(pieces, b2, passes, minibatch_size, microbatches, parts):
  """iteration(state, frozen, prompts, rng, hyper), jitted.

  Collect, score, penalise, estimate, update.
  """
  iteration = adapted.make_adapted_ppo_iteration(
    **pieces,
    tx=programs.optimiser(b2),
    passes=passes,
    minibatch_size=minibatch_size,
    microbatches=microbatches,
    scoring_parts=parts,
  )
  return programs.jit_named(iteration, 'tuned_ppo_iteration', donate_argnums=0)


def print_curve(curve, pi0, seed):
  """The checkpoints of a run, for whoever started it."""
  print(
    f'held-out prompts, one seed ({seed}); 95 % intervals over prompts; gains '
    "are over pi_0's mean score on the same prompt"
  )
  table = kl_reward.gains(pd.DataFrame(curve), pd.DataFrame(pi0))
  for row in table.to_dict('records'):
    cells = [
      f'{label} {row[name]:.3f} [{row[f"{name}_low"]:.3f}, '
      f'{row[f"{name}_high"]:.3f}]'
      for label, name in (
        ('KL', 'kl'),
        ('sqrt(KL)', 'sqrt_kl'),
        ('train PM gain', 'train_gain'),
        ('test PM gain', 'test_gain'),
      )
    ]
    print(
      f'iteration {row["iteration"]:>3}  {"  ".join(cells)}  '
      f'entropy {row["entropy"]:.3f}'
    )


def run(config, workdir):
  """Trains; writes `rl_curve.csv`, `rl_pi0.csv`, `samples.json`, `params`."""
  base = imported.open_base(config['model'], config['pad_token'])
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  with Run(workdir, config, row) as run_:
    if run_.done:
      return
    study = Study(config)
    study.config = config | {'pm_size': base.size}
    prompts = train_ppo.prompts_of(config, study.train_prompts)
    params = {'policy': study.pi0, 'value': study.value}
    state = init_state(params, programs.optimiser(config['b2']))
    state = run_.restore(programs.spread(state, None), prompts)
    iteration_fn = make_iteration(
      study.pieces,
      *(
        config[k]
        for k in (
          'b2',
          'passes',
          'minibatch_size',
          'microbatches',
          'scoring_parts',
        )
      ),
    )
    frozen = Frozen(study.ref, study.rewards[0])
    rng = jax.random.key(config['seed'])
    updates = (
      config['passes'] * config['batch_size'] // config['minibatch_size']
    )
    points = train_ppo.evaluated_iterations(config)
    total, peak = config['iterations'], config['learning_rate']
    pi0 = study.measure_pi0()
    before = study.evaluate(study.pi0, 0)
    if int(state.step) == 0:
      start = train_ppo.curve_row(study, before, pi0, 0)
      run_.log(0, start, kind='checkpoint')
    after = None
    for iteration in run_.progress(int(state.step) // updates, total):
      hyper = train_ppo.hyper_at(config, iteration, peak)
      state, metrics = iteration_fn(state, frozen, next(prompts), rng, hyper)
      if iteration % config['log_every'] == 0:
        run_.log(int(state.step), metrics)
      if iteration + 1 in points:
        after = study.evaluate(state.params['policy'], iteration + 1)
        point = train_ppo.curve_row(study, after, pi0, iteration + 1)
        run_.log(int(state.step), point, kind='checkpoint')
      if (iteration + 1) % config['checkpoint_every'] == 0:
        run_.save(state, prompts)
    if after is None:  # the run was killed after its last iteration
      after = study.evaluate(state.params['policy'], total)
    curve = train_ppo.write_tables(run_, study, pi0, before, after)
    print_curve(curve, train_ppo.pi0_rows(pi0), config['seed'])
    save_params(run_.path, programs.spread(state.params['policy'], None))
    run_.finish(iterations=total, train_pm=curve[-1]['train_pm'])


if __name__ == '__main__':
  command.main(run, 'configs/ppo.py:smollm2', report=True)
