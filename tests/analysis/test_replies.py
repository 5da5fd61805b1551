"""What the page shows of replies, from items of now and of before."""

import pytest

from rlhf_jax.analysis import page, replies

NASTY = '<script>alert(1)</script>'
OLD = {
  'prompt': 'p',
  'pi0_reply': 'a',
  'final_reply': 'b',
  'scores': {'PM of pi_0': 0.5, 'PM': 1.5, 'gold of pi_0': -1.0, 'gold': 0.0},
}


def reply(policy='x', iteration=8, **more):
  scores = {'train PM': 1.5, 'gold': -0.25}
  found = {'policy': policy, 'iteration': iteration, 'text': 'yes'}
  return found | {'scores': scores} | more


def item(*answers, prompt='p', family='add'):
  found = {'prompt': prompt, 'kind': 'helpful', 'family': family}
  return found | {'replies': list(answers or [reply()])}


def test_an_item_of_before_is_two_replies():
  first, last = replies.upgraded(OLD | {'run': 'ppo'})['replies']
  assert (first['iteration'], first['text']) == (0, 'a')
  assert first['scores'] == {'train PM': 0.5, 'gold': -1.0}
  assert (last['iteration'], last['text']) == (None, 'b')
  assert last['scores'] == {'train PM': 1.5, 'gold': 0.0}
  assert first['policy'] == last['policy'] == 'ppo'
  assert replies.upgraded(item()) == item()


@pytest.mark.parametrize(
  ('found', 'right'),
  [
    (OLD, True),
    (item(), True),
    ({'prompt': 'p', 'replies': []}, True),
    ({k: OLD[k] for k in ('prompt', 'scores')}, False),
    ({'prompt': 'p', 'replies': [{'text': 'x'}]}, False),
    ({'prompt': 'p', 'replies': ['x']}, False),
    ({'replies': []}, False),
  ],
)
def test_what_is_no_item_is_told(found, right):
  assert replies.is_item(found) == right


def test_replies_to_one_prompt_stand_together():
  """Of two runs; families by name, prompts as they come."""
  one = [item(prompt='q', family='sort'), item(), item(prompt='r')]
  other = [item(reply('y'))]
  found = replies.browser([*one, *other])
  assert found['families'] == ['add', 'sort']
  assert [p['text'] for p in found['prompts']] == ['p', 'r', 'q']
  assert [p['family'] for p in found['prompts']] == [0, 0, 1]
  rows = found['prompts'][0]['rows']
  assert [row['policy'] for row in rows] == ['x', 'y']
  assert [row['policy'] for row in found['prompts'][1]['rows']] == ['x']


def test_a_token_s_line_grows_with_its_log_ratio():
  """Below .1 nats there is none; the sign is that of the ratio."""
  values = [0.05, -0.1, 0.49, 0.5, -1.5, 2.99, -3.0]
  assert [replies.level(x) for x in values] == [0, 1, 1, 2, 3, 3, 4]
  assert [replies.sign(x) for x in values[:2]] == ['up', 'down']
  pieces = ['a', ' b', '']
  found = replies.cell(reply(pieces=pieces, k1=[0.0, -2.0, 1.0]))
  assert found['tokens'][1] == (' b', 3, 'down', -2.0)
  assert found['tokens'][2][0] == replies.END
  assert found['most'] == ('b', -2.0)
  assert replies.cell(reply())['tokens'] is None


def test_tokens_inside_a_character_count_for_it():
  """An é of two tokens; two tokens without a text end the reply."""
  found = replies.whole_characters(['', 'é', 'x', '', ''], [1, 2, 3, 4, 5])
  assert found == [('é', 3), ('x', 3), (replies.END, 9)]
  assert replies.whole_characters(['x'], [1]) == [('x', 1)]


def test_a_prompt_is_read_a_line_a_turn():
  prompt = '\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:'
  assert replies.asked(prompt) == 'Human: a\nAssistant: b\nHuman: c'
  assert replies.asked('plain') == 'plain'


def test_the_last_policies_are_left_out_where_there_is_no_room():
  """A reply counts 700 bytes and its text; one policy stays in any case."""
  many = [item(reply('x'), reply('y'), reply('z'))]
  found = replies.browser(many, budget=1500)
  assert [row['policy'] for row in found['prompts'][0]['rows']] == ['x', 'y']
  assert found['left_out'] == ['z']
  found = replies.browser(many, budget=10)
  assert found['left_out'] == ['y', 'z']


def test_a_snapshot_is_named_by_its_iteration():
  labels = [replies.cell(reply(iteration=i))['label'] for i in (0, 12, None)]
  assert labels == ['π₀', 'iteration 12', 'last policy']


TEMPLATE = """{% import 'report_replies.html.j2' as r with context %}
<style>{{ r.rules(found.families) }}</style>{{ r.browser(found) }}"""


@pytest.fixture(scope='module')
def text():
  """The part of a page, of names and texts that would be markup."""
  own = reply(NASTY, pieces=['<b>', ' & '], k1=[2.0, -0.2], of=17, counted=15)
  own |= {'text': NASTY, 'range': [-1.0, 2.0], 'scores': {NASTY: 1.25}}
  plain = reply(NASTY, 0, text=NASTY)
  found = replies.browser(
    [item(plain, own, prompt=NASTY, family=NASTY), item(plain, family='z')]
  )
  template = page._environment().from_string(TEMPLATE)
  return template.render(found=found)


def test_text_of_models_is_escaped_on_the_page(text):
  assert '<script' not in text and '<b>' not in text
  assert text.count('&lt;script&gt;') == 7


def test_a_token_is_marked_by_its_line_and_has_its_number(text):
  assert '<i class="h3 up" title="+2.00">&lt;b&gt;</i>' in text
  assert '<i class="h1 down" title="-0.20"> &amp; </i></p>' in text
  assert '+2.00 at' in text and '(-1 to 2)' in text
  assert '<dt>empty</dt><dd>2 of 17</dd>' in text


def test_each_family_has_a_button_and_rules_of_its_own(text):
  assert text.count('type="radio"') == 3
  assert text.count(' checked>') == 1
  for name in ('0', '1', 'all'):
    assert f'id="family-{name}"' in text and f'for="family-{name}"' in text
    assert f'#family-{name}:checked ~ .labels' in text
  assert '#family-1:checked ~ .prompts .family-1' in text
  assert text.count('class="sample family-1"') == 1


def test_the_page_says_how_prompts_and_replies_were_chosen(text):
  assert 'median train-PM score' in text and 'never the best one' in text
  old = page._environment().from_string(TEMPLATE)
  plain = old.render(found=replies.browser([OLD]))
  assert 'median' not in plain and 'The line under a token' not in plain
  assert 'one reply of each policy' in plain
