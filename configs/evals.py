r"""SmolLM2-135M-Instruct before and after RL: benchmarks, HHH and plain text.

    python -m experiments.evals --config=configs/evals.py \
        --config.data.path=DATA --config.study=STUDY --workdir=DIR

What: six kinds of models, those that are there: as it came, with the HHH
prompt, distilled, finetuned on demonstrations, after PPO against a head on
helpful pairs (the seeds of the study smollm2_rl), after PPO with pretraining
text mixed in. All but the first two are runs of the study whose folder is
STUDY: smollm2_rl and smollm2_policies in one folder have them
(docs/real-policies.md). DATA holds the evaluation sets.

What was chosen, before any model was measured so:

- Questions: 835 of each task, or all where there are fewer. A difference of two
  models, right or wrong on the same questions, has an error of sqrt(d / n) at
  most, with d the share of questions that one has right and the other wrong,
  d = 2 p (1 - p) (1 - rho) for two of accuracy p whose outcomes correlate by
  rho. The worst case that is assumed is p = 1/2 and rho = 1/3, d = 1/3: models
  of one base have that much in common. 835 is the least n for which the error
  is .02 then. Two that guess, each by itself, come to .021 among four choices
  and .024 between two. ARC, OpenBookQA, TruthfulQA and HHH have fewer
  questions: the d that they bear is printed, and rows above .02 say so.
- Letters and five examples: on the three tasks that read the fewest tokens with
  five examples, of those that have letters, examples, and as many questions
  (BBQ, HellaSwag, MMLU, PIQA, WinoGrande): MMLU, PIQA, WinoGrande.
- Text: 100 of the 491 documents that no PPO with text reads.

Time: at most 60 minutes a model at 700 tokens a second, which two cores read of
this model in float32. What there is to read is counted first, and a longer list
is refused: 43 minutes as it is or after PPO, 57 behind the HHH prompt.
Presets: smollm2, and few, of a few questions, to see that the paths work.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import ml_collections

THREE = ('mmlu', 'piqa', 'winogrande')
PRESETS = ('smollm2', 'few')


def get_config(preset='smollm2'):
  """Config of a preset, one of `PRESETS`."""
  if preset not in PRESETS:
    raise ValueError(f'unknown preset {preset!r}: one of {", ".join(PRESETS)}')
  config = ml_collections.ConfigDict(
    dict(
      # The first one is before.
      models=(
        'plain=smollm2',
        'prompted=smollm2+hhh',
        'distilled=study:distil/s200',
        'sft=study:sft/s200',
        *(f'ppo_s{seed}=study:rl/linear-a-s{seed}' for seed in (200, 201, 202)),
        'ppo_ptx=study:rl/real_ptx-a-s200',
      ),
      study='runs/reproduce-smollm2_rl',
      data=dict(path='../shared/data'),
      pad_token='',  # of models whose tokenizer names none
      dtype='float32',
      matmul='float32',
      tasks=(),  # zero-shot cloze; (): all
      letters=THREE,
      few_shot=THREE,
      template='plain',
      items=835,
      max_prompt=128,  # of HHH, as in configs/hhh.py
      max_answer=96,
      system_tokens=96,
      texts=('text_gutenberg', 'text_misc/c4_demo.jsonl.gz'),
      documents=100,
      rate=700.0,
      minutes=60.0,
      capability='',
    )
  )
  if preset == 'few':
    config.update(tasks=('piqa', 'lambada'), items=4, documents=1)
    config.update(letters=('piqa',), few_shot=('winogrande',))
  return config
