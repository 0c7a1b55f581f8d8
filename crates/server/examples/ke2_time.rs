//! Whether the time until KE2 tells a name with an account from one without, or a right
//! password from a wrong one (`spec/session.md` section 5.2).
//!
//! ```console
//! $ cargo run --release -p keystead-server --example ke2_time -- [PAIRS [FOLDER]]
//! $ valgrind --tool=callgrind target/release/examples/ke2_time count known|unknown LOGINS
//! ```
//! Logins of two classes take turns, in an order that is drawn for each pair, through a
//! real conversation, ledger and SQLite; from frame 20 to frame 21 is measured. Welch's t
//! must stay below 4.5, over all times and over those below the pooled 90th percentile
//! (where waits for the disk do not drown the rest). A control, in which one class is kept
//! 2 % longer, must be found. Exit status 1 where either is not so.
//!
//! `count` begins logins of one class alone, for a program that counts instructions: what
//! two classes differ in shows where the time comes from.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a program that measures, and stops where something is not as it should be"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_channel::session::requests::{Complete, Open, Request};
use keystead_channel::session::{
    AccountName, Binding, Credentials, Extras, Frame, FrameType, Greeted, Greeting, Handle,
    LoginSent, Nullable, Password, Pin, Profile, RegisterSent, RequestId, Text,
};
use keystead_daemon::SystemRng;
use keystead_server::conversation::{Conversation, Link, Step};
use keystead_server::sealing::MasterSource;
use keystead_server::server::Server;
use keystead_server::settings::{Register, Settings};
use rand_core::RngCore;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let counted = arguments.next_if_eq("count").map(|_| {
        let class = arguments.next().unwrap();
        (class == "known", arguments.next().unwrap().parse().unwrap())
    });
    let pairs = arguments.next().map_or(PAIRS, |it| it.parse().unwrap());
    let folder = arguments.next();
    let folder = folder.map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let is_good = runtime.block_on(async {
        match counted {
            Some((is_known, logins)) => count(folder.path(), is_known, logins).await,
            None => measure(folder.path(), pairs).await,
        }
    });
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Begins logins of one class, of one name: registering many would be all that is counted.
async fn count(folder: &Path, is_known: bool, logins: usize) -> bool {
    let server = start(folder).await;
    register(&server, &name(0)).await;
    let known = class(name, "secret").swap_remove(0);
    let unknown = class(nobody, "wrong").swap_remove(0);
    for login in [&known, &unknown] {
        time(&server, login, Duration::ZERO).await;
    }
    let login = if is_known { known } else { unknown };
    for _ in 0..logins {
        time(&server, &login, Duration::ZERO).await;
    }
    true
}

async fn measure(folder: &Path, pairs: usize) -> bool {
    let server = start(folder).await;
    for number in 0..NAMES {
        register(&server, &name(number)).await;
    }
    let known = class(name, "secret");
    let wrong = class(name, "wrong");
    let unknown = class(nobody, "wrong");
    // Every name has been tried once, so that each has its counter.
    for login in known.iter().chain(&wrong).chain(&unknown) {
        time(&server, login, Duration::ZERO).await;
    }
    let mut all_good = true;
    for (label, one, other) in [
        ("known against unknown name", &known, &unknown),
        ("right against wrong password", &known, &wrong),
    ] {
        let (first, second, mean) = compare(&server, one, other, pairs, 0.0).await;
        let (raw, cropped) = (welch(&first, &second), welch_cropped(&first, &second));
        let is_good = raw.abs() < T_MAX && cropped.abs() < T_MAX;
        all_good &= is_good;
        println!("{label}: {pairs} pairs, mean {mean:.1} us, t {raw:+.2}, cropped {cropped:+.2}");
    }
    let (first, second, mean) = compare(&server, &known, &known, pairs, PLANTED).await;
    let cropped = welch_cropped(&first, &second);
    println!(
        "control, {:.0} % planted: {pairs} pairs, mean {mean:.1} us, t {:+.2}, cropped {cropped:+.2}",
        PLANTED * 100.0,
        welch(&first, &second),
    );
    all_good && cropped.abs() >= T_MAX
}

/// Times of two classes whose logins take turns, in microseconds, and their mean.
async fn compare(
    server: &Arc<Server>,
    one: &[Login],
    other: &[Login],
    pairs: usize,
    planted: f64,
) -> (Vec<f64>, Vec<f64>, f64) {
    let mut sum = 0.0;
    for login in one {
        sum += time(server, login, Duration::ZERO).await;
    }
    let longer = Duration::from_nanos((sum / one.len() as f64 * planted * 1_000.0) as u64);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let (a, b) = (&one[pair % one.len()], &other[pair % other.len()]);
        if SystemRng.next_u32().is_multiple_of(2) {
            first.push(time(server, a, Duration::ZERO).await);
            second.push(time(server, b, longer).await);
        } else {
            second.push(time(server, b, longer).await);
            first.push(time(server, a, Duration::ZERO).await);
        }
    }
    let mean = (first.iter().sum::<f64>() + second.iter().sum::<f64>()) / (2 * pairs) as f64;
    (first, second, mean)
}

/// Welch's t over those below the pooled 90th percentile.
fn welch_cropped(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<f64> = first.iter().chain(second).copied().collect();
    all.sort_by(f64::total_cmp);
    let most = all[all.len() * 9 / 10];
    let below =
        |times: &[f64]| -> Vec<f64> { times.iter().copied().filter(|it| *it < most).collect() };
    welch(&below(first), &below(second))
}

