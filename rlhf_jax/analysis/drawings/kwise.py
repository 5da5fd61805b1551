"""Figure of preference models of rankings: what is learned, what is kept."""

from rlhf_jax.analysis.findings import select

STYLES = {
  'kwise': ('C0', 'o', 'K-wise'),
  'shuffled': ('C1', 's', 'shuffled pairs'),
  'best_of': ('C2', 'v', 'best reply'),
}
SPLITS = {'test': ('-', ''), 'train': (':', ', training')}


def ranking_losses(canvas, tables):
  """Loss a comparison along training, by what is learned (Ouyang, 3.5).

  Solid on held-out rankings, dotted on rankings that are learned from; 95 %
  over seeds.
  """
  curve = select(tables, 'ranking_curve')
  panels = list(curve.groupby('epochs'))
  titles = [f'{n:g} epoch{"s" if n > 1 else ""}' for n, _ in panels]
  label = 'nats a comparison'
  axes = canvas.panels(titles, 'comparisons seen', label, sharey=True)
  for axis, (_, own) in zip(axes, panels, strict=True):
    for loss, (colour, marker, name) in STYLES.items():
      for split, (line, more) in SPLITS.items():
        part = own[(own['loss'] == loss) & (own['split'] == split)]
        # Rankings differ by seed, and so does how many pairs they have.
        part = part.assign(place=part.groupby('run_id')['pairs'].rank())
        if len(part):
          style = {'color': colour, 'ls': line, 'label': name + more}
          style |= {'marker': marker, 'ms': 3.5}
          canvas.mean_line(axis, part, 'place', 'pairs', 'log_loss', **style)
