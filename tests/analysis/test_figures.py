import html
import pathlib
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from experiments import figures as again
from rlhf_jax.analysis import chapters, figures, kl_reward, report, runs
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.drawings import (
  calibration,
  common,
  frontier,
  ppo,
  robustness,
  scaling,
  sqrt_kl,
  tension,
)
from rlhf_jax.analysis.operating import ood
from tests.analysis import (
  crossed_tables,
  more_tables,
  synthetic,
  synthetic_distillation,
  tables_fixture,
)
from tests.analysis.tables_fixture import SIZES


@pytest.fixture(scope='module')
def tables():
  """Of a study that has cross-fitted heads too, on a size of the others."""
  scored = crossed_tables.scored
  crossed = crossed_tables.tables(helpful=scored(), conditional=scored(0.6))
  run = {'role': 'cross', 'size': '42K', 'half': 'all', 'seed': 0}
  run |= {'n_params': tables_fixture.SIZES['42K']}
  run |= {'config_hash': 'c0ffee', 'commit': 'abc1234'}
  crossed |= crossed_tables.drawn()
  own = {name: frame.assign(**run) for name, frame in crossed.items()}
  return tables_fixture.tables() | own


@pytest.fixture(scope='module')
def whole(tables):
  """Of a study with every chapter."""
  rng = lambda: np.random.default_rng(0)
  seeds = (0, 1, 2)
  distilled = synthetic_distillation.make_tables(rng(), seeds, True)
  outliers = ood.relative_is_better(rng(), seeds, 'effect')
  outliers |= ood.outliers_help(rng(), seeds, 'effect')
  more = distilled | outliers
  more |= more_tables.tables((tables | more)['pm_curve'], seeds)
  more['rl_curve'] = more_tables.with_policies(tables['rl_curve'])
  more['rl_curve'] = more_tables.with_passes(more['rl_curve'], seeds)
  more |= more_tables.with_scan(more['rl_curve'], seeds)
  more |= more_tables.by_kind(tables, seeds)
  return tables | more | synthetic.online_tables(rng(), seeds, True)


@pytest.fixture(scope='module')
def composed(whole):
  """Figure -> (canvas, tables that it read), saved nowhere."""
  return {
    draw.__name__: figures.compose(draw, whole) for draw in load().drawings
  }


@pytest.fixture(scope='module')
def drawn(whole, tmp_path_factory):
  return figures.draw_all(whole, tmp_path_factory.mktemp('figures'))


def _canvas(draw, tables):
  canvas = figures.Canvas(tables)
  draw(canvas, tables)
  return canvas


def _line(axis, label):
  (line,) = [line for line in axis.lines if line.get_label() == label]
  return line


def test_every_figure_has_something_to_draw(composed):
  assert list(composed) == list(figures.FIGURES)
  assert None not in composed.values()


@pytest.mark.slow  # saves every figure, twice
def test_every_figure_is_drawn_as_a_whole_svg(drawn, composed):
  assert list(drawn) == list(figures.FIGURES)
  for name, path in drawn.items():
    assert path.name == f'{name}.svg'
    assert ElementTree.parse(path).getroot().tag.endswith('svg')
    assert path.with_suffix('.png').read_bytes().startswith(b'\x89PNG')
    assert chapters.sources(path) == list(composed[name][1])


@pytest.mark.slow  # saves every figure, once more
def test_the_command_of_every_caption_draws_its_figure(
  whole, drawn, tmp_path, monkeypatch
):
  """Of tables on the disk, read once; each command is given its own folder."""
  runs.write_tables(whole, tmp_path / 'tables')
  read = runs.read_tables(tmp_path / 'tables')
  monkeypatch.setattr(runs, 'read_tables', lambda folder: read)
  page = report.write_report(tmp_path, {'claims': []}, read, drawn, {})
  lines = re.findall(
    r'<figure id="figure-(\w+)">.*?Drawn again by:\s+<code>([^<]+)</code>',
    html.unescape(page.read_text()),
    re.DOTALL,
  )
  assert sorted(name for name, _ in lines) == sorted(drawn)
  for name, line in lines:
    words = shlex.split(line)
    assert words[:3] == ['python', '-m', 'experiments.figures']
    place = [f'--out={tmp_path / name}', '--suffix=png']  # the quick one
    assert again.main([*words[3:], *place]) == 0
    (file,) = (tmp_path / name).iterdir()
    assert file.name == f'{name}.png'


