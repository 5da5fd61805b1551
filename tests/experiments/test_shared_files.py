"""Small files of a run, and what is committed of a study."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from experiments import analyse, figures, publish
from experiments.shared import files, run_report, study_report
from rlhf_jax import digests
from rlhf_jax.analysis import claims_io, runs
from rlhf_jax.analysis.claims import judging
from tests.analysis import tables_fixture


def test_rows_come_back_with_whatever_is_in_them(tmp_path):
  rows = [{'a': 'x, "y"\nz', 'b': 1}, {'a': '', 'b': 2.5}]
  files.write_csv(tmp_path / 'rows.csv', rows)
  with (tmp_path / 'rows.csv').open(newline='') as file:
    read = list(csv.DictReader(file))
  assert read == [{'a': 'x, "y"\nz', 'b': '1'}, {'a': '', 'b': '2.5'}]
  assert [path.name for path in tmp_path.iterdir()] == ['rows.csv']


def test_a_table_is_whole_or_the_one_of_before(tmp_path):
  """A row with another key is refused in the middle of the writing."""
  path = tmp_path / 'rows.csv'
  files.write_csv(path, [{'a': 1}])
  before = path.read_bytes()
  with pytest.raises(ValueError, match="'b'"):
    files.write_csv(str(path), [{'a': 2}, {'a': 3, 'b': 4}])
  assert path.read_bytes() == before


def test_json_is_read_or_the_stage_that_writes_it_is_asked_for(tmp_path):
  (tmp_path / 'x.json').write_text('{"a": [1]}')
  assert files.read_json(tmp_path / 'x.json') == {'a': [1]}
  with pytest.raises(FileNotFoundError, match='y.json is missing: run the st'):
    files.read_json(f'{tmp_path}/y.json')


ENV = {'commit': '12e4567', 'device': '1x cpu', 'cores': 2}


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """A finished study of small made-up runs, with its own three files."""
  path = tmp_path_factory.mktemp('made') / 'study'
  tables_fixture.write_study(path)
  config = {
    'preset': 'smoke',
    'data': {'source': 'simulated'},
    'claims': {'rl_requires_test_pm': True},
  }
  content = {'config': config, 'row': {'config_hash': 'abc'}}
  content |= {'stage': 'reproduce', 'holds': 'study'}
  done = {
    'seconds': 90.0,
    'stages': [{'name': 'lm', 'seconds': 3.0}],
    'programs': [
      {'program': 'p', 'seconds': 1.0, 'count': 1, 'shapes': '', 'worker': 'w0'}
    ],
  }
  for name, value in (('config', content), ('env', ENV), ('done', done)):
    (path / f'{name}.json').write_text(json.dumps(value))
  sample = {'prompt': '<b>', 'pi0_reply': 'x', 'final_reply': 'y'}
  samples = [sample | {'scores': {'PM': i}} for i in range(6)]
  (folder,) = {
    path / name.parent.name for name in path.glob('linear-13K-a-0/*')
  }
  moved = path / 'rl' / folder.name
  moved.parent.mkdir()
  folder.rename(moved)
  (moved / 'samples.json').write_text(json.dumps(samples))
  return path


def test_claims_say_of_which_study_they_are(study):
  assert study_report.context_of(study, 90.0) == {
    'preset': 'smoke',
    'commit': '12e4567',
    'device': '1x cpu, 2 cores',
    'seconds': 90.0,
    'config_hash': 'abc',
    'evidence': 'simulated',
    'rl_requires': True,
    'failures': [],
  }


def test_the_evidence_of_released_pairs_is_real(study, tmp_path):
  for name in ('config', 'env', 'done'):
    text = (study / f'{name}.json').read_text()
    text = text.replace('"simulated"', '"hh"')
    (tmp_path / f'{name}.json').write_text(text)
  assert study_report.context_of(tmp_path, 1.0)['evidence'] == 'real'


def test_a_few_samples_of_a_run_of_before_are_shown(study):
  """Of a run of before the first four different prompts, here one."""
  (found,) = study_report.samples_of(study)
  assert found['scores'] == {'PM': 0} and found['run'] == 'linear-13K-a-0'


def test_a_finished_study_is_analysed_again(study, capsys, monkeypatch):
  """But for its figures, which are drawn of the tables as they are written."""
  drawn = []
  draw = lambda tables, folder: drawn.append((set(tables), folder)) or {}
  monkeypatch.setattr(study_report.figures, 'draw_all', draw)
  assert analyse.main(['--workdir', str(study)]) == 0
  document = claims_io.read_claims(study / 'report' / 'claims.json')
  assert document['seconds'] == 90.0 and document['preset'] == 'smoke'
  tables = runs.read_tables(study / 'tables')
  assert drawn == [(set(tables), study / 'figures')]
  assert tables['programs']['worker'].tolist() == ['w0']
  assert len(tables['lm']) == len(tables_fixture.lm())
  page = (study / 'report' / 'index.html').read_text()
  assert '&lt;b&gt;' in page and '<b>' not in page.split('</style>')[1][:50]
  lines = capsys.readouterr().out.splitlines()
  verdicts = [claim['verdict'] for claim in document['claims']]
  assert len(lines) == 1 + sum(verdict != 'not run' for verdict in verdicts)


def test_printed_claims_are_those_that_were_judged_and_counted(capsys):
  document = judging.claims_document({}, {'preset': 'x'})
  for number, verdict, ci in (
    (4, 'pass', [0.5, 0.75]),
    (13, 'fail', None),
    (14, 'pass', None),
    (1, 'inconclusive', [-1.0, 1.0]),
  ):
    document['claims'][number - 1] |= {'verdict': verdict, 'ci': ci}
  study_report.print_claims(document)
  *lines, counts = capsys.readouterr().out.splitlines()
  assert [line.split()[:2] for line in lines] == [
    ['1', 'inconclusive'],
    ['4', 'pass'],
    ['13', 'fail'],
    ['14', 'pass'],
  ]
  assert lines[1].endswith('[0.5, 0.75]') and '[' not in lines[2]
  rest = len(document['claims']) - 4
  assert counts == f'2 pass, 1 fail, 1 inconclusive, {rest} not run'


def broken(study, tmp_path, name, text):
  """A copy of the study's three files, one of them another."""
  for file in ('config', 'env', 'done'):
    source = (study / f'{file}.json').read_text()
    (tmp_path / f'{file}.json').write_text(text if file == name else source)
  return tmp_path


