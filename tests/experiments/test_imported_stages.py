"""The stages of an imported model, on a random tiny one."""

import json
import pathlib
import shutil
import types

import imported_fixture as tiny
import jax
import numpy as np
import pandas as pd
import pytest
from experiments_command import call, succeeded

from experiments import evaluate_hhh, train_pm, train_ppo
from experiments.shared import comparisons, models, rl_tables, run_report
from rlhf_jax.analysis import figures, kl_reward, report, runs
from rlhf_jax.analysis.claims import judging
from rlhf_jax.train.run import load_params
from tests.pretrained_files import need_or_skip

pytestmark = pytest.mark.slow  # stages of an imported model


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """A model, pairs, and a preference model of each half."""
  need_or_skip('safetensors', 'tokenizers')
  root = tmp_path_factory.mktemp('imported')
  tiny.write_model(root / 'model')
  tiny.write_data(root / 'data')
  for half, role in (('a', 'scaling'), ('b', 'rl')):
    train_pm.run(tiny.pm(root, half=half, role=role), root / f'pm-{half}')
  return root


@pytest.fixture(scope='module')
def policy(study):
  train_ppo.run(tiny.ppo(study), study / 'ppo')
  return study / 'ppo'


def same_files(a, b, *names):
  for name in names:
    assert (a / name).read_bytes() == (b / name).read_bytes(), name


def test_a_preference_model_learns_what_distinguishes_the_pairs(study):
  """The better reply says hello: held-out accuracy is far above a half."""
  floors = pd.read_csv(study / 'pm-a' / 'floors.csv').set_index('subset')
  assert set(floors.index) == {'mix', 'helpful', 'harmless'}
  mix = floors.loc['mix']
  assert mix['accuracy_low'] > 0.6
  assert mix['accuracy_low'] <= mix['accuracy'] <= mix['accuracy_high']
  assert mix['pairs'] == floors.loc[['helpful', 'harmless'], 'pairs'].sum()


def test_halves_share_no_prompt_and_features_are_written_once(study):
  config = tiny.pm(study)
  pairs = comparisons.read_pairs(config, tiny.base(study))
  rows = [
    comparisons.drawn_pairs(config | {'half': half}, pairs)[2] for half in 'ab'
  ]
  a, b = (set(pairs.train.prompt_index_N[r].tolist()) for r in rows)
  assert a and b and not a & b
  folders = [
    path.name
    for path in pathlib.Path(config['feature_folder']).iterdir()
    if path.name != 'tfds'
  ]
  assert len(folders) == 2  # of train and of test, for both halves


def test_what_a_run_keeps_is_adapters_and_a_head_alone(study, policy):
  """No weight of the base is in a state: only low ranks, of two blocks."""
  trained = models.open_scorer(study / 'pm-a').trained
  assert set(trained) == {'adapters', 'head'}
  assert set(trained['adapters']['trunk']) == {'layer_1', 'layer_2'}
  assert all(2 in x.shape for x in jax.tree.leaves(trained['adapters']))
  # Restoring refuses a tree with one name more or less.
  kept = load_params(policy, {'adapters': trained['adapters']})
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(kept))


def test_a_preference_model_resumes_bit_for_bit(study, killed_at):
  """Killed in step 5, resumed from step 3 (checklist 82)."""
  config, workdir = tiny.pm(study), study / 'again' / 'pm'
  killed_at(train_pm, config, workdir, last=5)
  train_pm.run(config, workdir)
  same_files(
    workdir, study / 'pm-a', 'metrics.jsonl', 'pm_curve.csv', 'floors.csv'
  )


