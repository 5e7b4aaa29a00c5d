# SPDX-License-Identifier: GPL-2.0-only
"""How a report's lines begin that are no frames: ``BODY`` in it, ``TAIL`` behind its end marker."""

import re

BODY = re.compile(
    r"""\s*(?:
      Call\ [Tt]race|stack\ backtrace|[Bb]acktrace:|</?[A-Z\#]\w*>|[RE]?[IS]P\b|R\w\w:|E\w\w:
    | [FGCD]S:|CR\d|DR\d|PKRU|Code:|CPU:|Modules\ linked|Tainted|Hardware\ name|Workqueue:
    | Process\ |Stack:|Comm:|raw:|head:|flags:|page|addr:|file:|aops:|Read\ of|Write\ of
    | Allocated|Freed|The\ buggy|Memory\ state|[>\ ]?[0-9a-f]{8,16}:|\#\d+:|Object|Redzone
    | Padding|Slab|INFO:|FIX|note:|Kernel\ Offset|Kernel\ panic|Rebooting|---\[|task:|stack:
    | rcu:|\(detected|\(t=|NMI\ backtrace|Sending\ NMI|Showing\ all|\d+\ locks?\ held|[-=*]{5,}
    | ->|the\ exist|which\ lock|other\ info|Possible|CPU\d|\d+-|irq\ event
    | (?:hard|soft)irqs\ last|Last\ |Second\ to|Dumping\ ftrace|PGD|PUD|P4D|\#PF|Oops|Internal
    | Mem\ abort|Data\ abort|ESR|EC\ =|SET\ =|FSC|ISV|user\ pgtable|\[[0-9a-f]{8,16}\]|pstate
    | pc\ :|lr\ :|sp\ :|x\d|NIP|LR|GPR|MSR|XER|Krnl|epc|era|ra\ *:|gp\ :|status|Thread\ overran
    | in_atomic|preempt_count|RCU\ nest|Preemption\ disabled|BUG|WARNING|KASAN
    | value\ |Reported\ by|read\ |write\ |comm\ |hex\ dump|PC\ is|LR\ is|pgd\ =|\$\ ?\d+
    | [0-9a-f]{2}(?:\ [0-9a-f]{2}){3}|"echo|INFO|Not\ tainted|Uninit|Local\ variable|Bytes
    | Memory|index|shift|load|signed|left|fixed|Caller|Faulting|Failing|Fault\ in|Instruction\ dump
    | (?:rcu|workqueue)\b|Unless|pwq|in-flight|pending|name\ fail|Fatal\ exc|Cause|BadVA|PrId
    )""",
    re.VERBOSE,
)
TAIL = re.compile(
    r"""\s*(?:
      [RE]?[IS]P\b|[RE]\w\w:|[FGCD]S:|CR\d|DR\d|PKRU|Code:|Modules\ linked|</?[A-Z\#]\w*>
    | Kernel\ Offset|Kernel\ panic|Rebooting|---\[|note:|Fixing\ recursive|Dumping\ ftrace|CPU:
    | Call\ [Tt]race|Shutting\ down|Disabling\ lock|Tainted|Hardware\ name|ORIG_RAX
    )""",
    re.VERBOSE,
)
# Lines of registers and of bytes: a third of a report, and nothing but a part of one.
_REGISTER = (
    r"(?:R[A-DS][XIP]: |R\d\d: |E[A-DS][XIP]: |[CDEFG]S: |CR\d: |DR\d: |PKRU: |Code: |x\d\d?\s?: "
    r"|RBP: |[> ]?[0-9a-f]{16}: )"
)
_DUMP = r"(?:Object|Redzone|Padding) +(?:0x)?[0-9a-f]+: "
REGISTERS = re.compile(f"{_REGISTER}|{_DUMP}")
# The same, undamaged: what is behind their first word cannot spell a word of TRIGGERS.
DULL = re.compile(
    rf"(?:{_REGISTER}[0-9a-fknl A-MO-TW-Z():<>_]*"
    rf"|(?P<dump>{_DUMP}(?:[0-9a-f]{{2}} )+ *\S{{1,16}}))\Z".encode()
)
CPU = re.compile(r"\s*CPU: (\d+) (?:UID: \d+ )?PID: (\d+)")
ACCESS = re.compile(r"\s*(Read|Write) of size \d+")
