"""Queries of one model of activations: what is clamped, and what is read off.

Each takes `infer(image_BHW, mask_BHW, clamp_KB) -> Found`, a pass of `backward`
with its model and options.
"""

from typing import NamedTuple

import jax.numpy as jnp


class Recovered(NamedTuple):
  """Images with what is behind an occluder.

  Attributes:
    image_BHW: the pixels that were observed, and the others as inferred.
    whole_BHW: all pixels as inferred.
    class_B: of the object.
  """

  image_BHW: jnp.ndarray
  whole_BHW: jnp.ndarray
  class_B: jnp.ndarray


class Placed(NamedTuple):
  """An object in a larger image.

  Attributes:
    row_B: of the upper left corner of its window.
    column_B: likewise.
    class_B: of the object.
    evidence_B: against the background, nats.
  """

  row_B: jnp.ndarray
  column_B: jnp.ndarray
  class_B: jnp.ndarray
  evidence_B: jnp.ndarray


def instances(infer, image_BHW, class_KB):
  """Detect and reconstruct: an instance of each clamped class.

  Args:
    infer: the pass.
    image_BHW: with several objects.
    class_KB: of the K objects that are looked for.

  Returns:
    Found, with K reconstructions and masks of each image.
  """
  return infer(image_BHW, jnp.ones_like(image_BHW), class_KB)


def disambiguated(infer, image_BHW, class_B):
  """A top-down signal on an ambiguous input: the image as this class has it.

  Returns:
    [B, H, W].
  """
  clamp_1B = class_B[None]
  return infer(image_BHW, jnp.ones_like(image_BHW), clamp_1B).image_KBHW[0]


def recovered(infer, image_BHW, mask_BHW) -> Recovered:
  """An instance recovered from occlusion; its class is inferred too.

  Args:
    infer: the pass.
    image_BHW: pixels.
    mask_BHW: 0 where the occluder is.
  """
  found = infer(image_BHW, mask_BHW, None)
  whole_BHW = found.image_KBHW[0]
  image_BHW = jnp.where(mask_BHW > 0, image_BHW, whole_BHW)
  return Recovered(image_BHW, whole_BHW, found.class_KB[0])


def crops(image_BHW, side, stride):
  """Windows of an image: ([B, P, side, side], corners [P, 2])."""
  _, H, W = image_BHW.shape
  corners = [
    (i, j)
    for i in range(0, H - side + 1, stride)
    for j in range(0, W - side + 1, stride)
  ]
  found = [image_BHW[:, i : i + side, j : j + side] for i, j in corners]
  return jnp.stack(found, axis=1), jnp.array(corners)


def detected(score, image_BHW, side, stride) -> Placed:
  """Detection: the window and the class of the largest evidence.

    argmax over windows x and classes y of
      max_m log p(h_2(x) | y, m) pi_ym - log p_background(h_2(x))

  Args:
    score: window [N, side, side] -> (class_N, evidence_N).
    image_BHW: larger than a window.
    side: of a window.
    stride: from one to the next.
  """
  window_BPHW, corner_P2 = crops(image_BHW, side, stride)
  B, P = window_BPHW.shape[:2]
  class_N, evidence_N = score(window_BPHW.reshape(B * P, side, side))
  evidence_BP = evidence_N.reshape(B, P)
  best_B = jnp.argmax(evidence_BP, axis=1)
  corner_B2 = corner_P2[best_B]
  return Placed(
    corner_B2[:, 0],
    corner_B2[:, 1],
    class_N.reshape(B, P)[jnp.arange(B), best_B],
    evidence_BP.max(axis=1),
  )
