"""Writes what a run has trained as a folder that `transformers` loads.

    python -m experiments.export --run=runs/ppo --output=policy

`--run` is the workdir of a finished train_pm, train_ppo or train_lm; adapters
are merged into their base. A policy becomes a CausalLM, a preference model a
SequenceClassification of one label, each with its tokenizer where
`transformers` has such a one (`docs/pretrained.md`).
"""

from absl import flags

from experiments.shared import command, exporting
from experiments.shared.models import open_run


def run(options):
  """Writes the folder; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  found = open_run(options['run'])
  exporting.write(found, options['run'], options['output'], options['dtype'])


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
