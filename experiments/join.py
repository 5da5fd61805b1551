"""Joins studies of other seeds, such as two machines ran, into one.

    python -m experiments.join results/a results/b --out=results/headline

Each is the folder of a published study (experiments.publish). They are parts of
one study: their settings differ in seeds alone. A run that several have, such
as a language model that all seeds share, is that of the first, and so are the
replies that the page shows. The whole is judged anew, and its figures are
drawn; what it took is the sum.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from experiments.shared import published, run_report
from rlhf_jax import digests
from rlhf_jax.analysis import claims_io, figures, joining, runs
from rlhf_jax.analysis.claims import judging

# What parts may differ in: which seeds, and how they were run.
FREE = ('seeds', 'rl_seeds', 'workers')


def read(folder):
  """Config, claims and tables of a published study.

  Raises:
    FileNotFoundError: naming what is not there.
  """
  folder = Path(folder)
  for name in ('config.json', 'claims.json', 'tables'):
    if not (folder / name).exists():
      raise FileNotFoundError(
        f'{folder} has no {name}: wanted what python -m experiments.publish '
        'makes of a finished study'
      )
  return (
    digests.read_json(folder / 'config.json', dict),
    claims_io.read_claims(folder / 'claims.json'),
    runs.read_tables(folder / 'tables'),
  )


def joined_config(names, configs):
  """The settings of the whole: those of the first, with the seeds of all.

  RL runs on the first `rl_seeds` of a study, so seeds with it come first.

  Args:
    names: of the parts, for the error.
    configs: their settings, dicts.

  Raises:
    ValueError: naming the settings that differ, or a seed that two parts have.
  """
  whole, seeds = dict(configs[0]), set(configs[0]['seeds'])
  for name, config in zip(names[1:], configs[1:], strict=True):
    keys = (whole.keys() | config.keys()) - set(FREE)
    other = sorted(k for k in keys if whole.get(k) != config.get(k))
    if other:
      raise ValueError(
        f'{names[0]} and {name} differ in {", ".join(other)}: parts of one '
        f'study differ in {", ".join(FREE)} alone'
      )
    twice = sorted(seeds & set(config['seeds']))
    if twice:
      raise ValueError(f'{name} has seeds that an earlier part has: {twice}')
    seeds |= set(config['seeds'])
  pairs = [(config['seeds'], config['rl_seeds']) for config in configs]
  with_rl = [seed for own, n in pairs for seed in own[:n]]
  without = [seed for own, n in pairs for seed in own[n:]]
  return whole | {'seeds': with_rl + without, 'rl_seeds': len(with_rl)}


def context_of(documents):
  """What claims.json of the whole says of the run; as `claims_io.merge`.

  Raises:
    ValueError: if the parts were not judged in one way.
  """
  first = documents[0]
  context = {'seconds': sum(d.get('seconds') or 0 for d in documents)}
  for key in ('preset', 'evidence', 'rl_requires'):
    found = {document.get(key) for document in documents}
    if len(found) > 1:
      raise ValueError(f'the parts have other {key}: {sorted(map(str, found))}')
    context[key] = first.get(key)
  for key in ('commit', 'device', 'config_hash'):
    values = [str(document.get(key)) for document in documents]
    context[key] = '+'.join(dict.fromkeys('+'.join(values).split('+')))
  lost = [row for document in documents for row in document.get('failures', ())]
  return context | {'failures': lost}


def join(folders, out):
  """Writes the folder of the whole, in place of what is there; its claims.

  Raises:
    OSError, ValueError: if a part lacks something, is the folder of the whole
      itself, or they are no parts of one study; nothing is written then.
  """
  for folder in folders:
    if Path(folder).resolve() == Path(out).resolve():
      raise ValueError(f'{out} is one of the parts: wanted another --out')
  configs, documents, tables = zip(*map(read, folders), strict=True)
  samples = run_report.read_samples(folders[0])
  settings = [config['config'] for config in configs]
  whole = configs[0] | {'config': joined_config(folders, settings)}
  context = context_of(documents)
  found = joining.join_tables(dict(zip(folders, tables, strict=True)))
  out = Path(out)
  out.mkdir(parents=True, exist_ok=True)
  for name in ('tables', 'figures'):  # of an earlier join
    shutil.rmtree(out / name, ignore_errors=True)
  runs.write_tables(found, out / 'tables')
  found = runs.read_tables(out / 'tables')
  figures.draw_all(found, out / 'figures')
  claims_io.write_claims(
    out / 'claims.json', judging.claims_document(found, context)
  )
  text = json.dumps(whole, indent=1) + '\n'
  (out / 'config.json').write_text(text, encoding='utf-8')
  published.keep_samples(samples, out)
  return published.write_note(out)


def main(arguments=None) -> int:
  """Joins; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog='python -m experiments.join', description=__doc__.split('\n')[0]
  )
  parser.add_argument('folders', nargs='+', metavar='DIR')
  parser.add_argument('--out', required=True)
  args = parser.parse_args(arguments)
  try:
    document = join(args.folders, args.out)
  except (OSError, ValueError) as error:
    print(f'join: {error}', file=sys.stderr)
    return 1
  ran = [c for c in document['claims'] if c['verdict'] != 'not run']
  print(f'wrote {args.out}: {len(ran)} claims judged')
  return 0


if __name__ == '__main__':
  sys.exit(main())
