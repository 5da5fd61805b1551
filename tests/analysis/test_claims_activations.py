"""Claims 61 to 65 on numbers that can be worked out by hand."""

import pytest

from rlhf_jax.analysis import figures, intervals
from rlhf_jax.analysis.claims import activations
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.drawings import activations as drawings
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small
from tests.analysis.test_drawings import axes_of

SEEDS = range(8)


def queries(levels, spread=0.0):
  """{(query, case, method, measure): level} as a table of eight seeds."""
  rows = [
    dict(zip(('query', 'case', 'method', 'measure'), key, strict=True))
    | {'seed': seed, 'value': level + spread * (seed - 3.5)}
    for key, level in levels.items()
    for seed in SEEDS
  ]
  return {'activation_queries': small.table('activation_queries', rows)}


def found(number, tables):
  finding = load().claim(number).evaluator(tables)
  return intervals.verdict(finding.contrasts), small.numbers(finding)


def overlap(**changes):
  of = lambda name, measure='iou_margin': ('overlap', 'all', name, measure)
  levels = {of(name): 0.1 for name in activations.BASELINES}
  levels |= {of(name): 0.3 for name in ('v0', 'v1', 'v2_together')}
  levels |= {of('v2'): 0.4, of('v2', 'iou_own'): 0.6}
  levels |= {of('v2', 'iou_other'): 0.2}
  return queries(levels | {of(k): v for k, v in changes.items()}, 0.001)


def test_the_margin_is_above_its_bound_and_every_baseline():
  verdict, numbers = found(61, overlap())
  assert verdict == 'pass'
  assert numbers['margin'] == pytest.approx(0.4)
  for name in activations.BASELINES:
    assert numbers[f'over_{name}'] == pytest.approx(0.3)
  assert found(61, overlap(v2=0.19))[0] == 'fail'
  assert found(61, overlap(guided=0.41))[0] == 'fail'
  assert found(61, overlap(guided=0.4))[0] == 'inconclusive'


def blend(clamped, free):
  of = lambda name: ('blend', 'all', name, 'as_clamp')
  names = ('v0', 'v1', 'class_mean', 'top_down', 'input')
  levels = {of(name): 0.5 for name in names}
  return queries(levels | {of('v2'): clamped, of('autoencoder'): free}, 0.001)


def test_the_clamp_decides_nine_of_ten_and_nothing_does_without():
  assert found(62, blend(0.95, 0.45))[0] == 'pass'
  assert found(62, blend(0.85, 0.45))[0] == 'fail'
  assert found(62, blend(0.95, 0.65))[0] == 'fail'
  assert found(62, blend(0.9, 0.45))[0] == 'inconclusive'


def occlusion(**last):
  levels = {}
  for case in activations.OCCLUDERS:
    own = {'v2': 0.05, 'class_mean': 0.07, 'autoencoder': 0.08}
    own |= {'v0': 0.1, 'v1': 0.09, 'mean_of_true_class': 0.06}
    right = {'v2': 0.8, 'input': 0.6, 'truth': 0.95}
    if case == '50':
      own |= {k: v for k, v in last.items() if k in own and k != 'v2'}
      right |= {'v2': last.get('v2', 0.8)}
    for measure, values in (('mse', own), ('accuracy', right)):
      of = lambda name, case=case, m=measure: ('occlusion', case, name, m)
      levels |= {of(name): value for name, value in values.items()}
  return queries(levels, 0.0005)


def test_every_size_of_the_occluder_has_to_be_recovered():
  verdict, numbers = found(63, occlusion())
  assert verdict == 'pass'
  assert numbers['mse_less_class_mean_at_20_percent'] == pytest.approx(-0.02)
  assert numbers['mse_less_autoencoder_at_35_percent'] == pytest.approx(-0.03)
  assert numbers['accuracy_gain_at_50_percent'] == pytest.approx(0.2)
  assert found(63, occlusion(class_mean=0.04))[0] == 'fail'
  assert found(63, occlusion(autoencoder=0.05))[0] == 'inconclusive'
  assert found(63, occlusion(v2=0.55))[0] == 'fail'


