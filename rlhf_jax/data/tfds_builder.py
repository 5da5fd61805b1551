"""The HH-RLHF data as a TFDS dataset, without TensorFlow.

Importing this module imports tensorflow_datasets: import it where it is used.
The files are ArrayRecord, so reading needs no TensorFlow either.
"""

import collections
import contextlib
import hashlib
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from rlhf_jax.data import data_files
from rlhf_jax.data.faults import DataError
from rlhf_jax.data.jsonl import iter_comparisons, iter_red_team
from rlhf_jax.data.records import KINDS, Comparison, RedTeam

TRANCHES = (
  'helpful-base',
  'helpful-rejection-sampled',
  'helpful-online',
  'harmless-base',
)
RED_TEAM = 'red-team-attempts'
_RED_TEAM_FILE = 'red_team_attempts.jsonl.gz'
_URL = 'https://huggingface.co/datasets/Anthropic/hh-rlhf/resolve/main'


class MissingTrancheError(DataError):
  """A tranche that is not there."""


def source_files(local_dir, tranche: str) -> dict[str, Path]:
  """Finds the files of a tranche: {split: path}.

  Two layouts are known, the released one and a flat one:

    DIR/helpful-base/{train,test}.jsonl.gz
    DIR/hh_helpful_base_test/pairs.jsonl.gz

  and DIR/red-team-attempts/red_team_attempts.jsonl.gz.

  Raises:
    MissingTrancheError: if no file is there.
  """
  root = Path(local_dir)
  flat = f'hh_{tranche.replace("-", "_")}_'
  if tranche == RED_TEAM:
    files = data_files.visible((root / tranche).glob(_RED_TEAM_FILE))
    found = dict(zip(('train',), files, strict=False))
  else:
    found = {
      path.parent.name.removeprefix(flat): path
      for path in data_files.visible(root.glob(f'{flat}*/pairs.jsonl.gz'))
    }
    for path in data_files.visible(root.glob(f'{tranche}/*.jsonl.gz')):
      found[path.name.removesuffix('.jsonl.gz')] = path
  if not found:
    raise MissingTrancheError(
      f'{root}: wanted {tranche}/*.jsonl.gz or {flat}*/pairs.jsonl.gz, '
      'got neither; check local_dir'
    )
  return found


class HhRlhf(tfds.core.GeneratorBasedBuilder):
  """Comparisons of Bai et al. 2022, and red-team attempts of Ganguli et al.

  The config names the tranche. Without `local_dir` the files are downloaded.
  """

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = [
    tfds.core.BuilderConfig(name=name) for name in (*TRANCHES, RED_TEAM)
  ]
  # TFDS 4.9.10 looks for this file with importlib_resources, a package that it
  # does not require.
  code_path = Path(__file__)

  def __init__(self, *, local_dir=None, on_error='raise', **kwargs):
    """Makes a builder.

    Args:
      local_dir: directory that `source_files` understands; None downloads.
      on_error: 'raise', or 'skip' to log and leave out malformed rows.
      **kwargs: of the TFDS builder: config, data_dir, file_format.
    """
    self._local_dir = local_dir
    self._on_error = on_error
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    text = tfds.features.Text()
    if self.builder_config.name == RED_TEAM:
      features = {
        'transcript': text,
        'rating': np.float32,
        'model_type': text,
        'num_params': text,
        'task_description': text,
        'tags': tfds.features.Sequence(text),
      }
    else:
      features = {
        'chosen': text,
        'rejected': text,
        'source': text,
        'prompt_id': text,
        'p_label': np.float32,
        'kind': tfds.features.ClassLabel(names=list(KINDS)),
      }
    return tfds.core.DatasetInfo(
      builder=self,
      description='Human preferences between two replies of an assistant.',
      features=tfds.features.FeaturesDict(features),
      homepage='https://github.com/anthropics/hh-rlhf',
    )

  def _split_generators(self, dl_manager):
    tranche = self.builder_config.name
    if self._local_dir is not None:
      files = source_files(self._local_dir, tranche)
    elif tranche == RED_TEAM:
      files = dl_manager.download(
        {'train': f'{_URL}/{tranche}/{_RED_TEAM_FILE}'}
      )
    else:
      files = dl_manager.download(
        {s: f'{_URL}/{tranche}/{s}.jsonl.gz' for s in ('train', 'test')}
      )
    return {
      split: self._generate_examples(path, split)
      for split, path in files.items()
    }

  def _generate_examples(self, path, split: str) -> Iterator[tuple[int, dict]]:
    counts = collections.Counter()
    records = _records(
      path, self.builder_config.name, split, self._on_error, counts
    )
    for index, record in enumerate(records):
      yield index, dict(vars(record))
    if counts['kept'] < counts['read']:
      logging.warning('%s: left out malformed rows: %s', path, dict(counts))


