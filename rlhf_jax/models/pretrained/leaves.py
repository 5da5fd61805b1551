"""Names of the arrays of each family's files, by our leaf.

Names are without the prefix of the body ('model.', ...); {i} is the layer. Each
entry: our path, inside a layer or outside -> (names, Layout).
"""

from rlhf_jax.models.pretrained.layouts import (
  GATE_UP,
  HEAD_BY_HEAD,
  QKV,
  SAME,
  TURNED,
)

LLAMA_LEAVES = {
  'embed': (('embed_tokens.weight',), SAME),
  'final_norm/scale': (('norm.weight',), SAME),
  'attention_norm/scale': (('layers.{i}.input_layernorm.weight',), SAME),
  'mlp_norm/scale': (('layers.{i}.post_attention_layernorm.weight',), SAME),
  'attention/q_norm/scale': (('layers.{i}.self_attn.q_norm.weight',), SAME),
  'attention/k_norm/scale': (('layers.{i}.self_attn.k_norm.weight',), SAME),
}
for _ours, _theirs in (('kernel', 'weight'), ('bias', 'bias')):
  _at = 'layers.{i}.'
  LLAMA_LEAVES |= {
    f'attention/qkv/{_ours}': (
      tuple(f'{_at}self_attn.{part}_proj.{_theirs}' for part in 'qkv'),
      QKV,
    ),
    f'attention/out/{_ours}': ((f'{_at}self_attn.o_proj.{_theirs}',), TURNED),
    f'mlp/in/{_ours}': (
      tuple(f'{_at}mlp.{part}_proj.{_theirs}' for part in ('gate', 'up')),
      GATE_UP,
    ),
    f'mlp/out/{_ours}': ((f'{_at}mlp.down_proj.{_theirs}',), TURNED),
  }
UNGATED = {
  'mlp/in/kernel': (('layers.{i}.mlp.up_proj.weight',), TURNED),
  'mlp/in/bias': (('layers.{i}.mlp.up_proj.bias',), TURNED),
}
NEOX_LEAVES = {
  'embed': (('embed_in.weight',), SAME),
  'final_norm/scale': (('final_layer_norm.weight',), SAME),
  'final_norm/bias': (('final_layer_norm.bias',), SAME),
}
GPT2_LEAVES = {
  'embed': (('wte.weight',), SAME),
  'position_embed': (('wpe.weight',), SAME),
  'final_norm/scale': (('ln_f.weight',), SAME),
  'final_norm/bias': (('ln_f.bias',), SAME),
}
for _ours, _theirs in (('scale', 'weight'), ('bias', 'bias')):
  _at = 'layers.{i}.'
  NEOX_LEAVES |= {
    f'attention_norm/{_ours}': ((f'{_at}input_layernorm.{_theirs}',), SAME),
    f'mlp_norm/{_ours}': ((f'{_at}post_attention_layernorm.{_theirs}',), SAME),
  }
  GPT2_LEAVES |= {
    f'attention_norm/{_ours}': (('h.{i}.ln_1.' + _theirs,), SAME),
    f'mlp_norm/{_ours}': (('h.{i}.ln_2.' + _theirs,), SAME),
  }
for _ours, _theirs in (('kernel', 'weight'), ('bias', 'bias')):
  NEOX_LEAVES |= {
    f'attention/qkv/{_ours}': (
      (f'{_at}attention.query_key_value.{_theirs}',),
      HEAD_BY_HEAD,
    ),
    f'attention/out/{_ours}': ((f'{_at}attention.dense.{_theirs}',), TURNED),
    f'mlp/in/{_ours}': ((f'{_at}mlp.dense_h_to_4h.{_theirs}',), TURNED),
    f'mlp/out/{_ours}': ((f'{_at}mlp.dense_4h_to_h.{_theirs}',), TURNED),
  }
  GPT2_LEAVES |= {  # its matrices are [in, out] as ours
    f'attention/qkv/{_ours}': (('h.{i}.attn.c_attn.' + _theirs,), SAME),
    f'attention/out/{_ours}': (('h.{i}.attn.c_proj.' + _theirs,), SAME),
    f'mlp/in/{_ours}': (('h.{i}.mlp.c_fc.' + _theirs,), SAME),
    f'mlp/out/{_ours}': (('h.{i}.mlp.c_proj.' + _theirs,), SAME),
  }
