# SPDX-License-Identifier: GPL-2.0-only
"""The client of the gdbstub, against a stub that knows a machine of two vCPUs."""

import socket
import threading

import pytest

from mmrace.errors import InfraError
from mmrace.guests.gdbstub import INTERRUPT, Packets, Stop, Stub, frame, parse_stop


class FakeStub(threading.Thread):
    """Answers as QEMU does: nothing while the vCPUs run, a stop reply when they stop."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.packets = []
        self.acks = 0
        ours, self.link = socket.socketpair()
        self.stub = Stub(ours)

    def run(self):
        buffer = b""
        while data := self.link.recv(4096):
            buffer += data
            while buffer:
                if buffer[:1] == b"+":
                    self.acks += 1
                    buffer = buffer[1:]
                elif buffer[:1] == INTERRUPT:
                    self.say("T02thread:p01.01;")
                    buffer = buffer[1:]
                elif len(end := buffer.partition(b"#")) and len(end[2]) >= 2:
                    text = end[0][1:].decode()
                    assert frame(text) == buffer[: len(end[0]) + 3]
                    buffer = end[2][2:]
                    self.packets.append(text)
                    self.answer(text)
                else:
                    break

    def answer(self, text):
        found = self.answers.get(text, "")
        if found is not None:
            self.say(found)

    def say(self, text):
        self.link.sendall(frame(text))


ANSWERS = {
    "qSupported:multiprocess+;xmlRegisters=i386": "PacketSize=1000;multiprocess+;QStartNoAckMode+",
    "QStartNoAckMode": "OK",
    "qfThreadInfo": "mp01.01",
    "qsThreadInfo": "mp01.02",
    "vCont;c:p01.02": None,
    "vCont;s:p01.01": "T05thread:p01.01;",
    "Hgp01.02": "OK",
    "Hgp01.01": "OK",
    "p10": "dd611e81ffffffff",
    "m10,2": "beef",
    "Z1,ffffffff811e61dd,1": "OK",
    "Z1,7,1": "E22",
}


@pytest.fixture
def fake():
    made = FakeStub(dict(ANSWERS))
    once = iter(["mp01.02", "l"])
    plain = made.answer

    def answer(text):
        if text == "qsThreadInfo":
            made.say(next(once))
        else:
            plain(text)

    made.answer = answer
    made.start()
    yield made
    made.link.shutdown(socket.SHUT_RDWR)
    made.join(5)
    made.link.close()
    made.stub._link.close()


@pytest.fixture
def stub(fake):
    fake.stub.attach()
    return fake.stub


def test_attaching_finds_the_vcpus(stub):
    assert stub.threads == ("p01.01", "p01.02")


def test_acknowledgements_end_when_both_sides_agree(fake, stub):
    before = fake.acks
    assert before
    stub.pc("p01.01")
    assert fake.acks == before


def test_only_the_vcpus_named_go_on(fake, stub):
    stub.resume(["p01.02"])
    assert stub.poll(0.05) is None
    fake.say("T05thread:p01.02;")
    assert stub.poll(5) == Stop(5, "p01.02")
    assert fake.packets[-1] == "vCont;c:p01.02"


def test_a_step_is_one_vcpu_alone(fake, stub):
    assert stub.step("p01.01") == Stop(5, "p01.01")


def test_registers_are_little_endian_and_of_the_vcpu_asked_for(fake, stub):
    assert stub.pc("p01.02") == 0xFFFFFFFF811E61DD
    assert stub.pc("p01.02") == 0xFFFFFFFF811E61DD
    assert fake.packets.count("Hgp01.02") == 1
    assert stub.memory("p01.01", 16, 2) == b"\xbe\xef"
    assert fake.packets[-2:] == ["Hgp01.01", "m10,2"]


def test_a_breakpoint_that_is_refused_is_an_error(stub):
    stub.insert(0xFFFFFFFF811E61DD)
    with pytest.raises(InfraError, match="Z1,7,1 with 'E22'"):
        stub.insert(7)


def test_a_machine_is_stopped_while_it_runs(stub):
    stub.resume(["p01.02"])
    stub.interrupt()
    assert stub.poll(5) == Stop(2, "p01.01")


def test_qemu_that_goes_away_is_infrastructure(fake, stub):
    fake.link.shutdown(socket.SHUT_RDWR)
    with pytest.raises(InfraError, match=r"gdbstub is gone|closed its gdbstub"):
        stub.pc("p01.01")


def test_packets_may_come_in_any_pieces():
    packets = Packets()
    data = b"+" + frame("OK") + b"+" + frame("T05thread:p01.01;")
    found = [
        item for number in range(len(data)) for item in packets.feed(data[number : number + 1])
    ]
    assert found == ["OK", "T05thread:p01.01;"]


def test_escaped_bytes_are_themselves_again():
    body = b"a}\x03}]"
    assert Packets().feed(b"$%s#%02x" % (body, sum(body) % 256)) == ("a#}",)


def test_a_wrong_checksum_is_noticed():
    with pytest.raises(InfraError, match="checksum"):
        Packets().feed(b"$OK#00")


@pytest.mark.parametrize("packet", ["OK", "E01", "", "Tnothing"])
def test_what_is_no_stop_reply(packet):
    assert parse_stop(packet) is None
