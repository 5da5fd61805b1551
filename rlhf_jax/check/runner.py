"""The list of checks, and the one function that runs them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from rlhf_jax.check import data, forward, replies
from rlhf_jax.check.findings import CheckFinding
from rlhf_jax.check.subject import Subject, batches_of, settings_of


class Check(NamedTuple):
  """One check.

  Attributes:
    item: number in docs/checklist.md; 0: none.
    name: of its findings.
    needs: what it cannot do without: fields of Subject, batches, attributes of
      the tokenizer.
    function: Subject -> Outcome; the first line of its docstring is what it
      checks.
    defect: what is planted in the tests, and found by this check.
  """

  item: int
  name: str
  needs: tuple[str, ...]
  function: Callable
  defect: str


_of = functools.partial
CHECKS = (
  Check(
    4,
    'padding_invariance_logits',
    ('logits_fn',),
    _of(forward.padding_invariance, which='logits'),
    'a mean over all columns, pads too, is part of the logits',
  ),
  Check(
    16,
    'padding_invariance_score',
    ('score_fn',),
    _of(forward.padding_invariance, which='score'),
    'the score is read in the last column',
  ),
  Check(
    5,
    'batch_invariance_logits',
    ('logits_fn',),
    _of(forward.batch_invariance, which='logits'),
    'the mean over the batch is taken off the logits',
  ),
  Check(
    5,
    'batch_invariance_score',
    ('score_fn',),
    _of(forward.batch_invariance, which='score'),
    'the mean over the batch is taken off the scores',
  ),
  Check(
    70,
    'no_dropout_logits',
    ('logits_fn',),
    _of(forward.no_dropout, which='logits'),
    'every call draws another mask',
  ),
  Check(
    70,
    'no_dropout_score',
    ('score_fn',),
    _of(forward.no_dropout, which='score'),
    'every call draws another mask',
  ),
  Check(
    36,
    'causal',
    ('logits_fn',),
    forward.causal,
    'a position sees the token behind it',
  ),
  Check(
    49,
    'reward_dtype',
    ('score_fn',),
    forward.reward_dtype,
    'scores are cast to integers; to bfloat16 and back',
  ),
  Check(
    44,
    'ratio_one',
    ('logits_fn',),
    replies.ratio_one,
    'the update forgets the temperature',
  ),
  Check(
    43,
    'kl_zero',
    ('logits_fn',),
    replies.kl_zero,
    'the reference is scored at temperature 1',
  ),
  Check(
    7,
    'reply_masks',
    ('logits_fn', 'stop_ids'),
    replies.reply_masks,
    'the sampler goes on behind the end token',
  ),
  Check(
    40,
    'fresh_keys',
    ('logits_fn',),
    replies.fresh_keys,
    'the sampler has one key for all steps; one for all rows',
  ),
  Check(
    35,
    'cached_decode',
    ('logits_fn', 'prefill_fn', 'decode_fn'),
    replies.cached_decode,
    'the cache is one position late',
  ),
  Check(
    9, 'masks', (), data.masks, 'a length counts one column that is not there'
  ),
  Check(
    0,
    'token_range',
    ('logits_fn',),
    data.token_range,
    'the tokenizer has more tokens than the embedding has rows',
  ),
  Check(
    8,
    'end_token',
    ('train', 'stop_ids'),
    data.end_token,
    'replies are encoded without their end token',
  ),
  Check(
    32,
    'end_of_context',
    ('train', 'end_of_context_id'),
    data.end_of_context,
    'the token is appended to one side alone',
  ),
  Check(
    13,
    'chosen_equals_rejected',
    ('train',),
    data.chosen_equals_rejected,
    'one pair has the same text twice',
  ),
  Check(
    30,
    'prompt_overlap',
    ('train', 'test'),
    data.prompt_overlap,
    'pairs are split, not prompts',
  ),
  Check(
    15,
    'template_mismatch',
    ('train', 'prompts'),
    data.template_mismatch,
    'prompts of RL lack the marker that asks for a reply; begin twice',
  ),
  Check(
    0,
    'evaluation_leakage',
    ('evaluation',),
    data.evaluation_leakage,
    'a row of the evaluation set is among the training pairs',
  ),
  Check(
    38,
    'settings',
    (),
    data.settings,
    'replies are drawn with top-p; minibatches do not divide the batch',
  ),
)


def says(check: Check) -> str:
  """The first line of what a check is documented with."""
  function = getattr(check.function, 'func', check.function)
  return function.__doc__.splitlines()[0]


def run(
  logits_fn,
  score_fn,
  tokenizer,
  batches,
  config,
  *,
  prefill_fn=None,
  decode_fn=None,
  sample_fn=None,
  logps_fn=None,
  ref_logps_fn=None,
) -> list[CheckFinding]:
  """Checks a model, a tokenizer, data and settings before a long run.

  Functions have their parameters bound (`subject.bound`); what is None is not
  checked, and a finding says so. A function that raises fails its check.

  Args:
    logits_fn: (tokens_BT, length_B) -> logits_BTV, right-padded rows; or None.
    score_fn: (tokens_BT, length_B) -> score_B, a preference model; or None.
    tokenizer: as of `Subject`; any object with `eos_id`.
    batches: {'train', 'test': pairs, 'prompts', 'texts', 'evaluation': rows},
      at least 'train', 'prompts' or 'texts'; or the training pairs alone.
    config: a mapping with any of the fields of `subject.Settings`, such as the
      config of a stage.
    prefill_fn: as of `Subject`, and so are the others.
    decode_fn: with `prefill_fn`, cached decoding.
    sample_fn: your own sampler.
    logps_fn: your own scoring of replies.
    ref_logps_fn: your own scoring by the reference.

  Returns:
    A CheckFinding for each of CHECKS, in their order.

  Raises:
    ValueError: if batches are of no known form.
  """
  subject = subject_of(
    logits_fn,
    score_fn,
    tokenizer,
    batches,
    config,
    prefill_fn=prefill_fn,
    decode_fn=decode_fn,
    sample_fn=sample_fn,
    logps_fn=logps_fn,
    ref_logps_fn=ref_logps_fn,
  )
  return [finding(check, subject) for check in CHECKS]


def subject_of(logits_fn, score_fn, tokenizer, batches, config, **more):
  """The Subject of the arguments of `run`.

  Raises:
    ValueError: as `run`.
  """
  found = batches_of(batches, tokenizer)
  if not set(found) - {'evaluation'}:
    raise ValueError('wanted batches of train, test, prompts or texts')
  settings = settings_of(config)
  return Subject(logits_fn, score_fn, tokenizer, found, settings, **more)


def finding(check: Check, subject: Subject) -> CheckFinding:
  """The CheckFinding of one check."""
  lacking = [need for need in check.needs if not _has(subject, need)]
  if lacking:
    said = f'there is no {" and no ".join(lacking)}'
    return CheckFinding(check.item, check.name, None, None, said)
  try:
    outcome = check.function(subject)
  except Exception as error:  # noqa: BLE001 (whatever a stranger's code raises)
    first = str(error).strip().splitlines()
    said = f'{type(error).__name__}: {first[0] if first else ""}'
    return CheckFinding(check.item, check.name, False, None, said)
  return CheckFinding(check.item, check.name, *outcome)


def _has(subject, need):
  if need.endswith('_fn'):
    return getattr(subject, need) is not None
  if need == 'stop_ids':
    return bool(subject.stop_ids)
  if need == 'end_of_context_id':
    wanted = subject.settings.end_of_context
    return wanted and getattr(subject.tokenizer, need, None) is not None
  return need in subject.batches
