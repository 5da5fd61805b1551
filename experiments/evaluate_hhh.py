"""The HHH comparisons, answered without any training on them.

    python -m experiments.evaluate_hhh --config=configs/hhh.py --workdir=DIR

Who chooses: the model as it is, the same model with an HHH prompt, and
its preference models. The answer with the larger log-probability, summed over
its tokens, per token or less that after an empty question (mutual information),
or with the larger score, is the one that is chosen.
"""

import jax
import numpy as np

from experiments.shared import command, files, policies
from experiments.shared.devices import jit_named
from experiments.shared.imported import with_system
from experiments.shared.models import open_base, open_scorer
from experiments.shared.trained import score_function
from rlhf_jax.analysis import intervals
from rlhf_jax.data.hhh import CATEGORIES, read_hhh
from rlhf_jax.evals import answers
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN
from rlhf_jax.text.encode import (
  append_end_of_context,
  encode_example,
  pad_batch,
)
from rlhf_jax.text.hhh import HHH_PROMPT
from rlhf_jax.train.about import About
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.run import Run
from rlhf_jax.types import SplitModel

NOTHING_ASKED = f'{HUMAN}{ASSISTANT}'


def encode(tokenizer, items, config, extra=0):
  """(tokens_NT, first_N, length_N) of both answers, good then bad.

  The end-of-context token is the last of each row: a language model's
  probabilities do not see it, a preference model is read there.
  """
  width = config['max_prompt'] + config['max_answer'] + extra
  rows, first = [], []
  for item in items:
    for answer in (item.good, item.bad):
      ids, start, _ = encode_example(
        tokenizer, item.prompt, answer, width, config['max_answer'], end=False
      )
      rows.append(ids)
      first.append(start)
  tokens_NT, length_N = append_end_of_context(
    *pad_batch(rows, width, tokenizer.pad_id),
    tokenizer.end_of_context_id,
    tokenizer.pad_id,
  )
  return tokens_NT, np.array(first, np.int32), length_N


def make_chooser(functions, pms, max_answer):
  """choose(base, weights, tokens_BT, first_B, length_B) -> (logp_B, [score_B]).

  One reading of the frozen blocks serves the language model and all preference
  models over it: the compiler sees that they are the same products.

  Args:
    functions: `build`'s Model of the language model.
    pms: Networks; `weights` are their (frozen, trained).
    max_answer: tokens of the longest answer.
  """
  language = SplitModel(functions.hidden_fn, functions.head_fn, policies.CHUNK)

  def choose(base, weights, tokens_BT, first_B, length_B):
    # The row's length, so that all read alike; its last token is no answer.
    hidden_fn = lambda params, tokens, _, **read: language.hidden_fn(
      params, tokens, length_B, **read
    )
    logps = answers.make_answer_logps(
      language._replace(hidden_fn=hidden_fn), max_reply=max_answer
    )
    scores = [
      score_function(pm.functions, pm.way)(both, tokens_BT, first_B, length_B)
      for pm, both in zip(pms, weights, strict=True)
    ]
    return logps(base, tokens_BT, first_B, length_B - 1), scores

  return jit_named(choose, 'hhh_chooser')


def choose_all(choose, base, pms, rows, config, label):
  """(logp_N, [score_N]) of all rows, in batches of like length."""
  tokens_NT, first_N, length_N = rows
  batch, edges = config['batch_size'], sorted(config['edges'])
  edges = [edge for edge in edges if edge < tokens_NT.shape[1]]
  edges.append(tokens_NT.shape[1])
  bucket_N = np.searchsorted(edges, length_N)
  order = np.argsort(bucket_N, kind='stable')
  parts, weights = [], [(pm.frozen, pm.trained) for pm in pms]
  for k in np.unique(bucket_N):
    inside = order[bucket_N[order] == k]
    parts += [
      (edges[k], inside[i : i + batch]) for i in range(0, len(inside), batch)
    ]
  out_NS = np.zeros((len(first_N), 1 + len(pms)))
  for i in Progress(0, len(parts), label):
    columns, index_B = parts[i]
    full_B = np.pad(index_B, (0, batch - len(index_B)), mode='edge')
    logp_B, scores = jax.device_get(
      choose(
        base.params,
        weights,
        tokens_NT[full_B, :columns],
        first_N[full_B],
        length_N[full_B],
      )
    )
    out_NS[index_B] = np.stack([logp_B, *scores], 1)[: len(index_B)]
  return out_NS[:, 0], [out_NS[:, 1 + i] for i in range(len(pms))]


