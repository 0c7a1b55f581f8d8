//! The link by which age finds this program: `age-plugin-keystead` on the `PATH`.
//!
//! **Invariant:** nothing is replaced or taken away but a link that leads to this program, or to
//! nothing.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::age_plugin;
use crate::commands::file;
use crate::failure::Failure;
use crate::terminal::say;

/// Lays it, where age finds none that leads here; returns the line that says so. With `print_only`
/// nothing is laid.
pub(crate) fn lay(print_only: bool) -> Result<Option<String>, Failure> {
    let (link, program) = (place()?, std::env::current_exe()?);
    let is_ours = |found: &PathBuf| leads_to(found, &program);
    if let Some(found) = on_path().first().filter(|it| is_ours(it) && **it != link) {
        say(format_args!("age finds its plugin at {}", found.display()));
        return Ok(None);
    }
    let line = format!("# {} -> {}", link.display(), program.display());
    if print_only {
        return Ok(Some(line));
    }
    match std::fs::symlink_metadata(&link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(_) if leads_to(&link, &program) => {}
        // What it led to is gone: an older place of this program, most likely.
        Ok(found) if found.is_symlink() && !link.exists() => remove(&link)?,
        Ok(_) => {
            say(format_args!(
                "note: {} is something else, and stays",
                link.display()
            ));
            return Ok(None);
        }
        Err(error) => return Err(file::failure(&link, &error)),
    }
    if !leads_to(&link, &program) {
        let folder = link.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).map_err(|error| file::failure(folder, &error))?;
        symlink(&program, &link).map_err(|error| file::failure(&link, &error))?;
    }
    say(format_args!("age finds its plugin: {}", link.display()));
    if !on_path().contains(&link) {
        let folder = link.parent().unwrap_or(Path::new("/")).display();
        say(format_args!("note: {folder} is not on the PATH yet"));
    }
    Ok(Some(line))
}

/// Takes it away; says whether it was there.
pub(crate) fn take_away() -> Result<bool, Failure> {
    let (link, program) = (place()?, std::env::current_exe()?);
    let is_dead = || link.is_symlink() && !link.exists();
    if !link.is_symlink() || !(leads_to(&link, &program) || is_dead()) {
        return Ok(false);
    }
    remove(&link)?;
    say(format_args!("{} removed", link.display()));
    Ok(true)
}

/// Every plugin of this name on the `PATH`, in its order: age starts the first.
pub(crate) fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let plugins = std::env::split_paths(&path).map(|folder| folder.join(age_plugin::NAME));
    let mut found: Vec<PathBuf> = Vec::new();
    for plugin in plugins.filter(|it| it.is_file()) {
        if !found.contains(&plugin) {
            found.push(plugin);
        }
    }
    found
}

/// Where it is laid: `~/.local/bin` (XDG Base Directory Specification 0.8, "user-specific
/// executable files").
pub(crate) fn place() -> Result<PathBuf, Failure> {
    let home = std::env::home_dir().filter(|it| it.is_absolute());
    let home = home.ok_or_else(|| Failure::new("no home folder is known"))?;
    Ok(home.join(".local/bin").join(age_plugin::NAME))
}

/// Whether a path is this program in the end.
pub(crate) fn leads_to(path: &Path, program: &Path) -> bool {
    let (path, program) = (path.canonicalize(), program.canonicalize());
    matches!((path, program), (Ok(path), Ok(program)) if path == program)
}

fn remove(link: &Path) -> Result<(), Failure> {
    std::fs::remove_file(link).map_err(|error| file::failure(link, &error))
}
