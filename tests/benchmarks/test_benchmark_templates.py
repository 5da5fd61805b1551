"""The cost of a template's process, at a size that takes a second."""

from benchmarks import templates


def test_both_ways_give_the_same_texts_and_a_process_serves_the_usual_ones():
  """Six lengths are usual; each sequence with a turn in two parts is new."""
  items = templates.dialogues(40)
  assert templates.dialogues(40) == items
  lines = {name: value for name, value, _ in templates.measure(1, 40)}
  roles = {tuple(turn.role for turn in item[:-1]) for item in items}
  pairs = [zip(r, r[1:], strict=False) for r in roles]
  odd = sum(any(a == b for a, b in neighbours) for neighbours in pairs)
  assert 1 < lines['processes'] <= 1 + odd < 40
  assert lines['sandboxed_cpu_s'] > lines['open_cpu_s'] > 0
