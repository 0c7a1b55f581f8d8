"""Logs in with the agent's keys as asyncssh does it: no session-bind."""

import asyncio
import sys

import asyncssh


async def main(port, user, command):
    try:
        async with asyncssh.connect(
            "127.0.0.1", port, username=user, known_hosts=None, config=None,
            preferred_auth="publickey",
        ) as connection:
            ended = await connection.run(command)
    except asyncssh.Error as error:
        print(error, file=sys.stderr)
        return 1
    print(ended.stdout, end="")
    return ended.exit_status


sys.exit(asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3])))
