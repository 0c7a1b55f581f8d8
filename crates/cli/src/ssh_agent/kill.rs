//! `-k`: the agent of this shell is ended.

use rustix::process::{Pid, Signal, kill_process};

use super::options::{self, Shell};
use super::{Ended, PID_VARIABLE, SOCKET_VARIABLE, unset};
use crate::terminal::print_raw;

/// Ends the agent that the environment names, and prints what makes the shell forget it.
pub(super) fn kill(shell: Shell) -> Result<(), Ended> {
    let named = std::env::var_os(PID_VARIABLE)
        .ok_or_else(|| Ended::with(format_args!("{PID_VARIABLE} not set, cannot kill agent")))?;
    let named = named.to_string_lossy();
    let not_good = |why| {
        Ended::with(format_args!(
            "{PID_VARIABLE}=\"{named}\", which is not a good PID: {why}"
        ))
    };
    let number = options::agent_pid(&named).map_err(not_good)?;
    let process = Pid::from_raw(number).ok_or_else(|| not_good("too small"))?;
    kill_process(process, Signal::TERM).map_err(|errno| Ended::system("kill", &errno.into()))?;
    let (socket, pid) = (unset(shell, SOCKET_VARIABLE), unset(shell, PID_VARIABLE));
    let said = format!("{socket}{pid}echo Agent pid {number} killed;\n");
    Ok(print_raw(said.as_bytes())?)
}
