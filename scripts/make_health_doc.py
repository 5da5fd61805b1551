"""Writes docs/health.md: every sign of ill health with its planted cause.

python -m scripts.make_health_doc
"""

import pathlib
import sys

from rlhf_jax.train import health
from rlhf_jax.train.health_rules import FIRST, LAST, RULES, History

OUT = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'health.md'
# A healthy run's numbers, such as a small policy has.
ROW = {
  'score': 0.4,
  'policy_loss': -0.01,
  'value_loss': 0.3,
  'kl_k1': 0.5,
  'kl_k3': 0.52,
  'first_ratio': 1.0,
  'first_kl': 0.0,
  'clip_fraction': 0.05,
  'explained_variance': 0.4,
  'entropy': 1.6,
  'truncated': 0.08,
  'length': 19.0,
  'length_score': 0.1,
  'repeated': 0.06,
  'skipped': 0.0,
}
BEFORE = {
  'kl': 0.0,
  'kl_k1': 0.0,
  'kl_k3': 0.0,
  'train_pm': 0.2,
  'test_pm': 0.1,
  'train_pm_se': 0.05,
  'test_pm_se': 0.05,
}
AFTER = BEFORE | {
  'kl': 2.1,
  'kl_k1': 2.0,
  'kl_k3': 2.2,
  'train_pm': 1.4,
  'test_pm': 1.1,
}
HEADER = """\
# Health of a run of RL

While `train_ppo` runs, a panel looks at what it logs anyway and says, once and
in plain words, when a number leaves the range of a healthy run. Such a sign is
printed, stands in `metrics.jsonl` as a row of the kind `health`, goes to the
[loggers](logging.md), and has a section on the run's page. It is no verdict:
most runs that are pushed far show some, and the page of a study lists them
beside its claims. Written by `python -m scripts.make_health_doc`.

    .venv/bin/python -m experiments.train_ppo --config=configs/ppo.py:smoke \\
        --config.health.stop="('nonfinite','entropy_collapse')" \\
        --config.health.off="('end_rate',)" --workdir=runs/watched

`health.stop` names the signs that end the run, none by default: nothing of the
update that shows one is saved, so the last checkpoint is of before, and the
reason stands in `failed.json`. `health.off` names signs that are not looked
for. `on_nonfinite` decides besides what becomes of an update that is not
finite. Both settings may change when a run goes on; they change nothing of what
it computes.

Read are the mean over the last {last} logged rows (now), the mean over the
first {first} (start), and the first and the last checkpoint. The rule
`explained_variance` is judged from row {ripe} on.
"""
ITEM = """
## {name}

{what}

- **Reads**: {reads}; said above {limit:g}.
- **Planted**: {cause} ({planted}).
- **Message**: {message}.
"""


def planted_history(rule=None) -> History:
  """A healthy run's History, with what a rule's cause makes of it."""
  more = rule.planted if rule else {}
  rows = {'start': ROW, 'now': ROW, 'before': BEFORE, 'after': AFTER}
  rows = {name: row | more.get(name, {}) for name, row in rows.items()}
  return History(rows=50, **rows)


def _shown(planted):
  numbers = {k: x for row in planted.values() for k, x in row.items()}
  return ', '.join(f'{name} {x:g}' for name, x in numbers.items())


def generate() -> str:
  """The text of docs/health.md."""
  text = HEADER.format(first=FIRST, last=LAST, ripe=FIRST + LAST)
  for rule in RULES:
    history = planted_history(rule)
    [sign] = [x for x in health.judge(history) if x.name == rule.name]
    text += ITEM.format(
      name=rule.name,
      what=' '.join(rule.value.__doc__.split()),
      reads=', '.join(f'`{name}`' for name in rule.reads),
      limit=rule.limit,
      cause=rule.cause,
      planted=_shown(rule.planted),
      message=sign.message,
    )
  return text


if __name__ == '__main__':
  OUT.write_text(generate())
  print(OUT, file=sys.stderr)