def nothing_asked(items):
  """The same answers after an empty question."""
  return [item._replace(prompt=NOTHING_ASKED) for item in items]


def accuracy_rows(chooser, rule, score_N, items):
  """Rows of hhh.csv: accuracy by category and over all, Wilson's interval."""
  good_N, bad_N = score_N[::2], score_N[1::2]
  right_N = 0.5 * (np.sign(good_N - bad_N) + 1)
  category_N = np.array([item.category for item in items])
  rows = []
  for category in (*CATEGORIES, 'all'):
    inside = (category_N == category) | (category == 'all')
    found = intervals.wilson_interval(right_N[inside].sum(), inside.sum())
    rows.append(
      {
        'judge': chooser,
        'rule': rule,
        'category': category,
        'accuracy': found.mean,
        'low': found.low,
        'high': found.high,
        'n': found.n,
      }
    )
  return rows


def readings_of(base, extra):
  """[(name, tokenizer, more tokens)]: the base, and with the HHH prompt.

  The prompt is the template's system prompt; a base without a chat template is
  read without it.
  """
  readings = [('plain', base.tokenizer, 0)]
  if not getattr(base.tokenizer, 'has_template', False):
    print('no chat template, so no HHH prompt: the base is read plain alone')
    return readings
  prompted = with_system(base.tokenizer, HHH_PROMPT)
  return [*readings, ('prompted', prompted, extra)]


def run(config, workdir):
  """Writes `hhh.csv`."""
  if len(config['pm_dirs']) != len(config['pm_names']):
    raise ValueError(
      f'wanted a name in pm_names for each of the {len(config["pm_dirs"])} '
      f'pm_dirs, got {len(config["pm_names"])}'
    )
  base = open_base(config)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('evaluate_hhh', 'table', base=config['base'])
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    items = read_hhh(config['data']['path'])
    pms = [open_scorer(path) for path in config['pm_dirs']]
    words_N = [len(a.split()) for item in items for a in item[2:]]
    found = accuracy_rows('longer', 'words', np.array(words_N), items)
    for name, tokenizer, more in readings_of(base, config['system_tokens']):
      rows = encode(tokenizer, items, config, more)
      ours = pms if name == 'plain' else []
      choose = make_chooser(base.functions, ours, config['max_answer'])
      logp_N, scores = choose_all(choose, base, ours, rows, config, name)
      mean_N = answers.per_token(logp_N, rows[2] - 1 - rows[1])
      empty = encode(tokenizer, nothing_asked(items), config, more)
      label = f'{name}, nothing asked'
      alone_N, _ = choose_all(choose, base, ours, empty, config, label)
      gained_N = answers.mutual_information(logp_N, alone_N)
      found += accuracy_rows(name, 'sum', logp_N, items)
      found += accuracy_rows(name, 'mean', mean_N, items)
      found += accuracy_rows(name, 'mutual information', gained_N, items)
      for pm, score_N in zip(
        config['pm_names'][: len(ours)], scores, strict=True
      ):
        found += accuracy_rows(f'PM {pm}', 'score', score_N, items)
    files.write_csv(run_.path / 'hhh.csv', found)
    print(f'HHH comparisons, 95 % Wilson intervals over {len(items)} items')
    for line in found:
      if line['category'] == 'all':
        print(
          '{judge:>12} {rule:>6} {accuracy:.3f} [{low:.3f}, {high:.3f}]'.format(
            **line
          )
        )
    run_.finish(items=len(items))


if __name__ == '__main__':
  command.main(run, 'configs/hhh.py', report=True, several=True)
