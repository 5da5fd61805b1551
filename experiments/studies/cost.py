"""What the jobs of a study should take, from rates of two quiet CPU cores.

Seconds are those of both cores together: a study of two workers takes about
their sum. Rates of shape 197K, vocabulary 1,024, are those of
benchmarks/results/cpu-2-cores (363 pairs/s of training, 135 samples/s of PPO,
60,000 tokens/s of sampling); other rungs are cheaper by `rungs.COST`, and
rows of other lengths take as much more as they have columns. The whole is
scaled so that the micro study of ae98915 (five seeds of preference models,
three of PPO) takes its 938 s (docs/reproduction.md). Longer rows take more
again, by the factors of `LONG`: what seeds 200 and 201 of the headline study
took at 43a80f2, on a Xeon, half of it beside other programs, over what their
columns alone would make; language models, comparisons and preference models,
what micro took at 11048bb, with nothing beside it
(results/parts/micro-rerun-200-207). An estimate is good to a third or so.
"""

import math
import re

from experiments.studies import clock, rungs

SCALE = 0.4  # what a whole study took over the sum of the rates
PAIR = 1 / 363  # of training, 197K
FORWARD = PAIR / 6  # of one sequence: a third of the step, two in a pair
PPO_SAMPLE = 1 / 135  # of two passes
PASS = 6 * FORWARD  # of a sample, policy and value network: a step each
REPLY = 15 / 60_000  # of sampling, 15 tokens
LM_TEXT = 1 / 700  # a row of training
GOLD = 5e-5  # of one reply, plain Python
FIT = 0.2  # of a linear classifier of prompts, at both ways to pool
COMPILE = 6.0  # seconds a program, counted once a size and stage
FAMILIES = 24  # of prompts of which some are shown
COLUMNS = 24 + 28  # of the rows that these rates are of
# Of rows with more columns, on top of their number: packed texts, pages of a
# cache, attention; less than 1 where rows are since read a few at a time. Other
# stages of such rows: OTHER, that of a whole study.
LONG = {
  'train_lm': 1.7,
  'make_comparisons': 5.2,
  'train_pm': 0.7,
  'train_ppo': 2.0,
  'frontier': 2.1,
}
OTHER = 2.1
START = 1.0  # seconds a job: reading what it needs, writing what it leaves


def share(size):
  """The cost of a rung over that of 197K."""
  return rungs.cost_of(size) / rungs.COST['197K']


def seconds(job) -> float:
  """Seconds of one job, without compiling; its start where nothing is known.

  Args:
    job: Job of a study that trains its own language models.
  """
  stage = job.module.rpartition('.')[2]
  work = OF_STAGE.get(stage, lambda config, job: 0.0)(job.config, job)
  wide = columns(job)
  more = LONG.get(stage, OTHER) if wide > COLUMNS else 1.0
  fits = _fits(job)
  return START + fits + SCALE * work * more * wide / COLUMNS


def _fits(job) -> float:
  """Seconds that neither rows nor sizes change: fits of classifiers."""
  config = job.config
  if not job.module.endswith('detect_outliers'):
    return 0.0
  each = len(config['exposures']) * config['exposure_draws']
  return config['splits'] * each * FIT


def reckoned(job) -> float:
  """Seconds a job should take, by its stage and rung, else by its weight.

  A weight is no number of seconds: one that stood for the comparisons of six
  draws would let the rest of their study look short.
  """
  known = job.module.rpartition('.')[2] in OF_STAGE
  sizes = [job.config[key] for key in ('size', 'lm_size') if key in job.config]
  if known and all(size in rungs.COST for size in sizes):
    return seconds(job)
  return clock.by_weight(job)


def columns(job) -> int:
  """Longest prompt and longest reply of a job, or of what it reads."""
  if 'max_reply' in job.config:
    return job.config['max_prompt'] + job.config['max_reply']
  return max(map(columns, job.needs), default=COLUMNS)


def _lm(config, job):
  own = share(config['size'])
  if 'epochs' not in config:
    pages = [x.config.get('page_tokens', 0) for x in job.needs]
    longer = max(1.0, *(tokens / columns(job) for tokens in (0, *pages)))
    return config['steps'] * config['batch_size'] * LM_TEXT * own * longer
  # Of demonstrations, and of replies after each epoch that a PM of 197K scores.
  [demos] = [need for need in job.needs if 'demonstrations' in need.config]
  rows = (1 - demos.config['test_fraction']) * demos.config['demonstrations']
  replies = config['samples'] * (own * REPLY + FORWARD + GOLD)
  return config['epochs'] * (rows * LM_TEXT * own + replies)


