# SPDX-License-Identifier: GPL-2.0-only
"""``runs``, ``judge``, ``report``, ``clean``: what is on disk."""

import functools
from collections.abc import Callable
from pathlib import Path

import click

from mmrace import storage
from mmrace.cli.app import App, json_option
from mmrace.cli.options import Decorated
from mmrace.cli.printing import exercised_text, runs_table, table
from mmrace.home import write_file
from mmrace.reports import junit, kcidb, ktapout, summary, traced
from mmrace.reports.publish import page, publish
from mmrace.runs.evidence import judge_run
from mmrace.runs.record import all_runs, find_run


@click.command("runs")
@click.option("--race", help="Only runs of this race.")
@click.option("--outcome", help="Only runs with this outcome.")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="At most N.")
@json_option
@click.pass_obj
def runs_command(app: App, race: str | None, outcome: str | None, last: int) -> None:
    """The runs on disk, newest last."""
    found = [
        run
        for run in all_runs(app.home)
        if (not race or run.spec().race.name == race)
        and (not outcome or run.judgement().outcome == outcome.upper())
    ][-last:]
    app.document({"runs": [run.as_json() for run in found]})
    if not app.as_json:
        app.out.print(runs_table(found))


@click.command("judge")
@click.argument("run")
@json_option
@click.pass_obj
def judge_command(app: App, run: str) -> int:
    """Judge a run again from what is on disk."""
    found = find_run(app.home, run)
    before, after = found.judgement(), judge_run(found)
    if before.outcome is not after.outcome:
        app.note(f"recorded as {before.outcome}, judged {after.outcome} now")
    app.document(
        {
            "run": found.id,
            "outcome": str(after.outcome),
            "recorded": str(before.outcome),
            "title": after.title,
            "signature_matched": after.signature_matched,
            "exercised": {name: count for name, (count, _) in after.exercised.items()},
            "notes": list(after.notes),
        }
    )
    if not app.as_json:
        app.out.print(f"{after.outcome} {after.title}", markup=False)
        app.out.print(exercised_text(after), markup=False)
        for note in after.notes:
            app.out.print(note, markup=False)
    return after.outcome.exit_code


def file_option(name: str, what: str) -> Callable[[Decorated], Decorated]:
    """An option that names a file to write."""
    path = click.Path(dir_okay=False, path_type=Path)
    return click.option(name, f"{name[2:]}_file", type=path, metavar="FILE", help=what)


@click.command("report")
@click.argument("runs", nargs=-1, required=True)
@click.option("--title", default="mmrace", show_default=True)
@file_option("--html", "One self-contained page.")
@file_option("--junit", "JUnit XML, for GitHub, GitLab and Jenkins.")
@file_option("--ktap", "KTAP.")
@file_option("--kcidb", "A KCIDB submission (JSON), checked; needs mmrace[kcidb].")
@file_option("--markdown", "A summary for a merge request or a reply to a patch; - for stdout.")
@click.option("--github", is_flag=True, help="Print annotations for GitHub's workflows.")
@click.option("--origin", default="mmrace", show_default=True, help="Your name in KCIDB.")
@json_option
@click.pass_obj
def report_command(
    app: App,
    runs: tuple[str, ...],
    title: str,
    html_file: Path | None,
    junit_file: Path | None,
    ktap_file: Path | None,
    kcidb_file: Path | None,
    markdown_file: Path | None,
    github: bool,
    origin: str,
) -> None:
    """Tell of RUNS to people and to CI; without options HTML and JUnit in mmrace's home."""
    found = [find_run(app.home, name) for name in runs]
    written: dict[str, Path] = {}
    decoded = functools.cache(lambda: traced.traces(app.home, found))
    if not any((html_file, junit_file, ktap_file, kcidb_file, markdown_file, github)):
        made = publish(app.home, found, title)
        written = {"html": made.html, "junit": made.junit}
    makers: tuple[tuple[str, Path | None, Callable[[], str]], ...] = (
        ("html", html_file, lambda: page(found, title, decoded=decoded())),
        ("junit", junit_file, lambda: junit.document(found, decoded=decoded())),
        ("ktap", ktap_file, lambda: ktapout.document(found, decoded=decoded())),
        ("kcidb", kcidb_file, lambda: kcidb.document(found, origin)),
        ("markdown", markdown_file, lambda: summary.markdown(found, title, decoded=decoded())),
    )
    for kind, path, make in makers:
        if path == Path("-"):
            click.echo(make(), nl=False, err=app.as_json)
        elif path:
            write_file(path, make())
            written[kind] = path
    if github:
        click.echo("\n".join(summary.annotations(found, decoded())), err=app.as_json)
    app.document({kind: str(path) for kind, path in written.items()})
    if not app.as_json:
        for path in written.values():
            app.note(str(path))


@click.command("clean")
@click.option("--kind", type=click.Choice(sorted(storage.KINDS)), multiple=True)
@click.option(
    "--older",
    type=click.IntRange(0),
    help="Unused for so many days. [default: 30; 0 for what can be rebuilt on a full disk]",
)
@click.option("--yes", is_flag=True, help="Free it; without this only say what would be freed.")
@json_option
@click.pass_obj
def clean(app: App, kind: tuple[str, ...], older: int | None, yes: bool) -> None:
    """Show what the home holds; with --yes free what was not used for a while, by kind.

    What is in use stays. Builds keep the home under MMRACE_HOME_LIMIT (20G) themselves.
    """
    held = storage.holdings(app.home)
    chosen = storage.choose(held, kind, older, full=storage.full(app.home))
    freed = [item for item in chosen if storage.drop(app.home, item)] if yes else []
    kept = [item for item in chosen if yes and item not in freed]
    totals = storage.totals(held)
    app.document(
        {
            "holds": {name: {"objects": n, "bytes": size} for name, (n, size) in totals.items()},
            "limit": app.home.limit,
            "chosen": [str(item.path) for item in chosen],
            "kept": [str(item.path) for item in kept],
            "freed": yes,
        }
    )
    if not app.as_json:
        rows = [(name, str(n), f"{size / 1e6:.0f} MB") for name, (n, size) in totals.items()]
        app.out.print(table(("kind", "objects", "size"), rows))
        word = "freed" if yes else "would free (add --yes)"
        size = storage.size_text(sum(item.size for item in (freed if yes else chosen)))
        app.out.print(f"{word}: {len(freed if yes else chosen)} objects, {size}", markup=False)
        if kept:
            app.out.print(f"in use, not freed: {len(kept)} objects", markup=False)


COMMANDS = (runs_command, judge_command, report_command, clean)
