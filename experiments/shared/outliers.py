"""Prompts of two kinds, and how well a model's features tell them apart.

Known prompts are helpful ones, outliers are red-team ones. A split says which
known ones a Gaussian is fitted to, which of both kinds are tested, and which
outliers may be shown to a classifier; no prompt is in two of these.
"""

from typing import NamedTuple

import numpy as np

from experiments.shared import people, sources
from rlhf_jax.analysis import ood
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.linear import logistic
from rlhf_jax.models.pooled import POOLS
from rlhf_jax.text.dialogue import (
  ASSISTANT,
  HUMAN,
  parse_dialogue,
)

TRIES = 100  # draws of a simulated prompt, for each that is wanted


class Texts(NamedTuple):
  """Prompts, none of them twice.

  Attributes:
    known: helpful ones.
    others: red-team ones.
    counts: {part: {count: rows}} of what was read; {} of simulated ones.
  """

  known: list[str]
  others: list[str]
  counts: dict


def wanted(config):
  """How many prompts of each kind a config asks for: (known, others)."""
  tested = config['test_prompts']
  return config['fit_prompts'] + tested, tested + config['exposed_prompts']


def read_texts(config, accepted=lambda items: items) -> Texts:
  """The Texts of a config, simulated or people's.

  Args:
    config: of the stage.
    accepted: [(text, kind)] -> those that a chat template takes.

  Raises:
    ValueError: if there are fewer prompts of a kind than are wanted, or fewer
      to show than the largest of `exposures`.
    DataError: if the data are missing or malformed.
  """
  if max(config['exposures']) > config['exposed_prompts']:
    raise ValueError(
      f'exposures={list(config["exposures"])}: wanted at most exposed_prompts, '
      f'{config["exposed_prompts"]}'
    )
  if config['data']['source'] == 'simulated':
    return _simulated(config)
  return _of_people(config, accepted)


def _simulated(config):
  world = sources.world_of(config['world'])
  rng = np.random.default_rng([config['seed'], 3])
  found = []
  for kind, count in zip(('helpful', 'harmful'), wanted(config), strict=True):
    texts = {}
    for _ in range(TRIES * count):
      (prompt,) = sources.sample_prompts(world, rng, 1, kind)
      texts[prompt.text] = None
      if len(texts) == count:
        break
    found.append(_enough(list(texts), count, kind))
  return Texts(*found, {})


def _enough(texts, count, kind):
  if len(texts) < count:
    raise ValueError(
      f'wanted {count} different {kind} prompts, got {len(texts)}: lower '
      'fit_prompts, test_prompts or exposed_prompts'
    )
  return texts[:count]


def _of_people(config, accepted):
  """First human turns, each once, in an order of the seed.

  A turn that conversations of both kinds begin with is in neither.
  """
  data, folder = config['data'], f'{config["feature_folder"]}/tfds'
  read = people.read_people(data, folder, 0.5, counted=False)
  found = {'helpful': {}, 'harmless': {}}
  for item in (*read.train, *read.test):
    text = parse_dialogue(item.chosen)[0].text
    if text.strip():
      found[item.kind][f'{HUMAN}{text}{ASSISTANT}'] = None
  both = found['helpful'].keys() & found['harmless'].keys()
  rng, texts, counts = np.random.default_rng([config['seed'], 3]), [], {}
  for (kind, own), count in zip(found.items(), wanted(config), strict=True):
    own = [(text, kind) for text in sorted(own.keys() - both)]
    own = [text for text, _ in accepted(own)]
    order = rng.permutation(len(own))
    texts.append(_enough([own[i] for i in order], count, kind))
    counts[kind] = {'read': len(own), 'kept': count}
  return Texts(*texts, {'first turns': counts | {'of both kinds': len(both)}})


def encoded(texts, config, tokenizer):
  """PromptArrays of known prompts, then of the others."""
  both = [*texts.known, *texts.others]
  return encode_prompts(both, tokenizer, config['max_prompt'])


class Split(NamedTuple):
  """One layer's features of each part, [N, D] each.

  Attributes:
    fit: known prompts, for the Gaussian and as class 0 of a classifier.
    known: known prompts that are tested.
    outliers: outliers that are tested.
    exposed: outliers that may be shown.
  """

  fit: np.ndarray
  known: np.ndarray
  outliers: np.ndarray
  exposed: np.ndarray


def split_rows(config, number) -> Split:
  """The Split of a number, as row numbers of all prompts."""
  n_known, n_others = wanted(config)
  rng = np.random.default_rng([config['seed'], 4, number])
  known = rng.permutation(n_known)
  others = n_known + rng.permutation(n_others)
  fit, tested = config['fit_prompts'], config['test_prompts']
  return Split(known[:fit], known[fit:], others[:tested], others[tested:])


