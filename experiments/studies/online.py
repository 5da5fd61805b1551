"""Iterated online training (Bai et al. 2022, section 4.5): claims 9, 28, 30-32.

Round 0 is a preference model of base pairs alone and a policy against it. Then
comes the rejection-sampled tranche, and in every further round new comparisons
of what snapshots of the last rounds write, all older data with them, and a
preference model and a policy from scratch. At the end a controlled test: as
many pairs as round 0 had, a third each of base, rejection-sampled and online
ones. A job is one stage of one round, so a study that is killed in a round goes
on in it.

With labels='queue' people talk with the snapshots on the page of apps/feedback.
Then there is no rejection-sampled tranche, and no controlled test with it: only
what was deployed is compared.
"""

import dataclasses
from typing import NamedTuple

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of

RS, ONLINE = 'helpful-rejection-sampled', 'helpful-online'
THIRDS = 'online_thirds'
PEOPLE = ('people', 'queue')  # labels that come in one queue
NAMES = {0: 'base', 1: 'rs'}  # of tranches by number; others are 'online'
KIND = 'helpful'  # of all pairs, as in the paper's controlled test


class Tranche(NamedTuple):
  """A tranche in a mixture.

  Attributes:
    job: that makes it.
    number: which draws its order and its labels.
    pairs: of it that are trained on.
    test_pairs: of it that are held out.
  """

  job: Job
  number: int
  pairs: int
  test_pairs: int


class Trained(NamedTuple):
  """Jobs of a preference model and of the policy that is trained against it."""

  pm: Job
  policy: Job


def jobs(config, root, seed):
  """All rounds of a seed, the controlled test, and what compares them.

  Raises:
    ValueError: if people are to answer for several seeds.
  """
  if not blocks.has_rl(config, seed):
    return []
  block, args = config['online'], (config, root, seed)
  if block['labels'] in PEOPLE and len(config['seeds']) > 1:
    raise ValueError(
      f'online.labels={block["labels"]} wants one seed, got '
      f'{len(config["seeds"])}: their answers come in one queue; set '
      '--config.seeds=200,'
    )
  if block['labels'] == 'queue' and not block['queue']:
    raise ValueError(
      'online.labels=queue wants the database of the page: set '
      '--config.online.queue=FILE, as python -m apps.feedback has it in --db'
    )
  third = block['rounds'] * block['round_pairs']
  tested = block['rounds'] * block['round_test_pairs']
  base = Tranche(base_job(config, root), 0, 3 * third, tested)
  rounds = [trained_on(*args, 'online0', [base])]
  tranches = [base]
  if block['labels'] != 'queue':
    ranked = rejection_job(*args, base, rounds[0].pm, third, tested)
    tranches.append(Tranche(ranked, 1, third, tested))
  for number in range(1, block['rounds'] + 1):
    made = online_job(*args, number, tranches, rounds)
    counts = block['round_pairs'], block['round_test_pairs']
    tranches.append(Tranche(made, number + 1, *counts))
    rounds.append(trained_on(*args, f'online{number}', tranches))
  thirds = []
  if block['labels'] != 'queue':
    equal = [base._replace(pairs=third), *tranches[1:]]
    thirds = [trained_on(*args, THIRDS, equal)]
  last = comparison_of(*args, tranches, rounds, thirds)
  return [*(job for pair in (*rounds, *thirds) for job in pair), last]


def base_job(config, root) -> Job:
  """The base tranche: pairs of the language model of the policies' size.

  Where that model wrote the study's comparisons it is these.
  """
  block, made = config['online'], blocks.comparison_job(config, root)
  size = block['size']
  if size == config['comparisons']['lm_size']:
    return made
  lm = blocks.lm_job(config, root, size)
  values = {'text_dir': lm.config['text_dir'], 'lm_dir': f'{root}/{lm.name}'}
  changes = {'lm_size': size, 'pairs': block['base_pairs']}
  return dataclasses.replace(
    made,
    name='online/comparisons',
    config=filled(config, 'comparisons', values, changes),
    needs=(*lm.needs, lm),
  )


def trained_on(config, root, seed, role, tranches) -> Trained:
  """A preference model and a policy on a mixture of tranches, from scratch."""
  data = mixture_job(config, root, seed, role, tranches)
  size = config['online']['size']
  pairs = sum(tranche.pairs for tranche in tranches)
  pm = blocks.pm_job(config, root, role, size, seed, 'all', KIND, pairs=pairs)
  pm = on_data(pm, root, data)
  pms, section = (pm, pm, pm), 'online_rl'
  rl = blocks.rl_job(config, root, role, size, seed, 'all', pms, section)
  return Trained(pm, on_data(rl, root, data))


def on_data(job, root, data):
  """A job on other comparisons than the study's own."""
  needs = [need for need in job.needs if need.name != 'comparisons']
  config = job.config | {'comparisons_dir': f'{root}/{data.name}'}
  return dataclasses.replace(job, config=config, needs=(data, *needs))


def _name(kind, seed):
  return f'online/{kind}-s{seed}'


