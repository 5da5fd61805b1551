"""Real weights: a llama2.c model of 260K parameters and SmolLM2-135M."""

import dataclasses
import functools
import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses.masked import length_mask
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.llama2c import load_llama2c
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.text.encode import encode_prompt, pad_batch
from rlhf_jax.text.llama2c import Llama2cTokenizer
from rlhf_jax.types import Prompts
from tests.pretrained_files import (
  data_folder,
  need_or_skip,
  smollm2_or_skip,
  stories_or_skip,
)

pytestmark = pytest.mark.slow  # 135M parameters

STORY = (
  'Once upon a time, there was a little girl named Lily. She loved to play '
  'outside in the park. One day, she saw a big, red ball.'
)
FRANCE = '\n\nHuman: What is the capital of France?\n\nAssistant:'


def greedy(model, functions, ids, tokenizer, max_reply):
  """Tokens of the greedy reply to one prompt, with the cache."""
  sampling = SamplingConfig(
    max_reply, tokenizer.stop_ids, tokenizer.pad_id, greedy=True
  )
  collect = make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )
  rows = Prompts(jnp.array([ids]), jnp.array([len(ids)]), jnp.arange(1))
  rollout = jax.jit(collect)(model.params, rows, jax.random.key(0))
  return np.asarray(rollout.tokens_BT[0, len(ids) : rollout.length_B[0]])


def surprise(logits_fn, params, ids, width):
  """Mean nats of each token after the first of one text, by a full pass."""
  tokens_BT, length_B = pad_batch([ids], width, 0)
  logits_TV = logits_fn(params, tokens_BT, length_B)[0, : len(ids) - 1]
  logp_TV = jax.nn.log_softmax(logits_TV)
  return -float(logp_TV[jnp.arange(len(ids) - 1), jnp.array(ids[1:])].mean())


def argmax_after(logits_fn, params, ids, count, width):
  """What a full pass would say greedily at each of the last `count` places."""
  tokens_BT, length_B = pad_batch([ids], width, 0)
  logits_TV = logits_fn(params, tokens_BT, length_B)[0]
  at = len(ids) - count - 1
  return np.asarray(logits_TV[at : at + count].argmax(-1))


def their_logits(model, ids):
  """[T, V] of a model of transformers."""
  import torch

  with torch.no_grad():
    return model(torch.tensor([ids])).logits[0].numpy()


