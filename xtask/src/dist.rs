//! `cargo xtask dist`: what a package would install, under `target/dist`.

use crate::binaries::{self, Profile};
use crate::console::{say, step};
use crate::failure::{About, Failure, Result, write};
use crate::run::Program;
use crate::workspace;

/// The command: `dist`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        return Err(Failure::new("usage: cargo xtask dist"));
    }
    let root = workspace::root()?;
    let built = binaries::build(&root, Profile::Release)?;
    let folder = workspace::target(&root).join("dist");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).about(folder.display())?;
    }
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs).about(programs.display())?;
    step("Writing programs, man pages and completions.");
    for name in PROGRAMS {
        let program = programs.join(name);
        std::fs::copy(built.join(name), &program).about(program.display())?;
        if name == INTERNAL {
            continue;
        }
        // Each program knows its own commands: it writes its pages itself.
        let pages = folder.join("man");
        std::fs::create_dir_all(&pages).about(pages.display())?;
        Program::new(&program).arg("man").arg(&pages).must()?;
        for (shell, file) in [
            ("bash", format!("{name}.bash")),
            ("zsh", format!("_{name}")),
            ("fish", format!("{name}.fish")),
        ] {
            let text = Program::new(&program)
                .args(["completions", shell])
                .output()?;
            write(&folder.join("completions").join(file), &text)?;
        }
    }
    for (name, program) in LINKS {
        let link = programs.join(name);
        std::os::unix::fs::symlink(program, &link).about(link.display())?;
    }
    let units = folder.join("systemd");
    std::fs::create_dir_all(&units).about(units.display())?;
    for unit in UNITS {
        let from = root.join("packaging").join(unit);
        std::fs::copy(from, units.join(unit)).about(unit)?;
    }
    let rules = folder.join("udev").join(UDEV_RULES);
    let text =
        std::fs::read_to_string(root.join("packaging").join(UDEV_RULES)).about(UDEV_RULES)?;
    write(&rules, &text)?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
        std::fs::copy(root.join(name), folder.join(name)).about(name)?;
    }
    say(&format!("All of it is in {}.", folder.display()));
    Ok(())
}

const UNITS: [&str; 5] = [
    "keystead-agent.socket",
    "keystead-agent.service",
    "keystead-relay.service",
    "keystead-server.socket",
    "keystead-server.service",
];

/// Who may open a hardware wallet on USB.
const UDEV_RULES: &str = "70-keystead-trezor.rules";

/// Names by which a program is another one, and others look for it.
const LINKS: [(&str, &str); 1] = [("age-plugin-keystead", "keystead")];

/// Run by `keystead` alone, whose pages and completions have its commands.
const INTERNAL: &str = "keystead-custody";

const PROGRAMS: [&str; 5] = [
    "keystead",
    "keystead-authenticator",
    "keystead-custody",
    "keystead-relay",
    "keystead-server",
];
