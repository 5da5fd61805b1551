"""Finetuning on demonstrations: nothing is claimed, all epochs are shown."""

from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.demonstrations import finetuning

SFT = Table(
  name='sft',
  meaning='a model after an epoch of finetuning on demonstrations',
  columns={
    'epoch': 'passes over the demonstrations',
    'steps': 'updates of the parameters',
    'train_nats': 'loss of the last batch, nats per token of a reply',
    'validation_nats': 'the same on held-out demonstrations',
    'rm_score': 'mean score of its own replies to held-out prompts under a '
    'preference model (log-odds); NaN without one',
    'gold': 'their mean gold score; NaN on real data',
    'length': 'their mean number of tokens',
    'ended': 'share of them that end by themselves',
    'least_loss': '1 of the epoch with the least loss on held-out ones',
    'best_score': '1 of the epoch whose replies score best; 0 of all without a '
    'preference model',
    'choose_by': 'rule of the choice: `validation_loss`, `rm_score` or `last`',
    'chosen': '1 of the epoch whose model the run ends with',
  },
  text=('choose_by',),
  optional=('least_loss', 'best_score'),
)

THEME = Theme(
  title='Finetuning on demonstrations',
  tables=(SFT,),
  drawings=(finetuning,),
  roles={
    'sft': 'a language model that was finetuned on demonstrations',
    'from_sft': 'PPO of one policy that starts from its finetuned model',
  },
)
