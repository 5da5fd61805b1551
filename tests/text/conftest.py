import pytest

from rlhf_jax.text.tokenizer import Tokenizer

CORPUS = [
  '\n\nHuman: How do I count to 12?\n\nAssistant: One, two, and so on.\n',
  '\n\nHuman: Tell me a story.\n\nAssistant: Once there was a cat.\n\nThe end.',
  '\n\nHuman: Naïve café?\n\nAssistant: Yes, the café is naïve.',
] * 4


@pytest.fixture(scope='session')
def corpus():
  return CORPUS


@pytest.fixture(scope='session')
def tokenizer():
  return Tokenizer.train(CORPUS, 320)
