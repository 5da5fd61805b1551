"""Evaluations beside the claims: HHH (Askell et al., 2.2), benchmarks, text."""

from rlhf_jax.analysis.claims.spec import Table, Theme
from rlhf_jax.analysis.drawings import evals as drawings

HHH = Table(
  name='hhh',
  meaning='the accuracy of one model under one rule on one category',
  columns={
    'judge': 'what chose the answer: `plain` or `prompted` language model, '
    '`PM ...`, or `longer`',
    'rule': 'what it went by: `sum`, `mean` or `mutual information` of '
    'log-probabilities, `score`, `words`',
    'category': '`harmless`, `helpful`, `honest`, `other` or `all`',
    'accuracy': 'share of the comparisons in which it chose the right answer',
    'low': 'lower end of its 95 % interval (Wilson, over comparisons)',
    'high': 'upper end of it',
    'n': 'comparisons',
  },
  text=('judge', 'rule', 'category'),
  heading='HHH comparisons, zero-shot',
)

UNIT = {
  'name': 'task, form, examples and template in one word',
  'task': 'such as `piqa`; `hhh`: the HHH comparisons; `mean of tasks`: of '
  'the zero-shot cloze tasks, those two apart',
  'form': '`cloze`, `letters`, or the one that the task has',
  'shots': 'examples before each question',
  'template': "`plain`, `chat`: the model's own, `dialogue`: its own or the "
  'markers of HH',
  'metric': 'what is counted; a share of questions, but for `perplexity` '
  '(and, paired, `log_likelihood`, nats an item)',
}
EVALUATIONS = Table(
  name='evaluations',
  meaning='one metric of one model on one task (`experiments.evals`)',
  columns=UNIT
  | {
    'value': 'its mean over questions',
    'stderr': 'standard error of that mean',
    'n': 'questions',
    'chance': 'accuracy of a guess',
    'of': 'questions that the set has',
    'examples': 'where the examples are from',
    'data': 'digest of the questions',
    'model': 'name of the model',
    'revision': 'digest of its files',
    'tasks': 'digest of the task files',
    'harness': 'name and version of what made the prompts',
    'seconds': 'that the task took',
  },
  text=('name', 'data', 'model', 'revision', 'tasks', 'harness'),
)
PAIR = {
  'before_model': 'name of the first model',
  'after_model': 'name of the other',
}
BEFORE_AFTER = Table(
  name='before_after',
  meaning='the difference of two models in one metric of one task, on the '
  'same questions (`experiments.evals`)',
  columns=PAIR
  | UNIT
  | {
    'before': 'mean of the first',
    'after': 'mean of the other',
    'difference': 'after - before',
    'stderr': 'standard error of the paired difference',
    'n': 'questions that both answered',
    'headline': 'whether the metric stands for its task',
    'low': 'lower end of the 95 % interval of the difference',
    'high': 'upper end of it',
    'precise': 'whether the standard error is .02 or less',
  },
  text=('before_model', 'after_model', 'name'),
)
LOSS = {
  'file': 'of text, or `all files`',
  'documents': 'that were read, all of them held out',
  'nats_per_token': 'sum of nats over sum of tokens',
  'nats_stderr': 'standard error of that ratio, over documents',
  'bits_per_byte': 'the same in bits of a byte of UTF-8',
  'bits_stderr': 'standard error of that ratio, over documents',
}
TEXT_LOSSES = Table(
  name='text_losses',
  meaning='the loss of one model on held-out documents (`experiments.evals`, '
  '`experiments.measure_loss`)',
  columns={'model': 'name of the model'}
  | LOSS
  | {'tokens': 'that were scored', 'bytes': 'of the documents'},
  text=('model', 'file'),
)
TEXT_DIFFERENCES = Table(
  name='text_loss_differences',
  meaning='the loss of one model less that of the first, on the same documents',
  columns={'before': 'name of the first', 'after': 'name of the other'} | LOSS,
  text=('before', 'after', 'file'),
)
WORLD_TAX = Table(
  name='world_tax',
  meaning='what RL costs a size in the simulated world, of `capability.csv` of '
  'another study; it has no run columns but `size` and `n_params`',
  columns={
    'policy': '`tax`: RL on requests, `tax_mixed`: on requests and skills',
    'task': 'a skill, `both skills`, or `hh`: what RL asked for',
    'tax': 'share of right choices of pi_0 less that after RL',
    'low': 'lower end of its 95 % t-interval over seeds',
    'high': 'upper end of it',
    'seeds': 'how many',
  },
  text=('policy', 'task'),
)

THEME = Theme(
  title='Evaluations',
  tables=(
    HHH,
    EVALUATIONS,
    BEFORE_AFTER,
    TEXT_LOSSES,
    TEXT_DIFFERENCES,
    WORLD_TAX,
  ),
  drawings=(drawings.before_after, drawings.world_tax),
  roles={
    'hhh': 'the run behind `hhh.csv`',
    'evaluated': 'a block of `experiments.evals` on one model',
  },
)