def exposed_scores(fit_ND, shown_MD, tested_ND, l2) -> np.ndarray:
  """Logits of one linear layer that was shown a few outliers, [N].

  Class 0 are all known prompts of the fit, class 1 the M outliers, each copied
  N // M times.

  Reference: Bai et al. 2022, appendix B.9.

  Args:
    fit_ND: known prompts.
    shown_MD: outliers.
    tested_ND: that are scored.
    l2: penalty on weights of features with standard deviation 1; the paper
      names none, and few outliers in many features have no finite minimum
      without.
  """
  mean_D, scale_D = fit_ND.mean(0), fit_ND.std(0)
  z = lambda x_ND: (np.asarray(x_ND, np.float64) - mean_D) / scale_D
  copies = max(1, len(fit_ND) // len(shown_MD))
  shown_ND = np.repeat(z(shown_MD), copies, axis=0)
  class_N = np.repeat([0, 1], [len(fit_ND), len(shown_ND)])
  rows_ND = np.concatenate([z(fit_ND), shown_ND])
  weight_D, offset = logistic.fit_classes(rows_ND, class_N, l2)
  return z(tested_ND) @ weight_D + offset


def layer_scores(part: Split):
  """(Gaussian, {score: (of outliers, of known prompts)}) of one layer.

  The background of the relative score has the known prompts of the fit and the
  outliers that may be shown, which are never tested.
  """
  gaussian = ood.fit_gaussian(part.fit)
  sides = [ood.scores(gaussian, x) for x in (part.outliers, part.known)]
  values = {name: [x[name] for x in sides] for name in ood.SCORES}
  background = ood.background_of(part.fit, part.exposed)
  tested = part.outliers, part.known
  relative = [ood.relative(gaussian, background, x) for x in tested]
  return gaussian, values | {ood.RELATIVE: relative}


def detection_rows(gaussian, values, keys):
  """(rows of `ood`, {score: Auroc}) of one layer.

  Args:
    gaussian: of `layer_scores`.
    values: likewise.
    keys: columns that name the layer.
  """
  areas = {name: ood.auroc(*pair) for name, pair in values.items()}
  rows = []
  for name, area in areas.items():
    ends, over = ood.interval(area), area - areas['plain']
    first, second = (
      ood.auroc(*(x[i::2] for x in values[name])).value for i in (0, 1)
    )
    rows.append(
      keys
      | {'score': name, 'auroc': area.value, 'auroc_se': area.error}
      | {'auroc_low': ends.low, 'auroc_high': ends.high}
      | {'over_plain': over.value, 'over_plain_se': over.error}
      | {'auroc_first': first, 'auroc_second': second}
      | {'shrinkage': gaussian.shrinkage, 'n_fit': gaussian.n}
      | {'n_test': len(area.in_I)}
    )
  return rows, areas


def control_row(part: Split, values, keys, rng, draws):
  """The row of `ood_control` of one layer.

  Args:
    part: its features.
    values: of `layer_scores`.
    keys: columns that name the layer.
    rng: deals out the kinds.
    draws: how often.
  """
  out_N, known_N = values['simplified']
  tested = np.concatenate([part.outliers, part.known])
  return keys | {
    'unrotated': float(np.abs(np.concatenate([out_N, known_N])).max()),
    'rotated': ood.rotated_score(part.fit, tested),
    'shuffled': ood.shuffled(out_N, known_N, rng, draws),
    'shuffles': draws,
  }


def exposure_rows(part: Split, keys, best, config, rng):
  """Rows of `ood_exposure` of one layer, one for each number of outliers.

  Args:
    part: its features.
    keys: columns that name the layer.
    best: Auroc of the best distance of any layer.
    config: exposures, exposure_draws, exposure_l2.
    rng: draws which outliers are shown.
  """
  draws, rows, fewest = config['exposure_draws'], [], None
  tested, n = np.concatenate([part.outliers, part.known]), len(part.outliers)
  for count in sorted(config['exposures']):
    areas = []
    for _ in range(draws):
      shown = rng.choice(len(part.exposed), count, replace=False)
      found = exposed_scores(
        part.fit, part.exposed[shown], tested, config['exposure_l2']
      )
      areas.append(ood.auroc(found[:n], found[n:]))
    area, spread = ood.mean_of(areas), np.std([x.value for x in areas], ddof=1)
    drawn = spread**2 / draws
    fewest = fewest or (area, drawn)
    error = lambda of, *parts: float(np.sqrt(of.error**2 + sum(parts)))
    more, least = area - best, area - fewest[0]
    both = (drawn, fewest[1]) if area is not fewest[0] else ()
    rows.append(
      keys
      | {'outliers': count, 'draws': draws, 'spread': float(spread)}
      | {'auroc': area.value, 'auroc_se': error(area, drawn)}
      | {'over_best': more.value, 'over_best_se': error(more, drawn)}
      | {'over_fewest': least.value, 'over_fewest_se': error(least, *both)}
    )
  return rows


def tables_of(pooled_NPLD, config, number):
  """{table: rows} of one split.

  Args:
    pooled_NPLD: features of all prompts at every layer.
    config: of the stage.
    number: of the split.
  """
  split = split_rows(config, number)
  depth = pooled_NPLD.shape[2]
  found = {'ood': [], 'ood_exposure': [], 'ood_control': []}
  rng = np.random.default_rng([config['seed'], 5, number])
  for p, pool in enumerate(POOLS):
    part_of = lambda layer, p=p: Split(
      *(pooled_NPLD[rows, p, layer - 1].astype(np.float64) for rows in split)
    )
    keys = {'split': number, 'pool': pool, 'layers': depth}
    distances = []
    for layer in range(1, depth + 1):
      part, named = part_of(layer), keys | {'layer': layer}
      gaussian, values = layer_scores(part)
      rows, areas = detection_rows(gaussian, values, named)
      found['ood'] += rows
      distances += [areas[name] for name in ood.RIVALS]
      row = control_row(part, values, named, rng, config['shuffles'])
      found['ood_control'].append(row)
    best = max(distances, key=lambda area: area.value)
    shown = ood.exposed_layer(depth)
    found['ood_exposure'] += exposure_rows(
      part_of(shown), keys | {'layer': shown}, best, config, rng
    )
  return found