def unmatched(config, params):
  """Parameters with queries and keys left in the order of the file."""
  H, G, K = config.n_heads, config.n_kv_heads, config.head_size

  def undo(kernel_DN):
    D = kernel_DN.shape[0]
    halves = kernel_DN[:, : (H + G) * K].reshape(D, H + G, 2, K // 2)
    pairs = halves.swapaxes(2, 3).reshape(D, (H + G) * K)
    return jnp.concatenate([pairs, kernel_DN[:, (H + G) * K :]], 1)

  return jax.tree.map_with_path(
    lambda path, x: undo(x) if 'qkv' in jax.tree_util.keystr(path) else x,
    params,
  )


@pytest.fixture(scope='module')
def stories():
  weights, vocabulary = stories_or_skip()
  model = load_llama2c(weights)
  functions = build(model.config)
  functions = functions._replace(logits_fn=jax.jit(functions.logits_fn))
  return model, functions, Llama2cTokenizer.load(vocabulary, 512)


def test_the_stories_model_writes_its_story(stories):
  model, functions, tokenizer = stories
  assert sum(x.size for x in jax.tree.leaves(model.params)) == 260_032
  reply = greedy(model, functions, [1], tokenizer, 60)
  assert tokenizer.decode(reply).removeprefix(' ').startswith(STORY)


def test_the_stories_model_decodes_as_its_full_pass_says(stories):
  """Token for token, real weights (checklist 35)."""
  model, functions, tokenizer = stories
  ids = tokenizer.encode_document('The dog')
  reply = greedy(model, functions, ids, tokenizer, 40)
  said = argmax_after(
    functions.logits_fn, model.params, [*ids, *reply], len(reply), 64
  )
  np.testing.assert_array_equal(reply, said)


def test_the_stories_model_needs_its_rotary_order(stories):
  model, functions, tokenizer = stories
  ids = tokenizer.encode_document(STORY)
  matched = surprise(functions.logits_fn, model.params, ids, 64)
  other = unmatched(model.config, model.params)
  assert matched < 1.0
  assert surprise(functions.logits_fn, other, ids, 64) > matched + 0.5


def test_the_stories_model_exported_has_the_numbers_of_transformers(
  stories, tmp_path
):
  """Logits, the story that greedy decoding gives, and back (checklist 90)."""
  need_or_skip('transformers', 'torch', 'safetensors')
  import torch
  import transformers

  from tests.parity import assert_rounding_alone

  model, functions, tokenizer = stories
  save_policy(tmp_path, model.config, model.params)
  theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
  assert type(theirs) is transformers.LlamaForCausalLM
  ids = tokenizer.encode_document(STORY)
  tokens_BT, length_B = pad_batch([ids], 64, 0)
  logits_BTV = functions.logits_fn(model.params, tokens_BT, length_B)
  read = functools.partial(their_logits, ids=ids)
  assert_rounding_alone(logits_BTV[0, : len(ids)], theirs, read)
  for change in ({'rope_theta': 10_100.0}, {'norm_eps': 2e-5}):
    wrong = build(dataclasses.replace(model.config, **change)).logits_fn
    logits_BTV = jax.jit(wrong)(model.params, tokens_BT, length_B)
    with pytest.raises(AssertionError, match='errors, root mean square'):
      assert_rounding_alone(logits_BTV[0, : len(ids)], theirs, read)
  said = theirs.generate(
    torch.tensor([[1]]), max_new_tokens=60, do_sample=False, pad_token_id=0
  )
  assert tokenizer.decode(said[0, 1:].tolist()).strip().startswith(STORY)
  again = load_folder(tmp_path)
  assert again.config == model.config
  assert jax.tree.structure(again.params) == jax.tree.structure(model.params)
  jax.tree.map(np.testing.assert_array_equal, again.params, model.params)


def test_a_broken_checkpoint_is_one_line(tmp_path):
  data = stories_or_skip()[0].read_bytes()
  for content, message in (
    (data[:-100], 'wanted 1056540 bytes .* got 1056440; download it again'),
    (data[:20], 'got 20 bytes; download'),
    (b'\x80' * 4000, 'the header of a llama2.c checkpoint'),
  ):
    (tmp_path / 'x.bin').write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
      load_llama2c(tmp_path / 'x.bin')
    assert '\n' not in str(caught.value)


@pytest.fixture(scope='module')
def smollm2():
  path = smollm2_or_skip()
  from rlhf_jax.models.pretrained.gguf import load_gguf
  from rlhf_jax.text.pretrained import PretrainedTokenizer

  model = load_gguf(path)
  functions = build(model.config)
  functions = functions._replace(logits_fn=jax.jit(functions.logits_fn))
  return model, functions, PretrainedTokenizer.from_gguf(path)


@pytest.fixture(scope='module')
def answer(smollm2):
  """(prompt, greedy reply) in tokens."""
  model, functions, tokenizer = smollm2
  ids, _ = encode_prompt(tokenizer, FRANCE, 100)
  return ids, greedy(model, functions, ids, tokenizer, 16)


def test_smollm2_knows_the_capital_of_france(smollm2, answer):
  model, _, tokenizer = smollm2
  assert sum(x.size for x in jax.tree.leaves(model.params)) == 134_515_008
  reply = answer[1]
  assert tokenizer.decode_reply(reply) == ' The capital of France is Paris.'
  assert reply[-1] == tokenizer.eos_id == tokenizer.pad_id


def test_smollm2_decodes_as_its_full_pass_says(smollm2, answer):
  """With the cache and without, real weights (checklist 35)."""
  model, functions, _ = smollm2
  ids, reply = answer
  said = argmax_after(
    functions.logits_fn, model.params, [*ids, *reply], len(reply), 128
  )
  np.testing.assert_array_equal(reply, said)


@pytest.fixture(scope='module')
def passage(smollm2):
  """90 tokens of prose, the beginning of a novel."""
  file = data_folder() / 'text_gutenberg' / 'pride_and_prejudice.txt.gz'
  if not file.exists():
    pytest.skip(f'no text at {file}; set RLHF_JAX_DATA')
  with gzip.open(file, 'rt', encoding='utf-8') as lines:
    text = lines.read()
  text = ' '.join(text[text.index('It is a truth univ') :][:500].split())
  return smollm2[2].encode_document(text)[:90]


def test_smollm2_reads_prose_in_its_rotary_order_only(smollm2, passage):
  """Perplexity with queries and keys matched, and left as the file has them."""
  model, functions, _ = smollm2
  matched = surprise(functions.logits_fn, model.params, passage, 128)
  other = unmatched(model.config, model.params)
  wrong = surprise(functions.logits_fn, other, passage, 128)
  print(f'perplexity {np.exp(matched):.2f}, unmatched {np.exp(wrong):.1f}')
  assert np.exp(wrong) > 3 * np.exp(matched)


def test_smollm2_has_the_logits_of_transformers(smollm2, passage):
  """Our reading of the GGUF against theirs (checklist 90)."""
  need_or_skip('transformers', 'torch')
  import torch
  import transformers

  from tests.parity import assert_rounding_alone

  path = smollm2_or_skip()
  theirs = transformers.AutoModelForCausalLM.from_pretrained(
    path.parent, gguf_file=path.name, dtype=torch.float32
  )
  model, functions, _ = smollm2
  tokens_BT, length_B = pad_batch([passage], 128, 0)
  logits_BTV = functions.logits_fn(model.params, tokens_BT, length_B)
  assert_rounding_alone(
    logits_BTV[0, : len(passage)],
    theirs,
    functools.partial(their_logits, ids=passage),
  )


def test_smollm2_exported_answers_in_transformers_and_comes_back(
  smollm2, passage, tmp_path
):
  """The whole of it, with its tokenizer, and the same bits (checklist 90)."""
  need_or_skip('transformers', 'torch', 'safetensors')
  import transformers

  from tests.parity import assert_rounding_alone

  model, functions, tokenizer = smollm2
  config, params = grow_vocabulary(model.config, model.params)
  save_policy(tmp_path, config, params, tokenizer)
  again = load_folder(tmp_path)
  theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
  words = transformers.AutoTokenizer.from_pretrained(tmp_path)
  (tmp_path / 'model.safetensors').unlink()  # half a gigabyte
  assert again.config == config
  assert jax.tree.structure(again.params) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, again.params, params)

  tokens_BT, length_B = pad_batch([passage], 128, 0)
  logits_BTV = functions.logits_fn(model.params, tokens_BT, length_B)
  assert_rounding_alone(
    logits_BTV[0, : len(passage)],
    theirs,
    lambda theirs: their_logits(theirs, passage)[:, :-1],
  )
  asked = words.apply_chat_template(
    [{'role': 'user', 'content': 'What is the capital of France?'}],
    add_generation_prompt=True,
    return_tensors='pt',
  )
  said = theirs.generate(**asked, max_new_tokens=16, do_sample=False)
  reply = said[0, asked['input_ids'].shape[1] :].tolist()
  assert tokenizer.decode_reply(reply) == ' The capital of France is Paris.'
  assert reply[-1] == tokenizer.eos_id


