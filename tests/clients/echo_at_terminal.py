"""Runs a command at a terminal until it asks for a secret, ends it by a signal, and sees that the
terminal is as it was.

Usage: echo_at_terminal.py QUESTION COMMAND…
"""

import fcntl
import os
import re
import select
import signal
import sys
import termios

WAIT_S = 60


def modes(terminal):
    """What of the terminal's mode a shell needs to be typed at."""
    wanted = termios.ECHO | termios.ICANON | termios.ISIG
    return termios.tcgetattr(terminal)[3] & wanted


def start(command, terminal):
    child = os.fork()
    if child:
        return child
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)
    # What nohup(1) has ignored would stay so.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.execvp(command[0], command)


def read_until(master, question):
    shown = b""
    while not re.search(question, shown):
        ready, _, _ = select.select([master], [], [], WAIT_S)
        assert ready, f"no question: {shown!r}"
        shown += os.read(master, 4096)


def check(question, command, ends_by):
    master, terminal = os.openpty()
    before = modes(terminal)
    child = start(command, terminal)
    read_until(master, question)
    assert modes(terminal) != before, "what is typed is shown"
    signal.alarm(WAIT_S)
    os.kill(child, ends_by)
    _, how = os.waitpid(child, 0)
    signal.alarm(0)
    ended = os.waitstatus_to_exitcode(how)
    # As shells have it.
    assert ended == 128 + ends_by, f"{ends_by}: ended with {ended}"
    assert modes(terminal) == before, f"{ends_by}: the terminal is not as it was"
    os.close(master)
    os.close(terminal)


def main(question, *command):
    for ends_by in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        check(question.encode(), command, ends_by)


main(*sys.argv[1:])
