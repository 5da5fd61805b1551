import pytest

from benchmarks import library, processor

EPYC = """\
processor : 0
cpu family : 25
model : 1
model name : AMD EPYC
flags : fpu avx fma avx2 sse2

processor : 1
model name : another
"""


def test_a_processor_is_named_with_its_widest_extensions():
  assert processor.describe(EPYC) == {
    'processor': 'AMD EPYC (family 25, model 1)',
    'extensions': 'avx fma avx2',
  }
  assert processor.folder_name(2, EPYC) == 'amd-epyc-25-1-avx2-2-cores'
  wide = EPYC.replace('avx2', 'avx2 avx512f amx_bf16')
  assert processor.folder_name(4, wide) == 'amd-epyc-25-1-amx-bf16-4-cores'
  assert processor.folder_name(8, '') == 'unknown-scalar-8-cores'


@pytest.mark.slow  # processes that import a library
@pytest.mark.parametrize('name', library.installed())
def test_workers_do_the_products_that_they_count_and_take_turns(name):
  small = library.Workers(name, 2, 1, 64, [(64, 32, 3)])
  large = library.Workers(name, 1, 2, 512, [(256, 512, 4)])
  assert small.flops == 2 * 4 * 64 * 64 * 32 * 3
  for workers in (small, large):
    assert min(workers()) > 0
  times = [(min(small()), min(large())) for _ in range(5)]
  # 170 times as much to do: a worker that did nothing would be as quick.
  assert min(t for _, t in times) > 3 * min(t for t, _ in times)
  small.close()
  large.close()


def test_both_ways_share_the_rows_and_use_every_core(monkeypatch):
  made = []
  monkeypatch.setattr(library, 'installed', lambda: ['numpy'])
  monkeypatch.setattr(library, 'Workers', lambda *a: made.append(a) or a)
  found = library.both_ways(2, 64, [(2, 3, 1)])
  assert set(found) == {'numpy_1x2', 'numpy_2x1'}
  assert sorted(made) == [
    ('numpy', 1, 2, 64, [(2, 3, 1)]),
    ('numpy', 2, 1, 32, [(2, 3, 1)]),
  ]
  made.clear()
  library.both_ways(1, 64, [(2, 3, 1)])
  assert made == [('numpy', 1, 1, 64, [(2, 3, 1)])]