@pytest.mark.parametrize(
  ('name', 'text', 'message'),
  [
    ('done', '{', 'done.json:1: not JSON'),
    ('config', '[', 'config.json:1: not JSON'),
    ('done', '{"seconds": 1}', "no finished study, its files lack 'stages'"),
  ],
)
def test_a_broken_study_is_one_line(
  name, text, message, study, tmp_path, capsys
):
  path = broken(study, tmp_path, name, text)
  assert analyse.main([f'--workdir={path}']) == 2
  out, err = capsys.readouterr()
  assert not out and len(err.splitlines()) == 1
  assert err.startswith('error: ') and message in err


def test_a_study_that_is_not_there_or_not_done_is_one_line(tmp_path, capsys):
  assert analyse.main([f'--workdir={tmp_path / "x"}']) == 2
  assert 'x has no config.json: not a finished run' in capsys.readouterr().err
  (tmp_path / 'config.json').write_text('{}')
  assert analyse.main([f'--workdir={tmp_path}']) == 2
  assert 'has no done.json' in capsys.readouterr().err


@pytest.fixture
def reported(tmp_path):
  """(study with a report, folder for what is committed of it)."""
  study, out = tmp_path / 'study', tmp_path / 'results' / 'x'
  for name in ('tables', 'figures'):
    (study / name).mkdir(parents=True)
    (study / name / f'new.{name}').write_text(name)
  document = judging.claims_document(
    {}, {'preset': 'smoke', 'seconds': 90.0, 'commit': 'c1', 'device': 'cpu'}
  )
  claims_io.write_claims(study / 'report' / 'claims.json', document)
  (study / 'config.json').write_text('{"config": {"seeds": [0]}}')
  return study, out


def test_a_published_study_is_what_it_holds_now(reported):
  study, out = reported
  (out / 'tables').mkdir(parents=True)
  (out / 'tables' / 'stale.csv').touch()
  assert publish.main([f'--workdir={study}', f'--out={out}']) == 0
  assert [path.name for path in (out / 'tables').iterdir()] == ['new.tables']
  assert (out / 'figures' / 'new.figures').read_text() == 'figures'
  claims = (study / 'report' / 'claims.json').read_bytes()
  assert (out / 'claims.json').read_bytes() == claims
  assert json.loads((out / 'config.json').read_text())['config']['seeds'] == [0]
  note = (out / 'README.md').read_text()
  assert note.startswith('# smoke\n')
  assert '`make reproduce PRESET=smoke` at commit `c1` on cpu, 1.5' in note


def test_the_readme_s_table_is_rewritten_from_the_claims(reported, tmp_path):
  study, out = reported
  readme = tmp_path / 'README.md'
  mark = (claims_io.MARK_BEGIN, claims_io.MARK_END)
  readme.write_text(f'before\n{mark[0]}\nstale\n{mark[1]}\nafter\n')
  arguments = [f'--workdir={study}', f'--out={out}', f'--readme={readme}']
  assert publish.main(arguments) == 0
  text = readme.read_text()
  assert 'stale' not in text and 'Not run: 1, 2, 3' in text
  assert text.startswith('before\n') and text.endswith('\nafter\n')


def test_nothing_is_published_of_a_study_without_a_report(tmp_path, capsys):
  out = tmp_path / 'out'
  assert publish.main([f'--workdir={tmp_path}', f'--out={out}']) == 2
  assert capsys.readouterr().err.startswith('error: ')
  assert not out.exists()


def test_a_study_is_not_published_over_itself(reported, capsys):
  """Its tables would be gone before they were copied."""
  study, _ = reported
  assert publish.main([f'--workdir={study}', f'--out={study}/figures/..']) == 2
  assert 'is the study itself' in capsys.readouterr().err
  assert (study / 'tables' / 'new.tables').exists()