def test_equal_tables_give_equal_bytes(whole, tmp_path):
  once, again = (
    figures.FIGURES['pm_min_score'](whole, tmp_path / name) for name in 'ab'
  )
  assert again.read_bytes() == once.read_bytes()


@pytest.mark.parametrize(
  'path', sorted(pathlib.Path(figures.__file__).parent.glob('drawings/*.py'))
)
def test_colours_are_those_of_the_cycle(path):
  """'C7' of a cycle of three is 'C1' once more."""
  count = len(figures.STYLE['axes.prop_cycle'])
  numbers = re.findall(r"'C(\d+)'", path.read_text())
  assert all(int(number) < count for number in numbers)


def test_png_is_drawn_too(tables, tmp_path):
  path = figures.FIGURES['gap_vs_samples'](tables, tmp_path, 'png')
  assert path.read_bytes().startswith(b'\x89PNG')


def test_the_figure_to_take_away_has_three_panels_and_no_need_of_colour(tables):
  """Means over seeds: the frontier sqrt(KL), best-of-n .9 of it, PPO .5."""
  canvas = _canvas(frontier.frontier_and_policies, tables)
  *panels, corner = canvas.figure.axes
  names = [axis.get_title() for axis in panels]
  assert names == ['train PM', 'test PM', 'gold']
  for axis in panels:
    lines = [line for line in axis.lines if line.get_label().startswith('_1')]
    edge, best, policy = lines
    np.testing.assert_allclose(edge.get_xdata(), edge.get_ydata())
    np.testing.assert_allclose(best.get_ydata(), 0.9 * best.get_xdata())
    assert (edge.get_linestyle(), best.get_linestyle()) == ('-', 'None')
    assert policy.get_linestyle() == '--'
  x_N, y_N = panels[0].lines[2].get_data()
  # Noise .02 of each score and of its start, over three seeds.
  assert abs(y_N[5] - 0.5 * x_N[5]) < 0.08
  sizes = {line.get_marker() for line in panels[0].lines} - {'', 'None'}
  assert {'o', 's', 'v'} <= sizes
  shades = [canvas.colours[size] @ [0.3, 0.6, 0.1, 0] for size in SIZES]
  assert min(np.abs(np.diff(shades))) > 0.15  # told apart in grey
  words = [text.get_text() for text in corner.get_legend().get_texts()]
  assert words[2:] == ['PPO', *(f'policy of {size}' for size in SIZES)]
  width = canvas.figure.get_size_inches()[0]
  letters = [text.get_fontsize() for text in corner.get_legend().get_texts()]
  assert min(letters) / 72 * 400 / width >= 9  # pixels high at a width of 400


def test_the_figure_to_take_away_needs_no_gold(tables):
  real = tables | {'frontier': tables['frontier'].query('scorer != "gold"')}
  canvas = _canvas(frontier.frontier_and_policies, real)
  *panels, below = canvas.figure.axes  # no hole where gold would be
  assert [axis.get_title() for axis in panels] == ['train PM', 'test PM']
  assert all(axis.lines for axis in panels)
  assert below.get_legend() and not below.axison
  assert below.get_position().y1 < panels[0].get_position().y0


def test_a_figure_without_its_table_or_rows_is_none(whole, composed, tmp_path):
  assert set(figures.draw_all({}, tmp_path).values()) == {None}
  other = {**whole, 'rl_curve': whole['rl_curve'].query('role == "inert"')}
  missing = set()
  for draw in load().drawings:
    if 'rl_curve' in composed[draw.__name__][1]:
      if figures.compose(draw, other) is None:
        missing.add(draw.__name__)
  assert missing == {
    'reward_vs_sqrt_kl',
    'train_test_gold',
    'overoptimisation',
    'gap_vs_samples',
    'entropy_length',
    'frontier_and_policies',
    'gold_and_forms',
    'algorithms',
    'policies_from_distilled',
    'real_algorithms',
    'real_text_tax',
    'gold_under_ensembles',
    'kl_coefficients',
    'inner_passes',
  }


