"""The command that a caption shows: it exists, and draws that figure alone."""

import importlib.util
import shlex

import pytest

from experiments import figures as script
from rlhf_jax.analysis import figures, redrawing, runs
from tests.analysis import tables_fixture


def arguments_of(command):
  """What the script is given by a command line that names it."""
  python, option, module, *arguments = shlex.split(command)
  assert (python, option, module) == ('python', '-m', redrawing.SCRIPT)
  return arguments


def test_the_script_of_the_commands_is_there():
  assert importlib.util.find_spec(redrawing.SCRIPT) is not None
  assert script.__name__ == redrawing.SCRIPT


def test_a_folder_is_named_from_the_current_one_or_whole(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  line = redrawing.command(tmp_path / 'results' / 'my study', 'lm_loss')
  assert line == (
    "python -m experiments.figures '--workdir=results/my study' "
    '--figure=lm_loss'
  )
  assert arguments_of(line)[0] == '--workdir=results/my study'
  monkeypatch.chdir('/')
  (folder,) = arguments_of(redrawing.command('results/x'))
  assert folder == '--workdir=results/x'
  monkeypatch.chdir(tmp_path)
  (folder,) = arguments_of(redrawing.command('/elsewhere/x'))
  assert folder == '--workdir=/elsewhere/x'


def test_what_the_script_does_not_draw_has_no_command(tmp_path):
  assert redrawing.command(tmp_path, 'heat_by_day') == ''
  assert 'heat_by_day' not in redrawing.names()


@pytest.mark.parametrize('name', figures.FIGURES)
def test_each_figure_has_a_command_that_draws_it_and_no_other(
  name, tmp_path, monkeypatch, capsys
):
  """Of what draws, only who is asked matters here, and for what."""
  asked = []
  for other in figures.FIGURES:
    draw = lambda *args, other=other: asked.append((other, *args)) or other
    monkeypatch.setitem(figures.FIGURES, other, draw)
  monkeypatch.setattr(runs, 'read_tables', lambda folder: {'of': folder})
  (tmp_path / 'tables').mkdir()
  assert script.main(arguments_of(redrawing.command(tmp_path, name))) == 0
  tables = {'of': tmp_path / 'tables'}
  assert asked == [(name, tables, tmp_path / 'figures', 'svg')]
  assert capsys.readouterr().out == f'{name}: {name}\n'


def test_a_figure_that_there_is_not_is_one_line(tmp_path, capsys):
  runs.write_tables({'lm': tables_fixture.lm()}, tmp_path / 'tables')
  place = f'--workdir={tmp_path}'
  assert script.main([place, '--figure=lm_los']) == 1
  line = capsys.readouterr().err
  assert line.startswith("figures: no figure 'lm_los': wanted one of lm_loss, ")
  assert line.count('\n') == 1
  for name in ('reward_vs_sqrt_kl', redrawing.TRAINING):
    assert script.main([place, f'--figure={name}']) == 1
    line = capsys.readouterr().err
    wanted = f'figures: {tmp_path} holds nothing to draw {name} of\n'
    assert line == wanted
  assert not (tmp_path / 'figures').exists()
