"""generate of transformers: python -m benchmarks.peers.transformers_generate.

Sampling at temperature 1 of a forced length; no log-probabilities are kept.
In bfloat16 the weights are kept so.
"""

import torch
import transformers

from benchmarks.peers import driver, torch_models


def main():
  """Times the sampling of `batch` replies, prefill included."""
  args = driver.parse_args()
  torch_models.set_up()
  shape = args.shape
  model = torch_models.build(shape, 'lm').eval()
  if torch_models.in_bfloat16(shape):
    model = model.to(torch.bfloat16)
  prompts = torch_models.random_tokens(shape, shape.batch, shape.prompt_length)

  def call():
    with torch.inference_mode():
      out = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=shape.reply_length,
        eos_token_id=None,
        pad_token_id=torch_models.PAD,
      )
    assert out.shape == (shape.batch, shape.length), out.shape

  tokens = shape.batch * shape.reply_length
  version = transformers.__version__
  driver.Clock('decode_tokens_per_s', version, tokens, args).run(call)


if __name__ == '__main__':
  main()