@pytest.mark.slow  # draws every figure again
def test_one_seed_is_drawn_without_a_band(whole):
  one = {name: frame.query('seed == 0') for name, frame in whole.items()}
  assert all(figures.compose(draw, one) for draw in load().drawings)
  axis = _canvas(scaling.pm_accuracy_vs_pairs, one).figure.axes[0]
  assert not any(len(band.get_paths()) for band in axis.collections)


@pytest.mark.slow  # draws every figure again
def test_real_data_without_gold_or_label_probabilities_is_drawn(whole):
  real = {
    **whole,
    'pm_curve': whole['pm_curve'].assign(expected_accuracy=np.nan),
    'pm_pairs': whole['pm_pairs'].assign(p_label=np.nan),
    'rl_curve': whole['rl_curve'].assign(gold=np.nan, win_rate=np.nan),
  }
  assert all(figures.compose(draw, real) for draw in load().drawings)
  axis = _canvas(robustness.train_test_gold, real).figure.axes[0]
  assert {line.get_label() for line in axis.lines} == {'train PM', 'test PM'}


def test_the_mean_line_is_over_seeds_and_a_seed_counts_once():
  """Two rows of seed 0 weigh as much as the one of seed 1."""
  frame = pd.DataFrame(
    {
      'seed': [0, 0, 1],
      'step': 1,
      'x': [1.0, 3.0, 4.0],
      'y': [0.0, 2.0, 5.0],
    }
  )
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  canvas.mean_line(axis, frame, 'step', 'x', 'y', label='mean')
  assert _line(axis, 'mean').get_xydata() == pytest.approx(
    np.array([[3.0, 3.0]])
  )


def test_the_band_is_the_t_interval_of_three_seeds():
  """Values 1, 2, 3 have sd 1, so the half-width is 4.3027 / sqrt(3)."""
  frame = pd.DataFrame(
    {'seed': [0, 1, 2] * 2, 'x': [1] * 3 + [2] * 3, 'y': [1.0, 2.0, 3.0] * 2}
  )
  canvas = figures.Canvas({})
  (axis,) = canvas.panels([''], 'x', 'y')
  canvas.mean_line(axis, frame, 'x', 'x', 'y')
  (band,) = axis.collections
  y_N = band.get_paths()[0].vertices[:, 1]
  assert y_N.max() == pytest.approx(2 + 4.302653 / 3**0.5, rel=1e-5)
  assert y_N.min() == pytest.approx(2 - 4.302653 / 3**0.5, rel=1e-5)


def test_a_size_has_one_colour_in_all_figures(tables):
  seen = {}
  for draw in (common.lm_loss, ppo.entropy_length):
    for axis in _canvas(draw, tables).figure.axes:
      for size in tables_fixture.SIZES:
        colour = tuple(_line(axis, size).get_color())
        assert seen.setdefault(size, colour) == colour
  assert len(set(seen.values())) == len(tables_fixture.SIZES)


def test_the_legend_lies_outside_and_names_each_mark_once(tables):
  canvas = _canvas(sqrt_kl.reward_vs_sqrt_kl, tables)
  canvas.add_legend()
  (legend,) = canvas.figure.legends
  labels = [text.get_text() for text in legend.get_texts()]
  assert labels[:3] == ['3K', '13K', '42K']
  assert len(labels) == len(set(labels)) == 5
  assert not any(axis.get_legend() for axis in canvas.figure.axes)
  assert canvas.figure.get_supxlabel() and canvas.figure.get_supylabel()


def test_letters_can_be_read_at_400_pixels_and_marks_without_colour(composed):
  """Every figure of the house; ticks are a little smaller."""
  for name, (canvas, _) in composed.items():
    pixels = 400 / canvas.figure.get_size_inches()[0] / 72
    for axis in canvas.figure.axes:
      assert axis.title.get_fontsize() * pixels >= 9, name
      for text in axis.get_xticklabels():
        assert text.get_fontsize() * pixels >= 8, name
  markers = {canvas.markers[size] for size in SIZES}
  assert len(markers) == len(SIZES)


