"""Installs rlhf_jax: `pip install -e .[dev]`, or another extra."""

import setuptools

setuptools.setup(
  name='rlhf-jax',
  version='0.1.0',
  description='Reinforcement learning from human feedback, studied in JAX.',
  license='Apache-2.0',
  python_requires='>=3.11',
  # The scripts too: started in another folder they say where to stand.
  packages=setuptools.find_packages(
    include=[
      'rlhf_jax',
      'rlhf_jax.*',
      'experiments',
      'experiments.*',
      'apps',
      'apps.*',
    ]
  ),
  package_data={
    'apps.feedback': ['*.sql', 'templates/*.html', 'static/*'],
    'rlhf_jax.analysis': ['*.j2', 'power.json'],
    'rlhf_jax.data': ['*.toml'],
    'experiments.shared': ['*.toml'],
    'experiments.harness': ['tasks/*.yaml'],
  },
  install_requires=[
    'absl-py>=2.3.1',
    'array-record>=0.8.1',
    'chex>=0.1.92',
    'flax>=0.12.8',
    'grain>=0.2.18',
    'jax>=0.10.2',
    'jinja2>=3.1',
    'matplotlib>=3.10',
    'ml-collections>=1.1.0',
    'numpy>=2.4',
    'optax>=0.2.8',
    'orbax-checkpoint>=0.12.8',
    'pandas>=3.0',
    'rich>=14.0',
    'scipy>=1.17',
    'sentencepiece>=0.2.1',
    'tensorflow-datasets>=4.9.10',
    'tqdm>=4.66',
  ],
  extras_require={
    'cuda': ['jax[cuda13]>=0.10.2'],
    'tpu': ['jax[tpu]>=0.10.2'],
    'docs': ['furo>=2025.7', 'myst-parser>=4.0', 'sphinx>=8.1'],
    'eval': [
      'better-profanity>=0.7',
      'lm-eval==0.4.13',
      'vaderSentiment>=3.3.2',
    ],
    'feedback': [
      'jinja2>=3.1',
      'python-multipart>=0.0.20',
      'starlette>=1.0',
      'uvicorn>=0.40',
    ],
    'gguf': ['gguf>=0.19'],
    'hf': ['safetensors>=0.6', 'tokenizers>=0.22'],
    'notebooks': ['ipykernel>=7.0', 'nbclient>=0.10', 'nbformat>=5.10'],
    'parity': [
      'peft>=0.21',
      'torch==2.13.0',
      'transformers>=5.23',
      'trl==1.16.0',
    ],
    'parquet': ['pyarrow>=20'],
    'slurm': ['submitit>=1.5.3'],
    'vision': ['mlxtend>=0.25'],
    'tensorboard': ['tensorboardX>=2.6'],
    'wandb': ['wandb>=0.20'],
    'mlflow': ['alembic>=1.16', 'mlflow-skinny>=3.10', 'sqlalchemy>=2.0'],
    'dev': [
      'httpx2>=2.16',
      'hypothesis>=6.150',
      'pyarrow>=20',
      'pytest>=9.0',
      'pytest-xdist>=3.8',
      'ruff>=0.17,<0.18',
    ],
  },
)
