//! libFuzzer on the bodies of `fuzz/targets`, by the thin package
//! `fuzz/libfuzzer`. The flags are those of `cargo fuzz`, which is not needed.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crate::console::{say, step};
use crate::failure::{About, Failure, Result};
use crate::run::Program;
use crate::tidy::graph::PLATFORM;
use crate::workspace;

/// The command: `fuzz [NAME [SECONDS]]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let root = workspace::root()?;
    let usage = || Failure::new("usage: cargo xtask fuzz [NAME [SECONDS]]");
    let (name, seconds) = match arguments {
        [] => {
            for name in names(&root)? {
                say(&name);
            }
            return Ok(());
        }
        [name] => (name, DEFAULT_S),
        [name, seconds] => (name, seconds.parse().map_err(|_| usage())?),
        _ => return Err(usage()),
    };
    if !names(&root)?.contains(name) {
        return Err(Failure::new(format!(
            "no decoder {name}; cargo xtask fuzz lists them"
        )));
    }
    if !has_nightly() {
        return Err(Failure::new(
            "libFuzzer needs nightly: rustup toolchain install nightly",
        ));
    }
    step(&format!(
        "Fuzzing {name} for {seconds} s. (It compiles first.)"
    ));
    let program = build(&root)?;
    if fuzzer(&program, &root, name, seconds)?.shown()? {
        Ok(())
    } else {
        Err(failed(&root, name))
    }
}

/// The decoders, by name: each has a corpus (a test of `fuzz/targets` sees to it).
pub(crate) fn names(root: &Path) -> Result<Vec<String>> {
    let corpora = root.join("fuzz/corpus");
    let mut names = Vec::new();
    for folder in std::fs::read_dir(&corpora).about(corpora.display())? {
        let name = folder.about(corpora.display())?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Whether this machine has the compiler that libFuzzer needs.
pub(crate) fn has_nightly() -> bool {
    Program::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .quietly()
}

/// Runs each for so long, as many at once as there are cores; which were well.
pub(crate) fn run_all(root: &Path, names: &[String], seconds: u64) -> Result<Vec<bool>> {
    let program = build(root)?;
    let wells: Vec<AtomicBool> = names.iter().map(|_| AtomicBool::new(false)).collect();
    let queue = Mutex::new(names.iter().zip(&wells));
    let work = || {
        let next = || queue.lock().ok()?.next();
        while let Some((name, well)) = next() {
            match run(&program, root, name, seconds) {
                Ok(()) => well.store(true, Relaxed),
                Err(failure) => say(&failure.to_string()),
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    Ok(wells.into_iter().map(AtomicBool::into_inner).collect())
}

/// Runs one for so long, in one line when all is well.
fn run(program: &Path, root: &Path, name: &str, seconds: u64) -> Result<()> {
    let output = fuzzer(program, root, name, seconds)?.captured()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let executed = said
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        say(&format!(
            "{name}: {} inputs",
            executed.unwrap_or("?").trim()
        ));
        return Ok(());
    }
    say(said.trim_end());
    Err(failed(root, name))
}

fn failed(root: &Path, name: &str) -> Failure {
    let kept = kept(root, name);
    Failure::new(format!("{name} failed; its input is in {}", kept.display()))
}

fn kept(root: &Path, name: &str) -> PathBuf {
    workspace::target(root).join("fuzz").join(name)
}

/// Builds the one program of all decoders.
fn build(root: &Path) -> Result<PathBuf> {
    let target = workspace::target(root).join("libfuzzer");
    Program::new("rustup")
        .args(["run", "nightly", "cargo", "build", "--quiet", "--release"])
        .args(["--target", PLATFORM, "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(root.join("fuzz/libfuzzer/Cargo.toml"))
        .variable("RUSTFLAGS", FLAGS.join(" "))
        // Else the toolchain of this command is used again.
        .variable("RUSTUP_TOOLCHAIN", "nightly")
        .folder(root)
        .must()?;
    Ok(target.join(PLATFORM).join("release/fuzz"))
}

/// libFuzzer on one. What it finds new is kept under `target`, so that the
/// stored corpus changes only by hand; a crash leaves its input there too.
fn fuzzer(program: &Path, root: &Path, name: &str, seconds: u64) -> Result<Program> {
    let kept = kept(root, name);
    let found = kept.join("found");
    std::fs::create_dir_all(&found).about(found.display())?;
    let fuzzer = Program::new(program)
        .arg(format!("-artifact_prefix={}/", kept.display()))
        .arg(format!("-max_total_time={seconds}"))
        .args([
            "-timeout=30",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=0",
        ])
        .arg(&found)
        .variable("KEYSTEAD_FUZZ", name)
        // C code takes over the sanitizer; GCC merges equal constants (SQLite
        // has such), which this check of AddressSanitizer takes for a fault.
        .variable("ASAN_OPTIONS", "detect_odr_violation=0")
        .folder(root);
    Ok(fuzzer.arg(root.join("fuzz/corpus").join(name)))
}

/// What `cargo fuzz` 0.13 passes: coverage for libFuzzer, AddressSanitizer,
/// overflow checks.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "--cfg fuzzing",
];

/// Without a number of seconds: long enough to see whether it gets anywhere.
const DEFAULT_S: u64 = 60;