def test_the_policy_starts_at_the_base_and_moves(policy):
  """KL is 0 at first, exactly; afterwards it is not."""
  curve = pd.read_csv(policy / 'rl_curve.csv')
  assert curve['iteration'].tolist() == [0, 1, 2, 3]
  assert curve['kl'].iloc[0] == 0 and curve['kl_k1'].iloc[0] == 0
  assert curve['kl'].iloc[-1] > 1e-4
  assert np.isfinite(curve[['train_pm', 'test_pm', 'entropy']]).all().all()
  assert (curve['train_pm'] != curve['test_pm']).all()
  samples = json.loads((policy / 'samples.json').read_text())
  assert [sample['family'] for sample in samples] == ['harmless', 'helpful']
  for first, last in (sample['replies'] for sample in samples):
    assert (first['iteration'], last['iteration']) == (0, 3)
    assert sum(last['k1']) != 0 and 'k1' not in first
    assert set(last['scores']) == {'train PM', 'test PM', 'KL'}


def test_ppo_resumes_bit_for_bit(study, policy, killed_at):
  """Killed in iteration 2, resumed from it (checklist 82)."""
  config, workdir = tiny.ppo(study), study / 'again' / 'ppo'
  killed_at(train_ppo, config, workdir, last=2)
  train_ppo.run(config, workdir)
  same_files(workdir, policy, 'metrics.jsonl', 'rl_curve.csv', 'rl_pi0.csv')


def test_the_hhh_comparisons_are_answered_by_all(study):
  evaluate_hhh.run(tiny.hhh(study), study / 'hhh')
  table = pd.read_csv(study / 'hhh' / 'hhh.csv')
  found = table.groupby(['judge', 'rule'])['category'].apply(list)
  names = ['harmless', 'helpful', 'honest', 'other', 'all']
  assert all(categories == names for categories in found)
  rules = ('sum', 'mean', 'mutual information')
  assert set(found.index) == {
    ('longer', 'words'),
    *((name, r) for name in ('plain', 'prompted') for r in rules),
    *((f'PM {half}', 'score') for half in ('scaling-mix-a', 'rl-mix-b')),
  }
  longer = table[(table.judge == 'longer') & (table.category == 'all')]
  assert longer['accuracy'].item() == 0  # the good answer is the shorter one
  inside = table['accuracy'].between(table['low'] - 1e-9, table['high'] + 1e-9)
  assert inside.all()


def test_a_chooser_reads_the_base_and_the_preference_models(study):
  """Its numbers are those of the models by themselves."""
  config, base = tiny.hhh(study), tiny.base(study)
  pm = models.open_scorer(config['pm_dirs'][0])
  items = evaluate_hhh.read_hhh(config['data']['path'])[:2]
  rows = evaluate_hhh.encode(base.tokenizer, items, config)
  choose = evaluate_hhh.make_chooser(base.functions, [pm], config['max_answer'])
  logp_N, (score_N,) = evaluate_hhh.choose_all(
    choose, base, [pm], rows, config, 'test'
  )
  tokens_NT, first_N, length_N = rows
  params = pm.way.merge(pm.frozen, pm.trained)
  wanted = base.functions.score_fn(params, tokens_NT, length_N)
  np.testing.assert_allclose(score_N, wanted, atol=1e-5)
  logits = base.functions.logits_fn(base.params, tokens_NT, length_N)
  logps = np.asarray(jax.nn.log_softmax(logits))
  for n, (first, length) in enumerate(zip(first_N, length_N - 1, strict=True)):
    said = tokens_NT[n, first:length]
    by_hand = logps[n, np.arange(first - 1, length - 1), said].sum()
    np.testing.assert_allclose(logp_N[n], by_hand, rtol=1e-5)


def test_one_seed_is_measured_and_nothing_passes(study, policy, tmp_path):
  """Tables, claims and figures of the runs; a seed alone has no interval."""
  for name in ('pm-a', 'pm-b', 'ppo'):
    shutil.copytree(study / name, tmp_path / name)
  tables = runs.collect(tmp_path)
  assert {'pm_curve', 'pm_pairs', 'floors', 'rl_curve'} <= set(tables)
  assert set(tables['rl_curve']['size']) == set(tables['pm_curve']['size'])
  context = {'preset': 'x', 'evidence': 'real', 'rl_requires': True}
  document = judging.claims_document(tables, context)
  found = {claim['id']: claim for claim in document['claims']}
  assert found[11]['verdict'] == found[13]['verdict'] == 'inconclusive'
  assert found[11]['seeds'] == 1 and found[11]['ci'] is None
  assert 'not above chance' in found[11]['note']
  assert all(claim['verdict'] != 'pass' for claim in document['claims'])
  drawn = figures.draw_all(tables, tmp_path / 'figures')
  assert drawn['reward_vs_sqrt_kl'].exists()


