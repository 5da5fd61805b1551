"""Short comparisons of one exchange, for the tests of this folder."""

from rlhf_jax.data.records import make_comparison


def comparison(question, chosen, rejected, **fields):
  prompt = f'\n\nHuman: {question}\n\nAssistant:'
  fields = {'source': 'tests/here', **fields}
  return make_comparison(prompt + chosen, prompt + rejected, **fields)