def test_pads_that_are_end_tokens_change_nothing(smollm2, answer):
  """What pads hold changes no logit, the end token too (checklist 1, 4)."""
  model, functions, tokenizer = smollm2
  row = [*answer[0], *answer[1]]
  length_B = jnp.array([len(row)])
  tokens_BT, _ = pad_batch([row], 128, tokenizer.pad_id)
  other_BT, _ = pad_batch([row], 128, 77)
  real = lambda tokens: functions.logits_fn(model.params, tokens, length_B)[
    0, : len(row)
  ]
  np.testing.assert_allclose(real(tokens_BT), real(other_BT), atol=1e-4)
  mask_T = np.asarray(length_mask(length_B, 128))[0]
  assert mask_T.sum() == len(row) and mask_T[len(row) - 1] == 1
  assert tokens_BT[0, len(row) - 1] == tokens_BT[0, -1] == tokenizer.pad_id


def test_smollm2_grows_a_row_for_the_end_of_context(smollm2):
  model, _, tokenizer = smollm2
  config, params = grow_vocabulary(model.config, model.params)
  assert config.vocab_size == tokenizer.vocab_size
  rows_VD = params['trunk']['embed']
  assert rows_VD.shape == (49153, 576)
  mean_D = model.params['trunk']['embed'].mean(0)
  np.testing.assert_allclose(
    rows_VD[tokenizer.end_of_context_id], mean_D, atol=1e-6
  )
