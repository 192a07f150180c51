"""`python -m tests.deploy.grafana`: writes every made file anew."""

import sys

from tests.deploy.grafana.files import files
from tests.deploy.tools import TREE

for file, text in files().items():
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    sys.stderr.write(f"{file.relative_to(TREE)}\n")
