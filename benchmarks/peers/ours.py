"""Ours, as a peer sees it: python -m benchmarks.peers.ours --metric METRIC."""

import jax

from benchmarks import common, microbatches, subjects
from benchmarks.peers import driver
from rlhf_jax.train.run import environment

MAKE = {
  'pm_pairs_per_s': 'pm_step',
  'pm_pairs_per_s_read_whole': 'pm_step_read_whole',
  'ppo_samples_per_s': 'ppo_iteration',
  'rloo_samples_per_s': 'rloo_iteration',
  'decode_tokens_per_s': 'decode',
}


def subject_of(metric, shape, default=False):
  """The Subject of a metric.

  Args:
    metric: a key of MAKE.
    shape: Shape.
    default: with the shape's microbatches, as on a processor that was not
      measured, or with those of this device.
  """
  name = MAKE[metric]
  make = microbatches.SUBJECTS.get(name, subjects.decode)
  return make(shape if default else common.for_device(name, shape))


def main(argv=None):
  """Times one of our functions and reports."""
  args = driver.parse_args(argv, metric='pm_pairs_per_s', default=0)
  common.use_every_core()
  subject = subject_of(args.metric, args.shape, bool(args.default))
  mesh = common.mesh_of(subject)
  program, state, rest = common.compile_subject(subject, mesh)
  call = common.threaded(program.call, state, *rest)
  decodes = args.metric == 'decode_tokens_per_s'
  samples = subject.tokens if decodes else subject.samples
  clock = driver.Clock(args.metric, environment()['commit'], samples, args)
  clock.run(lambda: jax.block_until_ready(call()))


if __name__ == '__main__':
  main()
