"""settings.json: the plan's settings as the scripts read them. The harness writes it, and nobody else.

Imports nothing but the plan, so that whoever checks a published folder can ask for the text too.
"""

from __future__ import annotations

import json

from ml_intern.plan.plan import Experiment

SETTINGS = "settings.json"


def settings_text(experiment: Experiment) -> str:
    """What the file holds for an experiment, with all that was amended of it."""
    settings = {
        "data": experiment.data.settings,
        "train": experiment.settings,
        "smoke": experiment.smoke,
        "variants": {variant.name: variant.settings for variant in experiment.variants},
    }
    return json.dumps(settings, indent=2, sort_keys=True) + "\n"