def directions(**changes):
  levels = {}
  for name in ('v2', *activations.ABLATIONS):
    lost = float(name != 'v2')
    own = {'iou_margin': 0.4 - 0.2 * lost, 'blend': 0.05 + 0.02 * lost}
    own |= {case: 0.06 + 0.01 * lost for case in activations.OCCLUDERS}
    own |= changes if name == 'no_top_down' else {}
    levels['overlap', 'all', name, 'iou_margin'] = own['iou_margin']
    levels['blend', 'all', name, 'mse'] = own['blend']
    levels['blend', 'all', name, 'as_clamp'] = 0.9
    for case in activations.OCCLUDERS:
      levels['occlusion', case, name, 'mse'] = own[case]
  return queries(levels, 0.0001)


def test_each_direction_is_missed_on_each_query():
  verdict, numbers = found(64, directions())
  assert verdict == 'pass'
  for name in activations.ABLATIONS:
    assert numbers[f'margin_lost_{name}'] == pytest.approx(0.2)
    assert numbers[f'blend_mse_added_{name}'] == pytest.approx(0.02)
    assert numbers[f'hidden_mse_added_{name}'] == pytest.approx(0.01)
  assert found(64, directions(iou_margin=0.45))[0] == 'fail'
  assert found(64, directions(blend=0.04))[0] == 'fail'
  sizes = {'20': 0.05, '35': 0.05, '50': 0.06}
  assert found(64, directions(**sizes))[0] == 'fail'


def hashes(**changed):
  rows = [
    {'seed': seed, 'moment': moment, 'digest': f'd{seed}'}
    for seed in SEEDS
    for moment in ('trained', 'used', 'stored')
  ]
  rows[4] |= changed
  return {'activation_hashes': small.table('activation_hashes', rows)}


def test_one_changed_weight_of_one_seed_is_a_fail():
  assert found(65, hashes()) == ('pass', {'changed': 0})
  assert found(65, hashes(digest='other')) == ('fail', {'changed': 1})
  with pytest.raises(NotRunError, match='lacks a moment of some seed'):
    found(65, hashes(moment='trained'))


def pictures():
  """Two pixels by two: the level of a picture tells its method."""
  cases = {'overlap': ['all'], 'blend': ['4/9', '3/8', '1/7']}
  cases |= {'occlusion': ['20', '35', '50']}
  methods = (*drawings.NAMES, 'deconv', 'guided')
  rows = []
  for query, names in cases.items():
    ends = ('',) if query == 'occlusion' else ('_0', '_1')
    for case in names:
      for example in range(2):
        for place, method in enumerate(methods):
          for end in ('',) if method == 'input' else ends:
            row = {'query': query, 'case': case, 'example': example}
            row |= {'method': method + end, 'side': 2}
            rows.append(row | {'pixels': f'{10 * place:02x}' * 4})
  return small.table('activation_pictures', rows)


def test_pictures_stand_in_a_line_an_example_and_a_column_a_method():
  frame = pictures()
  for draw, lines in (
    (drawings.overlapping_digits, 4),
    (drawings.blended_digits, 6),
    (drawings.occluded_digits, 6),
  ):
    (axis,) = axes_of(draw, 'activation_pictures', frame)
    sheet = axis.images[0].get_array()
    names = [x.get_text() for x in axis.get_xticklabels()]
    assert sheet.shape == (3 * lines + 1, 3 * len(names) + 1)
    assert names[0] == 'input' and names[-1] == 'truth'
    methods = (*drawings.NAMES, 'deconv', 'guided')
    by_name = {drawings.NAMES.get(x, x): x for x in methods}
    for place, name in enumerate(names):
      level = 10 * methods.index(by_name[name]) / 255
      assert sheet[1, 3 * place + 1] == pytest.approx(level), name


def test_measures_have_a_row_a_method_and_their_mean_over_seeds():
  tables = queries(
    {
      ('overlap', 'all', 'v2', 'iou_margin'): 0.4,
      ('overlap', 'all', 'v0', 'iou_margin'): 0.1,
      ('blend', 'all', 'v2', 'mse'): 0.05,
      ('occlusion', '20', 'v2', 'mse'): 0.04,
      ('occlusion', '50', 'v2', 'mse'): 0.08,
      ('occlusion', '20', 'v2', 'accuracy'): 0.9,
    },
    0.01,
  )
  canvas = figures.Canvas(tables)
  drawings.activation_measures(canvas, tables)
  first, _, third, _ = canvas.figure.axes
  assert [x.get_text() for x in first.get_yticklabels()] == ['V0', 'V2']
  means = [x.lines[0].get_xdata()[0] for x in first.containers]
  assert means == pytest.approx([0.1, 0.4])
  assert third.containers[0].lines[0].get_xdata()[0] == pytest.approx(0.06)
