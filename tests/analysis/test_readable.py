"""Names of measured numbers: none reaches a reader as it stands in the code."""

import json
import pathlib

import pytest

from rlhf_jax.analysis.readable import words

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  ('name', 'wanted'),
  [
    ('accuracy_2495', 'accuracy, 2,495 pairs'),
    ('accuracy_q0.3', 'accuracy, both scores above quantile 0.3'),
    ('accuracy_turn2', 'accuracy, turn 2'),
    ('bow_units_13K', 'bow in units of its bound, 13K'),
    ('ece_mix_minus_helpful', 'calibration error mix less helpful'),
    ('efficiency_42K_over_13K', 'efficiency 42K over 13K'),
    ('sqrt_kl_at_peak', 'sqrt(KL) at peak'),
    ('p', 'exponent p of gain = a KL^p'),
    ('p_2.7M', 'exponent, 2.7M'),
    ('slope', 'slope'),
  ],
)
def test_names_are_read(name, wanted):
  assert words(name) == wanted


def test_no_number_of_a_committed_study_keeps_its_underscores():
  files = list(ROOT.glob('results/*/claims.json'))
  assert files
  for file in files:
    for row in json.loads(file.read_text())['claims']:
      for name in row['measured']:
        assert '_' not in words(name), name
