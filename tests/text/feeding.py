"""The functions of docs/pretrained.md that feed dialogues to transformers."""

import functools
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'pretrained.md'


@functools.cache
def feeding():
  """{name: function} of the one block that defines `batch_of`."""
  blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), flags=re.S)
  [block] = [block for block in blocks if 'def batch_of' in block]
  names = {}
  exec(compile(block, 'docs/pretrained.md', 'exec'), names)
  return names
