//! What scripts see of the commands: output, exit status, files.
#![expect(clippy::unwrap_used, reason = "a test; what its functions do fails it")]

mod git;
mod home;
mod plain;
mod ssh_agent;
mod systemd;
