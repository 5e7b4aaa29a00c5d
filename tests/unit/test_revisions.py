# SPDX-License-Identifier: GPL-2.0-only
from itertools import count
from pathlib import Path

import pytest

from mmrace.bisect.engine import Bisection
from mmrace.bisect.log import parse, render
from mmrace.bisect.loop import Probe, command_probe, drive, result_of, result_of_code
from mmrace.bisect.posterior import Model
from mmrace.bisect.revisions import between, checkout, git, graph, resolve, share, weigh
from mmrace.bisect.search import Costs
from mmrace.bisect.values import Observation, Phase, Result, Settings
from mmrace.errors import InfraError, UserError
from mmrace.outcome import Judgement, Outcome

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgSign=false")
# Fails in four runs of ten once the file says so; its own counter makes that repeatable.
FLAKY = """n=$(cat "$0.n" 2>/dev/null || echo 0); echo $((n + 1)) > "$0.n"
[ -e bug ] && case $((n * 7 % 10)) in 0|3|6|8) exit 1;; esac
exit 0
"""


class Toy:
    """A small repository: c0 .. c11 on one line, with a merge of a side branch after c5."""

    def __init__(self, folder: Path, files: dict[int, str]) -> None:
        folder.mkdir()
        self.path, self.files = folder, files
        self.ids: list[str] = []
        git(folder, "init", "--quiet", "--initial-branch=main")
        for number in range(6):
            self.commit(number)
        git(folder, "checkout", "--quiet", "-b", "side", "HEAD~2")
        self.side = self.commit(100)
        git(folder, "checkout", "--quiet", "main")
        git(folder, *IDENTITY, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
        self.merge = git(folder, "rev-parse", "HEAD").strip()
        for number in range(6, 12):
            self.commit(number)

    def commit(self, number: int) -> str:
        name = self.files.get(number, f"Documentation/{number}.rst")
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n")
        git(self.path, "add", "--all")
        git(self.path, *IDENTITY, "commit", "--quiet", "-m", f"change {number}")
        name = git(self.path, "rev-parse", "HEAD").strip()
        if number < 100:
            self.ids.append(name)
        return name


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(
        tmp_path_factory.mktemp("repo") / "toy", {0: "a.c", 3: "mm/b.c", 8: "bug", 100: "mm/side.c"}
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def bisection(toy: Toy, **settings: object) -> Bisection:
    commits = between(toy.path, toy.ids[0], toy.ids[-1])
    model = Model(graph(commits, toy.ids[0]), weights=weigh(commits))
    return Bisection(model, Settings(costs=Costs(2, 0, 1), **settings))  # type: ignore[arg-type]


def test_between_lists_parents_before_children(toy: Toy) -> None:
    commits = between(toy.path, toy.ids[0], toy.ids[-1])
    names = [one.id for one in commits]
    assert set(names) == {*toy.ids[1:], toy.side, toy.merge}
    for index, one in enumerate(commits):
        assert all(parent in [toy.ids[0], *names[:index]] for parent in one.parents)
    by_id = {one.id: one for one in commits}
    assert by_id[toy.ids[3]].paths == ("mm/b.c",)
    assert by_id[toy.ids[3]].subject == "change 3"
    assert set(by_id[toy.merge].parents) == {toy.ids[5], toy.side}
    dag = graph(commits, toy.ids[0])
    assert dag.contains(dag.rows[toy.side]).sum() == 4


def test_weights_follow_the_paths(toy: Toy) -> None:
    commits = between(toy.path, toy.ids[0], toy.ids[-1])
    weights = {one.id: weight for one, weight in zip(commits, weigh(commits, ["mm/"]), strict=True)}
    assert weights[toy.ids[3]] == weights[toy.side] == 8
    assert weights[toy.ids[8]] == 1
    assert weights[toy.ids[9]] == weights[toy.merge] == 0.1


def test_what_is_no_revision_is_named(toy: Toy, tmp_path: Path) -> None:
    assert resolve(toy.path, "main~1") == toy.ids[-2]
    with pytest.raises(UserError, match="nowhere"):
        resolve(toy.path, "nowhere")
    with pytest.raises(UserError, match="not a revision"):
        resolve(toy.path, "--all")
    with pytest.raises(UserError, match="not an ancestor"):
        between(toy.path, toy.side, toy.ids[5])
    with pytest.raises(UserError, match="are the same commit"):
        between(toy.path, toy.ids[4], toy.ids[4])
    (tmp_path / "plain").mkdir()
    with pytest.raises(UserError, match="git"):
        share(tmp_path / "plain", tmp_path / "clone")


def test_the_users_repository_stays_as_it_is(toy: Toy, tmp_path: Path) -> None:
    before = snapshot(toy.path)
    clone = share(toy.path, tmp_path / "home" / "clone")
    assert (clone / ".git/objects/info/alternates").exists()
    checkout(clone, toy.ids[8])
    assert (clone / "bug").exists()
    checkout(share(toy.path, clone), toy.ids[7])
    assert not (clone / "bug").exists()
    between(toy.path, toy.ids[0], toy.ids[-1])
    assert snapshot(toy.path) == before
    with pytest.raises(InfraError, match="check out"):
        checkout(clone, "0" * 40)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        *((0, Result.GOOD), (1, Result.BAD), (124, Result.BAD)),
        *((125, Result.SKIP), (126, Result.BAD), (127, Result.BAD)),
    ],
)
def test_exit_codes_are_read_as_git_does(code: int, result: Result) -> None:
    assert result_of_code(code) is result


