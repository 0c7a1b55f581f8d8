//! One module a noun; each function is one command.

pub(crate) mod agent;
pub(crate) mod approver;
pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod certificate;
pub(crate) mod custody;
pub(crate) mod doctor;
pub(crate) mod file;
pub(crate) mod git;
pub(crate) mod hosts;
pub(crate) mod import;
pub(crate) mod install;
pub(crate) mod keeper;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod pair;
pub(crate) mod policy;
pub(crate) mod publish;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod server_audit;
pub(crate) mod server_key;
pub(crate) mod server_policy;
pub(crate) mod shell;
pub(crate) mod ssh;
pub(crate) mod status;
