"""Old name of train_pm for imported models; runs the new command."""

from experiments.shared import alias

if __name__ == '__main__':
  alias.run('tune_pm', 'train_pm', 'configs/pm.py:smollm2')
