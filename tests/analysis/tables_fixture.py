"""Small synthetic tables in the shape of docs/tables.md, for drawing."""

import json

import numpy as np
import pandas as pd

SEEDS = (0, 1, 2)
SIZES = {'3K': 3456, '13K': 13824, '42K': 38400}


def _run(role, size, seed, half='all'):
  return {
    'run_id': f'{role}-{size}-{half}-{seed}',
    'seed': seed,
    'config_hash': f'{seed}e9999',
    'commit': '12e4567',
    'role': role,
    'size': size,
    'n_params': SIZES[size],
    'half': half,
  }


def lm():
  """Loss falls with tokens and with size; two checkpoints a size."""
  return pd.DataFrame(
    {
      **_run('lm', size, 0),
      'tokens': tokens,
      'nats_per_token': 3.0 - 0.1 * np.log(n_params) + 1e3 / tokens,
      'gold': 0.1,
    }
    for size, n_params in SIZES.items()
    for tokens in (10_000, 20_000)
  )


def pm_curve():
  """Accuracy linear in the logs of pairs and parameters, plus seed noise."""
  rng = np.random.default_rng(0)
  rows = []
  for seed in SEEDS:
    for size, n_params in SIZES.items():
      for pairs in (0, 100, 400, 1600):
        accuracy = 0.5
        if pairs:
          accuracy += 0.02 * np.log(pairs / 50) + 0.01 * np.log(n_params / 3e3)
        rows.append(
          {
            **_run('scaling', size, seed),
            'train_subset': 'mix',
            'schedule': 'constant',
            'pairs': pairs,
            'eval_subset': 'mix',
            'accuracy': accuracy + 0.01 * rng.normal(),
            'expected_accuracy': accuracy + 0.005 * rng.normal(),
            'n_eval': 500,
          }
        )
    for train in ('helpful', 'harmless'):
      for subset in ('helpful', 'harmless'):
        rows.append(
          {
            **_run('single', '42K', seed),
            'train_subset': train,
            'schedule': 'decay',
            'pairs': 1600,
            'eval_subset': subset,
            'accuracy': (0.7 if train == subset else 0.4) + 0.01 * seed,
            'expected_accuracy': (0.7 if train == subset else 0.4)
            + 0.01 * seed,
            'n_eval': 500,
          }
        )
  return pd.DataFrame(rows)


def after_pretraining():
  """Rows of pm_curve: pretraining helps, most with few pairs."""
  rows = []
  for seed in SEEDS:
    for before, lead in (('none', 0.0), ('ranked', 0.03), ('binary', 0.05)):
      for pairs in (128, 512, 10_240):
        accuracy = 0.55 + 0.02 * np.log(pairs / 100) + lead * 128 / pairs
        run = _run(f'after_{before}', '42K', seed)
        run['run_id'] += f'-{pairs}'
        rows.append(
          run
          | {
            'train_subset': 'mix',
            'schedule': 'decay',
            'pairs': pairs,
            'eval_subset': 'mix',
            'accuracy': accuracy,
            'expected_accuracy': accuracy,
            'n_eval': 500,
          }
        )
  return pd.DataFrame(rows)


def methods():
  """A ranked and a binary task; ranking leads on the former."""
  rows = []
  for seed in SEEDS:
    for size in SIZES:
      for task, kind in (('helpful', 'ranked'), ('answer', 'binary')):
        for method in ('ranked', 'binary', 'imitation'):
          lead = 0.1 * (kind == 'ranked') * (method != 'imitation')
          rows.append(
            _run('compared', size, seed)
            | {
              'task': task,
              'kind': kind,
              'method': method,
              'pairs': 1600,
              'rate': 0.3,
              'accuracy': 0.6 + lead,
              'accuracy_whole': 0.55 if method == 'imitation' else np.nan,
              'n_eval': 500,
            }
          )
  return pd.DataFrame(rows)


