//! What happens to the agent, and what it wants done.
//!
//! **Invariant:** nothing here decides, and nothing secret in it can be shown.

use std::net::SocketAddr;

use keystead_core::SecretBytes;
use keystead_keeper::server::control;
use keystead_keeper::{NetAction, NetEvent};

use crate::control::Reply;
use crate::evidence::{Look, Seen};
use crate::frame::Frame;
use crate::hardware;
use crate::ids::{ClientId, ConnectionId};
use crate::key_control;
use crate::local_link::LocalDoor;
use crate::servers::{Behind, Came, Do};
use crate::upstream::Door;

/// What happens to the agent.
pub enum Event {
    /// A program connected to the SSH agent socket.
    Connect {
        /// Its number.
        connection: ConnectionId,
        /// Its process, if the system tells.
        pid: Option<i32>,
    },
    /// It sent a whole frame.
    Frame {
        /// Which.
        connection: ConnectionId,
        /// The frame's body.
        frame: Frame,
    },
    /// It hung up, or broke the rules of frames.
    HangUp {
        /// Which.
        connection: ConnectionId,
    },
    /// What [`Action::Look`] found.
    Look {
        /// Which.
        connection: ConnectionId,
        /// What was found.
        seen: Seen,
    },
    /// What [`Action::LookFor`] found.
    LookFor {
        /// For which command.
        client: ClientId,
        /// What was found.
        seen: Seen,
    },
    /// What [`Action::LookAround`] found.
    LookAround {
        /// For which connection.
        connection: ConnectionId,
        /// What was found.
        seen: Seen,
        /// The text of [`identities::FILE_NAME`](crate::identities::FILE_NAME), if there is one.
        identities: Option<String>,
    },
    /// A line on the control socket.
    Command {
        /// From whom.
        client: ClientId,
        /// The line.
        line: Vec<u8>,
        /// What came behind it, where the line announced something.
        attached: Option<Attached>,
        /// This machine's addresses at this moment.
        addresses: Vec<SocketAddr>,
    },
    /// A message of the agent that was there before.
    Upstream {
        /// For which connection.
        connection: ConnectionId,
        /// The message; none when it cannot be reached, or hung up.
        message: Option<Frame>,
    },
    /// The local authenticator says something.
    Local {
        /// As it came; none when it has ended.
        bytes: Option<Vec<u8>>,
    },
    /// It could not be started.
    LocalAway {
        /// Why, for the person.
        why: String,
    },
    /// Keys that were brought here are to be forgotten (`SIGUSR1`).
    Forget,
    /// A control connection ended.
    Leave {
        /// Which.
        client: ClientId,
    },
    /// The network says something.
    Net(NetEvent),
    /// Something came of a key server.
    Server(Came),
    /// A command about key servers.
    ServerCommand {
        /// Whose.
        client: ClientId,
        /// What.
        command: control::Command,
        /// What follows its line.
        behind: Vec<SecretBytes>,
    },
    /// A command about keys.
    KeyCommand {
        /// Whose.
        client: ClientId,
        /// What.
        command: key_control::Command,
        /// What follows its line.
        behind: Vec<SecretBytes>,
    },
    /// Something came of a hardware wallet.
    Device(hardware::Came),
    /// A command about hardware wallets.
    DeviceCommand {
        /// Whose.
        client: ClientId,
        /// What.
        command: hardware::control::Command,
        /// What follows its line.
        behind: Option<SecretBytes>,
    },
    /// [`Agent::next_wake_ms`] has come.
    Tick,
}

/// Bytes behind a command's line.
pub struct Attached {
    /// A key file.
    pub key: Frame,
    /// What opens it.
    pub passphrase: Option<Frame>,
}

/// What the agent wants done.
#[derive(Debug)]
pub enum Action {
    /// Answer a program.
    Answer {
        /// Which.
        connection: ConnectionId,
        /// The message, without its length.
        message: Vec<u8>,
    },
    /// Close a program's connection.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Look at the process that asks, and come back with [`Event::Look`].
    Look {
        /// For which connection.
        connection: ConnectionId,
        /// The process.
        pid: i32,
        /// What to look for.
        look: Look,
    },
    /// Look at the process that a command is for, and come back with [`Event::LookFor`].
    LookFor {
        /// For which command.
        client: ClientId,
        /// The process.
        pid: i32,
        /// What to look for.
        look: Look,
    },
    /// Look where the process that lists keys logs in, read the person's file of identities, and
    /// come back with [`Event::LookAround`].
    LookAround {
        /// For which connection.
        connection: ConnectionId,
        /// The process.
        pid: i32,
    },
    /// Write a line to a process's terminal.
    Say {
        /// The process.
        pid: i32,
        /// The line, without its end.
        line: String,
        /// Somebody has to do something: where there is no terminal the desktop may show it.
        is_asking: bool,
    },
    /// Answer on the control socket.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
    /// For the agent that was there before.
    Upstream {
        /// In the name of which connection.
        connection: ConnectionId,
        /// What.
        door: Door,
    },
    /// For the local authenticator.
    Local(LocalDoor),
    /// For the network.
    Net(NetAction),
    /// For a key server.
    Server(Do),
    /// Answer a command about key servers.
    ServerReply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: control::Reply,
        /// What follows its line.
        behind: Option<Behind>,
    },
    /// Answer a command about keys.
    KeyReply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: key_control::Reply,
        /// What follows its line.
        behind: Option<Behind>,
    },
    /// For a hardware wallet.
    Device(hardware::Do),
    /// Answer a command about hardware wallets.
    DeviceReply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: hardware::control::Reply,
    },
    /// End the agent, once the replies are out.
    Stop,
}
