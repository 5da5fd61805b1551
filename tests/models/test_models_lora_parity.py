"""The same adapters in `peft`, on a small Llama with random weights."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.losses.language import next_token_loss
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_policy

pytestmark = pytest.mark.slow  # compares with peft

REASON = 'needs the extra `parity`: pip install -e .[parity]'
torch = pytest.importorskip('torch', reason=REASON)
transformers = pytest.importorskip('transformers', reason=REASON)
peft = pytest.importorskip('peft', reason=REASON)

from tests.parity import ROUNDING, assert_rounding_alone  # noqa: E402

CONFIG = TransformerConfig(
  vocab_size=48,
  n_layers=2,
  d_model=32,
  n_heads=4,
  n_kv_heads=2,
  d_mlp=40,
  activation='swiglu',
  tied=False,
)
RANK, ALPHA = 4, 12.0
TOKENS_BT = np.random.default_rng(0).integers(0, 48, (3, 11))
# peft's module, (layer of ours, block of its columns).
MODULES = {
  'self_attn.q_proj': ('attention/qkv', 'q'),
  'self_attn.k_proj': ('attention/qkv', 'k'),
  'self_attn.v_proj': ('attention/qkv', 'v'),
  'self_attn.o_proj': ('attention/out', 'all'),
  'mlp.gate_proj': ('mlp/in', 'gate'),
  'mlp.up_proj': ('mlp/in', 'up'),
  'mlp.down_proj': ('mlp/out', 'all'),
}
QV = ('self_attn.q_proj', 'self_attn.v_proj')


def llama():
  """A Llama of CONFIG's shape, in float32."""
  torch.manual_seed(0)
  model = transformers.LlamaForCausalLM(
    transformers.LlamaConfig(
      vocab_size=CONFIG.vocab_size,
      hidden_size=CONFIG.d_model,
      intermediate_size=CONFIG.d_mlp,
      num_hidden_layers=CONFIG.n_layers,
      num_attention_heads=CONFIG.n_heads,
      num_key_value_heads=CONFIG.n_kv_heads,
      rms_norm_eps=CONFIG.norm_eps,
      initializer_range=0.2,
      tie_word_embeddings=False,
    )
  )
  return model.float().eval()


def converted(model):
  """Parameters of ours from a Llama's; its names, our fused kernels."""
  state = {k: v.detach().numpy() for k, v in model.state_dict().items()}

  def layer(i):
    place = f'model.layers.{i}'
    fused = lambda *names: np.concatenate(
      [state[f'{place}.{name}.weight'].T for name in names], 1
    )
    kernels = {}
    for name, (ours, _) in MODULES.items():
      kernels.setdefault(ours, []).append(name)
    kernels = {k: {'kernel': fused(*names)} for k, names in kernels.items()}
    norm = lambda name: {'scale': state[f'{place}.{name}.weight']}
    return {
      'attention': {x: kernels[f'attention/{x}'] for x in ('qkv', 'out')},
      'mlp': {x: kernels[f'mlp/{x}'] for x in ('in', 'out')},
      'attention_norm': norm('input_layernorm'),
      'mlp_norm': norm('post_attention_layernorm'),
    }

  trunk = {f'layer_{i}': layer(i) for i in range(CONFIG.n_layers)}
  trunk['embed'] = state['model.embed_tokens.weight'] / CONFIG.d_model**0.5
  trunk['lm_head'] = state['lm_head.weight']
  trunk['final_norm'] = {'scale': state['model.norm.weight']}
  return {'trunk': trunk}


def pairs_of(adapters, modules):
  """[(peft's name, our {'a', 'b'})] of every layer."""
  for i in range(CONFIG.n_layers):
    for name in modules:
      path, block = MODULES[name]
      room, kernel = path.split('/')
      layer = adapters['trunk'][f'layer_{i}'][room][kernel]['kernel']
      yield f'base_model.model.model.layers.{i}.{name}', layer[block]


@pytest.fixture(scope='module', params=[QV, tuple(MODULES)], ids=['qv', 'all'])
def both(request):
  """(peft's model, our base, our adapters, modules), the weights equal."""
  model = llama()
  base = converted(model)
  targets = [
    f'{path}/kernel' + (f'/{block}' if block != 'all' else '')
    for path, block in (MODULES[name] for name in request.param)
  ]
  adapters = lora.init_adapters(jax.random.key(0), base, RANK, targets)
  rng = np.random.default_rng(1)
  adapters = jax.tree.map(
    lambda x: jnp.float32(rng.normal(0, 0.2, x.shape)), adapters
  )
  theirs = peft.get_peft_model(
    model,
    peft.LoraConfig(
      r=RANK,
      lora_alpha=ALPHA,
      target_modules=[name.split('.')[1] for name in request.param],
    ),
  ).eval()
  for name, pair in pairs_of(adapters, request.param):
    module = theirs.get_submodule(name)
    for side in 'ab':
      weight = getattr(module, f'lora_{side.upper()}')['default'].weight
      weight.data = torch.tensor(np.asarray(pair[side]).T.copy())
  return theirs, base, adapters, request.param


