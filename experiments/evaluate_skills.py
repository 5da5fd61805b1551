"""Preference models and policies of one size on skills that were mixed in.

    python -m experiments.evaluate_skills --config=configs/skills.py \
        --workdir=DIR

Every preference model, if some are named, is tested on the held-out pairs of
its tasks (skill_pms). Every policy chooses between a right and a wrong answer
by their log-probabilities, and writes answers that the checker of the skill
runs or reads (capability; Bai et al. 2022, sections 3.3 and 5.2). `hh` are the
world's own requests: right against wrong answers in the same words, where there
are such.
"""

import jax
import numpy as np

from experiments.shared import command, comparisons, policies, readers, sources
from experiments.shared.choices import encode_choices, share_right
from experiments.shared.files import write_csv
from experiments.shared.models import arithmetic, open_base, open_scorer
from rlhf_jax.crowd import skills
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals import preference
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts

OWN, ALL = 'hh', 'mixed'  # the world's own task; a PM of all tasks


def held_pairs(config):
  """{task: PairArrays} of held-out pairs, labels drawn by the seed."""
  found = {}
  named = zip(config['tranche_names'], config['tranche_dirs'], strict=True)
  for i, (task, folder) in enumerate(named):
    pairs = comparisons.load_pairs(folder, 'test')
    rng = np.random.default_rng([config['seed'], i, 5])
    pairs = comparisons.redraw_labels(pairs, rng)
    order = rng.permutation(len(pairs.kind_N))
    found[task] = pairs.take(order[: config['test_pairs']])
  return found


def pm_rows(config, held):
  """Rows of skill_pms: a PM of one task on that task, one of all on all."""
  rows = []
  for name, folder in zip(config['pm_names'], config['pm_dirs'], strict=True):
    pm = open_scorer(folder, computes=arithmetic(config))
    args = pm.functions.pair_score_fn, pm.way, pm.size, 0.98, 1, -1.0, None
    score, both = readers.pm_programs(*args)[1], (pm.frozen, pm.trained)
    for task, pairs in held.items():
      if name not in (task, ALL):
        continue
      sides = preference.score_all(
        score, both, readers.shared_rows(pairs), config['eval_batch']
      )
      expected = preference.expected_accuracy(*sides, pairs.p_label_N)
      row = {'pm': name, 'task': task, 'accuracy': preference.accuracy(*sides)}
      rows.append(
        row | {'expected_accuracy': expected, 'n_eval': len(pairs.kind_N)}
      )
  return rows


def choices_of(world, rng, task, count):
  """[(prompt, right answer, wrong answer)] of a skill or the world's own."""
  rules, found = rules_of(world), []
  while len(found) < count:
    if task == OWN:
      prompt = rules.sample_prompt(world, rng, 'helpful', _family(rules, rng))
      pair = rules.answer_twins(world, rng, prompt)
    else:
      prompt = rules.sample_prompt(world, rng, family=task)
      asked = skills.recognise(prompt.text)
      pair = asked.skill.twins(rng, asked.asked)
    if pair is not None:
      found.append((prompt.text, *pair))
  return found


def _family(rules, rng):
  """A family of the world's own harmless requests."""
  own = [x for x in rules.helpful_families if x not in skills.SKILLS]
  return own[int(rng.random() * len(own))]


class Questions:
  """What every policy of a seed is asked, the same of all of them."""

  def __init__(self, config, tokenizer):
    """Draws the questions of the seed.

    Args:
      config: of the stage.
      tokenizer: of all policies.
    """
    self._config, self._words = config, tokenizer
    world = sources.world_of(config['world'])
    rng = np.random.default_rng([config['seed'], 6])
    self._choices, self._tasks = {}, {}
    for task in (OWN, *skills.SKILLS):
      found = choices_of(world, rng, task, config['choices'])
      self._choices[task] = encode_choices(tokenizer, found, config)
      if task != OWN:
        prompts = [
          rules_of(world).sample_prompt(world, rng, family=task).text
          for _ in range(config['samples'])
        ]
        self._tasks[task] = (
          [skills.recognise(text) for text in prompts],
          prompts,
        )

  def rows(self, name, base):
    """Rows of capability of one policy, one a task."""
    found = []
    for task, encoded in self._choices.items():
      right = share_right(base, encoded, self._config['eval_batch'])
      row = {'policy': name, 'task': task, 'accuracy': right}
      row |= {'n_choices': len(encoded[1]) // 2}
      found.append(row | self._written(task, base))
    return found

  def _written(self, task, base):
    """Share of right answers among a policy's own, and their mean gold."""
    if task not in self._tasks:
      nothing = float('nan')
      return {'passed': nothing, 'gold': nothing, 'n_samples': 0}
    config, (tasks, texts) = self._config, self._tasks[task]
    arrays = encode_prompts(texts, self._words, config['max_prompt'])
    rows = Prompts(arrays.tokens_NP, arrays.length_N, np.arange(len(texts)))
    sampling = policies.sampling_of(self._words, config['max_reply'])
    sample = policies.sampler(base.functions, base.size, sampling)
    out = sample(base.params, rows, jax.random.key(30_000 + config['seed']))
    said = policies.decoded(self._words, *jax.device_get(out[:3]))
    both = list(zip(tasks, said, strict=True))
    passed = [t.skill.is_right(t.asked, x) for t, x in both]
    gold = [t.skill.score(t.asked, x) for t, x in both]
    return {
      'passed': float(np.mean(passed)),
      'gold': float(np.mean(gold)),
      'n_samples': len(said),
    }


def run(config, workdir):
  """Writes `skill_pms.csv` and `capability.csv`."""
  asked = {'size': '', 'pad_token': ''} | arithmetic(config)
  first = open_base(asked | {'base': config['writer_dirs'][0]}, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': first.size, 'n_params': first.n_params}
  about = About('evaluate_skills', 'table')
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    if config['pm_names']:
      judged = pm_rows(config, held_pairs(config))
      write_csv(run_.path / 'skill_pms.csv', judged)
    questions, rows = Questions(config, first.tokenizer), []
    named = zip(config['writer_names'], config['writer_dirs'], strict=True)
    for name, folder in named:
      rows += questions.rows(name, open_base(asked | {'base': folder}))
    write_csv(run_.path / 'capability.csv', rows)
    for line in rows:
      print(
        '{policy:>8} {task:>10}: right choices {accuracy:.3f}, right answers '
        '{passed:.3f}'.format(**line)
      )
    run_.finish(policies=len(config['writer_dirs']))


if __name__ == '__main__':
  command.main(run, 'configs/skills.py', report=True, several=True)
