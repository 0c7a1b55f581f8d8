"""Runs an authenticator's command at a terminal, writes the words down that it shows, and types
the three that it asks for.

Usage: words_at_terminal.py COMMAND… 3<PASSPHRASE

Prints the words in one line. The command's own terminal output goes to standard error.
"""

import os
import pty
import re
import sys


def main(command):
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    shown, words, answered = "", [], 0
    while True:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:
            break
        if not words and "written down. " in shown:
            pairs = re.findall(r"\s(\d{1,2})\. (\w+)", shown)
            words = [word for _, word in sorted(pairs, key=lambda pair: int(pair[0]))]
            os.write(terminal, b"\r")
        asked = re.findall(r"Word (\d+): ", shown)
        if len(asked) > answered:
            answered = len(asked)
            os.write(terminal, words[int(asked[-1]) - 1].encode() + b"\r")
    _, status = os.waitpid(child, 0)
    print(shown, file=sys.stderr)
    print(" ".join(words))
    sys.exit(os.waitstatus_to_exitcode(status))


main(sys.argv[1:])
