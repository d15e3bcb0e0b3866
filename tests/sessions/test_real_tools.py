"""What Codex lets a model do with the catalogue that ccsetup writes: commands, patches and plans, in every release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc, clients
from support.scripted import Said, Scripted, Use, heard, steps

from ccsetup.clients.codex.catalog import base_instructions

pytestmark = pytest.mark.clients

PATCH = """\
*** Begin Patch
*** Update File: src/greeting.py
@@ def greet(name):
     name = name.strip()
-    print("Hi " + name)
+    print(f"Hello {name}")
     return name
*** Add File: docs/greeting.md
+# Greeting
+
+Says hello.
*** Delete File: docs/old.md
*** Update File: moved.txt
*** Move to: docs/moved.txt
@@
-before
+after
*** End of File
*** End Patch
"""
"""Every form that the instructions name; the first parts are their example."""


def _call(number: int, name: str, **arguments: Any) -> Said:
    return Said("", "", (Use(f"call_{number}", name, json.dumps(arguments)),))


TOOLS = {"exec_command", "write_stdin", "view_image", "request_user_input", "get_goal", "create_goal", "update_goal"}
"""What every release offers for a model of such a catalogue, whatever its instructions say."""


@pytest.mark.parametrize("version", clients.CODEX_VERSIONS)
def test_commands_plans_and_patches(home: Path, tmp_path: Path, version: str) -> None:
    """The model gets our instructions and the tools they speak of, and what it calls is carried out."""
    work = tmp_path / "work"
    cc.put(
        work,
        {
            "src/greeting.py": 'def greet(name):\n    name = name.strip()\n    print("Hi " + name)\n    return name\n',
            "docs/old.md": "old\n",
            "moved.txt": "before\n",
        },
    )
    plan = [{"step": "Look", "status": "completed"}, {"step": "Patch", "status": "in_progress"}]
    planned = clients.version_key(version) < (0, 160)  # later ones offer no plan for these models
    patch = "apply_patch <<'PATCH'\n{}PATCH\n"
    said = [
        _call(1, "exec_command", cmd="echo forty-two | tr a-z A-Z"),
        _call(2, "exec_command", cmd=patch.format(PATCH)),
        _call(3, "exec_command", cmd=patch.format("*** Begin Patch\nnonsense\n*** End Patch\n")),
        *((_call(4, "update_plan", plan=plan),) if planned else ()),
        Said("All of it is done."),
    ]
    with Scripted() as provider:
        provider.think = steps(*said)
        address = ("-p", "custom", "-u", provider.url("responses"), "-M", "glm-5.3", "--context-window", "200000")
        argv = ("init", "-s", *address, "-k", "sk-one-0123456789", "-T", "codex")
        done = cc.run(home, *argv, env=clients.path_with("codex", version))
        assert done.ok, done
        result = clients.run_codex(version, home, "Do it.", cwd=work, args=("--sandbox", "danger-full-access"))
        first, last = provider.requests[0].json, provider.requests[-1].json
    assert result.ok, result
    assert result.stdout.strip().endswith("All of it is done."), result
    assert {tool["name"] for tool in first["tools"]} == TOOLS | ({"update_plan"} if planned else set())
    assert {tool["type"] for tool in first["tools"]} == {"function"}
    told = "\n".join(each[1] for each in heard("responses", first) if each[0] == "system")
    assert told.count(base_instructions().strip()) == 1
    results = {each[1]: each[2] for each in heard("responses", last) if each[0] == "result"}
    assert "FORTY-TWO" in results["call_1"]
    assert "M src/greeting.py" in results["call_2"]
    assert "nonsense" in results["call_3"]  # what was wrong
    assert not planned or "Plan updated" in results["call_4"]
    assert {name: content.decode() for name, content in cc.files(work).items()} == {
        "src/greeting.py": 'def greet(name):\n    name = name.strip()\n    print(f"Hello {name}")\n    return name\n',
        "docs/greeting.md": "# Greeting\n\nSays hello.\n",
        "docs/moved.txt": "after\n",
    }
