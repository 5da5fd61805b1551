"""Claims 1 to 29: preference models, RLHF and robustness."""

from rlhf_jax.analysis.claim_spec import BAI, ClaimSpec

CLAIMS = (
  ClaimSpec(
    1,
    'PM accuracy grows with log data',
    'Test accuracy of a preference model rises linearly in ln D.',
    f'{BAI}, Fig. 7 left',
    'slope on ln D > 0 and R2 > 0.8, >= 5 points, one epoch, fixed rate',
    'data_scaling',
  ),
  ClaimSpec(
    2,
    'PM accuracy grows with log size',
    'At the largest D, test accuracy rises with ln P over the ladder.',
    f'{BAI}, Fig. 7 right',
    'slope on ln P > 0 and Spearman >= 0.8 over >= 4 sizes',
    'size_scaling',
  ),
  ClaimSpec(
    3,
    'Joint scaling fit',
    'acc = c + a ln P + b ln D describes helpful-only PMs, and does so at '
    'least as well as it describes PMs of the mixture.',
    f'{BAI}, App. A.3, Figs. 31-32',
    'R2 > 0.8 on helpful-only and R2 there >= R2 on the mixture',
    'joint_scaling',
  ),
  ClaimSpec(
    4,
    'Helpful-only PM is calibrated',
    'Differences of PM scores are log-odds of the preference.',
    f'{BAI}, Fig. 9 right',
    'calibration error less its expectation under perfect calibration < 0.02 '
    '(10 equal-count bins, >= 10,000 pairs where labels are simulated) and '
    'logistic refit t in [0.85, 1.15]',
    'calibration',
  ),
  ClaimSpec(
    5,
    'Mixture PM is under-confident',
    'A PM of the mixture is less well calibrated than a helpful-only one, on '
    'the side of too little confidence.',
    f'{BAI}, Fig. 9 left',
    'calibration error larger, mean (accuracy - predicted) >= 0 and t > 1',
    'mixture_calibration',
  ),
  ClaimSpec(
    6,
    'Accuracy falls among good replies',
    'The higher the score that both members must exceed, the lower the '
    'accuracy.',
    f'{BAI}, Fig. 25',
    'Spearman of accuracy and threshold (quantiles 0 to 0.8 of the smaller '
    'score) < -0.8',
    'high_score_accuracy',
  ),
  ClaimSpec(
    7,
    'First turns are a little easier',
    'Accuracy is highest on the first exchange and flat afterwards.',
    f'{BAI}, Fig. 8',
    'first turn - later turns > 0; slope over later turns within 1 point a '
    'turn of 0; multi-turn data only',
    'turn_accuracy',
  ),
  ClaimSpec(
    8,
    'End-of-context token',
    'Reading the score at a special token is no worse than reading it at the '
    'last ordinary token.',
    f'{BAI}, App. A.2',
    'accuracy difference inside 1 point',
  ),
  ClaimSpec(
    9,
    'Better samples are harder to rank',
    'The final PM is most accurate on the base tranche, then on rejection '
    'sampling, then online.',
    f'{BAI}, section 4.5',
    'base - RS > 0 and RS - online > 0',
  ),
  ClaimSpec(
    10,
    'PM scores predict Elo',
    'Elo fitted to gold-judged games grows by 174 a unit of PM score, or by '
    'less.',
    f'{BAI}, section 2.4, App. B.5',
    'slope over >= 4 snapshots in [0.6, 1.2] x 174, never significantly '
    'above 174',
  ),
  ClaimSpec(
    11,
    'PPO raises the train-PM score',
    'PPO against the PM lifts its mean score over that of pi_0 at every '
    'policy size.',
    f'{BAI}, App. B.1',
    'final - initial train PM > 0 at every size',
    'ppo_gain',
  ),
  ClaimSpec(
    12,
    'The KL penalty is inert',
    'KL coefficients 0 and 0.001 give the same final reward at matched '
    'samples.',
    f'{BAI}, section 4.1',
    'paired difference of the final train PM inside 5 % of the RL gain',
    'inert_penalty',
  ),
  ClaimSpec(
    13,
    'Reward is linear in sqrt(KL)',
    'Early in RL the train-PM score rises along a straight line in sqrt(KL) '
    'from the measured score of pi_0.',
    f'{BAI}, Figs. 4 and 13',
    'R2 > 0.95 and bow inside 3 % of the gain at every size, from KL > 3 s.e. '
    'to sqrt(KL) = 3.5; window >= 10x in KL and >= 8 points',
    'linear_train',
  ),
  ClaimSpec(
    14,
    'sqrt(KL) is the right regressor',
    'sqrt(KL) describes the early gain better than KL or log KL.',
    f'{BAI}, section 4.3',
    'lowest AIC in >= 2/3 of runs; exponent p: interval inside [0.4, 0.6], or '
    'containing 0.5 with its mean in [0.4, 0.6]',
    'regressor',
  ),
  ClaimSpec(
    15,
    'Linear for the test PM too',
    'The score under a PM trained on the other half is linear in sqrt(KL) '
    'over the same window.',
    f'{BAI}, Fig. 4',
    'as claim 13, for the test PM',
    'linear_test',
  ),
  ClaimSpec(
    16,
    'Policy sizes run in parallel',
    'Under one train PM policies of all sizes gain at one slope, larger ones '
    'from a higher start.',
    f'{BAI}, Fig. 13 left',
    'coefficient of variation of the slopes < 25 % over >= 3 sizes; '
    'interaction p > 0.05 or < 10 % of variance; starting scores rise '
    '(Spearman > 0, largest - smallest > 0)',
    'parallel_slopes',
  ),
  ClaimSpec(
    17,
    'The slope keeps below its bound',
    'The early slope does not exceed sqrt(2 V), V the within-prompt variance '
    'of the score under pi_0.',
    f'derived from {BAI}, section 4.3',
    'slope > 0 and slope - sqrt(2 V) < 0 at every size',
    'slope_bound',
  ),
  ClaimSpec(
    18,
    'A small policy forecasts a large one',
    "The smallest policy's slope and a larger policy's initial score predict "
    "the larger one's score at matched sqrt(KL).",
    f'{BAI}, section 4.3 (conjecture)',
    'mean relative error of the gain < 15 % for sqrt(KL) in [1.25, 2.5]',
    'forecast',
  ),
  ClaimSpec(
    19,
    'Train and test PM agree, then part',
    'The two halves agree early in training; late in training the train PM '
    'is the higher one.',
    f'{BAI}, Fig. 4',
    'first 10 % of samples: |train - test| < 2 s.e. over PM pairs; last 25 %: '
    'train - test > 0; mean of both directions',
    'train_test_gap',
  ),
  ClaimSpec(
    20,
    'The gap keeps growing',
    'After they part, train - test does not shrink with further training.',
    f'{BAI}, Fig. 4',
    'Spearman of gap and samples > 0.8 from the first of two checkpoints in a '
    'row with a gap above 2 s.e. over PM pairs',
    'gap_growth',
  ),
  ClaimSpec(
    21,
    'Larger PMs are more robust',
    'A larger train PM has a smaller gap at equal train gain and lasts '
    'longer before it diverges.',
    f'{BAI}, section 4.2',
    'gap / gain falls and KL or samples at divergence rise with PM size',
  ),
  ClaimSpec(
    22,
    'Larger test PMs discriminate more',
    'The slope of the test-PM score on log policy size grows with the size of '
    'the test PM.',
    f'{BAI}, Fig. 33',
    'change of slope with ln test-PM size > 0',
  ),
  ClaimSpec(
    23,
    'Small train PMs make poor policies',
    'Trained against a small PM, a policy is rated below its equal trained '
    'against the largest PM, by the largest PM.',
    f'{BAI}, Fig. 13',
    'difference of the largest PM score < 0',
  ),
  ClaimSpec(
    24,
    'Gold flattens while the PM rises',
    'The true score rises, then flattens or falls, while the train PM still '
    'rises; Elo read off the PM is too optimistic.',
    f'{BAI}, Figs. 15 and 35',
    'gold gain at mid-run > 0; last-quarter gold slope < 25 % of the '
    'first-quarter slope; last-quarter train PM rises; naive Elo - gold Elo '
    '> 0 at the end',
    'overoptimisation',
  ),
  ClaimSpec(
    25,
    'Where the Elo gap comes from',
    'Naive PM Elo is above the PM mean on real dialogues, which is above '
    'gold Elo; Elo from PM choices is near the middle one.',
    f'{BAI}, Fig. 35',
    'both differences > 0; multi-turn interaction only',
  ),
  ClaimSpec(
    26,
    'More inner passes are steadier',
    'K = 1, 2, 4 PPO passes a batch: more give less variance between runs.',
    f'{BAI}, App. B.1',
    'log variance ratio < 0 (exploratory)',
  ),
  ClaimSpec(
    27,
    'Entropy falls in RL',
    'The entropy of the policy falls during RL; reply length is reported '
    'beside it.',
    f'{BAI}, section 4.5, App. B.10',
    'final - initial entropy < 0 at every size',
    'entropy',
  ),
  ClaimSpec(
    28,
    'Policies rank pairs worse than PMs',
    "The policy's mean log-probability ranks comparisons better during RL, "
    'yet below the PM.',
    f'{BAI}, Fig. 34',
    'final - initial accuracy > 0; PM - policy accuracy > 0',
  ),
  ClaimSpec(
    29,
    'Small models pay an alignment tax',
    'RLHF costs small models some capability, and the loss shrinks with size.',
    f'{BAI}, Figs. 3 and 28',
    'loss at the smallest size > 0; slope of the loss on ln P < 0',
  ),
)
