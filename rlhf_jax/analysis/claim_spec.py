"""What is fixed about a claim before anything is run."""

import dataclasses

BAI = 'Bai et al. 2022'
ASKELL = 'Askell et al. 2021'
OUYANG = 'Ouyang et al. 2022'
WANG = 'Wang et al. 2016'
GAO = 'Gao et al. 2022'


@dataclasses.dataclass(frozen=True)
class ClaimSpec:
  """One claim.

  Attributes:
    id: 1 to 65.
    title: a few words.
    statement: the claim as a sentence.
    source: paper and figure or section.
    threshold: what a pass needs, set beforehand. Every bound is compared with
      a 95 % interval over seeds.
    evaluator: name in the EVALUATORS of `judge_pm`, `judge_rl` or
      `judge_robust`, or None while nothing measures it.
    evidence: 'simulated' (a run; 'real' on real data) or 'identity' (a
      property that holds exactly, whatever was trained).
  """

  id: int
  title: str
  statement: str
  source: str
  threshold: str
  evaluator: str | None = None
  evidence: str = 'simulated'
