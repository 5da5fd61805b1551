"""Low-rank adapters (LoRA) as pure functions over parameter trees.

    W' = W + (alpha / r) A B,   A [D, r], B [r, F],  W frozen

Reference: Hu et al. 2021 (arXiv:2106.09685), section 4.1 (their B A is our A B:
kernels here are [in, out]).

Adapters are a tree with the names of the kernels that they change, and below
each kernel the blocks of its columns: `all`, or of the fused ones `q`, `k`, `v`
(attention/qkv) and `gate`, `up` (a gated mlp/in), each {'a', 'b'}. A block of
its own is what libraries without fused kernels have: q and v of
'attention/qkv/kernel/[qv]' are q_proj and v_proj of `peft`.

`merge` puts A B into W: for sampling and export. `attach` leaves W alone and
gives the model A and B, so that a training step makes no gradient of W, a third
of the work of a kernel's two passes.
"""

import re
import zlib

import jax
import jax.numpy as jnp

WHOLE = 'all'


def kernel_blocks(params):
  """Columns of every kernel by block: {path: {block: (first, end)}}.

  Heads and gates are told by the kernels beside: attention/out has a row for
  each column of q, mlp/out one for each column of `up`.
  """
  leaves = jax.tree_util.tree_leaves_with_path(params)
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  shapes = {name(path): leaf.shape for path, leaf in leaves}
  kernels = {
    path: shape
    for path, shape in shapes.items()
    if path.endswith('/kernel') and len(shape) == 2
  }
  return {path: _blocks(path, kernels) for path in kernels}


def _blocks(path, kernels):
  """{block: (first, end)} of one kernel."""
  width = kernels[path][1]
  room, layer = path.rsplit('/', 2)[0], path.rsplit('/', 2)[1]
  beside, _ = kernels.get(f'{room}/out/kernel', (0, 0))
  spans = {WHOLE: (0, width)}
  if layer == 'qkv' and beside:
    middle = beside + (width - beside) // 2
    spans |= {'q': (0, beside), 'k': (beside, middle), 'v': (middle, width)}
  elif layer == 'in' and width == 2 * beside:
    spans |= {'gate': (0, beside), 'up': (beside, width)}
  return spans


def layer_targets(layers, names):
  """Patterns of kernels in some layers alone.

  Args:
    layers: numbers of blocks.
    names: patterns for the end of a path, such as 'qkv/kernel/[qv]'.
  """
  numbers = '|'.join(map(str, layers))
  return [f'layer_({numbers})/(.*/)?({name})' for name in names]


def init_adapters(rng, params, rank, targets):
  """Adapters that change nothing yet: A ~ U(-1/sqrt(D), 1/sqrt(D)), B = 0.

  The bound is that of Kaiming's uniform initialisation with a = sqrt(5), which
  `peft` takes. Each A has a key of its own path: other targets beside it do not
  change it.

  Args:
    rng: key.
    params: arrays or shapes of the base.
    rank: r, at least 1.
    targets: regular expressions for the end of a kernel's path, which may go on
      with a block: 'attention/qkv/kernel' is one adapter over all columns,
      'attention/qkv/kernel/[qv]' are two.

  Returns:
    The tree of adapters, float32.

  Raises:
    ValueError: if the rank is below 1, if a pattern matches nothing, or if
      patterns match both a whole kernel and a block of it.
  """
  if rank < 1:
    raise ValueError(f'wanted adapters of rank 1 or more, got rank {rank}')
  spans = kernel_blocks(params)
  shapes = jax.tree_util.tree_leaves_with_path(params)
  rows = {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf.shape[0]
    for path, leaf in shapes
    if leaf.shape
  }
  adapters = {}
  for path, block in _chosen(spans, targets):
    first, end = spans[path][block]
    key = jax.random.fold_in(rng, zlib.crc32(f'{path}/{block}'.encode()))
    bound = rows[path] ** -0.5
    node = adapters
    for name in (*path.split('/'), block):
      node = node.setdefault(name, {})
    node['a'] = jax.random.uniform(
      key, (rows[path], rank), minval=-bound, maxval=bound
    )
    node['b'] = jnp.zeros((rank, end - first))
  return adapters


