"""The note on the origin of a study whose results are committed."""

from rlhf_jax.analysis import claims_io

NOTE = """# {preset}

One run of `{command}` at commit `{commit}` on {device}, {minutes:.1f} minutes
of wall time. `claims.json` holds the verdicts, `tables/` every number behind
the figures (docs/tables.md); `make figures` redraws `figures/` from them.

{begin}
{end}
"""


def write_note(out):
  """README.md of a published study, from its claims, which are returned."""
  document = claims_io.read_claims(out / 'claims.json')
  preset = document['preset']
  command = 'make reproduce' + (
    '' if preset == 'micro' else f' PRESET={preset}'
  )
  note = NOTE.format(
    preset=preset,
    command=command,
    commit=document['commit'],
    device=document['device'],
    minutes=document['seconds'] / 60,
    begin=claims_io.MARK_BEGIN,
    end=claims_io.MARK_END,
  )
  (out / 'README.md').write_text(note)
  table = claims_io.to_markdown_table(document)
  claims_io.rewrite_readme(out / 'README.md', table)
  return document
