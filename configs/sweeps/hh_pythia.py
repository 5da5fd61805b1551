r"""Pythia 70M to 2.8B on the whole HH release: a study for a cluster.

    python -m experiments.cluster --config=configs/sweeps/hh_pythia.py \
        --config.models=FOLDER --config.data.path=FOLDER --workdir=DIR --list
    ... --index=0     # runs one job
    ... --on=slurm    # sends all of them to SLURM and watches them

What: Bai et al. 2022 (arXiv 2204.05862), sections 3 and 4, on public weights
and data. For each of six sizes and three seeds: a train PM and a test PM on the
two halves of the 160,800 training pairs of HH-RLHF (all four tranches, split by
conversation; the 8,552 test pairs stay for tests), every parameter trained from
Pythia's; then PPO of the size's policy against the train PM, watched by the
test PM. It gives reward against sqrt(KL), train PM against test PM, accuracy
and calibration, over a factor of 40 in size. `models` holds pythia-70m ...
pythia-2.8b as Hugging Face folders; nothing is downloaded.

Learning rates: 0.01 of the pretraining rate for the PM (constant, one epoch)
and for PPO, as in the paper; the pretraining rates are Pythia's (Biderman et
al. 2023, table 1), in `models/ladder.py`. The paper states no batch sizes: 64
pairs as InstructGPT and 512 prompts with one pass as InstructGPT's appendix C.
`rows_at_once` is what a GPU differentiates at once; it sets how many
microbatches gradients are summed over and changes no number.

pi_0 is plain Pythia in the HH format, without a supervised stage: few of its
replies end before `max_reply`. Nothing else of the paper's section 4 is left
out, but iterated online training.

Presets: confirm (seeds 120 to 122), develop (0 to 2, for tuning), dry (two
layers, two steps, for `tests/experiments/test_cluster_dry.py`). Time and
result: not run yet. What it should need of memory and hours is in
docs/clusters.md.
"""

import sys
from pathlib import Path

import ml_collections

sys.path.append(str(Path(__file__).resolve().parents[2]))

from configs import blocks, stages


def confirm():
  """The study."""
  config = ml_collections.ConfigDict(blocks.common())
  config.preset = 'confirm'
  config.models = ''  # folder with a Hugging Face folder for each size
  config.sizes = (
    'pythia-70m',
    'pythia-160m',
    'pythia-410m',
    'pythia-1b',
    'pythia-1.4b',
    'pythia-2.8b',
  )
  config.gpus = dict(  # of one node; - and . of a size are _ here
    pythia_70m=1,
    pythia_160m=1,
    pythia_410m=1,
    pythia_1b=2,
    pythia_1_4b=4,
    pythia_2_8b=4,
  )
  config.seeds = (120, 121, 122)
  config.dtype = 'bfloat16'  # of the computation; parameters are float32
  config.max_prompt = 384
  config.max_reply = 128
  config.world, config.adapters, config.reading = {}, {}, {}  # none
  config.base = blocks.to_set(str)  # a folder of models
  del config.mesh
  config.mesh = blocks.to_set(dict)  # all GPUs of a size
  config.data.update(source='hh', on_error='skip')
  config.pad_token = '<|padding|>'  # Pythia's folders name none
  config.release = dict(
    tranches=(
      'helpful-base',
      'helpful-rejection-sampled',
      'helpful-online',
      'harmless-base',
    ),
    seed=0,  # of the order of the pairs
  )
  # That a GPU differentiates; so many microbatches there are.
  config.rows_at_once = dict(pm=8, rl=8)
  config.pm = stages.pm(config)
  config.pm.update(pm())
  config.rl = stages.rl(config)
  config.rl.update(rl())
  config.machine = machine()
  return config


def pm():
  """What the section of `train_pm` has of its own."""
  return dict(
    pairs=80_400,  # half of the release; a half has a few more or fewer
    batch_size=64,
    microbatches=blocks.to_set(int),
    comparisons_dir=blocks.to_set(str),
    lr_multiple=0.01,
    curve_points=6,
    final_eval_pairs=8192,
    eval_batch=64,
    log_every=10,
  )


def rl():
  """What the section of `train_ppo` has of its own."""
  return dict(
    iterations=400,
    passes=1,
    batch_size=512,
    minibatch_size=256,
    microbatches=blocks.to_set(int),
    comparisons_dir=blocks.to_set(str),
    scoring_parts=blocks.to_set(int),
    lr_multiple=0.01,
    warmup_iterations=10,
    eval_prompts=512,
    eval_batch=256,
    dense_iterations=40,
    dense_every=4,
    sparse_every=20,
    checkpoint_every=40,
  )


def machine():
  """What memory and hours are reckoned with, and the limits of time."""
  return dict(
    memory=80e9,  # bytes of a GPU
    usable=0.9,  # the rest: CUDA context, fragmentation
    flops=989e12,  # bfloat16, dense: H100 and H200 SXM as published
    mfu=0.4,  # an assumption
    bandwidth=3.35e12,  # bytes/s of an H100 SXM as published; an H200 has 4.8
    link=450e9,  # bytes/s of NVLink in one direction
    share=0.4,  # of both rates in decoding: an assumption
    counts=(1, 2, 4, 8),  # columns of the table
    slack=2.0,  # time limit of a job over its estimate
    min_hours=1,
    max_hours=24,  # a job that needs longer is requeued and resumes
  )


def develop():
  """The same with the seeds on which settings are chosen."""
  config = confirm()
  config.preset = 'develop'
  config.seeds = (0, 1, 2)
  return config


def dry():
  """Two layers, a handful of pairs, two steps a stage, on any device."""
  config = confirm()
  config.preset = 'dry'
  config.sizes = ('pythia-dry',)
  config.gpus = dict(pythia_dry=1)
  config.seeds = (0,)
  config.max_prompt, config.max_reply = 48, 8
  config.release.tranches = ('helpful-base', 'harmless-base')
  config.rows_at_once.rl = 4
  config.pm.update(
    pairs=8,
    batch_size=4,
    curve_points=1,
    curve_eval_pairs=4,
    final_eval_pairs=4,
    eval_batch=4,
    log_every=1,
    checkpoint_every=1,
  )
  config.rl.update(
    iterations=2,
    batch_size=4,
    minibatch_size=4,
    lr_multiple=1.0,  # moves the policy within two steps, in bfloat16 too
    warmup_iterations=1,
    eval_prompts=4,
    eval_batch=4,
    pi0_samples=2,
    shown=dict(each=1, replies=2, snapshots=2),
    dense_iterations=2,
    dense_every=1,
    checkpoint_every=1,
  )
  return config


PRESETS = {f.__name__: f for f in (confirm, develop, dry)}


def get_config(preset='confirm'):
  """Config of a preset: confirm, develop or dry."""
  if preset not in PRESETS:
    raise ValueError(
      f'unknown preset {preset!r}: one of {", ".join(sorted(PRESETS))}'
    )
  return PRESETS[preset]()