def test_a_label_that_all_panels_share_is_written_once(composed):
  for name, (canvas, _) in composed.items():
    figure = canvas.figure
    shared = {figure.get_supxlabel(), figure.get_supylabel()} - {''}
    labels = [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes]
    own = {label for pair in labels for label in pair}
    assert not shared & own, name


def look(handle):
  """What a mark of a legend looks like where colours cannot be seen."""
  handle = getattr(handle, 'lines', [handle])[0] or handle[0]
  parts = [handle, *getattr(handle, 'patches', ())][-1]
  ask = lambda name: str(getattr(parts, f'get_{name}', lambda: '')())
  return [ask(name) for name in ('marker', 'linestyle', 'hatch', 'fillstyle')]


def test_every_legend_tells_its_marks_apart_without_colour(composed):
  """One legend serves all panels of a figure; a panel may have its own."""
  for name, (canvas, _) in composed.items():
    shared, legends = {}, []
    for axis in canvas.figure.axes:
      if axis.get_legend():
        legends.append(axis.get_legend().legend_handles)
      handles, labels = axis.get_legend_handles_labels()
      shared = dict(zip(labels, handles, strict=True)) | shared
    for handles in [*legends, list(shared.values())]:
      looks = [(type(h).__name__, *look(h)) for h in handles]
      assert len(set(looks)) == len(looks), (name, looks)


def test_every_legend_lies_within_its_figure(composed):
  many = 0
  for name, (canvas, _) in composed.items():
    for legend in canvas.figure.legends:
      canvas.figure.draw_without_rendering()
      box, page = legend.get_window_extent(), canvas.figure.bbox
      assert page.x0 <= box.x0 and box.x1 <= page.x1, name
      assert page.y0 <= box.y0 and box.y1 <= page.y1, name
      many += 1
  assert many > 20


def test_a_figure_names_the_tables_that_were_read(composed, whole, tmp_path):
  """Those that its drawing asks for, and no others."""
  for name, tables in (
    ('entropy_length', ['rl_curve']),
    ('pm_min_score', ['pm_pairs']),
    ('frontier_and_policies', ['frontier', 'best_of_n', 'rl_curve']),
  ):
    assert sorted(composed[name][1]) == sorted(tables), name
  assert all(read for _, read in composed.values())
  path = figures.FIGURES['entropy_length'](whole, tmp_path)
  assert chapters.sources(path) == list(composed['entropy_length'][1])


def test_panels_stand_two_in_a_row_and_share_their_labels(tables):
  canvas = figures.Canvas(tables)
  axes = canvas.panels(['a', 'b', 'c'], 'pairs', 'accuracy')
  assert len(axes) == len(canvas.figure.axes) == 3
  rows = [axis.get_subplotspec().rowspan.start for axis in axes]
  assert rows == [0, 0, 1]
  assert canvas.figure.get_supxlabel() == 'pairs'
  one = figures.Canvas(tables)
  (axis,) = one.panels([''], 'pairs', 'accuracy')
  assert (axis.get_xlabel(), axis.get_ylabel()) == ('pairs', 'accuracy')


def test_the_bound_has_slope_sqrt_2v_and_the_fit_the_slope_of_the_data(tables):
  """V = 0.5 and reward = s0 + 0.5 sqrt(KL)."""
  axis = _canvas(sqrt_kl.reward_vs_sqrt_kl, tables).figure.axes[0]
  slopes = {'--': [], ':': []}
  for line in axis.lines:
    x_N, y_N = line.get_data()
    if len(x_N) == 2 and x_N[1] == kl_reward.WINDOW_SQRT_KL and x_N[0] == 0:
      slopes[line.get_linestyle()].append((y_N[1] - y_N[0]) / x_N[1])
  assert slopes['--'] == pytest.approx([1.0] * 3)
  assert slopes[':'] == pytest.approx([0.5] * 3, abs=0.02)


def test_a_run_whose_pi0_was_not_measured_has_no_early_lines(tables):
  pi0 = tables['rl_pi0'].query('size == "3K" and scorer == "train"')
  canvas = _canvas(sqrt_kl.reward_vs_sqrt_kl, {**tables, 'rl_pi0': pi0})
  for axis, count in zip(canvas.figure.axes, (1, 0), strict=True):
    drawn = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert sum(line.get_linestyle() == '--' for line in drawn) == count


