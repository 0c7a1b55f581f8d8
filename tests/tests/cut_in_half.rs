//! Every state file cut in half, one after the other: the program that reads it
//! says which one in a line and ends, or does without what was cut; nothing is
//! overwritten, and with the whole file back all is as before.

use std::path::{Path, PathBuf};

use keystead_tests::{About, Failure, Play, Result};

#[test]
fn the_agent_names_a_file_that_was_cut() -> Result<()> {
    let mut play = Play::new()?;
    play.lines("setup", "include approving\nssh sshd true\nstop agent")?;
    each_cut(
        &mut play,
        "agent",
        "sh -c 'keystead agent run; echo ended $?' &cut\n\
         wait-for cut stdout '^(ready|ended 1)'",
    )?;
    play.lines("after", "include with_agent\nssh sshd true")
}

#[test]
fn the_authenticator_names_a_file_that_was_cut() -> Result<()> {
    let mut play = Play::new()?;
    play.lines("setup", "include approving\nssh sshd true\nstop phone")?;
    each_cut(
        &mut play,
        "authenticator",
        "sh -c 'keystead-authenticator run --decide approve --passphrase-fd 3; echo ended $?' 3<passphrase &cut\n\
         wait-for cut stdout '^(ready|ended 1)'",
    )?;
    play.lines(
        "after",
        "keystead-authenticator run --decide approve --passphrase-fd 3 3<passphrase &phone\n\
         wait-for phone stdout '^ready'\n\
         ssh sshd true",
    )
}

/// Cuts each file, starts the program by these lines, and puts the file back.
fn each_cut(play: &mut Play, program: &str, start: &str) -> Result<()> {
    let state = play.place().path("k").join(program).join("state");
    let mut files = Vec::new();
    list(&state, &mut files)?;
    if files.len() < 2 {
        return Err(Failure::new(format!("{program} keeps only {files:?}")));
    }
    for file in files {
        let name = file.display();
        let whole = std::fs::read(&file).about(&name)?;
        let half: Vec<u8> = whole.iter().copied().take(whole.len() / 2).collect();
        std::fs::write(&file, &half).about(&name)?;
        play.lines(&format!("with half of {name}"), start)?;
        // It was either refused in a line, or was up and could be stopped.
        let ended = play.last_of("cut")?;
        let line = ended.stderr.lines().find(|line| line.contains(": error: "));
        if ended.stdout.contains("ended 1") {
            let file_name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !line.is_some_and(|line| line.contains(&file_name)) {
                return Err(Failure::new(format!(
                    "{name} is not named:\n{}",
                    ended.said()
                )));
            }
            if std::fs::read(&file).about(&name)? != half {
                return Err(Failure::new(format!("{name} was overwritten")));
            }
        }
        if ended.stderr.contains("panicked") {
            return Err(Failure::new(format!("{name}: {}", ended.said())));
        }
        std::fs::write(&file, &whole).about(&name)?;
    }
    Ok(())
}

/// Files that have something in them.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).about(folder.display())? {
        let path = entry.about(folder.display())?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.metadata().about(path.display())?.len() > 1 {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
