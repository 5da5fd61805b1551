"""Policies that start elsewhere than the study's language models."""

import dataclasses


def start_of(config, section, starts, size):
  """(name, Job) of where a theme's policy starts.

  Args:
    config: of the study.
    section: of the theme; its `pi0` names one.
    starts: {name: size -> Job}.
    size: of the policy.

  Raises:
    ValueError: if there is none of that name.
  """
  pi0 = config[section]['pi0']
  if pi0 not in starts:
    raise ValueError(
      f'{section}.pi0={pi0!r}: wanted one of {", ".join(starts)}'
    )
  return pi0, starts[pi0](size)


def needing(job, *more):
  """The job, which needs these jobs too."""
  needs = {need.name: need for need in (*job.needs, *more)}
  return dataclasses.replace(job, needs=tuple(needs.values()))