def logits_of(theirs):
  with torch.no_grad():
    return theirs(input_ids=torch.tensor(TOKENS_BT)).logits.numpy()


def gradients_of(theirs, pairs):
  """All of the adapters' gradients of the loss, and the loss, in one row.

  And as many of theirs as of ours, in our order: `pairs` of `pairs_of`.
  """
  tokens = torch.tensor(TOKENS_BT)
  theirs.zero_grad()
  loss = theirs(input_ids=tokens, labels=tokens).loss
  loss.backward()
  found = [loss.detach().numpy()[None]]
  for name, _ in pairs:
    module = theirs.get_submodule(name)
    for side in 'AB':
      gradient = getattr(module, f'lora_{side}')['default'].weight.grad
      found.append(gradient.numpy().T.ravel())
  return np.concatenate(found)


def test_logits_and_gradients_are_those_of_peft(both):
  """But for rounding, float32."""
  theirs, base, adapters, modules = both
  model = build(CONFIG)

  def loss_fn(adapters):
    params = lora.attach(base, adapters, ALPHA)
    logits = model.logits_fn(params, TOKENS_BT, np.full(3, 11))
    mask_BT = np.ones(TOKENS_BT.shape, np.float32)
    return next_token_loss(logits, TOKENS_BT, mask_BT), logits

  (loss, logits), grads = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(
    adapters
  )
  plain = jax.jit(model.logits_fn)(base, TOKENS_BT, np.full(3, 11))
  assert np.abs(logits - plain).max() > 0.1
  assert_rounding_alone(logits, theirs, logits_of)
  pairs = list(pairs_of(grads, modules))
  leaves = [pair[side] for _, pair in pairs for side in 'ab']
  assert min(np.abs(x).max() for x in leaves) > 1e-3
  ours = np.concatenate([loss[None], *map(np.ravel, leaves)])
  assert_rounding_alone(ours, theirs, lambda x: gradients_of(x, pairs))


def test_merged_weights_are_those_that_peft_unloads(both):
  """Every weight of the model, but for rounding.

  W + scale (a_1 b_1 + ... + a_R b_R) is R + 2 roundings a side, each of 2^-24
  of what has been summed, which is less than `most`.
  """
  theirs, base, adapters, _ = both
  merged = lora.merge(base, adapters, ALPHA)
  unloaded = copy.deepcopy(theirs).merge_and_unload()
  change = jax.tree.map(lambda a, b: np.abs(a - b).max(), merged, base)
  largest = jax.tree.map(lambda x: np.abs(x).max(), base)
  most = 2 * (max(jax.tree.leaves(change)) + max(jax.tree.leaves(largest)))
  bound = 2 * (RANK + 2) * ROUNDING * most
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=bound),
    merged,
    converted(unloaded),
  )


def test_a_merged_folder_has_the_logits_of_peft(both, tmp_path):
  """Exported by us, loaded by `transformers`; but for rounding, float32."""
  theirs, base, adapters, _ = both
  save_policy(tmp_path, CONFIG, lora.merge(base, adapters, ALPHA))
  loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
  assert_rounding_alone(logits_of(loaded), theirs, logits_of)


def test_new_adapters_are_drawn_as_peft_draws_them():
  """The bound of A, and B = 0, of a projection with many weights."""
  theirs = peft.get_peft_model(
    llama(), peft.LoraConfig(r=64, target_modules=['down_proj'])
  )
  base = jax.eval_shape(build(CONFIG).init, jax.random.key(0))
  ours = lora.init_adapters(jax.random.key(0), base, 64, ['mlp/out/kernel'])
  pair = ours['trunk']['layer_0']['mlp']['out']['kernel']['all']
  module = theirs.base_model.model.model.layers[0].mlp.down_proj
  a = module.lora_A['default'].weight.detach().numpy().T
  assert a.shape == pair['a'].shape
  for moment in (np.max, np.std):
    np.testing.assert_allclose(
      moment(np.abs(a)), moment(np.abs(pair['a'])), rtol=0.05
    )
  assert not module.lora_B['default'].weight.any()
  assert not pair['b'].any()
