"""A policy of adapters through evaluate and evals, on a random tiny model."""

import importlib.util
import json

import harness_files
import imported_fixture as tiny
import jax
import numpy as np
import pandas as pd
import pytest

from experiments import evals, evaluate, evaluate_hhh
from experiments.harness import asked, counting, data, plan, session, texts
from experiments.shared import trained
from rlhf_jax.data import documents
from rlhf_jax.models import lora
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, save_params
from tests.pretrained_files import need_or_skip
from tests.test_configs import _config

pytestmark = pytest.mark.slow  # the harness, and its programs

OPTIONS = dict(
  model='', tasks=['piqa'], forms=['cloze'], shots=['0'], template='plain',
  data='', workdir='', limit=None, before='', tokenizer='',
  pad_token=tiny.PAD,
)  # fmt: skip


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """A model, a policy of adapters over it as train_ppo leaves one, data."""
  need_or_skip('safetensors', 'tokenizers')
  if importlib.util.find_spec('lm_eval') is None:
    pytest.skip('lm_eval is not installed: pip install -e .[eval]')
  root = tmp_path_factory.mktemp('study')
  tiny.write_model(root / 'model')
  base, config = tiny.base(root), tiny.ppo(root)
  fresh = trained.fresh_adapters(base, config['adapters'], jax.random.key(0))
  rng = np.random.default_rng(0)
  drawn = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), fresh
  )
  about = About('train_ppo', 'policy', 'adapters', config['base'])
  with Run(root / 'rl' / 'ppo', config, {'role': 'linear'}, about=about) as run:
    save_params(run.path, {'adapters': drawn})
    run.finish()
  harness_files.write_sets(tiny_data(root / 'data'))
  # What the steps of PPO compute with: adapters beside the kernels.
  alpha = config['adapters']['alpha']
  attached = lora.combiner(lora.attach, alpha)(base.params, {'adapters': drawn})
  return root, base, attached


def tiny_data(folder):
  """HHH files, pairs, and a file of plain text of which some is held out."""
  tiny.write_data(folder)
  rows = [f'hello {n} ' + 'the cat and the dog ' * (n % 5) for n in range(60)]
  held = [x for x in rows if documents.side_of(x) == 'held out']
  assert len(held) > 3
  (folder / 'web').mkdir()
  lines = ''.join(json.dumps({'text': x}) + '\n' for x in rows)
  (folder / 'web' / 'c4.jsonl').write_text(lines)
  return folder


def naive(base, params, context, continuation):
  """Log-probability of a text after another, one row at a time."""
  first = texts.plain_ids(base.tokenizer, context)
  whole = texts.plain_ids(base.tokenizer, context + continuation)
  assert whole[: len(first)] == first
  row, length = np.array([whole], np.int32), np.array([len(whole)], np.int32)
  logits_TV = base.functions.logits_fn(params, row, length)[0]
  logp_TV = jax.nn.log_softmax(logits_TV)
  columns = range(len(first) - 1, len(whole) - 1)
  return float(sum(logp_TV[t, whole[t + 1]] for t in columns))


def test_a_policy_of_adapters_is_scored_as_its_steps_compute(study, tmp_path):
  """Every choice of PIQA; before and after differ by the adapters alone."""
  root, base, attached = study
  before, after = tmp_path / 'before', tmp_path / 'after'
  own = OPTIONS | {'data': str(root / 'data'), 'tasks': ['piqa', 'lambada']}
  model = str(root / 'model')
  evaluate.run(own | {'model': model, 'workdir': str(before)})
  more = {'model': str(root / 'rl' / 'ppo'), 'workdir': str(after)}
  evaluate.run(own | more | {'before': str(before)})
  unit = plan.Unit('piqa', 'cloze', 0, 'plain')
  items = session.items_of_unit(after, unit)
  docs = data.read(str(root / 'data'), 'piqa')
  assert len(items) == len(docs) == 4
  for item, doc in zip(items, docs, strict=True):
    context = f'Question: {doc["question"]}\nAnswer:'
    wanted = [
      naive(base, attached, context, f' {choice}') for choice in doc['choices']
    ]
    # Float32 sums of a few tokens: far below what the adapters change.
    np.testing.assert_allclose(item['logps'], wanted, atol=1e-3)
    plain = [
      naive(base, base.params, context, f' {choice}')
      for choice in doc['choices']
    ]
    assert np.abs(np.subtract(wanted, plain)).min() > 0.01
  pairs = pd.read_csv(after / 'paired.csv').set_index('metric')
  assert pairs.loc['log_likelihood', 'difference'] != 0
  assert pairs.loc['acc', 'n'].tolist() == [4, 2]
  rows = pd.read_csv(after / 'results.csv')
  assert rows['model'].eq(str(root / 'rl' / 'ppo')).all()
  # A second call opens nothing and changes nothing.
  kept = (after / 'results.csv').read_bytes()
  evaluate.run(own | more)
  assert (after / 'results.csv').read_bytes() == kept


