"""Layouts of matrices: from a checkpoint's to ours, and back.

A linear layer of PyTorch is [out, in], ours is [in, out]. Queries, keys and
values are one matrix here, and so are gate and up. Everything below works on
weights and on biases alike: a vector is its own transpose.
"""

from typing import Any, NamedTuple

import numpy as np


class Layout(NamedTuple):
  """One way from their arrays to our leaf.

  Attributes:
    join: (list of theirs, config) -> ours.
    split: (ours, config) -> list of theirs.
  """

  join: Any
  split: Any


def fuse(parts):
  """[in, sum of outs] from matrices [out, in]; vectors are joined."""
  return np.concatenate([part.T for part in parts], axis=-1)


def unfuse(fused, widths):
  """The inverse of `fuse`, for parts of these widths."""
  ends = np.cumsum(widths)[:-1]
  return [part.T for part in np.split(fused, ends, axis=-1)]


def _qkv_widths(config):
  K = config.head_size
  groups = config.n_kv_heads * K
  return [config.n_heads * K, groups, groups]


def _head_by_head(fused, config):
  """Rows (head, q k v, feature) from columns (q k v, head, feature)."""
  H, K = config.n_heads, config.head_size
  rows = fused.T.reshape(3, H, K, *fused.T.shape[1:])
  return rows.swapaxes(0, 1).reshape(fused.T.shape)


def _kind_by_kind(rows, config):
  """The inverse of `_head_by_head`."""
  H, K = config.n_heads, config.head_size
  columns = rows.reshape(H, 3, K, *rows.shape[1:])
  return columns.swapaxes(0, 1).reshape(rows.shape).T


SAME = Layout(lambda theirs, _: theirs[0], lambda ours, _: [ours])
TURNED = Layout(lambda theirs, _: theirs[0].T, lambda ours, _: [ours.T])
QKV = Layout(
  lambda theirs, _: fuse(theirs),
  lambda ours, config: unfuse(ours, _qkv_widths(config)),
)
GATE_UP = Layout(
  lambda theirs, _: fuse(theirs),
  lambda ours, config: unfuse(ours, [config.d_mlp] * 2),
)
HEAD_BY_HEAD = Layout(
  lambda theirs, config: _kind_by_kind(theirs[0], config),
  lambda ours, config: [_head_by_head(ours, config)],
)


def their_shapes(layout, shape, config):
  """Shapes of their arrays for a leaf of ours; nothing is allocated."""
  hollow = np.broadcast_to(np.int8(0), shape)
  return [part.shape for part in layout.split(hollow, config)]
