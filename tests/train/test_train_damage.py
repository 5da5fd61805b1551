"""Damaged run directories: one line that names the file, no other result."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_run

from rlhf_jax.train.metrics_file import MetricsFile
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run, RunError, load_params
from rlhf_jax.train.steps import init_state

CONFIG = {'seed': 1}
TX = make_optimiser()


def state_of(step=0):
  params = {'w': jnp.arange(64.0), 'b': jnp.float32(0)}
  return init_state(params, TX)._replace(step=jnp.int32(step))


def begun(folder, steps=(2, 4), rows=5):
  """A run that was killed after two checkpoints, with rows past the last."""
  with Run(folder, CONFIG, keep=2) as run:
    run.restore(state_of())
    for step in range(1, rows + 1):
      run.log(step, {'loss': 1.0 / step})
      if step in steps:
        run.save(state_of(step))
  return folder


def resumed(folder):
  with Run(folder, CONFIG, keep=2) as run:
    step = int(run.restore(state_of()).step)
    return step, [row['step'] for row in run.rows('train')]


def refused(folder, match):
  with pytest.raises(RunError, match=match) as error:
    resumed(folder)
  assert '\n' not in str(error.value)
  assert str(folder) in str(error.value)
  return str(error.value)


def test_a_run_as_it_was_left_goes_on(tmp_path):
  assert resumed(begun(tmp_path)) == (4, [1, 2, 3, 4])


@pytest.mark.parametrize(
  'change',
  [
    lambda lines: lines[:2],  # cut
    lambda lines: [],  # emptied
    lambda lines: lines[:1] + lines,  # a row twice
    lambda lines: [lines[0], '', *lines[1:]],  # a blank line
    lambda lines: [lines[0][:9], *lines[1:]],  # a broken line
    lambda lines: [lines[1], lines[0], *lines[2:]],  # another order
    lambda lines: [lines[0].replace('1.0', '1.5'), *lines[1:]],
    lambda lines: ['{"kind": "train"}', *lines[1:]],  # a row without a step
  ],
)
def test_rows_before_the_checkpoint_that_have_changed_are_named(
  tmp_path, change
):
  file = begun(tmp_path) / 'metrics.jsonl'
  lines = change(file.read_text().splitlines())
  file.write_text(''.join(f'{line}\n' for line in lines))
  message = refused(tmp_path, 'metrics.jsonl is damaged')
  assert 'it is not what it was at checkpoint 4' in message


def test_deleted_metrics_are_no_shorter_curve(tmp_path):
  (begun(tmp_path) / 'metrics.jsonl').unlink()
  refused(tmp_path, 'metrics.jsonl is damaged')


@pytest.mark.parametrize(
  ('lines', 'why'),
  [
    (['{"kind": "train", "step": 1}', '', '{"kind": "train", "step": 2}'], 2),
    (['{"kind": "train"}', '{"kind": "train", "step": 2}'], 1),
    (['[1]', '{"kind": "train", "step": 2}'], 1),
    (['{"kind": "train", "step": 1}'] * 2, 'a line stands there twice'),
  ],
)
def test_a_checkpoint_of_before_knows_no_rows_but_each_is_looked_at(
  tmp_path, lines, why
):
  file = begun(tmp_path) / 'metrics.jsonl'
  file.write_text('\n'.join(lines) + '\n{"kind": "tr')
  metrics = MetricsFile(tmp_path)
  why = f'line {why} is no row' if isinstance(why, int) else why
  with pytest.raises(RunError, match=why):
    metrics.resume(4, None)
  file.write_text('{"kind": "t", "step": 4}\n{"kind": "t", "step": 5}\n{"ki')
  metrics.resume(4, None)
  assert metrics.rows('t') == [{'step': 4}]
  metrics.close()


def test_a_run_that_starts_anew_keeps_no_row_of_before(tmp_path):
  """Nor one of step 0, nor half a line of a program that was killed."""
  (tmp_path / 'metrics.jsonl').write_text('{"kind": "t", "step": 0}\n{"ki\n')
  metrics = MetricsFile(tmp_path)
  metrics.resume(0, None)
  assert metrics.rows('t') == []
  metrics.close()


def files_of(folder):
  return [p for p in sorted(folder.rglob('*')) if p.is_file()]


def flip(file, bit):
  data = bytearray(file.read_bytes())
  data[bit // 8] ^= 1 << bit % 8
  file.write_bytes(bytes(data))


def test_a_flipped_bit_in_any_file_of_a_checkpoint_is_named(tmp_path):
  """The middle bit of each; the digests are compared before orbax reads."""
  files = files_of(begun(tmp_path) / 'checkpoints' / '4')
  assert len(files) > 4
  for file in files:
    middle = 4 * file.stat().st_size
    if not middle:
      continue
    flip(file, middle)
    message = refused(tmp_path, 'is damaged .it has not the digest')
    assert str(file) in message and 'delete' in message
    flip(file, middle)
  assert resumed(tmp_path)[0] == 4


def test_what_the_message_says_is_what_helps(tmp_path):
  """Without the damaged checkpoint the run goes on from the one before."""
  chunk = max(
    files_of(begun(tmp_path) / 'checkpoints' / '4'),
    key=lambda p: p.stat().st_size,
  )
  chunk.write_bytes(chunk.read_bytes()[:-7])
  refused(tmp_path, f'delete {tmp_path}/checkpoints/4, and the run goes on')
  shutil.rmtree(tmp_path / 'checkpoints' / '4')
  assert resumed(tmp_path) == (2, [1, 2])


def test_a_cut_chunk_without_digests_is_one_line_too(tmp_path, capfd):
  """A checkpoint of before, or one whose run died as it was saved."""
  begun(tmp_path)
  (tmp_path / 'checkpoints.json').unlink()
  assert resumed(tmp_path)[0] == 4
  (tmp_path / 'checkpoints.json').unlink(missing_ok=True)
  for file in files_of(tmp_path / 'checkpoints' / '4'):
    if '/d/' in str(file):
      file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
  capfd.readouterr()
  refused(tmp_path, 'cannot read')
  assert 'Traceback' not in capfd.readouterr().err


@pytest.mark.parametrize('inside', [None, 'state'])
def test_a_folder_that_is_no_checkpoint_is_named(tmp_path, inside):
  folder = begun(tmp_path) / 'checkpoints' / '999'
  folder.mkdir()
  if inside:
    (folder / inside).mkdir()
  assert 'delete it' in refused(tmp_path, 'checkpoints/999 holds no checkp')


def test_a_checkpoint_before_those_that_are_there_is_not_lost(tmp_path):
  with Run(begun(tmp_path), CONFIG) as run:
    with pytest.raises(RunError, match='checkpoint 3 was not written'):
      run.save(state_of(3))


@pytest.mark.parametrize('content', ['[]', '{}', '"text"', '{"config": []}'])
def test_a_config_json_that_is_none_is_named(tmp_path, content):
  (begun(tmp_path) / 'config.json').write_text(content)
  refused(tmp_path, 'config.json')


def test_a_row_of_another_run_is_named(tmp_path):
  file = begun(tmp_path) / 'config.json'
  content = json.loads(file.read_text())
  content['row']['role'] = 'robust'
  file.write_text(json.dumps(content))
  refused(tmp_path, 'says another row')


@pytest.mark.parametrize('key', ['stage', 'holds', 'trained', 'base', 'row'])
def test_a_key_whose_name_has_changed_is_named(tmp_path, key):
  """One bit: its value would not be compared, and be written on."""
  file = begun(tmp_path) / 'config.json'
  wrong = key[:-1] + chr(ord(key[-1]) ^ 1)
  text = file.read_text()
  assert text.count(f'"{key}"') == 1
  file.write_text(text.replace(f'"{key}"', f'"{wrong}"'))
  assert f'config.json is damaged (it has {wrong})' in refused(tmp_path, wrong)


@pytest.mark.parametrize('content', ['{}', '[]', '{"commit": 3}', '\xff'])
def test_an_env_json_that_is_none_is_named(tmp_path, content):
  (begun(tmp_path) / 'env.json').write_bytes(content.encode('latin-1'))
  refused(tmp_path, 'env.json')


def test_files_that_are_not_text_are_named(tmp_path):
  for name in ('config.json', 'checkpoints.json'):
    file = begun(tmp_path / name) / name
    file.write_bytes(b'\xff\xfe' + file.read_bytes())
    assert 'not UTF-8 text' in refused(tmp_path / name, name)


def test_parameters_that_have_changed_are_not_loaded(tmp_path):
  """Every bit flip of large parameters, not the 2 of 80 that zstd notices."""
  params = {'w': jnp.asarray(np.random.default_rng(0).normal(size=(64, 512)))}
  with Run(tmp_path, CONFIG) as run:
    run.save_params(params)
    run.finish()
  files = files_of(tmp_path / 'params')
  rng, size = np.random.default_rng(1), sum(p.stat().st_size for p in files)
  assert size > 1e5
  for file in files:
    for bit in rng.integers(0, max(8 * file.stat().st_size, 1), 3):
      if not file.stat().st_size:
        continue
      flip(file, int(bit))
      with pytest.raises(RunError, match='is damaged') as error:
        load_params(tmp_path, params)
      assert str(file) in str(error.value)
      flip(file, int(bit))
  loaded = load_params(tmp_path, jax.tree.map(jnp.zeros_like, params))
  np.testing.assert_array_equal(loaded['w'], params['w'])


def test_a_finished_run_lists_what_it_wrote(tmp_path):
  tiny_run.train(tmp_path)
  (tmp_path / 'report').mkdir()
  done = json.loads((tmp_path / 'done.json').read_text())
  assert set(done['digests']) == {'config.json', 'env.json', 'metrics.jsonl'}


def test_a_run_needs_a_folder_of_its_own(tmp_path):
  file, link = tmp_path / 'file', tmp_path / 'link'
  file.write_text('x')
  link.symlink_to(tmp_path / 'nowhere')
  assert 'got a file: choose another --workdir' in refused(file, str(file))
  assert 'where nothing is: choose another' in refused(link, str(link))
