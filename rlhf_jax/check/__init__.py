"""The checklist on your own model, tokenizer, data and config.

    from rlhf_jax import check
    findings = check.run(logits_fn, score_fn, tokenizer, batches, config)

`python -m rlhf_jax.check --help` has the command line, docs/check.md the list.
"""

from rlhf_jax.check.findings import CheckFinding as Finding
from rlhf_jax.check.runner import run

__all__ = ['Finding', 'run']