def load(
  local_dir, tranche: str, split: str, data_dir, on_error: str = 'raise'
) -> list[Comparison] | list[RedTeam]:
  """Builds a tranche if need be and reads one split of it.

  The folder's name holds a hash of the source files, so that changed files
  are built anew.

  Args:
    local_dir: directory that `source_files` understands.
    tranche: one of TRANCHES, or RED_TEAM.
    split: 'train' or 'test'.
    data_dir: where the built dataset is kept.
    on_error: 'raise', or 'skip' to log and leave out malformed rows.

  Returns:
    Comparisons (p_label rounded to float32), or RedTeam records, in an order
    that TFDS shuffles once, by key.

  Raises:
    DataError: if the source is missing or malformed, or has no such split.
  """
  files = source_files(local_dir, tranche)
  if split not in files:
    raise DataError(
      f'{local_dir}: wanted the split {split!r} of {tranche}, '
      f'got {sorted(files)}; choose one of these'
    )
  builder = HhRlhf(
    config=tranche,
    local_dir=local_dir,
    on_error=on_error,
    data_dir=Path(data_dir) / _digest(files, on_error),
    file_format='array_record',
  )
  _prepare(builder, f'{tranche} of {local_dir}')
  make = _red_team if tranche == RED_TEAM else _comparison
  return [make(row) for row in builder.as_data_source(split=split)]


def _prepare(builder, what):
  """Builds the dataset from its local files, in words of our own.

  TFDS says that it downloads whatever it does, and its bars have no end.
  """
  if Path(builder.data_path).is_dir():
    return
  print(f'reading {what}, once', file=sys.stderr, flush=True)
  tfds.disable_progress_bar()
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare()


def _digest(files: dict[str, Path], on_error: str) -> str:
  digest = hashlib.sha256(on_error.encode())
  for split, path in sorted(files.items()):
    with path.open('rb') as stream:
      content = hashlib.file_digest(stream, 'sha256').hexdigest()
    digest.update(f'{split}:{content}'.encode())
  return digest.hexdigest()[:16]


def _records(
  path, tranche: str, split: str, on_error: str, counts: collections.Counter
) -> Iterator[Comparison | RedTeam]:
  if tranche == RED_TEAM:
    return iter_red_team(path, on_error, counts)
  return iter_comparisons(path, on_error, f'{tranche}/{split}', counts)


def _comparison(row: dict) -> Comparison:
  p_label = float(row['p_label'])
  return Comparison(
    chosen=_text(row['chosen']),
    rejected=_text(row['rejected']),
    source=_text(row['source']),
    prompt_id=_text(row['prompt_id']),
    p_label=math.nan if math.isnan(p_label) else p_label,
    kind=KINDS[row['kind']],
  )


def _red_team(row: dict) -> RedTeam:
  return RedTeam(
    transcript=_text(row['transcript']),
    rating=float(row['rating']),
    model_type=_text(row['model_type']),
    num_params=_text(row['num_params']),
    task_description=_text(row['task_description']),
    tags=tuple(_text(tag) for tag in row['tags']),
  )


def _text(value) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)
