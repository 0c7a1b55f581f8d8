//! A server in a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead-server"));
    command
        .env_remove("KEYSTEAD_HOME")
        .env_remove("XDG_STATE_HOME");
    command
}

/// A folder that `init` made.
pub(crate) struct Folder(TempDir);

/// A server that runs.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) folder: Folder,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self::empty();
        let made = folder.call(&["init", "--host", "keys.example.org"]);
        assert!(made.status.success(), "{}", stderr(&made));
        folder
    }

    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("ks").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// More settings, before those of a table.
    pub(crate) fn configure(&self, more: &str) {
        let text = self.read("config.toml");
        std::fs::write(self.file("config.toml"), format!("{more}\n{text}")).unwrap();
    }

    /// More settings, of tables of their own.
    pub(crate) fn configure_tables(&self, more: &str) {
        let text = self.read("config.toml");
        std::fs::write(self.file("config.toml"), format!("{text}\n{more}")).unwrap();
    }

    /// A command with this folder, to its end.
    pub(crate) fn call(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command.args(arguments).arg("--dir").arg(self.path());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// A command that must do it; what it printed.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command that must not; what it said.
    pub(crate) fn fails(&self, arguments: &[&str], status: i32) -> String {
        let output = self.call(arguments);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        stderr(&output)
    }

    pub(crate) fn run(self) -> Server {
        self.run_with(&[])
    }

    pub(crate) fn run_with(self, more: &[&str]) -> Server {
        self.run_as(program(), more)
            .unwrap_or_else(|(folder, _, line)| panic!("{line:?}: {}", folder.read("trace")))
    }

    /// By `command`, which has the program as its last word; or what it said instead of
    /// being ready.
    pub(crate) fn run_as(
        self,
        mut command: Command,
        more: &[&str],
    ) -> Result<Server, (Self, Child, String)> {
        command.args(["run", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
        command.args(more).arg("--dir").arg(self.path());
        let trace = File::create(self.file("trace")).unwrap();
        command.stdout(Stdio::piped()).stderr(trace);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said = line.strip_prefix("ready https://");
        let Some((address, metrics)) = said.and_then(|it| it.trim_end().split_once(" http://"))
        else {
            return Err((self, child, line));
        };
        Ok(Server {
            child,
            address: address.parse().unwrap(),
            metrics: metrics.parse().unwrap(),
            folder: self,
        })
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Folder::new().run()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Stops it; its folder, and what it said.
    pub(crate) fn stop(mut self) -> (Folder, String) {
        self.signal(rustix::process::Signal::TERM);
        assert!(
            self.child.wait().unwrap().success(),
            "{}",
            self.folder.read("trace")
        );
        let said = self.folder.read("trace");
        (self.into_folder(), said)
    }

    pub(crate) fn into_folder(mut self) -> Folder {
        let _ = self.child.wait();
        std::mem::replace(&mut self.folder, Folder::empty())
    }

    /// What a scraper sees.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = get(self.metrics, "/metrics").1;
        let line = text.lines().find_map(|line| {
            let rest = line.strip_prefix("keystead_server_")?.strip_prefix(name)?;
            rest.strip_prefix(' ')
        });
        line?.parse().ok()
    }

    /// Waits until a number is as `expected` says.
    pub(crate) fn wait_for_metric(&self, name: &str, expected: impl Fn(f64) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.metric(name);
            if found.is_some_and(&expected) {
                return;
            }
            assert!(Instant::now() < until, "{name} is {found:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A TLS client that knows this server's authority and offers `protocols`.
    pub(crate) async fn connect(
        &self,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = client(&self.folder.file("ca.pem"), protocols);
        connect(self.address, config, "keys.example.org").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn client(authority: &Path, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn connect(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    // As every client does: else each first frame waits for a late acknowledgement.
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// One request in clear: status line and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