def _comparisons(config, job):
  each = 2 * (REPLY * share(config['lm_size']) + GOLD)
  return config['pairs'] * each


def _pm(config, job):
  if config.get('loss', 'pairs') != 'pairs':
    return _ranked_pm(config, job)
  tests = config['curve_points'] * config['curve_eval_pairs']
  tests += max(config['final_eval_pairs'], 0)
  pairs = (config['pairs'] or _all_pairs(job)) * config['epochs']
  return share(config['size']) * (pairs * PAIR + 2 * tests * FORWARD)


def _all_pairs(job):
  """Pairs that are there to train on: of a forum, what is not held out."""
  made = [need.config for need in job.needs if need.name.startswith('forum/')]
  return sum(x['pairs'] * (1 - x['test_fraction']) for x in made)


def _replies_of(config):
  """(replies to a prompt, its pairs), means over evenly drawn numbers."""
  count_N = range(config['least'], config['most'] + 1)
  mean = lambda values: sum(values) / len(count_N)
  return mean(count_N), mean([k * (k - 1) / 2 for k in count_N])


def _ranked_pm(config, job):
  [made] = [x.config for x in job.needs if x.name.startswith('rankings/')]
  replies, pairs = _replies_of(made)
  tests = 2 * config['curve_points'] * made['test_prompts'] * replies
  # A row of K replies takes a CPU as long as their pairs by themselves: what it
  # saves of tokens, attention over so long a row costs (docs/kwise.md).
  trained = config['epochs'] * made['prompts'] * pairs * PAIR
  return share(config['size']) * (trained + tests * FORWARD)


def _rankings(config, job):
  prompts = config['prompts'] + config['test_prompts']
  each = REPLY * share(config['lm_size']) + GOLD
  return prompts * _replies_of(config)[0] * each


def evaluation_count(config) -> int:
  """Checkpoints of a PPO run that are measured, pi_0 included."""
  dense = min(config['dense_iterations'], config['iterations'])
  sparse = max(0, config['iterations'] - config['dense_iterations'])
  return 2 + dense // config['dense_every'] + sparse // config['sparse_every']


def _ppo(config, job):
  samples = config['iterations'] * config['batch_size']
  own, judge = share(config['size']), share(config['pm_size'])
  train = judge * (1 + len(config.get('ensemble_dirs', ())))
  # Of a sample: its policy and value network, and one score of each train PM.
  each = PPO_SAMPLE + (config['passes'] - 2) * PASS - FORWARD
  trained = samples * (own * each + train * FORWARD)
  measured = evaluation_count(config) + config['pi0_samples']
  read = FAMILIES * math.prod(config['shown'].values())
  replies = measured * config['eval_prompts'] + read
  each = own * (REPLY + 2 * FORWARD) + (train + judge) * FORWARD + GOLD
  texts = samples * config['ptx_per_episode'] if config.get('ptx_coef') else 0
  return trained + replies * each + texts * own * LM_TEXT


def _dpo(config, job):
  pairs = config['iterations'] * config['batch_size']
  own, judge = share(config['size']), share(config['pm_size'])
  measured = evaluation_count(config) + config['pi0_samples']
  read = FAMILIES * math.prod(config['shown'].values())
  replies = measured * config['eval_prompts'] + read
  each = own * (REPLY + 2 * FORWARD) + 2 * judge * FORWARD + GOLD
  # The prompt stands in both rows of a pair, and the reference reads it once.
  trained = 2 * pairs * PAIR + 2 * config['pairs'] * FORWARD
  return own * trained + replies * each


def _methods(config, job):
  # Of a kind of tasks its own head and the imitator, or all.
  each = len(config['methods']) if config['crossed'] else 2
  models = len(config['tasks']) * each
  if not config['tuned_dir']:
    models *= len(config['rates']) * len(config['tuning_seeds'])
  each = config['pairs'] * PAIR + 2 * config['eval_pairs'] * FORWARD
  return models * share(config['size']) * each


def _frontier(config, job):
  [run] = job.needs
  own, judge = share(run.config['size']), share(run.config['pm_size'])
  each = own * REPLY + (judge + 1) * FORWARD + GOLD  # the test PM is 197K
  return config['prompts'] * config['replies'] * each


def _replies(config, job):
  pms = [need for need in job.needs if need.module.endswith('train_pm')]
  judges = sum(share(pm.config['size']) for pm in pms)
  return (
    config['prompts']
    * config['replies']
    * (share(job.needs[0].config['size']) * REPLY + judges * FORWARD + GOLD)
  )


def _tranche(config, job):
  pairs = config['pairs'] + config['test_pairs']
  scored = FORWARD if config['best_of'] > 1 else 0.0
  each = config['best_of'] * share(config['size']) * (REPLY + scored)
  return 2 * pairs * (each + GOLD)


