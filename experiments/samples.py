r"""Replies of policies to given prompts, before and after PPO, to be read.

    python -m experiments.samples --policies=RUN,RUN --pm=RUN --workdir=DIR
    python -m experiments.samples --policies=smollm2 --pm=RUN \
        --prompts=vicuna_bench/question.jsonl.gz --workdir=DIR

A policy is a run of train_ppo, one of its snapshots/ITERATION, a run of
train_lm, or a model of others by its name or path; of PPO pi_0 answers too.
Each writes `replies` replies to each prompt. Kept is the one of median score by
--pm, of those that are not empty (Bai et al. 2022, section 6), with its KL from
pi_0 token by token.

Asked are the first `each` prompts of each family: held-out ones of the PM, or
those of the files in --prompts, where a family is a file or, with
--family=COLUMN, what stands there; --where=COLUMN=VALUE,... takes some rows
alone. Written are samples.json, as train_ppo does, and its page.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments.shared import (
  command,
  comparisons,
  measuring,
  policies,
  run_report,
  shown,
  sources,
  trained,
)
from experiments.shared.models import (
  Base,
  arithmetic,
  open_base,
  open_run,
  open_scorer,
)
from rlhf_jax.data.prompt_files import read_prompt_file
from rlhf_jax.train import about, hosts
from rlhf_jax.train.run import Run

FILE_KIND = 'helpful'  # which none of the numbers of a file's prompts reads


class Policy(NamedTuple):
  """A policy that answers.

  Attributes:
    label: on the page.
    base: Base, which is pi_0.
    params: of the policy; None: it is pi_0 alone.
    iteration: of its training.
  """

  label: str
  base: Base
  params: Any
  iteration: int


def label_of(path):
  """The name of a run or model; of snapshots/ITERATION, that of its run."""
  path = Path(path)
  if path.parent.name == 'snapshots':
    path = path.parents[1]
  return path.name


def open_policy(path) -> Policy:
  """The Policy of a run or of a model by others.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  named = {'base': path, 'size': '', 'pad_token': '', 'dtype': 'float32'}
  if not about.is_run(path):
    return Policy(label_of(path), open_base(named), None, 0)
  found = about.read(path)
  if found.about.holds != 'policy':
    return Policy(label_of(path), open_base(named), None, 0)
  own = {'pad_token': ''} | found.config | arithmetic(found.config)
  base = open_base(own | {'base': found.about.base})
  made = open_run(path).params
  return Policy(label_of(path), base, made, found.config['iterations'])


def asked_of(config, base):
  """(the Asked, config of the PM where they are its own held-out ones)."""
  each, files = config['shown']['each'], config['prompts']
  if files:
    where, family = config['where'], config['family']
    found = [
      row for file in files for row in read_prompt_file(file, where, family)
    ]
    prompts = [(row.text, FILE_KIND) for row in found]
    return shown.asked_of(prompts, [row.family for row in found], each), None
  pm = about.read(config['pm_dir']).config
  found = comparisons.read_prompts(pm, base)['test']
  order = np.random.default_rng(0).permutation(len(found))
  prompts = [tuple(found[i]) for i in order]
  simulated = pm['data']['source'] == 'simulated'
  world = sources.world_of(world_settings(pm)) if simulated else None
  families = shown.families_of(world, prompts)
  return shown.asked_of(prompts, families, each), pm


def world_settings(pm):
  """The section `world` of the comparisons that a PM was trained on."""
  return about.read(pm['comparisons_dir']).config['world']


def scorers_of(config, base):
  """Scorers of the PM and, if there is one, the test PM."""
  paths = [config['pm_dir'], *filter(None, [config['test_pm_dir']])]
  networks = [open_scorer(path) for path in paths]
  functions, weights, size = policies.scorers_of({}, base, networks, None)
  return policies.Scorers(functions, weights, size)


