"""Writes openapi.yaml."""

from local.openapi.document import as_yaml
from local.paths import ROOT

(ROOT / "openapi.yaml").write_text(as_yaml(), encoding="utf-8")
