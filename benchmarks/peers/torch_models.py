"""Our shapes as Hugging Face models; runs in the torch environments."""

import tempfile

import tokenizers
import torch
import transformers

from benchmarks.peers import driver

PAD, EOS = 0, 1


def set_up():
  """One thread a core, as for everybody else; a fixed seed."""
  torch.set_num_threads(driver.cores())
  torch.manual_seed(0)


def config_of(shape):
  """LlamaConfig of a shape; one label, for the scalar heads."""
  return transformers.LlamaConfig(
    vocab_size=shape.vocab_size,
    hidden_size=shape.d_model,
    intermediate_size=shape.d_mlp,
    num_hidden_layers=shape.n_layers,
    num_attention_heads=shape.n_heads,
    max_position_embeddings=shape.length + 1,
    tie_word_embeddings=True,
    pad_token_id=PAD,
    bos_token_id=None,
    eos_token_id=None,
    num_labels=1,
  )


def build(shape, kind):
  """A random float32 model: kind 'lm' or 'score'.

  Llama's MLP is gated; for a shape with two matrices it is replaced by those.
  """
  made = {
    'lm': transformers.LlamaForCausalLM,
    'score': transformers.LlamaForSequenceClassification,
  }[kind](config_of(shape))
  if shape.activation == 'gelu':
    for layer in made.model.layers:
      layer.mlp = torch.nn.Sequential(
        torch.nn.Linear(shape.d_model, shape.d_mlp, bias=False),
        torch.nn.GELU(approximate='tanh'),
        torch.nn.Linear(shape.d_mlp, shape.d_model, bias=False),
      )
  return made.float()


def tokenizer_of(shape):
  """One word an id, so that text gives back the ids that it came from."""
  return word_tokenizer(shape.vocab_size, PAD, EOS)


def word_tokenizer(vocab_size, pad, eos):
  """One word an id; `pad` and `eos` are the ids of those tokens."""
  words = [f'w{i}' for i in range(vocab_size)]
  words[pad], words[eos] = '<pad>', '<eos>'
  model = tokenizers.models.WordLevel(
    {word: i for i, word in enumerate(words)}, unk_token=words[pad]
  )
  made = tokenizers.Tokenizer(model)
  made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
  return transformers.PreTrainedTokenizerFast(
    tokenizer_object=made,
    pad_token=words[pad],
    eos_token=words[eos],
    padding_side='left',
  )


def random_tokens(shape, rows, length):
  """[rows, length] token ids, none of them a pad or an end."""
  return torch.randint(2, shape.vocab_size, (rows, length))


class StepClock(transformers.TrainerCallback):
  """Ends a round of a clock with each optimiser step of a trainer."""

  def __init__(self, *told):
    self.clock = driver.Clock(*told)

  def on_step_end(self, args, state, control, **_):
    """Called by the trainer."""
    self.clock.lap()


def in_bfloat16(shape):
  """Whether the peer runs in its bfloat16: where ours does its products so."""
  return shape.matmul != 'float32'


def training_settings(args, micro):
  """Settings that every trainer shares: quiet, one update a batch.

  Float32, or the trainer's own mixed precision (`in_bfloat16`).

  Args:
    args: of `driver.parse_args`.
    micro: rows that the peer holds at a time.
  """
  return dict(
    output_dir=tempfile.mkdtemp(prefix='peer-'),
    per_device_train_batch_size=micro,
    gradient_accumulation_steps=args.shape.batch // micro,
    learning_rate=1e-5,
    bf16=in_bfloat16(args.shape),
    gradient_checkpointing=False,
    use_cpu=True,
    report_to=[],
    save_strategy='no',
    logging_steps=1000,
    disable_tqdm=True,
    seed=0,
  )