def pm_pairs():
  """A calibrated PM: labels drawn from sigmoid(score difference)."""
  rng = np.random.default_rng(1)
  frames = []
  for seed in SEEDS:
    for role, subset in (('calibration', 'helpful'), ('mixture', 'mix')):
      n = 600
      score_NC = rng.normal(size=(n, 2))
      delta_N = score_NC[:, 0] - score_NC[:, 1]
      p_N = 1 / (1 + np.exp(-delta_N))
      first_N = rng.random(n) < p_N
      kind_N = np.where(np.arange(n) % 2, 'helpful', 'harmless')
      frame = pd.DataFrame(
        {
          'train_subset': subset,
          'schedule': 'decay',
          'pairs': 1600,
          'pair_id': [f'{seed}-{i}' for i in range(n)],
          'prompt_id': [str(i // 2) for i in range(n)],
          'subset': 'helpful' if subset == 'helpful' else kind_N,
          'turn': 1 + np.arange(n) % 3,
          'score_chosen': np.where(first_N, score_NC[:, 0], score_NC[:, 1]),
          'score_rejected': np.where(first_N, score_NC[:, 1], score_NC[:, 0]),
          'p_label': np.where(first_N, p_N, 1 - p_N),
          'words_chosen': rng.integers(1, 20, n),
          'words_rejected': rng.integers(1, 20, n),
        }
      )
      for column, value in reversed(_run(role, '42K', seed).items()):
        frame.insert(0, column, value)
      frames.append(frame)
  return pd.concat(frames, ignore_index=True)


def _rl_rows(role, size, seed, half, kl_coef):
  rng = np.random.default_rng([seed, len(role), SIZES[size], len(half)])
  for iteration in range(12):
    root = 0.4 * iteration
    train = 0.5 * root + 0.1 * np.log(SIZES[size] / 3e3)
    gap = 0.03 * iteration if role == 'robust' else 0.0
    yield {
      **_run(role, size, seed, half),
      'kl_coef': kl_coef,
      'pm_size': '13K',
      'pm_pairs': 1600,
      'iteration': iteration,
      'samples': 256 * iteration,
      'kl': root**2,
      'kl_se': 0.05 * root,
      'kl_k1': root**2 + 0.1 * rng.normal(),
      'kl_k3': root**2 + 0.02 * rng.normal(),
      'entropy': 2.0 - 0.1 * iteration,
      'length': 12.0 + 0.2 * iteration,
      'truncated': 0.05,
      'train_pm': train + 0.02 * rng.normal(),
      'train_pm_se': 0.02,
      'test_pm': train - gap + 0.02 * rng.normal(),
      'test_pm_se': 0.02,
      'gold': train - 0.02 * iteration**2,
      'gold_se': 0.02,
      'pm_win_rate': 0.5 + 0.03 * iteration,
      'win_rate': 0.5 + 0.02 * iteration,
      'win_rate_se': 0.01,
      'distinct': 0.6,
    }


def rl_curve():
  """Rewards linear in sqrt(KL); the robust role over-optimises."""
  rows = []
  for seed in SEEDS:
    for size in SIZES:
      rows += _rl_rows('linear', size, seed, 'a', 0.001)
    rows += _rl_rows('inert', '13K', seed, 'a', 0.0)
    for half in ('a', 'b'):
      rows += _rl_rows('robust', '13K', seed, half, 0.001)
  return pd.DataFrame(rows)


def rl_pi0():
  """V = 0.5, so the bound sqrt(2 V KL) is sqrt(KL)."""
  return pd.DataFrame(
    {
      **_run('linear', size, seed, 'a'),
      'scorer': scorer,
      'mean': 0.1 * np.log(SIZES[size] / 3e3),
      'se': 0.02,
      'within_variance': 0.5,
      'pooled_variance': 0.9,
      'n_prompts': 64,
      'n_samples': 8,
    }
    for seed in SEEDS
    for size in SIZES
    for scorer in ('train', 'test', 'gold')
  )


def _edges(rows):
  """Rows of each scorer for each linear run, on prompts of all kinds."""
  return pd.DataFrame(
    {
      **_run('linear', size, seed, 'a'),
      'world': 'classic',
      'pm': '13K mix 1600',
      'scorer': scorer,
      'subset': 'all',
      'n_prompts': 16,
      'n_replies': 512,
      **row,
    }
    for seed in SEEDS
    for size in SIZES
    for scorer in ('train', 'test', 'gold')
    for row in rows
  )


def frontier():
  """Gaussian scores of variance .5: the best gain is sqrt(KL)."""
  return _edges(
    [
      {'b': b, 'log_mgf': b**2 / 4, 'gain': b / 2, 'kl': b**2 / 4, 'ess': 99.0}
      for b in BETAS
    ]
  )


def best_of_n():
  """A gain of .9 sqrt(KL); of gold, what the train PM chooses has half."""
  rows = [{'n': n, 'kl': np.log(n) - (n - 1) / n} for n in (2, 8, 32)]
  pm = {'pm_params': SIZES['13K'], 'pm_pairs': 1600}
  own = _edges([r | {'gain': 0.9 * np.sqrt(r['kl'])} | pm for r in rows])
  own['chooser'] = own['scorer']
  gold = own[own['scorer'] == 'gold'].assign(chooser='train')
  return pd.concat([own, gold.assign(gain=gold['gain'] / 2)])


def scored():
  """Final policies, whose scores rise with their size and by PM."""
  return pd.DataFrame(
    {
      **_run(role, size, seed, 'a'),
      'world': 'classic',
      'pm': f'{pm} mix 1600',
      'pm_params': SIZES[pm],
      'pm_pairs': 1600,
      'subset': 'all',
      'n_prompts': 16,
      'n_replies': 2,
      'mean': np.log(SIZES[size]) * np.log(SIZES[pm]) / 100 + 0.01 * seed,
      'se': 0.02,
      'median': 0.5,
      'negative': 0.4,
    }
    for role in ('judged_shared', 'judged_own')
    for seed in SEEDS
    for size in SIZES
    for pm in SIZES
  )


def mixtures():
  """PMs of mixed pairs: a tent over the shares, lower by weight."""
  subsets = {f'{x}/{100 - x}': 0.7 - abs(x - 50) / 500 for x in (0, 50, 100)}
  weighted = {f'67/33*{w}': 0.7 - w / 100 for w in (1, 2, 10)}
  return pd.DataFrame(
    {
      **_run(role, size, seed),
      'run_id': f'{role}-{size}-{seed}-{subset}',
      'train_subset': subset,
      'schedule': 'decay',
      'pairs': 1600,
      'eval_subset': kind,
      'accuracy': accuracy + 0.01 * seed,
      'expected_accuracy': accuracy + 0.01 * seed,
      'n_eval': 500,
    }
    for role, known in (('mixed', subsets), ('weighted', weighted))
    for size in SIZES
    for seed in SEEDS
    for subset, accuracy in known.items()
    for kind in ('helpful', 'harmless')
  )


BETAS = np.linspace(0.1, 4, 12)
LM_SHAPES = 'batch/tokens_BT: int32[40,52] | int32[48,52]'


def programs():
  """Two programs, one by two workers, the other compiled again."""
  rows = (('pm_step', 8.0, 1, 'w0', np.nan), ('pm_step', 7.0, 1, 'w1', np.nan))
  rows += (('lm_step', 5.5, 2, 'w0', LM_SHAPES),)
  return pd.DataFrame(
    {
      **_run('scaling', '13K', 0),
      'program': program,
      'seconds': seconds,
      'count': count,
      'worker': worker,
      'shapes': shapes,
    }
    for program, seconds, count, worker, shapes in rows
  )


def tables():
  """Every table of the house, but for those of real data."""
  found = {
    'lm': lm(),
    'pm_curve': pd.concat(
      [pm_curve(), after_pretraining(), mixtures()], ignore_index=True
    ),
    'pm_pairs': pm_pairs(),
    'rl_curve': rl_curve(),
    'rl_pi0': rl_pi0(),
    'frontier': frontier(),
    'best_of_n': best_of_n(),
    'methods': methods(),
    'scored': scored(),
    'programs': programs(),
  }
  return {name: frame.reset_index(drop=True) for name, frame in found.items()}


def write_run(path, row, frames, *, done=True):
  """A run directory whose tables do not have the run columns yet."""
  path.mkdir(parents=True)
  config = {'row': {k: row[k] for k in row if k not in ('run_id', 'commit')}}
  (path / 'config.json').write_text(json.dumps(config))
  (path / 'env.json').write_text(json.dumps({'commit': row['commit']}))
  (path / 'metrics.jsonl').write_text('{"step": 0, "loss": 1.5}\n')
  for name, frame in frames.items():
    frame.drop(columns=list(row)).to_csv(path / f'{name}.csv', index=False)
  if done:
    (path / 'done.json').write_text('{"seconds": 2.0}')


def write_study(workdir):
  """Every run of `tables()` as a directory of its own."""
  all_tables = tables()
  columns = list(_run('lm', '3K', 0))
  run_ids = dict.fromkeys(
    run_id for frame in all_tables.values() for run_id in frame['run_id']
  )
  for run_id in run_ids:
    frames = {
      name: frame[frame['run_id'] == run_id]
      for name, frame in all_tables.items()
      if (frame['run_id'] == run_id).any()
    }
    row = next(iter(frames.values())).iloc[0][columns].to_dict()
    row['seed'], row['n_params'] = int(row['seed']), int(row['n_params'])
    write_run(workdir / run_id, row, frames)
