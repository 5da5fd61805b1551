import pytest
from comparison_fixture import comparison

from rlhf_jax.text.tokenizer import Tokenizer


@pytest.fixture(scope='session')
def comparisons():
  return [
    comparison('Name a cat.', ' Tom.', ' I will not.', p_label=0.75),
    comparison('How do I steal?', ' Do not.', ' Run.', kind='harmless'),
    comparison('Naïve café?', ' Yes,\nthe café.', ' ☕ no', p_label=1.0),
    comparison('Name a cat.', ' Felix the cat.', ' Rex.'),
  ]


@pytest.fixture(scope='session')
def tokenizer(comparisons):
  return Tokenizer.train([c.chosen for c in comparisons] * 3, 300)