def mixture_job(config, root, seed, role, tranches) -> Job:
  """So many pairs of each tranche, as one set of comparisons."""
  found = _labels(config, seed, role)
  found |= {
    'tranche_dirs': [f'{root}/{x.job.name}' for x in tranches],
    'tranche_numbers': [x.number for x in tranches],
    'train_counts': [x.pairs for x in tranches],
    'test_counts': [x.test_pairs for x in tranches],
    'subset': KIND,
  }
  return Job(
    name=_name(f'data_{role}', seed),
    module='experiments.mix_tranches',
    config=filled(config, 'mix', found, {}),
    needs=tuple(x.job for x in tranches),
    weight=0.5,
  )


def rejection_job(config, root, seed, base, pm, pairs, test_pairs) -> Job:
  """The rejection-sampled tranche: the best of k by the PM of base pairs."""
  lm = blocks.lm_job(config, root, config['online']['size'])
  return _tranche(
    config,
    root,
    seed,
    'rs',
    {
      'source': RS,
      'writer_dirs': [f'{root}/{lm.name}'],
      'ranker_dir': f'{root}/{pm.name}',
      'best_of': config['online']['best_of'],
      'before_dir': '',
      'pairs': pairs,
      'test_pairs': test_pairs,
    },
    (base.job, lm, pm),
  )


def online_job(config, root, seed, number, tranches, rounds) -> Job:
  """The new comparisons of a round, by snapshots of the rounds before."""
  block = config['online']
  policies = [x.policy for x in rounds][-block['deployed_rounds'] :]
  before = tranches[-1].job if number > 1 else None
  return _tranche(
    config,
    root,
    seed,
    f'round{number}',
    {
      'source': ONLINE,
      'writer_dirs': [x for job in policies for x in snapshots(root, job)],
      'ranker_dir': '',
      'best_of': 1,
      'before_dir': f'{root}/{before.name}' if before else '',
      'pairs': block['round_pairs'],
      'test_pairs': block['round_test_pairs'],
    },
    (tranches[0].job, *policies, *([before] if before else [])),
  )


def snapshots(root, policy):
  """Directories of a policy: some iterations of its training, and the last."""
  folder = f'{root}/{policy.name}'
  kept = [f'{folder}/snapshots/{i}' for i in policy.config['snapshots']]
  return [*kept, folder]


def _tranche(config, root, seed, name, values, needs):
  """A tranche of the study's kind, prompts and label source."""
  block = config['online']
  values |= _labels(config, seed, 'tranche') | {
    'comparisons_dir': f'{root}/{base_job(config, root).name}',
    'labels': block['labels'],
    'judge_dir': block['judge_dir'],
    'queue': block['queue'],
  }
  return Job(
    name=_name(name, seed),
    module='experiments.make_tranche',
    config=filled(config, 'tranche', values, {}),
    needs=needs,
    program=f'tranche-{block["size"]}',
    weight=2 * cost_of(block['size']),
  )


def _labels(config, seed, role):
  size = config['online']['size']
  return {'role': role, 'seed': seed, 'half': 'all', 'size': size}


def comparison_of(config, root, seed, tranches, rounds, thirds) -> Job:
  """All policies and preference models beside each other.

  Of the first round, the last, and the controlled test their snapshots too.

  Args:
    config: of the study.
    root: of the study.
    seed: of the policies.
    tranches: [Tranche].
    rounds: [Trained], the base round first.
    thirds: [Trained] of the controlled test; [] without one.
  """
  lm = blocks.lm_job(config, root, config['online']['size'])
  first, *between, last = rounds
  named = {'pi_0': f'{root}/{lm.name}'}
  for i, pair in enumerate(between, start=1):
    named[f'round{i}'] = f'{root}/{pair.policy.name}'
  shown = {'base_only': first, 'final': last}
  shown |= dict(zip(['thirds'], thirds, strict=False))
  for name, pair in shown.items():
    *early, end = snapshots(root, pair.policy)
    marks = pair.policy.config['snapshots']
    named |= {f'{name}@{i}': x for i, x in zip(marks, early, strict=True)}
    named[name] = end
  values = _labels(config, seed, 'online') | {
    'comparisons_dir': f'{root}/{_name("data_online0", seed)}',
    'writer_names': list(named),
    'writer_dirs': list(named.values()),
    'pm_names': list(shown),
    'pm_dirs': [f'{root}/{pair.pm.name}' for pair in shown.values()],
    'tranche_names': [NAMES.get(x.number, 'online') for x in tranches],
    'tranche_dirs': [f'{root}/{x.job.name}' for x in tranches],
    'test_pairs': tranches[0].test_pairs,
    'subset': KIND,
  }
  trained = [job for pair in (*rounds, *thirds) for job in pair]
  return Job(
    name=_name('policies', seed),
    module='experiments.compare_policies',
    config=filled(config, 'policies', values, {}),
    needs=(lm, *(x.job for x in tranches), *trained),
    program=f'policies-{config["online"]["size"]}',
    weight=cost_of(config['online']['size']),
  )
