"""What a run has trained, as a folder that `transformers` loads."""

from rlhf_jax.models.pretrained.export import save_policy, save_preference_model
from rlhf_jax.text.pretrained import PretrainedTokenizer
from rlhf_jax.train import hosts

IDS = ('eos', 'pad')


@hosts.by_one
def write(found, run, output, dtype='float32'):
  """Writes the folder, and prints what it holds.

  A policy becomes a CausalLM, a preference model a SequenceClassification of
  one label, each with its tokenizer where `transformers` has such a one.

  Args:
    found: of `models.open_run`.
    run: workdir that it is of.
    output: the folder.
    dtype: of the weights.

  Raises:
    ValueError, OSError: if `transformers` has no such model, or no room.
  """
  words = found.tokenizer
  scores = found.holds == 'preference model'
  known = words if isinstance(words, PretrainedTokenizer) else None
  config, save = found.functions.config, dict(dtype=dtype)
  if scores:
    save['allow_shift'] = True  # it says so below
  save_model = save_preference_model if scores else save_policy
  if known is None and not scores:
    save['settings'] = {f'{x}_token_id': getattr(words, f'{x}_id') for x in IDS}
  save_model(output, config, found.params, known, **save)
  kind = 'preference model' if scores else 'language model'
  print(f'{output}: the {kind} of {run}, for transformers')
  bias = float(found.params['head']['bias']) if scores else 0.0
  if bias:
    print(f'its scores are ours less the bias {bias:g}, kept in config.json')
  if known is None:
    words.save(f'{output}/tokenizer.model')
    print(
      'its tokenizer.model is of sentencepiece, for rlhf_jax.text.tokenizer'
    )