fn welch(first: &[f64], second: &[f64]) -> f64 {
    let (mean_1, error_1) = mean_and_error(first);
    let (mean_2, error_2) = mean_and_error(second);
    (mean_1 - mean_2) / (error_1 + error_2).sqrt()
}

/// The mean, and its variance.
fn mean_and_error(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

/// A login that is begun over and over.
struct Login {
    frame: Vec<u8>,
}

fn class(name: impl Fn(usize) -> String, password: &str) -> Vec<Login> {
    let login = |number| {
        let credentials = credentials(&name(number), password);
        let binding = Binding::Exporter(EXPORTER);
        let extras = Extras::default();
        let started = LoginSent::start(HANDLE, credentials, binding, extras, &mut SystemRng);
        Login {
            frame: started.unwrap().1,
        }
    };
    (0..NAMES).map(login).collect()
}

/// Microseconds from frame 20 to frame 21, on a connection of its own.
async fn time(server: &Arc<Server>, login: &Login, longer: Duration) -> f64 {
    let (mut wire, _) = greet(server).await;
    let started = Instant::now();
    let answer = wire.exchange(&login.frame).await;
    let until = Instant::now() + longer;
    while longer > Duration::ZERO && Instant::now() < until {
        std::hint::spin_loop();
    }
    let took = started.elapsed();
    let frame = Frame::decode(&answer[4..]).unwrap();
    assert_eq!(
        (frame.kind, answer.len()),
        (FrameType::LoginResponse, 4 + 5 + 321)
    );
    took.as_secs_f64() * 1e6
}

struct Wire(Conversation);

impl Wire {
    /// Gives a frame, and does what is to be done until one is sent.
    async fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        let frame = Frame::decode(&bytes[4..]).unwrap();
        let mut steps = self.0.receive(&frame, 0);
        loop {
            match steps.remove(0) {
                Step::Send(bytes) => return bytes,
                Step::Work(work) => {
                    let done = work.await;
                    steps.extend(self.0.done(done, 0));
                }
                Step::Close => panic!("closed"),
            }
        }
    }
}

async fn greet(server: &Arc<Server>) -> (Wire, Greeted) {
    let link = Link {
        exporter: Some(EXPORTER),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut wire = Wire(Conversation::new(Arc::clone(server), link));
    let (mut greeting, hello) = Greeting::start(&mut SystemRng);
    let _ = greeting.handle();
    let answer = wire.exchange(&hello).await;
    let frame = Frame::decode(&answer[4..]).unwrap();
    let greeted = greeting.receive(&frame, Pin::Nothing).unwrap();
    (wire, greeted)
}

async fn register(server: &Arc<Server>, name: &str) {
    let (mut wire, greeted) = greet(server).await;
    let mine = credentials(name, "secret");
    let started = RegisterSent::start(HANDLE, mine, EXPORTER, None, &mut SystemRng);
    let (client, bytes) = started.unwrap();
    let client = client.keeping(Arc::default());
    let answer = wire.exchange(&bytes).await;
    let frame = Frame::decode(&answer[4..]).unwrap();
    let received = client.receive(&frame, &greeted, Profile::Standard, &mut SystemRng);
    let (client, bytes) = received.unwrap();
    let answer = wire.exchange(&bytes).await;
    let frame = Frame::decode(&answer[4..]).unwrap();
    let open = Open {
        known: Nullable(None),
        device: Text("bench".to_owned()),
        pass_wanted: false,
    };
    let received = client.receive(&frame, &greeted, open, &mut SystemRng);
    let (client, bytes) = received.unwrap();
    let answer = wire.exchange(&bytes).await;
    let logged_in = client.receive(&Frame::decode(&answer[4..]).unwrap());
    let mut logged_in = logged_in.unwrap();
    let complete = Request::Complete(Complete {
        storage_key: [6; 72],
        user: logged_in.opened.user,
        recovery_hash: [7; 32],
    });
    let asked = logged_in.session.ask(&complete, RequestId([1; 16]));
    wire.exchange(&asked.unwrap().frame).await;
}

/// A server without limits of guesses.
async fn start(folder: &Path) -> Arc<Server> {
    let mut options = std::fs::OpenOptions::new();
    let key = folder.join("master.key");
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&key)
        .unwrap();
    std::io::Write::write_all(&mut file, &[7; 32]).unwrap();
    let mut settings = Settings {
        registration: Register::Open,
        ..Settings::default()
    };
    settings.guesses.free = u32::MAX;
    settings.guesses.lock_after = u32::MAX;
    settings.guesses.per_source_s = 0;
    settings.guesses.per_s = 0;
    settings.registrations.per_source_hour = 0;
    let source = MasterSource::File(key);
    Arc::new(Server::open(folder, settings, source).await.unwrap())
}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials {
        name: AccountName::parse(name).unwrap(),
        password: Password::new(password).unwrap(),
    }
}

fn name(number: usize) -> String {
    format!("person-{number:03}")
}

fn nobody(number: usize) -> String {
    format!("nobody-{number:03}")
}

const EXPORTER: [u8; 32] = [9; 32];

const HANDLE: Handle = Handle(1);

/// Names a class.
const NAMES: usize = 64;

/// What a run without arguments measures.
const PAIRS: usize = 20_000;

/// Below it chance explains the difference: 7 runs in a million are above.
const T_MAX: f64 = 4.5;

/// What the control plants.
const PLANTED: f64 = 0.02;
