"""Figures of context distillation, of prompted models, and of PPO from them."""

import numpy as np

from rlhf_jax.analysis import starts
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

BEFORE = '0.45'  # a grey
COLOURS = {'plain': BEFORE, 'prompted': 'C0', 'distilled': 'C1'}
PANELS = {'train': 'train PM', 'test': 'test PM', 'gold': 'gold'}
ROOT = r'$\sqrt{\mathrm{KL}}$ (sqrt nats per reply)'
STARTS = {
  starts.PLAIN: {'label': 'plain', 'color': '0.3', 'ls': '--', 'marker': 's'},
  starts.PAGES: {'label': 'of pages', 'color': 'C0', 'ls': ':', 'marker': '^'},
  starts.DISTILLED: {'label': 'distilled', 'color': 'C1', 'marker': 'o'},
}


def distilled_kl(canvas, tables):
  """Divergence from the prompted teacher by size (Fig. 30), by kind of text."""
  rows = select(tables, 'distillation')
  kinds = list(rows['texts'].unique())
  axes = canvas.panels(kinds, marks.PARAMS, 'KL (nats per token)')
  first = rows['tokens'] == rows['tokens'].min()
  for axis, kind in zip(axes, kinds, strict=True):
    own = rows['texts'] == kind
    for label, part, colour in (
      ('before', rows[own & first], BEFORE),
      ('after', rows[own & ~first], 'C1'),
    ):
      style = {'color': colour, 'label': label}
      canvas.mean_line(axis, part, 'n_params', 'n_params', 'kl', **style)
    marks.size_axis(axis, rows)
    axis.set_ylim(bottom=0)


def prompted_models(canvas, tables):
  """Gold, right choices and loss by size, of each reading."""
  rows = select(tables, 'prompted')
  rows = rows.assign(size=rows['model'], n_params=rows['model_params'])
  labels = {
    'gold': 'gold of replies',
    'accuracy': 'right choices',
    'nats_per_token': 'held-out loss (nats per token)',
  }
  axes = canvas.panels([''] * len(labels), marks.PARAMS, list(labels.values()))
  for axis, column in zip(axes, labels, strict=True):
    for reading, own in rows.groupby('reading'):
      style = {'color': COLOURS[reading], 'label': reading}
      canvas.mean_line(axis, own, 'n_params', 'n_params', column, **style)
    marks.size_axis(axis, rows)


def policies_from_distilled(canvas, tables):
  """Score against sqrt(KL) of PPO from a distilled model, and from a plain one.

  Train PM, test PM and gold of replies to the same held-out prompts; KL is
  exact and from each policy's own start, where its line begins. Means over
  seeds with their 95 % bands. The plain model, of the runs `linear`, has read
  dialogues of many authors; the one that was distilled has read pages of one
  author each, and its policies have the same preference models. Last panel: KL
  at the end.
  """
  curve = starts.runs_of(tables)
  curve = curve.assign(root=np.sqrt(curve['kl'].clip(lower=0)))
  shown = [n for n in PANELS if curve[starts.SCORES[n]].notna().all()]
  titles = [PANELS[name] for name in shown] + ['final KL (nats per reply)']
  labels = ['score (log-odds)', ''] * len(shown)
  axes = canvas.panels(titles, '', [*labels[: len(shown)], ''])
  there = [role for role in STARTS if (curve['role'] == role).any()]
  for axis, name in zip(axes, shown, strict=False):
    for role in there:
      rows, column = curve[curve['role'] == role], starts.SCORES[name]
      style = {'lw': 1.4} | STARTS[role]
      canvas.mean_line(axis, rows, 'iteration', 'root', column, **style)
    axis.set_xlabel(ROOT)
  kl, named = starts.ends(curve)['kl'], [STARTS[role] for role in there]
  marks.seed_places(
    axes[-1],
    {STARTS[role]['label']: kl.xs(role, level='role') for role in there},
    {x['label']: {key: x[key] for key in ('color', 'marker')} for x in named},
  )
  axes[-1].set_ylim(bottom=0)
  axes[-1].set_xlabel('start of the policy')