def test_gains_start_at_zero_and_average_both_directions(tables):
  rows = tables['rl_curve'].query('role == "robust"')
  shifted = rows.assign(train_pm=rows['train_pm'] + 7 * (rows['half'] == 'a'))
  axis = _canvas(robustness.train_test_gold, {'rl_curve': shifted}).figure.axes[
    0
  ]
  gain_N = _line(axis, 'train PM').get_ydata()
  assert gain_N[0] == pytest.approx(0, abs=1e-9)
  last = rows.query('iteration == 11')['train_pm'].mean()
  first = rows.query('iteration == 0')['train_pm'].mean()
  assert gain_N[-1] == pytest.approx(last - first)


def test_longer_wins_and_ceiling_are_lines_of_the_accuracy_figure(tables):
  axis = _canvas(scaling.pm_accuracy_vs_pairs, tables).figure.axes[0]
  pairs = tables['pm_pairs'].query('train_subset == "mix"')
  wanted = np.maximum(pairs['p_label'], 1 - pairs['p_label']).mean()
  assert _line(axis, 'ceiling').get_ydata()[0] == pytest.approx(wanted)
  # The fixture's labels know nothing of lengths.
  longer = _line(axis, 'longer wins').get_ydata()[0]
  assert longer == pytest.approx(0.5, abs=0.03)


def test_the_calibration_bins_of_a_calibrated_pm_lie_on_the_line(tables):
  for axis in _canvas(calibration.pm_calibration, tables).figure.axes:
    (bars,) = axis.containers
    delta_K, agreement_K = bars.lines[0].get_data()
    assert len(delta_K) == 10
    wanted_K = 1 / (1 + np.exp(-np.asarray(delta_K, float)))
    agreement_K = np.asarray(agreement_K, float)
    np.testing.assert_allclose(agreement_K, wanted_K, atol=0.01)


def test_bars_stand_at_the_mean_accuracy_of_each_pm(tables):
  axis = _canvas(tension.helpful_harmless, tables).figure.axes[0]
  assert [tick.get_text() for tick in axis.get_xticklabels()] == [
    'harmless',
    'helpful',
  ]
  heights = {round(bar.get_x(), 2): bar.get_height() for bar in axis.patches}
  left = {x: heights[x] for x in sorted(heights)}
  assert list(left.values()) == pytest.approx([0.41, 0.71, 0.71, 0.41])


@pytest.mark.slow  # a process
def test_the_script_redraws_from_the_tables_without_jax(whole, tmp_path):
  runs.write_tables(whole, tmp_path / 'tables')
  code = (
    'import sys; from experiments import figures; '
    'code = figures.main(sys.argv[1:]); assert "jax" not in sys.modules; '
    'sys.exit(code)'
  )
  command = [sys.executable, '-c', code, f'--workdir={tmp_path}']
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert len(list((tmp_path / 'figures').glob('*.svg'))) == len(figures.FIGURES)
  missing = [*command[:-1], f'--workdir={tmp_path / "nowhere"}']
  done = subprocess.run(missing, capture_output=True, text=True, check=False)
  assert done.returncode == 1
  assert done.stderr.count('\n') == 1
  assert 'nowhere' in done.stderr


def test_the_training_of_a_run_is_drawn_from_what_it_logged(tmp_path):
  rows = [{'kind': 'train', 'step': n, 'loss': 1 / n} for n in (1, 2)]
  rows += [{'kind': 'train', 'step': n, 'score': n} for n in (1, 2)]
  metrics = pd.DataFrame([*rows, {'kind': 'curve', 'step': 2, 'kl_k1': 1.0}])
  path = figures.draw_training(metrics, tmp_path)
  assert path == tmp_path / 'training.svg'
  assert path.read_text().count('<g id="axes_') == 2  # loss and score
  assert figures.draw_training(metrics.tail(1), tmp_path) is None
  assert figures.draw_training(pd.DataFrame(), tmp_path) is None