def _policies(config, job):
  own, policies = share(config['size']), len(config['writer_dirs'])
  replies = config['prompts'] * config['replies']
  readers = 3 * len(config['pm_dirs']) + policies  # of one tranche each
  read = 2 * config['test_pairs'] * own * FORWARD
  return policies * replies * (own * REPLY + GOLD) + readers * read


def _tax(config, job):
  sizes = [share(need.config['size']) for need in job.needs[2:]]
  replies = config['prompts'] * config['replies']
  each = len(sizes) * replies * GOLD + 2 * config['heldout_texts'] * FORWARD
  return each + sum(sizes) * replies * REPLY


def _games(config, job):
  players = len(config['writer_dirs'])
  talks = config['talks'] * players * (players - 1) / 2
  replies = players * config['prompts'] + talks * (config['turns'] + 1)
  each = share(config['size']) * REPLY + 2 * FORWARD + GOLD  # PMs are 197K
  return replies * each


def _skills(config, job):
  own, tasks = share(config['size']), len(config['tranche_names'])
  pairs = 2 * tasks * config['test_pairs']  # by a PM of each, and one of all
  pairs = pairs if config['pm_names'] else 0
  policies = len(config['writer_dirs'])
  choices = policies * tasks * config['choices']
  answers = policies * (tasks - 1) * config['samples']
  read = 2 * (pairs + choices) * FORWARD
  return own * (read + answers * REPLY) + answers * GOLD


def _targets(config, job):
  # The HHH prompt before a text is about two texts long.
  texts = config['texts'] + config['heldout_texts']
  return texts * 3 * FORWARD * share(config['lm_size'])


def _distil(config, job):
  return (
    config['steps'] * config['batch_size'] * LM_TEXT * share(config['size'])
  )


def _prompted(config, job):
  replies = config['samples'] * (REPLY + GOLD)
  each = 3 * (replies + 6 * config['choices'] * FORWARD)
  return each * sum(map(share, config['sizes']))


def _outliers(config, job):
  prompts = config['fit_prompts'] + 2 * config['test_prompts']
  prompts += config['exposed_prompts']
  return prompts * FORWARD * share(config['size'])


OF_STAGE = {
  'make_text': lambda config, job: config['dialogues'] * 3e-4,
  'train_lm': _lm,
  'make_comparisons': _comparisons,
  'train_pm': _pm,
  'train_ppo': _ppo,
  'train_dpo': _dpo,
  'frontier': _frontier,
  'compare_methods': _methods,
  'score_replies': _replies,
  'make_tranche': _tranche,
  'compare_policies': _policies,
  'play_games': _games,
  'measure_tax': _tax,
  # Reckoned from one development seed on a busy machine.
  'render_activations': lambda config, job: 100 / SCALE,
  'make_pages': lambda config, job: 4 * config['rows_pages'] * 3e-4,
  'make_targets': _targets,
  'distil': _distil,
  'evaluate_prompted': _prompted,
  'detect_outliers': _outliers,
  'make_rankings': _rankings,
  'evaluate_skills': _skills,
}


def kind_of(job) -> str:
  """'rl/linear', 'pm/scaling', 'lm': stage and role, without a seed."""
  parts = [p for p in job.name.split('/') if not p.startswith('draw')]
  role = parts[-1].split('-')[0]
  own = [] if re.fullmatch(r's\d+', role) else [role]
  return '/'.join([*parts[:-1][:1], *own])


def has_policy(job) -> bool:
  """Whether a job trains a policy, or reads what one has made."""
  own = job.module.endswith(('train_ppo', 'train_dpo'))
  return own or any(map(has_policy, job.needs))


def unknown_sizes(jobs) -> list[str]:
  """Sizes of jobs of which no rate is known, as of any imported model.

  A stage without a size, such as texts, has that of its base, if it has one.
  """
  size = lambda job: job.config.get(
    'size', '' if job.config.get('base') else '3K'
  )
  return sorted({size(job) for job in jobs} - rungs.COST.keys())


def table(jobs) -> list[tuple[str, int, float]]:
  """(kind, jobs, seconds) of each kind, in order, and of compiling."""
  found = {}
  for job in jobs:
    kind = kind_of(job)
    kind = 'lm' if kind.startswith('lm/') else kind
    count, total = found.get(kind, (0, 0.0))
    found[kind] = count + 1, total + seconds(job)
  programs = {(job.module, job.config.get('size')) for job in jobs}
  rows = [(kind, *pair) for kind, pair in found.items()]
  return [*rows, ('compiling', len(programs), COMPILE * len(programs))]
