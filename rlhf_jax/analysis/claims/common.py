"""What every theme stands on: the language models, and what was compiled."""

from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings.common import lm_loss

LM = Table(
  name='lm',
  meaning='a checkpoint of a language model',
  columns={
    'tokens': 'training tokens read',
    'nats_per_token': 'loss on held-out text; in a table without '
    '`train_nats_per_token`, mean loss on the last ten training batches',
    'gold': 'mean gold score of its samples; NaN on real data',
    'train_nats_per_token': 'mean loss on the last ten training batches',
  },
  optional=('train_nats_per_token',),
)

PROGRAMS = Table(
  name='programs',
  meaning='a compiled program of a worker of the study; of no single run',
  columns={
    'program': 'name in the ledger',
    'seconds': 'spent compiling it',
    'count': 'times it was compiled',
    'worker': 'which process of the pool',
    'shapes': 'of each argument that came in several shapes, what they were, '
    'so why it was compiled again; empty where it was compiled once',
  },
  text=('program', 'worker', 'shapes'),
  optional=('shapes',),
)

READING = Table(
  name='reading',
  meaning='a count of what was read of pairs that people made',
  columns={
    'part': 'a file, or a side of the comparisons',
    'count': '`read`, `kept`, or why some were skipped, left out or cut; '
    '`held out`: of text that is mixed in, documents',
    'rows': 'how many; of `files not read`, files',
  },
  text=('part', 'count'),
  heading='Pairs that were read, and what was skipped',
  once=True,
)

COMPUTE = Table(
  name='compute',
  meaning='a run that trained a model: from its done.json, in no file of a run',
  columns={
    'stage': 'which script ran: `train_lm`, `train_pm`, `train_ppo`, ...',
    'flops': 'of the matrix products of its training, by the sizes of the '
    'models; evaluations are left out',
    'seconds': 'wall time of the run on its device, evaluations, compiling and '
    'writing included; of the last session where it was interrupted',
  },
  text=('stage',),
)

THEME = Theme(
  title='Language models',
  tables=(LM, PROGRAMS, READING, COMPUTE),
  drawings=(lm_loss,),
  roles={'lm': 'a language model, from which the rest is initialised'},
)
