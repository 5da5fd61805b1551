"""A model of ours as the lm-evaluation-harness asks for one.

It needs the extra `eval`; what it computes with is handed to it.
"""

from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from experiments.harness import texts

MAX_REPLY = 256  # tokens, where a task names no number


class HarnessLM(TemplateLM):
  """Tokens, log-probabilities and replies of an opened language model."""

  def __init__(self, tokenizer, name, longest, score, write, with_system):
    """Takes the model in functions.

    Args:
      tokenizer: ours or an imported one.
      name: of the model, for caches of prompts.
      longest: tokens that it holds.
      score: of `reading.make_score`.
      write: of `reading.make_write`.
      with_system: of `texts.ids_of`.
    """
    super().__init__()
    self.words, self._name, self.max_length = tokenizer, name, longest
    self._score, self._write = score, write
    self._with_system, self._prompted = with_system, {}

  @property
  def eot_token_id(self):
    """Id of the end token."""
    return self.words.eos_id

  @property
  def prefix_token_id(self):
    """Id that stands before a text without context."""
    return texts.begin_id(self.words)

  @property
  def tokenizer_name(self):
    """Name under which the harness caches prompts."""
    return self._name.replace('/', '__')

  def chat_template(self, chat_template=False):
    """Source of the template where there is one, else the markers of HH."""
    if not chat_template:
      return None
    settings = getattr(self.words, 'settings', None)
    return getattr(settings, 'chat_template', None) or 'HH markers'

  def apply_chat_template(self, chat_history, add_generation_prompt=True):
    """The dialogue as a marked text; see `texts`.

    Whether a reply is asked for shows in who spoke last.
    """
    del add_generation_prompt
    return texts.dialogue_text(chat_history)

  def tok_encode(self, string, add_special_tokens=None, **kwargs):
    """Ids of a text; without special tokens, of what follows another text."""
    del kwargs
    if add_special_tokens is False:
      return self.words.encode(string)
    return texts.ids_of(self.words, string, self._prompted_by)

  def _prompted_by(self, tokenizer, system):
    if system not in self._prompted:
      self._prompted[system] = self._with_system(tokenizer, system)
    return self._prompted[system]

  def _loglikelihood_tokens(self, requests, disable_tqdm=False, **kwargs):
    """[(log-probability in nats, all tokens greedy)]."""
    del disable_tqdm, kwargs
    found = self._score([(context, more) for _, context, more in requests])
    for (key, _, _), result in zip(requests, found, strict=True):
      if key is not None:
        self.cache_hook.add_partial('loglikelihood', key, result)
    return found

  def _whole_ids(self, text):
    """Ids of a whole text, without the begin token: the prefix is that one."""
    return texts.without_begin(self.words, self.tok_encode(text))

  def loglikelihood_rolling(self, requests, disable_tqdm=False):
    """Log-probability of each whole text, window after window, in nats.

    A begin token is no part of the text, and is not scored.
    """
    del disable_tqdm
    asked, owner = [], []
    for number, request in enumerate(requests):
      windows = get_rolling_token_windows(
        token_list=self._whole_ids(request.args[0]),
        prefix_token=self.prefix_token_id,
        max_seq_len=self.max_length,
        context_len=1,
      )
      for window in windows:
        asked.append(make_disjoint_window(window))
        owner.append(number)
    totals = [0.0] * len(requests)
    found = self._score(asked) if asked else []
    for number, (logp, _) in zip(owner, found, strict=True):
      totals[number] += logp
    for request, total in zip(requests, totals, strict=True):
      self.cache_hook.add_partial('loglikelihood_rolling', request.args, total)
    return totals

  def generate_until(self, requests, disable_tqdm=False):
    """Replies, each cut before the first of its stop strings."""
    del disable_tqdm
    kinds = {}
    for number, request in enumerate(requests):
      kinds.setdefault(repr(request.args[1]), []).append(number)
    replies = [None] * len(requests)
    for inside in kinds.values():
      options = dict(requests[inside[0]].args[1])
      contexts = [requests[number].args[0] for number in inside]
      found = self._written(contexts, options)
      for number, reply in zip(inside, found, strict=True):
        replies[number] = reply
        request = requests[number].args
        self.cache_hook.add_partial('generate_until', request, reply)
    return replies

  def _written(self, contexts, options):
    """Replies to contexts that are asked for in one way."""
    stops = options.get('until') or []
    stops = [stops] if isinstance(stops, str) else stops
    warmth = float(options.get('temperature') or 0.0)
    sampled = options.get('do_sample', warmth > 0)
    sampling = {
      'temperature': (warmth or 1.0) if sampled else 0.0,
      'top_k': int(options.get('top_k') or 0),
      'top_p': float(options.get('top_p') or 1.0),
    }
    replies = self._write(
      [self.tok_encode(context) for context in contexts],
      int(options.get('max_gen_toks') or MAX_REPLY),
      sampling,
    )
    return [
      texts.cut_at(
        texts.reply_text(self.words, ids, context.startswith(texts.MARK)), stops
      )
      for context, ids in zip(contexts, replies, strict=True)
    ]
