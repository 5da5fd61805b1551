"""Who plays whom, on what, and who goes on: players whose words are known."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import shared_fixture as tiny

from experiments import play_games
from experiments.play_games import Player, Talk
from experiments.shared import matches, sources, writers
from experiments.shared.games_tables import Game
from rlhf_jax.crowd.prompt import Prompt

# Workers without bias, noise or lapses: P(prefer A) = sigmoid(difference).
PLAIN = {'bias_sd': 0.0, 'noise_sd': 0.0, 'attention_low': 1.0}
CONFIG = {
  'seed': 3,
  'prompts': 4,
  'max_prompt': 24,
  'dialogue_prompt': 48,
  'sample_batch': 8,
  'turns': 2,
}


class Draws:
  """A generator whose uniform numbers are known."""

  def __init__(self, *numbers):
    self._numbers = iter(numbers)

  def random(self, count=None):
    if count is None:
      return next(self._numbers)
    return np.array([next(self._numbers) for _ in range(count)])


@pytest.fixture
def crowd(monkeypatch):
  """P(the first wins) is .7; a conversation grows by the reply."""
  went_on = []

  def next_prompt(world, rng, prompt, reply):
    went_on.append(reply)
    return dataclasses.replace(prompt, text=prompt.text + reply)

  monkeypatch.setattr(
    play_games.sources,
    'win_probability',
    lambda world, kinds, ours_N, theirs_NC: np.full(len(ours_N), 0.7),
  )
  monkeypatch.setattr(play_games.users, 'next_prompt', next_prompt)
  return went_on


@pytest.mark.parametrize(
  ('kind', 'draw', 'won', 'goes_on'),
  [
    ('helpful', 0.69, True, 'one'),
    ('helpful', 0.7, False, 'two'),
    ('harmful', 0.69, True, 'two'),
    ('harmful', 0.7, False, 'one'),
  ],
)
def test_who_looks_for_harm_goes_on_from_the_worse_reply(
  kind, draw, won, goes_on, crowd
):
  talk = Talk((2, 5), Prompt('p', kind, 'f'), 3)
  sides = ('one', 1.0, 0.25), ('two', 0.0, 2.0)
  game = play_games.played(talk, 7, sides, None, Draws(draw))
  assert game == Game(7, 2, 5, won, -1.75)
  assert crowd == [goes_on] and talk.prompt.text == f'p{goes_on}'


@pytest.fixture
def folder(tmp_path):
  """Six held-out prompts."""
  test = [[tiny.prompt(f'draw {i}'), 'helpful'] for i in range(6)]
  text = json.dumps({'train': [], 'test': test})
  (tmp_path / 'prompts.json').write_text(text)
  return str(tmp_path)


def test_every_two_players_have_as_many_talks_of_one_to_all_turns(
  folder, monkeypatch
):
  monkeypatch.setattr(
    play_games.users, 'prompt_of', lambda _, text: Prompt(text, 'helpful', '')
  )
  config = CONFIG | {'comparisons_dir': folder, 'talks': 40, 'turns': 3}
  talks = play_games.begin_talks(config, 'abc', None, np.random.default_rng(0))
  assert [talk.players for talk in talks[::40]] == [(0, 1), (0, 2), (1, 2)]
  assert len(talks) == 3 * 40 and {x.turns for x in talks} == {1, 2, 3}
  held = {text for text, _ in play_games.held_out(config)}
  assert len(held) == 4 and {x.prompt.text for x in talks} == held


def player(name):
  return Player(name, None, None, {})


@pytest.fixture
def answers(monkeypatch):
  """A player says its name after a text; its worth is that of its name."""
  asked = []

  def said(player, texts, longest, batch, key):
    asked.append((player.name, list(texts), longest, batch, key))
    worth = np.full(len(texts), float(ord(player.name)))
    return [f' {player.name}' for _ in texts], {'train_pm': worth}

  gold = lambda world, texts, kinds, replies: np.array(
    [10.0 * ord(reply.strip()[0]) for reply in replies]
  )
  rows = lambda name, kinds, said, scores, world: [
    (name, i, kind, scores['gold'][i]) for i, kind in enumerate(kinds)
  ]
  monkeypatch.setattr(play_games, 'answers', said)
  monkeypatch.setattr(play_games.sources, 'gold_scores', gold)
  monkeypatch.setattr(play_games, 'reply_rows', rows)
  return asked


def test_a_talk_that_is_over_is_not_answered_again(answers, crowd, monkeypatch):
  """Of three talks one has a second turn, in which two players answer."""
  pairs = [((0, 1), 1), ((0, 2), 2), ((1, 2), 1)]
  talks = [
    Talk(pair, Prompt(f'{n}:', 'helpful', ''), turns)
    for n, (pair, turns) in enumerate(pairs)
  ]
  monkeypatch.setattr(play_games, 'begin_talks', lambda *_: talks)
  rows, games = play_games.in_dialogues(
    CONFIG, list(map(player, 'abc')), None, Draws(0.1, 0.9, 0.1, 0.1), range
  )
  assert [(name, texts) for name, texts, *_ in answers] == [
    ('a', ['0:', '1:']),
    ('b', ['0:', '2:']),
    ('c', ['1:', '2:']),
    ('a', ['1: c']),  # the second was preferred in the first turn
    ('c', ['1: c']),
  ]
  assert {(longest, batch) for *_, longest, batch, _ in answers} == {(48, 8)}
  keys = {jax.random.key_data(key).tobytes() for *_, key in answers}
  assert len(keys) == 5
  assert [game[:4] for game in games] == [
    (0, 0, 1, True),
    (1, 0, 2, False),
    (2, 1, 2, True),
    (1, 0, 2, True),
  ]
  assert [game.margin for game in games] == [-1, -2, -1, -2]
  assert len(rows) == 8 and rows[0] == ('a', 0, 'helpful', 970.0)


def test_every_prompt_is_a_game_of_every_two_players(folder, answers, crowd):
  """Three players, four prompts: a unit is a prompt, whoever plays."""
  config = CONFIG | {'comparisons_dir': folder}
  draws = [0.1, 0.9, 0.1, 0.1] * 3
  rows, games = play_games.on_prompts(
    config, list(map(player, 'abd')), None, Draws(*draws)
  )
  assert [game.unit for game in games] == [0, 1, 2, 3] * 3
  assert [game.won for game in games] == [True, False, True, True] * 3
  pairs = {(game.first, game.second): game.margin for game in games}
  assert pairs == {(0, 1): -1, (0, 2): -3, (1, 2): -2}
  assert [row[0] for row in rows] == [x for x in 'abd' for _ in range(4)]
  texts = [texts for _, texts, *_ in answers]
  assert texts[0] == texts[1] == texts[2] and len(texts[0]) == 4


def test_the_reply_of_median_score_meets_the_expert(folder, crowd, monkeypatch):
  """Two prompts, three replies each; of the last player the scores are
  other ones. Gold of a reply is its number of words."""
  score = {'pi_0': [1.0, 3, 2, 9, 8, 7], '@9': [5.0, 4, 6, 0, -1, 1]}

  def said(player, texts, longest, batch, key):
    assert [text == texts[0] for text in texts] == [True] * 3 + [False] * 3
    replies = [' so' * (n + 1) for n in range(6)]
    return replies, {'train_pm': np.array(score[player.name])}

  count = lambda world, texts, kinds, said: np.array(
    [float(len(reply.split())) for reply in said]
  )
  rules = tiny.namespace(human_reply=lambda world, rng, prompt: ' an expert')
  for module, name, value in (
    (play_games, 'answers', said),
    (play_games.sources, 'gold_scores', count),
    (play_games, 'rules_of', lambda _: rules),
    (play_games.users, 'prompt_of', lambda *_: None),
  ):
    monkeypatch.setattr(module, name, value)
  config = CONFIG | {'comparisons_dir': folder}
  config |= {'writer_prompts': 2, 'writer_replies': 3}
  players = list(map(player, ('pi_0', '@4', '@9')))
  first, last = play_games.against_writers(config, players, None)
  # Medians: 2 (the third) and 8 (the fifth); 5 (the first) and 0 (the fourth).
  assert (first['words'], first['train_pm']) == ((3 + 5) / 2, (2 + 8) / 2)
  assert (last['words'], last['train_pm']) == ((1 + 4) / 2, (5 + 0) / 2)
  assert (first['player'], last['player']) == ('pi_0', '@9')
  for row in (first, last):
    assert row['gold'] == row['words'] and row['preferred'] == 0.7
    assert row['writer_words'] == row['writer_gold'] == 2
    assert (row['prompts'], row['replies']) == (2, 3)


def test_the_last_batch_is_filled_up_and_its_names_go_on(monkeypatch):
  """Five texts in batches of two: the sixth row is thrown away."""
  seen = []

  def sample(params, rows, key):
    seen.append((np.asarray(rows.row_B).tolist(), rows.tokens_BP.shape))
    name_B1 = np.asarray(rows.row_B)[:, None]
    return name_B1, name_B1[:, 0], name_B1[:, 0], None

  decode = lambda words, tokens_B1, *_: [f'{n}' for n in tokens_B1[:, 0]]
  monkeypatch.setattr(play_games.policies, 'decoded', decode)
  base = tiny.namespace(tokenizer=tiny.words(), params=None)
  rewards = {'train_pm': lambda out: 10.0 * out[0][:, 0]}
  texts = [tiny.prompt(f'draw {i}') for i in range(5)]
  replies, scores = play_games.answers(
    Player('x', base, sample, rewards), texts, 24, 2, None
  )
  assert replies == list('01234')
  assert scores['train_pm'].tolist() == [0, 10, 20, 30, 40]
  assert seen == [([i, i + 1], (2, 24)) for i in (0, 2, 4)]


def test_held_out_prompts_of_matches_are_the_same_for_every_seed(folder):
  config = {'comparisons_dir': folder, 'prompts': 4}
  found = matches.held_out(config | {'seed': 0})
  assert found == matches.held_out(config | {'seed': 9}) and len(found) == 4
  more = matches.held_out(config | {'prompts': 99})
  assert more[:4] == found and len(more) == 6


def test_a_policy_answers_each_prompt_several_times(monkeypatch):
  """Replies of 1, 2, ... words: their gold stands by prompt, words a mean."""
  asked, keys = [], []

  def replies_of(writer, texts, config, key, label):
    asked.append(texts)
    keys.append(jax.random.key_data(key).tolist())
    return [' so' * (n + 1) for n in range(len(texts))]

  monkeypatch.setattr(writers, 'replies_of', replies_of)
  monkeypatch.setattr(
    sources,
    'gold_scores',
    lambda world, texts, kinds, said: np.array(
      [len(x.split()) + 10 * (kind == 'harmless')
       for x, kind in zip(said, kinds, strict=True)]
    ),
  )  # fmt: skip
  prompts, config = [('p', 'helpful'), ('q', 'harmless')], {'replies': 3}
  config['seed'] = 1
  gold_NC, words = matches.answered(config, None, prompts, None, 0)
  assert gold_NC.tolist() == [[1, 2, 3], [14, 15, 16]] and words == 3.5
  matches.answered(config, None, prompts, None, 1)
  assert asked[0] == ['p'] * 3 + ['q'] * 3 == asked[1]
  assert keys[0] != keys[1]


def test_a_match_is_over_all_replies_of_both_and_adds_up_to_one():
  """Two prompts, two replies: eight margins, of which the first has 0 and 1."""
  world = sources.world_of(PLAIN)
  gold = {'a': [[0.0, 1.0], [2.0, 2.0]], 'b': [[0.0, 0.0], [2.0, 1.0]]}
  gold = {name: np.array(x) for name, x in gold.items()}
  kinds = ['helpful', 'harmless']
  rows = matches.rows_of(['a', 'b'], gold, kinds, world)
  assert [(row['player'], row['opponent']) for row in rows] == [
    ('a', 'b'),
    ('b', 'a'),
  ]
  sigmoid = lambda x: 1 / (1 + np.exp(-x))
  wanted = (2 * 0.5 + 2 * sigmoid(1) + 2 * (0.5 + sigmoid(1))) / 8
  assert rows[0]['win_rate'] == pytest.approx(wanted)
  assert rows[0]['win_rate'] + rows[1]['win_rate'] == pytest.approx(1)
  assert rows[0]['games'] == 4


def test_on_real_data_nobody_says_who_wins():
  gold = {name: np.full((2, 1), np.nan) for name in 'abc'}
  rows = matches.rows_of('abc', gold, ['helpful'] * 2, None)
  assert len(rows) == 6 and all(np.isnan(row['win_rate']) for row in rows)
