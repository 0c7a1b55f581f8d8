//! Where things are: the root, its target folder, the files that belong to the project.

use std::path::{Path, PathBuf};

use crate::failure::{About, Failure, Result};
use crate::run::Program;

/// The workspace's root: the folder above this package.
pub(crate) fn root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new("the package xtask has no folder above it"))
}

/// Where cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}

/// Every file of the project, relative to `root`, in order: what git tracks or
/// would, and in a copy without git every file outside `target`.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = if root.join(".git").exists() {
        let list = Program::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .folder(root)
            .output()?;
        list.split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            // A file that is deleted but not yet committed so is still listed.
            .filter(|path| root.join(path).is_file())
            .collect()
    } else {
        let mut found = Vec::new();
        walk(root, Path::new(""), &mut found)?;
        found
    };
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let whole = root.join(folder);
    for entry in std::fs::read_dir(&whole).about(whole.display())? {
        let entry = entry.about(whole.display())?;
        let path = folder.join(entry.file_name());
        if entry.file_type().about(path.display())?.is_dir() {
            if entry.file_name() != "target" {
                walk(root, &path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}
