"""One subject in turns with the machine's own matrix products."""

from benchmarks import common, machine


def lines(subject, shape, rounds, warmups, *, samples, tokens):
  """Compiles, times and describes a subject.

  Args:
    subject: of `benchmarks.subjects`.
    shape: its Shape.
    rounds: timed calls.
    warmups: calls before them.
    samples: (metric, unit) of samples a second.
    tokens: metric of tokens a second.

  Returns:
    [(metric, value, unit)].
  """
  mesh = common.mesh_of(subject)
  program, state, args = common.compile_subject(subject, mesh)
  rates = machine.rate_calls(
    shape, subject.products_tokens, subject.logits, mesh
  )
  libraries = machine.library_calls(
    shape, subject.products_tokens, subject.logits, mesh
  )
  rates |= {name: (call, call.flops) for name, call in libraries.items()}
  calls = {name: call for name, (call, _) in rates.items()}
  calls['program'] = common.threaded(program.call, state, *args)
  seconds = common.time_in_turns(calls, rounds, warmups)
  for workers in libraries.values():
    workers.close()
  own = seconds['program']
  return [
    *common.throughput_lines(samples[0], subject.samples, own, samples[1]),
    *common.throughput_lines(tokens, subject.tokens, own, 'tokens/s'),
    *machine.rate_lines(seconds, subject.flops, rates),
    *common.program_lines(program),
  ]