def answer(config, policy, first, asked, pm, scorers, folder):
  """Lets the policy and pi_0 answer; adds the replies to samples.json.

  Args:
    config: of the run.
    policy: Policy.
    first: whether pi_0 has not answered yet under this label.
    asked: of `asked_of`.
    pm: config of the PM whose held-out prompts they are, or None.
    scorers: of `scorers_of`.
    folder: of the run.
  """
  base, way = policy.base, trained.way_of({'trained': 'all'})
  evaluate = policies.evaluation_of(
    config, base, way, scorers, None, policy.params is not None
  )
  simulated = pm is not None and pm['data']['source'] == 'simulated'
  told = config | {'data': {'source': 'simulated' if simulated else 'file'}}
  told['world'] = world_settings(pm) if simulated else None
  measured = lambda config, found: measuring.HeldOut(
    config, base, scorers, evaluate, found
  )
  read = shown.answered(told, policy.label, asked, base, way, None, measured)
  steps = [(base.params, 0)] * first
  steps += [(policy.params, policy.iteration)] * (policy.params is not None)
  for params, iteration in steps:
    print(f'{policy.label}, iteration {iteration}: {len(asked)} prompts')
    read.note(folder, params, iteration)


def run(config, workdir):
  """Samples, scores, and writes samples.json.

  Args:
    config: policy_dirs, pm_dir, test_pm_dir, prompts, where, family, shown
      (each, replies), max_prompt, max_reply, eval_batch, seed.
    workdir: of the result.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  for name in ('each', 'replies'):
    if config['shown'][name] < 1:
      raise ValueError(f'--{name}: wanted 1 or more')
  config = config | {'temperature': 1.0, 'scoring_parts': 1}
  row = {'role': 'samples', 'seed': config['seed'], 'half': 'all'}
  kind = about.About('samples', 'table', base=config['policy_dirs'][0])
  with Run(workdir, config, row, about=kind, apart=True) as run_:
    if run_.done:
      return
    found = [open_policy(path) for path in config['policy_dirs']]
    found.sort(key=lambda policy: policy.iteration)
    require_different(found)
    asked, pm = asked_of(config, found[0].base)
    for i, policy in enumerate(found):
      first = policy.label not in [earlier.label for earlier in found[:i]]
      scorers = scorers_of(config, policy.base)
      answer(config, policy, first, asked, pm, scorers, run_.path)
    run_.finish(prompts=len(asked), policies=len(found))


def require_different(found):
  """Raises ValueError if two policies would stand in one place of the page."""
  places = [(policy.label, policy.iteration) for policy in found]
  for label, iteration in places:
    if places.count((label, iteration)) > 1:
      raise ValueError(
        f'two policies are called {label}, iteration {iteration}: wanted runs '
        'whose folders have different names'
      )


def wanted_rows(texts):
  """{column: value} of --where.

  Raises:
    ValueError: if one has no equals sign.
  """
  pairs = [text.partition('=') for text in texts]
  if not all(equals for _, equals, _ in pairs):
    raise ValueError(f'--where={",".join(texts)}: wanted COLUMN=VALUE,...')
  return {column: value for column, _, value in pairs}


def report(workdir):
  """Writes the page, and says where it is."""
  print(f'report: {run_report.write(workdir)}')


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_list('policies', None, 'Runs, or models of others.'),
    flags.DEFINE_string('pm', None, 'Workdir of a train_pm.'),
    flags.DEFINE_string('test_pm', '', 'Workdir of another, which scores too.'),
    flags.DEFINE_list('prompts', [], 'Files; none: held-out ones of --pm.'),
    flags.DEFINE_list('where', [], 'COLUMN=VALUE,... of rows that are wanted.'),
    flags.DEFINE_string('family', '', 'Column that names the family.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('each', 2, 'Prompts of each family.'),
    flags.DEFINE_integer('replies', 17, 'Replies to each.'),
    flags.DEFINE_integer('max_prompt', 256, 'Most tokens of a prompt.'),
    flags.DEFINE_integer('max_reply', 64, 'Most tokens of a reply.'),
    flags.DEFINE_integer('batch', 32, 'Replies that are sampled at once.'),
    flags.DEFINE_integer('seed', 0, 'Of the sampling.'),
  ]

  def started(options):
    keys = ('prompts', 'family', 'max_prompt', 'max_reply', 'seed')
    config = {key: options[key] for key in keys}
    config |= {'policy_dirs': options['policies'], 'pm_dir': options['pm']}
    config |= {'test_pm_dir': options['test_pm']}
    config |= {'where': wanted_rows(options['where'])}
    config |= {'eval_batch': options['batch']}
    config['shown'] = {key: options[key] for key in ('each', 'replies')}
    run(config, options['workdir'])
    hosts.by_one(report)(options['workdir'])

  command.main_of_flags(
    started, values, ('policies', 'pm', 'workdir'), several=True
  )


if __name__ == '__main__':
  main()
