"""The settings as people read them: what `config check` prints, and the README's table."""

from collections.abc import Sequence

from globeco_allocation.entrypoints.settings import declared
from globeco_allocation.entrypoints.settings.reading import DEFAULT, Reading, SettingFault
from globeco_allocation.entrypoints.settings.setting import Setting, as_text

TABLE_BEGINS, TABLE_ENDS = "<!-- settings -->", "<!-- /settings -->"
"""Between these lines the README holds what `settings_table` returns."""


def settings_table() -> str:
    """Return all settings as a Markdown table."""
    lines = ["| Variable | Default | Meaning | It may hold |", "|---|---|---|---|"]
    lines += [
        f"| {' or '.join(f'`{name}`' for name in setting.names)} "
        f"| {_code(setting.default)} | {setting.meaning} | {_allowed(setting)} |"
        for setting in declared().values()
    ]
    return "\n".join(lines)


def effective_settings(reading: Reading) -> str:
    """Return the settings that count, secrets masked, one a line, and where each came from."""
    settings = declared()
    rows = [
        (settings[field].name, settings[field].shown(as_text(found.value)), found.source)
        for field, found in reading.found.items()
    ]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(
        f"{name:<{width}} = {text}  ({source if source == DEFAULT else f'from {source}'})".replace(
            "=   (", "=  ("
        )
        for name, text, source in rows
    )


def unusable_settings(faults: Sequence[SettingFault]) -> str:
    """Return every fault, one a line."""
    title = "1 setting" if len(faults) == 1 else f"{len(faults)} settings"
    return "\n".join([f"{title} cannot be used:", *(f"  {fault}" for fault in faults)])


def _allowed(setting: Setting) -> str:
    return setting.kind.allowed + (f"; {setting.unit}" if setting.unit else "")


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"