def test_figures_are_drawn_of_the_tables_that_are_there(tmp_path, capsys):
  runs.write_tables({'lm': tables_fixture.lm()}, tmp_path / 'tables')
  arguments = [f'--workdir={tmp_path}', f'--out={tmp_path / "x"}']
  assert figures.main([*arguments, '--suffix=png']) == 0
  lines = capsys.readouterr().out.splitlines()
  drawn = [line for line in lines if not line.endswith(': nothing to draw')]
  assert drawn == [f'lm_loss: {tmp_path}/x/lm_loss.png']
  assert len(lines) > 5 and (tmp_path / 'x' / 'lm_loss.png').exists()
  assert figures.main([f'--workdir={tmp_path / "x"}']) == 1
  assert capsys.readouterr().err.startswith('figures: no directory')


def test_the_page_of_a_run_is_made_of_its_own_tables(tmp_path):
  row = {'run_id': 'lm', 'seed': 0, 'config_hash': 'abc', 'commit': '12e4567'}
  row |= {'role': 'lm', 'size': '3K', 'n_params': 3456, 'half': 'all'}
  table = pd.DataFrame([row | {'tokens': 10, 'nats_per_token': 2.5, 'gold': 0}])
  tables_fixture.write_run(tmp_path / 'lm', row, {'lm': table})
  lines = [{'kind': 'train', 'step': n, 'loss': 3.0 / n} for n in (1, 2, 3)]
  lines += [{'kind': 'curve', 'step': 3, 'accuracy': 0.5}]
  (tmp_path / 'lm' / 'metrics.jsonl').write_text(
    ''.join(f'{json.dumps(line)}\n' for line in lines)
  )
  pair = {'prompt': 'Why?', 'chosen': 'So <b>.', 'rejected': 'No.'}
  pair |= {'scores': {'chosen': 1.5, 'rejected': 0.25}}
  (tmp_path / 'lm' / 'pairs.json').write_text(json.dumps([pair]))
  page = run_report.write(tmp_path / 'lm')
  assert page == tmp_path / 'lm' / 'report' / 'index.html'
  assert 'the run lm' in page.read_text()
  assert (tmp_path / 'lm' / 'figures' / 'training.svg').is_file()
  text = page.read_text()
  assert 'id="figure-training"' in text and text.count('class="pair"') == 1
  assert 'So &lt;b&gt;.' in text and '<div>right</div>' in text
  # Both captions name a command, which draws the file again.
  for name in ('training', 'lm_loss'):
    (command,) = re.findall(rf'<code>(.*--figure={name})</code>', text)
    file = tmp_path / 'lm' / 'figures' / f'{name}.svg'
    drawn = file.read_bytes()
    file.unlink()
    assert figures.main(command.split()[3:]) == 0
    assert file.read_bytes() == drawn
  with pytest.raises(FileNotFoundError, match='not a finished run'):
    run_report.write(tmp_path)


def damaged(call, path):
  """The one line that names the file."""
  with pytest.raises(digests.DamagedError) as error:
    call()
  assert str(path) in str(error.value) and '\n' not in str(error.value)
  return str(error.value)


def test_every_damaged_npz_is_one_line(tmp_path):
  """Bits and lengths of files without digests, as of runs of before."""
  path = tmp_path / 'rows.npz'
  np.savez(path, a=np.arange(40), b=np.array(['x', 'yy']))
  assert list(files.read_arrays(path, 'a', 'b')['a']) == list(range(40))
  whole, rng, named = path.read_bytes(), np.random.default_rng(0), 0
  for bit in rng.integers(0, 8 * len(whole), 200):
    data = bytearray(whole)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(data))
    try:
      found = files.read_arrays(path, 'a', 'b')
    except digests.DamagedError as error:
      assert str(path) in str(error) and '\n' not in str(error)
      named += 1
    else:  # a time stamp of the archive
      assert list(found['a']) == list(range(40))
  assert named > 100
  for length in range(0, len(whole), 37):
    path.write_bytes(whole[:length])
    damaged(lambda: files.read_arrays(path, 'a'), path)
  path.write_bytes(whole)
  assert 'lacks c' in damaged(lambda: files.read_arrays(path, 'c'), path)


def test_the_digests_of_a_finished_run_are_asked_first(tmp_path):
  path = tmp_path / 'rows.npz'
  np.savez(path, a=np.arange(4))
  done = digests.sealed({'digests': digests.of_folder(tmp_path)})
  (tmp_path / 'done.json').write_text(json.dumps(done))
  np.savez(path, a=np.arange(5))
  assert 'digest' in damaged(lambda: files.read_arrays(path), path)


@pytest.mark.parametrize(
  'content',
  [
    *(b'{}', b'[3]', b'[{"prompt": "x"}]', b'\xff', b'[', b'"x"'),
    b'[{"prompt": "x", "replies": [{}]}]',
  ],
)
def test_damaged_samples_are_one_line(tmp_path, content):
  path = tmp_path / 'samples.json'
  assert run_report.read_samples(tmp_path) == []
  path.write_bytes(content)
  damaged(lambda: run_report.read_samples(tmp_path), path)
