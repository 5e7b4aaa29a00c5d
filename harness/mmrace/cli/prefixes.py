# SPDX-License-Identifier: GPL-2.0-only
"""``verify --each``: every prefix of a series."""

from mmrace.cli.app import App
from mmrace.cli.tables import table
from mmrace.definitions.base import base_for
from mmrace.errors import UserError
from mmrace.runs import campaign
from mmrace.runs.campaign import Built
from mmrace.runs.prefix import Prefix, prefix_names, walk
from mmrace.runs.trial import Maker
from mmrace.sources.tree import find_tree


def verify_each(
    app: App,
    race: str,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    configs: tuple[str, ...],
    make: Maker,
    seed: int,
) -> int:
    """Walk the prefixes of the last of the series; the others are beneath it."""
    *under, series = after
    base = base_for(find_tree(app.home, tree, app.note).version)
    resolved = app.intake.resolve(app.home, [series], base)[0]
    if not resolved.patches:
        raise UserError(f"{series} has no patch; --each walks through the patches of a series")
    below = (*before, *under)
    names = prefix_names(resolved.name, len(resolved.patches))

    def build(number: int) -> Built:
        top = () if number == 0 else (names[number - 1],)
        return campaign.build(app.home, tree, (*below, *top), configs, app.step, app.intake)

    found: list[Prefix] = []
    subjects = [patch.subject for patch in resolved.patches]
    for prefix in walk(subjects, build, lambda built: make(built, seed).judgement):
        found.append(prefix)
        app.note(f"{prefix.number}/{len(names)} {prefix.patch}: {_said(prefix)}")
    _show(app, race, found, len(names))
    return found[-1].exit_code


def _said(prefix: Prefix) -> str:
    state = str(prefix.bad or "holds")
    if prefix.bad is None and prefix.why:
        state = prefix.why
    elif prefix.why:
        state += f": {prefix.why}"
    return state


def _show(app: App, race: str, found: list[Prefix], total: int) -> None:
    bad = next((prefix for prefix in found if prefix.bad), None)
    app.document(
        {
            "race": race,
            "patches": total,
            "each": [
                {
                    "number": prefix.number,
                    "patch": prefix.patch,
                    "outcome": str(prefix.outcome) if prefix.outcome else None,
                    "holds": prefix.bad is None,
                    "bad": str(prefix.bad) if prefix.bad else None,
                    "why": prefix.why,
                }
                for prefix in found
            ],
            "first_bad": bad.number if bad else None,
        }
    )
    if app.as_json:
        return
    rows = [(str(prefix.number), prefix.patch, _said(prefix)) for prefix in found]
    app.out.print(table(("", "patch", "with the patches before it"), rows))
    if bad:
        app.out.print(f"patch {bad.number} of {total}, {bad.patch}: {bad.bad}", markup=False)
    else:
        app.out.print(f"all {total} prefixes apply, build without new warnings, and hold")
