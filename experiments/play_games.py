"""Games between snapshots of PPO runs, judged by gold.

    python -m experiments.play_games --config=configs/games.py --workdir=DIR

Two plays of the same policies, pi_0 among them. In 'prompts' each answers the
same held-out prompts, once, and every two of them are compared on each. In
'dialogues' a simulated user talks to two of them at once, for as many turns as
`turns`: both answer, one answer is preferred, and the user goes on from it
(Bai et al. 2022, sections 2.2 and 4.5). Who wins a game is drawn from the
crowd's probabilities; the train PM says what it would have preferred.

pi_0 and the last policy also meet the world's human experts: of
`writer_replies` replies to a prompt the one of median train PM score stands for
the policy (section 6.1).

Written are snapshots.csv, a row a player and play, with its Elo;
snapshot_games.csv, a row a pair; game_replies.csv.gz, a row a reply to a
held-out prompt; and writer_games.csv, a row a player that met the experts.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from experiments.shared import command, policies, shown, sources
from experiments.shared.files import read_json, write_csv
from experiments.shared.games_tables import (
  Game,
  game_rows,
  reply_rows,
  snapshot_rows,
  writer_row,
)
from experiments.shared.models import arithmetic, open_base, open_scorer
from rlhf_jax.crowd import users
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts


class Player(NamedTuple):
  """A snapshot that answers.

  Attributes:
    name: 'pi_0', or '@N' after N iterations.
    base: its Base.
    sample: jitted (params, prompts, rng) -> Rollout.
    rewards: {'train_pm', 'test_pm'}: Rollout -> score_B.
  """

  name: str
  base: Any
  sample: Any
  rewards: dict


def open_players(config) -> list[Player]:
  """The Players of `writer_names` and `writer_dirs`, scored by both PMs."""
  computes = arithmetic(config)
  pms = {
    'train_pm': open_scorer(config['train_pm_dir'], computes=computes),
    'test_pm': open_scorer(config['test_pm_dir'], computes=computes),
  }
  found = []
  named = zip(config['writer_names'], config['writer_dirs'], strict=True)
  for name, path in named:
    base = open_base({'base': path, 'size': '', 'pad_token': ''} | computes)
    sampling = policies.sampling_of(base.tokenizer, config['max_reply'])
    sample = policies.sampler(base.functions, base.size, sampling)
    rewards = {key: policies.scorer_of(base, pm) for key, pm in pms.items()}
    found.append(Player(name, base, sample, rewards))
  return found


def answers(player, texts, longest, batch, key):
  """(replies, {PM: score_N}) of a player, one to each text.

  Args:
    player: Player.
    texts: prompts or conversations; the first turns of long ones are cut.
    longest: most tokens of a text.
    batch: texts a call; the last call is filled up, so that one shape is
      compiled.
    key: jax key; equal ones give equal replies.
  """
  arrays = encode_prompts(texts, player.base.tokenizer, longest)
  replies, scores = [], {name: [] for name in player.rewards}
  for start in range(0, len(texts), batch):
    name_B = np.arange(start, start + batch)
    row_B = np.minimum(name_B, len(texts) - 1)
    rows = Prompts(arrays.tokens_NP[row_B], arrays.length_N[row_B], name_B)
    out = player.sample(player.base.params, rows, key)
    own = slice(0, min(batch, len(texts) - start))
    columns = (np.asarray(x)[own] for x in out[:3])
    replies += policies.decoded(player.base.tokenizer, *columns)
    for name, reward in player.rewards.items():
      scores[name].append(reward(out)[own])
  return replies, {name: np.concatenate(x) for name, x in scores.items()}


def held_out(config):
  """[(text, kind)] of held-out prompts, the same for every seed."""
  found = read_json(f'{config["comparisons_dir"]}/prompts.json')['test']
  order = np.random.default_rng(0).permutation(len(found))
  return [found[i] for i in order[: config['prompts']]]


def on_prompts(config, players, world, rng):
  """(rows of game_replies, [Game]) of one answer of each to every prompt.

  A game's unit is its prompt: all games of one prompt share replies.
  """
  prompts = held_out(config)
  texts, kinds = zip(*prompts, strict=True)
  rows, gold, score = [], {}, {}
  for i, player in enumerate(players):
    key = jax.random.fold_in(jax.random.key(30_000 + config['seed']), i)
    said, scores = answers(
      player, texts, config['max_prompt'], config['sample_batch'], key
    )
    gold[i] = sources.gold_scores(world, texts, kinds, said)
    score[i] = scores['train_pm']
    scores |= {'gold': gold[i]}
    rows += reply_rows(player.name, kinds, said, scores, world)
  games = []
  for a, b in itertools.combinations(range(len(players)), 2):
    p_N = sources.win_probability(world, kinds, gold[a], gold[b][:, None])
    won_N = rng.random(len(p_N)) < p_N
    margin_N = score[a] - score[b]
    games += [
      Game(n, a, b, bool(won_N[n]), float(margin_N[n])) for n in range(len(p_N))
    ]
  return rows, games


def against_writers(config, players, world):
  """Rows of writer_games: pi_0 and the last policy.

  Args:
    config: writer_prompts, writer_replies, max_prompt, sample_batch, seed.
    players: Players, pi_0 first.
    world: a World.
  """
  count = config['writer_replies']
  texts, kinds = zip(*held_out(config)[: config['writer_prompts']], strict=True)
  rng = np.random.default_rng([config['seed'], 13])
  write = rules_of(world).human_reply
  theirs = [write(world, rng, users.prompt_of(world, text)) for text in texts]
  gold = lambda said: sources.gold_scores(world, texts, kinds, said)
  words = lambda said: [len(reply.split()) for reply in said]
  expert = {'gold': gold(theirs), 'words': words(theirs)}
  repeated, rows = [text for text in texts for _ in range(count)], []
  for player in (players[0], players[-1]):
    key = jax.random.fold_in(jax.random.key(50_000 + config['seed']), len(rows))
    longest, batch = config['max_prompt'], config['sample_batch']
    said, scores = answers(player, repeated, longest, batch, key)
    taken_P = shown.medians(said, scores['train_pm'], count)
    ours = [said[n] for n in taken_P]
    own = {'gold': gold(ours), 'words': words(ours)}
    own['train_pm'] = scores['train_pm'][taken_P]
    preferred_P = sources.win_probability(
      world, kinds, own['gold'], expert['gold'][:, None]
    )
    rows.append(writer_row(player.name, count, own, expert, preferred_P))
  return rows


@dataclasses.dataclass
class Talk:
  """A conversation of a simulated user with two players.

  Attributes:
    players: numbers of the two.
    prompt: Prompt, what has been said; its last turn is the user's.
    turns: how many there will be.
  """

  players: tuple[int, int]
  prompt: Any
  turns: int


def begin_talks(config, players, world, rng):
  """`talks` Talks of every two players, of 1 to `turns` turns each.

  They begin with held-out prompts.
  """
  found = held_out(config)
  return [
    Talk(
      pair,
      users.prompt_of(world, found[rng.integers(len(found))][0]),
      int(rng.integers(config['turns'])) + 1,
    )
    for pair in itertools.combinations(range(len(players)), 2)
    for _ in range(config['talks'])
  ]


def in_dialogues(config, players, world, rng, progress):
  """(rows of replies, [Game]) of conversations; a game's unit is its own.

  Args:
    config: talks, turns, dialogue_prompt, sample_batch, seed.
    players: Players.
    world: a World.
    rng: numpy Generator.
    progress: (start, total) -> iterator over the turns.
  """
  talks = begin_talks(config, players, world, rng)
  rows, games = [], []
  for turn in progress(0, config['turns']):
    live = [n for n, talk in enumerate(talks) if talk.turns > turn]
    said = {}
    for i, player in enumerate(players):
      own = [n for n in live if i in talks[n].players]
      if not own:
        continue
      key = jax.random.key(40_000 + config['seed'])
      key = jax.random.fold_in(jax.random.fold_in(key, turn), i)
      longest, batch = config['dialogue_prompt'], config['sample_batch']
      texts = [talks[n].prompt.text for n in own]
      kinds = [talks[n].prompt.kind for n in own]
      replies, scores = answers(player, texts, longest, batch, key)
      scores['gold'] = sources.gold_scores(world, texts, kinds, replies)
      rows += reply_rows(player.name, kinds, replies, scores, world)
      both = zip(replies, scores['gold'], scores['train_pm'], strict=True)
      said |= {(n, i): x for n, x in zip(own, both, strict=True)}
    for n in live:
      sides = [said[n, i] for i in talks[n].players]
      games.append(played(talks[n], n, sides, world, rng))
  return rows, games


def played(talk, number, sides, world, rng) -> Game:
  """The game of one turn; its conversation goes on.

  Args:
    talk: Talk, whose prompt is changed.
    number: of the talk.
    sides: (reply, gold, train PM) of its first and its second player.
    world: a World.
    rng: numpy Generator.
  """
  (first, gold_a, score_a), (second, gold_b, score_b) = sides
  kind = talk.prompt.kind
  p_N = sources.win_probability(
    world, [kind], np.array([gold_a]), np.array([[gold_b]])
  )
  won = bool(rng.random() < p_N[0])
  # Who looks for harm goes on from the reply that is worse.
  goes_on = first if won == (kind == 'helpful') else second
  talk.prompt = users.next_prompt(world, rng, talk.prompt, goes_on)
  return Game(number, *talk.players, won, float(score_a - score_b))


def run(config, workdir):
  """Plays, and writes the tables.

  Args:
    config: of the stage.
    workdir: of the result.

  Raises:
    RunError: if nobody judges replies, on real data.
  """
  if config['data']['source'] != 'simulated':
    raise RunError(
      'games are judged by gold, which real data have not: wanted data.source '
      f"'simulated', got {config['data']['source']!r}"
    )
  world = sources.world_of(config['world'])
  asked = {'base': config['writer_dirs'][0], 'size': '', 'pad_token': ''}
  base = open_base(asked | arithmetic(config), weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('play_games', 'table')
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    players, names = open_players(config), config['writer_names']
    rng = np.random.default_rng([config['seed'], 11])
    found = {'prompts': on_prompts(config, players, world, rng)}
    if config['talks']:
      found['dialogues'] = in_dialogues(
        config, players, world, rng, run_.progress
      )
    snapshots, pairs = [], []
    for play, (rows, games) in found.items():
      snapshots += snapshot_rows(play, names, rows, games)
      pairs += game_rows(play, names, games)
    write_csv(run_.path / 'snapshots.csv', snapshots)
    write_csv(run_.path / 'snapshot_games.csv', pairs)
    if config['writer_prompts']:
      met = against_writers(config, players, world)
      write_csv(run_.path / 'writer_games.csv', met)
    file = run_.path / 'game_replies.csv.gz'
    how = {'method': 'gzip', 'mtime': 0}
    frame = pd.DataFrame(found['prompts'][0])
    frame.to_csv(file, index=False, compression=how)
    run_.finish(
      players=len(names), games=sum(len(x[1]) for x in found.values())
    )


if __name__ == '__main__':
  command.main(run, 'configs/games.py', several=True)
