"""Claims 30 to 65: online data, tension, OOD, and the three other papers."""

from rlhf_jax.analysis.claim_spec import (
  ASKELL,
  BAI,
  GAO,
  OUYANG,
  WANG,
  ClaimSpec,
)

CLAIMS = (
  ClaimSpec(
    30,
    'Tranches shift upwards',
    'Under the final PM, mean score and upper tail grow from base to RS to '
    'online.',
    f'{BAI}, Fig. 15 left',
    "both differences of means > 0 and of mass above base's 95th percentile "
    '> 0',
  ),
  ClaimSpec(
    31,
    'Online data make better policies',
    'At equal data size, a third each of base, RS and online beats base alone.',
    f'{BAI}, Fig. 16',
    'gold-judged win rate > 50 %',
  ),
  ClaimSpec(
    32,
    'Online data calibrate the top',
    'A PM of all tranches is better calibrated at high scores than one of '
    'the base tranche.',
    f'{BAI}, section 4.5',
    'difference of calibration error on top-decile pairs < 0',
  ),
  ClaimSpec(
    33,
    'Best-of-k',
    'Elo rises over k = 1, 4, 16, 64 and reward is linear in the root of its '
    'KL.',
    f'{BAI}, Fig. 36, section 4.3',
    'each Elo step > 0; R2 on sqrt(log k - (k-1)/k) > 0.98',
  ),
  ClaimSpec(
    34,
    'Best-of-n spends KL better',
    'At matched KL best-of-n has at least the reward of PPO.',
    GAO,
    'reward difference >= 0',
  ),
  ClaimSpec(
    35,
    'Forms of over-optimisation',
    'Gold follows d (alpha - beta d) for best-of-n and '
    'd (alpha - beta log d) for RL, d = sqrt(KL).',
    GAO,
    'R2 > 0.95, each no worse by AIC on its own data; beta falls with PM size',
  ),
  ClaimSpec(
    36,
    'Too little data, no gain',
    'Below about 2,000 comparisons (scaled to the task) gold gains nothing '
    'at any PM size.',
    GAO,
    'gold gain inside 5 % of the full-data gain',
  ),
  ClaimSpec(
    37,
    'One objective inverts the other',
    'A PM trained on helpfulness alone is worse than chance on harmlessness, '
    'and vice versa.',
    f'{BAI}, Fig. 19',
    'both cross accuracies < 0.5',
    'cross_accuracy',
  ),
  ClaimSpec(
    38,
    'A mixture serves both',
    'For the largest PM some mixture is nearly as good on each set as the '
    'specialist.',
    f'{BAI}, Fig. 19',
    '>= 95 % of each single-objective best; not worse by 1 point',
  ),
  ClaimSpec(
    39,
    'Large PMs mind the mixture less',
    'The max-normalised curve of mean accuracy is flatter for larger PMs.',
    f'{BAI}, Figs. 19 and 26',
    'slope of the area under the curve on ln P > 0',
  ),
  ClaimSpec(
    40,
    'Large PMs mind the weights less',
    'Weighting harmlessness 10 times costs less helpfulness at larger sizes, '
    'and an inner weight is best.',
    f'{BAI}, Fig. 27',
    'slope of the accuracy drop on ln P < 0; best weight strictly inside',
  ),
  ClaimSpec(
    41,
    'Harmlessness is over-optimised',
    'RL on the mixture drives the harmlessness score to a higher percentile '
    'of the PM data than the helpfulness score.',
    f'{BAI}, Fig. 14',
    'difference of percentiles > 0',
  ),
  ClaimSpec(
    42,
    'Helpful-only RL is easy to attack',
    'A helpful-only policy has more helpful gold and is attacked with more '
    'success.',
    f'{BAI}, Fig. 1',
    'both differences > 0',
  ),
  ClaimSpec(
    43,
    'A skill can be mixed in',
    'A PM of dialogue and a third task loses little on either.',
    f'{BAI}, Fig. 20',
    'loss inside 1 point on both at the largest size',
  ),
  ClaimSpec(
    44,
    'Relative Mahalanobis is better',
    'The simplified relative score detects red-team prompts better than the '
    'plain distance.',
    f'{BAI}, Fig. 39',
    'difference of AUROC > 0 in >= 90 % of the cells of layer and size',
  ),
  ClaimSpec(
    45,
    'OOD detection grows with size',
    'The best AUROC rises with size, and deep models have it in the middle.',
    f'{BAI}, Fig. 22',
    'slope on ln P > 0; best layer in the middle half',
  ),
  ClaimSpec(
    46,
    'Ten outliers help',
    'Ten exposed harmful prompts beat the best unsupervised score; more are '
    'better.',
    f'{BAI}, Fig. 23',
    'difference of AUROC > 0; Spearman with M > 0',
  ),
  ClaimSpec(
    47,
    'Ten outliers replace the ladder',
    'The smallest model with ten outliers matches the largest without.',
    f'{BAI}, section 5.4',
    'AUROC not worse by 1 point',
  ),
  ClaimSpec(
    48,
    'OOD negative control',
    'A rotation that diagonalises the covariance kills the score; shuffled '
    'labels give chance.',
    'derived from ' + f'{BAI}, section 5.4',
    '|score| < 1e-4; shuffled AUROC equal to 0.5',
    evidence='identity',
  ),
  ClaimSpec(
    49,
    'Context distillation works',
    'KL to the prompted teacher falls, and stays higher for smaller students.',
    f'{BAI}, Fig. 30',
    'fall > 80 % for self-distillation; slope of final KL on ln P < 0',
  ),
  ClaimSpec(
    50,
    'Bucketed KL is a lower bound',
    'The 51-bucket KL never exceeds the full-vocabulary KL, and equals it '
    'for at most 50 ids.',
    f'{BAI}, App. A.1 (data-processing inequality)',
    'difference <= 0 always',
    evidence='identity',
  ),
  ClaimSpec(
    51,
    'Distilled equals prompted',
    'At the largest size the distilled model without the prompt does as well '
    'as the prompted one.',
    f'{ASKELL}, section 2',
    'difference inside 1 point',
  ),
  ClaimSpec(
    52,
    'Ranking beats imitation',
    'On ranked data PMs beat imitation, more so at larger sizes; on binary '
    'data they are equal.',
    f'{ASKELL}, section 3.2',
    'ranked: difference > 0 at every size, slope on ln P > 0; binary: inside '
    '2 points',
  ),
  ClaimSpec(
    53,
    'PMP helps most with few pairs',
    'Preference-model pretraining gains more at 500 pairs than at 10,000.',
    f'{ASKELL}, section 4.2',
    'gain at 10k > 0; gain at 500 - gain at 10k > 0',
  ),
  ClaimSpec(
    54,
    'Binary PMP transfers better',
    'GOOD/BAD-tagged pretraining is at least as good as ranked pretraining '
    'at 500 pairs.',
    f'{ASKELL}, section 4.3',
    'accuracy difference >= 0',
  ),
  ClaimSpec(
    55,
    'Elo is linear in log size',
    'The Elo of prompted models is nearly linear in ln P.',
    f'{ASKELL}, section 2.2',
    'slope > 0; R2 > 0.95',
  ),
  ClaimSpec(
    56,
    'All pairs of a prompt together',
    'Pairs of one prompt in one batch element overfit less than shuffled '
    'pairs at equal epochs.',
    f'{OUYANG}, section 3.5',
    'difference of validation loss < 0',
  ),
  ClaimSpec(
    57,
    'A second epoch overfits',
    'Validation loss of the reward model is worse after a second epoch.',
    f'{OUYANG}, App. C.2',
    'difference of validation loss > 0',
  ),
  ClaimSpec(
    58,
    'Pretraining mix repairs the tax',
    'PPO alone loses on pretraining text; PPO-ptx recovers most at equal '
    'reward, a larger beta does not.',
    f'{OUYANG}, section 4.2, App. E.6',
    'loss > 0; recovered share > 50 %; reward inside 5 % of the RL gain',
  ),
  ClaimSpec(
    59,
    'Some KL penalty is best',
    'Gold is an inverted U in the KL coefficient.',
    f'{OUYANG}, App. E.7',
    'middle - zero > 0 and middle - largest > 0',
  ),
  ClaimSpec(
    60,
    'Small with RLHF beats large without',
    'A small RLHF policy is preferred to a much larger plain model.',
    f'{OUYANG}, Fig. 1',
    'gold win rate > 50 %',
  ),
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
)
