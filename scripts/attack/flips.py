"""Bit flips: one bit of one file, and what its reader makes of it.

A flip counts as silent only if the reader gives something else than before.
"""

import functools
import random
import shutil
from pathlib import Path

from experiments import train_pm, train_ppo
from experiments.shared import files, models, run_report
from rlhf_jax.analysis import runs
from rlhf_jax.train import about
from rlhf_jax.train.run import Run
from scripts.attack import study
from scripts.attack.trials import outcome_of, value_of


def targets(root, scratch):
  """{kind: (files, reader)}; a reader gives what a stage would go on with.

  Args:
    root: of the attacked study.
    scratch: folder for copies of unfinished runs, which readers change.
  """
  root = Path(root)
  folder = lambda name: root / name
  under = lambda *parts: sorted(
    p for p in folder(parts[0]).joinpath(*parts[1:]).rglob('*') if p.is_file()
  )
  found = {
    'params of a language model': (
      under('lm', 'params'),
      lambda: models.open_run(folder('lm')).params,
    ),
    'params of a preference model': (
      under('pm', 'params'),
      lambda: models.open_scorer(folder('pm')).trained,
    ),
    'params of a policy': (
      under('ppo', 'params'),
      lambda: models.open_run(folder('ppo')).params,
    ),
    'tokenizer.model': (
      [folder('text') / 'tokenizer.model'],
      lambda: _words(models.text_tokenizer({'text_dir': folder('text')})),
    ),
    'samples.json': (
      [folder('ppo') / 'samples.json'],
      lambda: run_report.read_samples(folder('ppo')),
    ),
    'prompts.json': (
      [folder('comparisons') / 'prompts.json'],
      lambda: files.read_json(folder('comparisons') / 'prompts.json'),
    ),
    'metrics.jsonl of a finished run': (
      [folder('ppo') / 'metrics.jsonl'],
      lambda: runs.read_metrics(folder('ppo')),
    ),
  }
  for name, of in (('text', 'rows'), ('comparisons', 'train')):
    file = folder(name) / f'{of}.npz'
    found[f'{of}.npz'] = ([file], lambda file=file: files.read_arrays(file))
  for name in ('lm', 'pm', 'ppo'):
    for file in sorted(folder(name).glob('*.csv*')):
      found[file.name] = (
        [file],
        lambda path=file.parent: runs.run_tables(path, 'run'),
      )
  for name in ('config.json', 'env.json', 'done.json'):
    found[f'{name} of a finished run'] = (
      [folder('pm') / name],
      lambda: [runs.read_run(folder('pm')), about.read(folder('pm'))[1:]],
    )
  return found | unfinished(root, Path(scratch))


def unfinished(root, scratch):
  """The targets of runs that resume: checkpoints and what lies beside them."""
  found = {}
  for name in ('pm', 'ppo'):
    copy = scratch / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root / name, copy)
    (copy / 'done.json').unlink()
    read = _resuming(root, name, copy)
    inside = sorted(p for p in (copy / 'checkpoints').rglob('*') if p.is_file())
    found |= {
      f'checkpoint of {name}': (inside, read),
      f'metrics.jsonl of {name}, unfinished': ([copy / 'metrics.jsonl'], read),
      f'config.json of {name}, unfinished': ([copy / 'config.json'], read),
    }
  return found


def _words(tokenizer):
  texts = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
  return [texts, tokenizer.encode('Human: 3 + 4? Assistant: 7')]


def _resuming(root, name, folder):
  """callable() -> state, rows and config of a run that resumes.

  Its files stay. What it starts from is not what is attacked, and made once.
  """
  config, stage = study.config_of(root, name), study.stage_of(root, name)
  holds = {train_pm: 'preference model', train_ppo: 'policy'}[stage]
  kind = about.About(
    stage.__name__.rpartition('.')[2], holds, config['trained'], config['base']
  )
  row = {k: config[k] for k in ('role', 'seed', 'half')}

  @functools.cache
  def start():
    base = models.open_base(config)
    size = {'size': base.size, 'n_params': base.n_params}
    return size, stage.initial_state(config, base, None)

  def read():
    size, state = start()
    metrics = (folder / 'metrics.jsonl').read_bytes()
    try:
      with Run(folder, config, row | size, about=kind) as run:
        state = run.restore(state)
        return [state, run.rows('train'), (folder / 'config.json').read_text()]
    finally:
      (folder / 'metrics.jsonl').write_bytes(metrics)

  return read


def attack(trials, root, scratch, count, report):
  """Flips `count` bits of each kind of file, one at a time.

  Args:
    trials: Trials.
    root: of the attacked study.
    scratch: of `targets`.
    count: of each kind.
    report: callable(str).
  """
  for kind, (paths, read) in targets(root, scratch).items():
    wanted = [n for n in range(count) if not trials.has('flips', kind, n)]
    if not wanted:
      continue
    expected = value_of(read())
    for number in wanted:
      rng = random.Random(f'{kind} {number}')
      sizes = [path.stat().st_size for path in paths]
      path = rng.choices(paths, sizes)[0]
      trial = _flipped(path, rng, read, expected)
      trials.add('flips', kind, number, *trial)
      report(f'flips: {kind} {number + 1}/{count}')


def _flipped(path, rng, read, expected):
  """(outcome, detail) with one bit of a file flipped; it is put back."""
  whole = path.read_bytes()
  data = bytearray(whole)
  bit = rng.randrange(8 * len(data))
  data[bit // 8] ^= 1 << bit % 8
  path.write_bytes(bytes(data))
  try:
    names = (path.name, 'done.json', str(path.parent))
    return outcome_of(lambda: value_of(read()), expected, names)
  finally:
    path.write_bytes(whole)
