"""Logs in with each key of the agent, as paramiko does it: no session-bind."""

import sys

import paramiko

port, user, command = int(sys.argv[1]), sys.argv[2], sys.argv[3]
transport = paramiko.Transport(("127.0.0.1", port))
transport.start_client(timeout=30)
for key in paramiko.Agent().get_keys():
    try:
        transport.auth_publickey(user, key)
        break
    except paramiko.SSHException as error:
        print(error, file=sys.stderr)
if not transport.is_authenticated():
    sys.exit(1)
channel = transport.open_session()
channel.exec_command(command)
sys.stdout.write(channel.makefile().read().decode())
sys.stdout.flush()
status = channel.recv_exit_status()
transport.close()
sys.exit(status)
