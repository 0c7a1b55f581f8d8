//! Files of the person's own, changed whole or not at all.
//!
//! **Invariant:** what is no file (`/dev/stdout`, a pipe) is written to, never replaced.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::failure::Failure;

/// Writes the file whole or not at all, with the permissions that it had; a new one, and the
/// folders above it, are its owner's alone. A symbolic link stays one: what it leads to is
/// replaced.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let target = target_of(path);
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER_MODE)
        .create(folder_of(&target));
    let written = made.and_then(|()| write(&target, bytes, PRIVATE_MODE));
    written.map_err(|error| failure(&target, &error))
}

/// The same for what anybody may read, as far as the umask lets them; its folder must be there.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let target = target_of(path);
    write(&target, bytes, PUBLIC_MODE).map_err(|error| failure(path, &error))
}

/// Whether [`publish`] can write there, as far as that can be known before: asked before a holder
/// is, whose answer would be lost.
pub(crate) fn check_place(path: &Path) -> Result<(), Failure> {
    let target = target_of(path);
    let checked = match fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Ok(()),
        Ok(_) | Err(_) => {
            rustix::fs::access(folder_of(&target), Access::WRITE_OK).map_err(io::Error::from)
        }
    };
    checked.map_err(|error| failure(path, &error))
}

fn write(target: &Path, bytes: &[u8], new_mode: u32) -> io::Result<()> {
    let before = match fs::metadata(target) {
        Ok(found) if found.is_file() => Some(found),
        Ok(_) => {
            return OpenOptions::new()
                .write(true)
                .open(target)?
                .write_all(bytes);
        }
        Err(_) => None,
    };
    let folder = folder_of(target);
    let (fresh, mut file) =
        fresh_beside(folder, before.as_ref().map_or(new_mode, |_| PRIVATE_MODE))?;
    let written = file
        .write_all(bytes)
        .and_then(|()| before.map_or(Ok(()), |before| belong(&file, &before)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, target));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Owner and permissions as the file had them that it takes the place of.
fn belong(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        // Root alone can, and for root it matters: ssh refuses a configuration of another's.
        let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(Permissions::from_mode(before.mode()))
}

/// A new file, whatever a program that was killed has left there.
fn fresh_beside(folder: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let process = std::process::id();
    let mut last = io::ErrorKind::AlreadyExists.into();
    for number in 0..FRESH_TRIES_MAX {
        let fresh = folder.join(format!(".keystead-{process}-{number}.tmp"));
        match options.open(&fresh) {
            Ok(file) => return Ok((fresh, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Where a path leads, to a place that is not there yet too.
fn target_of(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&target) {
            // What a descriptor's link says (`pipe:[7]`) is no path; the link itself opens it.
            Ok(_) if fs::metadata(&target).is_ok_and(|it| !it.is_file()) => break,
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => break,
        }
    }
    target
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The failure of something done with a file.
pub(crate) fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

/// The whole file; none where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure(path, &error)),
    }
}

/// Permissions of a file that was not there before.
const PRIVATE_MODE: u32 = 0o600;

/// The same for what anybody may read, as open(2) takes it: the umask narrows it.
const PUBLIC_MODE: u32 = 0o666;

const PRIVATE_FOLDER_MODE: u32 = 0o700;

/// As the kernel follows them (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// A process writes few files at once, and is killed at most once.
const FRESH_TRIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = format!("keystead-file-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_new_one_has_the_kinds() {
        let here = Scratch::new("modes");
        let (old, private, public) = (here.at("old"), here.at("private"), here.at("public"));
        fs::write(&old, "before").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
        replace(&old, b"after").unwrap();
        assert_eq!(
            (fs::read(&old).unwrap(), mode(&old)),
            (b"after".to_vec(), 0o640)
        );
        replace(&private, b"x").unwrap();
        publish(&public, b"x").unwrap();
        let usual = here.at("usual");
        File::create(&usual).unwrap();
        assert_eq!((mode(&private), mode(&public)), (0o600, mode(&usual)));
        assert_eq!(here.names(), ["old", "private", "public", "usual"]);
    }

    #[test]
    fn links_stay_and_what_they_lead_to_is_written() {
        let here = Scratch::new("links");
        fs::write(here.at("file"), "before").unwrap();
        symlink("file", here.at("link")).unwrap();
        symlink("link", here.at("twice")).unwrap();
        symlink("later", here.at("dangling")).unwrap();
        symlink("round", here.at("round")).unwrap();
        replace(&here.at("twice"), b"after").unwrap();
        publish(&here.at("dangling"), b"new").unwrap();
        assert_eq!(fs::read(here.at("file")).unwrap(), b"after");
        assert_eq!(fs::read(here.at("later")).unwrap(), b"new");
        for link in ["link", "twice", "dangling", "round"] {
            assert!(here.at(link).is_symlink(), "{link}");
        }
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        let here = Scratch::new("devices");
        symlink("/dev/null", here.at("null")).unwrap();
        for path in [here.at("null"), PathBuf::from("/dev/null")] {
            check_place(&path).unwrap();
            publish(&path, b"x").unwrap();
        }
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert!(here.at("null").is_symlink());
        // A pipe, by the name that a shell gives it.
        let (reader, writer) = io::pipe().unwrap();
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        publish(Path::new(&name), b"through").unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(reader).unwrap(), "through");
        assert_eq!(here.names(), ["null"]);
    }

    #[test]
    fn places_that_cannot_be_written_are_told_before() {
        let here = Scratch::new("places");
        let check = |path: &Path, is_good: bool| {
            assert_eq!(check_place(path).is_ok(), is_good, "{}", path.display());
        };
        check(&here.at("new"), true);
        check(&here.0, false);
        check(&here.at("no-folder/new"), false);
        assert!(publish(&here.0, b"x").is_err());
        assert!(publish(&here.at("no-folder/new"), b"x").is_err());
        assert!(here.names().is_empty());
    }

    #[test]
    fn what_a_killed_program_left_is_in_nobodys_way() {
        let here = Scratch::new("left");
        let left = format!(".keystead-{}-0.tmp", std::process::id());
        fs::write(here.at(&left), "half").unwrap();
        replace(&here.at("file"), b"whole").unwrap();
        assert_eq!(here.names(), [left.as_str(), "file"]);
    }
}