def config_of(root, **changes):
  config = _config('evals', 'few') | {'study': str(root)}
  config |= {'models': [f'plain={root}/model', f'prompted={root}/model+hhh']}
  config['models'] += ['ppo=study:rl/ppo', 'none=study:rl/none']
  config |= {'data': {'path': str(root / 'data')}, 'pad_token': tiny.PAD}
  config |= {'tasks': ['piqa', 'bbq', 'mmlu', 'triviaqa'], 'letters': ['piqa']}
  config |= {'few_shot': ['piqa', 'mmlu'], 'texts': ['web/c4.jsonl']}
  config |= {'max_prompt': 40, 'max_answer': 10, 'system_tokens': 400}
  return config | {'documents': 3} | changes


def test_models_are_measured_one_after_the_other_and_a_kill_costs_one_task(
  study, tmp_path, monkeypatch, capsys
):
  root, base, attached = study
  monkeypatch.setattr(asked, 'FEW', 1)
  config, killed = config_of(root), []
  write = session.write_unit

  def dies(workdir, unit, rows, items):
    write(workdir, unit, rows, items)
    if str(workdir).endswith('ppo/tasks') and unit.task == 'bbq':
      killed.append(unit)
      raise KeyboardInterrupt

  monkeypatch.setattr(session, 'write_unit', dies)
  with pytest.raises(KeyboardInterrupt):
    evals.run(config, tmp_path / 'out')
  monkeypatch.setattr(session, 'write_unit', write)
  shown = capsys.readouterr().out
  assert 'none left out' in shown and len(killed) == 1
  assert 'ppo: about' in shown and 'questions, error at most' in shown
  done = tmp_path / 'out/ppo/tasks/units/piqa.cloze.0shot.plain.json'
  stamp = done.stat().st_mtime_ns
  evals.run(config, tmp_path / 'out')
  assert done.stat().st_mtime_ns == stamp
  tables = tmp_path / 'out' / 'tables'
  pairs = pd.read_csv(tables / 'before_after.csv')
  assert list(dict.fromkeys(pairs['after_model'])) == ['prompted', 'ppo']
  names = set(pairs['name'])
  assert {'hhh.answers.0shot.dialogue', 'mmlu.cloze.1shot.plain'} < names
  assert not pairs['after_model'].isin(['none']).any()
  losses = pd.read_csv(tables / 'text_losses.csv')
  assert set(losses['model']) == {'plain', 'ppo'}
  difference = pd.read_csv(tables / 'text_loss_differences.csv')
  assert difference['nats_per_token'].ne(0).all()
  item, *_ = documents.read_sides([str(root / 'data/web/c4.jsonl')]).held
  begin = base.tokenizer.eos_id
  ids = texts.plain_ids(base.tokenizer, item.text)
  row = np.array([[begin, *ids]], np.int32)
  logits_TV = base.functions.logits_fn(attached, row, np.array([len(ids) + 1]))
  logp_TV = jax.nn.log_softmax(logits_TV[0])
  nats = -sum(float(logp_TV[t, k]) for t, k in enumerate(ids))
  kept = json.loads(
    (tmp_path / 'out/ppo/loss/nats/ppo.jsonl').read_text().splitlines()[0]
  )
  assert kept[0] == [pytest.approx(nats, abs=1e-3), len(ids)]
  assert (tmp_path / 'out/figures/before_after.svg').exists()


def test_hhh_has_the_accuracies_of_its_own_stage(study, tmp_path, monkeypatch):
  """As it is and with the prompt, of sums and of means."""
  root, _, _ = study
  monkeypatch.setattr(asked, 'FEW', 1)
  config = config_of(root, tasks=['piqa'], letters=['piqa'], few_shot=['piqa'])
  evals.run(config, tmp_path / 'out')
  stage = tiny.hhh(root, pm_dirs=[], pm_names=[])
  evaluate_hhh.run(stage, tmp_path / 'hhh')
  theirs = pd.read_csv(tmp_path / 'hhh' / 'hhh.csv')
  theirs = theirs[theirs['category'] == 'all'].set_index(['judge', 'rule'])
  ours = pd.read_csv(tmp_path / 'out' / 'tables' / 'evaluations.csv')
  ours = ours[ours['task'] == 'hhh'].set_index(['model', 'metric'])['value']
  for name in ('plain', 'prompted'):
    for metric, rule in (('acc', 'sum'), ('acc_mean', 'mean')):
      wanted = theirs.loc[(name, rule), 'accuracy']
      assert ours[name, metric] == pytest.approx(wanted), (name, rule)


def test_what_is_counted_beforehand_is_what_is_read(
  study, tmp_path, monkeypatch
):
  """Small sets are counted whole: to the token; replies to their longest."""
  root, _, _ = study
  monkeypatch.setattr(asked, 'FEW', 1)
  config, read, make = config_of(root), {}, evals.reading.make_score
  counts = []

  def make_score(opened, *more):
    score = make(opened, *more)

    def counted(requests, label=''):
      counter = counting.Counter(evals.reading.longest_of(opened))
      counter.score(requests)
      read['tokens'] = read.get('tokens', 0) + counter.tokens
      return score(requests, label)

    return counted

  def part_line(name, tokens, n):
    if 'written' not in name:
      counts.append(tokens)
    return ''

  monkeypatch.setattr(evals.reading, 'make_score', make_score)
  monkeypatch.setattr(evals.before_after, 'part_line', part_line)
  models = [f'{config["models"][0]}', f'same={root}/model']
  evals.run(config | {'models': models}, tmp_path / 'out')
  assert read['tokens'] == pytest.approx(2 * sum(counts))
