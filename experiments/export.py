"""Writes what a run has trained as a folder that `transformers` loads.

    python -m experiments.export --run=runs/ppo --output=policy

`--run` is the workdir of a finished train_pm, train_ppo or train_lm; adapters
are merged into their base. A policy becomes a CausalLM, a preference model a
SequenceClassification of one label, each with its tokenizer where
`transformers` has such a one (`docs/pretrained.md`).
"""

from absl import flags

from experiments.shared import command
from experiments.shared.models import open_run
from rlhf_jax.models.pretrained.export import save_policy, save_preference_model
from rlhf_jax.text.pretrained import PretrainedTokenizer

IDS = ('eos', 'pad')


def run(options):
  """Writes the folder; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  found, output = open_run(options['run']), options['output']
  words = found.tokenizer
  scores = found.holds == 'preference model'
  known = words if isinstance(words, PretrainedTokenizer) else None
  config, save = found.functions.config, dict(dtype=options['dtype'])
  if scores:
    save['allow_shift'] = True  # it says so below
  write = save_preference_model if scores else save_policy
  if known is None and not scores:
    save['settings'] = {f'{x}_token_id': getattr(words, f'{x}_id') for x in IDS}
  write(output, config, found.params, known, **save)
  kind = 'preference model' if scores else 'language model'
  print(f'{output}: the {kind} of {options["run"]}, for transformers')
  bias = float(found.params['head']['bias']) if scores else 0.0
  if bias:
    print(f'its scores are ours less the bias {bias:g}, kept in config.json')
  if known is None:
    words.save(f'{output}/tokenizer.model')
    print(
      'its tokenizer.model is of sentencepiece, for rlhf_jax.text.tokenizer'
    )


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('run', None, 'Workdir of a finished run.'),
    flags.DEFINE_string('output', None, 'Folder to write.'),
    flags.DEFINE_string('dtype', 'float32', 'Of the weights, or bfloat16.'),
  ]
  command.main_of_flags(run, values, ('run', 'output'))


if __name__ == '__main__':
  main()
