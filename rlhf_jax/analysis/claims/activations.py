"""Claims 61 to 65: a generative model of activations (Wang et al. 2016)."""

from rlhf_jax.analysis.claims.spec import WANG, ClaimSpec, Theme

THEME = Theme(
  title='A generative model of activations',
  claims=(
    ClaimSpec(
      61,
      'Overlap query',
      'Clamping each class of two overlapped digits gives the mask of that '
      'digit.',
      f'{WANG}, abstract',
      'IoU own - other > 0.2, and above every baseline',
    ),
    ClaimSpec(
      62,
      'Ambiguity query',
      'Clamping a class turns an ambiguous image into that class.',
      f'{WANG}, abstract',
      're-classified as the clamp in > 90 %; baseline without top-down < 60 %',
    ),
    ClaimSpec(
      63,
      'Occlusion query',
      'Hidden pixels and class are recovered behind an occluder of 20 to 50 %.',
      f'{WANG}, abstract',
      'hidden-pixel error below class mean and autoencoder; accuracy above '
      'that on occluded images',
    ),
    ClaimSpec(
      64,
      'Both directions are needed',
      'Without bottom-up or without top-down evidence the three queries get '
      'worse.',
      f'{WANG}, abstract',
      'each ablation worse than the whole on claims 61 to 63',
    ),
    ClaimSpec(
      65,
      'The classifier is untouched',
      'The backward pass leaves the weights of the classifier as they were.',
      f'{WANG}, abstract',
      'equal hashes before and after',
      evidence='identity',
    ),
  ),
)
