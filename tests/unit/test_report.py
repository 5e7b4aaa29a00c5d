# SPDX-License-Identifier: GPL-2.0-only
"""The HTML report: what is on top, what is folded, what is bounded."""

import dataclasses
from html.parser import HTMLParser

import pytest

from made_runs import BEGIN, BOOT, BUG, FAILED, PASSED, made_run
from mmrace.definitions.race import Source
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.judging import channel
from mmrace.outcome import Outcome, VmEnd, WindowCount
from mmrace.reports import account, excerpt, junit, report, timeline, traced
from mmrace.reports.account import Place
from mmrace.runs.record import NotRun, RunDir
from mmrace.symbols import decode
from mmrace.symbols.decode import Symbol

CRASHED = {"channel": BEGIN, "console": BOOT + BUG, "end": VmEnd.RESET}
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Checks nesting, remembers text by where it stands and every reference."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.links, self.ids = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        fields = dict(attrs)
        self.links += [value for key, value in attrs if key in ("href", "src", "action", "data")]
        if "id" in fields:
            self.ids.append(fields["id"])
        if tag not in VOID:
            self.open.append((tag, fields))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((tuple(self.open), data))

    def inside(self, word):
        """Text in elements whose class holds a word."""
        found = [
            text
            for path, text in self.texts
            if any(word in fields.get("class", "").split() for _, fields in path)
        ]
        return " ".join(" ".join(found).split())


def render(*runs, **more):
    options = {"title": "t", "made": "now", "host": "here", **more}
    return report.html(runs, **options)


def page(*runs, **more):
    made = Page(render(*runs, **more))
    assert not made.open
    assert len(set(made.ids)) == len(made.ids)
    return made


def test_a_failed_run_says_what_where_and_how_to_see_it_again(tmp_path):
    run = made_run(tmp_path, **CRASHED)
    top = page(run).inside("failure")
    assert "CRASH kernel BUG in made_to_fail" in top
    assert "made_to_fail+0x1d/0x50 at mm/made.c:42" in top
    assert "called from its_caller ← callers_caller" in top
    assert f"mmrace again {run.id}" in top
    assert "mmrace run --race race --workload w --tree debian:6.1 --seed 7" in top


def test_nothing_is_loaded_from_anywhere(tmp_path):
    made = page(made_run(tmp_path, **CRASHED))
    assert all(link.startswith(("#", "data:")) for link in made.links)
    targets = {link[1:] for link in made.links if link.startswith("#")}
    assert targets <= set(made.ids)


def test_the_crash_is_open_and_the_rest_of_the_console_folded(tmp_path):
    made = page(made_run(tmp_path, **CRASHED))
    paths = {
        word: [dict(fields) for tag, fields in path if tag == "details"][-1]
        for path, text in made.texts
        for word in ("kernel BUG at mm/made.c:42!", "Linux version 6.1.192")
        if word in text and any(tag == "pre" for tag, _ in path)
    }
    assert "open" in paths["kernel BUG at mm/made.c:42!"]
    assert "open" not in paths["Linux version 6.1.192"]


def test_a_symbolised_trace_is_shown_with_its_source_lines(tmp_path):
    run = made_run(tmp_path, **CRASHED)
    places = [
        Place("helper", "include/linux/h.h:3", inlined=True, source="BUG_ON(!x);"),
        Place("made_to_fail", "mm/made.c:40", "+0x1d/0x50"),
    ]
    made = page(run, decoded={run.id: places})
    assert "helper inlined include/linux/h.h:3 BUG_ON(!x);" in made.inside("trace")
    top = made.inside("failure")
    assert "made_to_fail+0x1d/0x50 at include/linux/h.h:3 BUG_ON(!x);" in top
    assert "not symbolised" not in " ".join(text for _, text in made.texts)