@pytest.mark.parametrize("code", [128, 255, -9])
def test_other_exit_codes_abort(code: int) -> None:
    with pytest.raises(InfraError):
        result_of_code(code)


def test_only_the_own_signature_is_bad() -> None:
    assert result_of(Judgement(Outcome.CRASH, signature_matched=True)) is Result.BAD
    assert result_of(Judgement(Outcome.PASS)) is Result.GOOD
    for other in (Outcome.CRASH, Outcome.FAIL, Outcome.HANG, Outcome.NOT_EXERCISED):
        assert result_of(Judgement(other)) is Result.VOID
    with pytest.raises(InfraError):
        result_of(Judgement(Outcome.INFRA, "no QEMU"))


def planted(toy: Toy, culprit: str, broken: tuple[str, ...] = ()) -> Probe:
    """Fail in three runs of four with the culprit; the broken do not build."""
    commits = between(toy.path, toy.ids[0], toy.ids[-1])
    dag, runs = graph(commits, toy.ids[0]), count()

    def probe(revision: str, _ahead: int = 1) -> Result:
        if revision in broken:
            return Result.SKIP
        bad = dag.contains(dag.rows[revision])[dag.rows[culprit]] and next(runs) % 4
        return Result.BAD if bad else Result.GOOD

    return probe


def flaky(tmp_path: Path) -> list[str]:
    script = tmp_path / "flaky.sh"
    script.write_text(FLAKY)
    return ["sh", str(script)]


def test_a_command_is_bisected_and_git_replays_the_log(toy: Toy, tmp_path: Path) -> None:
    log, clone = tmp_path / "log", share(toy.path, tmp_path / "clone")
    notes = []
    answer = drive(
        bisection(toy, learn_failures=4),
        command_probe(clone, flaky(tmp_path), 10),
        log,
        tell=lambda _, request, result: notes.append((request.revision, result)),
    )
    assert answer.culprit == toy.ids[8]
    assert answer.confirmed
    assert len(notes) == sum(answer.runs.values())
    assert parse(log.read_text(), bisection(toy)) == [Observation(*one) for one in notes]
    assert f"{toy.ids[8]} is the first bad commit" in git(clone, "bisect", "replay", str(log))


def test_a_killed_bisection_goes_on_where_it_was(toy: Toy, tmp_path: Path) -> None:
    log, probe, made = tmp_path / "log", planted(toy, toy.ids[8]), 0

    def killed(revision: str, _ahead: int) -> Result:
        nonlocal made
        made += 1
        if made > 12:
            raise KeyboardInterrupt
        return probe(revision, 1)

    with pytest.raises(KeyboardInterrupt):
        drive(bisection(toy), killed, log)
    assert len(parse(log.read_text(), bisection(toy))) == 12
    answer = drive(bisection(toy), probe, log)
    assert answer.culprit == toy.ids[8]
    again = drive(bisection(toy), killed, log)
    assert again == answer


def test_revisions_that_do_not_build_are_skipped(toy: Toy, tmp_path: Path) -> None:
    log, broken = tmp_path / "log", (toy.ids[7], toy.ids[8])
    answer = drive(bisection(toy), planted(toy, toy.ids[8], broken), log)
    assert answer.culprit is None
    assert {name for name, _ in answer.suspects} == {*broken, toy.ids[9]}
    for name in broken:
        assert f"git bisect skip {name}" in log.read_text()


def test_a_log_of_something_else_is_refused(toy: Toy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("hello\n")
    with pytest.raises(UserError, match="no"):
        drive(bisection(toy), lambda *_: Result.GOOD, log)
    other = Model(graph(between(toy.path, toy.ids[2], toy.ids[-1]), toy.ids[2]))
    log.write_text(render(Bisection(other), ()))
    with pytest.raises(UserError, match="other ends"):
        drive(bisection(toy), lambda *_: Result.GOOD, log)
    log.write_text(render(bisection(toy), ()) + f"# run {toy.ids[3]} purple\n")
    with pytest.raises(UserError, match="purple"):
        drive(bisection(toy), lambda *_: Result.GOOD, log)


def test_a_bisection_stops_at_its_most_runs(toy: Toy, tmp_path: Path) -> None:
    answer = drive(bisection(toy), lambda *_: Result.GOOD, tmp_path / "log", most=7)
    assert answer.runs[Phase.LEARN] == 7
    assert not answer.done


def test_git_replays_the_log_of_a_fix_bisection(toy: Toy, tmp_path: Path) -> None:
    commits = between(toy.path, toy.ids[0], toy.ids[-1])
    model = Model(graph(commits, toy.ids[0]), fix=True)
    dag, log = model.dag, tmp_path / "log"
    held = {name for name in dag.names if dag.contains(dag.rows[name])[dag.rows[toy.ids[7]]]}
    answer = drive(
        Bisection(model), lambda name, _: Result.GOOD if name in held else Result.BAD, log
    )
    assert answer.culprit == toy.ids[7]
    clone = share(toy.path, tmp_path / "clone")
    assert f"{toy.ids[7]} is the first fixed commit" in git(clone, "bisect", "replay", str(log))


def test_an_empty_command_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--"):
        command_probe(tmp_path, [], 1)
