"""Old name of train_ppo for imported models; runs the new command."""

from experiments.shared import alias

if __name__ == '__main__':
  alias.run('tune_ppo', 'train_ppo', 'configs/ppo.py:smollm2')
