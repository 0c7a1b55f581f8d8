//! The files that `ssh-keygen` signs, by its command line.

use keystead_core::Evidence;

use crate::evidence::Seen;

use super::processes::{Process, Processes};
use super::short::read_short;

/// Names the files, and reads those that may be the one whose hash is signed.
///
/// `git` with `gpg.format=ssh` writes the commit to a file and calls
/// `ssh-keygen -Y sign -n git -f KEY FILE`; with `-Us` the files are the keys to be certified.
pub(super) fn look(processes: &Processes, process: &Process, seen: &mut Seen) {
    let files = signed_files(&process.words());
    let paths = files
        .iter()
        .filter_map(|file| processes.file(process.pid, file));
    for path in paths.take(Evidence::FILES_MAX) {
        seen.buffers
            .extend(read_short(&path, Evidence::PREIMAGE_BYTES_MAX));
        seen.files.extend(path.into_os_string().into_string());
    }
}

/// What stands behind the options of `ssh-keygen -Y sign` and `ssh-keygen -s`; nothing when it
/// does something else. Without a file it reads what it signs from its input.
fn signed_files<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut files = Vec::new();
    let mut signs = false;
    let mut rest = words.iter().copied().skip(1);
    while let Some(word) = rest.next() {
        if word == "--" {
            files.extend(rest.by_ref());
            break;
        }
        let Some(letters) = word.strip_prefix('-').filter(|it| !it.is_empty()) else {
            files.push(word);
            continue;
        };
        let Some(at) = letters.find(|letter| OPTIONS_WITH_VALUE.contains(letter)) else {
            continue;
        };
        let (option, joined) = letters.split_at(at);
        let _ = option;
        let mut joined = joined.chars();
        let letter = joined.next();
        let value = match joined.as_str() {
            "" => rest.next().unwrap_or_default(),
            joined => joined,
        };
        signs |= letter == Some('s') || (letter == Some('Y') && value == "sign");
    }
    if signs { files } else { Vec::new() }
}

/// The options of `main()` in `ssh-keygen.c` of OpenSSH 10 that take a value.
const OPTIONS_WITH_VALUE: &str = "CDEFGIJKMNOPRSTVWYZabdfjmnrstwz";

#[cfg(test)]
mod tests {
    use super::super::processes::tests::Fake;
    use super::*;

    #[test]
    fn what_ssh_keygen_signs() {
        let check = |line: &str, expected: &[&str]| {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(signed_files(&words), expected, "{line}");
        };
        check(
            "ssh-keygen -Y sign -n git -f key /tmp/.git_buffer",
            &["/tmp/.git_buffer"],
        );
        check("ssh-keygen -Y sign -n file -f key a b", &["a", "b"]);
        check("ssh-keygen -Ysign -nfile -fkey -- -a", &["-a"]);
        check("ssh-keygen -Y sign -n file -f key", &[]);
        check("ssh-keygen a -Y sign -U -f key -n file", &["a"]);
        check(
            "ssh-keygen -Us ca.pub -I id -n alex -V +1d user.pub",
            &["user.pub"],
        );
        check("ssh-keygen -Y verify -n git -f key a", &[]);
        check("ssh-keygen -lf key", &[]);
        check("ssh-keygen -Y", &[]);
        check("cat a", &[]);
    }

    #[test]
    fn files_are_read_from_the_folder_of_the_process() {
        let fake = Fake::new("files");
        let folder = fake.folder("work");
        std::fs::write(folder.join("a"), "tree").unwrap();
        fake.put(30, 1, 30, 0, "ssh-keygen -Y sign -n file -f key a missing");
        fake.link(30, "cwd", &folder);
        let mut seen = Seen::default();
        let processes = fake.processes();
        look(&processes, &processes.read(30).unwrap(), &mut seen);
        assert_eq!(seen.buffers, [b"tree"]);
        let named = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        assert_eq!(seen.files, [named("a"), named("missing")]);
    }
}