def _chosen(spans, targets):
  """[(path, block)] that the patterns match."""
  names = {
    path if block == WHOLE else f'{path}/{block}': (path, block)
    for path, blocks in spans.items()
    for block in blocks
  }
  chosen = []
  for pattern in targets:
    found = [name for name in names if re.search(f'(^|/)({pattern})$', name)]
    if not found:
      raise ValueError(
        f'the target {pattern!r} matches no kernel: wanted the end of a path '
        f'such as {", ".join(list(names)[:4])}'
      )
    chosen += found
  chosen = [names[name] for name in names if name in chosen]
  for path in {path for path, block in chosen if block == WHOLE}:
    if sum(other == path for other, _ in chosen) > 1:
      raise ValueError(
        f'targets match {path} and blocks of it: name the kernel or its blocks'
      )
  return chosen


def _low_rank(blocks, spans, shape, alpha, path):
  """(A [D, all ranks], (alpha / r) B [all ranks, F]) of one kernel's blocks.

  Each B has zeros in the columns of other blocks, so that one product does all.
  """
  a_parts, b_parts = [], []
  for block, (first, end) in spans.items():
    if block not in blocks:
      continue
    a, b = blocks[block]['a'], blocks[block]['b']
    rank = a.shape[1]
    if (a.shape[0], *b.shape) != (shape[0], rank, end - first):
      raise ValueError(
        f'the adapter {path}/{block} does not fit this model: wanted A and B '
        f'of [{shape[0]}, r] and [r, {end - first}], got {list(a.shape)} and '
        f'{list(b.shape)}'
      )
    a_parts.append(a)
    b_parts.append(
      jnp.pad(b * (alpha / rank), ((0, 0), (first, shape[1] - end)))
    )
  return jnp.concatenate(a_parts, 1), jnp.concatenate(b_parts, 0)


def _changed(params, adapters, change, alpha):
  """The tree, with change(layer, A, B) for every layer that has adapters."""
  spans = kernel_blocks(params)

  def walk(node, part, path):
    if 'kernel' in part:
      path = '/'.join((*path, 'kernel'))
      pair = _low_rank(
        part['kernel'], spans[path], node['kernel'].shape, alpha, path
      )
      return change(node, *pair)
    for name in part:
      if name not in node:
        raise ValueError(
          f'adapters for {"/".join((*path, name))}, which this model has not: '
          'use the base that they were made for'
        )
    inner = {name: walk(node[name], part[name], (*path, name)) for name in part}
    return {**node, **inner}

  return walk(params, adapters, ()) if adapters else params


def merge(params, adapters, alpha):
  """Parameters with W + (alpha / r) A B in place of every adapted W.

  Hu et al. 2021, section 4.1. Kernels without adapters are the same arrays.

  Args:
    params: the base.
    adapters: of `init_adapters`; r is read from the shapes.
    alpha: scale, a number or a traced scalar.

  Raises:
    ValueError: naming the adapter that has no kernel, or another shape.
  """

  def change(layer, a, b):
    product = jnp.matmul(a, b, precision='highest')
    kernel = layer['kernel']
    return {**layer, 'kernel': (kernel + product).astype(kernel.dtype)}

  return _changed(params, adapters, change, alpha)


def attach(params, adapters, alpha):
  """Parameters whose projections compute x W + (x A) (alpha / r) B.

  The numbers of `merge` to rounding; W is only read, and has no gradient. The
  arguments and errors are those of `merge`.
  """
  change = lambda layer, a, b: {**layer, 'lora_a': a, 'lora_b': b}
  return _changed(params, adapters, change, alpha)


def combiner(how, alpha):
  """combine(base, trained) -> params: what a model of this base now is.

  Args:
    how: `attach` or `merge`.
    alpha: scale.

  Returns:
    The function. `trained` is {'adapters': ...} with, where the model has one,
    its 'head'.
  """

  def combine(base, trained):
    rest = {name: x for name, x in trained.items() if name != 'adapters'}
    return {**how(base, trained['adapters'], alpha), **rest}

  return combine
