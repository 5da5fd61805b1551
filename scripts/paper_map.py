"""Sections of the two papers: what of them is here, and where.

A row: paper's section, what it is about, files, settings, how it is run, and
the claims that it makes. `micro`, `headline`, ... are presets of
`make reproduce`; `full: online` is one chapter of the preset full. '' is
nothing.
"""

from typing import NamedTuple


class Section(NamedTuple):
  """One section of a paper.

  Attributes:
    where: section and figures.
    about: in a few words.
    code: files below rlhf_jax/, or with their folder.
    config: settings that decide about it.
    run: preset, with its chapter behind a colon.
    claims: numbers of docs/claims.md.
  """

  where: str
  about: str
  code: tuple[str, ...] = ()
  config: str = ''
  run: str = ''
  claims: tuple[int, ...] = ()


BAI = (
  Section(
    '2.1-2.2',
    'workers, and what they are asked',
    ('crowd/workers.py', 'crowd/red_team.py'),
    'world.*',
    'micro',
  ),
  Section(
    '2.3',
    'comparisons, tranches, splits',
    ('experiments/make_comparisons.py', 'experiments/import_hh.py'),
    'comparisons.*, test_fraction',
    'micro',
  ),
  Section(
    '2.4, 6.1, B.5, Fig. 35',
    'Elo of snapshots, PM scores, human writers',
    ('experiments/play_games.py', 'analysis/elo.py', 'crowd/users.py'),
    'samples.*, games.*',
    'full: samples',
    (10, 25, 68),
  ),
  Section(
    '3.1, A.2',
    'preference models: sizes, loss, training',
    ('models/ladder.py', 'experiments/train_pm.py', 'losses/preference.py'),
    'pm.*, scaling.sizes',
    'micro',
  ),
  Section(
    'A.2',
    'the end-of-context token',
    ('experiments/studies/end_of_context.py', 'data/pairs.py'),
    'end_of_context.*',
    'full: end_of_context',
    (8,),
  ),
  Section(
    '3.2, A.3, Figs. 7, 31, 32',
    'accuracy against data and size',
    ('analysis/scaling.py', 'analysis/claims/scaling.py'),
    'scaling.*',
    'micro',
    (1, 2),
  ),
  Section(
    '3.2, Fig. 7',
    'one fit to size and data',
    ('analysis/scaling.py', 'analysis/claims/joint.py'),
    'joint.*',
    'full: joint',
    (3,),
  ),
  Section(
    '3.2, Fig. 8',
    'accuracy by dialogue turn',
    ('analysis/claims/calibration.py',),
    '',
    'smollm2',
    (7,),
  ),
  Section(
    '3.3, Figs. 9, 25',
    'calibration; accuracy among good replies',
    ('analysis/calibration.py', 'analysis/claims/calibration.py'),
    'calibration.*',
    'micro',
    (4, 5, 6),
  ),
  Section(
    '3.4.1, Figs. 5, 10, 11',
    'HHH comparisons',
    ('experiments/evaluate_hhh.py', 'evals/answers.py', 'data/hhh.py'),
    'hhh.*',
    'smollm2_full',
  ),
  Section(
    '3.4.2',
    'harmful replies under a preference model (gender: language models alone)',
    ('experiments/detect_harm.py', 'experiments/measure_bias.py'),
  ),
  Section(
    '4.1, B.1',
    'PPO',
    ('experiments/train_ppo.py', 'train/ppo.py', 'losses/ppo.py'),
    'rl.*',
    'headline',
    (11, 12, 27),
  ),
  Section(
    '4.2, Figs. 4, 33, B.2',
    'train PM against test PM',
    ('analysis/robustness.py', 'analysis/claims/robustness.py'),
    'robustness.*',
    'headline',
    (19, 20, 24),
  ),
  Section(
    '4.2, Figs. 13, 33; B.1',
    'larger preference models; inner passes',
    ('experiments/studies/scans.py', 'analysis/pm_sizes.py'),
    'scans.*, pm_sizes.*',
    'full: scans',
    (21, 22, 23, 26),
  ),
  Section(
    '4.3, Figs. 4, 13',
    'reward against sqrt(KL)',
    ('analysis/kl_reward.py', 'analysis/claims/sqrt_kl.py'),
    'linear.*',
    'headline',
    (13, 14, 15, 16, 17, 18),
  ),
  Section(
    '4.3, ours',
    'the frontier beside it',
    ('experiments/frontier.py', 'analysis/frontier.py', 'analysis/bows.py'),
    'frontier.*, bows.*',
    'headline',
    (66, 67),
  ),
  Section(
    '4.3, B.6, Fig. 36',
    'best-of-n, and forms of over-optimisation (Gao et al. 2022)',
    ('analysis/best_of_n.py', 'analysis/gold_forms.py'),
    'best_of_n.*',
    'full: best_of_n',
    (33, 34, 35, 36),
  ),
  Section(
    '4.4, 5.1, Figs. 14, 19',
    'helpful against harmless',
    ('experiments/studies/tension.py', 'analysis/final_policies.py'),
    'tension.*',
    'micro',
    (37, 41, 42),
  ),
  Section(
    '5.1, Figs. 26, 27',
    'mixtures and weights of the loss',
    ('analysis/mixtures.py', 'data/subsets.py'),
    'mixtures.*',
    'full: tension',
    (38, 39, 40),
  ),
  Section(
    '4.5, Figs. 15, 16, 34, 35',
    'iterated online training',
    ('experiments/studies/online.py', 'experiments/make_tranche.py'),
    'online.*',
    'full: online',
    (9, 28, 30, 31, 32),
  ),
  Section(
    '4.6, 5.2, Figs. 3, 20, 28',
    'what RL costs, and skills mixed in',
    ('experiments/evaluate_skills.py', 'crowd/skills.py'),
    'skills.*',
    'full: skills',
    (29, 43),
  ),
  Section(
    '4.6.1, App. E, Figs. 3, 28, 29',
    'question answering and choice, zero- and few-shot',
    (
      'experiments/evals.py',
      'experiments/evaluate.py',
      'experiments/harness/',
    ),
  ),
  Section(
    '4.6.2',
    'sentiment by group, BBQ, gender',
    ('experiments/measure_bias.py', 'analysis/bias.py'),
  ),
  Section(
    '5.3, B.8',
    'code: HumanEval, pass@k',
    ('experiments/humaneval.py', 'sandbox/'),
  ),
  Section(
    '5.4, B.9, Figs. 22, 23, 39',
    'red-team prompts as outliers',
    ('experiments/detect_outliers.py', 'analysis/ood.py'),
    'ood.*, outliers.*',
    'full: ood',
    (44, 45, 46, 47, 48),
  ),
  Section(
    '6, App. C',
    'samples, the median of 17 by preference model',
    ('experiments/samples.py', 'analysis/replies.py'),
    'shown.*',
    'headline',
  ),
  Section(
    'B.10',
    'entropy and length during RL',
    ('analysis/drawings/ppo.py', 'analysis/lengths.py'),
    'rl.*',
    'headline',
  ),
  Section(
    'App. D',
    'what workers see and are told',
    ('apps/feedback/', 'crowd/workers.py'),
    '',
    'online_human',
  ),
  Section('B.7', 'answers of StackOverflow under a policy: not here'),
  Section(
    'A.1, Fig. 30',
    'context distillation',
    ('experiments/distil.py', 'losses/distillation.py'),
    'distillation.*',
    'full: distillation',
    (49, 50),
  ),
)
ASKELL = (
  Section(
    '2',
    'prompting and context distillation',
    ('experiments/evaluate_prompted.py', 'experiments/make_targets.py'),
    'distillation.*',
    'full: distillation',
    (51, 55),
  ),
  Section(
    '2.2',
    'HHH comparisons',
    ('experiments/evaluate_hhh.py', 'data/hhh.py'),
    'hhh.*',
    'smollm2_full',
  ),
  Section(
    '2.4',
    'what prompting and distilling cost on plain texts',
    ('experiments/measure_tax.py', 'analysis/claims/distillation.py'),
    'distillation.*',
    'full: distillation',
  ),
  Section(
    '3',
    'imitation, discrimination, ranking',
    ('experiments/compare_methods.py', 'crowd/exact.py'),
    'imitation.*',
    'full: imitation',
    (52,),
  ),
  Section(
    '4',
    'pretraining of preference models',
    ('experiments/make_forum.py', 'data/public/'),
    'pretraining.*',
    'full: pretraining',
    (53, 54),
  ),
)