def test_a_model_without_a_chat_template_is_read_plain_alone(capsys):
  words = types.SimpleNamespace(has_template=False)
  base = types.SimpleNamespace(tokenizer=words)
  assert evaluate_hhh.readings_of(base, 96) == [('plain', words, 0)]
  assert 'no chat template' in capsys.readouterr().out


def test_a_preference_model_without_a_name_is_an_error(study):
  config = tiny.hhh(study, pm_dirs=['a', 'b', 'c'])
  with pytest.raises(ValueError, match='each of the 3 pm_dirs, got 2'):
    evaluate_hhh.run(config, study / 'unnamed')


def test_a_tokenizer_without_a_pad_token_says_which_knob_names_it(study):
  """The stages above were told; the knob is what made them run."""
  with pytest.raises(ValueError, match='without: .*--config.pad_token=TOKEN'):
    train_pm.run(tiny.pm(study, pad_token=''), study / 'no-pad')
  with pytest.raises(ValueError, match="wanted the token '<pad>'"):
    models.open_base(tiny.pm(study, pad_token='<pad>'))


def test_a_stage_by_itself_ends_with_a_report(study, tmp_path):
  """Run again it is done at once, and the page is written anew."""
  file = tmp_path / 'config.py'
  file.write_text(
    'import ml_collections\n\n\ndef get_config():\n'
    f'  return ml_collections.ConfigDict({tiny.pm(study, role="scaling")!r})\n'
  )
  done = call('train_pm', f'--config={file}', f'--workdir={study / "pm-a"}')
  page = study / 'pm-a' / 'report' / 'index.html'
  assert succeeded(done).stdout.splitlines()[-1] == f'report: {page}'
  text = page.read_text()
  assert 'the run pm-a' in text and 'the floor' in text
  assert 'id="claims"' not in text and 'data:image/svg' in text


def test_the_page_of_a_policy_has_its_gains_and_replies(policy, capsys):
  text = run_report.write(policy).read_text()
  table = kl_reward.gains(
    *(pd.read_csv(policy / f'{name}.csv') for name in ('rl_curve', 'rl_pi0'))
  )
  read = pd.read_csv(policy / 'reading.csv')
  assert set(read['count']) >= {'read', 'kept'}
  shown = text.count('class="beside"')
  assert 'train_gain_low' in text and shown == 4 + len(read)
  assert report.cell(table['train_gain'].iloc[-1]) in text
  asked = json.loads((policy / 'samples.json').read_text())
  replies = [reply for item in asked for reply in item['replies']]
  assert text.count('<div class="card">') == len(replies) >= 2
  rl_tables.print_curve(
    pd.read_csv(policy / 'rl_curve.csv'), pd.read_csv(policy / 'rl_pi0.csv'), 0
  )
  last = capsys.readouterr().out.splitlines()[-1]
  assert f'train PM gain {table["train_gain"].iloc[-1]:.3f} [' in last
  assert f'sqrt(KL) {table["sqrt_kl"].iloc[-1]:.3f} [' in last


def test_a_simulated_world_is_refused(study):
  config = tiny.pm(study)
  data = config['data'] | {'source': 'simulated'}
  with pytest.raises(ValueError, match="or data.source 'hh'"):
    train_pm.run(config | {'data': data}, study / 'refused')


def test_more_layers_than_the_model_has_are_refused(study):
  config = tiny.pm(study)
  adapters = config['adapters'] | {'layers': 4}
  with pytest.raises(ValueError, match='last 1 to 3 blocks, got 4'):
    train_pm.run(config | {'adapters': adapters}, study / 'too-many')
