"""mkdocs hook: every docs/notebooks/NAME.ipynb becomes the page notebooks/NAME.md. Needs nothing of Jupyter, fetches nothing."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.ipynb")):
        text = page(json.loads(path.read_text(encoding="utf-8")), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
    return files


def page(notebook: dict[str, Any], name: str) -> str:
    """Markdown: text as it is, code as blocks, outputs below them."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```python\n{source}\n```", *(_output(output) for output in cell["outputs"])]
    parts.append(f"[Notebook]({name}.ipynb)")
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/svg+xml" in data:
        picture = base64.b64encode("".join(data["image/svg+xml"]).encode()).decode()
        return f'<p><img alt="figure" src="data:image/svg+xml;base64,{picture}"></p>'
    if "text/html" in data:
        return "<div>" + " ".join("".join(data["text/html"]).split("\n")) + "</div>"
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"<pre>{html.escape(text).rstrip()}</pre>"
