"""adapter_config.json from outside: whether its entries have the types that PEFT writes."""

from __future__ import annotations

import json
from pathlib import Path

from bidora.errors import LabError
from bidora.uploads.limits import SETTINGS_LIMIT, refused, shown

_SETTINGS: dict[str, tuple[tuple[type, ...], str]] = {
    "peft_type": ((str,), "a text"),
    "r": ((int,), "a whole number"),
    "lora_alpha": ((int, float), "a number"),
    "use_dora": ((bool,), "true or false"),
    "use_rslora": ((bool,), "true or false"),
    "fan_in_fan_out": ((bool,), "true or false"),
    "rank_pattern": ((dict,), "names with numbers"),
    "alpha_pattern": ((dict,), "names with numbers"),
    "base_model_name_or_path": ((str,), "a text"),
}


def checked_settings(path: Path) -> dict[str, object]:
    """An adapter_config.json whose entries have the types that PEFT writes.

    Raises:
        LabError: it is missing, too long, no JSON object, or an entry has another type; names the entry.
    """
    try:
        size = path.stat().st_size
        if size > SETTINGS_LIMIT:
            raise refused(
                f"adapter_config.json has {size:,} bytes; allowed: {SETTINGS_LIMIT:,}", "PEFT writes about a thousand"
            )
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refused(
            "adapter_config.json is missing, and only it says how large alpha and rank are", "upload it, too"
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, LabError):
            raise
        raise refused("adapter_config.json is not JSON", "upload the file that PEFT wrote") from error
    if not isinstance(settings, dict):
        raise refused("adapter_config.json is not a JSON object", "upload the file that PEFT wrote")
    for name, (kinds, words) in _SETTINGS.items():
        value = settings.get(name)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise refused(
                f"adapter_config.json gives {name}={shown(repr(value), longest=40)}; allowed: {words}",
                "upload the file that PEFT wrote",
            )
    return settings
