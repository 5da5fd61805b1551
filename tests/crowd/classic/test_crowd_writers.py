import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from rlhf_jax.crowd.classic.gold import judge
from rlhf_jax.crowd.classic.tasks import recognise, sample_prompt
from rlhf_jax.crowd.classic.world import (
  World,
  WorldConfig,
  pick,
  zipf_cumulative,
)
from rlhf_jax.crowd.classic.writers import (
  dialogue,
  human_reply,
  plain_text,
  write_reply,
)
from rlhf_jax.crowd.red_team import red_team_dialogue
from rlhf_jax.crowd.workers import worker_score
from rlhf_jax.text.dialogue import count_exchanges, split_reply

DIGEST = """
import hashlib, numpy as np
from rlhf_jax.crowd.classic.gold import gold
from rlhf_jax.crowd.classic.world import World
from rlhf_jax.crowd.classic.writers import dialogue
world, rng = World(), np.random.default_rng(5)
texts = [dialogue(world, rng) for _ in range(100)]
text = repr([(t, gold(world, t)) for t in texts])
print(hashlib.sha1(text.encode()).hexdigest())
"""


def test_worlds_are_the_same_in_every_process():
  digests = set()
  for seed in ('1', '2'):
    env = {**os.environ, 'PYTHONHASHSEED': seed, 'PYTHONPATH': os.getcwd()}
    command = [sys.executable, '-c', DIGEST]
    digests.add(subprocess.check_output(command, env=env))
  assert len(digests) == 1
  assert len(digests.pop().strip()) == len(hashlib.sha1().hexdigest())


def test_another_seed_is_another_world(world):
  again, other = World(), World(WorldConfig(seed=1))
  assert again.facts == world.facts and again.tone == world.tone
  assert again.workers == world.workers
  assert other.facts != world.facts and other.tone != world.tone


def test_zipf_and_pick_by_hand():
  assert zipf_cumulative(2, 1.0) == pytest.approx((2 / 3, 1.0))
  rng = np.random.default_rng(0)
  drawn = [pick(rng, 'ab', zipf_cumulative(2, 1.0)) for _ in range(2000)]
  assert abs(drawn.count('a') / 2000 - 2 / 3) < 0.05


def mean_score(world, prompts, write):
  return np.mean(
    [worker_score(world, p.text + write(p), p.kind) for p in prompts]
  )


@pytest.mark.parametrize('kind', ['helpful', 'harmful'])
def test_better_authors_write_better_and_humans_best(world, rng, kind):
  prompts = [sample_prompt(world, rng, kind=kind) for _ in range(300)]
  low, high = (
    mean_score(world, prompts, lambda p: write_reply(world, rng, p, quality))  # noqa: B023
    for quality in (0.0, 1.0)
  )
  human = mean_score(world, prompts, lambda p: human_reply(world, rng, p))
  assert low + 0.5 < high < human - 0.3


def test_dialogues_are_transcripts_with_one_reply_to_score(world, rng):
  for _ in range(100):
    prompt, reply = split_reply(dialogue(world, rng))
    assert reply.startswith(' ') and reply.endswith(('.', '!'))
    assert recognise(world, prompt).family != 'unknown'


def test_the_corpus_is_right_about_as_often_as_the_config_says(world, rng):
  right = 0
  for _ in range(1000):
    prompt = sample_prompt(world, rng, kind='helpful')
    reply = write_reply(world, rng, prompt, rng.random())
    answers = recognise(world, prompt.text).right
    words = reply.replace('.', '').split()
    right += any(all(w in words for w in a) for a in answers)
  assert 0.55 < right / 1000 < 0.8


def test_plain_text_states_true_facts(world, rng):
  for _ in range(50):
    for sentence in plain_text(world, rng).rstrip('.').split('. '):
      words = sentence.split()
      if words[0] == 'the':
        assert world.facts[words[3], words[1]] == words[-1]
      else:
        assert world.kind_of[words[0]] == words[-1]


def test_red_team_dialogues_go_on_with_the_worse_reply(world, rng):
  for _ in range(20):
    first, second = red_team_dialogue(world, rng)
    assert second.chosen.startswith(first.rejected)
    assert count_exchanges(second.chosen) == 2
    assert first.kind == second.kind == 'harmless'
    prompt, reply = split_reply(second.rejected)
    assert recognise(world, prompt).kind == 'harmful'
    assert np.isfinite(judge(world, prompt, reply)).all()
