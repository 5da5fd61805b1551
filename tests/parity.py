"""Parity with PyTorch, judged by a float64 pass of the same weights.

Two float32 programs that sum in another order give other roundings, and how
they sum depends on the processor: the difference between them is no measure of
either. So both are measured against float64, and a third is put beside them:
float64 again, but every product with a weight matrix is off by what a float32
loop over its K terms would be off. XLA's products on a CPU are about such a
loop; PyTorch's sum in several parts and so round less.
"""

import copy

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

ROUNDING = 2.0**-24  # the largest relative error of one float32 operation
FACTOR = 2  # ours may be this much further from float64 than the others
MANY, DRAWS = 100_000, 16  # numbers that need one draw; draws for fewer


class Float64(TorchFunctionMode):
  """Runs a model in float64, its own casts to float32 included.

  Transformers asks for float32 in norms, softmax and angles, whatever the
  weights are in.

  With a seed, each product out = x W^T of K terms is disturbed by noise of the
  standard deviation that a loop has whose k-th addition is off by up to
  2^-24 of its partial sum s_k, evenly: sqrt(sum_k s_k^2 / 3) 2^-24, where
  s_k^2 is about k / K times the sum of all (x_j w_j)^2. So

    deviation = 2^-24 sqrt(K / 6) sqrt(sum_k (x_k w_k)^2).
  """

  def __init__(self, seed=None):
    super().__init__()
    self.generator = torch.Generator()
    self.seed = seed
    if seed is not None:
      self.generator.manual_seed(seed)

  def __torch_function__(self, function, types, args=(), kwargs=None):
    wider = lambda x: torch.float64 if x is torch.float32 else x
    if function is torch.Tensor.float:
      function = torch.Tensor.double
    args = [wider(x) for x in args]
    kwargs = {key: wider(x) for key, x in (kwargs or {}).items()}
    out = function(*args, **kwargs)
    if self.seed is None:
      return out
    if function is torch.nn.functional.linear:
      return out + self.noise(args[0], args[1])
    if function is torch.addmm:  # GPT-2's: bias, x, W
      return out + self.noise(args[1], args[2].T)
    return out

  @torch.no_grad()
  def noise(self, x_NK, weight_MK):
    """[N, M], of the deviation above."""
    scale = torch.nn.functional.linear(x_NK**2, weight_MK**2).sqrt()
    draw = torch.randn(scale.shape, generator=self.generator, dtype=scale.dtype)
    return ROUNDING * (x_NK.shape[-1] / 6) ** 0.5 * scale * draw


def in_float64(model):
  """A copy in float64, with angles that were never in float32."""
  model = copy.deepcopy(model).double()
  before = torch.get_default_dtype()
  torch.set_default_dtype(torch.float64)
  try:
    with Float64():
      for module in model.modules():
        if hasattr(module, 'inv_freq'):
          module.inv_freq = type(module)(module.config).inv_freq
  finally:
    torch.set_default_dtype(before)
  return model


def sizes(error):
  """(root mean square, largest) of errors."""
  return np.sqrt(np.mean(error**2)), np.abs(error).max()


def assert_rounding_alone(ours, model, run):
  """Asks that nothing but rounding parts ours from a model of PyTorch.

    |ours - exact| <= 2 max(|theirs - exact|, |loop - exact|)

  in the largest element and, of 100 numbers or more, in root mean square;
  `exact` and `loop` are the float64 passes of `Float64`. All three are printed.

  Args:
    ours: array, computed in float32.
    model: the same in PyTorch, float32.
    run: (model) -> array of what is compared.
  """
  ours, theirs = np.asarray(ours, np.float64), run(model)
  assert theirs.dtype == np.float32 and theirs.shape == ours.shape
  wide = in_float64(model)
  with Float64():
    exact = run(wide)
  assert exact.dtype == np.float64
  loops = []
  for seed in range(1 if ours.size >= MANY else DRAWS):
    with Float64(seed):
      loops.append(run(wide) - exact)
  found = {
    'ours': sizes(ours - exact),
    'theirs': sizes(theirs - exact),
    'a loop': sizes(np.stack(loops)),
  }
  said = ', '.join(
    f'{k} {rms:.2e} ({most:.2e})' for k, (rms, most) in found.items()
  )
  said = (
    f'errors, root mean square (largest): {said}; of {np.abs(exact).max():.3g}'
  )
  print(said)
  bound = FACTOR * np.maximum(found['theirs'], found['a loop'])
  few = ours.size < 100
  assert found['ours'][1] <= bound[1], said
  assert few or found['ours'][0] <= bound[0], said