def test_a_recorded_trace_is_looked_up_as_the_kernel_printed_it(tmp_path):
    """RIP is the instruction itself, a return address the one behind the call."""
    item = account.read(made_run(tmp_path, **CRASHED))
    symbols = {"made_to_fail": [Symbol(0x1000, 0x50)], "its_caller": [Symbol(0x2000, 0xA0)]}
    known = {
        0x101D: (decode.Place("inner", "h.h", 3), decode.Place("made_to_fail", "a.c", 4)),
        0x208D: (decode.Place("its_caller", "a.c", 9),),
    }
    (places,) = traced.symbolised([item], symbols, lambda _lines: known)
    assert [(place.function, place.location, place.inlined) for place in places] == [
        ("inner", "h.h:3", True),
        ("made_to_fail", "a.c:4", False),
        ("its_caller", "a.c:9", False),
        ("callers_caller", "", False),
    ]


def test_where_the_cpu_was_heads_the_trace_even_when_its_caller_is_to_blame(tmp_path):
    oops = BUG.replace(b"RIP: 0010:made_to_fail", b"RIP: 0010:rmap_walk_anon")
    item = account.read(made_run(tmp_path, channel=BEGIN, console=BOOT + oops, end=VmEnd.RESET))
    assert [place.function for place in item.places] == [
        "rmap_walk_anon",
        "its_caller",
        "callers_caller",
    ]


def test_a_kernel_that_is_gone_leaves_the_trace_as_printed(tmp_path):
    run = made_run(tmp_path, **CRASHED)
    assert traced.traces(Home(tmp_path / "cache", tmp_path / "data"), [run]) == {}


def test_hostile_text_stays_text(tmp_path):
    evil = "<script>alert(1)</script>\x1b[31m\x01"
    channel = (
        BEGIN + f"# out mmrace: fail {evil}\nnot ok 1 - w # exit=1 seconds=1.00\n1..1\n# end\n"
    )
    text = render(made_run(tmp_path, channel=channel, console=BOOT + evil.encode() + b"\n"))
    assert text.count("<script>") == 1
    assert "\x1b" not in text
    assert "\x01" not in text


def test_failures_of_one_kind_are_one_group_whatever_the_page(tmp_path):
    first = made_run(tmp_path, name="20260102-030405-race-w-0001", channel=FAILED)
    other = FAILED.replace("page 7", "page 11")
    second = made_run(tmp_path, name="20260102-030406-race-w-0002", channel=other)
    third = made_run(tmp_path, name="20260102-030407-race-w-0003", **CRASHED)
    found = account.groups(account.read_all([first, second, third]))
    assert [len(group.runs) for group in found] == [1, 2]  # the crash first
    assert "2 runs" in page(first, second, third).inside("failure")


def test_a_failure_that_no_race_knows_stands_first(tmp_path):
    known = made_run(tmp_path, **CRASHED)
    foreign = made_run(
        tmp_path, name="20260102-030406-race-w-0002", channel=BEGIN, end=VmEnd.RESET,
        console=BOOT + BUG.replace(b"made_to_fail", b"something_else"),
    )  # fmt: skip
    top = page(known, foreign).inside("failure")
    assert top.index("something_else") < top.index("made_to_fail")
    assert "not the failure that this race is known by" in top


def test_held_and_untested_runs_are_told_apart(tmp_path):
    held = made_run(tmp_path)
    idle = made_run(tmp_path, name="20260102-030406-race-w-0002", floor=1000)
    assert "Nothing failed" in render(held)
    assert "not everything was tested" not in render(held)
    both = page(held, idle)
    assert "says nothing about the kernel. turns: 7, at least 1000 wanted" in both.inside("note")


def test_the_workloads_own_results_are_visible(tmp_path):
    channel = BEGIN.replace("# out mmrace: race\n", "") + (
        "# out move_pages12.c:276: TINFO: quiet\n"
        "# out move_pages12.c:276: TPASS: Bug not reproduced\n"
        "ok 1 - w # exit=0 seconds=1.00\n1..1\n# end\n"
    )
    run = made_run(tmp_path, channel=channel, source=Source.LTP, floor=1)
    assert excerpt.results(account.read(run)) == ("move_pages12.c:276: TPASS: Bug not reproduced",)


