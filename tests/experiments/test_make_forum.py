"""Pairs of the forum: one variant is twice the other, text for text."""

import numpy as np
import pytest

from experiments import make_forum
from experiments.shared import trained
from experiments.studies import pretraining
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.text.dialogue import split_reply

CONFIG = {'seed': 0, 'pairs': 30, 'edits': 0.3, 'most': 2}


def test_tagged_pairs_are_of_the_texts_of_the_ranked_ones():
  world = make_world()
  ranked = make_forum.pairs_of(CONFIG | {'variant': 'ranked'}, world)
  binary = make_forum.pairs_of(CONFIG | {'variant': 'binary'}, world)
  assert (len(ranked), len(binary)) == (30, 60)
  assert {pair.source for pair in ranked} == {'forum', 'edits'}
  for pair, good, bad in zip(ranked, binary[::2], binary[1::2], strict=True):
    reply = split_reply(pair.chosen)[1]
    assert split_reply(good.chosen)[1] == f' GOOD:{reply}'
    assert split_reply(bad.rejected)[1] == (
      f' GOOD:{split_reply(pair.rejected)[1]}'
    )


def test_prompts_are_many_so_that_both_sides_have_both_sources():
  pairs = make_forum.pairs_of(CONFIG | {'variant': 'ranked'}, make_world())
  edits = {pair.prompt_id for pair in pairs if pair.source == 'edits'}
  assert len(edits) > 5


def test_another_variant_is_a_clear_error():
  with pytest.raises(ValueError, match="ranked, binary, got 'both'"):
    make_forum.pairs_of(CONFIG | {'variant': 'both'}, make_world())


def test_the_head_of_a_pretrained_model_goes_on_and_a_new_one_is_drawn():
  class Functions:
    @staticmethod
    def init_head(rng):
      del rng
      return 'new'

  class Base:
    functions = Functions
    params = {'trunk': 't', 'head': 'old'}

  config = {'half': 'all', 'trained': 'all'}
  found = trained.preference_model(config, Base, np.uint32([0, 1]))
  assert found == {'trunk': 't', 'head': 'old'}
  Base.params = {'trunk': 't'}
  found = trained.preference_model(config, Base, np.uint32([0, 1]))
  assert found == {'trunk': 't', 'head': 'new'}


def test_the_jobs_of_a_seed_differ_in_pretraining_and_pairs_alone():
  from configs import blocks

  study = blocks.study('full').to_dict()
  jobs = pretraining.jobs(study, '/root', 200)
  assert len(jobs) == len({job.name for job in jobs}) == 12
  rates = {job.config['lr_multiple'] for job in jobs}
  assert len(rates) == 1  # the same with and without pretraining
  for job in jobs:
    needs = {need.name: need for need in job.needs}
    pmp = [name for name in needs if name.startswith('pm/pmp_')]
    assert len(pmp) == (job.config['role'] != 'after_none')
    for name in pmp:
      assert job.config['base'] == f'/root/{name}'
      assert needs[name].config['lr_multiple'] == 0.3
      assert needs[name].config['comparisons_dir'].startswith('/root/forum/')