def test_sections_and_absent_workloads_find_their_place(tmp_path):
    text = render(
        made_run(tmp_path),
        sections=[report.Section("Survival", "<p id='curve'>plot</p>")],
        not_run=[NotRun("race", "ltp", "no LTP source")],
    )
    assert "<h2>Survival</h2><p id='curve'>plot</p>" in text
    assert "no LTP source" in text


def test_windows_are_in_the_runs_section(tmp_path):
    run = made_run(tmp_path, windows=(WindowCount("hold-it", 1234, 56),))
    assert "hold-it 1,234 56" in page(run).inside("windows")


def test_a_long_console_is_cut_and_says_so(tmp_path):
    noise = b"".join(b"[    1.%06d] chatter\n" % number for number in range(12_000))
    run = made_run(tmp_path, channel=BEGIN, console=BOOT + noise + BUG + noise, end=VmEnd.RESET)
    text = render(run)
    assert len(text) < 400_000
    assert "bytes left out; console.log" in text
    assert "kernel BUG at mm/made.c:42!" in text


def test_many_runs_keep_the_file_bounded(tmp_path):
    first = made_run(tmp_path)
    runs = [first]
    for number in range(report.DETAILED + 5):
        folder = tmp_path / f"20260102-040000-race-w-{number:04d}"
        folder.mkdir()
        for path in first.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        runs.append(RunDir(folder))
    runs.append(made_run(tmp_path, name="20260102-050000-race-w-9999", **CRASHED))
    text = render(*runs)
    assert text.count('class="console"') == report.DETAILED
    assert "kernel BUG at mm/made.c:42!" in text
    assert text.count("CONFIG_SMP=y") == 1


def test_a_directory_without_a_run_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no run there"):
        render(RunDir(tmp_path))


def test_counters_over_time_end_at_the_channels_own_sums(tmp_path):
    run = made_run(tmp_path)
    drawn = timeline.samples(run.channel(), run.times("channel"))
    last = {name: values[-1][1] for name, values in drawn.items()}
    assert last == {"turns": channel.parse(run.channel()).counters["turns"]} == {"turns": 7}


def test_the_failure_is_marked_where_it_happened(tmp_path):
    run = made_run(tmp_path, channel=FAILED)
    line = timeline.read(account.read(run))
    assert line.failed == pytest.approx(1.5)  # sixth line of the channel
    assert [bar.kind for bar in line.phases] == ["boot", "setup", "race", "after"]
    assert 'class="failed"' in timeline.svg(line, "x")
    assert 'class="failed"' not in timeline.svg(dataclasses.replace(line, failed=None), "x")


def test_a_picture_of_a_run_that_never_started():
    line = timeline.Timeline(0.0, (), (), (), None)
    assert timeline.svg(line, '"<x>').startswith('<svg class="timeline"')
    assert 'aria-label="&#34;&lt;x&gt;"' in timeline.svg(line, '"<x>')


def test_thinning_keeps_both_ends():
    values = [(float(number), number) for number in range(10_000)]
    kept = timeline.thin(values)
    assert len(kept) == timeline.POINTS
    assert kept[0] == values[0]
    assert kept[-1] == values[-1]


def test_outcomes_of_the_made_runs(tmp_path):
    """The other tests mean what they say only while the judge sees these runs so."""
    outcomes = [
        made_run(tmp_path, name=f"20260102-030405-race-w-{number}", **fields).judgement().outcome
        for number, fields in enumerate([{}, CRASHED, {"channel": FAILED}, {"channel": PASSED}])
    ]
    assert outcomes == [Outcome.PASS, Outcome.CRASH, Outcome.FAIL, Outcome.PASS]


def test_what_is_to_be_known_of_the_kernel_is_told(tmp_path):
    run = made_run(tmp_path, **CRASHED)
    spec = run.spec().model_copy(update={"notes": ("built without a sandbox",)})
    (run.folder / "spec.json").write_text(spec.model_dump_json())
    assert "built without a sandbox" in page(run).inside("note")
    assert "note: built without a sandbox" in junit.explain(account.read(run))
